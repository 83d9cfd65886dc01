package credential_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
)

func TestLiveAndRevoke(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	later := now.Add(time.Hour)
	for _, c := range []struct {
		name string
		c    credential.Credential
		want bool
	}{
		{"active", credential.Credential{State: credential.Active, Expires: later}, true},
		{"at its expiry", credential.Credential{State: credential.Active, Expires: now}, false},
		{"retiring", credential.Credential{State: credential.Retiring, Expires: later, RetireAt: later}, true},
		{"at its retirement", credential.Credential{State: credential.Retiring, Expires: later, RetireAt: now}, false},
		{"retiring past its expiry", credential.Credential{State: credential.Retiring, Expires: now, RetireAt: later}, false},
		{"suspended", credential.Credential{State: credential.Suspended, Expires: later}, false},
		{"revoked", credential.Credential{State: credential.Revoked, Expires: later}, false},
		{"the zero credential", credential.Credential{}, false},
		{"of an unknown state", credential.Credential{State: "fine", Expires: later}, false},
	} {
		if got := c.c.Live(now); got != c.want {
			t.Errorf("%s: live %v", c.name, got)
		}
		r, err := c.c.Revoke("lost", now)
		if c.c.State == credential.Revoked {
			if !errors.Is(err, fault.Conflict) {
				t.Errorf("revoked twice: %v", err)
			}
			continue
		}
		if err != nil || r.State != credential.Revoked || r.Live(now) || r.Reason != "lost" || !r.Revoked.Equal(now) {
			t.Errorf("%s, revoked: %+v %v", c.name, r, err)
		}
	}
}

func TestHintShowsNoSecret(t *testing.T) {
	key, public, _ := credential.NewKey("live")
	c := credential.Credential{Kind: credential.APIKey, Environment: "live", PublicID: public}
	if got, want := c.Hint(), "gh_live_"+public+"_…"; got != want {
		t.Errorf("hint %q, want %q", got, want)
	}
	if len(key.Reveal()) < len(c.Hint())+30 {
		t.Error("the hint is nearly the key")
	}
}
