package control_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/granted"
	"gatehouse/secret"
	"gatehouse/snapshot"
	"gatehouse/token"
)

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
		found = found || f.Name.EqualFold("WWW-Authenticate") && strings.Contains(f.Value.String(), `resource_metadata="https://gateway.test/.well-known/oauth-protected-resource/ident/v1"`)
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
	r.wantError("no grant type", r.post("live", "token", url.Values{}, basic(cr, value)...), 400, "invalid_request")
	quoted := r.post("live", "token", grantType("scope", "a\"b\\c\u00e9"), basic(cr, value)...)
	r.wantError("a scope that cannot be told back", quoted, 400, "invalid_scope")
	var said struct {
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(quoted.raw), &said); err != nil || said.Description == "" || strings.ContainsFunc(said.Description, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		t.Errorf("a description that RFC 6749 §5.2 does not allow: %s (%v)", quoted.raw, err)
	}
	r.wantError("a scope it does not hold", r.post("live", "token", grantType("scope", "checks:read admin"), basic(cr, value)...), 400, "invalid_scope")
	r.wantError("another resource", r.post("live", "token", grantType("resource", "https://elsewhere.test/"), basic(cr, value)...), 400, "invalid_target")
	r.wantError("a parameter twice", r.post("live", "token", url.Values{"grant_type": {"client_credentials", "client_credentials"}}, basic(cr, value)...), 400, "invalid_request")
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
	for _, path := range []string{"token", "introspect", "revoke", "register"} {
		if status, body := get("/oauth/live/" + path); status != 405 || !strings.Contains(body, "takes POST") {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server/oauth/test", "/oauth/moon/jwks", "/oauth/live/resources/other", "/oauth/live/authorize"} {
		if status, body := get(path); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
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
