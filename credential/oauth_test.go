package credential_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/credential"
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
