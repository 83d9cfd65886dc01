package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// openapi reads one OpenAPI document: what the gateway and the API reference need, and what is wrong with it.
type openapi struct {
	ds      *diagnostics
	file    string
	root    *yaml.Node
	minor   string // "3.0", "3.1" or "3.2"
	doc     *Document
	refs    references
	models  schemas
	ids     map[string]int        // operationId -> line
	routes  map[string]int        // method and path without names of parameters -> line
	global  *security             // of operations that say nothing themselves
	printed int                   // bytes of examples so far
	sampled int                   // values of examples that were made so far
	samples map[*yaml.Node]string // examples that were made, by schema
}

var versionForm = regexp.MustCompile(`^3\.([012])\.[0-9]+(-.+)?$`)

// readDocument reads an OpenAPI document. It is nil when nothing of it can be used.
func readDocument(ds *diagnostics, file string, data []byte) *Document {
	root := readText(ds, file, data)
	if root == nil {
		return nil
	}
	r := &openapi{ds: ds, file: file, root: root, ids: map[string]int{}, routes: map[string]int{},
		doc: &Document{Raw: data, byID: map[string]int{}}}
	if root.Kind != yaml.MappingNode {
		r.bad(root, "", "is not an OpenAPI document: it must be a mapping, not %s", shape(root))
		return nil
	}
	if !r.version() {
		return nil
	}
	r.refs = references{openapi: r, found: map[string]*yaml.Node{}}
	r.refs.check()
	r.models = schemas{openapi: r, whole: map[*yaml.Node]*Schema{}, built: map[*yaml.Node]*Schema{}, parts: map[*Schema]int{}}
	r.samples = map[*yaml.Node]string{}
	(&structure{r, grammar()}).walk(root, "", "root")
	r.info()
	r.schemes()
	if n, _ := get(root, "security"); n != nil {
		r.global = r.security(n, "/security")
	}
	r.paths()
	return r.doc
}

// readText reads JSON as JSON and everything else as YAML.
func readText(ds *diagnostics, file string, data []byte) *yaml.Node {
	if text := strings.TrimLeft(string(data[:min(len(data), 1000)]), " \t\r\n"); strings.HasPrefix(text, "{") {
		return readJSON(ds, file, data)
	}
	return readYAML(ds, file, data, maxDocumentNodes)
}

func (r *openapi) bad(n *yaml.Node, at, format string, args ...any) {
	r.ds.add(r.file, n.Line, at, format, args...)
}

func (r *openapi) warn(n *yaml.Node, at, format string, args ...any) {
	r.ds.warn(r.file, n.Line, at, format, args...)
}

func (r *openapi) version() bool {
	n, key := get(r.root, "openapi")
	old, oldKey := get(r.root, "swagger")
	switch {
	case n == nil && old != nil:
		r.bad(oldKey, "/swagger", "is a Swagger %s document: convert it to OpenAPI 3.1 first", clip(old.Value))
	case n == nil:
		r.bad(r.root, "", "is not an OpenAPI document: it has no openapi field that says its version")
	default:
		m := versionForm.FindStringSubmatch(n.Value)
		if n.Kind == yaml.ScalarNode && m != nil {
			r.minor = "3." + m[1]
			return true
		}
		r.bad(key, "/openapi", "the version must be 3.0, 3.1 or 3.2 with a third number, such as \"3.1.0\", not %s", shape(n))
	}
	return false
}

// text is a field of an object as text; "" with a diagnostic when it is none.
func (r *openapi) text(n *yaml.Node, at, name string) string {
	v, _ := get(n, name)
	if v == nil {
		return ""
	}
	if v.Kind != yaml.ScalarNode || v.ShortTag() == "!!null" {
		r.bad(v, at+"/"+name, "must be text, not %s", shape(v))
		return ""
	}
	return v.Value
}

// flag is a field of an object that is true or false.
func (r *openapi) flag(n *yaml.Node, at, name string) bool {
	v, _ := get(n, name)
	if v == nil {
		return false
	}
	if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" {
		r.bad(v, at+"/"+name, "must be true or false, not %s", shape(v))
		return false
	}
	return strings.EqualFold(v.Value, "true")
}

// object is a field that must be a mapping; nil when it is not there or is none.
func (r *openapi) object(n *yaml.Node, at, name string) *yaml.Node {
	v, _ := get(n, name)
	if v == nil {
		return nil
	}
	if v.Kind != yaml.MappingNode {
		r.bad(v, at+"/"+escape(name), "must be a mapping, not %s", shape(v))
		return nil
	}
	return v
}

// list is a field that must be a list; nil when it is not there or is none.
func (r *openapi) list(n *yaml.Node, at, name string) []*yaml.Node {
	v, _ := get(n, name)
	if v == nil {
		return nil
	}
	if v.Kind != yaml.SequenceNode {
		r.bad(v, at+"/"+name, "must be a list, not %s", shape(v))
		return nil
	}
	return v.Content
}

// methods is the fields of a path that are operations.
var methods = strings.Fields("get put post delete options head patch trace query")

func (r *openapi) info() {
	n, key := get(r.root, "info")
	if n == nil || n.Kind != yaml.MappingNode {
		r.bad(cmp.Or(key, r.root), "/info", "is missing: a document needs info with title and version")
		return
	}
	r.doc.Title, r.doc.Version, r.doc.Description = r.text(n, "/info", "title"), r.text(n, "/info", "version"), r.text(n, "/info", "description")
	for _, name := range []string{"title", "version"} {
		if v, _ := get(n, name); v == nil {
			r.bad(key, "/info/"+name, "is missing")
		}
	}
}

func (r *openapi) paths() {
	n := r.object(r.root, "", "paths")
	if n == nil {
		if _, key := get(r.root, "paths"); key == nil {
			r.bad(r.root, "/paths", "is missing: there is no operation to offer")
		}
		return
	}
	templates := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, item := n.Content[i], n.Content[i+1]
		if strings.HasPrefix(key.Value, "x-") {
			continue
		}
		at := "/paths/" + escape(key.Value)
		names, err := pathParameters(key.Value)
		if err != nil {
			r.bad(key, at, "%s", err)
			continue
		}
		if other := templates[bare(key.Value)]; other != nil && other.Value != key.Value {
			r.bad(key, at, "is the same path as %s in line %d, with other names of parameters", clip(other.Value), other.Line)
			continue
		}
		templates[bare(key.Value)] = key
		r.pathItem(key, item, at, names)
	}
	if len(r.doc.Operations) == 0 {
		r.bad(n, "/paths", "holds no operation: there is nothing to offer")
	}
}

func (r *openapi) pathItem(key, item *yaml.Node, at string, names []string) {
	n, _, ok := r.refs.follow(item, at)
	if !ok {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.bad(item, at, "must be a mapping from methods, not %s", shape(n))
		return
	}
	shared := r.list(n, at, "parameters")
	for _, m := range methods {
		if op := r.object(n, at, m); op != nil {
			_, k := get(n, m)
			r.operation(k, op, at+"/"+m, strings.ToUpper(m), key.Value, shared, names)
		}
	}
	if more := r.object(n, at, "additionalOperations"); more != nil {
		for i := 0; i+1 < len(more.Content); i += 2 {
			k, op := more.Content[i], more.Content[i+1]
			below := at + "/additionalOperations/" + escape(k.Value)
			switch {
			case !headerForm.MatchString(k.Value), slices.Contains(methods, strings.ToLower(k.Value)):
				r.bad(k, below, "%q cannot be an additional method", clip(k.Value))
			case op.Kind != yaml.MappingNode:
				r.bad(op, below, "must be a mapping, not %s", shape(op))
			default:
				r.operation(k, op, below, k.Value, key.Value, shared, names)
			}
		}
	}
}

func (r *openapi) operation(key, n *yaml.Node, at, method, template string, shared []*yaml.Node, names []string) {
	op := DocOperation{Method: method, Path: template, Line: key.Line,
		ID: r.text(n, at, "operationId"), Summary: r.text(n, at, "summary"), Description: r.text(n, at, "description"),
		Deprecated: r.flag(n, at, "deprecated")}
	if op.ID == "" {
		op.ID = method + " " + template
	}
	if len(op.ID) > maxName || badID(op.ID) {
		r.bad(key, at+"/operationId", "%q is not a name of an operation: use up to %d characters without spaces at its ends and control characters", clip(op.ID), maxName)
		return
	}
	if line, ok := r.ids[op.ID]; ok {
		_, k := get(n, "operationId")
		r.bad(cmp.Or(k, key), at+"/operationId", "%s is also the operationId in line %d", clip(op.ID), line)
		return
	}
	r.ids[op.ID] = key.Line
	for i, t := range r.list(n, at, "tags") {
		if t.Kind != yaml.ScalarNode {
			r.bad(t, fmt.Sprintf("%s/tags/%d", at, i), "must be text, not %s", shape(t))
			continue
		}
		op.Tags = append(op.Tags, t.Value)
	}
	s := r.global
	if own, _ := get(n, "security"); own != nil {
		s = r.security(own, at+"/security")
	}
	if s == nil {
		op.Open = true
	} else {
		op.Scopes, op.Open = s.scopes, s.open
	}
	op.Parameters = r.parameters(n, at, shared, names, key)
	if body, _ := get(n, "requestBody"); body != nil {
		op.Request = r.requestBody(body, at+"/requestBody")
	}
	op.Responses = r.responses(key, n, at)
	r.doc.byID[op.ID] = len(r.doc.Operations)
	r.doc.Operations = append(r.doc.Operations, op)
}

func badID(s string) bool {
	return strings.TrimSpace(s) != s || strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) >= 0
}

// pathParameters checks a path template and returns the names in it.
func pathParameters(template string) ([]string, error) {
	if !strings.HasPrefix(template, "/") {
		return nil, fmt.Errorf("a path must begin with a slash")
	}
	var names []string
	segments := strings.Split(template[1:], "/")
	for i, s := range segments {
		switch {
		case s == "" && len(segments) > 1 && i < len(segments)-1:
			return nil, fmt.Errorf("the path has two slashes in a row")
		case s == "." || s == "..":
			return nil, fmt.Errorf("the path has a segment of dots, which clients take away")
		}
		for rest := s; rest != ""; {
			open := strings.IndexAny(rest, "{}")
			literal := rest
			if open >= 0 {
				literal = rest[:open]
			}
			for _, c := range literal {
				if c <= ' ' || c > 0x7e || strings.ContainsRune("\"#%<>?\\^`|", c) {
					return nil, fmt.Errorf("the path holds %q, which no path of a request can hold as it stands", c)
				}
			}
			if open < 0 {
				break
			}
			end := strings.IndexByte(rest, '}')
			if rest[open] == '}' || end < 0 || strings.Contains(rest[open+1:max(end, open+1)], "{") {
				return nil, fmt.Errorf("the braces of the path do not match")
			}
			name := rest[open+1 : end]
			switch {
			case name == "":
				return nil, fmt.Errorf("the path has a parameter without a name")
			case slices.Contains(names, name):
				return nil, fmt.Errorf("the path has the parameter {%s} twice", clip(name))
			case end+1 < len(rest) && rest[end+1] == '{':
				return nil, fmt.Errorf("the path has two parameters side by side: nobody can tell where the first one ends")
			}
			names = append(names, name)
			rest = rest[end+1:]
		}
	}
	return names, nil
}
