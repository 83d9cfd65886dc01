// Package traefik reads Traefik: files of its file provider, Kubernetes objects of its own kinds, and its static configuration.
package traefik

import (
	"io/fs"
	"slices"
	"sort"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// Read reads a folder. Options.Values may hold "static" = "none" where the static configuration sets nothing, and "replicas".
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("traefik", o), values: o.Values, wares: map[string]*thing{}, services: map[string]*thing{}, options: map[string]*thing{}, transports: map[string]*thing{}, used: map[*thing]bool{}}
	r.objects = k8s.LoadWith(f, r.document, ".toml")
	r.known = r.known || o.Values["static"] == "none"
	r.kubernetes()
	r.arguments()
	r.entries()
	r.inherit()
	r.operations()
	r.leftovers()
	r.certificates()
	r.env.ProveEdge()
	return r.env, f.Finish(r.env)
}

type reader struct {
	*source.Folder
	env        *drift.Environment
	values     map[string]string
	objects    []*k8s.Object
	static     []*source.Node
	known      bool // the static configuration is among the files, or there is none
	routers    []*router
	wares      map[string]*thing // middlewares
	services   map[string]*thing
	options    map[string]*thing // of TLS
	transports map[string]*thing
	certs      []*source.Node // of the file provider
	entryPoint []*entry
	used       map[*thing]bool
}

// thing is something that routers refer to by name.
type thing struct {
	name  string
	node  *source.Node
	scope string
	ns    string // of a Kubernetes object
}

func (t *thing) origin(n *source.Node) drift.Origin {
	if n == nil {
		n = t.node
	}
	return n.Origin(t.scope)
}

// router is one rule and what it leads to.
type router struct {
	name     string
	scope    string
	node     *source.Node
	rule     *source.Node
	wares    []string // names of middlewares, in order
	listed   *source.Node
	entries  []string
	service  *source.Node // a name, or services of Kubernetes
	ns       string
	tls      *source.Node // nil: none
	options  string
	secret   string
	acme     string
	parents  []string
	priority int64
	matches  []match
	provider string
}

// keyIn walks down by keys whatever their case, as Traefik does.
func keyIn(n *source.Node, keys ...string) *source.Node {
	for _, k := range keys {
		if next := n.Get(k); next != nil {
			n = next
			continue
		}
		var next *source.Node
		n.Each(func(name string, v *source.Node) {
			if next == nil && strings.EqualFold(name, k) {
				next = v
			}
		})
		n = next
	}
	return n
}

// Is reports whether a document is a static or dynamic configuration of Traefik.
func Is(d *source.Node) bool { return static(d) || dynamic(d) }

func static(d *source.Node) bool {
	return keyIn(d, "entryPoints") != nil || keyIn(d, "providers") != nil
}

func dynamic(d *source.Node) bool {
	for _, k := range []string{"routers", "middlewares", "services"} {
		if n := keyIn(d, "http", k); n != nil && n.Kind == source.Map {
			return true
		}
	}
	for _, k := range []string{"options", "stores"} {
		if n := keyIn(d, "tls", k); n != nil && n.Kind == source.Map {
			return true
		}
	}
	return false
}

func (r *reader) document(d *source.Node) bool {
	if static(d) {
		r.static, r.known = append(r.static, d), true
	}
	if dynamic(d) || static(d) {
		r.file(d)
		return true
	}
	return false
}

func qualified(name, provider string) string {
	if strings.Contains(name, "@") {
		return name
	}
	return name + "@" + provider
}

// file takes what a document of the file provider defines.
func (r *reader) file(d *source.Node) {
	http := keyIn(d, "http")
	for _, k := range []struct {
		node *source.Node
		to   map[string]*thing
		what string
	}{{keyIn(http, "middlewares"), r.wares, "middleware "}, {keyIn(http, "services"), r.services, "service "}, {keyIn(http, "serversTransports"), r.transports, "transport "}, {keyIn(d, "tls", "options"), r.options, "TLS options "}} {
		k.node.Each(func(name string, n *source.Node) {
			k.to[name+"@file"] = &thing{name: name + "@file", node: n, scope: k.what + drift.Mask(name)}
		})
	}
	keyIn(http, "routers").Each(func(name string, n *source.Node) {
		t := &router{name: name + "@file", scope: "router " + drift.Mask(name), node: n, rule: keyIn(n, "rule"), listed: keyIn(n, "middlewares"), entries: keyIn(n, "entryPoints").Strs(), service: keyIn(n, "service"), tls: keyIn(n, "tls"), provider: "file"}
		for _, m := range t.listed.Strs() {
			t.wares = append(t.wares, qualified(m, "file"))
		}
		for _, p := range keyIn(n, "parentRefs").Strs() {
			t.parents = append(t.parents, qualified(p, "file"))
		}
		t.priority, _ = keyIn(n, "priority").Int()
		if o := keyIn(t.tls, "options").Str(); o != "" {
			t.options = qualified(o, "file")
		}
		t.acme = keyIn(t.tls, "certResolver").Str()
		if on, ok := t.tls.Bool(); ok && !on {
			t.tls = nil
		}
		r.routers = append(r.routers, t)
	})
	r.certs = append(r.certs, keyIn(d, "tls", "certificates").Items()...)
}

// kubernetes takes what objects define. Their names carry their namespace, as Traefik's own do.
func (r *reader) kubernetes() {
	own := func(o *k8s.Object) bool { return o.Group == "traefik.io" || o.Group == "traefik.containo.us" }
	full := func(ns, name string) string {
		if strings.Contains(name, "@") {
			return name
		}
		return or(ns, "default") + "-" + name + "@kubernetescrd"
	}
	for _, o := range r.objects {
		to := map[string]map[string]*thing{"Middleware": r.wares, "TLSOption": r.options, "ServersTransport": r.transports, "TraefikService": r.services}[o.Kind]
		if to == nil || !own(o) {
			continue
		}
		name := full(o.Namespace, o.Name)
		if o.Kind == "TLSOption" && o.Name == "default" {
			name = "default"
		}
		to[name] = &thing{name: name, node: o.Spec(), scope: o.Label(), ns: o.Namespace}
	}
	for _, o := range k8s.Kind(r.objects, "IngressRoute") {
		if !own(o) {
			continue
		}
		for _, n := range o.Spec().Get("routes").Items() {
			t := &router{name: o.Name, scope: o.Label(), node: n, rule: n.Get("match"), listed: n.Get("middlewares"), entries: o.Spec().Get("entryPoints").Strs(), service: n.Get("services"), ns: o.Namespace, tls: o.Spec().Get("tls"), provider: "kubernetescrd"}
			for _, m := range t.listed.Items() {
				t.wares = append(t.wares, full(or(m.Get("namespace").Str(), o.Namespace), m.Get("name").Str()))
			}
			t.priority, _ = n.Get("priority").Int()
			if p := t.tls.Get("options"); p != nil {
				t.options = full(or(p.Get("namespace").Str(), o.Namespace), p.Get("name").Str())
				if p.Get("name").Str() == "default" {
					t.options = "default"
				}
			}
			if s := t.tls.Get("secretName").Str(); s != "" {
				t.secret = o.Namespace + "/" + s
			}
			t.acme = t.tls.Get("certResolver").Str()
			r.routers = append(r.routers, t)
		}
	}
	for _, o := range k8s.Kind(r.objects, "Ingress") {
		r.ingress(o)
	}
}

// ingress takes an Ingress with Traefik's annotations.
func (r *reader) ingress(o *k8s.Object) {
	notes := o.Node.Get("metadata", "annotations")
	class := or(o.Spec().Get("ingressClassName").Str(), notes.Get("kubernetes.io/ingress.class").Str())
	if c := k8s.Find(r.objects, "IngressClass", "", class); class != "" && (c != nil && c.Spec().Get("controller").Str() != "traefik.io/ingress-controller" || c == nil && !strings.Contains(class, "traefik")) {
		r.Doubt(o.Origin(), "it belongs to another controller and is left out")
		return
	}
	note := func(k string) *source.Node { return notes.Get("traefik.ingress.kubernetes.io/router." + k) }
	for _, rule := range o.Spec().Get("rules").Items() {
		for _, p := range rule.Get("http", "paths").Items() {
			t := &router{name: o.Name, scope: o.Label(), node: p, listed: note("middlewares"), entries: split(note("entrypoints").Str()), service: p.Get("backend"), ns: o.Namespace, provider: "kubernetes"}
			t.wares = append(t.wares, split(t.listed.Str())...)
			if on, _ := note("tls").Bool(); on || len(o.Spec().Get("tls").Items()) > 0 {
				t.tls = o.Spec().Get("tls")
				if t.tls == nil {
					t.tls = note("tls")
				}
			}
			if n := note("tls.options"); n != nil {
				t.options = n.Str()
			}
			if s := o.Spec().Get("tls").Items(); len(s) > 0 && s[0].Get("secretName").Str() != "" {
				t.secret = o.Namespace + "/" + s[0].Get("secretName").Str()
			}
			m := match{kind: drift.Prefix, path: or(p.Get("path").Str(), "/")}
			if p.Get("pathType").Str() == "Exact" || note("pathmatcher").Str() == "Path" {
				m.kind = drift.Exact
			}
			if h := rule.Get("host").Str(); h != "" {
				m.hosts = []string{h}
			}
			t.matches = []match{m}
			r.routers = append(r.routers, t)
		}
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func split(s string) []string {
	var out []string
	for _, v := range strings.Split(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// inherit resolves rules, and gives routers what their parents have: their rule and their middlewares come first.
func (r *reader) inherit() {
	for _, t := range r.routers {
		if t.matches == nil {
			var ok bool
			if t.matches, ok = parse(t.rule.Str()); !ok {
				r.Doubt(t.rule.Origin(t.scope), "the rule cannot be read, and is kept as it is")
				t.matches = []match{{kind: drift.Regex, path: t.rule.Str(), raw: true}}
			}
		}
	}
	by := map[string]*router{}
	for _, t := range r.routers {
		by[t.name] = t
	}
	var out []*router
	for _, t := range r.routers {
		parent := slices.ContainsFunc(r.routers, func(c *router) bool { return slices.Contains(c.parents, t.name) })
		if len(t.parents) == 0 && !parent {
			out = append(out, t)
		}
		for _, name := range t.parents {
			c := *t
			seen := map[string]bool{t.name: true}
			for up := by[name]; up != nil && !seen[up.name]; up = by[first(up.parents)] {
				seen[up.name] = true
				c.matches = both(up.matches, c.matches)
				c.wares = append(slices.Clone(up.wares), c.wares...)
				c.entries, c.tls, c.options = up.entries, up.tls, up.options
			}
			out = append(out, &c)
		}
	}
	r.routers = out
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (r *reader) operations() {
	conflicts := r.conflicts()
	type plain struct {
		hosts string
		key   drift.Key
	}
	sent := map[plain]drift.Leaf[int64]{}
	for _, t := range r.routers {
		policies := r.classes(t, conflicts)
		if len(policies) == 0 {
			continue // it listens nowhere, which has been said
		}
		for _, m := range t.matches {
			for _, method := range m.verbs() {
				k, dm := drift.NewKey(method, m.kind, m.path)
				if m.raw {
					k = drift.Key{Method: method, Path: "~" + m.path}
				}
				dm.Hosts, dm.Headers, dm.Query, dm.Priority = drift.Sorted(m.hosts), m.headers, m.query, int(t.priority)
				for i := range dm.Hosts {
					dm.Hosts[i] = drift.Mask(dm.Hosts[i])
				}
				if to, ok := r.redirects(t); ok {
					sent[plain{strings.Join(dm.Hosts, ","), k}] = to
				}
				o := drift.Operation{Key: k, Match: dm, Name: drift.Mask(t.name), API: t.scope, Origin: t.node.Origin(t.scope), Effective: policies}
				if m.only != "" {
					o.Match.Headers = append(o.Match.Headers, "from="+m.only)
				}
				r.env.Operations = append(r.env.Operations, o)
			}
		}
	}
	// A router that only sends plain calls to HTTPS is no operation beside the one that it sends them to.
	kept := r.env.Operations[:0]
	for _, o := range r.env.Operations {
		code, ok := sent[plain{strings.Join(o.Match.Hosts, ","), o.Key}]
		if ok && o.General().TLS.Redirect.Value > 0 && slices.ContainsFunc(r.env.Operations, func(x drift.Operation) bool {
			return x.Key == o.Key && x.API+x.Name != o.API+o.Name && slices.Equal(x.Match.Hosts, o.Match.Hosts)
		}) {
			continue
		}
		if ok {
			for _, e := range o.Effective {
				e.Policy.TLS.Redirect = code
			}
		}
		kept = append(kept, o)
	}
	r.env.Operations = kept
}

// leftovers are middlewares that authenticate and that no router lists.
func (r *reader) leftovers() {
	var names []string
	for name := range r.wares {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if w := r.wares[name]; !r.used[w] {
			for _, k := range w.node.Keys {
				kind := strings.ToLower(k)
				r.env.Detached = append(r.env.Detached, drift.Detached{Kind: k, Name: drift.Mask(name), Auth: authenticates(kind) || kind == "ipallowlist" || kind == "ipwhitelist", Origin: w.origin(nil)})
			}
		}
	}
}

func authenticates(kind string) bool {
	return slices.Contains([]string{"basicauth", "digestauth", "forwardauth", "jwt", "oidc", "apikey", "hmac", "ldap", "oauthintrospection", "opa"}, kind)
}
