package control_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/policy/oauth"
	"gatehouse/secret"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
)

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
		return r.showing(h, shown, append(more, "client_id", string(cr.ID))...)
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

// What proves a client once does so at one of the control planes that share a store, whichever of them.
func TestProofCountsOnceAtAllControlPlanes(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		w := newWorld(t)
		proofCountsOnce(newRealmIn(w), [2]store.Store{w.store, w.store})
	})
	t.Run("postgres", func(t *testing.T) { // each with connections of its own, as processes have
		at := pgtest.Database(t)
		open := func() store.Store { return must(sqldb.OpenPostgres(t.Context(), at, sqldb.PostgresOptions{}))(t) }
		one, other := open(), open()
		t.Cleanup(func() { _ = other.Close() })
		proofCountsOnce(newRealmIn(newWorldOn(t, one)), [2]store.Store{one, other})
	})
}

func proofCountsOnce(r *realm, stores [2]store.Store) {
	t := r.t
	t.Helper()
	k := newKey(t)
	cr, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, Keys: k.set(), Constrain: credential.ByDPoP})
	var at [2]string
	var planes [2]*control.Control
	for i := range at {
		o := r.Control.Options
		o.Store = stores[i]
		planes[i] = control.New(o)
		h, err := authserver.New(authserver.Options{Control: planes[i], Now: r.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		at[i] = s.URL
	}
	now, n := r.clock.Now().Unix(), 0
	assertion := func(jti string) url.Values {
		return grantType("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion",
			k.sign(t, "JWT", false, map[string]any{"iss": cr.ID, "sub": cr.ID, "aud": "https://portal.test/oauth/live", "jti": jti, "iat": now, "exp": now + 60}))
	}
	nonce := planes[0].DPoPNonce()
	if nonce != planes[1].DPoPNonce() {
		t.Fatal("the nonces of one are not taken by the other")
	}
	proof := func() string {
		n++
		return k.sign(t, "dpop+jwt", true, map[string]any{"htm": "POST", "htu": "https://portal.test/oauth/live/token", "iat": now, "jti": strings.Repeat("p", n), "nonce": nonce})
	}
	both := func(form func() url.Values, dpop func() string) (good int) {
		var wg sync.WaitGroup
		var got [8]reply
		for i := range got {
			f, d := form(), dpop()
			wg.Go(func() { got[i] = r.postTo(at[i%2], "live", "token", f, "DPoP", d) })
		}
		wg.Wait()
		for _, g := range got {
			switch {
			case g.status == 200:
				good++
			case g.Error != "invalid_client" && g.Error != "invalid_dpop_proof":
				t.Errorf("%d %s", g.status, g.raw)
			}
		}
		return good
	}
	taken, used := assertion("first"), proof() // in turn: what was used at the one is refused at the other
	if got := r.postTo(at[0], "live", "token", taken, "DPoP", used); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	r.wantError("the assertion that was used at the other", r.postTo(at[1], "live", "token", taken, "DPoP", proof()), 401, "invalid_client")
	r.wantError("the proof that was used at the other", r.postTo(at[1], "live", "token", assertion("second"), "DPoP", used), 400, "invalid_dpop_proof")
	same := assertion("a")
	if n := both(func() url.Values { return same }, proof); n != 1 {
		t.Errorf("one assertion made %d tokens", n)
	}
	one, each := proof(), 0
	if n := both(func() url.Values { each++; return assertion("b" + strconv.Itoa(each)) }, func() string { return one }); n != 1 {
		t.Errorf("one DPoP proof made %d tokens", n)
	}
	if n := both(func() url.Values { each++; return assertion("b" + strconv.Itoa(each)) }, proof); n != 8 {
		t.Errorf("eight of each made %d tokens", n)
	}
}

// A client's secret is replaced with an overlap: both prove it until the stated minute, and its tokens go on.
func TestClientSecretOverlap(t *testing.T) {
	r := newRealm(t)
	cr, first := r.client(control.NewClient{Method: credential.ClientSecret})
	before := r.post("live", "token", grantType(), basic(cr, first)...)
	fresh, old, second, err := r.RotateKey(r.ctx, r.a, cr.ID, control.Rotation{Version: cr.Version, Overlap: 10 * time.Minute, Once: "form"})
	if err != nil || fresh.ID != cr.ID || old.ID != cr.ID || !fresh.EarlierUntil.Equal(fresh.EarlierUntil.Truncate(time.Minute)) || fresh.EarlierUntil.Before(r.clock.Now()) {
		t.Fatalf("%+v %v", fresh, err)
	}
	if _, _, _, err := r.RotateKey(r.ctx, r.a, cr.ID, control.Rotation{Overlap: time.Minute, Once: "form"}); fault.As(err).Code != "already-issued" {
		t.Errorf("the form again: %v", err)
	}
	if _, _, _, err := r.RotateKey(r.ctx, r.a, cr.ID, control.Rotation{Version: cr.Version}); !errors.Is(err, fault.Stale) {
		t.Errorf("a version that is over: %v", err)
	}
	other := r.verified("Second", "second@example.org")
	if _, _, _, err := r.RotateKey(r.ctx, other, cr.ID, control.Rotation{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("by another organization: %v", err)
	}
	r.follow()
	for what, value := range map[string]secret.Value{"the new secret": second, "the earlier one": first} {
		if got := r.post("live", "token", grantType(), basic(cr, value)...); got.status != 200 {
			t.Errorf("%s: %s", what, got.raw)
		}
	}
	r.wantCall("a token of before", "", "live", "GET", checks, bearer(before.Access)...)
	r.clock.pass(fresh.EarlierUntil.Sub(r.clock.Now()))
	r.wantError("the earlier one, when its minute has come", r.post("live", "token", grantType(), basic(cr, first)...), 401, "invalid_client")
	if got := r.post("live", "token", grantType(), basic(cr, second)...); got.status != 200 {
		t.Errorf("the new secret, then: %s", got.raw)
	}
	k := newKey(t)
	own, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, Keys: k.set()})
	if _, _, _, err := r.RotateKey(r.ctx, r.a, own.ID, control.Rotation{}); fault.As(err).Code != "credential-kind" {
		t.Errorf("a client without a secret: %v", err)
	}
}

// What stands in logs, or what anybody could write, proves nobody at the token endpoint (RFC 9700 §4.3 and §4.13).
func TestTokenEndpointTakesNoProofFromElsewhere(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	own, _ := r.client(control.NewClient{Method: credential.SelfSignedTLS, Thumbprint: base64.RawURLEncoding.EncodeToString(make([]byte, 32))})
	send := func(method, query string, form url.Values, fields ...string) (int, string) {
		req := must(http.NewRequest(method, r.at+"/oauth/live/token"+query, strings.NewReader(form.Encode())))(t)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(fields); i += 2 {
			req.Header.Add(fields[i], fields[i+1])
		}
		res := must(http.DefaultTransport.RoundTrip(req))(t)
		defer res.Body.Close()
		raw, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(raw)
	}
	secretInQuery := "?" + url.Values{"client_id": {string(cr.ID)}, "client_secret": {value.Reveal()}}.Encode()
	certificate := []string{"X-Forwarded-Client-Cert", "Hash=" + strings.Repeat("0", 64), "X-SSL-Client-SHA256", strings.Repeat("0", 64), "Client-Cert", ":AAAA:"}
	for what, got := range map[string]func() (int, string){
		"a secret in the query":     func() (int, string) { return send("POST", secretInQuery, grantType()) },
		"everything in the query":   func() (int, string) { return send("GET", secretInQuery+"&grant_type=client_credentials", nil) },
		"a certificate in a header": func() (int, string) { return send("POST", "", grantType("client_id", string(own.ID)), certificate...) },
		"two Authorization fields": func() (int, string) {
			return send("POST", "", grantType(), append(basic(cr, value), basic(cr, value)...)...)
		},
		"another content type": func() (int, string) {
			return send("POST", "", grantType(), append(basic(cr, value), "Content-Type", "application/json")...)
		},
	} {
		if status, body := got(); status < 400 || status >= 500 || strings.Contains(body, "access_token") {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
}
