package azureapim

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// loose reads what is not part of an APIOps folder: ARM templates, and policy documents that stand alone.
func (r *reader) loose() {
	for _, name := range r.Names() {
		if r.used[name] {
			continue
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".json":
			for _, d := range r.Documents(name) {
				if d.Has("resources") && (d.Has("$schema") || d.Has("contentVersion")) {
					t := &template{root: d, r: r}
					t.resources(d.Get("resources"), "", nil, 0)
				} else {
					r.Skip()
				}
			}
		case ".xml":
			r.standalone(name)
		default:
			r.Skip()
		}
	}
}

// standalone is a policy document without a service around it: it is read as an API of its own, so that it can be looked at.
func (r *reader) standalone(name string) {
	b, ok := r.Text(name)
	if !ok {
		return
	}
	d := r.doc(name, b)
	if d == nil {
		return
	}
	switch d.root.Name {
	case "fragment":
		r.svc.fragments[strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".xml"), ".policy")] = d
	case "policies":
		a := r.svc.api(strings.TrimSuffix(name, ".xml"))
		a.props, a.policy, a.noSpec = &source.Node{Kind: source.Map, File: name, Line: 1}, d, true
		o := a.op("all")
		o.method, o.path, o.at = "*", "/"+strings.TrimSuffix(name, ".xml")+"/*", drift.Origin{File: name, Line: 1}
	default:
		r.Skip()
	}
}

// template resolves what ARM templates say about API Management, as far as it can be known without deploying them.
type template struct {
	root *source.Node
	r    *reader
}

const kindPrefix = "microsoft.apimanagement/service"

func (t *template) resources(list *source.Node, parentType string, parentName []string, depth int) {
	if depth > 8 || list == nil {
		return
	}
	items := list.Items()
	if list.Kind == source.Map { // symbolic names of newer templates
		items = list.Values
	}
	for _, n := range items {
		typ := strings.ToLower(n.Get("type").Str())
		if parentType != "" && !strings.Contains(typ, "microsoft.") {
			typ = parentType + "/" + typ
		}
		if typ == "microsoft.resources/deployments" {
			inner := &template{root: n.Get("properties", "template"), r: t.r}
			if inner.root != nil {
				inner.resources(inner.root.Get("resources"), "", nil, depth+1)
			}
			continue
		}
		if !strings.HasPrefix(typ, kindPrefix) {
			continue
		}
		text, ok := t.eval(n.Get("name").Str(), 0)
		name := append(append([]string(nil), parentName...), strings.Split(text, "/")...)
		if parentType != "" && len(strings.Split(text, "/")) > strings.Count(typ, "/")-strings.Count(parentType, "/") {
			name = strings.Split(text, "/")
		}
		if !ok {
			t.r.Doubt(n.Get("name").Origin(""), "the name %q is only known when the template is deployed", drift.Mask(n.Get("name").Str()))
		}
		t.resource(strings.TrimPrefix(strings.TrimPrefix(typ, kindPrefix), "/"), name, n)
		t.resources(n.Get("resources"), typ, name, depth+1)
	}
}

// at is the i-th name after the service's, or one made up from the place when the name is not known.
func at(name []string, i int, n *source.Node) string {
	if i < len(name) && name[i] != "" {
		return name[i]
	}
	return "line " + strconv.Itoa(n.Line)
}

func (t *template) resource(kind string, name []string, n *source.Node) {
	s, p := t.r.svc, n.Get("properties")
	if p == nil {
		p = &source.Node{Kind: source.Map, File: n.File, Line: n.Line}
	}
	e := &entity{at(name, 1, n), p}
	switch kind {
	case "":
		if s.node != nil {
			t.r.Doubt(n.Origin(""), "a second service in one folder; the first is read, read each on its own")
			return
		}
		s.node, s.name = n, at(name, 0, n)
	case "policies":
		s.policy = t.policy(p)
	case "namedvalues", "properties":
		s.namedValues = append(s.namedValues, e)
	case "backends":
		s.backends = append(s.backends, e)
	case "loggers":
		s.loggers = append(s.loggers, e)
	case "diagnostics":
		s.diagnostics = append(s.diagnostics, e)
	case "apiversionsets":
		s.versionSets = append(s.versionSets, e)
	case "certificates":
		s.certs = append(s.certs, e)
	case "policyfragments":
		s.fragments[e.name] = t.policy(p)
	case "products":
		s.product(e.name).props = p
	case "products/policies":
		s.product(e.name).policy = t.policy(p)
	case "products/apis":
		pr := s.product(e.name)
		pr.apis = addOnce(pr.apis, at(name, 2, n))
	case "apis":
		a := s.api(e.name)
		a.props, a.at = p, n.Origin("api "+e.name)
		t.spec(a, p)
	case "apis/policies":
		s.api(e.name).policy = t.policy(p)
	case "apis/diagnostics":
		a := s.api(e.name)
		a.diags = append(a.diags, &entity{at(name, 2, n), p})
	case "apis/operations":
		o := s.api(e.name).op(at(name, 2, n))
		method, _ := t.eval(p.Get("method").Str(), 0)
		url, _ := t.eval(p.Get("urlTemplate").Str(), 0)
		o.method, o.path, o.at = method, url, n.Origin("operation "+o.name)
	case "apis/operations/policies":
		s.api(e.name).op(at(name, 2, n)).policy = t.policy(p)
	}
}

// spec reads an OpenAPI document that a template carries as text.
func (t *template) spec(a *api, p *source.Node) {
	text, ok := t.eval(p.Get("value").Str(), 0)
	format := p.Get("format").Str()
	if text == "" {
		return
	}
	if !ok || strings.HasSuffix(format, "-link") {
		t.r.gap("specification", a.name, p.Get("value").Origin("api "+a.name))
		return
	}
	docs, _, err := source.Parse("spec.yaml", []byte(text))
	if err != nil {
		t.r.Doubt(p.Get("value").Origin("api "+a.name), "the specification cannot be read: %v", err)
		return
	}
	for _, d := range docs {
		d.Get("paths").Each(func(url string, item *source.Node) {
			item.Each(func(verb string, n *source.Node) {
				if verbs[strings.ToLower(verb)] {
					o := a.op(n.Get("operationId").Str())
					o.method, o.path, o.at = verb, url, p.Get("value").Origin("operation "+o.name)
				}
			})
		})
	}
}

func (t *template) policy(p *source.Node) *document {
	v := p.Get("value")
	if v == nil {
		v = p.Get("policyContent")
	}
	if v == nil {
		return nil
	}
	text, ok := t.eval(v.Str(), 0)
	if f := p.Get("format").Str(); !ok || strings.HasSuffix(f, "-link") {
		t.r.gap("policy document", v.Pointer(), v.Origin(""))
		return unreadable(v)
	}
	d, err := parse(v.File, []byte(text))
	if err != nil {
		t.r.Problem(drift.Problem{File: v.File, Line: v.Line, Pointer: v.Pointer(), Text: fmt.Sprintf("is not a policy document: %v", err), Partial: true})
		return unreadable(v)
	}
	t.r.how[d.how]++
	d.root.Walk(func(e *source.Element) { e.Line = v.Line })
	return d
}

// unreadable stands for a document that is there and cannot be read: everything about it is unresolved.
func unreadable(n *source.Node) *document {
	return &document{root: &source.Element{Name: "unreadable", File: n.File, Line: n.Line}}
}

// eval resolves the simple part of ARM's expressions: parameters with a default or a given value, variables, concat and format.
func (t *template) eval(s string, depth int) (string, bool) {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") || strings.HasPrefix(s, "[[") {
		if strings.HasPrefix(s, "[[") {
			s = s[1:] // an escaped bracket
		}
		return s, true
	}
	return t.call(strings.TrimSpace(s[1:len(s)-1]), depth)
}

func (t *template) call(s string, depth int) (string, bool) {
	if depth > 16 {
		return s, false
	}
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' && !strings.Contains(strings.ReplaceAll(s[1:len(s)-1], "''", ""), "'") {
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'"), true
	}
	if _, err := strconv.Atoi(s); err == nil {
		return s, true
	}
	open := strings.IndexByte(s, '(')
	if open < 0 || s[len(s)-1] != ')' {
		return s, false
	}
	args, ok := split(s[open+1 : len(s)-1])
	if !ok {
		return s, false
	}
	vals := make([]string, len(args))
	all := true
	for i, a := range args {
		v, ok := t.call(strings.TrimSpace(a), depth+1)
		vals[i], all = v, all && ok
	}
	switch strings.ToLower(s[:open]) {
	case "parameters":
		if len(vals) == 1 {
			if v, ok := t.r.opt.Values[vals[0]]; ok {
				return v, true
			}
			if d := t.root.Get("parameters", vals[0], "defaultValue"); d != nil && d.Kind != source.Map && d.Kind != source.List {
				return t.eval(d.Str(), depth+1)
			}
			return "{" + vals[0] + "}", false
		}
	case "variables":
		if len(vals) == 1 {
			if v := t.root.Get("variables", vals[0]); v != nil && v.Kind == source.String {
				return t.eval(v.Str(), depth+1)
			}
		}
	case "concat":
		return strings.Join(vals, ""), all
	case "format":
		if len(vals) > 0 {
			out := vals[0]
			for i, v := range vals[1:] {
				out = strings.ReplaceAll(out, "{"+strconv.Itoa(i)+"}", v)
			}
			return out, all
		}
	}
	return s, false
}

// split divides arguments at the commas that stand in no quotes or brackets.
func split(s string) ([]string, bool) {
	var out []string
	depth, quoted, start := 0, false, 0
	for i, c := range s {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			out, start = append(out, s[start:i]), i+1
		}
	}
	if quoted || depth != 0 {
		return nil, false
	}
	if strings.TrimSpace(s) == "" {
		return nil, true
	}
	return append(out, s[start:]), true
}
