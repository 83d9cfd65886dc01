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
	"gatehouse/fault"
	"gatehouse/identity"
)

const watchedDeck = "_format_version: '3.0'\nservices:\n- name: s\n  url: https://u.example.com\n  routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]\n"

// watched is two gateways, of which one asks for no key.
func watched() *control.Watch {
	read := func(name, text string, now time.Time) *drift.Environment {
		e, _ := kong.Read(fstest.MapFS{"kong.yaml": {Data: []byte(text)}}, drift.Options{Name: name, Tier: drift.Prod, Now: now})
		return e
	}
	return &control.Watch{Names: []string{"north", "south", "west"}, Bundles: []string{"west"}, Unpack: func(name string, b []byte, now time.Time) (*drift.Environment, error) {
		if !strings.HasPrefix(string(b), "_format") {
			return nil, fault.Bad("/bundle", "it is neither a zip nor a tar")
		}
		return read(name, string(b), now), nil
	}, Notify: []string{"watch@platform.example"}, Review: func(_ context.Context, now time.Time, _ map[string]*drift.Environment) (*drift.Result, error) {
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

// TestDriftBundle: an operator uploads the files of an environment; what is wrong with them is said on the page; nobody else finds it.
func TestDriftBundle(t *testing.T) {
	w := newWorld(t)
	w.staffed("admin@platform.example", "Ada Admin")
	operator := w.staffed("otto@platform.example", "Otto Operator", identity.Operator)
	auditor := w.staffed("anna@platform.example", "Anna Auditor", identity.Auditor)
	page := operator.get("/drift").want(200).says("none yet: it takes no part in reviews").follow("Upload files of west").want(200).says("Files of west", "At most 20 MB")
	if len(page.all(`form[enctype="multipart/form-data"] input[type=file][required]`)) != 1 {
		t.Error("the form takes no file")
	}
	operator.upload("/drift/bundles/west", "bundle", nil).want(422).says("choose a file that is not empty")
	operator.upload("/drift/bundles/west", "other", []byte("x")).want(422).says("choose a file")
	operator.upload("/drift/bundles/west", "bundle", []byte("text")).want(422).says("neither a zip nor a tar")
	operator.upload("/drift/bundles/west", "bundle", make([]byte, 21<<20)).want(422).says("at most 20 MB")
	operator.upload("/drift/bundles/south", "bundle", []byte(watchedDeck)).want(404)
	auditor.upload("/drift/bundles/west", "bundle", []byte(watchedDeck)).want(404)
	auditor.get("/drift/bundles/west").want(404)
	operator.upload("/drift/bundles/west", "bundle", []byte(watchedDeck)).want(200).says("they count from the next review on")
	operator.get("/drift/bundles/west").want(200).says("The newest", "SHA-256")
	if len(auditor.get("/drift").want(200).says("Uploaded files", "west").all(`a[href^="/drift/bundles"]`)) != 0 {
		t.Error("an auditor is offered the upload")
	}
}

// TestAFailedReviewIsShown on the page, with its time.
func TestAFailedReviewIsShown(t *testing.T) {
	w := newWorld(t)
	operator := w.staffed("otto@platform.example", "Otto Operator", identity.Operator)
	w.control.Watch.Review = func(context.Context, time.Time, map[string]*drift.Environment) (*drift.Result, error) {
		return nil, fault.New(fault.Unavailable, "south: the Admin API cannot be reached")
	}
	page := operator.get("/drift").want(200)
	page.submit("/drift/review", nil).want(409).says("the Admin API cannot be reached")
}
