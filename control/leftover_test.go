package control_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
)

// Who was disabled and is let in again does not get the tokens back that they, or a thief, had made before.
func TestDisabledPeopleLoseTheirTokens(t *testing.T) {
	w := newWorld(t).staffed()
	_, token := w.machine(w.approver, identity.Approver)
	p := must(w.Person(w.ctx, w.admin, w.approver.Person))(t)
	for _, s := range []identity.State{identity.Disabled, identity.Active} {
		p = must(w.ChangeStaff(w.ctx, w.admin, p.ID, p.Version, p.Roles, s))(t)
		if _, err := w.ByBearer(w.ctx, token, "203.0.113.7", "rq"); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("%s again: the old token answers %v", s, err)
		}
	}
}

// The letter about a fresh password says that machine tokens go on.
func TestFreshPasswordTellsOfTokens(t *testing.T) {
	w := newWorld(t).staffed()
	a := w.partner("Acme", "dana@acme.example")
	reset := func() string {
		if err := w.RequestPasswordReset(w.ctx, at("203.0.113.7"), "dana@acme.example"); err != nil {
			t.Fatal(err)
		}
		if err := w.ResetPassword(w.ctx, at("203.0.113.7"), w.link("dana@acme.example", "/password/reset"), secret.New("nine purple rivers")); err != nil {
			t.Fatal(err)
		}
		w.letters("dana@acme.example") // delivers them
		for _, l := range w.box.Letters() {
			if l.To == "dana@acme.example" && strings.Contains(l.Text, "was changed on") {
				return l.Text
			}
		}
		t.Fatal("no letter tells of it")
		return ""
	}
	if text := reset(); strings.Contains(text, "/tokens") {
		t.Errorf("there are none: %s", text)
	}
	w.clock.pass(time.Minute)
	w.machine(a, identity.Viewer)
	if text := reset(); !strings.Contains(text, "go on working: 1.") || !strings.Contains(text, "/tokens") {
		t.Errorf("not told: %s", text)
	}
}

func (w *world) machine(a identity.Actor, r identity.Role) (identity.MachineToken, secret.Value) {
	w.t.Helper()
	m, token, err := w.CreateMachineToken(w.ctx, a, "build", []identity.Role{r}, w.clock.Now().Add(24*time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return m, token
}
