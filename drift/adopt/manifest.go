package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift/patch"
)

// prefixOf is what all paths begin with, in whole segments without parameters and without the last one.
func prefixOf(ops []operation) string {
	var common []string
	for i, o := range ops {
		parts := strings.Split(strings.TrimPrefix(strings.TrimSuffix(o.path, "/"), "/"), "/")
		parts = parts[:len(parts)-1]
		if i == 0 {
			common = parts
		}
		k := 0
		for k < len(common) && k < len(parts) && common[k] == parts[k] && !strings.ContainsAny(common[k], "{%") {
			k++
		}
		common = common[:k]
	}
	return "/" + strings.Join(common, "/")
}

func (w *writer) write(apis []*api) error {
	env := w.name(w.env.Name, "adopted")
	m := patch.Map{{Key: "gatehouse", Value: int64(1)}, {Key: "environments", Value: patch.List{patch.Map{{Key: "name", Value: env[:min(len(env), 32)]}}}}}
	var ups, list, products patch.List
	for _, a := range apis {
		a.name = w.name(a.of, "api")
		a.prefix = prefixOf(a.ops)
		base := a.base + strings.TrimSuffix(a.prefix, "/")
		if a.strip != "" {
			a.prefix, base = a.strip, a.base
		}
		ups = append(ups, append(patch.Map{{Key: "name", Value: a.name}}, a.upstream...))
		x := patch.Map{{Key: "name", Value: a.name}, {Key: "openapi", Value: a.name + ".openapi.yaml"}, {Key: "path", Value: a.prefix}}
		if base != "" && base != "/" {
			x = append(x, patch.Entry{Key: "upstream_path", Value: base})
		}
		if len(a.hosts) > 0 {
			x = append(x, patch.Entry{Key: "hosts", Value: patch.Strings(a.hosts)})
		}
		if len(a.headers) > 0 {
			x = append(x, patch.Entry{Key: "headers", Value: a.headers})
		}
		x = append(x, patch.Entry{Key: "upstream", Value: a.name}, patch.Entry{Key: "policies", Value: a.ops[0].policies})
		var special patch.List
		for _, o := range a.ops {
			if d := differing(a.ops[0].policies, o); d != nil {
				special = append(special, d)
			}
		}
		if len(special) > 0 {
			x = append(x, patch.Entry{Key: "operations", Value: special})
		}
		list = append(list, x)
		if p := w.product(a); p != nil {
			products = append(products, p)
		}
		if err := w.document(a); err != nil {
			return err
		}
	}
	if list := w.declared(apis); len(list) > 0 {
		m = append(m, patch.Entry{Key: "trusted_issuers", Value: list})
	}
	m = append(m, patch.Entry{Key: "upstreams", Value: ups}, patch.Entry{Key: "apis", Value: list})
	if len(products) > 0 {
		m = append(m, patch.Entry{Key: "products", Value: products})
	}
	return w.file("gatehouse.yaml", "# Adopted from "+oneLine(w.env.Name)+" ("+w.env.Gateway+"). Read what could not be carried over before it is published.\n", m)
}

// product offers the operations of an API that ask for a grant; nil when none does.
func (w *writer) product(a *api) any {
	var ids, kinds, scopes []string
	for _, o := range a.ops {
		if !o.granted {
			continue
		}
		ids = append(ids, o.id)
		kinds, scopes = append(kinds, o.credentials...), append(scopes, o.scopes...)
	}
	if len(ids) == 0 {
		return nil
	}
	unique := func(s []string) []string { slices.Sort(s); return slices.Compact(s) }
	p := patch.Map{{Key: "name", Value: w.name(a.name+" access", "access")}, {Key: "operations", Value: patch.List{patch.Map{{Key: "api", Value: a.name}, {Key: "ids", Value: patch.Strings(ids)}}}}}
	if len(scopes) > 0 {
		var m patch.Map
		for _, s := range unique(scopes) {
			m = append(m, patch.Entry{Key: s, Value: "As before: " + s})
		}
		p = append(p, patch.Entry{Key: "scopes", Value: m})
	}
	plan := patch.Map{{Key: "name", Value: "standard"}, {Key: "longest", Value: "365d"}}
	if kinds = unique(kinds); !slices.Equal(kinds, []string{"api_key"}) {
		plan = append(plan, patch.Entry{Key: "credentials", Value: patch.Strings(kinds)})
	}
	return append(p, patch.Entry{Key: "plans", Value: patch.List{plan}})
}

func (w *writer) file(name, head string, m patch.Map) error {
	t, err := patch.Open(name, nil)
	if err != nil {
		return err
	}
	if err := t.AddDocument(m); err != nil {
		return err
	}
	w.out.Files[name] = append([]byte(head), t.Text()...)
	return nil
}

// differing is the entry of an operation whose policies or scopes are not those of its API; nil when they are.
func differing(of patch.List, o operation) any {
	var remove, own patch.List
	for _, p := range of {
		if !slices.ContainsFunc(o.policies, func(q any) bool { return kind(q) == kind(p) }) {
			remove = append(remove, kind(p))
		}
	}
	for _, q := range o.policies {
		if !slices.ContainsFunc(of, func(p any) bool { return fmt.Sprint(p) == fmt.Sprint(q) }) {
			own = append(own, q)
		}
	}
	if len(remove)+len(own)+len(o.scopes) == 0 {
		return nil
	}
	m := patch.Map{{Key: "id", Value: o.id}}
	if len(o.scopes) > 0 {
		m = append(m, patch.Entry{Key: "scopes", Value: patch.Strings(o.scopes)})
	}
	if len(remove) > 0 {
		m = append(m, patch.Entry{Key: "remove", Value: remove})
	}
	if len(own) > 0 {
		m = append(m, patch.Entry{Key: "policies", Value: own})
	}
	return m
}

// document is the OpenAPI document of an API: its operations, without what their bodies hold, which no gateway's configuration says.
func (w *writer) document(a *api) error {
	var paths patch.Map
	for _, o := range a.ops {
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(o.path, strings.TrimSuffix(a.prefix, "/")), "/")
		op := patch.Map{{Key: "operationId", Value: o.id}}
		var params patch.List
		for _, m := range param.FindAllStringSubmatch(path, -1) {
			params = append(params, patch.Map{{Key: "name", Value: m[1]}, {Key: "in", Value: "path"}, {Key: "required", Value: true}, {Key: "schema", Value: patch.Map{{Key: "type", Value: "string"}}}})
		}
		if len(params) > 0 {
			op = append(op, patch.Entry{Key: "parameters", Value: params})
		}
		op = append(op, patch.Entry{Key: "responses", Value: patch.Map{{Key: "default", Value: patch.Map{{Key: "description", Value: "What the service answers."}}}}})
		i := slices.IndexFunc(paths, func(e patch.Entry) bool { return e.Key == path })
		if i < 0 {
			i = len(paths)
			paths = append(paths, patch.Entry{Key: path, Value: patch.Map{}})
		}
		m, _ := paths[i].Value.(patch.Map)
		paths[i].Value = append(m, patch.Entry{Key: o.method, Value: op})
	}
	return w.file(a.name+".openapi.yaml", "", patch.Map{{Key: "openapi", Value: "3.1.0"}, {Key: "info", Value: patch.Map{{Key: "title", Value: a.name}, {Key: "version", Value: "1.0.0"}}}, {Key: "paths", Value: paths}})
}

var param = regexp.MustCompile(`\{(p[0-9]+)\}`)
