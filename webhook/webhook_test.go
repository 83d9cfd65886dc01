package webhook_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/secret"
	"gatehouse/webhook"
)

// The example of the Standard Webhooks specification, as its libraries test it.
func TestSignVector(t *testing.T) {
	s := secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	got, err := webhook.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), s)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("signature %q, %v; want %q", got, err, want)
	}
}

func TestVerify(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a, b := webhook.NewSecret(), webhook.NewSecret()
	body := []byte(`{"type":"grant.end"}`)
	both, err := webhook.Sign("msg_1", now, body, a, b)
	if err != nil {
		t.Fatal(err)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	for _, c := range []struct {
		name                   string
		message, stamp, signed string
		body                   []byte
		s                      secret.Value
		now                    time.Time
		ok                     bool
	}{
		{"the first secret", "msg_1", stamp, both, body, a, now, true},
		{"the second, in a rotation", "msg_1", stamp, both, body, b, now, true},
		{"a little later", "msg_1", stamp, both, body, a, now.Add(4 * time.Minute), true},
		{"replayed much later", "msg_1", stamp, both, body, a, now.Add(6 * time.Minute), false},
		{"from the future", "msg_1", stamp, both, body, a, now.Add(-6 * time.Minute), false},
		{"another message", "msg_2", stamp, both, body, a, now, false},
		{"another body", "msg_1", stamp, both, []byte("{}"), a, now, false},
		{"another secret", "msg_1", stamp, both, body, webhook.NewSecret(), now, false},
		{"another version", "msg_1", stamp, strings.ReplaceAll(both, "v1,", "v1a,"), body, a, now, false},
		{"no signature", "msg_1", stamp, "", body, a, now, false},
		{"no timestamp", "msg_1", "", both, body, a, now, false},
		{"no secret", "msg_1", stamp, both, body, secret.New("whsec_"), now, false},
	} {
		if err := webhook.Verify(c.message, c.stamp, c.signed, c.body, c.s, c.now); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAgainAndWants(t *testing.T) {
	now := time.Unix(0, 0)
	last := now
	tries := 1
	for ; ; tries++ {
		at, ok := webhook.Again(tries, now)
		if !ok {
			break
		}
		if !at.After(last) {
			t.Errorf("try %d comes at %s, not after %s", tries+1, at, last)
		}
		last = at
	}
	if tries != 10 {
		t.Errorf("given up after %d tries, want 10", tries)
	}
	e := webhook.Endpoint{State: webhook.Active, Kinds: []string{"grant"}}
	if !e.Wants("grant.end") || e.Wants("request.refuse") || e.Wants("grants.end") || (webhook.Endpoint{Kinds: nil}).Wants("grant.end") {
		t.Error("who is told of what")
	}
}
