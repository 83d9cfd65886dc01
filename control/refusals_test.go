package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/fleet"
	"gatehouse/id"
)

// What is turned away is kept with why and how often, for whoever looks at the fleet.
func TestRefusalsAreKept(t *testing.T) {
	f := newFed(t)
	of := func(code string) fleet.Refusal {
		all := must(f.FleetRefusals(f.ctx, f.host))(t)
		if i := slices.IndexFunc(all, func(r fleet.Refusal) bool { return r.Code == code }); i >= 0 {
			return all[i]
		}
		return fleet.Refusal{}
	}
	enrol := func(environment, token string, now time.Time) string {
		_, err := link.EnrolFor(f.ctx, f.at, environment, token, "test", now)
		if err == nil {
			return ""
		}
		return fault.As(err).Code
	}

	token := f.token("live", "a")
	if got := enrol("test", token, f.clock.Now()); got != "enrolment-elsewhere" {
		t.Errorf("for another environment: %q", got)
	}
	if got := enrol("live", token, f.clock.Now().Add(2*time.Minute)); got != "clock-wrong" {
		t.Errorf("two minutes ahead: %q", got)
	}
	if got := enrol("live", token, f.clock.Now().Add(-2*time.Minute)); got != "clock-wrong" {
		t.Errorf("two minutes behind: %q", got)
	}
	if got := enrol("live", token, f.clock.Now().Add(20*time.Second)); got != "" {
		t.Fatalf("the token was used up by refusals: %q", got)
	}
	for range 3 {
		if got := enrol("live", token, f.clock.Now()); got != "enrolment-used" {
			t.Errorf("again: %q", got)
		}
	}
	for code, want := range map[string]struct {
		times int64
		text  string
	}{
		"enrolment-elsewhere": {1, "is for a gateway of live, and this one is configured for test"},
		"clock-wrong":         {2, "-2m0s"},
		"enrolment-used":      {3, "used already"},
	} {
		r := of(code)
		if r.Times != want.times || r.Gateway != "a" || r.Environment != "live" || !strings.Contains(r.Text, want.text) || r.Address != "127.0.0.1" {
			t.Errorf("%s: %+v", code, r)
		}
	}

	i := f.enrol("live", "b")
	if _, err := f.RaiseEpoch(f.ctx, f.host, "live", "something to be told"); err != nil {
		t.Fatal(err)
	}
	_ = f.speak(i, frame('h', map[string]any{"protocol": 0, "version": "ancient", "now": f.clock.Now()}))
	f.eventually("the old release is kept", func() bool { r := of("gateway-old"); return r.Version == "ancient" && r.ID == i.ID })
	_, _ = f.connect(i, nil).Tail(f.ctx, "live", feed.Position{Epoch: 9, Seq: 4711, Digest: "another history"}, 10)
	f.eventually("the fork is kept", func() bool { return strings.Contains(of("feed-forked").Text, "one of them was restored") })

	j := f.enrol("live", "c")
	_ = f.speak(j, frame('h', map[string]any{"protocol": link.Protocol, "oldest": link.Oldest, "version": "test", "now": f.clock.Now().Add(2 * time.Minute)}))
	f.eventually("the wrong clock is named", func() bool {
		for _, g := range must(f.Fleet(f.ctx, f.host))(t) {
			if strings.Contains(strings.Join(g.Trouble, ";"), "its clock differs by 2m0s") {
				return true
			}
		}
		return false
	})
}

// Publishes and revocations are told of with where they are in force; what takes nothing away is not among them.
func TestFleetChanges(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	kept, cr := w.key(a, app, "live"), w.key(a, app, "live")
	w.enforce("live")
	must(w.RevokeCredential(w.ctx, a, cr.ID, 0, "lost"))(t)
	w.clock.pass(40 * time.Millisecond)
	w.enforce("live")
	must(w.SuspendGrant(w.ctx, w.admin, g.ID, 0, "a look is needed"))(t)
	w.fed("live")
	got := must(w.FleetChanges(w.ctx, w.host))(t)
	at := func(object id.ID) control.FleetChange {
		i := slices.IndexFunc(got, func(c control.FleetChange) bool { return c.Object == object && c.Environment == "live" })
		if i < 0 {
			t.Fatalf("nothing is told of %s: %+v", object, got)
		}
		return got[i]
	}
	if c := at(cr.ID); c.State != "revoked" || c.Kind != "credential" || c.Done != 1 || c.Gateways != 1 || c.Last < 40*time.Millisecond {
		t.Errorf("the key: %+v", c)
	}
	if c := at(g.ID); c.State != "suspended" || c.Done != 0 || len(c.Waiting) != 1 {
		t.Errorf("the grant: %+v", c)
	}
	publishes := 0
	for _, c := range got {
		if c.Object == kept.ID || c.Object == app.ID {
			t.Errorf("what was not taken away is told: %+v", c)
		}
		if c.Publish && c.Environment == "live" && c.Number == 1 && c.State == "published" {
			publishes++
		}
	}
	if publishes != 1 {
		t.Errorf("%d publishes of live: %+v", publishes, got)
	}
}
