// Package azureapim reads Azure API Management as teams keep it: APIOps folders, ARM templates as Bicep builds them, and policy documents.
package azureapim

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// Read reads one service of a folder. Values["configuration"] names an APIOps override file; without it configuration.NAME.yaml is
// taken, where NAME is the environment's.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	r := &reader{Folder: source.Open(fsys), env: drift.NewEnvironment("azureapim", o), opt: o, gaps: map[string]bool{}, how: map[string]int{}}
	r.svc = newService()
	r.apiops()
	r.loose()
	r.overrides()
	r.service()
	r.operations()
	r.leftovers()
	return r.env, r.Finish(r.env)
}

type reader struct {
	*source.Folder
	env  *drift.Environment
	opt  drift.Options
	svc  *service
	gaps map[string]bool
	how  map[string]int // policy documents by how they had to be read
	used map[string]bool
	edge drift.Leaf[bool] // the proof that calls come through Front Door, when a document asks for it
}

// service is what the files hold of one API Management service, whatever form they have.
type service struct {
	node        *source.Node // the service resource itself; nil when it is not among the files
	name        string
	policy      *document
	workspaces  map[string]*document
	apis        []*api
	products    []*product
	namedValues []*entity
	backends    []*entity
	loggers     []*entity
	diagnostics []*entity
	versionSets []*entity
	certs       []*entity
	fragments   map[string]*document
}

func newService() *service {
	return &service{workspaces: map[string]*document{}, fragments: map[string]*document{}}
}

// entity is a named resource with properties.
type entity struct {
	name  string
	props *source.Node
}

type api struct {
	name      string
	workspace string
	props     *source.Node
	policy    *document
	ops       []*operation
	diags     []*entity
	at        drift.Origin
	noSpec    bool
}

type operation struct {
	name, method, path string
	policy             *document
	at                 drift.Origin
}

type product struct {
	name   string
	props  *source.Node
	policy *document
	apis   []string
}

func find(list []*entity, name string) *entity {
	for _, e := range list {
		if strings.EqualFold(e.name, name) {
			return e
		}
	}
	return nil
}

// named finds a named value by its display name, which is what documents use, or by its resource name.
func (s *service) named(name string) *entity {
	for _, e := range s.namedValues {
		if e.props.Get("displayName").Str() == name {
			return e
		}
	}
	return find(s.namedValues, name)
}

func (e *entity) hidden() bool {
	secret, _ := e.props.Get("secret").Bool()
	return secret || e.props.Has("keyVault")
}

func (e *entity) value() string { return e.props.Get("value").Str() }

func (s *service) api(name string) *api {
	for _, a := range s.apis {
		if a.name == name {
			return a
		}
	}
	a := &api{name: name}
	s.apis = append(s.apis, a)
	return a
}

func (s *service) product(name string) *product {
	for _, p := range s.products {
		if p.name == name {
			return p
		}
	}
	p := &product{name: name}
	s.products = append(s.products, p)
	return p
}

func (a *api) op(name string) *operation {
	for _, o := range a.ops {
		if o.name == name {
			return o
		}
	}
	o := &operation{name: name}
	a.ops = append(a.ops, o)
	return o
}

// last is the last segment of a resource id.
func last(id string) string { return path.Base(strings.TrimRight(id, "/")) }

// scopes is the chain of documents that a call passes, widest first. A nil document passes its parent's through.
type scope struct {
	name string
	doc  *document
}

func (r *reader) chain(a *api, p *product, o *operation) []scope {
	out := []scope{{"global", r.svc.policy}}
	if a.workspace != "" {
		out = append(out, scope{"workspace " + a.workspace, r.svc.workspaces[a.workspace]})
	}
	if p != nil {
		out = append(out, scope{"product " + p.name, p.policy})
	}
	return append(out, scope{"api " + a.name, a.policy}, scope{"operation " + o.name, o.policy})
}

func (r *reader) operations() {
	for _, a := range r.svc.apis {
		if a.props == nil || strings.Contains(a.name, ";rev=") && !truth(a.props.Get("isCurrent"), false) || !truth(a.props.Get("isCurrent"), true) {
			continue // a revision that is not current answers only to those who ask for it by number
		}
		base, match := r.base(a)
		for _, o := range a.ops {
			if o.method == "" && o.path == "" {
				r.gap("operation of the specification", a.name+"/"+o.name, o.at)
				continue
			}
			k, m := drift.NewKey(o.method, drift.Template, drift.Join(base, o.path))
			m.Headers, m.Query = match.Headers, match.Query
			op := drift.Operation{Key: k, Match: m, Name: o.name, API: a.name, Strip: strings.TrimSuffix(drift.Join(base, ""), "/"), Origin: o.at}
			op.Effective = append(op.Effective, drift.Effective{Policy: r.policy(a, nil, o)})
			for _, p := range r.svc.products {
				if slices.Contains(p.apis, a.name) && p.props.Get("state").Str() != "notPublished" {
					op.Effective = append(op.Effective, drift.Effective{Class: "product " + p.name, Policy: r.policy(a, p, o)})
				}
			}
			r.env.Operations = append(r.env.Operations, op)
		}
	}
}

func truth(n *source.Node, def bool) bool {
	if b, ok := n.Bool(); ok {
		return b
	}
	return def
}

// base is the path under which an API answers, with its version where that is a segment.
func (r *reader) base(a *api) (string, drift.Match) {
	base, m := a.props.Get("path").Str(), drift.Match{}
	version := a.props.Get("apiVersion").Str()
	set := find(r.svc.versionSets, last(a.props.Get("apiVersionSetId").Str()))
	if version == "" || set == nil {
		return base, m
	}
	switch set.props.Get("versioningScheme").Str() {
	case "Segment":
		if !strings.HasSuffix(base, "/"+version) && base != version {
			base += "/" + version
		}
	case "Header":
		m.Headers = append(m.Headers, set.props.Get("versionHeaderName").Str()+"="+version)
	case "Query":
		m.Query = append(m.Query, set.props.Get("versionQueryName").Str()+"="+version)
	}
	return base, m
}
