package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/identity"
)

// seeded is a world in which the story has been lived: every list has something in it.
type seeded struct {
	*world
	admin, approver, ines, rival *visitor
	app, request, open           string // paths
	grant, key, revoked          string
}

func seed(t *testing.T) *seeded {
	t.Helper()
	w := newWorld(t)
	s := &seeded{world: w}
	s.admin = w.staffed("admin@platform.example", "Ada Admin")
	s.approver = w.staffed("vera@platform.example", "Vera Approver", identity.Approver)
	s.ines = w.partner("Nordlicht Bank", "Ines Ito", "ines@nordlicht.example")
	s.rival = w.partner("Südlicht Versicherung", "Rolf Rival", "rolf@suedlicht.example")
	s.app = s.ines.get("/applications/new").submit("/applications", fill{"name": "Onboarding web", "purpose": "Identify new customers"}).want(200).path
	verify := s.admin.get("/queue").follow("Verify")
	verify.submit(verify.path, fill{"reason": "HRB 4711"}).want(200)
	ask := func(product, plan, environment, scopes string) *answer {
		return s.ines.get("/requests/new?product="+product).submit("/requests", fill{"environment": environment, "plan": plan, "scopes": scopes,
			"purpose": "Identify new customers", "duration": "90d"}).want(200)
	}
	s.request = ask("verification", "standard", "live", "verifications:read\x00verifications:write").path
	ask("starter", "free", "test", "documents:check").says("approved")
	decision := s.approver.get(s.request + "/decide")
	decision.submit(decision.path, fill{"decision": "approve"}).want(200)
	s.open = ask("verification", "high-volume", "test", "verifications:read").path
	s.grant = s.ines.get(s.request).follow("See the grant").path
	for _, environment := range []string{"live", "test"} {
		s.ines.get("/credentials/new?application="+strings.TrimPrefix(s.app, "/applications/")).
			submit("/credentials", fill{"name": environment + " server", "environment": environment}).want(200)
	}
	s.key = s.ines.get(s.app).follow("live server").path
	s.revoked = s.ines.get(s.app).follow("test server").path
	s.ines.get(s.revoked+"/revoke").submit(s.revoked+"/revoke", fill{"reason": "lost"}).want(200)
	w.until(func() bool { return !strings.Contains(s.admin.get("/audit").text("main"), "being sealed") })
	return s
}

// TestEveryPageIsSound follows every link that each kind of visitor can see, and checks each page that it comes to.
func TestEveryPageIsSound(t *testing.T) {
	s := seed(t)
	for name, c := range map[string]struct {
		v     *visitor
		start string
		least int // so many different pages
	}{
		"visitor":  {s.visitor(), "/", 30},
		"member":   {s.ines, "/dashboard", 60},
		"approver": {s.approver, "/queue", 60},
		"admin":    {s.admin, "/queue", 60},
	} {
		t.Run(name, func(t *testing.T) {
			seen := crawl(t, c.v, c.start)
			if len(seen) < c.least {
				t.Errorf("only %d pages were found", len(seen))
			}
			t.Logf("%d pages", len(seen))
		})
	}
}

// crawl opens every page that links lead to from start, checks each, and returns their paths.
func crawl(t *testing.T, v *visitor, start string) []string {
	t.Helper()
	todo, seen := []string{start}, map[string]bool{start: true}
	var order []string
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		a := v.get(path)
		order = append(order, path)
		if a.status != http.StatusOK {
			t.Errorf("%s: status %d", path, a.status)
			continue
		}
		if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			continue
		}
		sound(t, a)
		for _, n := range a.all("a[href]") {
			u, err := url.Parse(attr(n, "href"))
			if err != nil {
				t.Errorf("%s: link %q: %v", path, attr(n, "href"), err)
				continue
			}
			if u.Host != "" && "http://"+u.Host != v.w.url || u.Path == "" || strings.HasPrefix(u.Path, "/api/") {
				continue
			}
			u.Fragment = ""
			if next := u.RequestURI(); !seen[next] && len(seen) < 400 {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return order
}

// sound checks what holds for every page.
func sound(t *testing.T, a *answer) {
	t.Helper()
	bad := func(format string, args ...any) { t.Helper(); t.Errorf(a.path+": "+format, args...) }
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
			"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := a.header.Get(name); got != want {
			bad("%s is %q", name, got)
		}
	}
	if a.header.Get("Permissions-Policy") == "" || !strings.HasPrefix(a.header.Get("X-Request-Id"), "req-") {
		bad("a header is missing: %v", a.header)
	}
	if attr(a.one("html"), "lang") != "en" {
		bad("the page has no language")
	}
	for _, once := range []string{"h1", "main", "title", "footer", `a.skip[href="#main"]`} {
		if n := len(a.all(once)); n != 1 {
			bad("%d of %s, want 1", n, once)
		}
	}
	if title := a.text("title"); title == "" || strings.HasPrefix(title, "·") {
		bad("the title is %q", title)
	}
	for _, n := range a.all("nav") {
		if attr(n, "aria-label") == "" {
			bad("a nav has no name")
		}
	}
	headings(a, bad)
	ids := map[string]bool{}
	for _, n := range a.all("[id]") {
		if ids[attr(n, "id")] {
			bad("the id %q stands twice", attr(n, "id"))
		}
		ids[attr(n, "id")] = true
	}
	references(a, ids, bad)
	controls(a, bad)
	for _, n := range a.all("[style], script:not([src]), style, iframe, object, embed, base") {
		bad("<%s> is forbidden by the policy", n.Data)
	}
	for _, n := range a.all("script[src], link[href], img[src]") {
		if from := attr(n, "src") + attr(n, "href"); !strings.HasPrefix(from, "/assets/") {
			bad("%s comes from %q", n.Data, from)
		}
	}
	for _, n := range a.all("a, button, h1, h2, h3, th, summary, legend, label") {
		if words(n) == "" {
			bad("an empty <%s>: %v", n.Data, n.Attr)
		}
	}
	for _, n := range a.all("th") {
		if attr(n, "scope") == "" {
			bad("a th has no scope: %s", words(n))
		}
	}
	for _, n := range a.all("time") {
		if attr(n, "datetime") == "" {
			bad("a time that no machine can read: %s", words(n))
		}
	}
}

// headings go down by one level at a time.
func headings(a *answer, bad func(string, ...any)) {
	level := 0
	for _, n := range a.all("main h1, main h2, main h3, main h4, main h5, main h6") {
		l := int(n.Data[1] - '0')
		if l > level+1 {
			bad("the heading %q jumps from level %d to %d", words(n), level, l)
		}
		level = l
	}
}

// references lead to something on the page.
func references(a *answer, ids map[string]bool, bad func(string, ...any)) {
	for _, n := range a.all("[for], [aria-describedby], [aria-labelledby], [data-copy]") {
		for _, name := range []string{"for", "aria-describedby", "aria-labelledby", "data-copy"} {
			for _, i := range strings.Fields(attr(n, name)) {
				if !ids[i] {
					bad("%s of <%s> names %q, which is not on the page", name, n.Data, i)
				}
			}
		}
	}
	for _, n := range a.all(`a[href^="#"]`) {
		if !ids[strings.TrimPrefix(attr(n, "href"), "#")] {
			bad("the link to %s leads nowhere", attr(n, "href"))
		}
	}
}

// controls have names, required ones say so to the eye as well, and forms that change something are posted here.
func controls(a *answer, bad func(string, ...any)) {
	for _, n := range a.all("input, select, textarea") {
		if attr(n, "type") == "hidden" || has(n, "hidden") {
			continue
		}
		labelled := attr(n, "aria-label") != "" || insideLabel(n)
		if i := attr(n, "id"); i != "" && len(a.all(`label[for="`+i+`"]`)) == 1 {
			labelled = true
		}
		if !labelled {
			bad("<%s name=%q> has no label", n.Data, attr(n, "name"))
		}
	}
	for _, n := range a.all("form") {
		switch method := attr(n, "method"); {
		case method != "post" && method != "get":
			bad("a form has the method %q", method)
		case !strings.HasPrefix(attr(n, "action"), "/"):
			bad("a form is sent to %q", attr(n, "action"))
		}
		buttons := 0
		each(n, func(c *html.Node) {
			if c.Data == "button" && attr(c, "type") != "button" {
				buttons++
			}
		})
		if buttons == 0 {
			bad("the form to %s has no button", attr(n, "action"))
		}
	}
	for _, n := range a.all(`input[type="password"]`) {
		if !slices.Contains([]string{"current-password", "new-password"}, attr(n, "autocomplete")) || has(n, "value") {
			bad("a password field tells password managers nothing, or holds a value")
		}
	}
}

func insideLabel(n *html.Node) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "label" {
			return true
		}
	}
	return false
}
