package manifest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// Parsed is a manifest that has been read: the declarations with their defaults filled in, the documents they name, and
// where each thing stands.
type Parsed struct {
	Manifest
	Documents map[string]*Document // the OpenAPI document of each API by the API's name; nil when it could not be read
	places    map[string]place     // JSON pointer into the joined manifest -> file and line
	failed    map[string]bool      // pointers of what could not be read
}

type place struct {
	file    string
	line    int
	pointer string // into that file
}

// Parse reads and validates the bundle. It is pure, and reports everything that is wrong at once. The result is never nil,
// and complete only when no diagnostic is fatal.
func Parse(b Bundle) (*Parsed, []Diagnostic) {
	var ds diagnostics
	if err := b.check(); err != nil {
		ds.add("", 0, "", "%s", err)
		return &Parsed{Documents: map[string]*Document{}}, ds.sorted()
	}
	p := readManifest(&ds, b)
	read := map[string]*Document{} // by file: several APIs may share one
	for i := range p.APIs {
		a := &p.APIs[i]
		data, ok := b[a.OpenAPI]
		if !ok {
			continue // check says so
		}
		doc, known := read[a.OpenAPI]
		if !known {
			doc = readDocument(&ds, a.OpenAPI, data)
			read[a.OpenAPI] = doc
		}
		p.Documents[a.Name] = doc
	}
	c := check{Parsed: p, ds: &ds, b: b}
	c.all()
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if _, named := read[name]; !named && !isPart(name, b[name]) {
			ds.warn(name, 0, "", "no API names this file")
		}
	}
	return p, ds.sorted()
}

// readManifest joins the files of the bundle that hold parts of the manifest.
func readManifest(ds *diagnostics, b Bundle) *Parsed {
	p := &Parsed{Documents: map[string]*Document{}, places: map[string]place{}, failed: map[string]bool{}}
	parts, first := 0, ""
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if !isPart(name, b[name]) {
			continue
		}
		parts++
		first = cmp.Or(first, name)
		root := readYAML(ds, name, b[name], maxNodes)
		if root == nil {
			p.failed[""] = true
			continue
		}
		d := decoder{ds: ds, file: name, places: p.places, failed: p.failed}
		d.manifest(root, &p.Manifest)
	}
	if _, ok := p.places["/gatehouse"]; !ok && !p.failed[""] {
		if parts == 0 {
			ds.add("", 0, "", "there is no manifest: it is written in .yaml files")
		} else {
			ds.add(first, 1, "/gatehouse", "is missing: begin with \"gatehouse: %d\", the version of the manifest's form", Format)
		}
	}
	return p
}

// isPart reports whether a file holds a part of the manifest. An OpenAPI document may lie in the same folder: it is told
// by its first names.
func isPart(name string, data []byte) bool {
	return isManifestName(name) && !looksLikeDocument(data)
}

// looksLikeDocument reports whether the text has the name openapi or swagger at its outermost level, as OpenAPI documents do.
func looksLikeDocument(data []byte) bool {
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) > 0 && text[0] == '{' {
		return documentName(bytes.TrimLeft(text[1:], " \t\r\n"))
	}
	for len(data) > 0 {
		if documentName(data) {
			return true
		}
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return false
		}
		data = data[end+1:]
	}
	return false
}

// documentName reports whether a line begins with one of those names and a colon.
func documentName(line []byte) bool {
	quote := byte(0)
	if len(line) > 0 && (line[0] == '"' || line[0] == '\'') {
		quote, line = line[0], line[1:]
	}
	rest, ok := bytes.CutPrefix(line, []byte("openapi"))
	if !ok {
		if rest, ok = bytes.CutPrefix(line, []byte("swagger")); !ok {
			return false
		}
	}
	if quote != 0 {
		if len(rest) == 0 || rest[0] != quote {
			return false
		}
		rest = rest[1:]
	}
	rest = bytes.TrimLeft(rest[:min(len(rest), 100)], " \t")
	return len(rest) > 0 && rest[0] == ':'
}

// API returns the API of that name.
func (p *Parsed) API(name string) (*API, bool) {
	i := slices.IndexFunc(p.APIs, func(a API) bool { return a.Name == name })
	if i < 0 {
		return nil, false
	}
	return &p.APIs[i], true
}

// Product returns the product of that name.
func (p *Parsed) Product(name string) (*Product, bool) {
	i := slices.IndexFunc(p.Products, func(r Product) bool { return r.Name == name })
	if i < 0 {
		return nil, false
	}
	return &p.Products[i], true
}

// Plan returns the plan of that name.
func (p *Product) Plan(name string) (*Plan, bool) {
	i := slices.IndexFunc(p.Plans, func(l Plan) bool { return l.Name == name })
	if i < 0 {
		return nil, false
	}
	return &p.Plans[i], true
}

// Operation returns what the API says of the operation; the zero Operation with that ID when it says nothing.
func (a *API) Operation(id string) Operation {
	if i := a.index(id); i >= 0 {
		return a.Operations[i]
	}
	return Operation{ID: id}
}

func (a *API) index(id string) int {
	return slices.IndexFunc(a.Operations, func(o Operation) bool { return o.ID == id })
}

// Exposed reports whether the gateway offers the operation.
func (o Operation) Exposed() bool { return o.Expose == nil || *o.Expose }

// Needs is the scopes that a grant must hold for the operation of the document: what the API says, else the document.
func (a *API) Needs(op DocOperation) []string {
	if o := a.Operation(op.ID); o.Scopes != nil {
		return o.Scopes
	}
	return op.Scopes
}

// FullPath is where the gateway exposes a path of the API's document.
func (a *API) FullPath(template string) string {
	if a.Path == "/" {
		return template
	}
	return a.Path + template
}

// PlacedPolicy is a policy of an operation, and where it is written.
type PlacedPolicy struct {
	Policy
	Pointer string // into the joined manifest, such as /apis/0/policies/2
}

// Policies is the policies of one operation of the API at that index: the API's, without those kinds that the operation
// removes or has itself, then the operation's own.
func (p *Parsed) Policies(api int, id string) []PlacedPolicy {
	a := &p.APIs[api]
	o, at := Operation{ID: id}, a.index(id)
	if at >= 0 {
		o = a.Operations[at]
	}
	var out []PlacedPolicy
	for i, l := range a.Policies {
		if slices.Contains(o.Remove, l.Kind) || slices.ContainsFunc(o.Policies, func(own Policy) bool { return own.Kind == l.Kind }) {
			continue
		}
		out = append(out, PlacedPolicy{l, pointer("apis", api, "policies", i)})
	}
	for i, l := range o.Policies {
		out = append(out, PlacedPolicy{l, pointer("apis", api, "operations", at, "policies", i)})
	}
	return out
}
