package control_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// invite invites and returns the token of the letter.
func (w *world) invite(a identity.Actor, org id.ID, email string, roles ...identity.Role) secret.Value {
	w.t.Helper()
	must(w.Invite(w.ctx, a, control.NewInvitation{Organization: org, Email: email, Roles: roles}))(w.t)
	return w.link(email, "/invitation")
}

// member is a member of the actor's organization, invited and signed in.
func (w *world) member(a identity.Actor, email string, roles ...identity.Role) identity.Actor {
	w.t.Helper()
	must(w.AcceptInvitation(w.ctx, at("203.0.113.7"), w.invite(a, "", email, roles...), "Person "+email, secret.New(password)))(w.t)
	return w.actor(must(w.SignIn(w.ctx, at("203.0.113.7"), email, secret.New(password), "test"))(w.t))
}

func TestInvitationOfAMember(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	token := w.invite(ines, "", "dora@example.org", identity.Developer)
	seen := must(w.SeeInvitation(w.ctx, at(""), token))(t)
	if seen.To != "First" || seen.Email != "dora@example.org" {
		t.Errorf("the invitation shows %+v", seen)
	}
	p := must(w.AcceptInvitation(w.ctx, at(""), token, "Dora", secret.New(password)))(t)
	if p.Organization != ines.Organization || p.Class != identity.Member || !slices.Equal(p.Roles, []identity.Role{identity.Developer}) || p.State != identity.Active {
		t.Errorf("became %+v", p)
	}
	if got := w.letters("ines@example.org"); !slices.Contains(got, "Your invitation was accepted") {
		t.Errorf("the inviter got %v", got)
	}
	_, err := w.AcceptInvitation(w.ctx, at(""), token, "Dora", secret.New(password))
	wants(t, "the link again", err, fault.Gone, "link-over")
	_, err = w.SeeInvitation(w.ctx, at(""), token)
	wants(t, "the used link", err, fault.Gone, "link-over")
	must(w.SignIn(w.ctx, at("203.0.113.7"), "dora@example.org", secret.New(password), "test"))(t)
}

func TestNobodyInvitesAboveTheirOwnRole(t *testing.T) {
	w := newWorld(t).staffed()
	ines, other := w.verified("First", "ines@example.org"), w.verified("Second", "rolf@example.org")
	dora := w.member(ines, "dora@example.org", identity.Developer)
	for _, c := range []struct {
		name string
		a    identity.Actor
		org  id.ID
		role identity.Role
		kind fault.Kind
	}{
		{"a developer an owner", dora, "", identity.Owner, fault.Forbidden},
		{"a viewer anybody", with(dora, identity.Viewer), "", identity.Viewer, fault.Forbidden},
		{"an owner staff", ines, "", identity.Admin, fault.Invalid},
		{"an owner to another organization", ines, other.Organization, identity.Viewer, fault.NotFound},
		{"an operator staff", w.operator, "", identity.Approver, fault.Forbidden},
		{"an approver staff", w.approver, "", identity.Approver, fault.Forbidden},
		{"an approver to a partner", w.approver, ines.Organization, identity.Owner, fault.Forbidden},
		{"a machine of a developer an owner", machine(dora), "", identity.Owner, fault.Forbidden},
		{"an admin an owner to staff", w.admin, "", identity.Owner, fault.Invalid},
	} {
		_, err := w.Invite(w.ctx, c.a, control.NewInvitation{Organization: c.org, Email: "new@example.org", Roles: []identity.Role{c.role}})
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	w.invite(dora, "", "vera@example.org", identity.Viewer)
	w.invite(w.operator, ines.Organization, "olaf@example.org", identity.Owner) // how an organization without reachable owner gets one
	w.invite(w.admin, "", "new@platform.example", identity.Auditor, "approver@api:ident")
}

func TestAnInvitationThatNoLongerCounts(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	olaf := w.member(ines, "olaf@example.org", identity.Owner)
	accept := func(token secret.Value) error {
		_, err := w.AcceptInvitation(w.ctx, at(""), token, "Dora", secret.New(password))
		return err
	}
	first := w.invite(ines, "", "dora@example.org", identity.Developer)
	second := w.invite(ines, "", "dora@example.org", identity.Viewer)
	wants(t, "one that another one replaced", accept(first), fault.Gone, "link-over")
	open := must(w.Invitations(w.ctx, ines, "", control.Page{}))(t).Items
	must(w.WithdrawInvitation(w.ctx, ines, open[len(open)-1].ID))(t)
	wants(t, "a withdrawn one", accept(second), fault.Gone, "link-over")
	_, err := w.WithdrawInvitation(w.ctx, ines, open[len(open)-1].ID)
	wants(t, "withdrawn twice", err, fault.Conflict, "")

	third := w.invite(olaf, "", "dora@example.org", identity.Owner)
	must(w.ChangeMember(w.ctx, ines, olaf.Person, 0, []identity.Role{identity.Developer}, identity.Active, ""))(t)
	wants(t, "one whose inviter lost the role", accept(third), fault.Gone, "link-over")
	fourth := w.invite(ines, "", "dora@example.org", identity.Viewer)
	must(w.SuspendOrganization(w.ctx, w.operator, ines.Organization, 0, "odd"))(t)
	wants(t, "one to a suspended organization", accept(fourth), fault.Gone, "link-over")
	_, err = w.Invite(w.ctx, ines, control.NewInvitation{Email: "dora@example.org", Roles: []identity.Role{identity.Viewer}})
	wants(t, "inviting to a suspended organization", err, fault.Conflict, "")
	must(w.ResumeOrganization(w.ctx, w.operator, ines.Organization, 0, "fine"))(t)
	w.clock.pass(7*24*time.Hour + time.Minute)
	wants(t, "an expired one", accept(fourth), fault.Gone, "link-over")
	wants(t, "a made up one", accept(secret.New("ghi_nothing")), fault.Gone, "link-over")
}

// Two tabs: of two who accept at the same moment, one becomes somebody.
func TestAnInvitationIsUsedOnce(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	token := w.invite(ines, "", "dora@example.org", identity.Developer)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 4 {
		wg.Go(func() {
			if _, err := w.AcceptInvitation(w.ctx, at(""), token, "Dora", secret.New(password)); err == nil {
				mu.Lock()
				done++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if done != 1 {
		t.Errorf("%d became somebody by one invitation", done)
	}
}

func TestWhoIsRegisteredIsNotToldByAnInvitation(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.partner("First & Sons", "ines@example.org")
	w.partner("Second", "rolf@example.org")
	for _, email := range []string{"rolf@example.org", "nobody@example.org"} {
		must(w.Invite(w.ctx, ines, control.NewInvitation{Email: email, Roles: []identity.Role{identity.Viewer}}))(t)
	}
	if got := w.letters("rolf@example.org"); got[len(got)-1] != "You are invited, and registered already" {
		t.Errorf("they got %v", got)
	}
	for _, l := range w.box.Letters() {
		if strings.Contains(l.Text, "First & Sons") {
			t.Errorf("a letter to %s names an organization that nobody has verified", l.To)
		}
	}
	_, err := w.Invite(w.ctx, ines, control.NewInvitation{Email: "INES@example.org", Roles: []identity.Role{identity.Viewer}})
	wants(t, "somebody of their own", err, fault.Conflict, "email-taken")
}

// Nothing is ever without an owner.
func TestNothingIsEverWithoutAnOwner(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	rolf := w.verified("Second", "rolf@example.org")
	dora := w.member(ines, "dora@example.org", identity.Developer)
	vera := w.member(ines, "vera@example.org", identity.Viewer)
	app := w.application(ines, "shop")
	doras := w.application(dora, "till")
	change := func(a identity.Actor, i id.ID, s identity.State, successor id.ID, roles ...identity.Role) error {
		_, err := w.ChangeMember(w.ctx, a, i, 0, roles, s, successor)
		return err
	}
	wants(t, "the last owner gives it up", change(ines, ines.Person, identity.Active, "", identity.Viewer), fault.Conflict, "last-owner")
	wants(t, "the last owner is disabled", change(w.admin, ines.Person, identity.Disabled, dora.Person, identity.Owner), fault.Conflict, "last-owner")
	wants(t, "the last owner leaves", w.Leave(w.ctx, ines, ""), fault.Conflict, "successor-needed")
	wants(t, "to a viewer, who cannot answer for an application", w.Leave(w.ctx, dora, vera.Person), fault.Invalid, "")
	wants(t, "to somebody of another organization", w.Leave(w.ctx, ines, rolf.Person), fault.Invalid, "")
	wants(t, "to oneself", w.Leave(w.ctx, ines, ines.Person), fault.Invalid, "")
	wants(t, "a developer disables", change(dora, vera.Person, identity.Disabled, "", identity.Viewer), fault.Forbidden, "")
	wants(t, "another organization's owner", change(rolf, vera.Person, identity.Disabled, "", identity.Viewer), fault.NotFound, "")
	wants(t, "who owns something, without a successor", change(ines, dora.Person, identity.Disabled, "", identity.Developer), fault.Conflict, "successor-needed")
	if got := must(w.Application(w.ctx, ines, app.ID))(t); got.Owner != ines.Person || got.Version != app.Version {
		t.Errorf("a refused departure changed the application: %+v", got)
	}
	if a := must(w.Person(w.ctx, ines, ines.Person))(t); a.State != identity.Active {
		t.Errorf("a refused departure left %s", a.State)
	}

	_, token, err := w.CreateMachineToken(w.ctx, dora, "ci", []identity.Role{identity.Developer}, w.clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Leave(w.ctx, ines, dora.Person); err != nil {
		t.Fatal(err)
	}
	p := must(w.Person(w.ctx, dora, dora.Person))(t)
	if !slices.Contains(p.Roles, identity.Owner) {
		t.Errorf("the last owner's successor has the roles %v", p.Roles)
	}
	if got := must(w.Application(w.ctx, w.admin, app.ID))(t); got.Owner != dora.Person {
		t.Errorf("the application belongs to %s", got.Owner)
	}
	_, err = w.SignIn(w.ctx, at("203.0.113.9"), "ines@example.org", secret.New(password), "")
	wants(t, "who has left signs in", err, fault.Unauthenticated, "wrong-password")
	if got := w.letters("dora@example.org"); !slices.Contains(got, "You answer for more applications") {
		t.Errorf("the successor got %v", got)
	}
	vera = w.actor(must(w.SignIn(w.ctx, at("203.0.113.9"), "vera@example.org", secret.New(password), ""))(t))
	if err := w.Leave(w.ctx, vera, ""); err != nil {
		t.Errorf("who owns nothing: %v", err)
	}
	wants(t, "the only one left", w.Leave(w.ctx, with(dora, identity.Owner), ""), fault.Conflict, "successor-needed")
	if a := must(w.ByBearer(w.ctx, token, "", ""))(t); a.Person != dora.Person {
		t.Error("the successor's token ended")
	}
	_ = doras
}

// Two owners who leave each other at the same moment: one stays.
func TestTwoOwnersLeaveAtOnce(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	olaf := w.member(ines, "olaf@example.org", identity.Owner)
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, a := range []identity.Actor{ines, olaf} {
		wg.Go(func() { errs[i] = w.Leave(w.ctx, a, "") })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("both or neither left: %v, %v", errs[0], errs[1])
	}
}
