package tyk_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/tyk"
)

// TestCorpus reads every file of the corpus alone, and all of them together.
func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "tyk")
	files, ops, open, apis := 0, 0, 0, 0
	var total []*drift.Environment
	drifttest.EachFile(t, dir, []string{".json", ".yaml", ".yml"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, problems := tyk.Read(fsys, drift.Options{Name: "x", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		secrets := drifttest.Secrets(text)
		if strings.Contains(string(text), `"jwt_signing_method": "hmac"`) {
			secrets = append(secrets, "dHlrLWp3dC10ZXN0LXNlY3JldA==", "tyk-jwt-test-secret")
		}
		drifttest.Hidden(t, name, e, secrets)
		for _, p := range problems {
			if p.Partial && e.Files.Skipped == 0 {
				t.Logf("%s: %s", name, p)
			}
		}
		for _, o := range e.Operations {
			if o.General().Auth.Ways.Value.Open() && o.General().Auth.Ways.Known() {
				open++
			}
		}
		if ops += len(e.Operations); len(e.Operations) > 0 {
			apis++
		}
		total = append(total, e)
	})
	if apis < 50 || ops < 60 {
		t.Errorf("%d files, %d with an API, %d operations: fewer than there are", files, apis, ops)
	}
	t.Logf("%d files, %d with an API, %d operations of which %d are open; %s", files, apis, ops, open, drift.CoverAll(total))
	whole, _ := tyk.Read(os.DirFS(dir), drift.Options{Name: "all"})
	drifttest.Invariants(t, "all", whole)
}

func read(t *testing.T, f drifttest.Files) *drift.Environment {
	t.Helper()
	return drifttest.Read(t, tyk.Read, f, "x", drift.Prod)
}

func classic(fields string) drifttest.Files {
	return drifttest.Files{"api.json": `{"name":"a","api_id":"a","proxy":{"listen_path":"/a/","target_url":"https://u"},` + fields + `}`}
}

func TestAuthentication(t *testing.T) {
	for _, c := range []struct{ name, fields, want, state string }{
		{"keyless", `"use_keyless":true`, "open", "set"},
		{"nothing said is a key", `"use_keyless":false`, "api_key", "set"},
		{"methods are chained", `"use_basic_auth":true,"enable_jwt":true`, "basic and jwt", "set"},
		{"mutual TLS beside a method", `"use_mutual_tls_auth":true,"enable_jwt":true`, "jwt and mtls", "set"},
		{"mutual TLS alone", `"use_mutual_tls_auth":true`, "mtls", "set"},
		{"code of somebody's own", `"enable_coprocess_auth":true`, "custom_code", "set"},
		{"a bundle before an open API", `"use_keyless":true,"custom_middleware_bundle":"b.zip"`, "open", "unresolved"},
	} {
		e := read(t, classic(c.fields))
		drifttest.Invariants(t, c.name, e)
		w := e.Operations[0].General().Auth.Ways
		if got := w.Value.String(); got != c.want || w.State.String() != c.state {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, got, w.State, c.want, c.state)
		}
	}
}

func TestLists(t *testing.T) {
	paths := func(s string) drifttest.Files {
		return classic(`"use_keyless":false,"version_data":{"not_versioned":true,"versions":{"Default":{"use_extended_paths":true,"extended_paths":{` + s + `}}}}`)
	}
	find := func(e *drift.Environment, key string) *drift.Policy {
		for _, o := range e.Operations {
			if o.Key.String() == key {
				return o.General()
			}
		}
		t.Fatalf("no %s among %v", key, e.Operations)
		return nil
	}
	e := read(t, paths(`"white_list":[{"path":"/in","method":"GET"}],"black_list":[{"path":"/out","method":"POST"}],"ignored":[{"path":"/health","method_actions":{"GET":{"action":"no_action"}}}]`))
	for key, denied := range map[string]bool{"GET /a/in": false, "POST /a/out": true, "GET /a/health": false} {
		p := find(e, key)
		if got := len(p.Access.Rules.Value) > 0; got != denied {
			t.Errorf("%s: denied %v, want %v", key, got, denied)
		}
		if exempt := strings.Contains(key, "health"); p.Auth.Exempt.Value != exempt || p.Auth.Ways.Value.Open() != exempt {
			t.Errorf("%s: exempt %v, %s", key, p.Auth.Exempt.Value, p.Auth.Ways.Value)
		}
	}
	for _, o := range e.Operations {
		if o.Key.Path == "/a/**" {
			t.Error("an allow list leaves the rest of the API open")
		}
	}
	if off := read(t, paths(`"ignored":[{"disabled":true,"path":"/health"}]`)); len(off.Operations) != 1 {
		t.Errorf("what is disabled makes an operation: %v", off.Operations)
	}
}

// TestPolicies holds that of several policies the most permissive counts, and that a policy that is not among the files leaves limits unresolved.
func TestPolicies(t *testing.T) {
	const two = `{"slow":{"rate":10,"per":60,"quota_max":100,"quota_renewal_rate":86400,"access_rights":{"a":{"api_id":"a"}}},"fast":{"rate":50,"per":10,"quota_max":-1,"access_rights":{"a":{"api_id":"a"}}}}`
	f := classic(`"enable_jwt":true,"jwt_default_policies":["slow","fast"]`)
	f["policies.json"] = two
	e := read(t, f)
	drifttest.Invariants(t, "policies", e)
	p := e.Operations[0].General()
	if len(p.Rates.Value) != 1 || p.Rates.Value[0].Count.Value != 50 || p.Rates.Value[0].Window.Value != 10 {
		t.Errorf("rates %v", p.Rates.Value)
	}
	if len(p.Quotas.Value) != 0 {
		t.Errorf("one policy has no quota, so there is none: %v", p.Quotas.Value)
	}
	if eff := e.Operations[0].Effective; len(eff) != 3 || eff[2].Class != "policy slow" || eff[2].Policy.Rates.Value[0].Count.Value != 10 || eff[2].Policy.Quotas.Value[0].Count.Value != 100 {
		t.Errorf("classes %+v", eff)
	}
	f["api.json"] = strings.Replace(f["api.json"], `"fast"]`, `"elsewhere"]`, 1)
	p = read(t, f).Operations[0].General()
	if c := p.Rates.Value[0].Count; c.State != drift.Unresolved || p.Quotas.State != drift.Unresolved {
		t.Errorf("a policy that is not there: %+v, %+v", c, p.Quotas)
	}
}

func TestCompliantSecurityIsAChoice(t *testing.T) {
	dir := drifttest.Corpus(t, "tyk")
	b, err := os.ReadFile(dir + "/tyk-definitions/ci/tests/tracing/apps/test-multiauth-oas.json")
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]string{"compliant": "api_key or jwt", "legacy": "jwt"} {
		e := read(t, drifttest.Files{"api.json": strings.Replace(string(b), `"compliant"`, `"`+mode+`"`, 1)})
		if got := e.Operations[0].General().Auth.Ways.Value.String(); got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(goodClassic))
	f.Add([]byte(goodOAS))
	f.Add([]byte(`{"proxy":{"listen_path":"{{"},"auth":{},"version_data":{"versions":{"":{"extended_paths":{"white_list":[{"path":"(["}]}}}},"enable_jwt":true,"jwt_source":"aHR0cDovLyU="}`))
	f.Add([]byte(`{"p":{"access_rights":{"":{"limit":{"rate":-1}}},"per":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _ := tyk.Read(drifttest.Files{"api.json": string(b)}.FS(), drift.Options{Name: "x"})
		drifttest.Invariants(t, "fuzz", e)
	})
}
