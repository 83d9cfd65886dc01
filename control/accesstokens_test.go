package control_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/policy"
	"gatehouse/policy/oauth"
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
