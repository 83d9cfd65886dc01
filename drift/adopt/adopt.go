// Package adopt writes a manifest of Gatehouse that enforces what another gateway was read to enforce, and says what it cannot carry over.
// What it cannot carry is never carried weaker: an operation whose proof of identity Gatehouse does not know is left out.
package adopt

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
	"gatehouse/fault"
)

// Lost is something that is not carried over, or carried otherwise.
type Lost struct {
	Operation string       `json:"operation,omitempty"` // "": it is about the whole environment
	What      string       `json:"what"`
	Why       string       `json:"why"`
	Left      bool         `json:"left_out"` // the whole operation is left out
	Origin    drift.Origin `json:"origin,omitzero"`
}

// Adopted is a manifest's folder, and what it does not hold.
type Adopted struct {
	Files      map[string][]byte `json:"-"`
	Operations int               `json:"operations"`
	Of         int               `json:"of"`
	Lost       []Lost            `json:"not_carried"`
}

// Make writes the manifest for the general traffic of an environment.
func Make(e *drift.Environment) (*Adopted, error) {
	w := &writer{env: e, out: &Adopted{Files: map[string][]byte{}, Of: len(e.Operations), Lost: []Lost{}}, names: map[string]bool{}}
	var apis []*api
	for i := range e.Operations {
		o := &e.Operations[i]
		if len(o.Effective) > 1 {
			w.lose(o, "what single consumers, groups and products meet", "a manifest bounds callers by the plans of their grants; offer plans that fit", false)
		}
		op, ok := w.operation(o)
		if !ok {
			continue
		}
		j := slices.IndexFunc(apis, func(a *api) bool {
			return a.of == o.API && a.target == op.target && slices.Equal(a.hosts, o.Match.Hosts)
		})
		if j < 0 {
			j = len(apis)
			apis = append(apis, &api{of: o.API, target: op.target, hosts: o.Match.Hosts, policy: o.General()})
		}
		if slices.ContainsFunc(apis[j].ops, func(p operation) bool { return p.method == op.method && p.path == op.path }) {
			continue
		}
		apis[j].ops = append(apis[j].ops, op)
	}
	if len(apis) == 0 {
		return w.out, fault.New(fault.Conflict, "none of the %d operations of %s can be carried over", len(e.Operations), e.Name)
	}
	for _, a := range apis {
		w.out.Operations += len(a.ops)
	}
	return w.out, w.write(apis)
}

type api struct {
	of, name, target, prefix string
	hosts                    []string
	policy                   *drift.Policy
	ops                      []operation
}

type operation struct {
	id, method, path string
	target           string // scheme and host of the upstream, and its path
	policies         patch.List
	granted          bool
}

type writer struct {
	env   *drift.Environment
	out   *Adopted
	names map[string]bool
}

func (w *writer) lose(o *drift.Operation, what, why string, left bool) {
	l := Lost{What: what, Why: why, Left: left}
	if o != nil {
		l.Operation, l.Origin = o.Key.String(), o.Origin
	}
	w.out.Lost = append(w.out.Lost, l)
}

var (
	unfit = regexp.MustCompile(`[^a-z0-9]+`)
	first = regexp.MustCompile(`^[^a-z]+`)
)

// name makes a name of the manifest's form that is not taken.
func (w *writer) name(s, otherwise string) string {
	const most = 40 // leaves room for a number behind it
	n := strings.Trim(first.ReplaceAllString(unfit.ReplaceAllString(strings.ToLower(s), "-"), ""), "-")
	if n = strings.Trim(n[:min(len(n), most)], "-"); n == "" {
		n = otherwise
	}
	for i := 2; w.names[n]; i++ {
		n = strings.TrimRight(n, "0123456789") + strconv.Itoa(i)
	}
	w.names[n] = true
	return n
}

// operation turns one operation over; false when it is left out.
func (w *writer) operation(o *drift.Operation) (operation, bool) {
	p := o.General()
	switch {
	case o.Key.Path == "" || o.Key.Path[0] != '/' || strings.Contains(o.Key.Path, "**") || o.Match.Kind == drift.Prefix || o.Match.Kind == drift.Regex && o.Match.Open:
		w.lose(o, "the operation", "it answers to a family of paths, and a manifest names each operation in an OpenAPI document", true)
		return operation{}, false
	case o.Key.Method == "*":
		w.lose(o, "the operation", "it answers to every method, and a manifest names each", true)
		return operation{}, false
	case len(o.Match.Headers)+len(o.Match.Query) > 0:
		w.lose(o, "the operation", "it is told apart by headers or parameters of the query", true)
		return operation{}, false
	}
	out := operation{method: strings.ToLower(o.Key.Method)}
	n := 0
	for part := range strings.SplitSeq(strings.TrimPrefix(o.Key.Path, "/"), "/") {
		if strings.Contains(part, "{}") {
			n++
			part = strings.ReplaceAll(part, "{}", "{p"+strconv.Itoa(n)+"}")
		}
		out.path += "/" + part
	}
	if !p.Upstream.URLs.Known() || len(p.Upstream.URLs.Value) == 0 {
		w.lose(o, "the operation", "its upstream is not known: "+p.Upstream.URLs.Cause, true)
		return out, false
	}
	out.target = strings.Join(p.Upstream.URLs.Value, " ")
	if why := w.policies(o, p, &out); why != "" {
		w.lose(o, "the operation", why, true)
		return out, false
	}
	out.id = w.name(o.Key.Method+" "+o.Key.Path, "operation")
	return out, true
}

// prefixOf is what all paths begin with, in whole segments without parameters and without the last one.
func prefixOf(ops []operation) string {
	var common []string
	for i, o := range ops {
		parts := strings.Split(strings.TrimPrefix(o.path, "/"), "/")
		parts = parts[:len(parts)-1]
		if i == 0 {
			common = parts
		}
		k := 0
		for k < len(common) && k < len(parts) && common[k] == parts[k] && !strings.Contains(common[k], "{") {
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
		up, base, err := upstream(a)
		if err != nil {
			return err
		}
		ups = append(ups, up)
		x := patch.Map{{Key: "name", Value: a.name}, {Key: "openapi", Value: a.name + ".openapi.yaml"}, {Key: "path", Value: a.prefix}}
		if base != "" && base != "/" {
			x = append(x, patch.Entry{Key: "upstream_path", Value: base})
		}
		if len(a.hosts) > 0 {
			x = append(x, patch.Entry{Key: "hosts", Value: patch.Strings(a.hosts)})
		}
		x = append(x, patch.Entry{Key: "upstream", Value: a.name}, patch.Entry{Key: "policies", Value: a.ops[0].policies})
		var special patch.List
		granted := patch.List{}
		for _, o := range a.ops {
			if o.granted {
				granted = append(granted, o.id)
			}
			if d := differing(a.ops[0].policies, o); d != nil {
				special = append(special, d)
			}
		}
		if len(special) > 0 {
			x = append(x, patch.Entry{Key: "operations", Value: special})
		}
		list = append(list, x)
		if len(granted) > 0 {
			products = append(products, patch.Map{{Key: "name", Value: w.name(a.name+" access", "access")}, {Key: "operations", Value: patch.List{patch.Map{{Key: "api", Value: a.name}, {Key: "ids", Value: granted}}}},
				{Key: "plans", Value: patch.List{patch.Map{{Key: "name", Value: "standard"}, {Key: "longest", Value: "365d"}}}}})
		}
		if err := w.document(a); err != nil {
			return err
		}
	}
	m = append(m, patch.Entry{Key: "upstreams", Value: ups}, patch.Entry{Key: "apis", Value: list})
	if len(products) > 0 {
		m = append(m, patch.Entry{Key: "products", Value: products})
	}
	return w.file("gatehouse.yaml", "# Adopted from "+oneLine(w.env.Name)+" ("+w.env.Gateway+"). Read what could not be carried over before it is published.\n", m)
}

func oneLine(s string) string { return strings.Join(strings.Fields(drift.Mask(s)), " ") }

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

// upstream is the service behind an API, and the path under which it answers.
func upstream(a *api) (up patch.Map, base string, err error) {
	var targets patch.List
	for s := range strings.FieldsSeq(a.target) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, "", fault.Bad("", "%q is not an address that an upstream can have", s)
		}
		targets = append(targets, u.Scheme+"://"+u.Host)
		base = strings.TrimSuffix(u.Path, "/")
	}
	up = patch.Map{{Key: "name", Value: a.name}, {Key: "targets", Value: targets}}
	var times patch.Map
	l := a.policy.Limits
	if l.Connect.Known() && l.Connect.Value > 0 {
		times = append(times, patch.Entry{Key: "connect", Value: strconv.FormatInt(l.Connect.Value, 10) + "ms"})
	}
	if l.Read.Known() && l.Read.Value > 0 {
		total := max(30_000, l.Connect.Or(0)+l.Read.Value)
		times = append(times, patch.Entry{Key: "read", Value: strconv.FormatInt(l.Read.Value, 10) + "ms"}, patch.Entry{Key: "total", Value: strconv.FormatInt(total, 10) + "ms"})
	}
	if len(times) > 0 {
		up = append(up, patch.Entry{Key: "timeouts", Value: times})
	}
	return up, base + strings.TrimSuffix(a.prefix, "/"), nil
}

// differing is the entry of an operation whose policies are not those of its API; nil when they are.
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
	if len(remove)+len(own) == 0 {
		return nil
	}
	m := patch.Map{{Key: "id", Value: o.id}}
	if len(remove) > 0 {
		m = append(m, patch.Entry{Key: "remove", Value: remove})
	}
	if len(own) > 0 {
		m = append(m, patch.Entry{Key: "policies", Value: own})
	}
	return m
}

func kind(p any) string {
	if m, ok := p.(patch.Map); ok {
		return m[0].Key
	}
	s, _ := p.(string)
	return s
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
