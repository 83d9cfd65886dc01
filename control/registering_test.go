package control_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/secret"
)

// registered is what the registration endpoint answers.
type registered struct {
	ID      string `json:"client_id"`
	Secret  string `json:"client_secret"`
	Token   string `json:"registration_access_token"`
	At      string `json:"registration_client_uri"`
	Method  string `json:"token_endpoint_auth_method"`
	DPoP    bool   `json:"dpop_bound_access_tokens"`
	Name    string `json:"client_name"`
	Code    string `json:"error"`
	Text    string `json:"error_description"`
	status  int
	raw     string
	against string
}

// registration sends to the registration endpoint, or to a client's own address.
func (r *realm) registration(method, path, bearer, body string) (out registered) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.at+"/oauth/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, raw := r.answered(req, &out)
	out.status, out.raw, out.against = res.StatusCode, raw, res.Header.Get("WWW-Authenticate")
	return out
}

func TestDynamicRegistration(t *testing.T) {
	r := newRealm(t)
	k := newKey(t)
	initial := func(uses int) (credential.InitialToken, string) {
		t.Helper()
		i, value, err := r.MakeInitialToken(r.ctx, r.a, control.NewInitialToken{Application: r.app.ID, Environment: "live", Name: "pipeline", Uses: uses})
		if err != nil {
			t.Fatal(err)
		}
		return i, value.Reveal()
	}
	asks := `{"client_name": "batch", "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"], "dpop_bound_access_tokens": true, "jwks": ` + string(k.set()) + `, "contacts": ["a@example.org"]}`
	i, value := initial(1)
	got := r.registration("POST", "live/register", value, asks)
	if got.status != 201 || got.Secret != "" || got.Method != "private_key_jwt" || !got.DPoP || got.Token == "" || !strings.HasSuffix(got.At, "/oauth/live/register/"+got.ID) || strings.Contains(got.raw, "contacts") {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	// Its uses are over; what was registered is a credential as any other.
	if again := r.registration("POST", "live/register", value, asks); again.status != 401 || again.Code != "invalid_token" || !strings.HasPrefix(again.against, "Bearer") {
		t.Errorf("a second use: %d %s", again.status, again.raw)
	}
	if l := must(r.InitialTokens(r.ctx, r.a, "", control.Page{}))(t); len(l.Items) != 1 || l.Items[0].ID != i.ID || l.Items[0].Standing(r.clock.Now()) != credential.TokenUsed {
		t.Errorf("%+v", l.Items)
	}
	var cr credential.Credential
	for _, one := range must(r.Credentials(r.ctx, r.a, "", r.app.ID, control.Page{}))(t).Items {
		if string(one.ID) == got.ID {
			cr = one
		}
	}
	if cr.OAuth == nil || cr.OAuth.Constrain != credential.ByDPoP || cr.CreatedBy != r.a.Person {
		t.Errorf("%+v", cr)
	}

	// By its own token it is read, changed and removed, and by no other.
	own, another := "live/register/"+got.ID, newKey(t)
	_, second := initial(2)
	other := r.registration("POST", "live/register", second, strings.Replace(asks, "batch", "other", 1))
	for what, bad := range map[string][2]string{
		"nothing": {own, ""}, "another client's": {own, other.Token}, "an initial one": {own, second}, "no such client": {"live/register/crd_00000000000000000000000000", got.Token},
		"in another environment": {"test/register/" + got.ID, got.Token},
	} {
		if a := r.registration("GET", bad[0], bad[1], ""); a.status != 401 || a.Code != "invalid_token" {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
		if a := r.registration("DELETE", bad[0], bad[1], ""); a.status != 401 {
			t.Errorf("%s, to remove it: %d %s", what, a.status, a.raw)
		}
	}
	if a := r.registration("GET", own, got.Token, ""); a.status != 200 || a.Name != "batch" || a.Token != "" {
		t.Errorf("read: %d %s", a.status, a.raw)
	}
	change := func(method, keys, more string) string {
		return `{"client_id": "` + got.ID + `", "client_name": "batch 2", "token_endpoint_auth_method": "` + method + `", "jwks": ` + keys + more + `}`
	}
	if a := r.registration("PUT", own, got.Token, change("private_key_jwt", string(another.set()), `, "dpop_bound_access_tokens": true`)); a.status != 200 || a.Name != "batch 2" {
		t.Errorf("changed: %d %s", a.status, a.raw)
	}
	for what, bad := range map[string]string{
		"tokens that are not bound any more": change("private_key_jwt", string(k.set()), ""), "a weaker method": `{"client_id": "` + got.ID + `", "token_endpoint_auth_method": "client_secret_basic"}`,
		"another client_id": strings.Replace(change("private_key_jwt", string(k.set()), `, "dpop_bound_access_tokens": true`), got.ID, other.ID, 1), "a secret of its choice": change("private_key_jwt", string(k.set()), `, "client_secret": "x"`),
		"what only we say": change("private_key_jwt", string(k.set()), `, "registration_access_token": "x"`),
	} {
		if a := r.registration("PUT", own, got.Token, bad); a.status != 400 || a.Code != "invalid_client_metadata" {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}
	if a := r.registration("DELETE", own, got.Token, ""); a.status != 204 {
		t.Errorf("removed: %d %s", a.status, a.raw)
	}
	if a := r.registration("GET", own, got.Token, ""); a.status != 401 {
		t.Errorf("after its end: %d %s", a.status, a.raw)
	}

	// A secret is told once, and works.
	withSecret := r.registration("POST", "live/register", second, `{"client_name": "plain"}`)
	if withSecret.status != 201 || withSecret.Secret == "" || withSecret.Method != "client_secret_basic" || !strings.Contains(withSecret.raw, "client_secret_expires_at") {
		t.Fatalf("%d %s", withSecret.status, withSecret.raw)
	}
	for _, one := range must(r.Credentials(r.ctx, r.a, "", r.app.ID, control.Page{}))(t).Items {
		if string(one.ID) == withSecret.ID {
			cr = one
		}
	}
	if a := r.post("live", "token", grantType("resource", "https://gateway.test/ident/v1"), basic(cr, secret.New(withSecret.Secret))...); a.status != 200 {
		t.Errorf("a token: %d %s", a.status, a.raw)
	}
}

func TestDynamicRegistrationRefuses(t *testing.T) {
	r := newRealm(t)
	i, v, err := r.MakeInitialToken(r.ctx, r.a, control.NewInitialToken{Application: r.app.ID, Environment: "live", Name: "pipeline", Uses: 50})
	if err != nil {
		t.Fatal(err)
	}
	value := v.Reveal()
	for what, c := range map[string]struct{ body, want string }{
		"nothing": {"", "invalid_client_metadata"}, "no object": {"[]", "invalid_client_metadata"}, "a name twice": {`{"client_name": "a", "client_name": "b"}`, "invalid_client_metadata"},
		"another type": {`{"client_name": 7}`, "invalid_client_metadata"}, "something behind": {`{} {}`, "invalid_client_metadata"},
		"oversized":                 {`{"client_name": "` + strings.Repeat("a", 70000) + `"}`, "invalid_client_metadata"},
		"no method":                 {`{"token_endpoint_auth_method": "none"}`, "invalid_client_metadata"},
		"a method that nobody has":  {`{"token_endpoint_auth_method": "client_secret_jwt"}`, "invalid_client_metadata"},
		"a redirect":                {`{"redirect_uris": ["https://a.example/"]}`, "invalid_redirect_uri"},
		"a software statement":      {`{"software_statement": "a.b.c"}`, "unapproved_software_statement"},
		"another grant type":        {`{"grant_types": ["authorization_code"]}`, "invalid_client_metadata"},
		"more than one grant type":  {`{"grant_types": ["client_credentials", "password"]}`, "invalid_client_metadata"},
		"private keys":              {`{"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}}`, "invalid_client_metadata"},
		"keys for a secret":         {`{"jwks": {"keys": []}}`, "invalid_client_metadata"},
		"both kinds of keys":        {`{"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}, "jwks_uri": "https://a.example/jwks"}`, "invalid_client_metadata"},
		"keys inside":               {`{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://127.0.0.1/jwks"}`, "invalid_client_metadata"},
		"an algorithm that is weak": {`{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "HS256", "jwks_uri": "https://a.example/jwks"}`, "invalid_client_metadata"},
		"two names":                 {`{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a.example", "tls_client_auth_san_uri": "urn:a"}`, "invalid_client_metadata"},
		"no authority":              {`{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "a.example"}`, "invalid_client_metadata"},
	} {
		if a := r.registration("POST", "live/register", value, c.body); a.status != 400 || a.Code != c.want || a.Text == "" {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}
	if l := must(r.InitialTokens(r.ctx, r.a, "", control.Page{}))(t); l.Items[0].Uses != 0 {
		t.Errorf("what was refused has used the token up: %+v", l.Items[0])
	}
	for what, c := range map[string][2]string{"in another environment": {"test/register", value}, "unknown": {"live/register", "ghr_x"}, "none": {"live/register", ""}} {
		if a := r.registration("POST", c[0], c[1], `{}`); a.status != 401 || a.Code != "invalid_token" {
			t.Errorf("%s: %d %s", what, a.status, a.raw)
		}
	}

	// Another organization neither sees nor ends it, and makes none for an application that is not theirs.
	stranger := r.verified("Second", "second@example.org")
	_, err = r.EndInitialToken(r.ctx, stranger, i.ID)
	wants(t, "another organization's", err, fault.NotFound, "")
	if l := must(r.InitialTokens(r.ctx, stranger, "", control.Page{}))(t); len(l.Items) != 0 {
		t.Errorf("another organization sees %+v", l.Items)
	}
	_, _, err = r.MakeInitialToken(r.ctx, stranger, control.NewInitialToken{Application: r.app.ID, Environment: "live", Name: "x"})
	wants(t, "for another's application", err, fault.NotFound, "")
	for what, n := range map[string]control.NewInitialToken{"/uses": {Uses: 101}, "/lifetime": {Lives: 31 * 24 * time.Hour}, "/environment": {Environment: "nowhere"}} {
		n.Application, n.Name = r.app.ID, "x"
		if n.Environment == "" {
			n.Environment = "live"
		}
		_, _, err := r.MakeInitialToken(r.ctx, r.a, n)
		if got := wrong(err); got != what {
			t.Errorf("wrong are %q, want %q (%v)", got, what, err)
		}
	}
	must(r.EndInitialToken(r.ctx, r.a, i.ID))(t)
	if a := r.registration("POST", "live/register", value, `{}`); a.status != 401 {
		t.Errorf("after it was ended: %d %s", a.status, a.raw)
	}
	_, err = r.EndInitialToken(r.ctx, r.a, i.ID)
	wants(t, "ended twice", err, fault.Conflict, "token-over")
	_, v, err = r.MakeInitialToken(r.ctx, r.a, control.NewInitialToken{Application: r.app.ID, Environment: "live", Name: "short", Lives: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	r.clock.pass(time.Hour)
	if a := r.registration("POST", "live/register", v.Reveal(), `{}`); a.status != 401 {
		t.Errorf("after its hour: %d %s", a.status, a.raw)
	}
}
