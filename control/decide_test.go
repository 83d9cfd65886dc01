package control_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
)

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
	if d := cmp.Diff(map[string]string{"live": "https://gateway.test", "test": "https://gateway.test:8010"}, p.Addresses); d != "" {
		t.Error(d)
	}
	other := bundle()
	other["gatehouse.yaml"] = []byte(strings.Replace(gatehouseYAML, "{name: live, title: Live}", "{name: live, url: \"https://api.example.org\"}", 1))
	must(w.Publish(w.ctx, w.operator, "live", other, ""))(t)
	if got := must(w.Product(w.ctx, at(""), "checking"))(t).Addresses["live"]; got != "https://api.example.org" {
		t.Errorf("after a publish live is called at %s", got)
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
