package credential_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/credential"
	"gatehouse/fault"
)

var (
	now   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	later = now.Add(time.Hour)
)

// Every deed from every state, also once the time is over: the state it leads to, or "" where it is refused.
func TestStateMachine(t *testing.T) {
	states := []credential.State{credential.Pending, credential.Active, credential.Retiring, credential.Suspended, credential.Revoked, "fine"}
	deeds := map[string]func(credential.Credential) (credential.Credential, error){
		"activate": func(c credential.Credential) (credential.Credential, error) { return c.Activate(now) },
		"suspend":  func(c credential.Credential) (credential.Credential, error) { return c.Suspend("r", false, now) },
		"resume":   func(c credential.Credential) (credential.Credential, error) { return c.Resume("r", false, now) },
		"rotate": func(c credential.Credential) (credential.Credential, error) {
			old, _, err := c.Rotate(credential.Credential{}, now, later)
			return old, err
		},
		"revoke": func(c credential.Credential) (credential.Credential, error) { return c.Revoke("r", now) },
	}
	want := map[string][]credential.State{
		"activate": {credential.Active, "", "", "", "", ""},
		"suspend":  {"", credential.Suspended, credential.Suspended, "", "", ""},
		"resume":   {"", "", "", credential.Active, "", ""},
		"rotate":   {"", credential.Retiring, "", "", "", ""},
		"revoke":   {credential.Revoked, credential.Revoked, credential.Revoked, credential.Revoked, "", credential.Revoked},
	}
	for name, deed := range deeds {
		for n, s := range states {
			c := credential.Credential{State: s, Expires: later}
			got, err := deed(c)
			if w := want[name][n]; w == "" && !errors.Is(err, fault.Conflict) || w != "" && (err != nil || got.State != w) {
				t.Errorf("%s from %s: %s, %v; want %q", name, s, got.State, err, w)
			}
			c.Expires = now
			if _, err := deed(c); name != "revoke" && !errors.Is(err, fault.Conflict) {
				t.Errorf("%s from %s, expired: %v", name, s, err)
			}
		}
	}
}

func TestResumeGoesOnRetiring(t *testing.T) {
	c := credential.Credential{State: credential.Retiring, Expires: later.Add(time.Hour), RetireAt: later}
	c, err := c.Suspend("odd calls", false, now)
	if err != nil || c.Live(now) {
		t.Fatalf("%+v %v", c, err)
	}
	if c, err = c.Resume("ours", false, now); err != nil || c.State != credential.Retiring || !c.Live(now) || c.Live(later) {
		t.Errorf("%+v %v", c, err)
	}
}

func TestWhatThePlatformHoldsOnlyThePlatformResumes(t *testing.T) {
	c := credential.Credential{State: credential.Active, Expires: later}
	c, _ = c.Suspend("by the partner", false, now)
	c, err := c.Suspend("by the platform", true, now)
	if err != nil || !c.Held {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := c.Resume("please", false, now); !errors.Is(err, fault.Forbidden) {
		t.Errorf("the partner resumes it: %v", err)
	}
	if c, err = c.Resume("looked into", true, now); err != nil || c.Held || c.State != credential.Active {
		t.Errorf("%+v %v", c, err)
	}
}

func TestRotateHandsOver(t *testing.T) {
	c := credential.Credential{ID: "cr_1", Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.APIKey, Name: "old",
		Sources: []string{"10.0.0.0/8"}, State: credential.Active, Expires: later.Add(time.Hour), Version: 3}
	old, fresh, err := c.Rotate(credential.Credential{ID: "cr_2", Name: "new", State: credential.Active, Expires: later.Add(2 * time.Hour)}, now, later)
	if err != nil {
		t.Fatal(err)
	}
	if !old.Live(later.Add(-1)) || old.Live(later) || !fresh.Live(now) || !fresh.Live(later) {
		t.Error("both must be valid until the stated time, and the new one after it")
	}
	want := credential.Credential{ID: "cr_2", Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.APIKey, Name: "new",
		Sources: []string{"10.0.0.0/8"}, State: credential.Active, Expires: later.Add(2 * time.Hour), Replaces: "cr_1"}
	if d := cmp.Diff(want, fresh); d != "" {
		t.Error(d)
	}
}

func TestStanding(t *testing.T) {
	for want, c := range map[string]credential.Credential{
		"pending": {State: credential.Pending, Expires: later}, "active": {State: credential.Active, Expires: later},
		"retiring": {State: credential.Retiring, Expires: later, RetireAt: later}, "expired": {State: credential.Retiring, Expires: later, RetireAt: now},
		"suspended": {State: credential.Suspended, Expires: later}, "revoked": {State: credential.Revoked, Expires: now},
	} {
		if got := c.Standing(now); got != want {
			t.Errorf("%s stands as %s", want, got)
		}
	}
}

func TestCleanSources(t *testing.T) {
	got, wrong := credential.CleanSources([]string{"203.0.113.7", "203.0.113.0/24", " 2001:db8::/48 ", "::ffff:10.0.0.0/104", "203.0.113.7/32", "10.0.0.1/8", "x", "", "fe80::1%eth0", "::ffff:0:0/90", "0.0.0.0/0"})
	want := []string{"0.0.0.0/0", "10.0.0.0/8", "2001:db8::/48", "203.0.113.0/24", "203.0.113.7/32"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, n := range []int{5, 6, 7, 8, 9} {
		if wrong[n] == "" {
			t.Errorf("entry %d is taken", n)
		}
	}
	if len(wrong) != 5 {
		t.Errorf("%v", wrong)
	}
}

func TestFindKey(t *testing.T) {
	key, public, _ := credential.NewKey("live")
	other, _, _ := credential.NewKey("test")
	for text, want := range map[string]string{
		key.Reveal(): public, "export KEY=\"" + key.Reveal() + "\"\n": public, "gh_live_nothing " + key.Reveal() + " " + other.Reveal(): public,
		"gh_" + key.Reveal(): public, key.Reveal()[:60]: "", "": "", "gh_gh_gh_": "", key.Reveal() + "x": "",
	} {
		k, ok := credential.FindKey(text)
		if string(k.Public) != want || ok != (want != "") {
			t.Errorf("in %q: %q", text, k.Public)
		}
	}
}
