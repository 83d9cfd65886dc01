package portal_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fetch"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/sso"
	"gatehouse/sso/ssotest"
)

// TestSignInByAProvider goes by the button of the sign-in page to a real provider and back.
func TestSignInByAProvider(t *testing.T) {
	w := newWorld(t)
	p := ssotest.New(t, w.url+"/sso/directory/callback")
	outside := fetch.New(fetch.Options{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: true})
	t.Cleanup(outside.Close)
	w.control.SSO = []control.SSO{{Name: "directory", Title: "Platform directory", Issuer: p.Issuer, Domains: []string{"platform.example"}, Roles: map[string][]identity.Role{"auditors": {identity.Auditor}},
		Provider: sso.New(sso.Options{Issuer: p.Issuer, ClientID: ssotest.ClientID, Secret: secret.New(ssotest.Secret), Scopes: []string{"profile", "email"}, Groups: "groups", HTTP: outside.HTTP(), Now: time.Now})}}
	p.Know(ssotest.User{Subject: "s1", Email: "nina@platform.example", Name: "Nina New", Verified: true, Groups: []string{"auditors"}})
	p.Know(ssotest.User{Subject: "s2", Email: "omar@platform.example", Name: "Omar Old", Verified: true})

	v := w.visitor()
	button := v.get("/signin?return=/audit").want(200).one(`a[href="/sso/directory?return=%2Faudit"]`)
	toProvider := func(v *visitor) string {
		t.Helper()
		stay := *v.web
		stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		r, err := stay.Get(w.url + attr(button, "href"))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if set := strings.Join(r.Header.Values("Set-Cookie"), "\n"); !strings.Contains(set, "sso=ght_") || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Lax") {
			t.Errorf("the ticket's cookie: %s", set)
		}
		u, err := r.Location()
		if err != nil || u.Query().Get("code_challenge_method") != "S256" || u.Query().Get("nonce") == "" {
			t.Fatalf("sent to %v, %v", u, err)
		}
		return u.String()
	}
	back := func(u *url.URL) string { return u.RequestURI() }
	if a := v.get(back(p.SignIn(toProvider(v), "s1"))).want(200); a.path != "/audit" {
		t.Errorf("after signing in the page is %s", a.path)
	}
	v.get("/account").says("Nina New", "Platform directory")

	other := w.visitor()
	other.get(back(p.SignIn(toProvider(other), "s2"))).want(403).says("You have no role here yet")
	if a := other.get("/queue"); !strings.HasPrefix(a.path, "/signin") {
		t.Error("whoever has no role is inside")
	}
	// What one browser began, another cannot finish: nobody is signed in as somebody else by a link.
	stolen := back(p.SignIn(toProvider(other), "s1"))
	w.visitor().get(stolen).want(403).says("You could not be signed in")
	other.get(stolen).want(200)
	other.get(stolen).want(403)
	w.visitor().get("/sso/none").want(404)
	w.visitor().get("/sso/directory/callback").want(403)
}
