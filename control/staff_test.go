package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
)

func TestStaff(t *testing.T) {
	w := newWorld(t).staffed()
	_, err := w.AddStaff(w.ctx, w.admin, "OLGA@platform.example", "Olga", []identity.Role{identity.Operator})
	wants(t, "a second person with the address", err, fault.Conflict, "email-taken")
	_, err = w.AddStaff(w.ctx, w.admin, "x@platform.example", "X", []identity.Role{identity.Owner})
	if wrong(err) != "/roles" {
		t.Errorf("a member's role for staff: %v", err)
	}
	p := must(w.ChangeStaff(w.ctx, w.admin, w.operator.Person, 0, []identity.Role{identity.Auditor}, identity.Active))(t)
	if d := cmp.Diff([]identity.Role{identity.Auditor}, p.Roles); d != "" {
		t.Error(d)
	}
	_, err = w.ChangeStaff(w.ctx, w.admin, w.admin.Person, 0, []identity.Role{identity.Auditor}, identity.Active)
	wants(t, "the last admin gives it up", err, fault.Conflict, "last-admin")
	_, err = w.ChangeStaff(w.ctx, w.admin, w.admin.Person, 0, []identity.Role{identity.Admin}, identity.Disabled)
	wants(t, "the last admin is disabled", err, fault.Conflict, "last-admin")
	_, err = w.ChangeStaff(w.ctx, w.admin, p.ID, p.Version-1, []identity.Role{identity.Auditor}, identity.Active)
	wants(t, "an old version", err, fault.Stale, "")
	member := w.partner("First", "first@example.org")
	_, err = w.ChangeStaff(w.ctx, w.admin, member.Person, 0, []identity.Role{identity.Admin}, identity.Active)
	wants(t, "a partner's member", err, fault.NotFound, "")

	m, token, err := w.CreateMachineToken(w.ctx, w.approver, "ci", []identity.Role{identity.Approver}, w.clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if a := must(w.ByBearer(w.ctx, token, "", ""))(t); a.Class != identity.Machine || a.ID != m.ID || a.Person != w.approver.Person || !a.Has(identity.Approver) {
		t.Errorf("actor %+v", a)
	}
	must(w.ChangeStaff(w.ctx, w.admin, w.approver.Person, 0, []identity.Role{identity.Auditor}, identity.Active))(t)
	if a := must(w.ByBearer(w.ctx, token, "", ""))(t); len(a.Roles) != 0 {
		t.Errorf("a token keeps the roles %v that its person lost", a.Roles)
	}
	must(w.ChangeStaff(w.ctx, w.admin, w.approver.Person, 0, []identity.Role{identity.Approver}, identity.Disabled))(t)
	_, err = w.ByBearer(w.ctx, token, "", "")
	wants(t, "the token of a disabled person", err, fault.Unauthenticated, "")
	if n := len(must(w.Sessions(w.ctx, w.approver))(t)); n != 0 {
		t.Errorf("a disabled person has %d sessions", n)
	}
}

func TestRecoverAdmin(t *testing.T) {
	w := newWorld(t)
	link := must(w.RecoverAdmin(w.ctx, w.host, "root@platform.example", "Root"))(t)
	token, ok := strings.CutPrefix(link.Reveal(), portalURL+"/signin/link?token=")
	if !ok {
		t.Fatal("the link is not one to the sign-in page")
	}
	root := w.actor(must(w.SignInByLink(w.ctx, at("127.0.0.1"), secret.New(token), ""))(t))
	if root.Class != identity.Staff || !root.Has(identity.Admin) {
		t.Errorf("actor %+v", root)
	}
	second := w.staff("second@platform.example", identity.Admin)
	must(w.ChangeStaff(w.ctx, second, root.Person, 0, []identity.Role{identity.Auditor}, identity.Disabled))(t)
	must(w.RecoverAdmin(w.ctx, w.host, "ROOT@platform.example", "Root"))(t)
	p := must(w.Person(w.ctx, second, root.Person))(t)
	if d := cmp.Diff([]identity.Role{identity.Auditor, identity.Admin}, p.Roles); d != "" || p.State != identity.Active {
		t.Errorf("%s, %s", p.State, d)
	}
	w.partner("First", "first@example.org")
	_, err := w.RecoverAdmin(w.ctx, w.host, "first@example.org", "F")
	wants(t, "a member's address", err, fault.Conflict, "email-taken")
	if a := must(w.ByBearer(w.ctx, w.HostToken(), "", ""))(t); a.Class != identity.Host {
		t.Errorf("actor %+v", a)
	}
}

func TestMachineTokens(t *testing.T) {
	w := newWorld(t).staffed()
	a := w.partner("First", "first@example.org")
	now := w.clock.Now()
	create := func(a identity.Actor, expires time.Time, roles ...identity.Role) (identity.MachineToken, secret.Value, error) {
		return w.CreateMachineToken(w.ctx, a, "ci", roles, expires)
	}
	for name, c := range map[string]struct {
		expires time.Time
		roles   []identity.Role
		want    string
	}{
		"no roles":           {now.Add(time.Hour), nil, "/roles"},
		"a role of staff":    {now.Add(time.Hour), []identity.Role{identity.Admin}, "/roles"},
		"in the past":        {now, []identity.Role{identity.Viewer}, "/expires"},
		"longer than a year": {now.Add(367 * 24 * time.Hour), []identity.Role{identity.Viewer}, "/expires"},
	} {
		if _, _, err := create(a, c.expires, c.roles...); wrong(err) != c.want {
			t.Errorf("%s: wrong are %q, want %q", name, wrong(err), c.want)
		}
	}
	m, token, err := create(a, now.Add(time.Hour), identity.Viewer, identity.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	bearer := must(w.ByBearer(w.ctx, token, "192.0.2.1", "rq"))(t)
	if d := cmp.Diff([]identity.Role{identity.Viewer}, bearer.Roles); d != "" || bearer.Organization != a.Organization {
		t.Errorf("actor %+v %s", bearer, d)
	}
	_, _, err = create(bearer, now.Add(time.Hour), identity.Viewer)
	wants(t, "a token makes another", err, fault.Forbidden, "in-person")
	b := w.partner("Second", "second@example.org")
	_, err = w.RevokeMachineToken(w.ctx, b, m.ID)
	wants(t, "another organization's", err, fault.NotFound, "")
	_, err = w.RevokeMachineToken(w.ctx, w.auditor, m.ID)
	wants(t, "not one's own", err, fault.NotFound, "")
	if l := must(w.MachineTokens(w.ctx, b, control.Page{}))(t); len(l.Items) != 0 {
		t.Errorf("another person sees %v", l.Items)
	}
	must(w.RevokeMachineToken(w.ctx, w.admin, m.ID))(t)
	_, err = w.ByBearer(w.ctx, token, "", "")
	wants(t, "revoked", err, fault.Unauthenticated, "bad-token")
	_, err = w.RevokeMachineToken(w.ctx, a, m.ID)
	wants(t, "revoked again", err, fault.Conflict, "")
	_, second, err := create(a, w.clock.Now().Add(time.Hour), identity.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(time.Hour)
	_, err = w.ByBearer(w.ctx, second, "", "")
	wants(t, "expired", err, fault.Unauthenticated, "bad-token")
}

func TestDeviceSignIn(t *testing.T) {
	w := newWorld(t).staffed()
	d := must(w.StartDevice(w.ctx, at("192.0.2.1"), "gatehouse on build-7"))(t)
	poll := func() (identity.MachineToken, secret.Value, error) {
		return w.PollDevice(w.ctx, at("192.0.2.1"), d.DeviceCode)
	}
	_, _, err := poll()
	wants(t, "first poll", err, fault.Unavailable, "authorization-pending")
	_, _, err = poll()
	wants(t, "at once again", err, fault.Limited, "slow-down")
	w.clock.pass(d.Interval)
	_, _, err = poll()
	wants(t, "after the interval", err, fault.Unavailable, "authorization-pending")

	typed := strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " "))
	shown := must(w.Device(w.ctx, w.operator, typed))(t)
	if shown.Client != "gatehouse on build-7" || shown.UserCode != d.UserCode {
		t.Errorf("shown %+v", shown)
	}
	wants(t, "by a machine token", w.DecideDevice(w.ctx, machine(w.operator), d.UserCode, true), fault.Forbidden, "in-person")
	if err := w.DecideDevice(w.ctx, w.operator, typed, true); err != nil {
		t.Fatal(err)
	}
	wants(t, "decided again", w.DecideDevice(w.ctx, w.operator, d.UserCode, false), fault.NotFound, "")
	w.clock.pass(d.Interval)
	m, token, err := poll()
	if err != nil {
		t.Fatal(err)
	}
	a := must(w.ByBearer(w.ctx, token, "", ""))(t)
	if m.Person != w.operator.Person || m.Name != "gatehouse on build-7" || a.Person != w.operator.Person || !a.Has(identity.Operator) {
		t.Errorf("token %+v, actor %+v", m, a)
	}
	w.clock.pass(d.Interval)
	_, _, err = poll()
	wants(t, "fetched again", err, fault.Gone, "expired-token")

	denied := must(w.StartDevice(w.ctx, at("192.0.2.1"), "x"))(t)
	if err := w.DecideDevice(w.ctx, w.operator, denied.UserCode, false); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.PollDevice(w.ctx, at("192.0.2.1"), denied.DeviceCode)
	wants(t, "denied", err, fault.Forbidden, "access-denied")

	old := must(w.StartDevice(w.ctx, at("192.0.2.1"), "x"))(t)
	w.clock.pass(10 * time.Minute)
	wants(t, "allowed too late", w.DecideDevice(w.ctx, w.operator, old.UserCode, true), fault.NotFound, "")
	_, _, err = w.PollDevice(w.ctx, at("192.0.2.1"), old.DeviceCode)
	wants(t, "too late", err, fault.Gone, "expired-token")
	_, _, err = w.PollDevice(w.ctx, at("192.0.2.1"), secret.New("made up"))
	wants(t, "made up", err, fault.Gone, "expired-token")
	for range 30 {
		_, err = w.Device(w.ctx, w.auditor, "BBBB-BBBB")
	}
	wants(t, "guessing codes", err, fault.Limited, "")
}
