// Package ingressnginx reads ingress-nginx: Ingress objects with their annotations, on top of the controller's ConfigMap.
package ingressnginx

import (
	"io/fs"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// Controller is the name under which ingress classes name this controller.
const Controller = "k8s.io/ingress-nginx"

// Read reads a folder of Kubernetes objects. Options.Values may hold "configmap" = "none" for a controller that runs on its defaults, and
// "replicas".
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("ingressnginx", o), values: o.Values, prefix: "nginx.ingress.kubernetes.io/"}
	r.objects = k8s.LoadWith(f, r.chart)
	r.controller()
	r.routes()
	for _, l := range r.locations {
		l.operations()
	}
	r.exposures()
	return r.env, f.Finish(r.env)
}

// Is reports whether an Ingress is written for this controller: by the name of its class or by its annotations.
func Is(ingress *source.Node) bool {
	notes := ingress.Get("metadata", "annotations")
	found := strings.Contains(ingress.Get("spec", "ingressClassName").Str()+notes.Get("kubernetes.io/ingress.class").Str(), "nginx")
	notes.Each(func(k string, _ *source.Node) { found = found || strings.HasPrefix(k, "nginx.ingress.kubernetes.io/") })
	return found
}

type reader struct {
	*source.Folder
	env       *drift.Environment
	values    map[string]string
	objects   []*k8s.Object
	prefix    string // of annotations
	config    *source.Node
	known     bool         // config is all there is, even if it is nothing
	pod       *source.Node // the controller's workload
	charted   *source.Node // what a chart's values say of it
	locations []*location
	hosts     map[string]*host
	secrets   map[string]bool // those whose contents were reported
}

// host is what all locations of a server name share.
type host struct {
	name   string
	tls    bool
	secret string // of its certificate
	origin drift.Origin
	regex  bool         // one location's pattern makes all of them patterns
	pass   *source.Node // ssl-passthrough
	shared map[string]*owned
}

// owned is an annotation of a server, with the Ingress that brought it.
type owned struct {
	by *k8s.Object
	n  *source.Node
}

// location is one path of one host.
type location struct {
	*reader
	ing      *k8s.Object
	notes    *source.Node // its annotations
	host     *host
	path     string
	kind     string // of the path
	node     *source.Node
	backends []*source.Node
}

// perServer are the annotations that configure the whole server: the oldest Ingress of a host decides.
var perServer = []string{"server-snippet", "ssl-ciphers", "ssl-prefer-server-ciphers", "auth-tls-secret", "auth-tls-verify-client", "auth-tls-match-cn", "auth-tls-pass-certificate-to-upstream", "server-alias"}

func (r *reader) routes() {
	r.hosts = map[string]*host{}
	r.secrets = map[string]bool{}
	at := map[string]*location{}
	var canaries []*k8s.Object
	for _, o := range k8s.Oldest(k8s.Kind(r.objects, "Ingress")) {
		if !r.mine(o) {
			r.Doubt(o.Origin(), "it belongs to another controller and is left out")
			continue
		}
		notes := o.Node.Get("metadata", "annotations")
		r.leftovers(o, notes)
		if on, _ := notes.Get(r.prefix + "canary").Bool(); on {
			canaries = append(canaries, o)
			continue
		}
		for _, l := range r.paths(o, notes) {
			r.describe(o, l.host)
			key := l.host.name + " " + l.kind + " " + l.path
			if old := at[key]; old != nil {
				r.Doubt(l.node.Origin(o.Label()), "%s serves the same path of the same host and is older, so that this one does nothing", old.ing.Label())
				continue
			}
			at[key] = l
			r.locations = append(r.locations, l)
		}
	}
	// A canary has no rules of its own: it is one more upstream behind the path that it shares.
	for _, o := range canaries {
		for _, c := range r.paths(o, o.Node.Get("metadata", "annotations")) {
			for _, l := range r.locations {
				if l.host == c.host && l.path == c.path {
					l.backends = append(l.backends, c.backends...)
				}
			}
		}
	}
}

// mine reports whether this controller takes the Ingress: by its class's controller, and without one by the class's name.
func (r *reader) mine(o *k8s.Object) bool {
	class := o.Spec().Get("ingressClassName").Str()
	if class == "" {
		class = o.Node.Get("metadata", "annotations", "kubernetes.io/ingress.class").Str()
	}
	if class == "" {
		return true // the default class, or a controller that watches those without
	}
	if c := k8s.Find(r.objects, "IngressClass", "", class); c != nil {
		return c.Spec().Get("controller").Str() == Controller
	}
	return strings.Contains(class, "nginx") || class == r.values["class"]
}

func (r *reader) server(name string) *host {
	h := r.hosts[name]
	if h == nil {
		h = &host{name: name, shared: map[string]*owned{}}
		r.hosts[name] = h
	}
	return h
}

func (r *reader) paths(o *k8s.Object, notes *source.Node) []*location {
	var out []*location
	add := func(name, path, kind string, at, backend *source.Node) {
		if path == "" {
			path, kind = "/", "Prefix"
		}
		out = append(out, &location{reader: r, ing: o, notes: notes, host: r.server(strings.ToLower(drift.Mask(name))), path: path, kind: kind, node: at, backends: []*source.Node{backend}})
	}
	for _, rule := range o.Spec().Get("rules").Items() {
		for _, p := range rule.Get("http", "paths").Items() {
			add(rule.Get("host").Str(), p.Get("path").Str(), p.Get("pathType").Str(), p, p.Get("backend"))
		}
	}
	def := o.Spec().Get("defaultBackend")
	if def == nil {
		def = o.Spec().Get("backend")
	}
	if def != nil {
		hosts := map[string]bool{}
		for _, l := range out {
			hosts[l.host.name] = true
		}
		if len(hosts) == 0 {
			hosts[""] = true
		}
		for _, name := range drift.Sorted(keys(hosts)) {
			add(name, "/", "Prefix", def, def)
		}
	}
	return out
}

func keys(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// describe takes from an Ingress what counts for the whole server.
func (r *reader) describe(o *k8s.Object, h *host) {
	notes := o.Node.Get("metadata", "annotations")
	if h.origin.File == "" {
		h.origin = o.Origin()
	}
	for _, k := range perServer {
		if n := notes.Get(r.prefix + k); !n.Absent() && h.shared[k] == nil {
			h.shared[k] = &owned{o, n}
		}
	}
	if on, _ := notes.Get(r.prefix + "use-regex").Bool(); on {
		h.regex = true
	}
	if notes.Has(r.prefix + "rewrite-target") {
		if off, ok := notes.Get(r.prefix + "use-regex").Bool(); !ok || off {
			h.regex = true
		}
	}
	if n := notes.Get(r.prefix + "ssl-passthrough"); h.pass == nil {
		if on, _ := n.Bool(); on {
			h.pass = n
		}
	}
	for _, t := range o.Spec().Get("tls").Items() {
		names := t.Get("hosts").Strs()
		covered := len(names) == 0
		for _, n := range names {
			n = strings.ToLower(n)
			_, parent, _ := strings.Cut(h.name, ".")
			covered = covered || n == h.name || strings.HasPrefix(n, "*.") && n[2:] == parent
		}
		if covered && !h.tls {
			h.tls, h.origin = true, t.Origin(o.Label())
			if s := t.Get("secretName").Str(); s != "" {
				h.secret = o.Namespace + "/" + s
			}
		}
	}
}

// operations adds the location, under its host's further names too.
func (l *location) operations() {
	kind, path := drift.Prefix, l.path
	open := false
	switch {
	case l.host.regex:
		kind = drift.Regex
		if l.kind == "Exact" {
			path = "^" + path + "$"
		} else {
			path = "^" + path
		}
	case l.kind == "Exact":
		kind = drift.Exact
	case l.kind != "Prefix" && path != "/":
		open = true // nginx's own prefixes end in the middle of a segment
	}
	k, m := drift.NewKey("*", kind, path)
	m.Path = l.path
	m.Open = m.Open || open
	if l.host.name != "" {
		m.Hosts = []string{l.host.name}
		if alias := l.host.shared["server-alias"]; alias != nil {
			m.Hosts = append(m.Hosts, drift.Sorted(split(drift.Mask(alias.n.Str())))...)
		}
	}
	l.env.Operations = append(l.env.Operations, drift.Operation{Key: k, Match: m, Name: drift.Mask(l.path), API: l.ing.Label(), Origin: l.node.Origin(l.ing.Label()), Effective: []drift.Effective{{Policy: l.policy()}}})
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

// exposures lists the servers and their certificates.
func (r *reader) exposures() {
	names := map[string]bool{}
	for _, l := range r.locations {
		names[l.host.name] = true
	}
	seen := map[string]bool{}
	for _, name := range drift.Sorted(keys(names)) {
		h := r.hosts[name]
		x := drift.Exposure{Host: name, Port: 80, Scheme: "http", Proof: drift.Impossible[bool]("an Ingress cannot ask for it"), Origin: h.origin}
		if h.tls {
			x.Port, x.Scheme = 443, "https"
			if h.secret != "" {
				x.Certs = []string{h.secret}
				if !seen[h.secret] {
					seen[h.secret] = true
					r.env.Certificates = append(r.env.Certificates, k8s.Certificate(r.objects, h.secret, h.origin))
					r.env.Refer("certificate", h.secret, h.origin)
					r.literal(h.secret, "private key")
				}
			}
		}
		r.env.Exposures = append(r.env.Exposures, x)
	}
}

// literal notes that a secret's contents are among the files.
func (r *reader) literal(ref, what string) {
	ns, name, _ := strings.Cut(ref, "/")
	s := k8s.Find(r.objects, "Secret", ns, name)
	if s == nil || r.secrets[ref] || !s.Node.Has("data") && !s.Node.Has("stringData") {
		return
	}
	r.secrets[ref] = true
	r.env.Literals = append(r.env.Literals, drift.Literal{What: what, Origin: s.Origin()})
}
