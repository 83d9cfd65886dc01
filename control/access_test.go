package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

func TestApplications(t *testing.T) {
	w := newWorld(t).staffed()
	a := w.partner("First", "first@example.org") // registered: may prepare
	n := control.NewApplication{Name: "  Kassen-App 検査 ", Purpose: "line\r\nline", Once: "form-1"}
	app := must(w.CreateApplication(w.ctx, a, n))(t)
	if app.Name != "Kassen-App 検査" || app.Purpose != "line\nline" || app.Owner != a.Person || app.CreatedBy != a.Person || app.Version != 1 {
		t.Errorf("application %+v", app)
	}
	if again := must(w.CreateApplication(w.ctx, a, n))(t); again.ID != app.ID {
		t.Error("the same form made a second one")
	}
	n.Once = "form-2"
	_, err := w.CreateApplication(w.ctx, a, n)
	wants(t, "the same name", err, fault.Conflict, "name-taken")
	_, err = w.CreateApplication(w.ctx, a, control.NewApplication{Name: strings.Repeat("n", 121), Once: "a b"})
	if got := wrong(err); got != "/name /purpose /once" {
		t.Errorf("wrong are %q", got)
	}
	b := w.partner("Second", "second@example.org")
	_, err = w.CreateApplication(w.ctx, a, control.NewApplication{Name: "x", Purpose: "p", Owner: b.Person})
	if wrong(err) != "/owner" {
		t.Errorf("another organization's owner: %v", err)
	}
	_, err = w.CreateApplication(w.ctx, w.operator, control.NewApplication{Name: "x", Purpose: "p", Owner: a.Person})
	if wrong(err) != "/organization" {
		t.Errorf("staff without an organization: %v", err)
	}
	must(w.CreateApplication(w.ctx, w.operator, control.NewApplication{Organization: a.Organization, Name: "by staff", Purpose: "p", Owner: a.Person}))(t)

	up := must(w.UpdateApplication(w.ctx, a, app.ID, 1, control.NewApplication{Purpose: "another"}))(t)
	if up.Name != app.Name || up.Purpose != "another" || up.Version != 2 {
		t.Errorf("updated %+v", up)
	}
	_, err = w.UpdateApplication(w.ctx, a, app.ID, 1, control.NewApplication{Purpose: "stale"})
	wants(t, "an old version", err, fault.Stale, "")
	_, err = w.CloseApplication(w.ctx, a, app.ID, 0, " ")
	if wrong(err) != "/reason" {
		t.Errorf("closing without a reason: %v", err)
	}
	must(w.CloseApplication(w.ctx, a, app.ID, 2, "done"))(t)
	_, err = w.UpdateApplication(w.ctx, a, app.ID, 0, control.NewApplication{Purpose: "late"})
	wants(t, "changing a closed one", err, fault.Conflict, "application-closed")
	if l := must(w.Applications(w.ctx, a, "", control.Page{}))(t); len(l.Items) != 2 {
		t.Errorf("%d applications, want 2", len(l.Items))
	}
}

func TestListsPage(t *testing.T) {
	w := newWorld(t).staffed()
	a := w.partner("First", "first@example.org")
	var want, got []id.ID
	for i := range 7 {
		want = append(want, w.application(a, "app "+string(rune('a'+i))).ID)
	}
	p := control.Page{Limit: 3}
	for pages := 0; ; pages++ {
		l := must(w.Applications(w.ctx, a, "", p))(t)
		for _, app := range l.Items {
			got = append(got, app.ID)
		}
		if l.Next == "" {
			if pages != 2 {
				t.Errorf("%d pages, want 3", pages+1)
			}
			break
		}
		p.After = l.Next
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	_, err := w.Applications(w.ctx, a, "", control.Page{After: "' OR 1=1"})
	if wrong(err) != "/after" {
		t.Errorf("nonsense: %v", err)
	}
}

func TestAutomaticPlan(t *testing.T) {
	w := newWorld(t).published()
	a := w.partner("First", "first@example.org")
	app := w.application(a, "app")
	q := ask(app, "live", "reading", "free")
	_, err := w.RequestAccess(w.ctx, a, q)
	wants(t, "before verification", err, fault.Conflict, "organization-not-verified")
	must(w.VerifyOrganization(w.ctx, w.operator, a.Organization, 0, ""))(t)
	q.Once = "f"
	r := must(w.RequestAccess(w.ctx, a, q))(t)
	g := w.grantOf(r)
	if len(r.Decisions) != 1 || r.Decisions[0].By != grant.ByPlan || len(g.ApprovedBy) != 0 {
		t.Errorf("decisions %+v, approved by %v", r.Decisions, g.ApprovedBy)
	}
	if d := cmp.Diff([]string{"checks:read"}, g.Scopes); d != "" || g.Until.Sub(g.From) != 90*24*time.Hour || g.Purpose != q.Purpose {
		t.Errorf("grant %+v %s", g, d)
	}
	if again := must(w.RequestAccess(w.ctx, a, q))(t); again.ID != r.ID {
		t.Error("the same form asked twice")
	}
	q.Once = ""
	_, err = w.RequestAccess(w.ctx, a, q)
	wants(t, "a second grant for the product", err, fault.Conflict, "grant-standing")
	if got := w.letters(a.Email); got[len(got)-1] != "Your access request was approved" {
		t.Errorf("letters %v", got)
	}
	w.clock.pass(91 * 24 * time.Hour)
	w.grantOf(must(w.RequestAccess(w.ctx, a, q))(t)) // the first has expired by itself
}

func TestRequestSaysEverythingThatIsWrong(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	for name, c := range map[string]struct {
		change func(*control.AccessRequest)
		want   string
	}{
		"purpose and environment": {func(q *control.AccessRequest) { q.Purpose, q.Environment = "", "staging" }, "/purpose /environment"},
		"product":                 {func(q *control.AccessRequest) { q.Product = "none" }, "/product"},
		"plan":                    {func(q *control.AccessRequest) { q.Plan = "tried" }, "/plan"}, // only in test
		"scopes and duration": {func(q *control.AccessRequest) {
			q.Scopes, q.Duration = []string{"checks:read", "admin:all", "checks:read"}, 366*24*time.Hour
		}, "/scopes/1 /scopes/2 /duration"},
		"a negative duration": {func(q *control.AccessRequest) { q.Duration = -time.Hour }, "/duration"},
		"huge":                {func(q *control.AccessRequest) { q.Purpose = strings.Repeat("p", 1<<20) }, "/purpose"},
	} {
		q := ask(app, "live", "checking", "standard")
		c.change(&q)
		_, err := w.RequestAccess(w.ctx, a, q)
		if got := wrong(err); got != c.want {
			t.Errorf("%s: wrong are %q, want %q (%v)", name, got, c.want, err)
		}
	}
	must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "standard")))(t)
	_, err := w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "big"))
	wants(t, "a second open one", err, fault.Conflict, "request-open")
	must(w.RequestAccess(w.ctx, a, ask(app, "test", "checking", "tried")))(t)
}

func TestIssueKey(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	n := control.NewKey{Application: app.ID, Environment: "live", Name: "laptop"}
	_, _, err := w.IssueKey(w.ctx, a, n)
	wants(t, "without a grant", err, fault.Conflict, "no-grant")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	inTest := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "test", "reading", "free")))(t))
	other := w.application(a, "other")
	others := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(other, "live", "reading", "free")))(t))

	for name, c := range map[string]struct {
		change func(*control.NewKey)
		want   string
	}{
		"no name":                     {func(n *control.NewKey) { n.Name = "" }, "/name"},
		"longer than the plan":        {func(n *control.NewKey) { n.Lifetime = 31 * 24 * time.Hour }, "/lifetime"},
		"negative":                    {func(n *control.NewKey) { n.Lifetime = -1 }, "/lifetime"},
		"another environment's grant": {func(n *control.NewKey) { n.Grants = []id.ID{inTest.ID} }, "/grants/0"},
		"another application's grant": {func(n *control.NewKey) { n.Grants = []id.ID{others.ID} }, "/grants/0"},
		"twice":                       {func(n *control.NewKey) { n.Grants = []id.ID{g.ID, g.ID} }, "/grants/1"},
		"no such environment":         {func(n *control.NewKey) { n.Environment = "staging" }, "/environment"},
	} {
		m := n
		c.change(&m)
		_, _, err := w.IssueKey(w.ctx, a, m)
		if got := wrong(err); got != c.want {
			t.Errorf("%s: wrong are %q, want %q (%v)", name, got, c.want, err)
		}
	}
	n.Once = "form"
	cr, key, err := w.IssueKey(w.ctx, a, n)
	if err != nil {
		t.Fatal(err)
	}
	parsed, ok := credential.ParseKey([]byte(key.Reveal()))
	if !ok || string(parsed.Environment) != "live" || string(parsed.Public) != cr.PublicID || !parsed.Hash().Matches(cr.Hash) {
		t.Error("the key is not the credential's")
	}
	if cr.Expires.Sub(cr.Created) != 30*24*time.Hour {
		t.Errorf("it lives %s, want the plan's 30 days", cr.Expires.Sub(cr.Created))
	}
	again, none, err := w.IssueKey(w.ctx, a, n)
	wants(t, "the same form", err, fault.Conflict, "already-issued")
	if !none.Empty() || again.ID != "" {
		t.Error("the same form told a key again")
	}
	if l := must(w.Credentials(w.ctx, a, "", app.ID, control.Page{}))(t); len(l.Items) != 1 {
		t.Errorf("%d credentials, want 1", len(l.Items))
	}
	must(w.RevokeCredential(w.ctx, a, cr.ID, cr.Version, "lost"))(t)
	_, err = w.RevokeCredential(w.ctx, a, cr.ID, 0, "again")
	wants(t, "revoking again", err, fault.Conflict, "")
	must(w.SuspendGrant(w.ctx, w.operator, g.ID, 0, "looked into"))(t)
	n.Once = ""
	_, _, err = w.IssueKey(w.ctx, a, n)
	wants(t, "while the grant is suspended", err, fault.Conflict, "no-grant")
}

func TestGrantsTurn(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	standing := func(word string) []id.ID {
		out := []id.ID{}
		for _, g := range must(w.Grants(w.ctx, a, grant.Filter{State: word}, control.Page{}))(t).Items {
			out = append(out, g.ID)
		}
		return out
	}
	only := func(word string) {
		t.Helper()
		for _, s := range []string{"upcoming", "active", "suspended", "expired", "ended"} {
			if got := len(standing(s)) == 1; got != (s == word) {
				t.Errorf("listed as %s: %v, while it is %s", s, got, word)
			}
		}
	}
	only("active")
	_, err := w.SuspendGrant(w.ctx, a, g.ID, 0, "x")
	wants(t, "suspended by a member", err, fault.Forbidden, "")
	_, err = w.SuspendGrant(w.ctx, w.approver, g.ID, g.Version+1, "x")
	wants(t, "another version", err, fault.Stale, "")
	g = must(w.SuspendGrant(w.ctx, w.approver, g.ID, g.Version, "looked into"))(t)
	only("suspended")
	g = must(w.ResumeGrant(w.ctx, w.approver, g.ID, g.Version, "fine"))(t)
	only("active")
	w.clock.pass(90 * 24 * time.Hour)
	only("expired")
	_, err = w.SuspendGrant(w.ctx, w.approver, g.ID, 0, "x")
	wants(t, "suspending an expired one", err, fault.Conflict, "")
	g = w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	must(w.EndGrant(w.ctx, with(a, identity.Developer), g.ID, 0, "no longer needed"))(t)
	if got := standing("ended"); len(got) != 1 || got[0] != g.ID {
		t.Errorf("ended are %v", got)
	}
	_, err = w.Grants(w.ctx, a, grant.Filter{State: "live"}, control.Page{})
	if wrong(err) != "/state" {
		t.Errorf("an unknown state: %v", err)
	}
}

func TestCloseApplicationEndsAllItHas(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	cr := w.key(a, app, "live")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "test", "checking", "standard")))(t)
	closed := must(w.CloseApplication(w.ctx, a, app.ID, app.Version, "the project is over"))(t)
	g, cr, r = must(w.Grant(w.ctx, a, g.ID))(t), must(w.Credential(w.ctx, a, cr.ID))(t), must(w.Request(w.ctx, a, r.ID))(t)
	if closed.State != application.Closed || g.State != grant.Ended || cr.State != credential.Revoked || r.State != grant.Withdrawn {
		t.Errorf("application %s, grant %s, credential %s, request %s", closed.State, g.State, cr.State, r.State)
	}
	_, err := w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true})
	wants(t, "deciding afterwards", err, fault.Conflict, "already-decided")
	_, err = w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free"))
	wants(t, "asking afterwards", err, fault.Conflict, "application-closed")
}

func TestSuspendedOrganizationGetsNothing(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	r := must(w.RequestAccess(w.ctx, a, ask(app, "test", "checking", "standard")))(t)
	must(w.SuspendOrganization(w.ctx, w.operator, a.Organization, 0, "invoice unpaid"))(t)
	_, err := w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true})
	wants(t, "approving", err, fault.Conflict, "organization-not-live")
	_, _, err = w.IssueKey(w.ctx, a, control.NewKey{Application: app.ID, Environment: "live", Name: "k"})
	wants(t, "a key", err, fault.Conflict, "organization-not-live")
	_, err = w.CreateApplication(w.ctx, a, control.NewApplication{Name: "x", Purpose: "p"})
	wants(t, "an application", err, fault.Conflict, "organization-not-live")
	must(w.ResumeOrganization(w.ctx, w.admin, a.Organization, 0, "paid"))(t)
	must(w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true}))(t)
	if got := w.letters(a.Email); !strings.Contains(strings.Join(got, "; "), "Your organization was suspended; Your organization was resumed") {
		t.Errorf("letters %v", got)
	}
}
