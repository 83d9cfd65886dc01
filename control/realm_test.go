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
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/application"
	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/policy/apikey"
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
	text  string // of the manifest
	n     int    // assertions that were made
}

func newRealm(t testing.TB) *realm { t.Helper(); return newRealmIn(newWorld(t)) }

func newRealmIn(w *world) *realm {
	t := w.t
	t.Helper()
	w.staffed()
	methods := []policy.Kind{apikey.Kind(), oauth.Kind()}
	w.Control.Kinds = append(kinds(), methods[1], several.AnyOf(methods), several.AllOf(methods))
	if err := w.EnsureEnvironments(w.ctx, w.system, []string{"live", "test"}); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(gatehouseYAML, "[api_key, grant, rate_limit]", "[any_of: {methods: [{api_key: {}}, {oauth: {}}]}, grant, rate_limit]")
	text = strings.Replace(text, "remove: [any_of: {methods: [{api_key: {}}, {oauth: {}}]}, grant, rate_limit]", "remove: [any_of, grant, rate_limit]", 1)
	text = strings.ReplaceAll(text, "{name: free,", "{name: free, credentials: [api_key, oauth_client, client_certificate],")
	r := &realm{world: w, text: text, gates: map[string]*snapshot.View{}, seen: map[string]feed.Position{}}
	r.deps = policy.Deps{Limiter: func(string) *ratelimit.Limiter { return ratelimit.NewLimiter(1000) },
		Secret: func(string) (secret.Value, bool) { return secret.New("x"), true }, Tokens: policy.NewTokens(), Proofs: token.NewProver()}
	for _, e := range []string{"live", "test"} {
		r.gates[e], r.seen[e] = &snapshot.View{Access: snapshot.NewAccess(e)}, feed.Position{Epoch: 1}
	}
	r.publish(text)
	r.use(w.Control)
	r.a = w.verified("First", "first@example.org")
	r.app = w.application(r.a, "app")
	w.grantOf(must(w.RequestAccess(w.ctx, r.a, ask(r.app, "live", "reading", "free")))(t))
	w.grantOf(must(w.RequestAccess(w.ctx, r.a, ask(r.app, "live", "starting", "free")))(t))
	w.grantOf(must(w.RequestAccess(w.ctx, r.a, ask(r.app, "test", "reading", "free")))(t))
	return r
}

// publish lets all environments serve the manifest.
func (r *realm) publish(text string) {
	r.t.Helper()
	b := manifest.Bundle{"gatehouse.yaml": []byte(text), "ident.yaml": []byte(openAPI)}
	p, _ := manifest.Parse(b)
	for e, v := range r.gates {
		if out, err := r.Publish(r.ctx, r.operator, e, b, "publish"); err != nil {
			r.t.Fatalf("%v %v", err, out.Diagnostics)
		}
		routes, ds := snapshot.Compile(p, e, 1, r.Control.Kinds, r.deps)
		if routes == nil {
			r.t.Fatal(ds)
		}
		v.Routes = routes
	}
}

// use lets the token endpoint ask this control plane.
func (r *realm) use(c *control.Control) {
	r.t.Helper()
	h, err := authserver.New(authserver.Options{Control: c, Now: r.clock.Now})
	if err != nil {
		r.t.Fatal(err)
	}
	s := httptest.NewServer(h)
	r.t.Cleanup(s.Close)
	r.at, r.Control = s.URL, c
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
	return r.postTo(r.at, env, endpoint, form, fields...)
}

// postTo is post to another control plane.
func (r *realm) postTo(at, env, endpoint string, form url.Values, fields ...string) (out reply) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, at+"/oauth/"+env+"/"+endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	res, raw := r.answered(req, &out)
	out.status, out.header, out.raw = res.StatusCode, res.Header, raw
	return out
}

// showing asks for a token over TLS, with a client's certificate unless that is nil.
func (r *realm) showing(h http.Handler, shown *x509.Certificate, fields ...string) reply {
	r.t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/oauth/live/token", strings.NewReader(grantType(fields...).Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.TLS = &tls.ConnectionState{}
	if shown != nil {
		req.TLS.PeerCertificates = []*x509.Certificate{shown}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	out := reply{status: w.Code, raw: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		r.t.Fatalf("%v in %s", err, out.raw)
	}
	return out
}

// answered sends a request, decodes the answer's JSON, if there is any, into out, and returns it with its text.
func (r *realm) answered(req *http.Request, out any) (*http.Response, string) {
	r.t.Helper()
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
		if err := json.Unmarshal(raw, out); err != nil {
			r.t.Fatalf("%v in %s", err, raw)
		}
	}
	return res, string(raw)
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

// bearer sends a token that is bound to nothing.
func bearer(access string) []string { return []string{"Authorization", "Bearer " + access} }

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
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.private, KeyID: k.public.KeyID}}, o)
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

// hashOf is the ath of an access token.
func hashOf(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
