package control_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/apikey"
	"gatehouse/policy/oauth"
	"gatehouse/policy/several"
	"gatehouse/policy/workload"
	"gatehouse/snapshot"
	"gatehouse/token"
)

const (
	entraTenant = "8f0c1d2e-0000-4000-8000-0123456789ab"
	entraClient = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	trustedYAML = `
trusted_issuers:
  - {name: ci, issuer: "https://ci.example", audiences: ["https://gateway.test", "https://second.test"], algorithms: [ES256]}
  - {name: contoso, kind: entra, issuer: "https://login.microsoftonline.com/` + entraTenant + `/v2.0", audiences: ["api-guid"], algorithms: [ES256]}
  - {name: cluster, kind: kubernetes, issuer: "https://cluster.example", audiences: [gatehouse], environments: [test], algorithms: [ES256]}
`
)

// trusting is a realm whose manifest trusts issuers elsewhere, all with the one key.
func trusting(t *testing.T) (*realm, key) {
	t.Helper()
	r, k := newRealm(t), newKey(t)
	methods := []policy.Kind{apikey.Kind(), oauth.Kind(), workload.Kind()}
	r.Control.Kinds = append(kinds(), methods[1], methods[2], several.AnyOf(methods), several.AllOf(methods))
	several := "[any_of: {methods: [{api_key: {}}, {oauth: {}}, {workload_identity: {}}]}, grant, rate_limit]"
	text := strings.ReplaceAll(gatehouseYAML, "[api_key, grant, rate_limit]", several)
	text = strings.Replace(text, "remove: "+several, "remove: [any_of, grant, rate_limit]", 1)
	text = strings.ReplaceAll(text, "{name: free,", "{name: free, credentials: [api_key, oauth_client, workload_identity],") + trustedYAML
	b := manifest.Bundle{"gatehouse.yaml": []byte(text), "ident.yaml": []byte(openAPI)}
	keys := policy.NewTrustedKeys()
	keys.Saw(&policy.KeySet{Keys: must(token.ParseSet(k.set()))(t)}, r.clock.Now())
	r.deps.Trusted = func(*policy.TrustedIssuer) *policy.TrustedKeys { return keys }
	p, ds := manifest.Parse(b)
	for e, v := range r.gates {
		if out, err := r.Publish(r.ctx, r.operator, e, b, "issuers"); err != nil {
			t.Fatalf("%v %v %v", err, out.Diagnostics, ds)
		}
		routes, ds := snapshot.Compile(p, e, 2, r.Control.Kinds, r.deps)
		if routes == nil {
			t.Fatal(ds)
		}
		r.gates[e] = &snapshot.View{Routes: routes, Access: v.Access}
	}
	r.follow()
	return r, k
}

func (r *realm) bind(n control.NewWorkload) credential.Credential {
	r.t.Helper()
	cr, err := r.BindWorkload(r.ctx, r.a, n)
	if err != nil {
		r.t.Fatal(err)
	}
	r.follow()
	return cr
}

func TestWorkloadIdentities(t *testing.T) {
	r, k := trusting(t)
	job := control.NewWorkload{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "pipeline"}, Issuer: "ci", Subject: "repo:org/app", Audience: "https://gateway.test",
		Claims: []credential.Claim{{Name: "ref", Value: "refs/heads/main"}}}
	says := func(more map[string]any) string {
		now := r.clock.Now().Unix()
		c := map[string]any{"iss": "https://ci.example", "sub": "repo:org/app", "aud": "https://gateway.test", "iat": now, "exp": now + 300, "ref": "refs/heads/main"}
		maps.Copy(c, more)
		return k.sign(t, "JWT", false, c)
	}
	bearer := func(a string) []string { return []string{"Authorization", "Bearer " + a} }
	r.wantCall("before it is bound", "workload-unknown", "live", "GET", checks, bearer(says(nil))...)
	cr := r.bind(job)
	if cr.Kind != credential.Federated || cr.Workload.Issuer != "https://ci.example" || cr.State != credential.Active || cr.Expires.Sub(cr.Created) > 30*24*time.Hour {
		t.Fatalf("%+v", cr)
	}
	tok := says(nil)
	x := r.wantCall("its token", "", "live", "GET", checks, bearer(tok)...)
	if x.Principal.Credential.ID(id.Credential) != cr.ID || x.Principal.Method != "workload_identity" || x.Grant.None() || x.Principal.Constrained || x.Principal.Expires != (r.clock.Now().Unix()+300)*1_000_000 {
		t.Errorf("%+v", x.Principal)
	}
	for _, f := range x.Request.Fields {
		if strings.Contains(f.Value.String(), tok) {
			t.Error("the token is forwarded")
		}
	}
	x = r.wantCall("once more, from what is kept", "", "live", "POST", checks, bearer(tok)...)
	if x.Principal.Expires != (r.clock.Now().Unix()+300)*1_000_000 {
		t.Errorf("%+v", x.Principal)
	}
	for what, c := range map[string]struct {
		want   string
		fields []string
	}{
		"another subject":         {"workload-unknown", bearer(says(map[string]any{"sub": "repo:org/other"}))},
		"another claim":           {"workload-claims", bearer(says(map[string]any{"ref": "refs/heads/evil"}))},
		"the other audience":      {"workload-unknown", bearer(says(map[string]any{"aud": "https://second.test"}))},
		"no audience of ours":     {"workload-audience", bearer(says(map[string]any{"aud": "https://elsewhere.test"}))},
		"another issuer":          {"workload-issuer", bearer(says(map[string]any{"iss": "https://evil.example"}))},
		"an issuer not here":      {"workload-issuer", bearer(says(map[string]any{"iss": "https://cluster.example", "aud": "gatehouse"}))},
		"by a stranger":           {"workload-forged", bearer(newKey(t).sign(t, "JWT", false, map[string]any{"iss": "https://ci.example", "sub": "repo:org/app"}))},
		"no JWT":                  {"workload-issuer", bearer("nonsense")},
		"twice":                   {"token-repeated", append(bearer(tok), bearer(tok)...)},
		"a key beside it":         {"proof-repeated", append(bearer(tok), "X-API-Key", "gh_live_x")},
		"as DPoP":                 {"dpop-proof", []string{"Authorization", "DPoP " + tok}},
		"bound to a certificate":  {"workload-certificate", bearer(says(map[string]any{"cnf": map[string]string{"x5t#S256": strings.Repeat("A", 43)}}))},
		"bound to something else": {"workload-bound", bearer(says(map[string]any{"cnf": map[string]string{"jkt": "x"}}))},
	} {
		if got, _ := r.call("live", "GET", checks, c.fields...); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
	r.wantCall("in another environment", "workload-unknown", "test", "GET", checks, bearer(tok)...)

	// Our own tokens go on beside them.
	own, value := r.client(control.NewClient{Method: credential.ClientSecret})
	got := r.post("live", "token", grantType("resource", "https://gateway.test/ident/v1"), basic(own, value)...)
	x = r.wantCall("a token of our own", "", "live", "GET", checks, bearer(got.Access)...)
	if x.Principal.Method != "oauth_client" {
		t.Errorf("%+v", x.Principal)
	}
	r.wantCall("one that says it is ours", "token-unsigned", "live", "GET", checks, bearer(newKey(t).sign(t, "at+jwt", false, map[string]any{"iss": must(r.Issuer(r.ctx, r.a, "live"))(t).URL}))...)
	r.wantCall("the workload's, with an issuer of our own there", "", "live", "GET", checks, bearer(tok)...)

	// The credential counts on every request.
	cr = must(r.SuspendCredential(r.ctx, r.a, cr.ID, 0, "a pause"))(t)
	r.follow()
	r.wantCall("suspended", "workload-suspended", "live", "GET", checks, bearer(tok)...)
	must(r.ResumeCredential(r.ctx, r.a, cr.ID, 0, "go on"))(t)
	sources := []string{"198.51.100.0/24"}
	must(r.ChangeCredential(r.ctx, r.a, cr.ID, 0, control.CredentialChange{Sources: &sources}))(t)
	r.follow()
	r.wantCall("from elsewhere", "workload-source", "live", "GET", checks, bearer(tok)...)
	sources = nil
	must(r.ChangeCredential(r.ctx, r.a, cr.ID, 0, control.CredentialChange{Sources: &sources}))(t)
	r.follow()
	r.wantCall("from anywhere", "", "live", "GET", checks, bearer(tok)...)
	r.clock.pass(301 * time.Second)
	r.wantCall("expired, although it is kept", "workload-expired", "live", "GET", checks, bearer(tok)...)

	// One workload is one application's, whoever's it is and wherever.
	second := r.verified("Second", "second@example.org")
	theirs := r.application(second, "theirs")
	r.grantOf(must(r.RequestAccess(r.ctx, second, ask(theirs, "live", "reading", "free")))(t))
	r.grantOf(must(r.RequestAccess(r.ctx, second, ask(theirs, "test", "reading", "free")))(t))
	other := job
	other.Application, other.Claims = theirs.ID, nil
	for _, e := range []string{"live", "test"} {
		other.Environment = e
		_, err := r.BindWorkload(r.ctx, second, other)
		wants(t, "another organization in "+e, err, fault.Conflict, "workload-taken")
		if text := err.Error(); strings.Contains(text, string(cr.ID)) || strings.Contains(text, "First") {
			t.Errorf("the refusal tells whose it is: %s", text)
		}
	}
	job.Claims = nil
	_, err := r.BindWorkload(r.ctx, r.a, job)
	wants(t, "once more", err, fault.Conflict, "workload-taken")
	must(r.RevokeCredential(r.ctx, r.a, cr.ID, 0, "over"))(t)
	r.follow()
	r.wantCall("revoked", "workload-revoked", "live", "GET", checks, bearer(says(nil))...)
	other.Environment = "live"
	next := must(r.BindWorkload(r.ctx, second, other))(t)
	r.follow()
	x = r.wantCall("bound anew", "", "live", "GET", checks, bearer(says(nil))...)
	if x.Principal.Credential.ID(id.Credential) != next.ID || x.Principal.Application.ID(id.Application) != theirs.ID {
		t.Errorf("%+v", x.Principal)
	}

	// One that expires makes room too, and what happens to it later does not touch the one in its place.
	r.clock.pass(next.Expires.Sub(r.clock.Now()))
	if code, _ := r.call("live", "GET", checks, bearer(says(nil))...); code != "workload-keys" {
		t.Errorf("with keys that nobody has looked at for a month: %q", code)
	}
	r.deps.Trusted(nil).Saw(&policy.KeySet{Keys: must(token.ParseSet(k.set()))(t)}, r.clock.Now())
	r.wantCall("expired by itself", "workload-expired", "live", "GET", checks, bearer(says(nil))...)
	r.grantOf(must(r.RequestAccess(r.ctx, r.a, ask(r.app, "live", "starting", "free")))(t))
	again := r.bind(job)
	must(r.RevokeCredential(r.ctx, second, next.ID, 0, "cleaning up"))(t)
	r.follow()
	x = r.wantCall("in its place", "", "live", "GET", checks, bearer(says(nil))...)
	if x.Principal.Credential.ID(id.Credential) != again.ID {
		t.Errorf("%+v", x.Principal)
	}
}

func TestWorkloadsThatCannotBeBound(t *testing.T) {
	r, _ := trusting(t)
	good := control.NewWorkload{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "w"}, Issuer: "ci", Subject: "s", Audience: "https://gateway.test"}
	for what, c := range map[string]struct {
		change func(*control.NewWorkload)
		want   string
	}{
		"no issuer":                    {func(n *control.NewWorkload) { n.Issuer = "" }, "/issuer"},
		"an issuer that nobody trusts": {func(n *control.NewWorkload) { n.Issuer = "https://evil.example" }, "/issuer"},
		"one of another environment":   {func(n *control.NewWorkload) { n.Issuer = "cluster" }, "/issuer"},
		"no environment":               {func(n *control.NewWorkload) { n.Environment = "moon" }, "/environment"},
		"no subject":                   {func(n *control.NewWorkload) { n.Subject = "" }, "/subject"},
		"a subject with a line end":    {func(n *control.NewWorkload) { n.Subject = "a\nb" }, "/subject"},
		"a long subject":               {func(n *control.NewWorkload) { n.Subject = strings.Repeat("s", 513) }, "/subject"},
		"no audience of several":       {func(n *control.NewWorkload) { n.Audience = "" }, "/audience"},
		"another audience":             {func(n *control.NewWorkload) { n.Audience = "sts.amazonaws.com" }, "/audience"},
		"Entra, no GUID":               {func(n *control.NewWorkload) { n.Issuer, n.Subject, n.Audience = "contoso", "my app", "" }, "/subject"},
		"Entra, a GUID in upper case": {func(n *control.NewWorkload) {
			n.Issuer, n.Subject, n.Audience = "contoso", strings.ToUpper(entraClient), ""
		}, "/subject"},
		"Kubernetes, no account":    {func(n *control.NewWorkload) { n.Environment, n.Issuer, n.Audience = "test", "cluster", "gatehouse" }, "/subject"},
		"a claim that is looked at": {func(n *control.NewWorkload) { n.Claims = []credential.Claim{{Name: "sub", Value: "x"}} }, "/claims/0/name"},
		"a claim without a name":    {func(n *control.NewWorkload) { n.Claims = []credential.Claim{{Value: "x"}} }, "/claims/0/name"},
		"a claim without a value":   {func(n *control.NewWorkload) { n.Claims = []credential.Claim{{Name: "x"}} }, "/claims/0/value"},
		"a claim twice": {func(n *control.NewWorkload) {
			n.Claims = []credential.Claim{{Name: "x", Value: "y"}, {Name: "x", Value: "y"}}
		}, "/claims/1"},
		"more claims than are taken":    {func(n *control.NewWorkload) { n.Claims = make([]credential.Claim, 11) }, "/claims"},
		"a source that is no network":   {func(n *control.NewWorkload) { n.Sources = []string{"x"} }, "/sources/0"},
		"for longer than the plans say": {func(n *control.NewWorkload) { n.Lifetime = 3000 * time.Hour }, "/lifetime"},
	} {
		n := good
		c.change(&n)
		if _, err := r.BindWorkload(r.ctx, r.a, n); wrong(err) != c.want {
			t.Errorf("%s: wrong are %q, want %q (%v)", what, wrong(err), c.want, err)
		}
	}
	n := good
	n.Issuer, n.Subject, n.Audience = "contoso", entraClient, ""
	if cr, err := r.BindWorkload(r.ctx, r.a, n); err != nil || cr.Workload.Audience != "api-guid" {
		t.Errorf("the only audience: %+v %v", cr, err)
	}
	n.Application = r.application(r.a, "no grant").ID
	n.Subject = strings.Replace(entraClient, "a", "b", 1)
	_, err := r.BindWorkload(r.ctx, r.a, n)
	wants(t, "without a grant", err, fault.Conflict, "no-grant")
	if list := must(r.TrustedIssuers(r.ctx, r.a, "test"))(t); len(list) != 3 || list[2].Name != "cluster" {
		t.Errorf("%+v", list)
	}
	_, err = r.TrustedIssuers(r.ctx, r.a, "moon")
	wants(t, "no such environment", err, fault.NotFound, "")
}

// A token that was verified costs no signature, no allocation and still every look-up.
func TestKeptWorkloadTokensAllocateNothing(t *testing.T) {
	r, k := trusting(t)
	r.bind(control.NewWorkload{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "w"}, Issuer: "ci", Subject: "s", Audience: "https://gateway.test", Claims: []credential.Claim{{Name: "a", Value: "b"}}})
	now := r.clock.Now()
	tok := k.sign(t, "JWT", false, map[string]any{"iss": "https://ci.example", "sub": "s", "aud": "https://gateway.test", "iat": now.Unix(), "exp": now.Unix() + 300, "a": "b"})
	v := r.gates["live"]
	x := &policy.Exchange{Now: now, Access: v}
	value := []byte("Bearer " + tok)
	x.Request.Method, x.Request.Path = []byte("GET"), []byte(checks)
	x.Request.Fields.Add([]byte("Authorization"), value)
	route := v.Match(&x.Request.Head).Route
	x.Route = &route.RouteInfo
	authenticate := route.Request[0]
	run := func() {
		x.Request.Fields = x.Request.Fields[:0]
		x.Request.Fields.Add(authorization, value)
		if err := authenticate(x); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r.deps.Tokens.Workload(r.deps.Tokens.Print([]byte(tok))) == nil {
		t.Error("the token is not kept")
	}
}

var authorization = []byte("Authorization")
