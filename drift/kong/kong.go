// Package kong reads decK files: what a Kong gateway enforces on each route, for each class of consumers.
package kong

import (
	"io/fs"
	"path"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// fromConf is the cause of leaves that kong.conf decides, which decK does not hold.
const fromConf = "set in kong.conf, which decK files do not hold"

// Read reads all decK files of a folder as one gateway, as decK itself does.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("kong", o), opt: o}
	for _, name := range f.Names() {
		switch strings.ToLower(path.Ext(name)) {
		case ".yaml", ".yml", ".json":
		case ".conf":
			r.readConf(name)
			continue
		default:
			f.Skip()
			continue
		}
		for _, doc := range f.Documents(name) {
			if isDeck(doc) {
				r.collect(doc)
			} else {
				f.Skip()
			}
		}
	}
	r.link()
	r.operations()
	r.certificates()
	r.references()
	r.leftovers()
	r.env.ProveEdge()
	return r.env, f.Finish(r.env)
}

// isDeck tells a decK file from other YAML.
func isDeck(doc *source.Node) bool {
	if doc.Has("_format_version") {
		return true
	}
	for _, k := range []string{"services", "routes", "plugins", "consumers", "_workspace"} {
		if n := doc.Get(k); n != nil && (n.Kind == source.List || k == "_workspace") {
			return !doc.Has("http") && !doc.Has("apiVersion")
		}
	}
	return false
}

type reader struct {
	*source.Folder
	env *drift.Environment
	opt drift.Options

	services  []*service
	routes    []*route
	plugins   []*plugin
	consumers []*consumer
	groups    []*group
	upstreams map[string]*source.Node
	certs     []*source.Node
	cas       []*source.Node
	configs   map[string]*source.Node // _plugin_configs
	conf      *conf                   // nil: not among the files
	gaps      map[string]bool
}

type service struct {
	node     *source.Node
	defaults *source.Node
	name, id string
}

type route struct {
	node     *source.Node
	defaults *source.Node
	name, id string
	svc      *service
	svcRef   string
	old      bool // of a format before 3.0, where patterns have no mark
}

type consumer struct {
	node     *source.Node
	name, id string
	groups   []string // group names
	acls     []string
}

type group struct {
	node     *source.Node
	name, id string
}

// plugin is one instance, with what it is bound to.
type plugin struct {
	node     *source.Node
	name     string
	config   []*source.Node // looked through in order
	route    *route
	service  *service
	consumer *consumer
	group    *group
	lost     bool // bound to something that is not among the files
	scope    string
	used     bool
}

// field is a value of the entity, or of the defaults that the file declares for its kind.
func field(n, defaults *source.Node, key string) *source.Node {
	if n.Has(key) {
		return n.Get(key)
	}
	return defaults.Get(key)
}

func (r *reader) collect(doc *source.Node) {
	if r.configs == nil {
		r.configs, r.upstreams, r.gaps = map[string]*source.Node{}, map[string]*source.Node{}, map[string]bool{}
	}
	version := doc.Get("_format_version").Str()
	old := version != "" && version[0] < '3'
	d := doc.Get("_info", "defaults")
	doc.Get("_plugin_configs").Each(func(k string, v *source.Node) { r.configs[k] = v })
	for _, n := range doc.Get("services").Items() {
		s := r.service(n, d.Get("service"))
		for _, m := range n.Get("routes").Items() {
			rt := r.route(m, d.Get("route"), old)
			rt.svc = s
		}
	}
	for _, n := range doc.Get("routes").Items() {
		rt := r.route(n, d.Get("route"), old)
		rt.svcRef = ref(n.Get("service"))
	}
	for _, n := range doc.Get("consumer_groups").Items() {
		g := &group{node: n, name: n.Get("name").Str(), id: n.Get("id").Str()}
		r.groups = append(r.groups, g)
		for _, p := range n.Get("plugins").Items() {
			r.plugin(p).group = g
		}
	}
	for _, n := range doc.Get("consumers").Items() {
		r.consumer(n)
	}
	for _, p := range doc.Get("plugins").Items() {
		r.plugin(p)
	}
	for _, n := range doc.Get("upstreams").Items() {
		r.upstreams[n.Get("name").Str()] = n
	}
	r.certs = append(r.certs, doc.Get("certificates").Items()...)
	r.cas = append(r.cas, doc.Get("ca_certificates").Items()...)
}

func (r *reader) service(n, d *source.Node) *service {
	s := &service{node: n, defaults: d, name: n.Get("name").Str(), id: n.Get("id").Str()}
	r.services = append(r.services, s)
	for _, p := range n.Get("plugins").Items() {
		r.plugin(p).service = s
	}
	return s
}

func (r *reader) route(n, d *source.Node, old bool) *route {
	rt := &route{node: n, defaults: d, name: n.Get("name").Str(), id: n.Get("id").Str(), old: old}
	r.routes = append(r.routes, rt)
	for _, p := range n.Get("plugins").Items() {
		r.plugin(p).route = rt
	}
	return rt
}

func (r *reader) consumer(n *source.Node) {
	c := &consumer{node: n, name: n.Get("username").Str(), id: n.Get("id").Str()}
	if c.name == "" {
		c.name = n.Get("custom_id").Str()
	}
	for _, g := range n.Get("groups").Items() {
		c.groups = append(c.groups, g.Get("name").Str())
	}
	for _, a := range n.Get("acls").Items() {
		c.acls = append(c.acls, a.Get("group").Str())
	}
	r.consumers = append(r.consumers, c)
	for _, p := range n.Get("plugins").Items() {
		r.plugin(p).consumer = c
	}
}

func (r *reader) plugin(n *source.Node) *plugin {
	p := &plugin{node: n, name: n.Get("name").Str(), config: []*source.Node{n.Get("config")}}
	if named := n.Get("_config").Str(); named != "" {
		p.config = append(p.config, r.configs[named])
	}
	r.plugins = append(r.plugins, p)
	return p
}

// ref is the name or id that a foreign key holds, in any of the forms that decK takes.
func ref(n *source.Node) string {
	if n == nil {
		return ""
	}
	if n.Kind == source.Map {
		for _, k := range []string{"name", "id", "username"} {
			if s := n.Get(k).Str(); s != "" {
				return s
			}
		}
		return ""
	}
	return n.Str()
}

// link resolves foreign keys by name or id.
func (r *reader) link() {
	for _, rt := range r.routes {
		if rt.svc == nil && rt.svcRef != "" {
			if rt.svc = r.findService(rt.svcRef); rt.svc == nil {
				r.gap("service", rt.svcRef, rt.node)
			}
		}
	}
	for _, g := range r.groups {
		for _, m := range g.node.Get("consumers").Items() {
			if c := r.findConsumer(ref(m)); c != nil {
				c.groups = append(c.groups, g.name)
			}
		}
	}
	for _, p := range r.plugins {
		r.bind(p)
	}
}

func (r *reader) bind(p *plugin) {
	if s := ref(p.node.Get("service")); s != "" && p.service == nil {
		if p.service = r.findService(s); p.service == nil {
			p.lost = true
			r.gap("service", s, p.node)
		}
	}
	if s := ref(p.node.Get("route")); s != "" && p.route == nil {
		for _, rt := range r.routes {
			if rt.name == s || rt.id == s {
				p.route = rt
			}
		}
		if p.route == nil {
			p.lost = true
			r.gap("route", s, p.node)
		}
	}
	if s := ref(p.node.Get("consumer")); s != "" && p.consumer == nil {
		if p.consumer = r.findConsumer(s); p.consumer == nil {
			p.lost = true
			r.gap("consumer", s, p.node)
		}
	}
	if s := ref(p.node.Get("consumer_group")); s != "" && p.group == nil {
		for _, g := range r.groups {
			if g.name == s || g.id == s {
				p.group = g
			}
		}
		if p.group == nil {
			p.lost = true
			r.gap("consumer group", s, p.node)
		}
	}
	var scope []string
	if p.consumer != nil {
		scope = append(scope, "consumer "+p.consumer.name)
	}
	if p.group != nil {
		scope = append(scope, "consumer group "+p.group.name)
	}
	if p.route != nil {
		scope = append(scope, "route "+p.route.label())
	}
	if p.service != nil {
		scope = append(scope, "service "+p.service.label())
	}
	if len(scope) == 0 {
		scope = []string{"global"}
	}
	p.scope = strings.Join(scope, ", ")
}

func (s *service) label() string {
	if s.name != "" {
		return s.name
	}
	return s.id
}

func (rt *route) label() string {
	if rt.name != "" {
		return rt.name
	}
	return rt.id
}

func (r *reader) findService(ref string) *service {
	for _, s := range r.services {
		if s.name == ref || s.id == ref {
			return s
		}
	}
	return nil
}

func (r *reader) findConsumer(ref string) *consumer {
	for _, c := range r.consumers {
		if ref != "" && (c.name == ref || c.id == ref || c.node.Get("custom_id").Str() == ref) {
			return c
		}
	}
	return nil
}

// gap notes an entity that is named and is not among the files. With select_tags it may well stand in another file.
func (r *reader) gap(what, name string, at *source.Node) {
	if key := what + "\x00" + name; !r.gaps[key] {
		r.gaps[key] = true
		r.env.Gaps = append(r.env.Gaps, drift.Gap{What: what, Name: drift.Mask(name), Origin: at.Origin("")})
	}
}
