package control

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/secret"
)

func TestHashIsArgon2idInPHCForm(t *testing.T) {
	h := newHasher()
	phc, err := h.hash(context.Background(), secret.New("seven green horses"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(phc, "=\x00") || len(strings.Split(phc, "$")) != 6 {
		t.Errorf("hash %s", phc)
	}
	for pass, want := range map[string]bool{"seven green horses": true, "seven green horse": false, "": false, strings.Repeat("x", 1<<20): false} {
		if ok, err := h.check(context.Background(), phc, secret.New(pass)); ok != want || err != nil {
			t.Errorf("%.30q: %v %v", pass, ok, err)
		}
	}
	if ok, err := h.check(context.Background(), "", secret.New("nobody's")); ok || err != nil {
		t.Errorf("nobody's: %v %v", ok, err)
	}
}

// The same password in either form of its letters is the same password.
func TestPasswordsAreComparedNormalised(t *testing.T) {
	h := newHasher()
	h.memory = 8
	composed, why := cleanPassword("e\u0301te\u0301 a\u0300 la plage", nil)
	if why != "" {
		t.Fatal(why)
	}
	phc, err := h.hash(context.Background(), secret.New(composed))
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"été à la plage", "e\u0301te\u0301 a\u0300 la plage"} {
		if ok, err := h.check(context.Background(), phc, secret.New(typed)); !ok || err != nil {
			t.Errorf("%q: %v %v", typed, ok, err)
		}
	}
}

func TestBrokenHashesAreErrors(t *testing.T) {
	h := newHasher()
	for _, phc := range []string{"x", "$argon2i$v=19$m=8,t=1,p=1$AAAA$AAAA", "$argon2id$v=18$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=0,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$"} {
		if ok, err := h.check(context.Background(), phc, secret.New("x")); ok || err == nil {
			t.Errorf("%s: %v %v", phc, ok, err)
		}
	}
}

func TestHashingWaitsItsTurnAndNotForEver(t *testing.T) {
	h := &hasher{slots: make(chan struct{}, 1), wait: 20 * time.Millisecond, memory: 8}
	h.slots <- struct{}{} // somebody is hashing
	_, err := h.hash(context.Background(), secret.New("x"))
	if !errors.Is(err, fault.Unavailable) || fault.As(err).RetryAfter == 0 {
		t.Errorf("error %v, want %s", err, fault.Unavailable)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.wait = time.Hour
	if _, err := h.hash(ctx, secret.New("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	<-h.slots
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := h.hash(context.Background(), secret.New("x")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(h.slots) != 0 {
		t.Error("a turn was not given back")
	}
}

func TestTries(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	l := limit{"x", 3, time.Minute}
	tr := newTries(100)
	for i := range 3 {
		if wait := tr.take(l, "k", now); wait != 0 {
			t.Errorf("try %d waits %s", i, wait)
		}
	}
	if wait := tr.take(l, "k", now); wait != 20*time.Second {
		t.Errorf("the fourth waits %s, want 20s", wait)
	}
	if wait := tr.take(l, "other", now); wait != 0 {
		t.Errorf("another key waits %s", wait)
	}
	tr.giveBack(l, "k")
	if wait := tr.take(l, "k", now); wait != 0 {
		t.Errorf("after one was given back it waits %s", wait)
	}
	if wait := tr.take(l, "k", now.Add(20*time.Second)); wait != 0 {
		t.Errorf("after 20 s it waits %s", wait)
	}
	if wait := tr.take(l, "k", now.Add(21*time.Second)); wait != 19*time.Second {
		t.Errorf("and then %s, want 19s", wait)
	}
}

func TestTriesTakeNoMoreThanTheirRoom(t *testing.T) {
	tr := newTries(50)
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		tr.take(limit{"x", 3, time.Minute}, string(rune(i)), now.Add(time.Duration(i)*time.Millisecond))
		if len(tr.full) > 50 {
			t.Fatalf("%d keys", len(tr.full))
		}
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:443": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "unknown", "pipe": "unknown",
	} {
		if got := network(in); got != want {
			t.Errorf("%q is of %q, want %q", in, got, want)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := newHasher()
	for b.Loop() {
		h.encode("seven green horses")
	}
}
