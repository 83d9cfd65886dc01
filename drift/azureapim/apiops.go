package azureapim

import (
	"path"
	"sort"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// folderNames are the spellings of APIOps' folders that repositories have.
var folderNames = map[string]string{
	"named values": "namedValues", "namedvalues": "namedValues", "named-values": "namedValues",
	"policy fragments": "fragments", "policy-fragments": "fragments", "policyfragments": "fragments",
	"version sets": "versionSets", "version-sets": "versionSets", "versionsets": "versionSets",
	"apis": "apis", "products": "products", "backends": "backends", "loggers": "loggers", "diagnostics": "diagnostics", "workspaces": "workspaces",
	"subscriptions": "", "tags": "", "groups": "", "gateways": "",
}

// roots are the folders that hold an APIOps extraction: those above an apis, products, … folder with the files that belong there.
func (r *reader) roots() []string {
	seen := map[string]bool{}
	for _, name := range r.Names() {
		base := path.Base(name)
		if !strings.HasSuffix(base, "Information.json") && base != "policy.xml" && base != "policyFragmentInformation.json" {
			continue
		}
		parts := strings.Split(path.Dir(name), "/")
		for i, p := range parts {
			if _, ok := folderNames[strings.ToLower(p)]; ok {
				seen[path.Join(append([]string{"."}, parts[:i]...)...)] = true
				break
			}
		}
	}
	out := make([]string, 0, len(seen))
	for s := range seen {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}

func (r *reader) apiops() {
	r.used = map[string]bool{}
	roots := r.roots()
	if len(roots) == 0 {
		return
	}
	for _, other := range roots[1:] {
		r.Problem(drift.Problem{File: other, Text: "is another service beside " + roots[0] + "; read each on its own", Partial: true})
	}
	prefix := roots[0] + "/"
	if roots[0] == "." {
		prefix = ""
	}
	spelled := map[string]string{}
	for _, name := range r.Names() {
		rel, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		parts := strings.Split(rel, "/")
		kind, known := folderNames[strings.ToLower(parts[0])]
		if old, ok := spelled[kind]; ok && kind != "" && old != parts[0] {
			r.Doubt(drift.Origin{File: prefix + parts[0]}, "stands beside %q, which is another spelling of the same; both are read", old)
		}
		if known {
			spelled[kind] = parts[0]
		}
		switch {
		case rel == "policy.xml":
			r.svc.policy = r.policyFile(name)
		case known && kind == "":
			r.used[name] = true
			r.Skip()
		case known && len(parts) >= 3:
			r.artifact(name, kind, parts[1], parts[2:])
		}
	}
}

func (r *reader) policyFile(name string) *document {
	r.used[name] = true
	b, ok := r.Text(name)
	if !ok {
		return nil
	}
	return r.doc(name, b)
}

// props reads the properties of an …Information.json.
func (r *reader) props(name string) *source.Node {
	r.used[name] = true
	docs := r.Documents(name)
	if len(docs) == 0 {
		return nil
	}
	if p := docs[0].Get("properties"); p != nil {
		return p
	}
	return docs[0]
}

// artifact reads one file of a resource of a kind.
func (r *reader) artifact(file, kind, name string, rest []string) {
	base := rest[len(rest)-1]
	info := strings.HasSuffix(base, "Information.json") && len(rest) == 1
	add := func(list *[]*entity) {
		if info {
			*list = append(*list, &entity{name, r.props(file)})
		}
	}
	switch kind {
	case "namedValues":
		add(&r.svc.namedValues)
	case "backends":
		add(&r.svc.backends)
	case "loggers":
		add(&r.svc.loggers)
	case "diagnostics":
		add(&r.svc.diagnostics)
	case "versionSets":
		add(&r.svc.versionSets)
	case "fragments":
		if base == "policy.xml" {
			r.svc.fragments[name] = r.policyFile(file)
		}
	case "workspaces":
		switch {
		case len(rest) == 1 && base == "policy.xml":
			r.svc.workspaces[name] = r.policyFile(file)
		case len(rest) >= 3:
			if k := folderNames[strings.ToLower(rest[0])]; k != "" && k != "workspaces" {
				r.artifact(file, k, rest[1], rest[2:])
				if k == "apis" {
					r.svc.api(rest[1]).workspace = name
				}
			}
		}
	case "products":
		r.productFile(file, name, rest)
	case "apis":
		r.apiFile(file, name, rest)
	}
}

func (r *reader) productFile(file, name string, rest []string) {
	p := r.svc.product(name)
	switch base := rest[len(rest)-1]; {
	case base == "productInformation.json":
		p.props = r.props(file)
	case base == "policy.xml" && len(rest) == 1:
		p.policy = r.policyFile(file)
	case base == "apis.json" && len(rest) == 1:
		r.used[file] = true
		for _, d := range r.Documents(file) {
			for _, n := range d.Items() {
				p.apis = addOnce(p.apis, n.Get("name").Str())
			}
		}
	case base == "productApiInformation.json" && len(rest) == 3 && rest[0] == "apis":
		r.used[file] = true
		p.apis = addOnce(p.apis, rest[1])
	default:
		r.used[file] = true
		r.Skip()
	}
}

func addOnce(list []string, s string) []string {
	for _, v := range list {
		if v == s {
			return list
		}
	}
	if s == "" {
		return list
	}
	return append(list, s)
}

func (r *reader) apiFile(file, name string, rest []string) {
	a := r.svc.api(name)
	switch base := rest[len(rest)-1]; {
	case base == "apiInformation.json":
		a.props = r.props(file)
		a.at = drift.Origin{File: file, Line: 1, Scope: "api " + name}
	case base == "policy.xml" && len(rest) == 1:
		a.policy = r.policyFile(file)
	case base == "policy.xml" && len(rest) == 3 && strings.EqualFold(rest[0], "operations"):
		o := a.op(rest[1])
		o.policy = r.policyFile(file)
		if o.at.File == "" {
			o.at = drift.Origin{File: file, Line: 1, Scope: "operation " + rest[1]}
		}
	case base == "diagnosticInformation.json" && len(rest) == 3:
		a.diags = append(a.diags, &entity{rest[1], r.props(file)})
	case strings.HasPrefix(base, "specification."):
		r.used[file] = true
		r.specification(a, file)
	default:
		r.used[file] = true
		r.Skip()
	}
}

var verbs = map[string]bool{"get": true, "put": true, "post": true, "delete": true, "options": true, "head": true, "patch": true, "trace": true}

// specification reads the operations of an API from whatever describes it.
func (r *reader) specification(a *api, file string) {
	switch strings.ToLower(path.Ext(file)) {
	case ".yaml", ".yml", ".json":
		for _, d := range r.Documents(file) {
			d.Get("paths").Each(func(p string, item *source.Node) {
				item.Each(func(verb string, n *source.Node) {
					if !verbs[strings.ToLower(verb)] {
						return
					}
					id := n.Get("operationId").Str()
					if id == "" {
						id = strings.ToLower(verb) + strings.ReplaceAll(strings.NewReplacer("{", "", "}", "").Replace(p), "/", "-")
					}
					o := a.op(id)
					o.method, o.path, o.at = verb, p, n.Origin("operation "+id)
				})
			})
		}
	case ".wadl":
		b, ok := r.Text(file)
		if !ok {
			return
		}
		root, err := source.ParseXML(file, b)
		if err != nil {
			r.Problem(drift.Problem{File: file, Text: err.Error(), Partial: true})
			return
		}
		root.Walk(func(e *source.Element) {
			if e.Name != "method" {
				return
			}
			p := ""
			for up := e.Parent; up != nil; up = up.Parent {
				if s, ok := up.Attr("path"); ok && up.Name == "resource" {
					p = drift.Join(s, p)
				}
			}
			id, _ := e.Attr("id")
			verb, _ := e.Attr("name")
			o := a.op(id)
			o.method, o.path, o.at = verb, p, e.Origin("operation "+id)
		})
	case ".graphql":
		r.Text(file)
		o := a.op("graphql")
		o.method, o.path, o.at = "POST", "/", drift.Origin{File: file, Line: 1, Scope: "api " + a.name}
	default:
		r.gap("specification", a.name, drift.Origin{File: file})
	}
}

// overrides lays an APIOps configuration file over what was read.
func (r *reader) overrides() {
	name := r.opt.Values["configuration"]
	if name == "" {
		for _, n := range r.Names() {
			if b := path.Base(n); r.opt.Name != "" && (b == "configuration."+r.opt.Name+".yaml" || b == "configuration."+r.opt.Name+".yml") {
				name = n
			}
		}
	}
	if name == "" {
		return
	}
	if !r.Has(name) {
		r.Problem(drift.Problem{File: name, Text: "is the named configuration and is not there", Partial: true})
		return
	}
	r.used[name] = true
	for _, d := range r.Documents(name) {
		for _, s := range []struct {
			keys []string
			list *[]*entity
		}{
			{[]string{"namedValues", "named_values"}, &r.svc.namedValues}, {[]string{"backends"}, &r.svc.backends}, {[]string{"loggers"}, &r.svc.loggers},
			{[]string{"diagnostics"}, &r.svc.diagnostics}, {[]string{"versionSets", "version_sets"}, &r.svc.versionSets},
		} {
			for _, k := range s.keys {
				r.layOver(s.list, d.Get(k))
			}
		}
		for _, n := range d.Get("apis").Items() {
			for _, a := range r.svc.apis {
				if a.name == n.Get("name").Str() {
					a.props = over(a.props, n.Get("properties"))
					r.layOver(&a.diags, n.Get("diagnostics"))
				}
			}
		}
		for _, n := range d.Get("products").Items() {
			for _, p := range r.svc.products {
				if p.name == n.Get("name").Str() {
					p.props = over(p.props, n.Get("properties"))
				}
			}
		}
	}
}

func (r *reader) layOver(list *[]*entity, n *source.Node) {
	for _, item := range n.Items() {
		name := item.Get("name").Str()
		if e := find(*list, name); e != nil {
			e.props = over(e.props, item.Get("properties"))
		} else if name != "" {
			*list = append(*list, &entity{name, item.Get("properties")})
		}
	}
}

// over is base with what top says laid over it, map by map.
func over(base, top *source.Node) *source.Node {
	switch {
	case top.Absent():
		return base
	case base.Absent() || base.Kind != source.Map || top.Kind != source.Map:
		return top
	}
	out := *base
	out.Keys, out.Values = append([]string(nil), base.Keys...), append([]*source.Node(nil), base.Values...)
	top.Each(func(k string, v *source.Node) {
		for i, have := range out.Keys {
			if have == k {
				out.Values[i] = over(out.Values[i], v)
				return
			}
		}
		out.Keys, out.Values = append(out.Keys, k), append(out.Values, v)
	})
	return &out
}
