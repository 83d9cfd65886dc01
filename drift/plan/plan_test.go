package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
	"gatehouse/drift/apigee"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/ingressnginx"
	"gatehouse/drift/kong"
	"gatehouse/drift/krakend"
	"gatehouse/drift/plan"
	"gatehouse/fault"
)

// gateway is a folder that is fine, and ways in which it becomes weaker: of one file, old by new; without a new text the file is taken out.
type gateway struct {
	read drift.Reader
	good drifttest.Files
	weak [][3]string
}

const (
	deck = `# ours
_format_version: "3.0"
services:
- name: orders   # the only one
  url: https://orders.example.com
  routes:
  - {name: one, paths: ["~/orders$"], methods: [GET], protocols: [https]}
  - {name: add, paths: ["~/orders$"], methods: [POST], protocols: [https]}
consumers:
- username: partner
  keyauth_credentials: [{key: k9f8e7d6c5b4a39281}]
plugins:
- name: key-auth
  config: {key_in_query: false, hide_credentials: true}
- name: rate-limiting
  config: {minute: 60, policy: local, fault_tolerant: false}
- name: cors
  config: {origins: ["https://app.example.com"], credentials: true}
- name: file-log
  config: {path: /dev/stdout}
`
	config = `{
  "version": 3,
  "name": "orders",
  "host": ["https://orders.example.com"],
  "tls": { "public_key": "/etc/a.pem", "private_key": "/etc/k.pem", "min_version": "TLS13" },
  "endpoints": [
    { "endpoint": "/orders", "method": "GET", "timeout": "2s", "backend": [ { "url_pattern": "/orders" } ],
      "extra_config": {
        "auth/validator": { "alg": "RS256", "audience": ["orders"], "issuer": "https://login.example.com/", "jwk_url": "https://login.example.com/jwks" },
        "qos/ratelimit/router": { "client_max_rate": 60, "every": "1m", "strategy": "ip" } } }
  ],
  "extra_config": {
    "security/http": { "ssl_redirect": true, "sts_seconds": 31536000 },
    "router": { "return_error_msg": false },
    "telemetry/influx": { "address": "https://influx.example.com", "password": "pw4a5b6c7d8e9f0a1b" }
  }
}
`
	ingress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: orders
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/auth-url: https://auth.example.com/check   # whom we ask
    nginx.ingress.kubernetes.io/limit-rpm: "60"
    nginx.ingress.kubernetes.io/proxy-body-size: 1m
spec:
  ingressClassName: nginx
  tls: [{hosts: [api.example.com], secretName: api}]
  rules:
  - host: api.example.com
    http: {paths: [{path: /orders, pathType: Exact, backend: {service: {name: orders, port: {number: 443}}}}]}
`
	proxy = `<ProxyEndpoint name="default">
  <PreFlow name="PreFlow">
    <Request>
      <Step><Name>Token</Name></Step>
      <Step><Name>Spike</Name></Step>
    </Request>
  </PreFlow>
  <Flows><Flow name="get"><Condition>(proxy.pathsuffix MatchesPath "/orders") and (request.verb = "GET")</Condition></Flow></Flows>
  <HTTPProxyConnection><BasePath>/v1</BasePath><VirtualHost>secure</VirtualHost></HTTPProxyConnection>
  <RouteRule name="default"><TargetEndpoint>default</TargetEndpoint></RouteRule>
</ProxyEndpoint>
`
	target     = "<TargetEndpoint name=\"default\"><HTTPTargetConnection><URL>https://orders.example.com</URL></HTTPTargetConnection></TargetEndpoint>\n"
	spike      = "<SpikeArrest name=\"Spike\"><!-- as agreed --><Rate>60pm</Rate></SpikeArrest>\n"
	checkToken = "<VerifyJWT name=\"Token\"><Algorithm>RS256</Algorithm><PublicKey><JWKS uri=\"https://login.example.com/jwks\"/></PublicKey><Issuer>https://login.example.com/</Issuer><Audience>orders</Audience></VerifyJWT>\n"
)

func gateways() map[string]gateway {
	return map[string]gateway{
		"kong": {kong.Read, drifttest.Files{"kong.yaml": deck}, [][3]string{
			{"kong.yaml", "- name: key-auth\n  config: {key_in_query: false, hide_credentials: true}\n", ""},
			{"kong.yaml", "minute: 60", "minute: 6000"},
			{"kong.yaml", `["https://app.example.com"]`, `["*"]`},
			{"kong.yaml", "- name: file-log\n  config: {path: /dev/stdout}\n", ""},
		}},
		"krakend": {krakend.Read, drifttest.Files{"krakend.json": config}, [][3]string{
			{"krakend.json", `"auth/validator"`, `"@off"`},
			{"krakend.json", `"TLS13"`, `"TLS10"`},
			{"krakend.json", `"client_max_rate": 60`, `"client_max_rate": 600`},
			{"krakend.json", `31536000`, `60`},
			{"krakend.json", `"return_error_msg": false`, `"return_error_msg": true`},
		}},
		"ingressnginx": {ingressnginx.Read, drifttest.Files{"deploy/ingress.yaml": ingress}, [][3]string{
			{"deploy/ingress.yaml", "    nginx.ingress.kubernetes.io/auth-url: https://auth.example.com/check   # whom we ask\n", ""},
			{"deploy/ingress.yaml", `limit-rpm: "60"`, `limit-rpm: "6000"`},
			{"deploy/ingress.yaml", "proxy-body-size: 1m", "proxy-body-size: 100m"},
		}},
		"apigee": {apigee.Read, drifttest.Files{"apiproxy/orders.xml": `<APIProxy revision="1" name="orders"/>`, "apiproxy/proxies/default.xml": proxy, "apiproxy/targets/default.xml": target,
			"apiproxy/policies/spike.xml": spike, "apiproxy/policies/token.xml": checkToken}, [][3]string{
			{"apiproxy/policies/token.xml", "<Audience>orders</Audience>", ""},
			{"apiproxy/proxies/default.xml", "      <Step><Name>Spike</Name></Step>\n", ""},
			{"apiproxy/policies/spike.xml", "60pm", "6000pm"},
			{"apiproxy/policies/spike.xml", "", ""},
		}},
	}
}

// weakened seeds some of the weakenings.
func (g gateway) weakened(picked []int) drifttest.Files {
	out := maps.Clone(g.good)
	for _, i := range picked {
		w := g.weak[i]
		if w[1] == "" {
			delete(out, w[0])
			for name, text := range out { // with the steps that would run it
				out[name] = strings.ReplaceAll(text, "      <Step><Name>Spike</Name></Step>\n", "")
			}
		} else if _, ok := out[w[0]]; ok {
			out[w[0]] = strings.ReplaceAll(out[w[0]], w[1], w[2])
		}
	}
	return out
}

func (g gateway) env(f fs.FS, name string) *drift.Environment {
	e, _ := g.read(f, drift.Options{Name: name, Tier: drift.Prod, Now: drifttest.Now(), Values: map[string]string{"configmap": "none", "flowhooks": "none"}})
	return e
}

func (g gateway) plan(weak drifttest.Files, o plan.Options) *plan.Plan {
	o.Like, o.Settings = "a", drift.Settings{Now: drifttest.Now()}
	return plan.Make([]plan.Target{
		{Env: g.env(g.good.FS(), "a"), Files: g.good.FS()},
		{Env: g.env(weak.FS(), "b"), Files: weak.FS(), Read: func(f fs.FS) *drift.Environment { return g.env(f, "b") }},
	}, o)
}

// each calls f for every weakening alone, and for some together.
func each(t *testing.T, f func(t *testing.T, g gateway, weak drifttest.Files)) {
	for _, name := range slices.Sorted(maps.Keys(gateways())) {
		g := gateways()[name]
		r := rand.New(rand.NewPCG(7, uint64(len(name))))
		sets := [][]int{{}}
		for i := range g.weak {
			sets = append(sets, []int{i})
		}
		for range 3 {
			sets = append(sets, r.Perm(len(g.weak))[:2+r.IntN(len(g.weak)-1)])
		}
		for _, s := range sets {
			t.Run(fmt.Sprintf("%s %v", name, s), func(t *testing.T) { f(t, g, g.weakened(s)) })
		}
	}
}

func folder(t *testing.T, f drifttest.Files) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range f {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, dir string) drifttest.Files {
	t.Helper()
	out := drifttest.Files{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAppliedTwiceAndTakenBack: the second time changes nothing, nothing is left to plan, and taken back every byte is as before, a file that
// was added is gone, and taking back twice changes nothing either.
func TestAppliedTwiceAndTakenBack(t *testing.T) {
	each(t, func(t *testing.T, g gateway, weak drifttest.Files) {
		p := g.plan(weak, plan.Options{Deletions: 2})
		dir := folder(t, weak)
		folders := map[string]string{"b": dir}
		if err := p.Apply(folders); err != nil {
			t.Fatal(err)
		}
		once := content(t, dir)
		if err := p.Apply(folders); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(once, content(t, dir)); d != "" {
			t.Errorf("applied twice: %s", d)
		}
		if again := g.plan(once, plan.Options{Deletions: 2}); len(again.Steps) > 0 {
			t.Errorf("planned again: %s", again.Steps[0].Does)
		}
		for range 2 {
			if err := p.Undo(folders); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(weak, content(t, dir)); d != "" {
				t.Errorf("taken back: %s", d)
			}
		}
	})
}

// TestAChangedSourceIsRefused: one byte in any of the files, and none of them is written.
func TestAChangedSourceIsRefused(t *testing.T) {
	each(t, func(t *testing.T, g gateway, weak drifttest.Files) {
		p := g.plan(weak, plan.Options{Deletions: 2})
		for _, f := range p.Files {
			other := maps.Clone(weak)
			other[f.Name] += " "
			dir := folder(t, other)
			if err := p.Apply(map[string]string{"b": dir}); !errors.Is(err, fault.Stale) {
				t.Errorf("%s has changed: %v", f.Name, err)
			}
			if d := cmp.Diff(other, content(t, dir)); d != "" {
				t.Errorf("%s has changed and something is written: %s", f.Name, d)
			}
		}
	})
}

// areas are the parts of the model by which effects are checked against the whole model.
func areas(p *drift.Policy) map[string]string {
	b, _ := json.Marshal(p)
	var parts map[string]any
	_ = json.Unmarshal(b, &parts)
	out := map[string]string{}
	for name, v := range parts {
		text, _ := json.Marshal(placeless(v))
		out[name] = string(text)
	}
	return out
}

// placeless takes out where values stand and whether they are set or the default.
func placeless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "origin")
		delete(v, "lost")
		if s := v["state"]; s == "set" || s == "default" || s == "inherited" {
			delete(v, "state")
		}
		for k := range v {
			v[k] = placeless(v[k])
		}
	case []any:
		for i := range v {
			v[i] = placeless(v[i])
		}
	}
	return v
}

// TestNothingElseChanges: of the whole model, written as JSON, no part and no operation differs that the steps do not name.
func TestNothingElseChanges(t *testing.T) {
	called := map[string]string{"authz": "access", "rate": "rates", "quota": "quotas"}
	each(t, func(t *testing.T, g gateway, weak drifttest.Files) {
		p := g.plan(weak, plan.Options{Deletions: 2})
		named := map[string]bool{"cuts": true, "early": true} // what is cut off follows from authentication
		for _, s := range p.Steps {
			for _, e := range s.Effects {
				area, _, _ := strings.Cut(e.Field, ".")
				if strings.HasPrefix(e.Field, "tls.upstream") {
					area = "upstream"
				}
				if n := called[area]; n != "" {
					area = n
				}
				named[e.Operation+" "+area] = true
			}
		}
		healed := maps.Clone(weak)
		for _, f := range p.Files {
			done, err := f.Done([]byte(weak[f.Name]))
			if err != nil {
				t.Fatal(err)
			}
			healed[f.Name] = string(done)
		}
		before, after := g.env(weak.FS(), "b"), g.env(healed.FS(), "b")
		if len(before.Operations) != len(after.Operations) {
			t.Fatalf("%d operations have become %d", len(before.Operations), len(after.Operations))
		}
		for i, o := range before.Operations {
			was, is := areas(o.General()), areas(after.Operations[i].General())
			for area := range is {
				if was[area] != is[area] && !named[area] && !named[o.Key.String()+" "+area] {
					t.Errorf("%s %s changes and no step says so: %s", o.Key, area, cmp.Diff(was[area], is[area]))
				}
			}
		}
	})
}

// TestBudget: without leave no entry is taken out, and with it no more than were allowed; what is refused for it says how to allow it.
func TestBudget(t *testing.T) {
	g := gateways()["kong"]
	weak := g.good.With(t, "kong.yaml", "  routes:\n", "  routes:\n  - {name: debug, paths: [\"~/debug$\"], methods: [GET], protocols: [https]}\n  - {name: dump, paths: [\"~/dump$\"], methods: [GET], protocols: [https]}\n")
	for allowed, want := range []int{0, 0, 2, 2} {
		p := g.plan(weak, plan.Options{Deletions: allowed})
		if p.Deletes != want || p.Deletes > allowed {
			t.Errorf("%d entries are taken out where %d may be, want %d", p.Deletes, allowed, want)
		}
		if allowed == 0 && !slices.ContainsFunc(p.Refusals, func(r plan.Refusal) bool { return r.Rule == "DR-EXP-01" && strings.Contains(r.Control, "--delete") }) {
			t.Errorf("it is not said how to allow it: %+v", p.Refusals)
		}
	}
}

// TestNoSecretInThePlan: neither those of the folder nor those of the standard, in no form of the plan.
func TestNoSecretInThePlan(t *testing.T) {
	each(t, func(t *testing.T, g gateway, weak drifttest.Files) {
		p := g.plan(weak, plan.Options{Deletions: 2})
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		all := string(b)
		for _, f := range p.Files {
			all += f.Diff(f.Name)
		}
		for _, secret := range []string{"k9f8e7d6c5b4a39281", "pw4a5b6c7d8e9f0a1b"} {
			if strings.Contains(all, secret) {
				t.Errorf("a secret stands in the plan: %.4s…", secret)
			}
		}
	})
}

// TestASecretIsNotCarried: what the standard has behind the name of a secret stays there, and it is said.
func TestASecretIsNotCarried(t *testing.T) {
	g := gateways()["krakend"]
	weak := g.good.With(t, "krakend.json", `"password": "pw4a5b6c7d8e9f0a1b"`, `"db": "x"`).With(t, "krakend.json", `"auth/validator"`, `"@off"`)
	p := g.plan(weak, plan.Options{Deletions: 2})
	if len(p.Steps) == 0 {
		t.Fatal("nothing is planned")
	}
	for _, f := range p.Files {
		if done, err := f.Done([]byte(weak[f.Name])); err != nil || strings.Contains(string(done), "pw4a5b6c7d8e9f0a1b") {
			t.Errorf("the standard's password is carried over (%v)", err)
		}
	}
}

// TestOtherTiersAddressesAreNotCarried: what names the standard's own tier stays there.
func TestOtherTiersAddressesAreNotCarried(t *testing.T) {
	g := gateways()["ingressnginx"]
	std := g.good.With(t, "deploy/ingress.yaml", "https://auth.example.com/check", "https://auth.staging.example.com/check")
	weak := g.weakened([]int{0})
	p := plan.Make([]plan.Target{
		{Env: g.env(std.FS(), "a"), Files: std.FS()},
		{Env: g.env(weak.FS(), "b"), Files: weak.FS(), Read: func(f fs.FS) *drift.Environment { return g.env(f, "b") }},
	}, plan.Options{Like: "a", Settings: drift.Settings{Now: drifttest.Now()}})
	b, err := json.Marshal(p.Files)
	if err != nil || strings.Contains(string(b), "staging") {
		t.Errorf("a production environment would ask staging (%v): %s", err, b)
	}
	if !slices.ContainsFunc(p.Refusals, func(r plan.Refusal) bool { return r.Rule == "DR-AUT-01" && r.Reason != "" && r.Control != "" }) {
		t.Errorf("it is not said why: %+v %+v", p.Steps, p.Refusals)
	}
}

// TestNumbersAreNotOvershot: a limit is brought to the standard's and not beyond it, also where several operations share it.
func TestNumbersAreNotOvershot(t *testing.T) {
	g := gateways()["kong"]
	p := g.plan(g.weakened([]int{1}), plan.Options{})
	if len(p.Files) != 1 || len(p.Files[0].Edits) != 1 || p.Files[0].Edits[0].Old != "00" || p.Files[0].Edits[0].New != "" {
		t.Errorf("6000 is to become 60: %+v", p.Files)
	}
}
