package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
)

// Every method that a bound role counts for refuses it at another place, and takes it at its own.
func TestABoundRoleReachesItsPlaceOnly(t *testing.T) {
	w := newWorld(t).published()
	a, b := w.verified("First", "first@example.org"), w.verified("Second", "second@example.org")
	app := w.application(a, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	cr := w.key(a, app, "live")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "test", "checking", "standard")))(t)
	rev := must(w.StartReview(w.ctx, w.operator, control.NewReview{Name: "all", Ends: w.clock.Now().Add(time.Hour)}))(t)
	item := must(w.ReviewItems(w.ctx, w.operator, control.ItemFilter{Review: rev.ID}, control.Page{}))(t).Items[0]
	o := ids{review: rev.ID, item: item.ID, org: a.Organization, app: app.ID, request: r.ID, grant: g.ID, credential: cr.ID}

	elsewhere := []identity.Role{identity.Approver.AtAPI("other"), identity.Operator.AtAPI("other"), identity.APIOwner.AtAPI("other"),
		identity.Approver.AtOrganization(b.Organization), identity.Operator.AtOrganization(b.Organization), "operator@", "admin@api:ident"}
	here := map[string]identity.Role{
		"Decide": identity.Approver.AtAPI("ident"), "AskQuestion": identity.Approver.AtAPI("ident"), "NarrowGrant": identity.APIOwner.AtAPI("ident"), "SuspendGrant": identity.APIOwner.AtAPI("ident"),
		"ResumeGrant": identity.Operator.AtOrganization(a.Organization), "EndGrant": identity.Approver.AtAPI("ident"),
		"StartReview": identity.APIOwner.AtAPI("ident"), "AnswerReview": identity.APIOwner.AtAPI("ident"),
		"VerifyOrganization": identity.Operator.AtOrganization(a.Organization), "SuspendOrganization": identity.Operator.AtOrganization(a.Organization),
		"ResumeOrganization": identity.Operator.AtOrganization(a.Organization), "OffboardOrganization": identity.Operator.AtOrganization(a.Organization), "RevokeCredential": identity.Operator.AtOrganization(a.Organization),
		"PinOrganization": identity.Operator.AtOrganization(a.Organization),
	}
	for method, call := range calls(w, o) {
		role, listed := here[method]
		if listed != slices.Contains(control.Bounded(), method) {
			t.Errorf("%s: bound roles count: %v", method, !listed)
		}
		if !listed {
			continue
		}
		wants(t, method+" elsewhere", call(with(w.approver, elsewhere...)), fault.Forbidden, "elsewhere")
		if err := call(with(w.approver, role)); fault.KindOf(err) == fault.Forbidden && fault.As(err).Code == "elsewhere" {
			t.Errorf("%s with %s: %v", method, role, err)
		}
	}
	wants(t, "a method that asks for no place", calls(w, o)["CloseApplication"](with(w.operator, identity.Operator.AtOrganization(a.Organization))), fault.Forbidden, "")
	wants(t, "an administrator's deed", calls(w, o)["AddStaff"](with(w.admin, "admin@api:ident")), fault.Forbidden, "")
	if _, err := w.Grant(w.ctx, with(w.approver, identity.Approver.AtAPI("other")), g.ID); err != nil {
		t.Errorf("looking: %v", err)
	}
}

func TestAnAPIOwnerDecidesForTheirAPIAndNotForThemselves(t *testing.T) {
	w := newWorld(t).published()
	app := w.application(w.verified("First", "first@example.org"), "app")
	r := must(w.RequestAccess(w.ctx, w.operator, ask(app, "live", "checking", "standard")))(t)
	yes := control.Answer{Approve: true}
	bound := w.staff("ann@platform.example", "approver@api:ident")
	if f := must(w.Facts(w.ctx, bound, r.ID))(t); f.MayDecide != nil {
		t.Errorf("the facts say: %v", f.MayDecide)
	}
	other := w.staff("otto@platform.example", "approver@api:other")
	if f := must(w.Facts(w.ctx, other, r.ID))(t); f.MayDecide == nil {
		t.Error("the facts let somebody of another API decide")
	}
	_, err := w.Decide(w.ctx, other, r.ID, 0, yes)
	wants(t, "another API's approver", err, fault.Forbidden, "elsewhere")
	_, err = w.Decide(w.ctx, with(w.operator, "approver@api:ident"), r.ID, 0, yes)
	if err == nil {
		t.Error("the requester decides by a bound role")
	}
	w.grantOf(must(w.Decide(w.ctx, bound, r.ID, 0, yes))(t))
}

func TestRolesThatCannotBeBoundAreRefused(t *testing.T) {
	w := newWorld(t).staffed()
	for _, r := range []identity.Role{"admin@api:x", "auditor@org:org_01jz0000000000000000000000", "approver@", "approver@api:", "approver@api:A B",
		"approver@org:nobody", "owner@api:x", "approver@api:x@org:org_01jz0000000000000000000000"} {
		_, err := w.AddStaff(w.ctx, w.admin, "new@platform.example", "New", []identity.Role{r})
		wants(t, string(r), err, fault.Invalid, "")
		if !strings.Contains(wrong(err), "/roles") {
			t.Errorf("%s: wrong is %q", r, wrong(err))
		}
	}
	must(w.AddStaff(w.ctx, w.admin, "new@platform.example", "New", []identity.Role{"approver@api:payments", identity.Auditor}))(t)
}
