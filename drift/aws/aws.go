// Package aws reads what API Gateway enforces: OpenAPI documents with x-amazon-apigateway extensions, SAM templates, and the
// CloudFormation templates that SAM makes of them. REST, HTTP and WebSocket APIs differ, and are read as what they are.
package aws

import (
	"io/fs"
	"path"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// outside is the cause of leaves that an OpenAPI document alone does not hold.
const outside = "set on the stage, the domain or the account, which an OpenAPI document does not hold"

// Read reads all templates and OpenAPI documents of a folder as one account's gateway.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("aws", o), opt: o, bodies: map[string]*source.Node{}, used: map[string]bool{}, gaps: map[string]bool{}, at: map[*op]int{}}
	var templates []*source.Node
	for _, name := range f.Names() {
		switch strings.ToLower(path.Ext(name)) {
		case ".yaml", ".yml", ".json", ".template":
		default:
			f.Skip()
			continue
		}
		for _, doc := range f.Documents(name) {
			switch {
			case isTemplate(doc):
				templates = append(templates, doc)
			case isOpenAPI(doc):
				r.bodies[name] = doc
			default:
				f.Skip()
			}
		}
	}
	for _, doc := range templates {
		r.template(doc)
	}
	for _, name := range f.Names() {
		if body := r.bodies[name]; body != nil && !r.used[name] {
			r.document(body)
		}
	}
	for _, a := range r.apis {
		r.finish(a)
	}
	return r.env, f.Finish(r.env)
}

// Is reports whether a document is of API Gateway: a template with one of its APIs, or an OpenAPI document with its extensions.
func Is(doc *source.Node) bool {
	found := false
	doc.Get("Resources").Each(func(_ string, v *source.Node) {
		t := v.Get("Type").Str()
		found = found || strings.HasPrefix(t, "AWS::Serverless::") || strings.HasPrefix(t, "AWS::ApiGateway")
	})
	return found || isOpenAPI(doc) && extended(doc, 6)
}

// extended looks for one of the extensions, not deeper than they stand.
func extended(n *source.Node, depth int) bool {
	if n == nil || depth == 0 {
		return false
	}
	for i, k := range n.Keys {
		if strings.HasPrefix(k, "x-amazon-apigateway-") || extended(n.Values[i], depth-1) {
			return true
		}
	}
	return false
}

func isTemplate(doc *source.Node) bool {
	found := false
	doc.Get("Resources").Each(func(_ string, v *source.Node) { found = found || v.Has("Type") })
	return found || doc.Has("AWSTemplateFormatVersion")
}

func isOpenAPI(doc *source.Node) bool {
	return (doc.Has("openapi") || doc.Has("swagger")) && doc.Get("paths") != nil
}

type reader struct {
	*source.Folder
	env    *drift.Environment
	opt    drift.Options
	bodies map[string]*source.Node // OpenAPI documents by file
	used   map[string]bool         // those that a template names
	gaps   map[string]bool
	apis   []*api
	at     map[*op]int // where an operation stands in the environment
}

// kind is which of the three products an API is.
type kind uint8

const (
	rest kind = iota
	http
	websocket
)

// api is one API, however it was written.
type api struct {
	kind    kind
	id      string
	node    *source.Node // the resource, or the document
	props   *source.Node // of the resource, with what Globals add
	body    *source.Node // the OpenAPI document
	tpl     *template    // nil: a document alone
	sam     bool
	ops     []*op
	index   map[[2]string]*op // by method and path
	schemes map[string]*scheme
	stages  []*stage
	domains []*domain
	plans   []*source.Node // usage plans
	waf     []string
}

// stage is one deployment, with settings for all methods and for single ones.
type stage struct {
	node  *source.Node
	props *source.Node
	name  string
}

// domain is a custom domain that leads to the API.
type domain struct {
	node *source.Node
	host *source.Node
	tls  *source.Node // SecurityPolicy
	mtls *source.Node
	cert *source.Node
	base []string // "" for the root; not known bases are left out
}

// op is one method on one path.
type op struct {
	method, path string
	node         *source.Node // where it is written
	oas          *source.Node // its OpenAPI object, or nil
	sec          security
	made         bool         // by SAM, to answer preflights
	cond         string       // it is only there, or only so, under this condition
	policy       *source.Node // the resource policy of a single event
	target       string       // the function it calls, where the template says so by name
}

func (a *api) label() string {
	if a.id != "" {
		return a.id
	}
	return a.body.Get("info", "title").Str()
}

// put adds an operation.
func (a *api) put(o *op) {
	if a.index == nil {
		a.index = map[[2]string]*op{}
	}
	a.ops = append(a.ops, o)
	a.index[[2]string{o.method, o.path}] = o
}

func (a *api) find(method, path string) *op { return a.index[[2]string{method, path}] }

// text is a value as text; cause says why it is not known.
func (a *api) text(n *source.Node) (s, cause string) {
	if a.tpl == nil {
		if name, arg := function(n); name != "" {
			return "", name + " " + arg.Str()
		}
		return n.Str(), ""
	}
	return a.tpl.text(n)
}

func (r *reader) gap(what, name string, at *source.Node) {
	if key := what + "\x00" + name; !r.gaps[key] {
		r.gaps[key] = true
		r.env.Gaps = append(r.env.Gaps, drift.Gap{What: what, Name: drift.Mask(name), Origin: at.Origin("")})
	}
}

// document takes an OpenAPI document that no template names.
func (r *reader) document(body *source.Node) {
	a := &api{node: body, body: body, props: nil}
	if body.Has("x-amazon-apigateway-cors") {
		a.kind = http
	}
	r.apis = append(r.apis, a)
	r.paths(a)
}

// finish turns an API into operations: one for each method, with one policy for each stage.
func (r *reader) finish(a *api) {
	if len(a.stages) == 0 {
		a.stages = []*stage{{node: a.node}}
	}
	r.exposures(a)
	base := a.basePath()
	for _, s := range a.stages {
		common := r.common(a, s)
		for _, o := range a.ops {
			if o.preflight() {
				continue
			}
			p := *common
			r.own(a, s, o, &p)
			class := ""
			if s != a.stages[0] {
				class = "stage " + s.name
			}
			r.add(a, o, base, drift.Effective{Class: class, Policy: &p})
		}
	}
	r.leftovers(a)
}

func (r *reader) add(a *api, o *op, base string, eff drift.Effective) {
	kind, p := drift.Template, drift.Join(base, o.path)
	switch {
	case o.path == "$default" && a.kind == http:
		kind, p = drift.Prefix, drift.Join(base, "/")
	case a.kind == websocket:
		kind, p = drift.Exact, drift.Join(base, "/"+o.path)
	}
	if path, cause := o.path, ""; strings.Contains(path, "${") {
		cause = "the path holds a variable"
		r.Doubt(o.node.Origin(""), "%s: %s", cause, path)
	}
	k, m := drift.NewKey(o.method, kind, p)
	label := a.label()
	if eff.Class != "" {
		if i, ok := r.at[o]; ok {
			r.env.Operations[i].Effective = append(r.env.Operations[i].Effective, eff)
			return
		}
	}
	r.at[o] = len(r.env.Operations)
	r.env.Operations = append(r.env.Operations, drift.Operation{Key: k, Match: m, Name: o.oas.Get("operationId").Str(), API: label, Origin: o.node.Origin(""), Effective: []drift.Effective{eff}})
}

// basePath is what all custom domains put before the paths: "" when there are none, or when they do not agree.
func (a *api) basePath() string {
	base, first := "", true
	for _, d := range a.domains {
		for _, b := range d.base {
			if !first && b != base {
				return ""
			}
			base, first = b, false
		}
	}
	return base
}
