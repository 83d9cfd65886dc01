package ingressnginx

import (
	"strings"

	"gatehouse/drift"
)

// snippet is a piece of nginx's own configuration.
type snippet struct {
	name       string
	from       found
	directives []string
}

// snippets are the pieces that count for the location, from the closest to the widest. One in an annotation counts only where the
// controller allows it.
func (l *location) snippets() []snippet {
	var out []snippet
	allowed := flag(l.get("", "allow-snippet-annotations"), false)
	for _, s := range []struct{ annotation, config string }{{"configuration-snippet", ""}, {"auth-snippet", ""}, {"modsecurity-snippet", ""}, {"server-snippet", ""}, {"", "location-snippet"}, {"", "server-snippet"}, {"", "http-snippet"}, {"", "main-snippet"}, {"", "global-auth-snippet"}} {
		f := l.get(s.annotation, s.config)
		if f.n == nil || strings.TrimSpace(f.n.Str()) == "" || s.annotation != "" && allowed.Known() && !allowed.Value {
			continue
		}
		out = append(out, snippet{name: s.annotation + s.config, from: f, directives: directives(f.n.Str())})
	}
	return out
}

// directives are the first words of the statements in a text, comments left out.
func directives(s string) []string {
	var b strings.Builder
	for _, line := range strings.Split(s, "\n") {
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		b.WriteString(line + "\n")
	}
	var out []string
	for _, part := range strings.FieldsFunc(b.String(), func(r rune) bool { return r == ';' || r == '{' || r == '}' }) {
		if w := strings.Fields(part); len(w) > 0 {
			out = append(out, w[0])
		}
	}
	return out
}

func (s snippet) decides(names ...string) bool {
	for _, d := range s.directives {
		for _, n := range names {
			if d == n {
				return true
			}
		}
	}
	return false
}

// code keeps the snippets, which are compared by their text alone, and says which of them take effect that an outer one had: nginx takes
// a whole group of directives from the innermost block that has one of them.
func (l *location) code(p *drift.Policy) {
	list, names := drift.ByDefault([]drift.Opaque(nil)), drift.ByDefault([]string(nil))
	for _, s := range l.snippets() {
		o := s.from.origin()
		list = drift.Leaf[[]drift.Opaque]{Value: append(list.Value, drift.Opaque{Kind: "snippet", Name: s.name, Hash: drift.Hash(s.from.n.Str()), Code: drift.Shown(s.from.n.Str()), Origin: o}), State: drift.Set, Origin: o}
		names = drift.Leaf[[]string]{Value: append(names.Value, s.name), State: drift.Set, Origin: o}
		if s.from.wide {
			list.State, names.State = drift.Inherited, drift.Inherited
		}
	}
	if n := l.get("", "debug-connections"); n.n != nil {
		names = drift.From(append(names.Value, "debug-connections"), n.origin())
	}
	if f := l.get("", "allow-snippet-annotations"); f.unseen {
		for _, a := range []string{"configuration-snippet", "auth-snippet", "server-snippet"} {
			if s := l.get(a, ""); s.n != nil {
				names = drift.DependsOn(names.Value, "whether the controller takes snippets: "+noConfig, s.origin())
				list = drift.DependsOn(list.Value, "whether the controller takes snippets: "+noConfig, s.origin())
			}
		}
	}
	p.Opaque, p.Debug = list, names
	l.cuts(p)
}

// groups are the directives that an inner block takes over whole.
var groups = []struct {
	what   string
	auth   bool
	names  []string
	inside []string // annotations that put one of them into the location
}{
	{"auth_request", true, []string{"auth_request"}, []string{"auth-url"}},
	{"auth_basic", true, []string{"auth_basic"}, []string{"auth-type"}},
	{"addresses", true, []string{"allow", "deny"}, []string{"whitelist-source-range", "allowlist-source-range", "denylist-source-range"}},
	{"limit_req", false, []string{"limit_req"}, []string{"limit-rps", "limit-rpm"}},
	{"add_header", false, []string{"add_header"}, nil},
}

func (l *location) cuts(p *drift.Policy) {
	list := l.snippets()
	for _, g := range groups {
		inner := found{}
		for _, a := range g.inside {
			if f := l.get(a, ""); f.n != nil {
				inner = f
			}
		}
		for _, s := range list {
			if s.name == "configuration-snippet" && s.decides(g.names...) {
				inner = s.from
			}
		}
		if inner.n == nil {
			continue
		}
		for _, s := range list {
			if s.name != "configuration-snippet" && s.name != "auth-snippet" && s.decides(g.names...) {
				p.Cuts = append(p.Cuts, drift.Cut{What: g.what, Auth: g.auth, Lost: s.from.origin(), Origin: inner.origin()})
			}
		}
	}
}
