// Package tyk reads API definitions of Tyk, classic and OAS, and its policies: what the gateway enforces on each endpoint.
package tyk

import (
	"io/fs"
	"path"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// fromConf is the cause of leaves that the gateway's own configuration decides.
const fromConf = "set in tyk.conf, which is not read"

// extension is where a Tyk OAS definition keeps what the gateway does.
const extension = "x-tyk-api-gateway"

// Read reads all API definitions and policies of a folder as one gateway.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	r := &reader{Folder: f, env: drift.NewEnvironment("tyk", o), opt: o, policies: map[string]*source.Node{}}
	for _, name := range f.Names() {
		switch strings.ToLower(path.Ext(name)) {
		case ".json", ".yaml", ".yml":
		default:
			f.Skip()
			continue
		}
		for _, doc := range f.Documents(name) {
			if !r.collect(doc) {
				f.Skip()
			}
		}
	}
	for _, a := range r.apis {
		a.read()
	}
	return r.env, f.Finish(r.env)
}

// Is tells a definition of Tyk from other documents.
func Is(doc *source.Node) bool { return isOAS(doc) || isClassic(doc) }

func isOAS(doc *source.Node) bool {
	x := doc.Get(extension)
	return x != nil && x.Kind == source.Map && doc.Has("openapi")
}

func isClassic(doc *source.Node) bool {
	return doc.Get("proxy").Has("listen_path") && (doc.Has("version_data") || doc.Has("use_keyless") || doc.Has("api_id") || doc.Has("auth"))
}

type reader struct {
	*source.Folder
	env      *drift.Environment
	opt      drift.Options
	apis     []*api
	policies map[string]*source.Node
}

// collect takes definitions, lists of them, what the dashboard wraps around them, and files of policies.
func (r *reader) collect(doc *source.Node) bool {
	if w := doc.Get("api_definition"); w != nil {
		doc = w
	}
	switch {
	case isOAS(doc):
		r.apis = append(r.apis, &api{reader: r, doc: doc, root: doc.Get(extension), oas: true})
		return true
	case isClassic(doc):
		r.apis = append(r.apis, &api{reader: r, doc: doc, root: doc})
		return true
	}
	found := false
	take := func(id string, n *source.Node) {
		if n.Kind == source.Map && n.Has("access_rights") {
			if s := n.Get("id").Str(); s != "" {
				id = s
			}
			r.policies[id], found = n, true
		}
	}
	doc.Each(take)
	for _, n := range doc.Items() {
		if Is(n) {
			found = r.collect(n) || found
		}
		take(n.Get("_id").Str(), n)
	}
	return found
}

// api is one definition, in either of the two formats.
type api struct {
	*reader
	doc, root *source.Node
	oas       bool
	version   *source.Node // of a classic definition
}

// n is the value that stands in one place of the classic format and in another of the OAS format. An empty place is none.
func (a *api) n(classic, oas string) *source.Node {
	p := classic
	if a.oas {
		p = oas
	}
	if p == "" {
		return nil
	}
	return a.root.Get(strings.Split(p, "/")...)
}

func (a *api) name() string { return drift.Mask(a.n("name", "info/name").Str()) }
func (a *api) id() string   { return a.n("api_id", "info/id").Str() }
func (a *api) scope() string {
	return "api " + a.name()
}

// on reports whether something is switched on, which OAS writes beside it and classic as a field of its own.
func (a *api) on(classic, oas string) bool {
	b, _ := a.n(classic, oas).Bool()
	return b
}

func (a *api) read() {
	if internal := a.n("internal", "info/state/internal"); a.on("internal", "info/state/internal") {
		a.Doubt(internal.Origin(a.scope()), "the API is internal: only other APIs reach it, so it is left out")
		return
	}
	if n := a.n("active", "info/state/active"); n != nil && !a.on("active", "info/state/active") {
		a.Doubt(n.Origin(a.scope()), "the API is marked as not active, and is read as if it were")
	}
	a.leftovers()
	a.unread()
	if a.oas {
		if v := a.root.Get("info", "versioning"); a.on("", "info/versioning/enabled") {
			a.Doubt(v.Origin(a.scope()), "versions of the API are definitions of their own, and are also reached under this one's path")
			a.env.Gaps = append(a.env.Gaps, drift.Gap{What: "versions of", Name: a.name(), Origin: v.Origin(a.scope())})
		}
		a.operations(drift.Match{}, a.listen())
		return
	}
	versions := a.root.Get("version_data", "versions")
	if versions == nil || len(versions.Keys) == 0 {
		a.operations(drift.Match{}, a.listen())
		return
	}
	plain, ok := a.root.Get("version_data", "not_versioned").Bool()
	versions.Each(func(name string, v *source.Node) {
		base, listen, m := *a, a.listen(), drift.Match{}
		base.version = v
		if ok && !plain {
			switch key := a.root.Get("definition", "key").Str(); a.root.Get("definition", "location").Str() {
			case "header":
				m.Headers = []string{key + "=" + name}
			case "url-param":
				m.Query = []string{key + "=" + name}
			case "url":
				listen = drift.Join(listen, name)
			}
		} else if name != "Default" && v != versions.Values[0] {
			return // only one counts where the API has no versions
		}
		base.operations(m, listen)
	})
}

func (a *api) listen() string {
	return drift.Join(a.n("proxy/listen_path", "server/listenPath/value").Str(), "")
}

func (a *api) operations(m drift.Match, listen string) {
	if d := a.n("domain", "server/customDomain/name").Str(); d != "" {
		m.Hosts = []string{drift.Mask(d)}
	}
	endpoints := a.endpoints()
	allowed := false
	for _, e := range endpoints {
		allowed = allowed || e.rules["allow"] != nil
	}
	add := func(k drift.Key, match drift.Match, e *endpoint) {
		match.Hosts, match.Headers, match.Query = m.Hosts, m.Headers, m.Query
		a.env.Operations = append(a.env.Operations, drift.Operation{Key: k, Match: match, Name: drift.Mask(e.path), API: a.name(), Origin: e.origin(), Effective: a.classes(e, allowed)})
	}
	// An allow list closes whatever it does not name, so that the rest of the API is no operation then.
	if rest := (&endpoint{api: a, method: "*", path: listen, node: a.doc, rules: map[string]*source.Node{}, rest: true}); !allowed {
		k, match := drift.NewKey("*", drift.Template, drift.Join(listen, "**"))
		add(k, match, rest)
	}
	for _, e := range endpoints {
		full := drift.Join(listen, e.path)
		kind := drift.Template
		if strings.ContainsAny(e.path, `.*+?^$()[]|\`) {
			kind = drift.Regex
			full = drift.Join(listen, strings.TrimSuffix(strings.TrimPrefix(e.path, "^"), "$"))
			if strings.HasSuffix(e.path, "$") {
				full += "$"
			}
		}
		k, match := drift.NewKey(e.method, kind, full)
		if !strings.HasSuffix(e.path, "$") {
			match.Open = true // paths are patterns without an end
		}
		add(k, match, e)
	}
}

// classes are general traffic and the holders of each policy that gives access to the API.
func (a *api) classes(e *endpoint, allowed bool) []drift.Effective {
	out := []drift.Effective{{Policy: e.policy(allowed, "")}}
	if a.keyless() {
		return out
	}
	ids := make([]string, 0, len(a.policies))
	for id, n := range a.policies {
		if n.Get("access_rights", a.id()) != nil {
			ids = append(ids, id)
		}
	}
	ids = drift.Sorted(ids)
	const most = 64 // classes on one operation
	if len(ids) > most {
		a.Problem(drift.Problem{File: a.doc.File, Line: a.doc.Line, Text: "more policies than are compared for this API", Partial: true})
		ids = ids[:most]
	}
	for _, id := range ids {
		out = append(out, drift.Effective{Class: "policy " + drift.Mask(id), Policy: e.policy(allowed, id)})
	}
	return out
}

// unread notes what has rules of its own that are not resolved: tools, streams and graphs behind one path.
func (a *api) unread() {
	note := func(what string, n *source.Node) {
		a.env.Gaps = append(a.env.Gaps, drift.Gap{What: what + " behind one path of", Name: a.name(), Origin: n.Origin(a.scope())})
	}
	for _, k := range []string{"mcpTools", "mcpResources", "mcpPrompts", "mcpPrimitives"} {
		if n := a.root.Get("middleware", k); a.oas && n != nil && len(n.Keys) > 0 {
			note(k, n)
		}
	}
	if n := a.doc.Get("x-tyk-streaming", "streams"); n != nil && len(n.Keys) > 0 {
		note("streams", n)
	}
	if n := a.n("graphql", ""); a.on("graphql/enabled", "") {
		note("a graph", n)
	}
}
