package snapshot

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gatehouse/manifest"
	"gatehouse/wire"
)

// A router finds routes by host, path, method and header fields, in this order of precedence, which is that of the
// Kubernetes Gateway API and of OpenAPI (docs/routing.md):
//
//   - a host by name goes before a wildcard, a longer wildcard before a shorter one, those before routes for any host;
//   - in a path, from its left, a literal segment goes before one with a pattern, that before a bare parameter;
//   - of routes at one path and method, the one that asks for more header fields goes first;
//   - the path decides before the method and the fields: where the narrowest path lacks the method the answer is 405, and
//     where none of its routes has the fields it is 404, so that a wider route never answers for a narrow one that is not
//     offered.
type router struct {
	hosts     map[string]*node
	wildcards []wildcard // longest first
	any       *node
}

type wildcard struct {
	suffix string // ".example.com"
	root   *node
}

type node struct {
	few      []child // literal segments, while there are few
	many     map[string]*node
	folded   map[string]*node // many, by lower case
	mixed    bool             // of a root: somewhere below, a literal stands beside a parameter
	patterns []patternChild   // most literal first
	param    *node
	end      bool // a path ends here, whether or not it is offered
	methods  []*Route
	allow    string
}

type child struct {
	segment string
	node    *node
}

type patternChild struct {
	parts []string // literals around the parameters: the first is a prefix, the last a suffix
	node  *node
}

const fewChildren = 8 // up to here comparing is faster than hashing

// Match is what was found for a request.
type Match struct {
	Route     *Route
	Preflight bool   // the request asks, by OPTIONS, whether a page may call the route
	Allow     string // the methods of the path, when the path is there and the method is not; "" when nothing is there
	Ambiguous bool   // an upstream could take the path for another one that is known here: nothing else is set
}

// Match finds the route for a request head. It allocates nothing.
func (r *Routes) Match(h *wire.Head) Match { return r.tree.match(h) }

func (t *router) match(h *wire.Head) Match {
	host := hostOf(h.Authority)
	if n := t.hosts[string(host)]; n != nil {
		if m, found := n.match(h); found {
			return m
		}
	}
	for i := range t.wildcards {
		w := &t.wildcards[i]
		if len(host) > len(w.suffix) && string(host[len(host)-len(w.suffix):]) == w.suffix {
			if m, found := w.root.match(h); found {
				return m
			}
		}
	}
	if t.any != nil {
		if m, found := t.any.match(h); found {
			return m
		}
	}
	return Match{}
}

// hostOf is the authority without its port, and without the dot that a name may end with.
func hostOf(a wire.View) wire.View {
	if i := bytes.LastIndexByte(a, ':'); i >= 0 && bytes.IndexByte(a[i:], ']') < 0 {
		a = a[:i]
	}
	return bytes.TrimSuffix(a, []byte{'.'})
}

// find returns the node at which the path ends. rest is the path behind a slash.
func (n *node) find(rest wire.View) *node {
	segment, tail, last := rest, wire.View(nil), true
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		segment, tail, last = rest[:i], rest[i+1:], false
	}
	if c := n.literal(segment); c != nil {
		if end := c.then(tail, last); end != nil {
			return end
		}
	}
	if len(segment) == 0 {
		return nil // a parameter is never empty
	}
	for i := range n.patterns {
		if fits(n.patterns[i].parts, segment) {
			if end := n.patterns[i].node.then(tail, last); end != nil {
				return end
			}
		}
	}
	if n.param != nil {
		return n.param.then(tail, last)
	}
	return nil
}

func (n *node) then(tail wire.View, last bool) *node {
	if !last {
		return n.find(tail)
	}
	if n.end {
		return n
	}
	return nil
}

func (n *node) literal(segment wire.View) *node {
	if n.many != nil {
		return n.many[string(segment)]
	}
	for i := range n.few {
		if n.few[i].segment == string(segment) {
			return n.few[i].node
		}
	}
	return nil
}

// fits reports whether the segment has the literals in their order, with at least one character for each parameter.
func fits(parts []string, segment wire.View) bool {
	if !bytes.HasPrefix(segment, []byte(parts[0])) {
		return false
	}
	rest := segment[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		if len(rest) == 0 {
			return false
		}
		i := bytes.Index(rest[1:], []byte(p))
		if i < 0 {
			return false
		}
		rest = rest[1+i+len(p):]
	}
	last := parts[len(parts)-1]
	return len(rest) > len(last) && bytes.HasSuffix(rest, []byte(last))
}

// add puts a route at its hosts and path; a nil route makes only the path known, so that no wider one answers for it. It
// returns the route that stands there already with the same method and could be meant as well.
func (t *router) add(hosts []string, path string, r *Route) (*Route, error) {
	segments, err := parseTemplate(path)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		if t.any == nil {
			t.any = &node{}
		}
		return t.any.add(segments, r), nil
	}
	for _, h := range hosts {
		if other := t.root(strings.ToLower(h)).add(segments, r); other != nil {
			return other, nil
		}
	}
	return nil, nil
}

func (t *router) root(host string) *node {
	suffix, wild := strings.CutPrefix(host, "*")
	if !wild {
		if t.hosts == nil {
			t.hosts = map[string]*node{}
		}
		if t.hosts[host] == nil {
			t.hosts[host] = &node{}
		}
		return t.hosts[host]
	}
	i := slices.IndexFunc(t.wildcards, func(w wildcard) bool { return w.suffix == suffix })
	if i >= 0 {
		return t.wildcards[i].root
	}
	n := &node{}
	t.wildcards = append(t.wildcards, wildcard{suffix, n})
	slices.SortFunc(t.wildcards, func(a, b wildcard) int {
		return cmp.Or(len(b.suffix)-len(a.suffix), strings.Compare(a.suffix, b.suffix))
	})
	return n
}

func (n *node) add(segments [][]string, r *Route) *Route {
	root := n
	for _, s := range segments {
		parent := n
		n = n.child(s)
		root.mixed = root.mixed || parent.both()
	}
	n.end = true
	if r == nil {
		return nil
	}
	for _, other := range n.methods {
		if other.Method == r.Method && manifest.Ambiguous(other.headers, r.headers) {
			return other
		}
	}
	n.methods = append(n.methods, r)
	slices.SortStableFunc(n.methods, func(a, b *Route) int {
		return cmp.Or(strings.Compare(a.Method, b.Method), len(b.conditions)-len(a.conditions))
	})
	var allow []string
	for _, m := range n.methods {
		if allow = append(allow, m.Method); m.Method == "GET" {
			allow = append(allow, "HEAD")
		}
		if m.Preflight != nil {
			allow = append(allow, "OPTIONS")
		}
	}
	slices.Sort(allow)
	n.allow = strings.Join(slices.Compact(allow), ", ")
	return nil
}

// child finds or makes the child for a segment: one part is a literal, two empty ones a bare parameter.
func (n *node) child(parts []string) *node {
	switch {
	case len(parts) == 1:
		if c := n.literal(wire.View(parts[0])); c != nil {
			return c
		}
		c := &node{}
		if n.many == nil && len(n.few) < fewChildren {
			n.few = append(n.few, child{parts[0], c})
			return c
		}
		if n.many == nil {
			n.many, n.folded = map[string]*node{}, map[string]*node{}
			for _, f := range n.few {
				n.many[f.segment], n.folded[strings.ToLower(f.segment)] = f.node, f.node
			}
			n.few = nil
		}
		n.many[parts[0]], n.folded[strings.ToLower(parts[0])] = c, c
		return c
	case len(parts) == 2 && parts[0] == "" && parts[1] == "":
		if n.param == nil {
			n.param = &node{}
		}
		return n.param
	}
	for _, p := range n.patterns {
		if slices.Equal(p.parts, parts) {
			return p.node
		}
	}
	c := &node{}
	n.patterns = append(n.patterns, patternChild{parts, c})
	slices.SortFunc(n.patterns, func(a, b patternChild) int {
		return cmp.Or(len(strings.Join(b.parts, ""))-len(strings.Join(a.parts, "")), slices.Compare(a.parts, b.parts))
	})
	return c
}

// parseTemplate takes a path template apart: for each segment the literals around its parameters, in the form in which
// paths are routed.
func parseTemplate(path string) ([][]string, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("the path %q does not begin with a slash", path)
	}
	var out [][]string
	for segment := range strings.SplitSeq(path[1:], "/") {
		parts := []string{""}
		for segment != "" {
			literal, rest, param := strings.Cut(segment, "{")
			name, after, closed := strings.Cut(rest, "}")
			switch {
			case strings.Contains(literal, "}"), param && (!closed || name == "" || strings.Contains(name, "{")):
				return nil, fmt.Errorf("the path %q has a brace without its partner", path)
			case param && literal == "" && len(parts) > 1:
				return nil, fmt.Errorf("the path %q has two parameters without anything between them", path)
			}
			parts[len(parts)-1] = literal
			if segment = after; param {
				parts = append(parts, "")
			}
		}
		for i, p := range parts {
			normal, why := wire.NormalPath(nil, wire.View("/x"+p)) // behind a letter, a dot is no dot segment
			if why != "" {
				return nil, fmt.Errorf("the path %q can never be called: %s", path, why)
			}
			parts[i] = string(normal[2:])
		}
		out = append(out, parts)
	}
	if whole, why := wire.NormalPath(nil, wire.View(withoutBraces(path))); why != "" {
		return nil, fmt.Errorf("the path %q can never be called: %s", path, why)
	} else if len(whole) > maxTemplate {
		return nil, fmt.Errorf("the path %q… is longer than %d characters", path[:40], maxTemplate)
	}
	return out, nil
}

const maxTemplate = 2000 // no target is as long: a request's is bounded as well

// withoutBraces puts a letter for each parameter.
func withoutBraces(path string) string {
	var b strings.Builder
	for path != "" {
		literal, rest, param := strings.Cut(path, "{")
		b.WriteString(literal)
		if _, path, _ = strings.Cut(rest, "}"); param {
			b.WriteByte('x')
		}
	}
	return b.String()
}
