package control_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/fetch"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/sso"
	"gatehouse/sso/ssotest"
)

// directory is a world whose staff, or whose organization's members, can sign in by a real provider.
type directory struct {
	*world
	*ssotest.Provider
}

func (w *world) directory(change func(*control.SSO)) *directory {
	w.t.Helper()
	p := ssotest.New(w.t, portalURL+"/sso/directory/callback", portalURL+"/sso/other/callback")
	outside := fetch.New(fetch.Options{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: true})
	w.t.Cleanup(outside.Close)
	w.clock.set(time.Now()) // the provider has no other
	s := control.SSO{Name: "directory", Title: "The directory", Issuer: p.Issuer, Domains: []string{"platform.example", "example.org"},
		Roles: map[string][]identity.Role{"auditors": {identity.Auditor}, "api": {"approver@api:ident", identity.Operator}}}
	if change != nil {
		change(&s)
	}
	s.Provider = sso.New(sso.Options{Issuer: p.Issuer, ClientID: ssotest.ClientID, Secret: secret.New(ssotest.Secret), Scopes: []string{"profile", "email"}, Groups: "groups", HTTP: outside.HTTP(), Now: w.clock.Now})
	other := s
	other.Name = "other"
	for _, one := range []control.SSO{s, other} {
		if err := control.CheckSSO(one); err != nil {
			w.t.Fatal(err)
		}
	}
	w.SSO = []control.SSO{s, other}
	return &directory{w, p}
}

// visit goes to the provider and back, up to what the browser brings.
func (d *directory) visit(subject string) control.Returned {
	d.t.Helper()
	address, ticket, err := d.StartSSO(d.ctx, at("192.0.2.1"), "directory", "/queue")
	if err != nil {
		d.t.Fatal(err)
	}
	back := d.atProvider(address, subject)
	return control.Returned{Ticket: ticket, State: back.State, Code: back.Code}
}

// atProvider signs in at the provider and returns what the browser brings back.
func (d *directory) atProvider(address, subject string) control.Returned {
	d.t.Helper()
	u := d.Provider.SignIn(address, subject)
	if !strings.HasPrefix(u.String(), portalURL+"/sso/directory/callback?") {
		d.t.Fatalf("the provider sends the browser to %s", u)
	}
	return control.Returned{State: u.Query().Get("state"), Code: secret.New(u.Query().Get("code"))}
}

func (d *directory) finish(r control.Returned) (control.SignedIn, error) {
	in, to, err := d.FinishSSO(d.ctx, at("192.0.2.1"), "directory", r, "test")
	if err == nil && to != "/queue" {
		d.t.Errorf("it goes on to %q", to)
	}
	return in, err
}

func (d *directory) enter(subject string) (control.SignedIn, error) {
	return d.finish(d.visit(subject))
}

func TestSSOOfSomebodyNew(t *testing.T) {
	d := newWorld(t).staffed().directory(nil)
	d.Know(ssotest.User{Subject: "s1", Email: "Nina@Platform.example", Name: "Nina New", Verified: true})
	_, err := d.enter("s1")
	wants(t, "without a group", err, fault.Forbidden, "no-role")
	p := must(d.StaffList(d.ctx, d.admin, control.Page{}))(t).Items[4]
	if p.Email != "nina@platform.example" || p.Name != "Nina New" || len(p.Roles) != 0 || p.State != identity.Active {
		t.Errorf("she is %+v", p)
	}
	if got := d.letters(d.admin.Email); !slices.Contains(got, "Somebody waits for a role") {
		t.Errorf("the admin got %v", got)
	}
	n := len(d.letters(d.admin.Email))
	_, err = d.enter("s1")
	wants(t, "again", err, fault.Forbidden, "no-role")
	if len(d.letters(d.admin.Email)) != n {
		t.Error("the admin is told twice")
	}
	must(d.ChangeStaff(d.ctx, d.admin, p.ID, 0, []identity.Role{identity.Approver}, identity.Active))(t)
	in := must(d.enter("s1"))(t)
	if a := d.actor(in); a.Person != p.ID || !slices.Equal(a.Roles, []identity.Role{identity.Approver}) || in.Session.How != "sso:directory" {
		t.Errorf("signed in as %+v", a)
	}
}

func TestSSOMapsGroupsAtEachSignIn(t *testing.T) {
	d := newWorld(t).staffed().directory(nil)
	nina := ssotest.User{Subject: "s1", Email: "nina@platform.example", Name: "Nina New", Verified: true}
	roles := func(groups ...string) []identity.Role {
		t.Helper()
		nina.Groups = groups
		d.Know(nina)
		in, err := d.enter("s1")
		if errors.Is(err, fault.Forbidden) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		return d.actor(in).Roles
	}
	same := func(what string, got []identity.Role, want ...identity.Role) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	same("two groups", roles("auditors", "api", "unknown"), "approver@api:ident", "auditor", "operator")
	same("one is gone", roles("auditors"), "auditor")
	p := must(d.StaffList(d.ctx, d.admin, control.Page{}))(t).Items[4]
	must(d.ChangeStaff(d.ctx, d.admin, p.ID, 0, []identity.Role{identity.Auditor, identity.Approver}, identity.Active))(t)
	live := must(d.enter("s1"))(t)
	same("what a person gave stays", roles("api"), identity.Approver, "approver@api:ident", identity.Operator)
	same("and alone", roles(), identity.Approver)
	must(d.ChangeStaff(d.ctx, d.admin, p.ID, 0, []identity.Role{identity.Auditor}, identity.Active))(t)
	same("given by hand before a mapping", roles("auditors"), identity.Auditor)
	same("and after it", roles(), identity.Auditor)
	n := len(d.entries(audit.Filter{Object: p.ID, Action: "person.sso-roles"}))
	if n != 4 {
		t.Errorf("%d changes of roles are in the audit, want 4", n)
	}
	d.actor(live)
	d.Know(ssotest.User{Subject: "s2", Email: "omar@platform.example", Name: "Omar", Verified: true, Groups: []string{"api"}})
	in := must(d.enter("s2"))(t)
	d.Know(ssotest.User{Subject: "s2", Email: "omar@platform.example", Name: "Omar", Verified: true})
	_, err := d.enter("s2")
	wants(t, "with no group left", err, fault.Forbidden, "no-role")
	_, err = d.BySession(d.ctx, in.Token, "", "")
	wants(t, "his session of before", err, fault.Unauthenticated, "session-over")
}

func TestSSOLinksByAVerifiedAddressOfItsDomainOnly(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	d := w.directory(nil)
	disabled := d.staff("dora@platform.example", identity.Auditor)
	must(d.ChangeStaff(d.ctx, d.admin, disabled.Person, 0, []identity.Role{identity.Auditor}, identity.Disabled))(t)
	for name, c := range map[string]struct {
		email    string
		verified bool
		code     string
	}{
		"not verified":       {d.operator.Email, false, "sso-unverified"},
		"of another domain":  {"olga@elsewhere.example", true, "sso-unverified"},
		"of a domain within": {"olga@sub.platform.example", true, "sso-unverified"},
		"that ends alike":    {"olga@notplatform.example", true, "sso-unverified"},
		"none":               {"", true, "sso-unverified"},
		"no address":         {"@platform.example", true, "sso-unverified"},
		"a partner's member": {ines.Email, true, "sso-not-yours"},
		"somebody disabled":  {disabled.Email, true, "sso-not-yours"},
	} {
		d.Know(ssotest.User{Subject: "x-" + name, Email: c.email, Name: "X", Verified: c.verified, Groups: []string{"api"}})
		_, err := d.enter("x-" + name)
		wants(t, name, err, fault.Forbidden, c.code)
	}
	if n := len(must(d.StaffList(d.ctx, d.admin, control.Page{}))(t).Items); n != 5 {
		t.Errorf("there are %d people now", n)
	}
	d.Know(ssotest.User{Subject: "s1", Email: d.operator.Email, Name: "Somebody Else", Verified: true})
	in := must(d.enter("s1"))(t)
	if a := d.actor(in); a.Person != d.operator.Person || !a.Has(identity.Operator) {
		t.Errorf("signed in as %+v", a)
	}
	if got := d.letters(d.operator.Email); !slices.Contains(got, "You can sign in by The directory") {
		t.Errorf("she got %v", got)
	}
	// From now on the subject counts, whatever the address.
	d.Know(ssotest.User{Subject: "s1", Email: "other@elsewhere.example", Verified: false})
	if a := d.actor(must(d.enter("s1"))(t)); a.Person != d.operator.Person {
		t.Errorf("signed in as %+v", a)
	}
	if l := must(d.Subjects(d.ctx, d.operator))(t); len(l) != 1 || l[0].Subject != "s1" || l[0].Issuer != d.Issuer {
		t.Errorf("her sign-ins: %+v", l)
	}
	must(d.ChangeStaff(d.ctx, d.admin, d.operator.Person, 0, []identity.Role{identity.Operator}, identity.Disabled))(t)
	_, err := d.enter("s1")
	wants(t, "disabled", err, fault.Forbidden, "sso-not-yours")
}

func TestSSOOfAnOrganization(t *testing.T) {
	w := newWorld(t).staffed()
	ines := w.verified("First", "ines@example.org")
	rolf := w.verified("Second", "rolf@example.org")
	d := w.directory(func(s *control.SSO) {
		s.Organization, s.Roles = ines.Organization, map[string][]identity.Role{"dev": {identity.Developer}, "boss": {identity.Owner}}
	})
	d.Know(ssotest.User{Subject: "s1", Email: "nina@example.org", Name: "Nina New", Verified: true, Groups: []string{"dev"}})
	a := d.actor(must(d.enter("s1"))(t))
	if a.Organization != ines.Organization || a.Class != identity.Member || !slices.Equal(a.Roles, []identity.Role{identity.Developer}) {
		t.Errorf("she is %+v", a)
	}
	d.Know(ssotest.User{Subject: "s2", Email: rolf.Email, Name: "Rolf", Verified: true, Groups: []string{"boss"}})
	_, err := d.enter("s2")
	wants(t, "another organization's member", err, fault.Forbidden, "sso-not-yours")
	d.Know(ssotest.User{Subject: "s3", Email: d.operator.Email, Name: "Olga", Verified: true})
	_, err = d.enter("s3")
	wants(t, "staff", err, fault.Forbidden, "")
	must(d.SuspendOrganization(d.ctx, d.operator, ines.Organization, 0, "unpaid"))(t)
	d.Know(ssotest.User{Subject: "s4", Email: "late@example.org", Name: "Late", Verified: true, Groups: []string{"dev"}})
	_, err = d.enter("s4")
	wants(t, "somebody new in a suspended organization", err, fault.Forbidden, "sso-not-yours")
}

func TestSSOAsksForTheSecondFactorUnlessTheProviderDoes(t *testing.T) {
	w := newWorld(t).staffed()
	device, _ := w.enrolled(w.operator)
	d := w.directory(nil)
	d.Know(ssotest.User{Subject: "s1", Email: d.operator.Email, Name: "Olga", Verified: true})
	in := must(d.enter("s1"))(t)
	if !in.Token.Empty() || in.Pending.Empty() {
		t.Fatal("the provider alone signed her in")
	}
	must(d.ProveSecondFactor(d.ctx, at("192.0.2.1"), in.Pending, device.code(), ""))(t)
	d.SSO[0].SecondFactor = true
	if in := must(d.enter("s1"))(t); in.Session.Proven.IsZero() {
		t.Errorf("by a provider that asks for two: %+v", in.Session)
	}
}

// Everything that can be wrong with what comes back, from a provider that is real and in somebody's hand.
func TestSSORefuses(t *testing.T) {
	d := newWorld(t).staffed().directory(nil)
	d.Know(ssotest.User{Subject: "s1", Email: d.operator.Email, Name: "Olga", Verified: true})
	must(d.enter("s1"))(t)
	sessions := len(must(d.Sessions(d.ctx, d.operator))(t))

	r := d.visit("s1")
	must(d.finish(r))(t)
	sessions++
	_, err := d.finish(r)
	wants(t, "a state that was used", err, fault.Gone, "sign-in-over")

	// A code that was used: in a fresh sign-in of another browser, with that one's state.
	address, ticket, err := d.StartSSO(d.ctx, at("192.0.2.1"), "directory", "/queue")
	if err != nil {
		t.Fatal(err)
	}
	fresh := d.atProvider(address, "s1")
	_, err = d.finish(control.Returned{Ticket: ticket, State: fresh.State, Code: r.Code})
	wants(t, "a code that was used", err, fault.Forbidden, "sso-refused")

	stolen := d.visit("s1") // a code of one sign-in in another: PKCE and nonce bind it
	victim := d.visit("s1")
	_, err = d.finish(control.Returned{Ticket: victim.Ticket, State: victim.State, Code: stolen.Code})
	wants(t, "another sign-in's code", err, fault.Forbidden, "sso-refused")

	for name, change := range map[string]func(*control.Returned){
		"without the ticket":          func(r *control.Returned) { r.Ticket = secret.Value{} },
		"with another browser's":      func(r *control.Returned) { r.Ticket = secret.Random("ght_") },
		"with another state":          func(r *control.Returned) { r.State = "x" },
		"without a state":             func(r *control.Returned) { r.State = "" },
		"from another issuer":         func(r *control.Returned) { r.Issuer = "https://elsewhere.example" },
		"with the provider's refusal": func(r *control.Returned) { r.Error = "access_denied" },
		"without a code":              func(r *control.Returned) { r.Code = secret.Value{} },
		"with a made-up code":         func(r *control.Returned) { r.Code = secret.New("made up") },
	} {
		r := d.visit("s1")
		change(&r)
		_, err := d.finish(r)
		wants(t, name, err, fault.Forbidden, "")
	}
	r = d.visit("s1")
	_, _, err = d.FinishSSO(d.ctx, at("192.0.2.1"), "other", r, "")
	wants(t, "at another provider's address", err, fault.Gone, "sign-in-over")
	r = d.visit("s1")
	d.clock.pass(10 * time.Minute)
	_, err = d.finish(r)
	wants(t, "too late", err, fault.Gone, "sign-in-over")
	_, _, err = d.StartSSO(d.ctx, at("192.0.2.1"), "none", "")
	wants(t, "an unknown provider", err, fault.NotFound, "")

	sign := func(change func(map[string]any)) func(string, map[string]any) string {
		return func(_ string, claims map[string]any) string { change(claims); return d.Sign(claims) }
	}
	set := func(name string, v any) func(string, map[string]any) string {
		return sign(func(c map[string]any) { c[name] = v })
	}
	for name, rewrite := range map[string]func(string, map[string]any) string{
		"another nonce":             set("nonce", "another"),
		"no nonce":                  sign(func(c map[string]any) { delete(c, "nonce") }),
		"another issuer":            set("iss", "https://elsewhere.example"),
		"another audience":          set("aud", "another"),
		"two audiences, no party":   sign(func(c map[string]any) { c["aud"] = []string{ssotest.ClientID, "another"}; delete(c, "azp") }),
		"another party":             set("azp", "another"),
		"over":                      set("exp", time.Now().Add(-time.Hour).Unix()),
		"not yet":                   set("nbf", time.Now().Add(time.Hour).Unix()),
		"of nobody":                 set("sub", ""),
		"of somebody else":          set("sub", "s2"), // whom its userinfo does not speak of
		"with another access token": set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"alg none": func(token string, _ map[string]any) string {
			parts := strings.Split(token, ".")
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
		},
		"alg HS256 with the client's secret": func(token string, claims map[string]any) string { return signHS256(t, claims, ssotest.Secret) },
		"a broken signature":                 func(token string, _ map[string]any) string { return token[:len(token)-6] + "AAAAAA" },
		"nonsense":                           func(string, map[string]any) string { return "a.b.c" },
		"nothing":                            func(string, map[string]any) string { return "" },
	} {
		d.Rewrite(rewrite)
		_, err := d.enter("s1")
		wants(t, name, err, fault.Forbidden, "sso-refused")
		d.Rewrite(nil)
	}
	must(d.enter("s1"))(t) // and nothing of it lasts
	if n := len(must(d.Sessions(d.ctx, d.operator))(t)); n != sessions+1 {
		t.Errorf("%d sessions, want %d", n, sessions+1)
	}
	r = d.visit("s1")
	d.Stop()
	_, err = d.finish(r)
	wants(t, "a provider that is away", err, fault.Unavailable, "sso-away")
	d = d.world.directory(nil)
	d.Stop()
	_, _, err = d.StartSSO(d.ctx, at("192.0.2.200"), "directory", "/queue")
	wants(t, "one that has never been there", err, fault.Unavailable, "sso-away")
}

// Who begins many sign-ins is slowed down: each is a row.
func TestSSOStartsAreFew(t *testing.T) {
	d := newWorld(t).staffed().directory(nil)
	var err error
	for range 70 {
		if _, _, err = d.StartSSO(d.ctx, at("192.0.2.1"), "directory", "/"); err != nil {
			break
		}
	}
	wants(t, "many", err, fault.Limited, "too-many-tries")
}

// The session of before does not outlive the sign-in.
func TestSSORotatesTheSession(t *testing.T) {
	d := newWorld(t).staffed().directory(nil)
	d.Know(ssotest.User{Subject: "s1", Email: d.operator.Email, Name: "Olga", Verified: true})
	first := must(d.enter("s1"))(t)
	r := d.visit("s1")
	a := at("192.0.2.1")
	a.Session = first.Session.ID
	second, _, err := d.FinishSSO(d.ctx, a, "directory", r, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.BySession(d.ctx, first.Token, "", "")
	wants(t, "the session of before", err, fault.Unauthenticated, "session-over")
	d.actor(second)
}

func TestCheckSSO(t *testing.T) {
	for name, s := range map[string]control.SSO{
		"a name":          {Name: "A b"},
		"an organization": {Name: "a", Organization: "org_x"},
		"a member's role": {Name: "a", Roles: map[string][]identity.Role{"g": {identity.Owner}}},
		"a role of staff": {Name: "a", Organization: id.New(id.Organization, time.Now()), Roles: map[string][]identity.Role{"g": {identity.Admin}}},
		"a bound auditor": {Name: "a", Roles: map[string][]identity.Role{"g": {"auditor@api:x"}}},
	} {
		if err := control.CheckSSO(s); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func signHS256(t *testing.T, claims map[string]any, key string) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(b)
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
