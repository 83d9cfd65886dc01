package credential_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/secret"
)

// A key is told before it signs, and stays until no token that it signed can live.
func TestIssuerRotates(t *testing.T) {
	const period, tokens = 24 * time.Hour, 5 * time.Minute
	mint := func(n int64) (credential.SigningKey, error) {
		return credential.SigningKey{ID: strings.Repeat("k", int(n)), Number: n}, nil
	}
	var i credential.Issuer
	seen := map[string]time.Time{} // when each key was first told
	last := ""
	var lastAt time.Time
	for at := now; at.Before(now.Add(5 * period)); at = at.Add(time.Minute) {
		var err error
		if i, err = i.Rotated(at, period, tokens, at.Equal(now.Add(90*time.Minute)), mint); err != nil {
			t.Fatal(err)
		}
		for _, k := range i.Keys {
			if _, known := seen[k.ID]; !known {
				seen[k.ID] = at
			}
		}
		current, next, ok := i.Current(at)
		if !ok || len(next) != 1 || len(i.Keys) > 3 {
			t.Fatalf("at %s: %+v", at, i.Keys)
		}
		if current.ID != last {
			if last != "" && !seen[current.ID].Before(at.Add(-tokens)) {
				t.Errorf("%s signs at %s and was told only at %s", current.ID, at, seen[current.ID])
			}
			last, lastAt = current.ID, at
		}
		if at.Sub(lastAt) <= tokens && lastAt.After(now) && i.Keys[0].ID == current.ID {
			t.Errorf("at %s the key before %s is gone", at, current.ID)
		}
	}
	if len(seen) < 6 {
		t.Errorf("%d keys in five periods, one of them rotated by hand", len(seen))
	}
}

func TestSecretIsNoKey(t *testing.T) {
	value, public, hash := credential.NewSecret("live")
	if _, ok := credential.ParseKey([]byte(value.Reveal())); ok {
		t.Error("a client's secret is taken for an API key")
	}
	k, ok := credential.ParseSecret([]byte(value.Reveal()))
	if !ok || string(k.Public) != public || !k.Hash().Matches(hash) {
		t.Error("a client's secret does not parse back")
	}
	if k, ok := credential.FindKey("secret=" + value.Reveal()); !ok || string(k.Public) != public {
		t.Error("a client's secret is not found in a text")
	}
}

func TestRotateSecret(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first, public, hash := credential.NewSecret("live")
	c := credential.Credential{Kind: credential.Client, OAuth: &credential.OAuth{Method: credential.ClientSecret}, PublicID: public, Hash: hash,
		State: credential.Active, Expires: now.Add(time.Hour)}
	second, next := credential.NextSecret("live", public)
	if k, ok := credential.ParseSecret([]byte(second.Reveal())); !ok || string(k.Public) != public {
		t.Errorf("the next secret is not found by the public id")
	}
	until := now.Add(10 * time.Minute)
	d, err := c.RotateSecret(next, now, until, now.Add(48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		what string
		hash secret.Hash
		at   time.Time
		want bool
	}{
		{"the new one", second.Hash(), now, true}, {"the new one, later", second.Hash(), until, true},
		{"the earlier one", first.Hash(), until.Add(-time.Microsecond), true}, {"the earlier one at its minute", first.Hash(), until, false},
		{"another", hash2(), now, false}, {"none", secret.Hash{}, now, false},
	} {
		if got := d.Knows(q.hash, q.at); got != q.want {
			t.Errorf("%s: %v", q.what, got)
		}
	}
	if !d.Live(now.Add(47 * time.Hour)) {
		t.Error("it does not expire anew")
	}
	third, _, at := credential.NewSecret("live")
	if e, err := d.RotateSecret(at, now, now, now.Add(time.Hour)); err != nil || e.Knows(second.Hash(), now) || e.Knows(first.Hash(), now) || !e.Knows(third.Hash(), now) || e.Knows(secret.Hash{}, now) {
		t.Errorf("without an overlap: %v %+v", err, e)
	}
	key := c
	key.OAuth = &credential.OAuth{Method: credential.PrivateKeyJWT}
	held := c
	held.State = credential.Suspended
	for what, c := range map[string]credential.Credential{"a key of its own": key, "suspended": held, "no client": {State: credential.Active, Expires: now.Add(time.Hour)}} {
		if _, err := c.RotateSecret(next, now, until, until); !errors.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.RotateSecret(next, now, now.Add(-time.Minute), until); !errors.Is(err, fault.Conflict) {
		t.Errorf("in the past: %v", err)
	}
}

func hash2() secret.Hash { _, _, h := credential.NewSecret("live"); return h }
