package control_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/fetch"
)

// origin is where a partner keeps the keys of its client.
type origin struct {
	*httptest.Server
	mu      sync.Mutex
	answer  http.HandlerFunc
	fetched atomic.Int64
}

func newOrigin(t *testing.T, keys ...key) *origin {
	t.Helper()
	o := &origin{}
	o.serve(keys...)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.fetched.Add(1)
		o.mu.Lock()
		answer := o.answer
		o.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) set(h http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = h
}

func (o *origin) serve(keys ...key) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public)
	}
	raw, _ := json.Marshal(set)
	o.set(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) })
}

// named is a key with another kid.
func named(t *testing.T, kid string) key {
	k := newKey(t)
	k.public.KeyID = kid
	return k
}

// reaching lets a control plane fetch from this machine.
func reaching(r *realm) *realm {
	o := r.Control.Options
	o.Fetch = fetch.New(fetch.Options{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, Plain: true})
	r.use(control.New(o))
	return r
}

// asserted is a request for a token with a fresh assertion by the key.
func (r *realm) asserted(cr credential.Credential, k key) url.Values {
	r.n++
	now := r.clock.Now().Unix()
	return grantType("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion",
		k.sign(r.t, "JWT", false, map[string]any{"iss": cr.ID, "sub": cr.ID, "aud": "https://portal.test/oauth/live", "jti": "n" + strconv.Itoa(r.n), "iat": now, "exp": now + 60}))
}

func TestKeysByURL(t *testing.T) {
	r := reaching(newRealm(t))
	first, second := named(t, "first"), named(t, "second")
	o := newOrigin(t, first)
	cr, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, KeysURL: o.URL + "/jwks.json"})
	if n := o.fetched.Load(); n != 0 {
		t.Errorf("registering fetched %d times", n)
	}
	good := func(what string, k key, fetched int64) {
		t.Helper()
		if got := r.post("live", "token", r.asserted(cr, k)); got.status != 200 {
			t.Errorf("%s: %d %s", what, got.status, got.raw)
		}
		if n := o.fetched.Load(); n != fetched {
			t.Errorf("%s: fetched %d times, want %d", what, n, fetched)
		}
	}
	bad := func(what string, k key, fetched int64) {
		t.Helper()
		r.wantError(what, r.post("live", "token", r.asserted(cr, k)), 401, "invalid_client")
		if n := o.fetched.Load(); n != fetched {
			t.Errorf("%s: fetched %d times, want %d", what, n, fetched)
		}
	}
	good("the first use", first, 1)
	good("from what is kept", first, 1)
	o.serve(first, second)
	bad("a key that is not known, at once", second, 1)
	bad("and again", named(t, "third"), 1)
	r.clock.pass(16 * time.Second)
	good("a key that is not known, after the floor", second, 2)
	good("the first one still", first, 2)
	r.clock.pass(16 * time.Second)
	bad("a key that is nowhere", named(t, "third"), 3)
	bad("it does not fetch each time", named(t, "third"), 3)

	// The origin is away: what is kept counts for an hour, and no longer.
	o.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	r.clock.pass(30 * time.Minute)
	if got := r.post("live", "token", r.asserted(cr, first)); got.status != 200 {
		t.Errorf("while it is away: %d %s", got.status, got.raw)
	}
	r.clock.pass(31 * time.Minute)
	r.wantError("away for longer", r.post("live", "token", r.asserted(cr, first)), 401, "invalid_client")
	o.serve(second)
	r.clock.pass(16 * time.Second)
	if got := r.post("live", "token", r.asserted(cr, second)); got.status != 200 {
		t.Errorf("back again: %d %s", got.status, got.raw)
	}
	r.wantError("a key that was taken out", r.post("live", "token", r.asserted(cr, first)), 401, "invalid_client")
}

// What stands at the URL and is no set of public keys proves nobody.
func TestKeysByURLThatAreNone(t *testing.T) {
	r := reaching(newRealm(t))
	k := newKey(t)
	o := newOrigin(t, k)
	elsewhere := newOrigin(t, k)
	many := make([]string, 21)
	for i := range many {
		raw, _ := named(t, strconv.Itoa(i)).public.MarshalJSON()
		many[i] = string(raw)
	}
	private, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.private, KeyID: "1"}}})
	body := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	for what, h := range map[string]http.HandlerFunc{
		"a redirect to a good one": func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, http.StatusFound) },
		"a redirect inside": func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "http://10.0.0.1/", http.StatusFound)
		},
		"more than 64 KiB":      body(`{"keys":[` + strings.Repeat(" ", 65<<10) + `]}`),
		"more than can be read": body(strings.Repeat(" ", 2<<20)),
		"more than 20 keys":     body(`{"keys":[` + strings.Join(many, ",") + `]}`),
		"a private key":         body(string(private)),
		"a secret":              body(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`),
		"names twice":           body(`{"keys":[],"keys":` + strings.TrimPrefix(string(k.set()), `{"keys":`)),
		"a page":                body("<html>"),
		"nothing":               body(""),
		"no keys":               body(`{"keys":[]}`),
		"an answer that breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(k.set())
		},
	} {
		o.set(h)
		cr, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, KeysURL: o.URL + "/" + url.PathEscape(what)})
		r.wantError(what, r.post("live", "token", r.asserted(cr, k)), 401, "invalid_client")
	}
	if n := elsewhere.fetched.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
	for _, q := range []struct{ url, pointer string }{
		{"http://10.0.0.1/jwks", "/jwks_uri"}, {"https://169.254.169.254/latest", "/jwks_uri"}, {"https://u:p@partner.example/jwks", "/jwks_uri"},
		{"ftp://partner.example/jwks", "/jwks_uri"}, {"https://partner.example/#x", "/jwks_uri"}, {"jwks.json", "/jwks_uri"},
		{"https://partner.example/" + strings.Repeat("x", 3000), "/jwks_uri"},
	} {
		_, _, err := r.RegisterClient(r.ctx, r.a, control.NewClient{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "x"}, Method: credential.PrivateKeyJWT, KeysURL: q.url})
		if f := fault.As(err); len(f.Fields) != 1 || f.Fields[0].Pointer != q.pointer {
			t.Errorf("%.60s: %v", q.url, err)
		}
	}
	both := control.NewClient{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "x"}, Method: credential.PrivateKeyJWT, KeysURL: o.URL, Keys: k.set()}
	if _, _, err := r.RegisterClient(r.ctx, r.a, both); fault.As(err).Kind != fault.Invalid {
		t.Errorf("both: %v", err)
	}
	secret := control.NewClient{NewKey: both.NewKey, Method: credential.ClientSecret, KeysURL: o.URL}
	if _, _, err := r.RegisterClient(r.ctx, r.a, secret); fault.As(err).Kind != fault.Invalid {
		t.Errorf("a URL for a secret: %v", err)
	}
}

// An origin that does not answer holds up nobody but its own clients: others get tokens meanwhile, and one fetch serves all who wait.
func TestKeysByURLOfSomebodySlow(t *testing.T) {
	r := reaching(newRealm(t))
	k := newKey(t)
	slow := newOrigin(t, k)
	asked, gone := make(chan struct{}, 10), make(chan struct{})
	slow.set(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-gone
		_, _ = w.Write(k.set())
	})
	cr, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, KeysURL: slow.URL})
	other, value := r.client(control.NewClient{Method: credential.ClientSecret})
	var wg sync.WaitGroup
	waiting := make([]reply, 20)
	for i := range waiting {
		form := r.asserted(cr, k)
		wg.Go(func() { waiting[i] = r.post("live", "token", form) })
	}
	<-asked
	for range 20 { // more than there are places to read in
		if got := r.post("live", "token", grantType(), basic(other, value)...); got.status != 200 {
			t.Errorf("somebody else: %d %s", got.status, got.raw)
		}
	}
	close(gone)
	wg.Wait()
	for _, got := range waiting {
		if got.status != 200 {
			t.Errorf("whoever waited: %d %s", got.status, got.raw)
		}
	}
	if n := slow.fetched.Load(); n != 1 {
		t.Errorf("%d fetches for those who wait at one time, want 1", n)
	}
}
