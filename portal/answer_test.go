package portal_test

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
)

// answer is one page as a browser got it, after redirects.
type answer struct {
	t      *testing.T
	v      *visitor
	status int
	path   string
	header http.Header
	body   string
	doc    *html.Node
}

func newAnswer(v *visitor, r *http.Response, body []byte) *answer {
	v.t.Helper()
	a := &answer{t: v.t, v: v, status: r.StatusCode, path: r.Request.URL.RequestURI(), header: r.Header, body: string(body)}
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	a.doc = doc
	return a
}

// want fails when the page has another status, and shows what it said.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.path, a.status, status, a.text("main"))
	}
	return a
}

// all finds elements by a CSS selector.
func (a *answer) all(selector string) []*html.Node {
	a.t.Helper()
	s, err := cascadia.ParseGroup(selector)
	if err != nil {
		a.t.Fatalf("selector %q: %v", selector, err)
	}
	return cascadia.QueryAll(a.doc, s)
}

// one finds exactly one element.
func (a *answer) one(selector string) *html.Node {
	a.t.Helper()
	found := a.all(selector)
	if len(found) != 1 {
		a.t.Fatalf("%s: %d elements match %q, want 1", a.path, len(found), selector)
	}
	return found[0]
}

// text is the words of the first element that matches, with single spaces.
func (a *answer) text(selector string) string {
	a.t.Helper()
	if found := a.all(selector); len(found) > 0 {
		return words(found[0])
	}
	return ""
}

// says fails when the main part of the page does not hold the words.
func (a *answer) says(parts ...string) *answer {
	a.t.Helper()
	text := a.text("main")
	for _, p := range parts {
		if !strings.Contains(text, p) {
			a.t.Fatalf("%s does not say %q: %s", a.path, p, text)
		}
	}
	return a
}

// follow opens the link with that text.
func (a *answer) follow(text string) *answer {
	a.t.Helper()
	for _, n := range a.all("a[href]") {
		if strings.HasPrefix(words(n), text) {
			return a.v.get(attr(n, "href"))
		}
	}
	a.t.Fatalf("%s has no link %q: %s", a.path, text, a.text("main"))
	return nil
}

// fill is what is typed into a form, by field name. A value beginning with "-" in a list takes nothing.
type fill map[string]string

// submit sends the page's form with that action as a browser without scripts would: every field with what stands in it,
// and the first button unless fill names one.
func (a *answer) submit(action string, typed fill) *answer {
	a.t.Helper()
	return a.v.post(action, a.form(action, typed))
}

// form is what a browser would send of the form with that action.
func (a *answer) form(action string, typed fill) url.Values {
	a.t.Helper()
	for _, f := range a.all("form[method=post]") {
		if attr(f, "action") != action {
			continue
		}
		sent := successful(f)
		for name, value := range typed {
			if !hasControl(f, name) {
				a.t.Fatalf("the form %s of %s has no field %q", action, a.path, name)
			}
			sent.Del(name)
			for part := range strings.SplitSeq(value, "\x00") {
				sent.Add(name, part)
			}
			if value == "" && isChecks(f, name) {
				sent.Del(name)
			}
		}
		return sent
	}
	a.t.Fatalf("%s has no form that posts to %s: %s", a.path, action, a.text("main"))
	return nil
}

func (v *visitor) post(path string, values url.Values) *answer {
	v.t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.w.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	r, err := v.web.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.read(r)
}

// upload posts a form with one file.
func (v *visitor) upload(path, field string, text []byte) *answer {
	v.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile(field, "files.zip")
	if err == nil {
		_, err = part.Write(text)
	}
	if err = errors.Join(err, m.Close()); err != nil {
		v.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, v.w.url+path, &b)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", m.FormDataContentType())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	r, err := v.web.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.read(r)
}

// successful are the controls of a form that a browser would send.
func successful(f *html.Node) url.Values {
	out := url.Values{}
	each(f, func(n *html.Node) {
		name := attr(n, "name")
		if name == "" {
			return
		}
		switch n.Data {
		case "input":
			if kind := attr(n, "type"); (kind == "radio" || kind == "checkbox") && !has(n, "checked") {
				return
			}
			out.Add(name, attr(n, "value"))
		case "textarea":
			out.Add(name, words(n))
		case "select":
			value, first := "", true
			each(n, func(o *html.Node) {
				if o.Data == "option" && (first || has(o, "selected")) {
					value, first = attr(o, "value"), false
				}
			})
			out.Add(name, value)
		}
	})
	return out
}

func hasControl(f *html.Node, name string) bool {
	found := false
	each(f, func(n *html.Node) {
		found = found || attr(n, "name") == name && slices.Contains([]string{"input", "select", "textarea", "button"}, n.Data)
	})
	return found
}

func isChecks(f *html.Node, name string) bool {
	found := false
	each(f, func(n *html.Node) { found = found || attr(n, "name") == name && attr(n, "type") == "checkbox" })
	return found
}

func each(n *html.Node, fn func(*html.Node)) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode {
			fn(c)
		}
	}
}

func words(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		for c := range n.ChildNodes() {
			switch {
			case c.Type == html.TextNode:
				b.WriteString(c.Data)
			case c.Type != html.ElementNode, c.Data == "script", c.Data == "style", c.Data == "wbr":
			default:
				b.WriteByte(' ')
				walk(c)
				b.WriteByte(' ')
			}
		}
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
