package control_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/feed"
	"gatehouse/policy"
	"gatehouse/policy/oauth"
	"gatehouse/snapshot"
	"gatehouse/token"
)

// One token ends, the others live on.
func TestRevokedToken(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	got := r.post("live", "token", grantType(), basic(cr, value)...)
	another := r.post("live", "token", grantType(), basic(cr, value)...)
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
	r.wantCall("the other lives on", "", "live", "GET", checks, bearer(another.Access)...)
	if in := r.post("live", "introspect", about(got.Access), basic(cr, value)...); in.Active {
		t.Errorf("introspection after revocation: %s", in.raw)
	}
}

// Keys rotate: what the old one signed still counts.
func TestSigningKeyRotates(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	first := r.post("live", "token", grantType(), basic(cr, value)...)
	before := must(r.Issuer(r.ctx, r.a, "live"))(t)
	must(r.RotateSigningKey(r.ctx, r.operator, "live", "to try"))(t)
	fresh := r.post("live", "token", grantType(), basic(cr, value)...)
	old, _ := token.Parse(first.Access, []string{"ES256"})
	now, _ := token.Parse(fresh.Access, []string{"ES256"})
	if old.Header.Kid == now.Header.Kid || now.Header.Kid != before.Keys[1].ID {
		t.Errorf("signed by %s, then by %s; next was %s", old.Header.Kid, now.Header.Kid, before.Keys[1].ID)
	}
	r.wantCall("by the new key, before the gateway has heard", "", "live", "GET", checks, bearer(fresh.Access)...)
	r.follow()
	r.wantCall("by the old key", "", "live", "GET", checks, bearer(first.Access)...)
	r.wantCall("by the new key", "", "live", "GET", checks, bearer(fresh.Access)...)
}

// Credential and grant are looked up each time.
func TestTokenFollowsItsClient(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	fresh := r.post("live", "token", grantType(), basic(cr, value)...)
	cr = must(r.SuspendCredential(r.ctx, r.a, cr.ID, 0, "a pause"))(t)
	r.follow()
	r.wantCall("suspended", "client-suspended", "live", "GET", checks, bearer(fresh.Access)...)
	r.wantError("a token while suspended", r.post("live", "token", grantType(), basic(cr, value)...), 401, "invalid_client")
	must(r.ResumeCredential(r.ctx, r.a, cr.ID, 0, "go on"))(t)
	r.follow()
	r.clock.pass(6 * time.Minute)
	r.wantCall("expired", "token-expired", "live", "GET", checks, bearer(fresh.Access)...)
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

// BenchmarkTokenByAssertion issues access tokens to a client with a key of its own: each assertion is verified, and its mark is
// stored, before a token is made. Requests come sixteen at a time, as the store writes those that wait together.
func BenchmarkTokenByAssertion(b *testing.B) {
	r := newRealm(b)
	k := newKey(b)
	cr, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, Keys: k.set()})
	h, _ := authserver.New(authserver.Options{Control: r.Control, Now: r.clock.Now})
	forms := make([]string, b.N)
	for i := range forms {
		forms[i] = r.asserted(cr, k).Encode()
	}
	var next atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			req := httptest.NewRequest(http.MethodPost, "/oauth/live/token", strings.NewReader(forms[next.Add(1)-1]))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != 200 {
				b.Error(w.Body)
			}
		}
	})
}

// Signing keys rotate while tokens are asked for and used: none is refused, whether a gateway has heard of the rotation or not.
func TestNoTokenIsRefusedWhileKeysRotate(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	var mu sync.Mutex
	var kept []string
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := r.IssueToken(r.ctx, control.Nobody("127.0.0.1", ""), control.TokenRequest{Environment: "live", Client: control.Proof{Client: string(cr.ID), Secret: value}})
				if err != nil {
					t.Errorf("a token is refused: %v", err)
					return
				}
				mu.Lock()
				if kept = append(kept, got.Token); len(kept) > 100 {
					kept = kept[50:]
				}
				mu.Unlock()
			}
		})
	}
	some := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(kept)
	}
	signed := map[string]bool{}
	for round := range 4 {
		must(r.RotateSigningKey(r.ctx, r.operator, "live", "to try"))(t)
		for n := len(some()); len(some()) == n && n < 100; { // until one more was made: the new key signs
			time.Sleep(time.Millisecond)
		}
		for _, told := range []bool{false, true} {
			if told {
				r.follow()
			}
			for _, a := range some() {
				s, err := token.Parse(a, []string{"ES256"})
				if err != nil {
					t.Fatal(err)
				}
				signed[s.Header.Kid] = true
				if code, _ := r.call("live", "GET", checks, bearer(a)...); code != "" {
					t.Fatalf("round %d, told %v: a token by %s: %q", round, told, s.Header.Kid, code)
				}
			}
		}
	}
	close(stop)
	wg.Wait()
	if len(signed) < 3 {
		t.Errorf("%d keys have signed, want some", len(signed))
	}
}

// One revoked token is refused at every gateway of its environment; others of the same client live on at each.
func TestRevokedTokenAtEveryGateway(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	one := r.post("live", "token", grantType(), basic(cr, value)...)
	other := r.post("live", "token", grantType(), basic(cr, value)...)
	first := r.gates["live"]
	fleet := []*snapshot.View{first}
	for range 4 { // gateways that begin now, from the whole feed
		v := &snapshot.View{Routes: first.Routes, Access: snapshot.NewAccess("live")}
		for _, entry := range must(r.Source().Tail(r.ctx, "live", feed.Position{Epoch: 1}, 500))(t) {
			if err := v.Apply(entry); err != nil {
				t.Fatal(err)
			}
		}
		fleet = append(fleet, v)
	}
	at := func(v *snapshot.View, what, want, access string) {
		t.Helper()
		r.gates["live"] = v
		r.wantCall(what, want, "live", "GET", checks, bearer(access)...)
	}
	for _, v := range fleet {
		at(v, "before", "", one.Access)
	}
	if rv := r.post("live", "revoke", url.Values{"token": {one.Access}}, basic(cr, value)...); rv.status != 200 {
		t.Fatalf("revocation: %s", rv.raw)
	}
	r.gates["live"] = first
	from := r.seen["live"]
	r.follow()
	for _, entry := range must(r.Source().Tail(r.ctx, "live", from, 500))(t) {
		for _, v := range fleet[1:] {
			if err := v.Apply(entry); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, v := range fleet {
		at(v, "revoked", "token-revoked", one.Access)
		at(v, "the other", "", other.Access)
	}
}

// A token that was verified before costs no memory.
func TestKeptTokenAllocatesNothing(t *testing.T) {
	r := newRealm(t)
	for what, call := range map[string]func() error{"oauth alone": r.kept(true), "beside keys, with the grant": r.kept(false)} {
		if n := testing.AllocsPerRun(100, func() {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// kept is a call with a token: through the policy oauth and the one that asks for a grant, or through any_of in the place of oauth.
func (r *realm) kept(alone bool) func() error {
	r.t.Helper()
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret})
	got := r.post("live", "token", grantType(), basic(cr, value)...)
	x := &policy.Exchange{Now: r.clock.Now(), Access: r.gates["live"]}
	x.Request.Method, x.Request.Path = []byte("GET"), []byte(checks)
	x.Request.Fields.AddString("Authorization", "Bearer "+got.Access)
	route := r.gates["live"].Match(&x.Request.Head).Route
	x.Route = &route.RouteInfo
	authenticate, authorize := route.Request[0], route.Request[1]
	if alone {
		p, err := oauth.Kind().Build(json.RawMessage("{}"), policy.Site{Route: x.Route}, r.deps)
		if err != nil {
			r.t.Fatal(err)
		}
		authenticate = p.Request
	}
	sent := x.Request.Fields[0]
	call := func() error {
		x.Request.Fields[0] = sent
		if err := authenticate(x); err != nil {
			return err
		}
		return authorize(x)
	}
	if err := call(); err != nil || x.Grant.None() {
		r.t.Fatalf("%v, by the grant %v", err, x.Grant)
	}
	return call
}

// BenchmarkKeptToken takes a call with a token that was verified before, to the grant that it is served under: each time its
// fingerprint is made, and denials, credential, application, organization, sources, plan and grant are looked up.
func BenchmarkKeptToken(b *testing.B) {
	r := newRealm(b)
	for name, alone := range map[string]bool{"oauth": true, "any_of": false} {
		call := r.kept(alone)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
