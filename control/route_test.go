package control_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/store"
)

// routed is a world whose product checking has a plan for each thing that a route can do.
func routed(t testing.TB) *world {
	t.Helper()
	w := newWorld(t).published()
	yaml := strings.Replace(gatehouseYAML, "      - {name: big,", `      - name: slow
        longest: 90d
        limits: [{requests: 1, per: 1s}]
        approval:
          stages: [{name: owner, role: approver, within: 2d, stand_in: operator}]
          renewal: {automatic: true}
          emergency: {longest: 4h, within: 1h}
      - name: ruled
        longest: 90d
        limits: [{requests: 1, per: 1s}]
        approval:
          stages: [{name: owner, role: approver}]
          rules:
            - {name: far away, when: 'country == "XX"', then: refuse, reason: "We offer this nowhere near there."}
            - {name: reading for a while, when: 'scopes.all(s, s.endsWith(":read")) && duration <= duration("720h") && verified_for >= duration("1h")', then: approve}
            - {name: broken, when: '1 / standing == 5', then: approve}
          examples:
            - {scopes: ["checks:read"], duration: 30d, verified_for: 1d, standing: 1, then: approve}
            - {scopes: ["checks:write"], duration: 30d, verified_for: 1d, standing: 1, then: people}
            - {country: XX, then: refuse}
      - name: triple
        longest: 90d
        limits: [{requests: 50, per: 1s}]
        approval:
          stages: [{name: first, role: approver}, {name: second, role: operator}, {name: third, role: admin}]
          renewal: {stages: [{name: short, role: approver}]}
      - {name: big,`, 1)
	b := manifest.Bundle{"gatehouse.yaml": []byte(yaml), "ident.yaml": []byte(openAPI)}
	for _, e := range []string{"live", "test"} {
		p, err := w.Publish(w.ctx, w.operator, e, b, "routes")
		if err != nil {
			t.Fatalf("%v %v", err, p.Diagnostics)
		}
	}
	return w
}

var approve = control.Answer{Approve: true}

func TestThreeStagesAndNobodyTwice(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	every := w.staff("eve@platform.example", identity.Approver, identity.Operator, identity.Admin)
	q := ask(app, "live", "checking", "triple")
	r := must(w.RequestAccess(w.ctx, every, q))(t) // staff may ask on behalf of an organization
	for name, who := range map[string]identity.Actor{"as an approver": with(every, identity.Approver), "as an operator": with(every, identity.Operator), "by a machine token": machine(every)} {
		_, err := w.Decide(w.ctx, who, r.ID, 0, approve)
		wants(t, "the requester "+name, err, fault.Forbidden, "own-request")
	}
	must(w.WithdrawRequest(w.ctx, a, r.ID, 0))(t)
	r = must(w.RequestAccess(w.ctx, a, q))(t)
	r = must(w.Decide(w.ctx, every, r.ID, r.Version, approve))(t)
	_, err := w.Decide(w.ctx, with(every, identity.Operator), r.ID, 0, approve)
	wants(t, "an earlier approver through a second role", err, fault.Forbidden, "decided-before")
	r = must(w.Decide(w.ctx, w.operator, r.ID, r.Version, approve))(t)
	r = must(w.Decide(w.ctx, w.admin, r.ID, r.Version, approve))(t)
	g := w.grantOf(r)
	if len(g.ApprovedBy) != 3 {
		t.Errorf("approved by %v", g.ApprovedBy)
	}
	for _, d := range r.Decisions {
		if d.Basis == nil || d.Basis.Revision != 2 || d.Basis.Organization != "verified" || len(d.Basis.Operations) != 2 {
			t.Errorf("decided on %+v", d.Basis)
		}
	}
	made := must(w.CreateApplication(w.ctx, w.operator, control.NewApplication{Organization: a.Organization, Name: "by staff", Purpose: "p", Owner: a.Person}))(t)
	r = must(w.RequestAccess(w.ctx, a, ask(made, "live", "checking", "slow")))(t)
	_, err = w.Decide(w.ctx, with(w.operator, identity.Approver), r.ID, 0, approve)
	wants(t, "whoever made the application", err, fault.Forbidden, "own-application")
}

func TestSilenceRemindsEscalatesAndLapses(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "slow")))(t)
	tend := func(wait time.Duration) grant.Request {
		t.Helper()
		w.clock.pass(wait)
		if err := w.Tend(w.ctx); err != nil {
			t.Fatal(err)
		}
		return must(w.Request(w.ctx, a, r.ID))(t)
	}
	last := func(to string) string {
		ls := w.letters(to)
		if len(ls) == 0 {
			return ""
		}
		return ls[len(ls)-1]
	}
	if got := last("paul@platform.example"); got != "A decision waits" {
		t.Errorf("the approver was told %q", got)
	}
	if r := tend(23 * time.Hour); r.Reminded {
		t.Error("reminded too early")
	}
	if r := tend(2 * time.Hour); !r.Reminded || last("paul@platform.example") != "A decision still waits" {
		t.Errorf("after half the time: %+v, told %q", r, last("paul@platform.example"))
	}
	_, err := w.Decide(w.ctx, w.operator, r.ID, 0, approve)
	wants(t, "the stand-in before the time has passed", err, fault.Forbidden, "role-missing")
	if r := tend(24 * time.Hour); !r.Escalated || r.State != grant.Open || last("olga@platform.example") != "A decision was escalated to you" {
		t.Errorf("at the end of the time: %+v, told %q", r, last("olga@platform.example"))
	}
	if f := must(w.Facts(w.ctx, w.operator, r.ID))(t); f.MayDecide != nil {
		t.Errorf("the stand-in may not decide: %v", f.MayDecide)
	}
	if r := tend(25 * time.Hour); r.State != grant.Open {
		t.Errorf("lapsed too early: %+v", r)
	}
	if r := tend(24 * time.Hour); r.State != grant.Lapsed || last(a.Email) != "Your access request has lapsed" {
		t.Errorf("in the end: %+v, told %q", r, last(a.Email))
	}
	_, err = w.Decide(w.ctx, w.approver, r.ID, 0, approve)
	wants(t, "after it has lapsed", err, fault.Conflict, "already-decided")
	must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "slow")))(t)
}

func TestLapseRacesADecision(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	for i := range 10 {
		app := w.application(a, "app "+string(rune('a'+i)))
		r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "slow")))(t)
		w.clock.pass(49 * time.Hour)
		if err := w.Tend(w.ctx); err != nil { // escalated
			t.Fatal(err)
		}
		w.clock.pass(49 * time.Hour)
		var start, done sync.WaitGroup
		start.Add(1)
		var decided, tended error
		done.Go(func() { start.Wait(); _, decided = w.Decide(w.ctx, w.approver, r.ID, 0, approve) })
		done.Go(func() { start.Wait(); tended = w.Tend(w.ctx) })
		start.Done()
		done.Wait()
		if tended != nil {
			t.Fatal(tended)
		}
		r = must(w.Request(w.ctx, a, r.ID))(t)
		n := len(must(w.Grants(w.ctx, a, grant.Filter{Application: app.ID}, control.Page{}))(t).Items)
		switch {
		case decided == nil && r.State == grant.Approved && n == 1:
		case errors.Is(decided, fault.Conflict) && r.State == grant.Lapsed && n == 0:
		default:
			t.Fatalf("decided: %v, request %s, %d grants", decided, r.State, n)
		}
	}
}

func TestQuestionAndAnswer(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	r := must(w.RequestAccess(w.ctx, a, ask(w.application(a, "app"), "live", "checking", "slow")))(t)
	_, err := w.AskQuestion(w.ctx, w.operator, r.ID, 0, "why?")
	wants(t, "who may not decide", err, fault.Forbidden, "role-missing")
	_, err = w.AnswerQuestion(w.ctx, a, r.ID, 0, "so")
	wants(t, "an answer to nothing", err, fault.Conflict, "")
	r = must(w.AskQuestion(w.ctx, w.approver, r.ID, r.Version, "Whose data?"))(t)
	_, err = w.Decide(w.ctx, w.approver, r.ID, 0, approve)
	wants(t, "approving before the answer", err, fault.Conflict, "question-open")
	if ls := w.letters(a.Email); ls[len(ls)-1] != "A question about your access request" {
		t.Errorf("the partner was told %q", ls)
	}
	r = must(w.AnswerQuestion(w.ctx, a, r.ID, r.Version, "Our own."))(t)
	if ls := w.letters("paul@platform.example"); ls[len(ls)-1] != "Your question was answered" {
		t.Errorf("the approver was told %q", ls)
	}
	r = must(w.Decide(w.ctx, w.approver, r.ID, r.Version, approve))(t)
	if r.State != grant.Approved || r.Questions[0].Answer != "Our own." || r.Questions[0].By != w.approver.Person {
		t.Errorf("request %+v", r)
	}
	// An unanswered question lapses with the stage's time and is never escalated.
	r = must(w.RequestAccess(w.ctx, a, ask(w.application(a, "other"), "live", "checking", "slow")))(t)
	must(w.AskQuestion(w.ctx, w.approver, r.ID, 0, "And?"))(t)
	w.clock.pass(49 * time.Hour)
	if err := w.Tend(w.ctx); err != nil {
		t.Fatal(err)
	}
	if r = must(w.Request(w.ctx, a, r.ID))(t); r.State != grant.Lapsed {
		t.Errorf("request %s", r.State)
	}
}

func TestStandInOfAnAbsentPerson(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	r := must(w.RequestAccess(w.ctx, a, ask(w.application(a, "app"), "live", "checking", "triple")))(t)
	for name, c := range map[string]struct {
		who   id.ID
		until time.Time
	}{"oneself": {w.approver.Person, w.clock.Now().Add(time.Hour)}, "a member": {a.Person, w.clock.Now().Add(time.Hour)}, "the past": {w.operator.Person, w.clock.Now().Add(-time.Hour)}} {
		if _, err := w.SetAbsence(w.ctx, w.approver, c.who, time.Time{}, c.until); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.Decide(w.ctx, w.operator, r.ID, 0, approve)
	wants(t, "before the absence", err, fault.Forbidden, "role-missing")
	must(w.SetAbsence(w.ctx, w.approver, w.operator.Person, time.Time{}, w.clock.Now().Add(24*time.Hour)))(t)
	r = must(w.Decide(w.ctx, w.operator, r.ID, 0, approve))(t)
	if d := r.Decisions[0]; d.By != w.operator.Person || d.For != w.approver.Person {
		t.Errorf("decision %+v", d)
	}
	_, err = w.Decide(w.ctx, w.operator, r.ID, 0, approve)
	wants(t, "the stand-in again, in their own right", err, fault.Forbidden, "decided-before")
	both := with(w.approver, identity.Approver, identity.Operator)
	_, err = w.Decide(w.ctx, both, r.ID, 0, approve)
	wants(t, "whoever was stood in for", err, fault.Forbidden, "decided-before")
	// Whoever asked cannot have a stand-in approve it.
	boss := w.staff("boss@platform.example", identity.Admin, identity.Approver)
	must(w.SetAbsence(w.ctx, boss, w.operator.Person, time.Time{}, w.clock.Now().Add(24*time.Hour)))(t)
	l := must(w.Absences(w.ctx, w.auditor, control.Page{}))(t)
	if len(l.Items) != 2 {
		t.Errorf("%d absences", len(l.Items))
	}
	must(w.CallOffAbsence(w.ctx, w.approver, l.Items[0].ID))(t)
	own := must(w.RequestAccess(w.ctx, boss, ask(w.application(a, "other"), "live", "checking", "slow")))(t)
	_, err = w.Decide(w.ctx, w.operator, own.ID, 0, approve)
	wants(t, "the requester's stand-in", err, fault.Forbidden, "role-missing")
}

func TestApproveALowerPlan(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	r := must(w.RequestAccess(w.ctx, a, ask(w.application(a, "app"), "live", "checking", "standard")))(t)
	_, err := w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true, Plan: "big"})
	if wrong(err) != "/plan" {
		t.Errorf("a higher plan: %v", err)
	}
	g := w.grantOf(must(w.Decide(w.ctx, w.approver, r.ID, 0, control.Answer{Approve: true, Plan: "slow"}))(t))
	if g.Plan != "slow" || g.Until.Sub(g.From) != 90*24*time.Hour {
		t.Errorf("grant on %s for %s", g.Plan, g.Until.Sub(g.From))
	}
}

func TestRenewGrowAndNarrow(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	q := ask(app, "live", "checking", "slow")
	q.Scopes = []string{"checks:read"}
	g := w.grantOf(must(w.Decide(w.ctx, w.approver, must(w.RequestAccess(w.ctx, a, q))(t).ID, 0, approve))(t))
	key := w.key(a, app, "live", g.ID)
	_, err := w.RequestAccess(w.ctx, a, control.AccessRequest{Of: g.ID, Duration: time.Hour})
	if wrong(err) != "/duration" {
		t.Errorf("a renewal for less: %v", err)
	}
	w.clock.pass(30 * 24 * time.Hour)
	r := must(w.RequestAccess(w.ctx, a, control.AccessRequest{Of: g.ID}))(t)
	renewed := w.grantOf(r)
	if r.Sort != grant.Renewal || renewed.ID != g.ID || !renewed.Until.After(g.Until) || renewed.Request != r.ID {
		t.Errorf("renewed by the shorter route: %+v of %+v", renewed, r)
	}
	// Growing re-opens approval.
	grown := must(w.RequestAccess(w.ctx, a, control.AccessRequest{Of: g.ID, Scopes: []string{"checks:read", "checks:write"}, Purpose: "and start them"}))(t)
	if grown.Sort != grant.Growth || grown.State != grant.Open {
		t.Fatalf("growth %+v", grown)
	}
	g = w.grantOf(must(w.Decide(w.ctx, w.approver, grown.ID, 0, approve))(t))
	if g.ID != renewed.ID || len(g.Scopes) != 2 || g.Purpose != "and start them" {
		t.Errorf("grown %+v", g)
	}
	if renewed.ScopesSince != nil || g.Since("checks:write").Before(grown.Created) || !g.Since("checks:read").Equal(g.From) {
		t.Errorf("renewed, its scopes are of %v; grown at %s, of %v", renewed.ScopesSince, grown.Created, g.ScopesSince)
	}
	// Shrinking asks nobody.
	_, err = w.NarrowGrant(w.ctx, a, g.ID, 0, []string{"other"}, time.Time{}, "r")
	if wrong(err) != "/scopes" {
		t.Errorf("narrowing to more: %v", err)
	}
	_, err = w.NarrowGrant(w.ctx, a, g.ID, 0, nil, g.Until.Add(time.Hour), "r")
	if wrong(err) != "/until" {
		t.Errorf("a later end: %v", err)
	}
	n := must(w.NarrowGrant(w.ctx, a, g.ID, g.Version, []string{"checks:write"}, g.Until.Add(-time.Hour), "no longer needed"))(t)
	if len(n.Scopes) != 1 || !n.Until.Before(g.Until) || n.Version != g.Version+1 {
		t.Errorf("narrowed %+v", n)
	}
	if len(n.ScopesSince) != 1 || !n.Since("checks:write").Equal(g.Since("checks:write")) {
		t.Errorf("narrowed, its scopes are of %v", n.ScopesSince)
	}
	if got := must(w.Credential(w.ctx, a, key.ID))(t); len(got.Grants) != 1 || got.Grants[0] != g.ID {
		t.Errorf("the key is bound to %v", got.Grants)
	}
	// What ends takes the requests about it along.
	open := must(w.RequestAccess(w.ctx, a, control.AccessRequest{Of: g.ID, Scopes: []string{"checks:read", "checks:write"}}))(t)
	must(w.EndGrant(w.ctx, a, g.ID, 0, "over"))(t)
	if r := must(w.Request(w.ctx, a, open.ID))(t); r.State != grant.Lapsed {
		t.Errorf("the request about it is %s", r.State)
	}
	_, err = w.RequestAccess(w.ctx, a, control.AccessRequest{Of: g.ID})
	wants(t, "renewing what has ended", err, fault.Conflict, "grant-over")
}

func TestEmergencyIsShortDoubleApprovedAndLoud(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	app := w.application(a, "app")
	q := ask(app, "live", "checking", "big")
	q.Emergency = true
	_, err := w.RequestAccess(w.ctx, a, q)
	if wrong(err) != "/emergency" {
		t.Errorf("a plan without: %v", err)
	}
	q.Plan = "slow"
	r := must(w.RequestAccess(w.ctx, a, q))(t)
	if r.Sort != grant.Emergency || r.Stages[0].Count != 2 {
		t.Fatalf("request %+v", r)
	}
	r = must(w.Decide(w.ctx, w.approver, r.ID, 0, approve))(t)
	if r.State != grant.Open {
		t.Fatal("one person opened an emergency")
	}
	g := w.grantOf(must(w.Decide(w.ctx, w.admin, r.ID, 0, approve))(t))
	if !g.Emergency || g.Until.Sub(g.From) != 4*time.Hour {
		t.Errorf("grant %+v", g)
	}
	for _, to := range []string{"ada@platform.example", "olga@platform.example", "udo@platform.example", a.Email} {
		if !strings.Contains(strings.Join(w.letters(to), "\n"), "EMERGENCY access was granted") {
			t.Errorf("%s was not told", to)
		}
	}
	_, err = w.RequestAccess(w.ctx, a, control.AccessRequest{Of: g.ID})
	wants(t, "renewing an emergency", err, fault.Conflict, "grant-emergency")
}

func TestRulesDecideWithoutPeople(t *testing.T) {
	w := routed(t)
	a := w.verified("First", "first@example.org")
	request := func(name string, days int, scopes ...string) grant.Request {
		t.Helper()
		q := ask(w.application(a, name), "live", "checking", "ruled")
		q.Scopes, q.Duration = scopes, time.Duration(days)*24*time.Hour
		return must(w.RequestAccess(w.ctx, a, q))(t)
	}
	r := request("too new", 30, "checks:read")
	if r.State != grant.Open || r.Rule == nil || r.Rule.Rule != "broken" || r.Rule.Error == "" {
		t.Errorf("where a rule gives no answer people decide: %s, %+v", r.State, r.Rule)
	}
	w.clock.pass(2 * time.Hour)
	r = request("app", 30, "checks:read")
	g := w.grantOf(r)
	if r.Rule.Rule != "reading for a while" || len(g.ApprovedBy) != 0 || r.Decisions[0].By != grant.ByPlan || r.Decisions[0].Basis == nil || r.Decisions[0].Reason != "rule reading for a while" {
		t.Errorf("approved as %+v", r)
	}
	if r := request("longer", 31, "checks:read"); r.State != grant.Open {
		t.Errorf("longer than the rule says: %s", r.State)
	}
	if r := request("more", 30, "checks:read", "checks:write"); r.State != grant.Open || len(r.Stages) != 1 {
		t.Errorf("more than the rule says: %s", r.State)
	}
	// What a rule refuses, the partner is told why.
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		o, err := tx.Organization(w.ctx, a.Organization)
		o.Country = "XX"
		if err == nil {
			_, err = tx.PutOrganization(w.ctx, o)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r = request("away", 30, "checks:read")
	if r.State != grant.Refused || r.Decisions[0].Reason != "We offer this nowhere near there." || r.Grant != "" {
		t.Errorf("refused as %+v", r)
	}
	if ls := w.letters(a.Email); ls[len(ls)-1] != "Your access request was refused" {
		t.Errorf("the partner was told %q", ls)
	}
}

func TestExamplesOfRulesAreChecked(t *testing.T) {
	w := newWorld(t).published()
	check := func(rules string) string {
		t.Helper()
		yaml := strings.Replace(gatehouseYAML, "approval: {stages: [{name: owner, role: approver}]}", "approval: {stages: [{name: owner, role: approver}], "+rules+"}", 1)
		p, _ := w.Publish(w.ctx, w.operator, "live", manifest.Bundle{"gatehouse.yaml": []byte(yaml), "ident.yaml": []byte(openAPI)}, "rules")
		var out []string
		for _, d := range p.Diagnostics {
			out = append(out, d.Pointer+": "+d.Text)
		}
		return strings.Join(out, "\n")
	}
	const at = "/products/1/plans/0/approval"
	for rules, want := range map[string]string{
		`rules: [{name: r, when: "nobody == 1", then: approve}]`:                                                          at + "/rules/0/when: is no expression",
		`rules: [{name: r, when: "scopes", then: approve}]`:                                                               at + "/rules/0/when: must be true or false",
		`rules: [{name: r, when: "true", then: maybe}]`:                                                                   at + "/rules/0: say what the rule does",
		`rules: [{name: r, when: "true", then: refuse}]`:                                                                  at + "/rules/0: a rule that refuses needs a reason",
		`rules: [{name: r, when: "standing == 0", then: approve}], examples: [{standing: 1, then: approve}]`:              at + "/examples/0: expects approve, and no rule holds",
		`rules: [{name: r, when: "environment == 'live'", then: approve}], examples: [{environment: live, then: people}]`: at + "/examples/0: expects people, and the rule r says approve",
		`examples: [{then: people}]`:                                                                                      at + "/examples: there are no rules",
	} {
		if got := check(rules); !strings.Contains(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", rules, got, want)
		}
	}
}
