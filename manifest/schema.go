package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bounds of the schemas that a document is shown with. Schemas may contain each other, so that a small document could
// stand for an endless page.
const (
	maxParts = 2_000 // of one schema, written out: what does not fit is named only
	maxEnum  = 200
)

// schemas makes what the API reference shows of schemas.
type schemas struct {
	*openapi
	whole map[*yaml.Node]*Schema // of bodies and parameters
	built map[*yaml.Node]*Schema // parts of those, where they are the same wherever they stand
	parts map[*Schema]int        // how many parts a built one has, written out
	left  int                    // how many more parts fit
	stack []*yaml.Node           // being built
}

// of is the schema at a node, which may be nil.
func (s *schemas) of(n *yaml.Node, at string) *Schema {
	if n == nil {
		return &Schema{Type: "any"}
	}
	t, _, ok := s.refs.follow(n, at)
	if !ok {
		return &Schema{Type: "any"}
	}
	out := s.whole[t]
	if out == nil {
		s.left = maxParts
		out, _ = s.build(t, at)
		s.whole[t] = out
	}
	return s.besides(n, out)
}

// besides gives a schema that is named by a reference the description that stands beside the reference.
func (s *schemas) besides(n *yaml.Node, m *Schema) *Schema {
	if ref, _ := get(n, "$ref"); ref == nil || s.minor == "3.0" {
		return m
	}
	d, _ := get(n, "description")
	if d == nil || d.Kind != yaml.ScalarNode || d.Value == m.Description {
		return m
	}
	own := *m
	own.Description = d.Value
	return &own
}

// build returns the schema, and the least index in the stack at which it, or a part of it, was cut because it stands there
// already; -1 when something did not fit. At len(stack) or more it is the same wherever it stands.
func (s *schemas) build(n *yaml.Node, at string) (*Schema, int) {
	free := len(s.stack)
	t, name, ok := s.refs.follow(n, at)
	if !ok {
		return &Schema{Type: "any"}, free
	}
	s.left--
	if t.Kind == yaml.ScalarNode && t.ShortTag() == "!!bool" { // a schema that takes everything, or nothing
		if t.Value == "false" {
			return &Schema{Type: "nothing"}, free
		}
		return &Schema{Type: "any"}, free
	}
	if t.Kind != yaml.MappingNode {
		s.bad(n, at, "a schema must be a mapping, not %s", shape(t))
		return &Schema{Type: "any"}, free
	}
	if i := slices.Index(s.stack, t); i >= 0 {
		return s.cut(t, at, cmp.Or(name, "this")), i
	}
	done := s.built[t]
	if done != nil && s.parts[done] <= s.left {
		s.left -= s.parts[done] - 1
		return done, free
	}
	if done != nil || s.left < 0 || free > maxDepth {
		return s.cut(t, at, cmp.Or(name, "more")), -1
	}
	before := s.left
	s.stack = append(s.stack, t)
	out, cut := s.fields(t, at)
	s.stack = s.stack[:free]
	if cut >= free {
		s.built[t], s.parts[out] = out, 1+before-s.left
	}
	return out, cut
}

// cut is a schema that is named only.
func (s *schemas) cut(t *yaml.Node, at, name string) *Schema {
	return &Schema{Type: cmp.Or(strings.Join(s.types(t, at), " or "), "object"), Recursive: name}
}

func (s *schemas) fields(n *yaml.Node, at string) (*Schema, int) {
	cut := len(s.stack)
	out := &Schema{Description: s.text(n, at, "description")}
	types := s.types(n, at)
	if format := s.text(n, at, "format"); format != "" && len(types) == 1 {
		types[0] += " (" + format + ")"
	}
	if values, _ := get(n, "enum"); values != nil && values.Kind == yaml.SequenceNode {
		for _, v := range values.Content[:min(len(values.Content), maxEnum)] {
			out.Enum = append(out.Enum, v.Value)
		}
	}
	if v, _ := get(n, "const"); v != nil && v.Kind == yaml.ScalarNode {
		out.Enum = []string{v.Value}
	}
	required := map[string]bool{}
	for _, v := range s.list(n, at, "required") {
		required[v.Value] = true
	}
	if props := s.object(n, at, "properties"); props != nil {
		for i := 0; i+1 < len(props.Content); i += 2 {
			if s.left < 0 {
				out.Recursive, cut = "more", -1
				break
			}
			name := props.Content[i].Value
			child, c := s.build(props.Content[i+1], at+"/properties/"+escape(name))
			cut = min(cut, c)
			out.put(Property{Name: name, Required: required[name], Schema: s.besides(props.Content[i+1], child)})
		}
	}
	if items, _ := get(n, "items"); items != nil && items.Kind != yaml.SequenceNode {
		child, c := s.build(items, at+"/items")
		cut = min(cut, c)
		out.Items = child
		if i := slices.Index(types, "array"); i >= 0 {
			types[i] = "array of " + cmp.Or(child.Type, "any")
		} else if len(types) == 0 {
			types = []string{"array of " + cmp.Or(child.Type, "any")}
		}
	}
	for i, part := range s.list(n, at, "allOf") {
		if s.left < 0 {
			out.Recursive, cut = "more", -1
			break
		}
		child, c := s.build(part, fmt.Sprintf("%s/allOf/%d", at, i))
		cut = min(cut, c)
		out.join(child)
		if len(types) == 0 && child.Type != "any" {
			types = []string{child.Type}
		}
	}
	for i := range out.Properties { // a part may require what another part describes
		out.Properties[i].Required = out.Properties[i].Required || required[out.Properties[i].Name]
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		c := s.alternatives(n, at, word, out, &types)
		cut = min(cut, c)
	}
	if len(types) == 0 && len(out.Properties) > 0 {
		types = []string{"object"}
	}
	if len(types) == 0 && len(out.Enum) > 0 {
		types = []string{"string"}
	}
	if s.flag(n, at, "nullable") {
		types = append(types, "null")
	}
	out.Type = cmp.Or(strings.Join(types, " or "), "any")
	return out, cut
}

// alternatives shows one of several schemas: their types, and the properties of all of them, none required.
func (s *schemas) alternatives(n *yaml.Node, at, word string, out *Schema, types *[]string) int {
	cut := len(s.stack)
	list := s.list(n, at, word)
	bare := len(*types) == 0
	for i, part := range list {
		if s.left < 0 {
			out.Recursive, cut = "more", -1
			break
		}
		child, c := s.build(part, fmt.Sprintf("%s/%s/%d", at, word, i))
		cut = min(cut, c)
		if bare && !slices.Contains(*types, child.Type) {
			*types = append(*types, child.Type)
		}
		for _, p := range child.Properties {
			p.Required = p.Required && len(list) == 1
			if !slices.ContainsFunc(out.Properties, func(q Property) bool { return q.Name == p.Name }) {
				out.put(p)
			}
		}
		if out.Items == nil {
			out.Items = child.Items
		}
		if out.Recursive == "" && child.Recursive != "" {
			out.Recursive = child.Recursive
		}
	}
	return cut
}

// types is the types that the schema names, without the one of null alone.
func (s *schemas) types(n *yaml.Node, at string) []string {
	v, _ := get(n, "type")
	switch {
	case v == nil:
		return nil
	case v.Kind == yaml.ScalarNode:
		return []string{v.Value}
	case v.Kind == yaml.SequenceNode:
		var out []string
		for _, t := range v.Content {
			out = append(out, t.Value)
		}
		return out
	}
	s.bad(v, at+"/type", "must be the name of a type or a list of them, not %s", shape(v))
	return nil
}

// put adds a property, or replaces the one of that name.
func (m *Schema) put(p Property) {
	if i := slices.IndexFunc(m.Properties, func(q Property) bool { return q.Name == p.Name }); i >= 0 {
		p.Required = p.Required || m.Properties[i].Required
		m.Properties[i] = p
		return
	}
	m.Properties = append(m.Properties, p)
}

// join takes over what another schema says besides.
func (m *Schema) join(o *Schema) {
	m.Description = cmp.Or(m.Description, o.Description)
	for _, p := range o.Properties {
		m.put(p)
	}
	if m.Items == nil {
		m.Items = o.Items
	}
	if len(m.Enum) == 0 {
		m.Enum = o.Enum
	}
	m.Recursive = cmp.Or(m.Recursive, o.Recursive)
}
