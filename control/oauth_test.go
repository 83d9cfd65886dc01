package control_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/application"
	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/apikey"
	"gatehouse/policy/granted"
	"gatehouse/policy/oauth"
	"gatehouse/policy/several"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/token"
)

// realm is a control plane with its token endpoint and, for each environment, what its gateway does with a request: the same
// access index, routes and policies, fed from the same feed.
type realm struct {
	*world
	at    string
	deps  policy.Deps
	gates map[string]*snapshot.View
	seen  map[string]feed.Position
	a     identity.Actor
	app   application.Application
}

func newRealm(t testing.TB) *realm {
	t.Helper()
	w := newWorld(t)
	w.staffed()
	methods := []policy.Kind{apikey.Kind(), oauth.Kind()}
	w.Control.Kinds = append(kinds(), methods[1], several.AnyOf(methods), several.AllOf(methods))
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live", "test"}); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(gatehouseYAML, "[api_key, grant, rate_limit]", "[any_of: {methods: [{api_key: {}}, {oauth: {}}]}, grant, rate_limit]")
	text = strings.Replace(text, "remove: [any_of: {methods: [{api_key: {}}, {oauth: {}}]}, grant, rate_limit]", "remove: [any_of, grant, rate_limit]", 1)
	text = strings.ReplaceAll(text, "{name: free,", "{name: free, credentials: [api_key, oauth_client, client_certificate],")
	b := manifest.Bundle{"gatehouse.yaml": []byte(text), "ident.yaml": []byte(openAPI)}
	r := &realm{world: w, gates: map[string]*snapshot.View{}, seen: map[string]feed.Position{}}
	r.deps = policy.Deps{Limiter: func(string) *ratelimit.Limiter { return ratelimit.NewLimiter(1000) },
		Secret: func(string) (secret.Value, bool) { return secret.New("x"), true }, Tokens: policy.NewTokens(), Proofs: token.NewProver()}
	p, _ := manifest.Parse(b)
	for _, e := range []string{"live", "test"} {
		if out, err := w.Publish(w.ctx, w.operator, e, b, "first"); err != nil {
			t.Fatalf("%v %v", err, out.Diagnostics)
		}
		routes, ds := snapshot.Compile(p, e, 1, w.Control.Kinds, r.deps)
		if routes == nil {
			t.Fatal(ds)
		}
		r.gates[e], r.seen[e] = &snapshot.View{Routes: routes, Access: snapshot.NewAccess(e)}, feed.Position{Epoch: 1}
	}
	h, err := authserver.New(authserver.Options{Control: w.Control, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	r.at = s.URL
	r.a = w.verified("First", "first@example.org")
	r.app = w.application(r.a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, r.a, ask(r.app, "live", "reading", "free")))(t))
	w.grantOf(must(w.RequestAccess(w.ctx, r.a, ask(r.app, "live", "starting", "free")))(t))
	w.grantOf(must(w.RequestAccess(w.ctx, r.a, ask(r.app, "test", "reading", "free")))(t))
	return r
}

// follow brings what was written to the gateways.
func (r *realm) follow() {
	r.t.Helper()
	if err := r.Sequence(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	for e, v := range r.gates {
		for _, entry := range must(r.Source().Tail(r.ctx, e, r.seen[e], 500))(r.t) {
			if err := v.Apply(entry); err != nil {
				r.t.Fatal(err)
			}
			r.seen[e] = entry.Position()
		}
	}
}

func (r *realm) client(n control.NewClient) (credential.Credential, secret.Value) {
	r.t.Helper()
	if n.Environment == "" {
		n.Environment = "live"
	}
	n.Application, n.Name = r.app.ID, "client"
	cr, value, err := r.RegisterClient(r.ctx, r.a, n)
	if err != nil {
		r.t.Fatal(err)
	}
	r.follow()
	return cr, value
}

type reply struct {
	status int
	header http.Header
	Access string `json:"access_token"`
	Type   string `json:"token_type"`
	Lives  int64  `json:"expires_in"`
	Scope  string `json:"scope"`
	Error  string `json:"error"`
	Active bool   `json:"active"`
	Client string `json:"client_id"`
	raw    string
}

// post sends a form to an endpoint of the environment. Fields of the header come in pairs.
func (r *realm) post(env, endpoint string, form url.Values, fields ...string) (out reply) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.at+"/oauth/"+env+"/"+endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			r.t.Fatalf("%v in %s", err, raw)
		}
	}
	out.status, out.header, out.raw = res.StatusCode, res.Header, string(raw)
	return out
}

func basic(cr credential.Credential, value secret.Value) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(string(cr.ID)+":"+value.Reveal()))}
}

func grantType(more ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(more); i += 2 {
		v.Add(more[i], more[i+1])
	}
	return v
}

// call is what the gateway of the environment says to a request: "" passes, else the code.
func (r *realm) call(env, method, path string, fields ...string) (string, *policy.Exchange) {
	r.t.Helper()
	v := r.gates[env]
	x := &policy.Exchange{Now: r.clock.Now(), Access: v}
	x.Request.Method, x.Request.Path = []byte(method), []byte(path)
	for i := 0; i < len(fields); i += 2 {
		x.Request.Fields.AddString(fields[i], fields[i+1])
	}
	m := v.Match(&x.Request.Head)
	if m.Route == nil {
		r.t.Fatalf("%s %s is no route", method, path)
	}
	x.Route = &m.Route.RouteInfo
	for _, do := range m.Route.Request {
		if err := do(x); err != nil {
			x.Refusal = fault.As(err)
			break
		}
	}
	for _, do := range slices.Backward(m.Route.Response) {
		do(x)
	}
	if x.Refusal != nil {
		return x.Refusal.Code, x
	}
	return "", x
}

func (r *realm) wantCall(what, want, env, method, path string, fields ...string) *policy.Exchange {
	r.t.Helper()
	got, x := r.call(env, method, path, fields...)
	if got != want {
		r.t.Errorf("%s: the gateway says %q, want %q", what, got, want)
	}
	return x
}

func (r *realm) wantError(what string, got reply, status int, code string) {
	r.t.Helper()
	if got.status != status || got.Error != code {
		r.t.Errorf("%s: %d %s, want %d %q", what, got.status, got.raw, status, code)
	}
}

const checks = "/ident/v1/checks"

func TestClientSecret(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	got := r.post("live", "token", grantType("resource", "https://gateway.test/ident/v1"), basic(cr, value)...)
	if got.status != 200 || got.Type != "Bearer" || got.Lives != 300 || got.Scope != "checks:read checks:write" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	s, err := token.Parse(got.Access, []string{"ES256"})
	if err != nil || s.Header.Typ != "at+jwt" {
		t.Fatalf("%+v %v", s, err)
	}
	bearer := func(a string) []string { return []string{"Authorization", "Bearer " + a} }
	x := r.wantCall("a call", "", "live", "GET", checks, bearer(got.Access)...)
	if x.Principal.Credential.ID(id.Credential) != cr.ID || x.Principal.Method != "oauth_client" || x.Grant.None() || x.Principal.Constrained {
		t.Errorf("%+v %+v", x.Principal, x.Grant)
	}
	for _, f := range x.Request.Fields {
		if strings.Contains(f.Value.String(), got.Access) {
			t.Error("the token is forwarded")
		}
	}
	r.wantCall("once more, from what is kept", "", "live", "POST", checks, bearer(got.Access)...)
	r.wantCall("in another environment", "token-unsigned", "test", "GET", checks, bearer(got.Access)...)
	x = r.wantCall("nothing", "proof-missing", "live", "GET", checks)
	found := false
	for _, f := range x.Response.Fields {
		found = found || f.Name.EqualFold("WWW-Authenticate") && strings.Contains(f.Value.String(), `resource_metadata="https://portal.test/oauth/live/resources/ident/v1"`)
	}
	if !found {
		t.Errorf("the 401 does not name the resource's metadata: %s", x.Response.Fields)
	}
	r.wantCall("twice", "token-repeated", "live", "GET", checks, "Authorization", "Bearer "+got.Access, "Authorization", "Bearer "+got.Access)
	r.wantCall("a key beside it", "proof-repeated", "live", "GET", checks, "X-API-Key", "gh_live_x", "Authorization", "Bearer "+got.Access)
	parts := strings.Split(got.Access, ".")
	for what, bad := range map[string]string{
		"cut off": parts[0] + "." + parts[1] + ".", "no signature": parts[0] + "." + parts[1], "another payload": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"x"}`)) + "." + parts[2],
		"alg none": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".", "huge": strings.Repeat("a", 20000),
		"alg HS256": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"at+jwt"}`)) + "." + parts[1] + "." + parts[2],
	} {
		if code, _ := r.call("live", "GET", checks, bearer(bad)...); code != "token-malformed" && code != "token-unsigned" {
			t.Errorf("%s: %q", what, code)
		}
	}

	narrow := r.post("live", "token", grantType("scope", "checks:read"), basic(cr, value)...)
	r.wantCall("with its scope", "", "live", "GET", checks, bearer(narrow.Access)...)
	r.wantCall("without its scope", "insufficient-scope", "live", "POST", checks, bearer(narrow.Access)...)

	post := grantType("client_id", string(cr.ID), "client_secret", value.Reveal())
	if got := r.post("live", "token", post); got.status != 200 {
		t.Errorf("client_secret_post: %s", got.raw)
	}
	r.wantError("two methods", r.post("live", "token", post, basic(cr, value)...), 400, "invalid_request")
	r.wantError("another secret", r.post("live", "token", grantType(), basic(cr, secret.New("ghc_live_x"))...), 401, "invalid_client")
	r.wantError("no client", r.post("live", "token", grantType()), 401, "invalid_client")
	r.wantError("another environment", r.post("test", "token", grantType(), basic(cr, value)...), 401, "invalid_client")
	r.wantError("no such environment", r.post("moon", "token", grantType(), basic(cr, value)...), 401, "invalid_client")
	r.wantError("another grant type", r.post("live", "token", url.Values{"grant_type": {"password"}}, basic(cr, value)...), 400, "unsupported_grant_type")
	r.wantError("a scope it does not hold", r.post("live", "token", grantType("scope", "checks:read admin"), basic(cr, value)...), 400, "invalid_scope")
	r.wantError("another resource", r.post("live", "token", grantType("resource", "https://elsewhere.test/"), basic(cr, value)...), 400, "invalid_target")
	r.wantError("a parameter twice", r.post("live", "token", url.Values{"grant_type": {"client_credentials", "client_credentials"}}, basic(cr, value)...), 400, "invalid_request")

	// One token ends, the others live on.
	about := func(a string) url.Values { return url.Values{"token": {a}} }
	if in := r.post("live", "introspect", about(got.Access), basic(cr, value)...); !in.Active || in.Client != string(cr.ID) {
		t.Errorf("introspection: %s", in.raw)
	}
	other, otherValue := r.client(control.NewClient{Method: credential.ClientSecret})
	if in := r.post("live", "introspect", about(got.Access), basic(other, otherValue)...); in.status != 200 || in.Active || in.Client != "" {
		t.Errorf("another client's introspection: %s", in.raw)
	}
	if rv := r.post("live", "revoke", about(got.Access), basic(other, otherValue)...); rv.status != 200 {
		t.Errorf("revocation by another: %s", rv.raw)
	}
	r.follow()
	r.wantCall("another client cannot revoke it", "", "live", "GET", checks, bearer(got.Access)...)
	if rv := r.post("live", "revoke", about(got.Access), basic(cr, value)...); rv.status != 200 {
		t.Errorf("revocation: %s", rv.raw)
	}
	r.follow()
	r.wantCall("revoked", "token-revoked", "live", "GET", checks, bearer(got.Access)...)
	r.wantCall("the other lives on", "", "live", "GET", checks, bearer(narrow.Access)...)
	if in := r.post("live", "introspect", about(got.Access), basic(cr, value)...); in.Active {
		t.Errorf("introspection after revocation: %s", in.raw)
	}

	// Keys rotate: what the old one signed still counts.
	before := must(r.Issuer(r.ctx, r.a, "live"))(t)
	must(r.RotateSigningKey(r.ctx, r.operator, "live", "to try"))(t)
	fresh := r.post("live", "token", grantType(), basic(cr, value)...)
	old, _ := token.Parse(narrow.Access, []string{"ES256"})
	now, _ := token.Parse(fresh.Access, []string{"ES256"})
	if old.Header.Kid == now.Header.Kid || now.Header.Kid != before.Keys[1].ID {
		t.Errorf("signed by %s, then by %s; next was %s", old.Header.Kid, now.Header.Kid, before.Keys[1].ID)
	}
	r.wantCall("by the new key, before the gateway has heard", "", "live", "GET", checks, bearer(fresh.Access)...)
	r.follow()
	r.wantCall("by the old key", "", "live", "GET", checks, bearer(narrow.Access)...)
	r.wantCall("by the new key", "", "live", "GET", checks, bearer(fresh.Access)...)

	// Credential and grant are looked up each time.
	cr = must(r.SuspendCredential(r.ctx, r.a, cr.ID, 0, "a pause"))(t)
	r.follow()
	r.wantCall("suspended", "client-suspended", "live", "GET", checks, bearer(fresh.Access)...)
	r.wantError("a token while suspended", r.post("live", "token", grantType(), basic(cr, value)...), 401, "invalid_client")
	must(r.ResumeCredential(r.ctx, r.a, cr.ID, 0, "go on"))(t)
	r.follow()
	r.clock.pass(6 * time.Minute)
	r.wantCall("expired", "token-expired", "live", "GET", checks, bearer(fresh.Access)...)
}

// key is a client's own key.
type key struct {
	private *ecdsa.PrivateKey
	public  jose.JSONWebKey
}

func newKey(t testing.TB) key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{k, jose.JSONWebKey{Key: &k.PublicKey, KeyID: "1", Algorithm: "ES256", Use: "sig"}}
}

func (k key) set() json.RawMessage {
	b, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.public}})
	return b
}

func (k key) sign(t testing.TB, typ string, embed bool, claims map[string]any) string {
	t.Helper()
	o := (&jose.SignerOptions{EmbedJWK: embed}).WithType(jose.ContentType(typ))
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.private, KeyID: "1"}}, o)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(claims)
	j, err := s.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	out, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPrivateKeyJWT(t *testing.T) {
	r := newRealm(t)
	k := newKey(t)
	cr, value := r.client(control.NewClient{Method: credential.PrivateKeyJWT, Keys: k.set()})
	if !value.Empty() {
		t.Error("a client with keys of its own got a secret")
	}
	now := r.clock.Now().Unix()
	good := map[string]any{"iss": cr.ID, "sub": cr.ID, "aud": "https://portal.test/oauth/live", "jti": "a", "iat": now, "exp": now + 60}
	assert := func(by key, change map[string]any) url.Values {
		c := maps.Clone(good)
		maps.Copy(c, change)
		return grantType("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", by.sign(t, "JWT", false, c))
	}
	first := assert(k, nil)
	if got := r.post("live", "token", first); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	r.wantError("the same assertion", r.post("live", "token", first), 401, "invalid_client")
	for what, form := range map[string]url.Values{
		"the same jti":           assert(k, map[string]any{"iat": now - 1}),
		"another key":            assert(newKey(t), map[string]any{"jti": "b"}),
		"another audience":       assert(k, map[string]any{"jti": "c", "aud": "https://portal.test/oauth/test"}),
		"two audiences":          assert(k, map[string]any{"jti": "d", "aud": []string{"https://portal.test/oauth/live", "https://elsewhere.test"}}),
		"another issuer":         assert(k, map[string]any{"jti": "e", "iss": "x"}),
		"expired":                assert(k, map[string]any{"jti": "f", "exp": now - 1}),
		"far ahead":              assert(k, map[string]any{"jti": "g", "exp": now + 3600}),
		"not yet valid":          assert(k, map[string]any{"jti": "h", "nbf": now + 120, "exp": now + 200}),
		"no jti":                 assert(k, map[string]any{"jti": ""}),
		"an access token's form": grantType("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", k.sign(t, "at+jwt", false, good)),
	} {
		r.wantError(what, r.post("live", "token", form), 401, "invalid_client")
	}
	r.wantError("in another environment", r.post("test", "token", assert(k, map[string]any{"jti": "z"})), 401, "invalid_client")
	if got := r.post("live", "token", assert(k, map[string]any{"jti": "i"})); got.status != 200 {
		t.Errorf("a fresh one: %s", got.raw)
	}
}

func TestDPoP(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret, Constrain: credential.ByDPoP})
	k := newKey(t)
	n := 0
	prove := func(by key, change map[string]any) string {
		n++
		c := map[string]any{"htm": "POST", "htu": "https://portal.test/oauth/live/token", "iat": r.clock.Now().Unix(), "jti": strings.Repeat("x", n)}
		maps.Copy(c, change)
		return by.sign(t, "dpop+jwt", true, c)
	}
	ask := func(proof string) reply {
		return r.post("live", "token", grantType(), append(basic(cr, value), "DPoP", proof)...)
	}
	r.wantError("no proof", r.post("live", "token", grantType(), basic(cr, value)...), 400, "invalid_dpop_proof")
	first := ask(prove(k, nil))
	r.wantError("no nonce", first, 400, "use_dpop_nonce")
	nonce := first.header.Get("DPoP-Nonce")
	r.wantError("another address", ask(prove(k, map[string]any{"nonce": nonce, "htu": "https://portal.test/oauth/test/token"})), 400, "invalid_dpop_proof")
	proof := prove(k, map[string]any{"nonce": nonce})
	got := ask(proof)
	if got.status != 200 || got.Type != "DPoP" {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	r.wantError("the same proof", ask(proof), 400, "invalid_dpop_proof")

	sum := sha256.Sum256([]byte(got.Access))
	ath := base64.RawURLEncoding.EncodeToString(sum[:])
	here := map[string]any{"htm": "GET", "htu": "https://gateway.test/ident/v1/checks", "ath": ath}
	at := func(by key, change map[string]any) []string {
		c := maps.Clone(here)
		maps.Copy(c, change)
		return []string{"Authorization", "DPoP " + got.Access, "DPoP", prove(by, c)}
	}
	r.wantCall("as a bearer", "token-scheme", "live", "GET", checks, "Authorization", "Bearer "+got.Access)
	r.wantCall("without a proof", "dpop-proof", "live", "GET", checks, "Authorization", "DPoP "+got.Access)
	x := r.wantCall("without a nonce", "dpop-nonce", "live", "GET", checks, at(k, nil)...)
	v, _ := x.Response.Fields.Get("DPoP-Nonce")
	nonced := func(more ...string) map[string]any {
		out := map[string]any{"nonce": v.String()}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	good := at(k, nonced())
	if x := r.wantCall("with everything", "", "live", "GET", checks, good...); !x.Principal.Constrained {
		t.Error("it is not seen as bound")
	}
	r.wantCall("the same proof", "dpop-replayed", "live", "GET", checks, good...)
	r.wantCall("another key", "dpop-proof", "live", "GET", checks, at(newKey(t), nonced())...)
	r.wantCall("another method", "dpop-proof", "live", "GET", checks, at(k, nonced("htm", "POST"))...)
	r.wantCall("another address", "dpop-proof", "live", "GET", checks, at(k, nonced("htu", "https://gateway.test/ident/v1/other"))...)
	r.wantCall("another token", "dpop-proof", "live", "GET", checks, at(k, nonced("ath", "x"))...)
	r.clock.pass(31 * time.Second)
	r.wantCall("an old nonce", "dpop-nonce", "live", "GET", checks, at(k, nonced())...)

	plain, plainValue := r.client(control.NewClient{Method: credential.ClientSecret})
	unbound := r.post("live", "token", grantType(), basic(plain, plainValue)...)
	r.wantCall("an unbound token as DPoP", "dpop-proof", "live", "GET", checks, "Authorization", "DPoP "+unbound.Access, "DPoP", prove(k, here))
}

func TestOAuthMetadata(t *testing.T) {
	r := newRealm(t)
	r.client(control.NewClient{Method: credential.ClientSecret})
	get := func(path string) (int, string) {
		res, err := http.Get(r.at + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	for path, has := range map[string]string{
		"/.well-known/oauth-authorization-server/oauth/live": `"issuer":"https://portal.test/oauth/live"`,
		"/oauth/live/jwks":               `"kty":"EC"`,
		"/oauth/live/resources/ident/v1": `"resource":"https://gateway.test/ident/v1","authorization_servers":["https://portal.test/oauth/live"],"scopes_supported":["checks:read","checks:write"]`,
	} {
		if status, body := get(path); status != 200 || !strings.Contains(body, has) || strings.Contains(body, `"d":`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server/oauth/test", "/oauth/moon/jwks", "/oauth/live/resources/other", "/oauth/live/authorize"} {
		if status, body := get(path); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// BenchmarkToken issues access tokens through HTTP's handler, on a real database.
func BenchmarkToken(b *testing.B) {
	r := newRealm(b)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	h, _ := authserver.New(authserver.Options{Control: r.Control, Now: r.clock.Now})
	form := grantType().Encode()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/oauth/live/token", strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(string(cr.ID), value.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// A token that was verified before costs no memory.
func TestKeptTokenAllocatesNothing(t *testing.T) {
	r := newRealm(t)
	p, x := r.kept()
	sent := x.Request.Fields[0]
	if n := testing.AllocsPerRun(100, func() {
		x.Request.Fields[0] = sent
		if err := p.Request(x); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// kept is the policy and a call with a token.
func (r *realm) kept() (policy.Policy, *policy.Exchange) {
	r.t.Helper()
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	got := r.post("live", "token", grantType(), basic(cr, value)...)
	p, err := oauth.Kind().Build(json.RawMessage("{}"), policy.Site{Route: &policy.RouteInfo{Environment: "live", Base: "/ident/v1", Scopes: []string{"checks:read"}}}, r.deps)
	if err != nil {
		r.t.Fatal(err)
	}
	x := &policy.Exchange{Now: r.clock.Now(), Access: r.gates["live"]}
	x.Request.Fields.AddString("Authorization", "Bearer "+got.Access)
	return p, x
}

// BenchmarkKeptToken takes a call with a token that was verified before through the policy.
func BenchmarkKeptToken(b *testing.B) {
	r := newRealm(b)
	p, x := r.kept()
	sent := x.Request.Fields[0]
	b.ReportAllocs()
	for b.Loop() {
		x.Request.Fields[0] = sent
		if err := p.Request(x); err != nil {
			b.Fatal(err)
		}
	}
}

// A client that proves itself by its certificate gets tokens that count on a connection with that certificate alone.
func TestSelfSignedTLS(t *testing.T) {
	r := newRealm(t)
	cert := func() *x509.Certificate {
		k := newKey(t)
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.private.Public(), k.private)
		if err != nil {
			t.Fatal(err)
		}
		return must(x509.ParseCertificate(der))(t)
	}
	mine, other := cert(), cert()
	thumb := sha256.Sum256(mine.Raw)
	cr, _ := r.client(control.NewClient{Method: credential.SelfSignedTLS, Thumbprint: base64.RawURLEncoding.EncodeToString(thumb[:])})
	h, _ := authserver.New(authserver.Options{Control: r.Control, Now: r.clock.Now})
	ask := func(shown *x509.Certificate, more ...string) reply {
		req := httptest.NewRequest(http.MethodPost, "/oauth/live/token", strings.NewReader(grantType(append(more, "client_id", string(cr.ID))...).Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.TLS = &tls.ConnectionState{}
		if shown != nil {
			req.TLS.PeerCertificates = []*x509.Certificate{shown}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		out := reply{status: w.Code, raw: w.Body.String()}
		_ = json.Unmarshal(w.Body.Bytes(), &out)
		return out
	}
	r.wantError("no certificate", ask(nil), 401, "invalid_client")
	r.wantError("another certificate", ask(other), 401, "invalid_client")
	r.wantError("a secret", ask(mine, "client_secret", "x"), 401, "invalid_client")
	got := ask(mine)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	p, _ := oauth.Kind().Build(json.RawMessage(`{"constrained": true}`), policy.Site{Route: &policy.RouteInfo{Environment: "live", Base: "/ident/v1"}}, r.deps)
	for what, c := range map[string]struct {
		tls  *policy.TLS
		want string
	}{
		"no TLS": {nil, "token-certificate"}, "no certificate": {&policy.TLS{}, "token-certificate"},
		"another": {&policy.TLS{Certificate: other, Thumbprint: sha256.Sum256(other.Raw)}, "token-certificate"},
		"its own": {&policy.TLS{Certificate: mine, Thumbprint: thumb}, ""},
	} {
		x := &policy.Exchange{Now: r.clock.Now(), Access: r.gates["live"], TLS: c.tls}
		x.Request.Fields.AddString("Authorization", "Bearer "+got.Access)
		err := p.Request(x)
		if f := fault.As(err); err == nil && c.want != "" || err != nil && f.Code != c.want {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
		if err == nil && !x.Principal.Constrained {
			t.Errorf("%s: not seen as bound", what)
		}
	}
}

// A plan can ask for proofs that are bound.
func TestConstrainedPlan(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	got := r.post("live", "token", grantType("scope", "checks:read"), basic(cr, value)...)
	_, x := r.call("live", "GET", checks, "Authorization", "Bearer "+got.Access)
	plan := *x.Grant.Plan
	plan.Constrained = true
	v := constrained{r.gates["live"], &plan}
	if _, err := granted.Find(v, x.Route, &x.Principal, x.Now); fault.As(err).Code != "not-constrained" {
		t.Errorf("a bearer token: %v", err)
	}
	x.Principal.Constrained = true
	if _, err := granted.Find(v, x.Route, &x.Principal, x.Now); err != nil {
		t.Errorf("a bound token: %v", err)
	}
}

// constrained is a view in which every plan is the one.
type constrained struct {
	*snapshot.View
	plan *policy.PlanInfo
}

func (c constrained) Plan(*policy.Terms) *policy.PlanInfo { return c.plan }
