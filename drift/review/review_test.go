package review_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/review"
)

func TestSourcesAreWrittenSo(t *testing.T) {
	for _, c := range []struct {
		in   string
		want review.Source
		bad  bool
	}{
		{in: "prod=./apim", want: review.Source{Name: "prod", Folder: "./apim"}},
		{in: "eu@prod:kong=k,replicas=3", want: review.Source{Name: "eu", Tier: drift.Prod, Gateway: "kong", Folder: "k", Values: map[string]string{"replicas": "3"}}},
		{in: "prod", bad: true}, {in: "=x", bad: true}, {in: "a@b=x", bad: true}, {in: "a:nginx=x", bad: true}, {in: "a=x,y", bad: true}, {in: "@prod=x", bad: true},
	} {
		got, err := review.ParseSource(c.in)
		if (err != nil) != c.bad {
			t.Errorf("%s: %v", c.in, err)
		} else if d := cmp.Diff(c.want, got); err == nil && d != "" {
			t.Errorf("%s: %s", c.in, d)
		}
	}
}

// TestThreeGateways is what the review is for: API Management in production, Kong in staging and Gatehouse in the new region, one
// command, and the weakest door.
func TestThreeGateways(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("apim/apis/orders/apiInformation.json", `{"properties": {"path": "orders", "protocols": ["https"], "serviceUrl": "https://orders.example.com", "subscriptionRequired": true}}`)
	write("apim/apis/orders/specification.yaml", "openapi: 3.0.1\npaths:\n  /{id}:\n    get: {operationId: get}\n")
	write("apim/policy.xml", `<policies><inbound><rate-limit-by-key calls="10" renewal-period="1" counter-key="@(context.Subscription.Id)"/></inbound></policies>`)
	write("kong/kong.yaml", "_format_version: '3.0'\nservices:\n- name: orders\n  url: https://orders.example.com\n  routes:\n  - {name: get, methods: [GET], paths: ['~/orders/[^/]+$'], protocols: [https]}\n")
	write("gh/gatehouse.yaml", "gatehouse: 1\nenvironments: [{name: eu}]\nupstreams: [{name: o, targets: ['https://orders.example.com']}]\napis: [{name: orders, openapi: o.yaml, path: /orders, upstream: o, policies: [api_key, {no_grant: {reason: x}}, {rate_limit: {by: credential, windows: [{requests: 10, per: 1s}]}}]}]\n")
	write("gh/o.yaml", "openapi: 3.1.0\ninfo: {title: O, version: '1'}\npaths:\n  /{id}:\n    get:\n      operationId: get\n      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n      responses: {'200': {description: ok}}\n")
	var envs []*drift.Environment
	for _, s := range []string{"production@prod=" + dir + "/apim", "staging@stage=" + dir + "/kong", "eu@prod=" + dir + "/gh"} {
		src, err := review.ParseSource(s)
		if err != nil {
			t.Fatal(err)
		}
		e, err := src.Read(drifttest.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range e.Problems {
			t.Errorf("%s: %s", e.Name, p)
		}
		if len(e.Operations) != 1 || e.Operations[0].Key.String() != "GET /orders/{}" {
			t.Fatalf("%s: %+v", e.Name, e.Operations)
		}
		envs = append(envs, e)
	}
	if envs[0].Gateway != "azureapim" || envs[1].Gateway != "kong" || envs[2].Gateway != "gatehouse" {
		t.Errorf("gateways %s, %s, %s", envs[0].Gateway, envs[1].Gateway, envs[2].Gateway)
	}
	r := drift.Compare(envs, drift.Settings{Now: drifttest.Now()})
	for _, rule := range []string{"DR-AUT-01", "DR-TRF-01"} {
		fs := drifttest.Named(r, rule)
		if len(fs) != 2 {
			t.Errorf("%s is found %d times, want against both others", rule, len(fs))
		}
		for _, f := range fs {
			if f.Weaker() != "staging" {
				t.Errorf("%s: the weaker door is %s", rule, f.Weaker())
			}
		}
	}
	if review.Exit(r) != 3 {
		t.Errorf("exit %d", review.Exit(r))
	}
	if _, err := (review.Source{Name: "x", Folder: dir}).Read(drifttest.Now()); err == nil {
		t.Error("three gateways in one folder are read as one")
	}
}

// TestRunningGatewaysAreNamedByAddress: what is asked for is read like files, and what could not be got makes the coverage partial.
func TestRunningGatewaysAreNamedByAddress(t *testing.T) {
	src, err := review.ParseSource("prod@prod:kong=https://admin.example.com:8444")
	if err != nil || !src.Running() {
		t.Fatalf("%+v %v", src, err)
	}
	ask := func(gateway, address string) (fs.FS, []drift.Problem, error) {
		if gateway != "kong" || address != "https://admin.example.com:8444" {
			t.Errorf("asked %s at %s", gateway, address)
		}
		return drifttest.Files{"kong.json": `{"_format_version":"3.0","services":[{"name":"a","url":"https://a","routes":[{"paths":["/a"]}]}]}`}.FS(), []drift.Problem{{File: "plugins", Text: "may not be read", Partial: true}}, nil
	}
	e, err := src.Ask(drifttest.Now(), ask)
	if err != nil || len(e.Operations) != 1 || len(e.Problems) != 1 || drift.Cover(e).Whole() {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := src.Ask(drifttest.Now(), nil); err == nil {
		t.Error("a running gateway is read by nobody")
	}
	src.Gateway = ""
	if _, err := src.Ask(drifttest.Now(), ask); err == nil {
		t.Error("which gateway it is was guessed")
	}
	if src, _ := review.ParseSource("a=./folder"); src.Running() {
		t.Error("a folder is taken for a running gateway")
	}
}
