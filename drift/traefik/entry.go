package traefik

import (
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

const noStatic = "the static configuration is not among the files"

// entry is one entry point.
type entry struct {
	name    string
	node    *source.Node // nil: not among the files
	tls     *source.Node
	options string
	wares   []string
	sends   drift.Leaf[int64] // the code with which it sends plain calls to HTTPS; 0: it does not
}

func (e *entry) scope() string { return "entry point " + drift.Mask(e.name) }

// arguments reads flags of the workload into a tree like that of a file.
func (r *reader) arguments() {
	for _, kind := range []string{"Deployment", "DaemonSet", "StatefulSet"} {
		for _, o := range k8s.Kind(r.objects, kind) {
			for _, c := range o.Spec().Get("template", "spec", "containers").Items() {
				if !strings.Contains(c.Get("image").Str(), "traefik") {
					continue
				}
				if list := append(c.Get("args").Items(), c.Get("command").Items()...); len(list) > 0 {
					r.static, r.known = append(r.static, tree(list)), true
				}
			}
		}
	}
}

func tree(list []*source.Node) *source.Node {
	root := &source.Node{Kind: source.Map, File: list[0].File, Line: list[0].Line}
	for _, n := range list {
		path, value, ok := strings.Cut(strings.TrimLeft(n.Str(), "-"), "=")
		if !strings.HasPrefix(n.Str(), "-") {
			continue
		}
		if !ok {
			value = "true"
		}
		at := root
		keys := strings.Split(path, ".")
		for i, k := range keys {
			next := keyIn(at, k)
			if next == nil {
				next = &source.Node{Kind: source.Map, File: n.File, Line: n.Line}
				at.Keys, at.Values = append(at.Keys, k), append(at.Values, next)
			}
			if at = next; i == len(keys)-1 && len(at.Keys) == 0 {
				at.Kind, at.Text = source.String, value
			} else if at.Kind == source.String {
				at.Kind, at.Text = source.Map, ""
			}
		}
	}
	return root
}

// setting is a value of the static configuration.
func (r *reader) setting(keys ...string) *source.Node {
	for _, s := range r.static {
		if n := keyIn(s, keys...); n != nil {
			return n
		}
	}
	return nil
}

// words are the values of a list, which flags write in one.
func words(n *source.Node) []string {
	var out []string
	for _, s := range n.Strs() {
		out = append(out, split(s)...)
	}
	return out
}

func (r *reader) entries() {
	seen := map[string]bool{}
	for _, s := range r.static {
		keyIn(s, "entryPoints").Each(func(name string, n *source.Node) {
			if seen[strings.ToLower(name)] || strings.HasSuffix(keyIn(n, "address").Str(), "/udp") {
				return
			}
			seen[strings.ToLower(name)] = true
			e := &entry{name: name, node: n, tls: keyIn(n, "http", "tls")}
			if on, ok := e.tls.Bool(); ok && !on {
				e.tls = nil
			}
			for _, w := range words(keyIn(n, "http", "middlewares")) {
				e.wares = append(e.wares, qualified(w, "file"))
			}
			if o := keyIn(e.tls, "options").Str(); o != "" {
				e.options = qualified(o, "file")
			}
			if to := keyIn(n, "http", "redirections", "entryPoint"); keyIn(to, "to").Str() != "" && or(keyIn(to, "scheme").Str(), "https") == "https" {
				code := int64(301)
				if b, ok := keyIn(to, "permanent").Bool(); ok && !b {
					code = 302
				}
				e.sends = drift.From(code, to.Origin(e.scope()))
			}
			r.entryPoint = append(r.entryPoint, e)
		})
	}
}

// listens are the entry points on which a router is served. Where the static configuration is not among the files they are known by name
// alone.
func (r *reader) listens(t *router) []*entry {
	var out []*entry
	if !r.known || len(r.entryPoint) == 0 {
		for _, n := range t.entries {
			out = append(out, &entry{name: n})
		}
		if len(out) == 0 {
			out = []*entry{{name: ""}}
		}
		return out
	}
	names := t.entries
	if len(names) == 0 {
		chosen := slices.ContainsFunc(r.entryPoint, func(e *entry) bool { on, _ := keyIn(e.node, "asDefault").Bool(); return on })
		for _, e := range r.entryPoint {
			on, _ := keyIn(e.node, "asDefault").Bool()
			if (on || !chosen) && !strings.EqualFold(e.name, "traefik") {
				names = append(names, e.name)
			}
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(r.entryPoint, func(e *entry) bool { return strings.EqualFold(e.name, n) })
		if i < 0 {
			r.Doubt(t.node.Origin(t.scope), "there is no entry point %s, so that the router does not listen there", drift.Mask(n))
			continue
		}
		out = append(out, r.entryPoint[i])
	}
	return out
}

// classes are the policies of a router, one for each entry point; the plain one comes first, for it is the weakest door. Entry points that
// send everything to HTTPS serve nothing themselves.
func (r *reader) classes(t *router, conflicts map[string]bool) []drift.Effective {
	var out []drift.Effective
	var sends drift.Leaf[int64]
	list := r.listens(t)
	for _, e := range list {
		if e.sends.Value > 0 && t.tls == nil && len(list) > 1 {
			sends = e.sends
			continue
		}
		x := drift.Effective{Class: "entry point " + drift.Mask(e.name), Policy: r.policy(t, e, conflicts)}
		if x.Policy.TLS.Plain.Value {
			out = append([]drift.Effective{x}, out...)
		} else {
			out = append(out, x)
		}
	}
	// Another entry point may send plain calls here.
	if sends.Value == 0 {
		for _, e := range r.entryPoint {
			if e.sends.Value > 0 && slices.ContainsFunc(list, func(x *entry) bool { return keyIn(e.node, "http", "redirections", "entryPoint", "to").Str() == x.name }) {
				sends = e.sends
			}
		}
	}
	for i := range out {
		if sends.Value > 0 && !out[i].Policy.TLS.Plain.Value {
			out[i].Policy.TLS.Redirect = sends
		}
	}
	if len(out) > 0 {
		out[0].Class = ""
	}
	return out
}
