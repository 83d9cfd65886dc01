package portal_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/control"
	"gatehouse/identity"
	"gatehouse/portal"
	"gatehouse/secret"
)

// TestStrangersSeeNothing opens every object of one organization as a member of another: as if it were not there.
func TestStrangersSeeNothing(t *testing.T) {
	s := seed(t)
	for _, path := range []string{s.app, s.app + "/edit", s.app + "/close", s.app + "/reach", s.app + "/usage", s.grant + "/usage", s.request, s.request + "/withdraw", s.open, s.grant, s.grant + "/end",
		s.grant + "/suspend", s.key, s.key + "/revoke", "/credentials/new?application=" + strings.TrimPrefix(s.app, "/applications/"),
		s.request + "/decide", "/queue", "/organizations", "/environments", "/people", "/audit/verification"} {
		if a := s.rival.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: status %d for a stranger, want 404", path, a.status)
		} else if strings.Contains(a.body, "Nordlicht") || strings.Contains(a.body, "Onboarding") {
			t.Errorf("%s tells a stranger of somebody else's", path)
		}
	}
	for _, path := range []string{"/applications", "/grants", "/credentials", "/requests", "/audit", "/dashboard"} {
		if a := s.rival.get(path).want(200); strings.Contains(a.body, "Onboarding") || strings.Contains(a.body, "Nordlicht") {
			t.Errorf("%s tells a stranger of somebody else's", path)
		}
	}
	reason := url.Values{"reason": {"I can"}}
	for _, path := range []string{s.key + "/revoke", s.grant + "/end", s.app + "/close"} {
		s.rival.post(path, reason).want(404)
	}
	s.ines.get(s.key).says("active")
}

// TestVisitorsSignInFirst sends whoever is not signed in to the sign-in, and back to where they wanted to go.
func TestVisitorsSignInFirst(t *testing.T) {
	w := newWorld(t)
	w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	v := w.visitor()
	a := v.get("/applications?after=x").want(200)
	if a.path != "/signin?return=%2Fapplications%3Fafter%3Dx" {
		t.Errorf("led to %s", a.path)
	}
	a = v.get("/signin?return=/account").submit("/signin", fill{"email": "ines@nordlicht.example", "password": "wrong"}).want(401).says("do not fit together")
	if got := attr(a.one("#f-email"), "value"); got != "ines@nordlicht.example" {
		t.Errorf("the address that was typed is lost: %q", got)
	}
	if a = a.submit("/signin", fill{"password": password}).want(200); a.path != "/account" {
		t.Errorf("after signing in the page is %s", a.path)
	}
	for _, elsewhere := range []string{"//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere.example", "\t//elsewhere.example", "javascript:boo", "elsewhere"} {
		v := w.visitor()
		form := v.get("/signin").form("/signin", fill{"email": "ines@nordlicht.example", "password": password})
		form.Set("return", elsewhere)
		if a := v.post("/signin", form).want(200); a.path != "/dashboard" {
			t.Errorf("%q led to %s", elsewhere, a.path)
		}
	}
}

// TestSessionsRotate: signing in makes a fresh session, ends the one before, and a cookie of before opens nothing.
func TestSessionsRotate(t *testing.T) {
	w := newWorld(t)
	v := w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	u, _ := url.Parse(w.url)
	cookie := func() string {
		for _, c := range v.web.Jar.Cookies(u) {
			if c.Name == "gatehouse" {
				return c.Value
			}
		}
		return ""
	}
	first := cookie()
	form := w.visitor().get("/signin").form("/signin", fill{"email": "ines@nordlicht.example", "password": password})
	v.post("/signin", form).want(200)
	if cookie() == first || cookie() == "" {
		t.Fatal("the session was not changed")
	}
	if _, err := w.control.BySession(context.Background(), secret.New(first), "", ""); err == nil {
		t.Error("the session of before still counts")
	}
	second := cookie()
	v.post("/signout", nil).want(200).says("You are signed out")
	if _, err := w.control.BySession(context.Background(), secret.New(second), "", ""); err == nil {
		t.Error("the session counts after signing out")
	}
	if a := v.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Errorf("signed out, and yet at %s", a.path)
	}
}

// TestCookies of a portal behind TLS carry the prefix that browsers enforce.
func TestCookies(t *testing.T) {
	for _, secure := range []bool{false, true} {
		w := newWorld(t, func(o *portal.Options) { o.Secure = secure })
		v := w.visitor()
		v.get("/register").submit("/register", fill{"organization": "A", "name": "B", "email": "b@a.example", "password": password}).want(200)
		v.get(w.letter("b@a.example")).submit("/confirm", nil).want(200)
		v.web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		a := v.get("/signin").submit("/signin", fill{"email": "b@a.example", "password": password}).want(303)
		name := "gatehouse="
		if secure {
			name = "__Host-gatehouse="
		}
		got := strings.Join(a.header.Values("Set-Cookie"), "\n")
		if !strings.Contains(got, name+"ghs_") || !strings.Contains(got, "HttpOnly") || !strings.Contains(got, "SameSite=Lax") || !strings.Contains(got, "Path=/") ||
			strings.Contains(got, "; Secure") != secure || strings.Contains(got, "Domain") {
			t.Errorf("secure %v: %s", secure, got)
		}
		if hsts := a.header.Get("Strict-Transport-Security"); (hsts != "") != secure {
			t.Errorf("secure %v: Strict-Transport-Security is %q", secure, hsts)
		}
	}
}

// TestOtherSites cannot post here, whatever a browser can be made to send.
func TestOtherSites(t *testing.T) {
	s := seed(t)
	for name, fields := range map[string]map[string]string{
		"cross-site": {"Sec-Fetch-Site": "cross-site"},
		"same-site":  {"Sec-Fetch-Site": "same-site"},
		"origin":     {"Origin": "https://elsewhere.example"},
		"null":       {"Origin": "null"},
	} {
		r, _ := http.NewRequest(http.MethodPost, s.url+s.key+"/revoke", strings.NewReader("reason=because"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, x := range fields {
			r.Header.Set(k, x)
		}
		got, err := s.ines.web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a := s.ines.read(got).want(403).says("That form did not come from here")
		if len(a.all("main form")) != 0 {
			t.Errorf("%s: the page offers to send it again", name)
		}
	}
	s.ines.get(s.key).says("active")
}

// TestNothingTypedIsLost: a form sent after the session ended comes back with all that was typed, but for secrets.
func TestNothingTypedIsLost(t *testing.T) {
	s := seed(t)
	form := s.ines.get("/applications/new").form("/applications", fill{"name": "Branch tablets", "purpose": "Check <b>documents</b>"})
	s.ines.post("/signout", nil)
	a := s.ines.post("/applications", form).want(401).says("Branch tablets", "Check <b>documents</b>")
	s.ines.get("/signin").submit("/signin", fill{"email": "ines@nordlicht.example", "password": password}).want(200)
	made := a.submit("/applications", nil).want(200).says("Branch tablets")
	// And sending it once more makes no second one.
	if again := a.submit("/applications", nil).want(200); again.path != made.path {
		t.Errorf("the form made two: %s and %s", made.path, again.path)
	}
	secretForm := s.ines.get("/account").form("/account/password", fill{"old": password, "fresh": "twelve geese on the lake"})
	s.ines.post("/signout", nil)
	a = s.ines.post("/account/password", secretForm).want(401)
	if strings.Contains(a.body, password) || strings.Contains(a.body, "geese") || len(a.all("main form")) != 0 {
		t.Error("a password stands on a page, or is to be sent again")
	}
}

// TestTwoApprovers decide at the same moment: one is told that the other was first, and keeps what they wrote.
func TestTwoApprovers(t *testing.T) {
	s := seed(t)
	other := s.staffed("otto@platform.example", "Otto Other", identity.Approver, identity.Operator)
	path := s.open + "/decide"
	mine, theirs := s.approver.get(path), other.get(path)
	mine.submit(path, fill{"decision": "approve", "reason": "fine"}).want(200).says("Platform operations")
	late := theirs.submit(path, fill{"decision": "refuse", "reason": "not yet convinced"})
	if late.status != http.StatusPreconditionFailed {
		t.Fatalf("status %d: %s", late.status, late.text("main"))
	}
	late.says("Somebody changed this", "API owner: approved")
	if got := late.text("#f-reason"); got != "not yet convinced" {
		t.Errorf("the reason that was typed is lost: %q", got)
	}
	// The page shows what is new, so the next try counts.
	late.submit(path, fill{"decision": "refuse"}).want(200).says("refused", "not yet convinced")
	s.approver.get(path).want(200).says("already")
}

// TestLinksWorkOnce: opening one does nothing, using it does, using it again says that it is over.
func TestLinksWorkOnce(t *testing.T) {
	w := newWorld(t)
	v := w.visitor()
	v.get("/register").submit("/register", fill{"organization": "A", "name": "B", "email": "b@a.example", "password": password})
	v.get("/signin").submit("/signin", fill{"email": "b@a.example", "password": password}).want(403).says("not confirmed yet", "Send the confirmation again")
	link := w.letter("b@a.example")
	v.get(link).want(200)
	page := v.get(link).want(200) // as a scanner of mail does
	page.submit("/confirm", nil).want(200).says("confirmed")
	page.submit("/confirm", nil).want(410).says("used or over")
	v.get("/confirm").want(410)
	v.get("/confirm?token=nonsense").want(200).submit("/confirm", nil).want(410)
	v.get("/signin/link?token=nonsense").submit("/signin/link", nil).want(410)
	v.get("/password/reset?token=nonsense").submit("/password/reset", fill{"password": "twelve geese on the lake"}).want(410)
}

// TestForgottenPassword sets a new one by a link, and ends every session.
func TestForgottenPassword(t *testing.T) {
	w := newWorld(t)
	inside := w.partner("A", "B", "b@a.example")
	before := len(w.box.Letters())
	v := w.visitor()
	v.get("/password/forgot").submit("/password/forgot", fill{"email": "b@a.example"}).want(200).says("If we know that address")
	w.visitor().get("/password/forgot").submit("/password/forgot", fill{"email": "nobody@a.example"}).want(200).says("If we know that address")
	w.until(func() bool { return len(w.box.Letters()) > before })
	reset := v.get(w.letter("b@a.example")).want(200)
	reset.submit("/password/reset", fill{"password": "short"}).want(422)
	reset.submit("/password/reset", fill{"password": "twelve geese on the lake"}).want(200).says("new password is set")
	if a := inside.get("/dashboard"); !strings.HasPrefix(a.path, "/signin") {
		t.Error("a session outlived the password")
	}
	v.get("/signin").submit("/signin", fill{"email": "b@a.example", "password": password}).want(401)
	v.get("/signin").submit("/signin", fill{"email": "b@a.example", "password": "twelve geese on the lake"}).want(200)
}

// TestBadRequests are answered with a page that says what to do.
func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	v := w.visitor()
	v.get("/nowhere").want(404).says("There is nothing here", "Request id")
	v.get("/applications/../nowhere").want(404)
	r, _ := http.NewRequest(http.MethodDelete, w.url+"/signin", nil)
	got, err := v.web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if a := v.read(got).want(405); a.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	v.post("/register", url.Values{"organization": {strings.Repeat("x", 100_000)}}).want(413)
	v.post("/register", url.Values{"organization": {strings.Repeat("é", 121)}, "name": {"a\x00b"}, "email": {"no address"}, "password": {"x"}}).want(422).says("At most 120 characters; this has 121")
	v.post("/confirm", nil).want(410)
	v.get("/audit/99999999999999999999").want(200) // sent to sign in
	for _, path := range []string{"/applications/app_1", "/grants/gr_" + strings.Repeat("z", 26), "/audit/-1", "/audit/999999", "/environments/none", "/environments/live/revisions/x", "/people/per_x", "/problems/none", "/catalogue/none", "/catalogue/verification/none", "/catalogue/verification/eid?operation=none", "/catalogue/verification/eid?tag=none", "/openapi/none.yaml", "/openapi/eid", "/openapi/eid.yaml", "/assets/none.css"} {
		a := w.staffed2().get(path)
		if a.status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, a.status)
		}
	}
}

// staffed2 is the administrator, signed in once for all.
func (w *world) staffed2() *visitor {
	if w.boss == nil {
		w.boss = w.staffed("admin@platform.example", "Ada Admin")
	}
	return w.boss
}

// TestHostileNames come out as they went in: as text.
func TestHostileNames(t *testing.T) {
	w := newWorld(t)
	const name = `<script>alert(1)</script>"' & ß 漢字 עברית`
	v := w.partner(name, name, "x@a.example")
	app := v.get("/applications/new").submit("/applications", fill{"name": name, "purpose": name + "\n\n<img src=x onerror=alert(1)>"}).want(200)
	for _, path := range []string{"/dashboard", "/applications", app.path, app.path + "/edit", "/organization", "/account", "/audit"} {
		a := v.get(path).want(200)
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") {
			t.Errorf("%s runs what somebody typed", path)
		}
		sound(t, a)
	}
	v.get(app.path).says(name)
	admin := w.staffed2()
	for _, path := range []string{"/queue", "/organizations", "/organizations?search=" + url.QueryEscape(name), "/audit?object=" + url.QueryEscape(name), "/dev/mail"} {
		if a := admin.get(path).want(200); strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s runs what somebody typed", path)
		}
	}
	admin.get("/organizations?search=" + url.QueryEscape("漢字")).says(name)
}

// TestLetters stand at /dev/mail for people and for programs, and only in development.
func TestLetters(t *testing.T) {
	w := newWorld(t)
	w.partner("A", "B", "b@a.example")
	r, _ := http.NewRequest(http.MethodGet, w.url+"/dev/mail", nil)
	r.Header.Set("Accept", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var list struct {
		Items []struct {
			To, Subject, Text, At string
			Links                 []string
		}
	}
	if err := json.NewDecoder(got.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 || list.Items[len(list.Items)-1].To != "b@a.example" || len(list.Items[len(list.Items)-1].Links) == 0 {
		t.Errorf("the letters are %+v", list)
	}
	serious := newWorld(t, func(o *portal.Options) { o.Dev, o.Box = false, nil })
	if a := serious.visitor().get("/dev/mail").want(404); len(a.all(`a[href="/dev/mail"]`)) != 0 {
		t.Error("a page leads to letters that are not there")
	}
}

// TestAssets may be kept for ever, since their names change with their content.
func TestAssets(t *testing.T) {
	w := newWorld(t)
	a := w.visitor().get("/")
	for _, n := range append(a.all("link[href]"), a.all("script[src]")...) {
		path := attr(n, "href") + attr(n, "src")
		r, _ := http.NewRequest(http.MethodGet, w.url+path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		got, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != 200 || got.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, got.StatusCode, got.Header)
		}
		if strings.HasSuffix(path, ".css") && got.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed", path)
		}
	}
}

// TestTheme is chosen without a script, kept in a cookie, and leads back.
func TestTheme(t *testing.T) {
	w := newWorld(t)
	v := w.visitor()
	form := v.get("/catalogue").form("/theme", nil)
	form.Set("theme", "dark")
	a := v.post("/theme", form).want(200)
	if a.path != "/catalogue" || attr(a.one("html"), "data-theme") != "dark" {
		t.Errorf("at %s with the theme %q", a.path, attr(a.one("html"), "data-theme"))
	}
	form.Set("theme", `"><script>`)
	form.Set("return", "//elsewhere.example")
	if a = v.post("/theme", form).want(200); a.path != "/" || has(a.one("html"), "data-theme") {
		t.Errorf("nonsense led to %s", a.path)
	}
}

// TestNew refuses to start without what it needs.
func TestNew(t *testing.T) {
	if _, err := portal.New(portal.Options{}); err == nil {
		t.Error("a portal without a control plane")
	}
	if _, err := portal.New(portal.Options{Control: new(control.Control)}); err != nil {
		t.Error(err)
	}
}
