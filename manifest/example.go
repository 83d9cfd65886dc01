package manifest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bounds of examples.
const (
	maxExample  = 16 << 10 // bytes of one: it is read by people
	maxExamples = 16 << 20 // bytes of a document's
	maxSampled  = 2 << 20  // values that are made up for a document's
)

// example is the example of a body as indented JSON: the one that is given, else one made from the schema.
func (r *openapi) example(n, schema *yaml.Node, at string) string {
	if v := r.given(n, at); v != nil {
		return r.print(v, "  ")
	}
	if schema == nil {
		return ""
	}
	t, _, ok := r.refs.follow(schema, at+"/schema")
	if !ok {
		return ""
	}
	text, known := r.samples[t]
	if !known {
		made := exampler{openapi: r}
		if v := made.of(t, at+"/schema"); v != nil {
			text = r.print(v, "  ")
		}
		r.samples[t] = text
	}
	return text
}

// oneLine is the example of a parameter, as it would stand in an address.
func (r *openapi) oneLine(n, schema *yaml.Node, at string) string {
	v, made := r.given(n, at), exampler{openapi: r, stated: true}
	if v == nil && schema != nil {
		v = made.of(schema, at+"/schema")
	}
	if v == nil {
		return ""
	}
	if v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return r.print(v, "")
}

func (r *openapi) print(v *yaml.Node, indent string) string {
	w := exampleWriter{most: maxExample}
	w.value(v)
	if w.most < 0 || r.printed > maxExamples {
		return ""
	}
	var out bytes.Buffer
	if indent == "" {
		out.Write(w.out)
	} else if json.Indent(&out, w.out, "", indent) != nil {
		return ""
	}
	r.printed += out.Len()
	return out.String()
}

// given is the example that stands beside a schema: example, or the first of examples.
func (r *openapi) given(n *yaml.Node, at string) *yaml.Node {
	if v, _ := get(n, "example"); v != nil {
		return v
	}
	list, _ := get(n, "examples")
	switch {
	case list == nil || len(list.Content) == 0:
		return nil
	case list.Kind == yaml.SequenceNode: // of a schema
		return list.Content[0]
	case list.Kind == yaml.MappingNode:
		t, _, ok := r.refs.follow(list.Content[1], at+"/examples/"+escape(list.Content[0].Value))
		if !ok {
			return nil
		}
		for _, name := range []string{"value", "dataValue"} {
			if v, _ := get(t, name); v != nil {
				return v
			}
		}
	}
	return nil
}

// exampler makes an example from a schema.
type exampler struct {
	*openapi
	stated bool // only what the schema states as an example
	stack  []*yaml.Node
	made   int
}

func (e *exampler) of(n *yaml.Node, at string) *yaml.Node {
	e.sampled++
	if e.made++; e.made > maxParts || e.sampled > maxSampled || len(e.stack) > maxDepth {
		return nil
	}
	t, _, ok := e.refs.follow(n, at)
	if !ok || t.Kind != yaml.MappingNode || slices.Contains(e.stack, t) {
		return nil
	}
	e.stack = append(e.stack, t)
	defer func() { e.stack = e.stack[:len(e.stack)-1] }()
	if v := e.given(t, at); v != nil {
		return v
	}
	for _, name := range []string{"const", "default"} {
		if v, _ := get(t, name); v != nil {
			return v
		}
	}
	if v, _ := get(t, "enum"); v != nil && v.Kind == yaml.SequenceNode && len(v.Content) > 0 {
		return v.Content[0]
	}
	if e.stated {
		return nil
	}
	return e.build(t, at)
}

func (e *exampler) build(t *yaml.Node, at string) *yaml.Node {
	object := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if parts, _ := get(t, "allOf"); parts != nil && parts.Kind == yaml.SequenceNode {
		for _, part := range parts.Content {
			if e.made > maxParts {
				break
			}
			v := e.of(part, at)
			if v != nil && v.Kind != yaml.MappingNode {
				return v
			}
			if v != nil {
				putAll(object, v)
			}
		}
	}
	for _, name := range []string{"oneOf", "anyOf"} {
		if parts, _ := get(t, name); parts != nil && parts.Kind == yaml.SequenceNode && len(parts.Content) > 0 {
			v := e.of(parts.Content[0], at)
			if v != nil && v.Kind != yaml.MappingNode {
				return v
			}
			if v != nil {
				putAll(object, v)
			}
		}
	}
	if props, _ := get(t, "properties"); props != nil && props.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(props.Content) && e.made <= maxParts; i += 2 {
			if v := e.of(props.Content[i+1], at); v != nil {
				putAll(object, &yaml.Node{Content: []*yaml.Node{props.Content[i], v}})
			}
		}
	}
	kind := firstType(t)
	if len(object.Content) > 0 || kind == "object" {
		return object
	}
	if items, _ := get(t, "items"); items != nil && (kind == "array" || kind == "") {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if v := e.of(items, at); v != nil {
			list.Content = []*yaml.Node{v}
		}
		return list
	}
	return plainExample(kind, t)
}

func firstType(t *yaml.Node) string {
	v, _ := get(t, "type")
	if v != nil && v.Kind == yaml.SequenceNode {
		for _, w := range v.Content {
			if w.Value != "null" {
				return w.Value
			}
		}
		return ""
	}
	if v == nil {
		return ""
	}
	return v.Value
}

func plainExample(kind string, t *yaml.Node) *yaml.Node {
	scalar := func(tag, value string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
	}
	switch kind {
	case "integer":
		return scalar("!!int", "0")
	case "number":
		return scalar("!!float", "0")
	case "boolean":
		return scalar("!!bool", "true")
	case "null":
		return scalar("!!null", "null")
	case "array":
		return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	case "string":
	default:
		return nil
	}
	format := ""
	if v, _ := get(t, "format"); v != nil {
		format = v.Value
	}
	value, ok := map[string]string{"date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "time": "12:00:00Z", "duration": "PT1H",
		"email": "somebody@example.com", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
		"uri": "https://example.com/", "uuid": "00000000-0000-4000-8000-000000000000", "byte": "AAAA", "password": "secret"}[format]
	if !ok {
		value = "text"
	}
	return scalar("!!str", value)
}

// putAll adds the names of one mapping to another one, replacing those it has.
func putAll(to, from *yaml.Node) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		found := false
		for k := 0; k+1 < len(to.Content); k += 2 {
			if to.Content[k].Value == from.Content[i].Value {
				to.Content[k+1], found = from.Content[i+1], true
			}
		}
		if !found {
			to.Content = append(to.Content, from.Content[i], from.Content[i+1])
		}
	}
}

// exampleWriter writes nodes as JSON until it has written too much.
type exampleWriter struct {
	out  []byte
	most int
}

func (w *exampleWriter) value(n *yaml.Node) {
	if w.most < len(w.out) {
		w.most = -1
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		w.out = append(w.out, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.out = append(plainString(w.out, n.Content[i].Value), ':')
			w.value(n.Content[i+1])
		}
		w.out = append(w.out, '}')
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(item)
		}
		w.out = append(w.out, ']')
	default:
		if n.ShortTag() == "!!str" {
			w.out = plainString(w.out, n.Value)
			return
		}
		j, err := scalarJSON(n)
		if err != nil {
			j = appendString(nil, n.Value)
		}
		w.out = append(w.out, j...)
	}
}

// plainString writes < and > as they are: an example is read, not run.
func plainString(out []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return append(out, `""`...)
	}
	return append(out, strings.TrimSuffix(b.String(), "\n")...)
}
