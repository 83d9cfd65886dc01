package control_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/store"
)

// probers is the gateways that can be asked: those that the tests have let enforce something.
type probers map[string]*prober

func (p probers) Probers(environment string) map[string]feed.Prober {
	if g := p[environment]; g != nil {
		return map[string]feed.Prober{g.name: g}
	}
	return nil
}

// prober answers as a gateway does, by the view that the test made of the feed.
type prober struct {
	name, environment string
	at                feed.Position
	view              *snapshot.View
	now               func() time.Time
	lie               func(*feed.Answer) // changes what is said
	silent            bool
}

func (p *prober) Probe(_ context.Context, q feed.Probe) (feed.Sworn, error) {
	if p.silent || p.at.Seq < q.Seq {
		return feed.Sworn{}, fault.New(fault.Unavailable, "not there yet")
	}
	a := feed.Answer{Probe: q.ID, Gateway: p.name, Environment: p.environment, Position: p.at, At: p.now(), Seen: p.view.Probe(q.Credentials, p.now())}
	if p.lie != nil {
		p.lie(&a)
	}
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, p.name)
	return feed.Swear(a, ed25519.NewKeyFromSeed(seed))
}

// following numbers and enforces beside the test, as gateways do, until it ends.
func (w *world) following() {
	w.t.Helper()
	w.Patience(20 * time.Second)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(5 * time.Millisecond):
			}
			if err := w.Sequence(w.ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	w.t.Cleanup(func() {
		close(stop)
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// live is a prober that brings itself up to date before it answers.
type live struct {
	w           *world
	environment string
}

func (l live) Probe(ctx context.Context, q feed.Probe) (feed.Sworn, error) {
	l.w.enforce(l.environment)
	return l.w.probers[l.environment].Probe(ctx, q)
}

type liveProbers struct{ w *world }

func (p liveProbers) Probers(environment string) map[string]feed.Prober {
	return map[string]feed.Prober{"gw-" + environment: live{p.w, environment}}
}

// The end of an organization with every kind of credential: canaries are let in before it and refused after it, by the gateway's own
// word, and all of that verifies offline.
func TestOffboardingIsProven(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	key := w.key(a, app, "live")
	w.plant(a, app.ID, credential.Client, credential.Certificate, credential.Federated)
	w.acknowledged()
	w.Control.Probers = liveProbers{w}
	w.following()
	must(w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "the contract ended"))(t)
	w.Patience(0)
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"live", "test"} {
		w.enforce(e)
	}
	if err := w.Tend(w.ctx); err != nil {
		t.Fatal(err)
	}
	o := must(w.Offboarding(w.ctx, w.auditor, a.Organization))(t)
	if o.Organization.State != organization.Offboarded || len(o.Waits) > 0 || len(o.Notes) > 0 {
		t.Fatalf("%s, waits for %q, notes %q", o.Organization.State, o.Waits, o.Notes)
	}
	kinds := map[string]bool{}
	for _, k := range o.Canaries {
		kinds[k.Kind] = true
		if k.Why != "" || k.Seq == 0 {
			t.Errorf("canary %+v", k)
		}
	}
	if len(kinds) != 4 {
		t.Errorf("canaries of the kinds %v", kinds)
	}
	at := o.Gateways[0]
	if len(at.Before) != 1 || len(at.Sworn) != 1 {
		t.Fatalf("%s has sworn %d before and %d after", at.Environment, len(at.Before), len(at.Sworn))
	}
	sworn := must(at.Sworn[0].Open())(t)
	if len(sworn.Seen) != 8 {
		t.Errorf("sworn about %d credentials, want 4 real ones and 4 canaries", len(sworn.Seen))
	}
	real := false
	for _, s := range sworn.Seen {
		real = real || s.Credential == key.ID
		if s.Verdict == feed.Passes {
			t.Errorf("%s passes", s.Credential)
		}
	}
	if !real {
		t.Error("nothing is sworn about the key")
	}
	if m := must(w.Offboarding(w.ctx, a, a.Organization))(t); m.Gateways[0].Sworn != nil || m.Gateways[0].Before != nil {
		t.Error("a member sees what gateways swore")
	}

	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(must(w.Evidence(w.ctx, w.auditor, a.Organization))(t))
	if err != nil {
		t.Fatal(err)
	}
	_, verifier, err := w.Checkpoint(w.ctx, w.auditor)
	if err != nil {
		t.Fatal(err)
	}
	var back audit.Evidence
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if r := back.Verify(verifier, w.clock.Now()); !r.OK {
		t.Errorf("the evidence does not hold: %+v", r.Problems)
	}
	if text := back.Tell(); !strings.Contains(text, "gateway gw-live of live") || !strings.Contains(text, "sworn answers: 1 before the end, 1 after") {
		t.Errorf("told as %s", text)
	}
}

// plant stores credentials of the kinds.
func (w *world) plant(a identity.Actor, app id.ID, kinds ...credential.Kind) {
	w.t.Helper()
	for _, k := range kinds {
		err := w.store.Update(w.ctx, func(tx store.Tx) error {
			now := w.clock.Now().UTC().Truncate(time.Microsecond)
			c := credential.Credential{ID: id.New(id.Credential, now), Organization: a.Organization, Application: app, Environment: "live", Kind: k, Name: string(k),
				PublicID: string(k), Hash: secret.Random("x").Hash(), State: credential.Active, Created: now, Expires: now.Add(24 * time.Hour)}
			if k == credential.Client {
				c.OAuth = &credential.OAuth{Method: credential.ClientSecret}
			}
			if k == credential.Federated {
				c.Workload = &credential.Workload{Issuer: "https://issuer.example", Audience: "https://gateway.test", Subject: "job"}
			}
			c, err := tx.PutCredential(w.ctx, c)
			if err != nil {
				return err
			}
			mark := c.Mark()
			b, err := json.Marshal(feed.Credential{ID: c.ID, Application: app, Kind: string(k), PublicID: c.PublicID, Hash: mark[:], Expires: c.Expires, Live: true})
			if err != nil {
				return err
			}
			return tx.AppendChange(w.ctx, feed.Change{Environment: "live", Kind: feed.KindCredential, Key: string(c.ID), Version: c.Version, Payload: b, Committed: now})
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// A gateway that says nothing, lies, or cannot sign keeps the run from being done; the run says so.
func TestOffboardingWaitsForAnOath(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	key := w.key(a, app, "live")
	w.acknowledged()
	must(w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "the contract ended"))(t)
	w.acknowledged()
	g := w.probers["live"]
	state := func() control.Offboarding {
		t.Helper()
		if err := w.Tend(w.ctx); err != nil {
			t.Fatal(err)
		}
		return must(w.Offboarding(w.ctx, w.auditor, a.Organization))(t)
	}
	for name, c := range map[string]struct {
		change func()
		want   string
	}{
		"silent":               {func() { g.silent = true }, "not there yet"},
		"another credential":   {func() { g.lie = func(a *feed.Answer) { a.Seen[0].Credential = "crd_00000000000000000000000000" } }, "not " + string(key.ID)},
		"one left out":         {func() { g.lie = func(a *feed.Answer) { a.Seen = a.Seen[1:] } }, "about 1 credentials"},
		"one that passes":      {func() { g.lie = func(a *feed.Answer) { a.Seen[0].Verdict = feed.Passes } }, "is passes"},
		"in the other's name":  {func() { g.lie = func(a *feed.Answer) { a.Gateway = "gw-test" } }, "is of the gateway gw-test"},
		"an answer of before":  {func() { g.lie = func(a *feed.Answer) { a.Position.Seq = 1 } }, "with change 1 in force"},
		"to another probe":     {func() { g.lie = func(a *feed.Answer) { a.Probe = "off_00000000000000000000000000" } }, "answers another probe"},
		"it cannot be reached": {func() { delete(w.probers, "live") }, "is not connected here"},
	} {
		g.silent, g.lie = false, nil
		w.probers["live"] = g
		c.change()
		o := state()
		if o.Organization.State != organization.Offboarding || len(o.Waits) != 1 || !strings.Contains(o.Waits[0], "gateway gw-live of live has not sworn yet that it refuses 2 credentials") || !strings.Contains(o.Waits[0], c.want) {
			t.Errorf("%s: %s, waits for %q, want %q", name, o.Organization.State, o.Waits, c.want)
		}
	}
	g.silent, g.lie = false, nil
	w.probers["live"] = g
	o := state()
	if o.Organization.State != organization.Offboarded {
		t.Errorf("in the end it waits for %q", o.Waits)
	}
	// Nothing was numbered while the organization still counted, so no gateway let the canary in: that is said.
	if len(o.Notes) != 1 || !strings.Contains(o.Notes[0], "live/gw-live did not show before the end") {
		t.Errorf("notes %q", o.Notes)
	}
}

// Where no gateway serves, the run says so; and of a suspended organization no canary can be let in, which is said too.
func TestOffboardingWhereNobodyServes(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	w.key(a, app, "live")
	must(w.SuspendOrganization(w.ctx, w.operator, a.Organization, 0, "at once"))(t)
	must(w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "the contract ended"))(t)
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Tend(w.ctx); err != nil {
		t.Fatal(err)
	}
	o := must(w.Offboarding(w.ctx, w.auditor, a.Organization))(t)
	if o.Organization.State != organization.Offboarded || !o.Gateways[0].Unserved {
		t.Errorf("%s, waits for %q", o.Organization.State, o.Waits)
	}
	notes := strings.Join(o.Notes, "\n")
	for _, want := range []string{"no gateway serves live", "it was suspended"} {
		if !strings.Contains(notes, want) {
			t.Errorf("it does not say %q: %s", want, notes)
		}
	}
}

// Sessions, machine tokens and open invitations of the members end with the organization; the people stay and can look.
func TestOffboardingEndsSessionsAndTokens(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	in := must(w.SignIn(w.ctx, at("198.51.100.1"), "first@example.org", secret.New(password), "test"))(t)
	_, token := w.machine(a, identity.Viewer)
	link := w.invite(a, "", "ingo@example.org", identity.Viewer)
	other := w.partner("Second", "second@example.org")
	_, theirs := w.machine(other, identity.Viewer)
	must(w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "the contract ended"))(t)
	if _, err := w.BySession(w.ctx, in.Token, "203.0.113.7", "rq"); err == nil {
		t.Error("a session goes on")
	}
	if _, err := w.ByBearer(w.ctx, token, "203.0.113.7", "rq"); err == nil {
		t.Error("a machine token goes on")
	}
	if _, err := w.AcceptInvitation(w.ctx, at("203.0.113.7"), link, "Ingo", secret.New(password)); err == nil {
		t.Error("an invitation goes on")
	}
	if _, err := w.ByBearer(w.ctx, theirs, "203.0.113.7", "rq"); err != nil {
		t.Errorf("another organization's token: %v", err)
	}
	must(w.SignIn(w.ctx, at("198.51.100.1"), "first@example.org", secret.New(password), "test"))(t)
}
