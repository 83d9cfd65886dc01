package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/store"
)

// acknowledged has the gateways of both environments say that they enforce everything.
func (w *world) acknowledged() {
	w.t.Helper()
	if err := w.Sequence(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range []string{"live", "test"} {
		w.enforce(e)
	}
}

func TestOffboardingIsNotDoneBeforeEveryGatewaySaysSo(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	key := w.key(a, app, "live")
	must(w.RequestAccess(w.ctx, a, ask(app, "live", "starting", "free")))(t)
	waiting := must(w.RequestAccess(w.ctx, a, ask(app, "test", "checking", "standard")))(t)
	w.acknowledged()
	_, err := w.Offboarding(w.ctx, w.auditor, a.Organization)
	wants(t, "before it began", err, fault.Conflict, "not-offboarding")
	_, err = w.OffboardOrganization(w.ctx, machine(w.operator), a.Organization, 0, "the contract ended")
	wants(t, "by a machine", err, fault.Forbidden, "in-person")
	_, err = w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, " ")
	if wrong(err) != "/reason" {
		t.Errorf("without a reason: %v", err)
	}
	o := must(w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "the contract ended"))(t)
	if o.State != organization.Offboarding || o.Live() {
		t.Errorf("organization %+v", o)
	}
	if g := must(w.Grant(w.ctx, w.auditor, g.ID))(t); g.State != grant.Ended {
		t.Errorf("grant %s", g.State)
	}
	if cr := must(w.Credential(w.ctx, w.auditor, key.ID))(t); cr.State != credential.Revoked {
		t.Errorf("credential %s", cr.State)
	}
	if r := must(w.Request(w.ctx, w.auditor, waiting.ID))(t); r.State != grant.Withdrawn {
		t.Errorf("request %s", r.State)
	}
	_, err = w.OffboardOrganization(w.ctx, w.operator, a.Organization, 0, "again")
	wants(t, "twice", err, fault.Conflict, "")
	_, err = w.ResumeOrganization(w.ctx, w.operator, a.Organization, 0, "come back")
	wants(t, "taking it back", err, fault.Conflict, "")

	tend := func() control.Offboarding {
		t.Helper()
		if err := w.Tend(w.ctx); err != nil {
			t.Fatal(err)
		}
		return must(w.Offboarding(w.ctx, w.auditor, a.Organization))(t)
	}
	if f := tend(); f.Organization.State != organization.Offboarding || !strings.Contains(strings.Join(f.Waits, "\n"), "has no number yet") {
		t.Errorf("before it is numbered it waits for %q", f.Waits)
	}
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.enforce("live") // one of two
	f := tend()
	if f.Organization.State != organization.Offboarding || len(f.Waits) != 1 || !strings.Contains(f.Waits[0], "gateway gw-test of test") {
		t.Errorf("with one gateway missing it waits for %q", f.Waits)
	}
	w.enforce("test")
	f = tend()
	if f.Organization.State != organization.Offboarded || len(f.Waits) != 0 || len(f.Ended) != 4 { // the canary is one of them
		t.Errorf("in the end: %+v", f)
	}
	if member := must(w.Offboarding(w.ctx, a, a.Organization))(t); member.Gateways[0].Receipts != nil {
		t.Error("a member sees the receipts")
	}
	// The evidence is in the log and verifies offline.
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	e := must(w.Evidence(w.ctx, w.auditor, a.Organization))(t)
	_, verifier, err := w.Checkpoint(w.ctx, w.auditor)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(e)
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
	for _, want := range []string{"organization.offboard-evidence", string(key.ID), string(g.ID), "gw-live", "gw-test", "the contract ended"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the evidence does not hold %s", want)
		}
	}
}

// A thousand credentials end in one transaction, are numbered, and their end is evidence as soon as the gateways say so. How
// long that takes is written down; the bound is ten seconds.
func TestOffboardingOfAThousandCredentials(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		for i := range 1000 {
			now := w.clock.Now().UTC()
			_, err := tx.PutCredential(w.ctx, credential.Credential{ID: id.New(id.Credential, now), Organization: a.Organization, Application: app.ID, Environment: "live",
				Kind: credential.APIKey, Name: fmt.Sprint("key ", i), PublicID: fmt.Sprint("public", i), Hash: secret.Random("x").Hash(),
				State: credential.Active, Created: now, Expires: now.Add(time.Hour)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.acknowledged()
	began := time.Now()
	must(w.OffboardOrganization(w.ctx, w.admin, a.Organization, 0, "over"))(t)
	ended := time.Since(began)
	if err := w.Sequence(w.ctx); err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"live", "test"} { // enforce reads fewer entries than there are
		err := w.store.View(w.ctx, func(tx store.Tx) error {
			head, err := tx.Head(w.ctx, e)
			if err != nil {
				return err
			}
			return w.Source().Acknowledge(w.ctx, feed.Receipt{Gateway: "gw-" + e, Environment: e, Position: head, Revision: 1, Desired: 1, At: w.clock.Now()})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	delete(w.views, "live") // it was made from those
	g := &prober{name: "gw-live", environment: "live", view: &snapshot.View{Routes: &snapshot.Routes{Environment: "live"}, Access: snapshot.NewAccess("live")}, now: w.clock.Now}
	for more := true; more; {
		es := must(w.Source().Tail(w.ctx, "live", g.at, 1000))(t)
		for _, e := range es {
			if err := g.view.Access.Apply(e); err != nil {
				t.Fatal(err)
			}
			g.at = e.Position()
		}
		more = len(es) > 0
	}
	w.probers["live"] = g
	if err := w.Tend(w.ctx); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	f := must(w.Offboarding(w.ctx, w.auditor, a.Organization))(t)
	if f.Organization.State != organization.Offboarded || len(f.Ended) != 1002 { // 1,000 credentials, a canary and a grant
		t.Errorf("%s with %d ended, waits for %q", f.Organization.State, len(f.Ended), f.Waits)
	}
	t.Logf("1,000 credentials ended in %s; with evidence in %s", ended.Round(time.Millisecond), took.Round(time.Millisecond))
}
