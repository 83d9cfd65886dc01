package portal

import (
	"bytes"
	"embed"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/identity"
	"gatehouse/organization"
)

//go:embed templates/*.html
var templateFiles embed.FS

// frame is what stands around every page.
type frame struct {
	Title        string // of the page: its one first heading, unless the page writes its own
	Lead         string // one sentence under the title
	Path         string
	Now          time.Time
	Theme        string // auto, light or dark
	Notice       string
	Version      string
	Dev          bool
	Actor        identity.Actor
	Organization organization.Organization
	Groups       []navGroup
	Trail        []crumb
	RequestID    string
	Bare         bool // the page fills the whole width, and writes its own first heading
	Slim         bool // the page is one narrow column
	Open         bool // the page looks the same for everybody: no menu at the side
}

// Inside reports whether the page stands beside the menu.
func (f *frame) Inside() bool { return f.SignedIn() && !f.Open }

// Home is where the viewer's own pages begin.
func (f *frame) Home() string {
	if !f.SignedIn() {
		return "/"
	}
	return start(f.Actor)
}

// Member reports whether a member of a partner looks at the page.
func (f *frame) Member() bool { return f.Actor.Class == identity.Member }

// Staff reports whether one of the platform's people looks at the page.
func (f *frame) Staff() bool { return f.Actor.Class == identity.Staff }

// SignedIn reports whether somebody we know looks at the page.
func (f *frame) SignedIn() bool { return f.Member() || f.Staff() }

// May reports whether the viewer has any of the roles, be it bound to some place: it decides which buttons stand on a page,
// not what is allowed.
func (f *frame) May(roles ...identity.Role) bool {
	return slices.ContainsFunc(f.Actor.Roles, func(r identity.Role) bool { return slices.Contains(roles, r.Bare()) })
}

// Operates reports whether the viewer may suspend, resume and verify.
func (f *frame) Operates() bool { return f.Staff() && f.May(identity.Admin, identity.Operator) }

// Develops reports whether the viewer may work on the organization's applications.
func (f *frame) Develops() bool { return f.Member() && f.May(identity.Owner, identity.Developer) }

func (f *frame) around() *frame { return f }

// crumb is one step of the way back.
type crumb struct{ Text, Href string }

// page is one page: a struct that embeds frame and names its template.
type page interface {
	around() *frame
	template() string
}

func htmlText(s string) string { return html.UnescapeString(s) }

// loadTemplates reads every page's template with the layout and the parts around it.
func loadTemplates(a assets, m markdown) (map[string]*template.Template, error) {
	base, err := template.New("layout").Funcs(functions(a, m)).ParseFS(templateFiles, "templates/_*.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/[a-z]*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, name := range names {
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if t, err = t.ParseFS(templateFiles, name); err != nil {
			return nil, err
		}
		if t.Lookup("main") == nil {
			return nil, fmt.Errorf("%s defines no main", name)
		}
		all[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return all, nil
}

// show writes a page. It is written whole or not at all.
func (v *visit) show(status int, p page) error {
	f := p.around()
	f.Path, f.Now, f.Theme, f.Notice = v.r.URL.Path, v.now, v.theme(), v.notice
	f.Version, f.Dev, f.RequestID = v.Version, v.Dev, v.requestID
	f.Actor, f.Organization = v.actor, v.org
	f.Groups = navigation(f)
	t, ok := v.templates[p.template()]
	if !ok {
		return fmt.Errorf("there is no template %q", p.template())
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", p); err != nil {
		return fmt.Errorf("page %s: %w", p.template(), err)
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store") // pages carry names, forms carry once-keys
	v.written = true
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(b.Bytes()) // the visitor may have gone
	}
	return nil
}

// ok shows a page with status 200.
func (v *visit) ok(p page) error { return v.show(http.StatusOK, p) }
