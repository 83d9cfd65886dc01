package portal_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/control"
	"gatehouse/drift"
	"gatehouse/drift/kong"
	"gatehouse/identity"
)

const watchedDeck = "_format_version: '3.0'\nservices:\n- name: s\n  url: https://u.example.com\n  routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]\n"

// watched is two gateways, of which one asks for no key.
func watched() *control.Watch {
	read := func(name, text string, now time.Time) *drift.Environment {
		e, _ := kong.Read(fstest.MapFS{"kong.yaml": {Data: []byte(text)}}, drift.Options{Name: name, Tier: drift.Prod, Now: now})
		return e
	}
	return &control.Watch{Names: []string{"north", "south"}, Notify: []string{"watch@platform.example"}, Review: func(_ context.Context, now time.Time) (*drift.Result, error) {
		return drift.Compare([]*drift.Environment{read("north", watchedDeck+"plugins: [{name: key-auth, config: {key_in_query: false}}]\n", now), read("south", watchedDeck, now)}, drift.Settings{Now: now}), nil
	}}
}

// TestDrift: an operator reviews, sees both sides, accepts a finding for a while and ends that; an auditor looks; nobody else does.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	admin := w.staffed("admin@platform.example", "Ada Admin")
	operator := w.staffed("otto@platform.example", "Otto Operator", identity.Operator)
	auditor := w.staffed("anna@platform.example", "Anna Auditor", identity.Auditor)
	approver := w.staffed("vera@platform.example", "Vera Approver", identity.Approver)
	_ = admin
	page := operator.get("/drift").want(200).says("Nothing has been reviewed yet")
	page = page.submit("/drift/review", nil).want(200).says("drift found", "north", "south", "Operation requires authentication", "Trend")
	finding := page.follow("Operation requires authentication in one environment and none in the other").want(200).says("weaker", "api_key", "open", "GET /a", "owasp:API2:2023")
	if len(finding.all("mark")) == 0 {
		t.Error("what differs is not marked")
	}
	waive := strings.TrimSuffix(finding.path, "/") + "/waive"
	finding.submit(waive, fill{"owner": "Payments", "reason": "The south is closed.", "ends": "2001-01-01"}).want(422)
	list := finding.submit(waive, fill{"owner": "Payments", "reason": "The south is closed.", "ends": time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)}).want(200).says("Payments", "active")
	operator.get("/drift").says("1 finding is waived")
	operator.get(finding.path).says("waived", "Payments")
	auditor.get("/drift").want(200).says("south")
	if n := len(auditor.get("/drift").all(`form[action="/drift/review"]`)); n != 0 {
		t.Error("an auditor may review")
	}
	auditor.get("/drift/waivers").want(200).says("Payments")
	approver.get("/drift").want(403)
	form := list.all(`form[action^="/drift/waivers/"]`)
	if len(form) != 1 {
		t.Fatalf("%d waivers can be ended", len(form))
	}
	list.submit(attr(form[0], "action"), nil).want(200).says("ended")
	operator.get("/drift/findings/dr_none").want(404)
}
