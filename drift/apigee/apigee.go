// Package apigee reads Apigee: bundles of proxies and shared flows, and what is kept beside them of products, target servers and flow hooks.
package apigee

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// Read reads a folder with one bundle or many. Options.Values may hold values of template variables, "environment" for the one whose
// products and target servers count, and "flowhooks" = "none" where the environment attaches no shared flows of its own.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("apigee", o), values: o.Values, bundles: map[string]*bundle{}, servers: map[string]*source.Node{}, hooks: map[string]*source.Node{}}
	r.load()
	for _, b := range r.order {
		if !b.shared {
			b.operations()
		}
	}
	for _, b := range r.order {
		b.leftovers()
	}
	return r.env, f.Finish(r.env)
}

type reader struct {
	*source.Folder
	env      *drift.Environment
	values   map[string]string
	bundles  map[string]*bundle // by their folder
	order    []*bundle
	products []*source.Node
	servers  map[string]*source.Node // target servers
	hooks    map[string]*source.Node // shared flows that the environment attaches
}

// bundle is one proxy or shared flow.
type bundle struct {
	*reader
	dir       string
	name      string
	revision  string
	shared    bool
	policies  map[string]*policy
	sorted    []*policy
	proxies   []*source.Element
	targets   map[string]*source.Element
	flow      *source.Element // of a shared flow
	resources map[string]string
}

// policy is one policy of a bundle, found by the name in its root, whatever its file is called.
type policy struct {
	name string
	kind string
	node *source.Element
	of   *bundle
	used bool
}

func (p *policy) scope() string { return "policy " + drift.Mask(p.name) }

func (p *policy) origin(e *source.Element) drift.Origin {
	if e == nil {
		e = p.node
	}
	return e.Origin(p.scope())
}

// off reports whether the policy is attached and switched off.
func (p *policy) off() bool { v, _ := p.node.Attr("enabled"); return v == "false" }

// advisory reports whether calls go on when the policy fails.
func (p *policy) advisory() bool { v, _ := p.node.Attr("continueOnError"); return v == "true" }

var variables = regexp.MustCompile(`\{\{-?\s*([A-Za-z0-9_.]+)[^{}]*\}\}`)

func (r *reader) load() {
	for _, name := range r.Names() {
		switch strings.ToLower(path.Ext(name)) {
		case ".xml":
			r.xml(name)
		case ".json":
			for _, d := range r.Documents(name) {
				r.settings(d, name)
			}
		default:
			if _, dir, ok := root(name); ok && strings.HasPrefix(dir, "resources/") {
				continue // read when a policy names it
			}
			r.Skip()
		}
	}
}

// root splits a name into the folder of its bundle and the rest.
func root(name string) (bundle, rest string, ok bool) {
	for _, k := range []string{"apiproxy", "sharedflowbundle"} {
		if strings.HasPrefix(name, k+"/") {
			return k, name[len(k)+1:], true
		}
		if i := strings.LastIndex(name, "/"+k+"/"); i >= 0 {
			return name[:i+1+len(k)], name[i+2+len(k):], true
		}
	}
	return "", "", false
}

func (r *reader) xml(name string) {
	text, ok := r.Text(name)
	if !ok {
		return
	}
	text = variables.ReplaceAllFunc(text, func(m []byte) []byte {
		if v, ok := r.values[string(variables.FindSubmatch(m)[1])]; ok {
			return []byte(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(v))
		}
		return m
	})
	e, err := source.ParseXML(name, text)
	if err != nil {
		r.Problem(drift.Problem{File: name, Text: err.Error(), Partial: true})
		return
	}
	dir, rest, ok := root(name)
	if !ok {
		dir, rest = path.Dir(name), path.Base(name)
		for _, k := range []string{"policies", "proxies", "targets", "sharedflows"} {
			if path.Base(dir) == k {
				dir, rest = path.Dir(dir), k+"/"+rest
			}
		}
	}
	id, _ := e.Attr("name")
	switch e.Name {
	case "APIProxy", "SharedFlowBundle":
		b := r.bundle(dir)
		if b.name != "" && b.name != id {
			r.Doubt(e.Origin(""), "a second descriptor in the bundle of %s", b.name)
			return
		}
		b.name, b.shared = id, e.Name == "SharedFlowBundle"
		b.revision, _ = e.Attr("revision")
	case "ProxyEndpoint":
		b := r.bundle(dir)
		b.proxies = append(b.proxies, e)
	case "TargetEndpoint":
		r.bundle(dir).targets[id] = e
	case "SharedFlow":
		b := r.bundle(dir)
		b.flow, b.shared = e, true
	default:
		if id == "" || !strings.HasPrefix(rest, "policies/") && rest != path.Base(name) {
			r.Skip()
			return
		}
		b := r.bundle(dir)
		if old := b.policies[id]; old != nil {
			r.Doubt(e.Origin(""), "the policy %s stands in %s too", drift.Mask(id), old.node.File)
		}
		p := &policy{name: id, kind: e.Name, node: e, of: b}
		b.policies[id], b.sorted = p, append(b.sorted, p)
	}
}

func (r *reader) bundle(dir string) *bundle {
	b := r.bundles[dir]
	if b == nil {
		b = &bundle{reader: r, dir: dir, policies: map[string]*policy{}, targets: map[string]*source.Element{}, shared: path.Base(dir) == "sharedflowbundle"}
		r.bundles[dir], r.order = b, append(r.order, b)
	}
	return b
}

func (b *bundle) scope() string { return "proxy " + drift.Mask(b.title()) }

func (b *bundle) title() string {
	if b.name != "" {
		return b.name
	}
	return path.Base(path.Dir(b.dir))
}

// settings takes what tools keep beside bundles: products, target servers and flow hooks, as lists or one in a file.
func (r *reader) settings(d *source.Node, name string) {
	if e := r.values["environment"]; e != "" && strings.Contains(name, "/env/") && !strings.Contains(name, "/env/"+e+"/") {
		r.Skip()
		return
	}
	taken := false
	var take func(n *source.Node, depth int)
	take = func(n *source.Node, depth int) {
		switch {
		case depth > 3:
		case n.Kind == source.List:
			for _, v := range n.Items() {
				take(v, depth+1)
			}
		case n.Has("flowHookPoint"):
			r.hooks[n.Get("flowHookPoint").Str()] = n
			taken = true
		case n.Has("approvalType") && n.Has("name"):
			r.products = append(r.products, n)
			taken = true
		case n.Has("host") && n.Has("port") && n.Has("name"):
			r.servers[n.Get("name").Str()] = n
			taken = true
		case n.Kind == source.Map:
			for _, v := range n.Values {
				if v.Kind == source.List {
					take(v, depth+1)
				}
			}
		}
	}
	take(d, 0)
	if !taken {
		r.Skip()
	}
}

// sharedFlow is the shared flow of a name, or nil.
func (r *reader) sharedFlow(name string) *bundle {
	for _, b := range r.order {
		if b.shared && b.flow != nil && b.title() == name {
			return b
		}
	}
	return nil
}

func (r *reader) gap(what, name string, o drift.Origin) {
	g := drift.Gap{What: what, Name: drift.Mask(name), Origin: o}
	for _, old := range r.env.Gaps {
		if old.What == g.What && old.Name == g.Name {
			return
		}
	}
	r.env.Gaps = append(r.env.Gaps, g)
}

// leftovers are policies that no step runs, and those that are switched off.
func (b *bundle) leftovers() {
	if b.shared && b.flow == nil || !b.shared && len(b.proxies) == 0 {
		return // half a bundle: what runs is not among the files
	}
	for _, p := range b.sorted {
		if (!p.used || p.off()) && (!b.shared || p.off()) {
			b.env.Detached = append(b.env.Detached, drift.Detached{Kind: p.kind, Name: drift.Mask(p.name), Auth: authenticates(p), Origin: p.origin(nil)})
		}
	}
}
