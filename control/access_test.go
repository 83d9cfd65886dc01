package control_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
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

func TestDecideTwoStages(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "big")))(t)
	yes := control.Answer{Approve: true}

	_, err := w.Decide(w.ctx, w.operator, r.ID, 0, yes)
	wants(t, "the second stage's role first", err, fault.Forbidden, "role-missing")
	_, err = w.Decide(w.ctx, a, r.ID, 0, yes)
	wants(t, "a member", err, fault.Forbidden, "")
	_, err = w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true, Scopes: []string{"admin:all"}, Until: w.clock.Now().Add(1000 * 24 * time.Hour)})
	if got := wrong(err); got != "/until" && got != "/scopes/0 /until" {
		t.Errorf("more than was asked: %v", err)
	}
	_, err = w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{})
	if wrong(err) != "/reason" {
		t.Errorf("refusing without a reason: %v", err)
	}
	first := must(w.Decide(w.ctx, w.approver, r.ID, r.Version, control.Answer{Approve: true, Scopes: []string{"checks:read"}}))(t)
	if first.State != grant.Open || first.Grant != "" || !first.Decisions[0].Until.IsZero() {
		t.Errorf("after the first stage %+v", first)
	}
	_, err = w.Decide(w.ctx, w.approver, r.ID, 0, yes)
	wants(t, "the same person again", err, fault.Forbidden, "decided-before")
	f := must(w.Facts(w.ctx, w.operator, r.ID))(t)
	if f.MayDecide != nil || f.Organization.ID != a.Organization || f.Requester.ID != a.Person || len(f.Operations) != 1 || f.Operations[0].ID != "listChecks" {
		t.Errorf("facts: may decide %v, operations %v", f.MayDecide, f.Operations)
	}
	if f := must(w.Facts(w.ctx, w.auditor, r.ID))(t); !errors.Is(f.MayDecide, fault.Forbidden) {
		t.Errorf("an auditor may decide: %v", f.MayDecide)
	}
	w.clock.pass(10 * 24 * time.Hour) // the time runs from the last decision
	done := must(w.Decide(w.ctx, w.operator, r.ID, first.Version, yes))(t)
	g := w.grantOf(done)
	if d := cmp.Diff([]id.ID{w.approver.Person, w.operator.Person}, g.ApprovedBy); d != "" {
		t.Error(d)
	}
	if g.Until.Sub(g.From) != 180*24*time.Hour || len(g.Scopes) != 1 {
		t.Errorf("grant %+v", g)
	}
	_, err = w.Decide(w.ctx, w.admin, r.ID, 0, yes)
	wants(t, "decided already", err, fault.Conflict, "already-decided")
}

func TestNobodyDecidesOnTheirOwnRequest(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	r := must(w.RequestAccess(w.ctx, w.admin, ask(app, "live", "checking", "standard")))(t)
	_, err := w.Decide(w.ctx, w.admin, r.ID, 0, control.Answer{Approve: true})
	wants(t, "by oneself", err, fault.Forbidden, "own-request")
	_, err = w.Decide(w.ctx, machine(w.admin), r.ID, 0, control.Answer{Approve: true})
	wants(t, "by one's own machine token", err, fault.Forbidden, "own-request")
	must(w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true}))(t)
}

func TestRefusalTellsWhy(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	r := must(w.RequestAccess(w.ctx, a, ask(w.application(a, "app"), "live", "checking", "standard")))(t)
	r = must(w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Reason: "The purpose is not clear."}))(t)
	if r.State != grant.Refused || r.Grant != "" {
		t.Errorf("request %+v", r)
	}
	if err := w.Deliver(w.ctx); err != nil {
		t.Fatal(err)
	}
	if l := w.box.Letters()[0]; l.To != a.Email || !strings.Contains(l.Text, "The purpose is not clear.") || !strings.Contains(l.Text, portalURL+"/requests/"+string(r.ID)) {
		t.Errorf("letter %+v", l)
	}
}

func TestTwoApproversAtTheSameMoment(t *testing.T) {
	w := newWorld(t).published()
	second := w.staff("petra@platform.example", identity.Approver)
	a := w.verified("First", "first@example.org")
	for i := range 10 {
		app := w.application(a, "app "+string(rune('a'+i)))
		r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "standard")))(t)
		answers := []control.Answer{{Approve: true}, {Reason: "no"}}
		errs := make([]error, 2)
		var start, done sync.WaitGroup
		start.Add(1)
		for n, who := range []identity.Actor{w.approver, second} {
			done.Go(func() {
				start.Wait()
				_, errs[n] = w.Decide(w.ctx, who, r.ID, r.Version, answers[n])
			})
		}
		start.Done()
		done.Wait()
		won, lost := errs[0], errs[1]
		if won != nil {
			won, lost = lost, won
		}
		if won != nil || !errors.Is(lost, fault.Stale) {
			t.Fatalf("one is told %v and the other %v, want nothing and %s", won, lost, fault.Stale)
		}
		r = must(w.Request(w.ctx, a, r.ID))(t)
		gs := must(w.Grants(w.ctx, a, grant.Filter{Application: app.ID}, control.Page{}))(t).Items
		if len(r.Decisions) != 1 || (r.State == grant.Approved) != (len(gs) == 1) {
			t.Fatalf("request %s with %d decisions, and %d grants", r.State, len(r.Decisions), len(gs))
		}
	}
}

func TestNoOperationIsCoveredTwice(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	reading := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(app, "live", "reading", "free")))(t))
	unbound := w.key(a, app, "live")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "standard")))(t)
	yes := control.Answer{Approve: true}
	_, err := w.Decide(w.ctx, w.approver, r.ID, 0, yes)
	wants(t, "while a key stands for all grants", err, fault.Conflict, "covered-twice")
	if n := len(must(w.Request(w.ctx, a, r.ID))(t).Decisions); n != 0 {
		t.Errorf("the refused decision left %d decisions", n)
	}
	// Approving less leaves no doubt.
	other := w.application(a, "other")
	w.grantOf(must(w.RequestAccess(w.ctx, a, ask(other, "live", "reading", "free")))(t))
	w.key(a, other, "live")
	r2 := must(w.RequestAccess(w.ctx, a, ask(other, "live", "checking", "standard")))(t)
	w.grantOf(must(w.Decide(w.ctx, w.approver, r2.ID, 0, control.Answer{Approve: true, Scopes: []string{"checks:write"}}))(t))

	must(w.RevokeCredential(w.ctx, a, unbound.ID, 0, "to be bound"))(t)
	w.key(a, app, "live", reading.ID)
	checking := w.grantOf(must(w.Decide(w.ctx, w.approver, r.ID, 0, yes))(t))
	for name, grants := range map[string][]id.ID{"unbound": nil, "bound to both": {reading.ID, checking.ID}} {
		_, _, err := w.IssueKey(w.ctx, a, control.NewKey{Application: app.ID, Environment: "live", Name: "k", Grants: grants})
		wants(t, name, err, fault.Conflict, "covered-twice")
	}
	w.key(a, app, "live", checking.ID)
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

func TestDecideAgainstWhatIsOfferedNow(t *testing.T) {
	w := newWorld(t).published()
	a := w.verified("First", "first@example.org")
	r := must(w.RequestAccess(w.ctx, a, ask(w.application(a, "app"), "live", "checking", "standard")))(t)
	b := bundle()
	b["gatehouse.yaml"] = []byte(strings.Replace(gatehouseYAML, "standard, longest: 365d", "standard, longest: 30d", 1))
	must(w.Publish(w.ctx, w.operator, "live", b, "shorter"))(t)
	f := must(w.Facts(w.ctx, w.approver, r.ID))(t)
	if left := f.LatestEnd.Sub(w.clock.Now()); left > 30*24*time.Hour {
		t.Errorf("the latest end is in %s, want the plan's 30 days", left)
	}
	_, err := w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true, Until: w.clock.Now().Add(60 * 24 * time.Hour)})
	if wrong(err) != "/until" {
		t.Errorf("longer than the plan allows now: %v", err)
	}
	early := must(w.RequestAccess(w.ctx, a, ask(w.application(a, "early"), "test", "checking", "standard")))(t)
	must(w.Publish(w.ctx, w.operator, "test", b, "shorter"))(t)
	if g := w.grantOf(must(w.Decide(w.ctx, w.approver, early.ID, 0, control.Answer{Approve: true}))(t)); g.Until.Sub(g.From) != 30*24*time.Hour {
		t.Errorf("a request of before is granted for %s, want the plan's 30 days", g.Until.Sub(g.From))
	}
	b["gatehouse.yaml"] = []byte(strings.Replace(gatehouseYAML, "{name: standard,", "{name: other,", 1))
	must(w.Publish(w.ctx, w.operator, "live", b, "renamed"))(t)
	_, err = w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true})
	wants(t, "a plan that is gone", err, fault.Conflict, "not-offered")
	if f := must(w.Facts(w.ctx, w.approver, r.ID))(t); !errors.Is(f.MayDecide, fault.Conflict) {
		t.Errorf("facts say %v", f.MayDecide)
	}
	must(w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Reason: "no longer offered"}))(t)
}

func TestCatalogue(t *testing.T) {
	w := newWorld(t).published()
	all := must(w.Catalogue(w.ctx, at("")))(t)
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	if d := cmp.Diff([]string{"checking", "reading", "starting"}, names); d != "" {
		t.Fatal(d)
	}
	p := must(w.Product(w.ctx, at(""), "checking"))(t)
	plans := map[string][]string{}
	for _, l := range p.Plans {
		plans[l.Name] = l.Environments
	}
	if d := cmp.Diff(map[string][]string{"standard": {"live", "test"}, "big": {"live", "test"}, "tried": {"test"}}, plans); d != "" {
		t.Error(d)
	}
	type op struct {
		ID, FullPath string
		Needs        []string
		Anonymous    bool
	}
	var ops []op
	for _, o := range p.APIs[0].Operations {
		ops = append(ops, op{o.ID, o.FullPath, o.Needs, o.Anonymous})
	}
	want := []op{{"listChecks", "/ident/v1/checks", []string{"checks:read"}, false}, {"startCheck", "/ident/v1/checks", []string{"checks:write"}, false}, {"health", "/ident/v1/health", nil, true}}
	if d := cmp.Diff(want, ops, cmp.Comparer(func(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") })); d != "" {
		t.Error(d)
	}
	_, err := w.Product(w.ctx, at(""), "none")
	wants(t, "no such product", err, fault.NotFound, "")
}

func TestDocument(t *testing.T) {
	w := newWorld(t).published()
	raw := must(w.Document(w.ctx, at(""), "ident"))(t)
	var doc struct {
		OpenAPI string
		Servers []struct{ URL, Description string }
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 2 || doc.Servers[0].URL != "https://gateway.test/ident/v1" || doc.Servers[0].Description != "Live" || doc.Servers[1].URL != "https://gateway.test:8010/ident/v1" {
		t.Errorf("servers %+v", doc.Servers)
	}
	if _, ok := doc.Paths["/secret"]; ok || len(doc.Paths["/checks"]) != 2 || strings.Contains(string(raw), "internal") {
		t.Errorf("the document tells what is not exposed: %s", raw)
	}
	if strings.Index(string(raw), `"info"`) > strings.Index(string(raw), `"paths"`) {
		t.Error("the order is lost")
	}
	_, err := w.Document(w.ctx, at(""), "none")
	wants(t, "no such API", err, fault.NotFound, "")
}
