package portal_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/manifest"
)

// TestPeople adds somebody to the platform, changes their roles, and shuts them out.
func TestPeople(t *testing.T) {
	w := newWorld(t)
	admin := w.staffed2()
	page := admin.get("/people").want(200).follow("Add a person")
	page.submit("/people", fill{"name": "Otto Operator", "email": "otto@platform.example"}).want(422).says("Choose at least one")
	page.submit("/people", fill{"name": "Otto Operator", "email": "otto@platform.example", "roles": "operator"}).want(200).says("Otto Operator", "operator")
	page.submit("/people", fill{"name": "Otto Again", "email": "OTTO@platform.example", "roles": "operator"}).want(409).says("with this e-mail address")
	otto := w.byLink(w.url + w.letter("otto@platform.example"))
	otto.get("/queue").want(200)
	otto.get("/people").want(200)
	otto.get("/people/new").submit("/people", fill{"name": "X", "email": "x@platform.example", "roles": "admin"}).want(403)
	change := admin.get("/people").follow("Otto Operator").want(200)
	stale := admin.get(change.path)
	change.submit(change.path, fill{"roles": "operator\x00auditor", "state": "disabled"}).want(200).says("disabled")
	late := stale.submit(change.path, fill{"roles": "admin", "state": "active"}).want(412).says("Somebody changed this")
	if len(late.all(`input[value="admin"][checked]`)) != 1 {
		t.Error("the role that was ticked is lost")
	}
	if a := otto.get("/queue"); !strings.HasPrefix(a.path, "/signin") {
		t.Error("whoever is disabled is still signed in")
	}
	own := admin.get("/people").follow("Ada Admin")
	own.submit(own.path, fill{"roles": "auditor", "state": "active"}).want(409)
}

// TestMachineTokens shows a token once, and revokes it.
func TestMachineTokens(t *testing.T) {
	w := newWorld(t)
	admin := w.staffed2()
	shown := admin.get("/tokens").want(200).follow("Make a token").submit("/tokens", fill{"name": "pipeline", "roles": "admin"}).want(200).says("it is shown this once")
	token := shown.text("#the-token")
	if !strings.HasPrefix(token, "ghm_") {
		t.Fatalf("the token is %q", token)
	}
	list := admin.get("/tokens").want(200).says("pipeline", "active")
	if strings.Contains(list.body, token) {
		t.Error("the list shows the token")
	}
	revoke := list.follow("Revoke")
	revoke.submit(revoke.path, nil).want(200).says("revoked")
	ines := w.partner("A", "Ines", "ines@a.example")
	ines.get("/tokens/new").submit("/tokens", fill{"name": "mine", "roles": "owner"}).want(200)
	if a := ines.get("/tokens").says("mine"); strings.Contains(a.body, "pipeline") {
		t.Error("a member sees the platform's tokens")
	}
	if a := ines.get(revoke.path); a.status != http.StatusNotFound {
		t.Errorf("a member may revoke the platform's token: %d", a.status)
	}
}

// TestDevice lets a command line sign in, after the person has compared its code.
func TestDevice(t *testing.T) {
	w := newWorld(t)
	start, err := w.control.StartDevice(context.Background(), control.Nobody("203.0.113.9", "r"), "gatehouse on build-7")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(start.URL)
	if err != nil || u.Path != "/device" {
		t.Fatalf("the person is sent to %q", start.URL)
	}
	admin := w.staffed2()
	admin.get("/device").want(200).says("Code")
	admin.get("/device?code=XXXX-XXXX").want(422).says("Nothing waits with this code")
	ask := admin.get("/device?code="+start.UserCode).want(200).says(start.UserCode, "gatehouse on build-7", "Ada Admin")
	ask.submit("/device", fill{"decision": "allow"}).want(200).says("Signed in")
	ask.submit("/device", fill{"decision": "allow"}).want(422)
	if _, token, err := w.control.PollDevice(context.Background(), control.Nobody("203.0.113.9", "r"), start.DeviceCode); err != nil || token.Empty() {
		t.Errorf("no token came of it: %v", err)
	}
}

// TestAccount changes the password, and ends another session.
func TestAccount(t *testing.T) {
	w := newWorld(t)
	here := w.partner("A", "Ines", "ines@a.example")
	there := w.visitor()
	there.get("/signin").submit("/signin", fill{"email": "ines@a.example", "password": password}).want(200)
	account := here.get("/account").want(200).says("this one")
	var ends []string
	for _, n := range account.all(`form[action^="/account/sessions/"]`) {
		if strings.HasPrefix(words(n), "End") {
			ends = append(ends, attr(n, "action"))
		}
	}
	if len(ends) == 0 {
		t.Fatal("no other session is listed")
	}
	for _, e := range ends {
		account.submit(e, nil).want(200).says("The session has ended")
	}
	if a := there.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Error("the other session goes on")
	}
	account.submit("/account/password", fill{"old": "wrong", "fresh": "twelve geese on the lake"}).want(422).says("not the password")
	account.submit("/account/password", fill{"old": password, "fresh": "twelve geese on the lake"}).want(200).says("Your password is changed")
}

// TestReferenceOfAGiant renders the pages of an API with 10,000 operations: each of them quickly, and none of them huge.
func TestReferenceOfAGiant(t *testing.T) {
	w := newWorld(t)
	var doc bytes.Buffer
	doc.WriteString("openapi: 3.1.0\ninfo: {title: Giant, version: '1'}\nsecurity: [{gatehouse: [all:read]}]\ncomponents: {securitySchemes: {gatehouse: {type: apiKey, in: header, name: X-API-Key}}}\npaths:\n")
	for i := range 10_000 {
		fmt.Fprintf(&doc, "  /things/%d:\n    get: {operationId: op%d, summary: Thing %d, tags: [group%d], responses: {'200': {description: It is.}}}\n", i, i, i, i/100)
	}
	w.publish(manifest.Bundle{"giant.yaml": doc.Bytes(), "gatehouse.yaml": []byte(`gatehouse: 1
environments: [{name: live, url: "https://api.platform.example"}, {name: test}]
upstreams: [{name: u, targets: ["http://127.0.0.1:9"]}]
apis: [{name: giant, openapi: giant.yaml, path: /giant, upstream: u, policies: [api_key, grant]}]
products:
  - {name: giant, title: Giant, description: All of it., operations: [{api: giant}], scopes: {"all:read": Everything.},
     plans: [{name: p, title: P, limits: [{requests: 1, per: 1s}], approval: {automatic: true}, longest: 30d}]}
`)})
	v := w.visitor()
	v.get("/catalogue").want(200)
	for _, path := range []string{"/", "/catalogue/giant", "/catalogue/giant/giant", "/catalogue/giant/giant?tag=group99", "/catalogue/giant/giant?tag=group99&page=4", "/catalogue/giant/giant?operation=op9999", "/catalogue/giant/giant?tag=group1&page=1000000"} {
		began := time.Now()
		a := v.get(path).want(200)
		took := time.Since(began)
		sound(t, a)
		t.Logf("%s: %d KB in %v", path, len(a.body)>>10, took.Round(time.Millisecond))
		if len(a.body) > 400<<10 {
			t.Errorf("%s has %d KB", path, len(a.body)>>10)
		}
		if took > 2*time.Second {
			t.Errorf("%s took %v", path, took)
		}
	}
	v.get("/catalogue/giant/giant?operation=op7").says("https://api.platform.example/giant/things/7")
	v.get("/catalogue/giant/giant?tag=group99").says("Thing 9900", "Operations 1 to 25 of 100 in group99").follow("Next page").says("Thing 9925")
}

// TestEveryProblemIsExplained reads the code of every room: whatever type of problem it can answer with has a page.
func TestEveryProblemIsExplained(t *testing.T) {
	w := newWorld(t)
	v := w.visitor()
	coded := regexp.MustCompile(`(?:fault\.Of\(fault\.\w+, *|Code: *)"([a-z]+(?:-[a-z]+)*)"`)
	kinds := regexp.MustCompile(`fault\.Kind\)?\s*= "([a-z-]+)"|^\t\w+\s+Kind = "([a-z-]+)"`)
	codes := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/examples/") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range coded.FindAllSubmatch(b, -1) {
			codes[string(m[1])] = path
		}
		if strings.HasSuffix(path, "fault/fault.go") {
			for line := range strings.Lines(string(b)) {
				if m := kinds.FindStringSubmatch(line); m != nil {
					codes[m[1]+m[2]] = path
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(codes) < 40 {
		t.Fatalf("only %d types of problems were found", len(codes))
	}
	for code, path := range codes {
		if a := v.get("/problems/" + code); a.status != http.StatusOK {
			t.Errorf("%s can answer with the problem %q, which portal/problemtypes.go does not explain", path, code)
		}
	}
}
