package review_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/plan"
	"gatehouse/drift/review"
)

const (
	strictDeck = "_format_version: '3.0'\nservices:\n- name: s\n  url: https://u.example.com\n  routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]\nplugins:\n- {name: key-auth, config: {key_in_query: false, hide_credentials: true}}\n- {name: rate-limiting, config: {minute: 60, fault_tolerant: false}}\n"
	openDeck   = "# ours\n_format_version: '3.0'\nservices:\n- name: s   # the only one\n  url: https://u.example.com\n  routes:\n  - name: r\n    paths: ['~/a$']\n    methods: [GET]\n    protocols: [https]\n"
)

func folders(t *testing.T) (a, b string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"a": strictDeck, "b": openDeck} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "kong.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "a"), filepath.Join(dir, "b")
}

// TestPlanIsCarriedOutAndTakenBack on the disk: nothing is written without being asked, twice changes nothing, a changed file is not
// touched, and undo brings every byte back.
func TestPlanIsCarriedOutAndTakenBack(t *testing.T) {
	a, b := folders(t)
	file, saved := filepath.Join(b, "kong.yaml"), filepath.Join(t.TempDir(), "plan.json")
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	run := func(o review.Planning, format string) (int, string) {
		t.Helper()
		var out bytes.Buffer
		c := review.Command{Sources: []string{"a@prod:kong=" + a, "b@prod:kong=" + b}, Format: format, Now: drifttest.Now(), Out: &out}
		exit, err := c.Plan(o)
		if err != nil {
			t.Fatal(err)
		}
		return exit, out.String()
	}
	exit, text := run(review.Planning{Like: "a"}, "")
	if exit != 3 || read() != openDeck || !strings.Contains(text, "add key-auth to") || !strings.Contains(text, "+") {
		t.Fatalf("%d %s", exit, text)
	}
	_, diff := run(review.Planning{Like: "a"}, "diff")
	if !strings.HasPrefix(diff, "--- a/") || !strings.Contains(diff, "\n+    - name: key-auth\n") && !strings.Contains(diff, "\n+  - name: key-auth\n") {
		t.Errorf("%s", diff)
	}
	run(review.Planning{Like: "a", Apply: true, Save: saved}, "")
	done := read()
	if done == openDeck || !strings.HasPrefix(done, "# ours\n") || !strings.Contains(done, "# the only one") {
		t.Fatalf("%s", done)
	}
	if left, _ := filepath.Glob(filepath.Join(b, "*")); len(left) != 1 {
		t.Errorf("beside the file there is %v", left)
	}
	_, again := run(review.Planning{Like: "a", Apply: true}, "json")
	var p struct{ Steps, Files []json.RawMessage }
	if err := json.Unmarshal([]byte(again), &p); err != nil || len(p.Steps)+len(p.Files) != 0 || read() != done {
		t.Errorf("the second time: %v %s", err, again)
	}
	if err := os.WriteFile(file, []byte(done+"# later\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := review.Undo(saved); err == nil || read() != done+"# later\n" {
		t.Errorf("a file that has changed since is taken back (%v)", err)
	}
	if err := os.WriteFile(file, []byte(done), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := review.Undo(saved); err != nil || read() != openDeck {
		t.Errorf("%v\n%s", err, read())
	}
	if err := review.Undo(saved); err != nil || read() != openDeck {
		t.Errorf("taken back twice: %v", err)
	}
}

// TestAGatewayThatRunsIsNotChanged: a plan says which files to write out and plan on, for findings that a change would close; its files, as
// they were fetched, are a pattern for the others.
func TestAGatewayThatRunsIsNotChanged(t *testing.T) {
	a, _ := folders(t)
	for _, c := range []struct{ source, want string }{
		{"live@prod:kong=https://admin.example.com:8444", "deck gateway dump --kong-addr https://admin.example.com:8444"},
		{"live@prod:azureapim=https://management.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/a", "extractor of APIOps"},
		{"live@prod:traefik=kubernetes:prod", "kubectl get"},
	} {
		var out bytes.Buffer
		ask := func(gateway, _ string) (fs.FS, []drift.Problem, error) {
			return drifttest.Files{
				"kong.yaml":                  openDeck,
				"apis/a/apiInformation.json": `{"properties": {"path": "a", "displayName": "a", "protocols": ["http", "https"], "subscriptionRequired": false}}`,
				"apis/a/specification.yaml":  "openapi: 3.0.1\ninfo: {title: a, version: '1'}\npaths: {/: {get: {operationId: a, responses: {'200': {description: a}}}}}\n",
				"dynamic.yaml":               "http: {routers: {r: {rule: 'Path(`/a`)', service: s}}, services: {s: {loadBalancer: {servers: [{url: 'http://a'}]}}}}\n",
			}.FS(), nil, nil
		}
		command := review.Command{Sources: []string{c.source, "b@prod:kong=" + a}, Format: "json", Now: drifttest.Now(), Out: &out, Live: ask}
		exit, err := command.Plan(review.Planning{})
		if err != nil {
			t.Fatal(err)
		}
		var p plan.Plan
		if err := json.Unmarshal(out.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		told := false
		for _, r := range p.Refusals {
			if r.Environment == "live" && strings.Contains(r.Control, c.want) && strings.Contains(r.Control, "live:") {
				told = true
			}
			if strings.Contains(r.Reason, "not read from files") {
				t.Errorf("%s: %s", c.source, r.Reason)
			}
		}
		for _, f := range p.Files {
			if f.Environment == "live" {
				t.Errorf("%s would be changed", c.source)
			}
		}
		if !told || exit != 3 {
			t.Errorf("%s: exit %d, and it is not said what to plan on: %+v", c.source, exit, p.Refusals)
		}
	}
}
