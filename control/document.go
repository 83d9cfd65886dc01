package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"gatehouse/manifest"
)

const (
	maxDocumentParts = 1_000_000 // values of a document, aliases written out: more is a bomb
	maxDocumentDepth = 200
)

// server is one entry of a document's servers.
type server struct {
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
}

// tree is a document whose objects keep their order.
type tree struct {
	kind    byte // '{', '[' or 's'
	members []member
	items   []tree
	scalar  json.RawMessage
}

type member struct {
	name  string
	value tree
}

func (t *tree) get(name string) *tree {
	for i := range t.members {
		if t.members[i].name == name {
			return &t.members[i].value
		}
	}
	return nil
}

// rewriteDocument writes a document as JSON, with these servers, without the operations that are not exposed.
func rewriteDocument(d *manifest.Document, servers []server, exposed func(operation string) bool) ([]byte, error) {
	if d == nil {
		return nil, errors.New("rewrite document: there is none")
	}
	doc, err := readTree(d.Raw)
	if err != nil {
		return nil, fmt.Errorf("rewrite document: %w", err)
	}
	if doc.kind != '{' {
		return nil, errors.New("rewrite document: it is not an object")
	}
	if paths := doc.get("paths"); paths != nil {
		for i := range paths.members {
			hide(&paths.members[i], exposed)
		}
		paths.members = slices.DeleteFunc(paths.members, func(m member) bool { return m.value.kind == '{' && !callable(m.value) })
	}
	list := tree{kind: '['}
	for _, s := range servers {
		list.items = append(list.items, tree{kind: 's', scalar: state(s)})
	}
	doc.members = slices.DeleteFunc(doc.members, func(m member) bool { return m.name == "servers" })
	at := slices.IndexFunc(doc.members, func(m member) bool { return m.name == "info" }) + 1
	doc.members = slices.Insert(doc.members, at, member{"servers", list})
	var b bytes.Buffer
	doc.write(&b)
	return b.Bytes(), nil
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

// hide takes out of a path what partners cannot call, and the servers of its own: every call goes to the gateway.
func hide(path *member, exposed func(string) bool) {
	item := &path.value
	item.members = slices.DeleteFunc(item.members, func(m member) bool {
		if m.name == "servers" {
			return true
		}
		if !slices.Contains(methods, m.name) {
			return false
		}
		operation := strings.ToUpper(m.name) + " " + path.name
		if t := m.value.get("operationId"); t != nil {
			var given string
			if json.Unmarshal(t.scalar, &given) == nil && given != "" {
				operation = given
			}
		}
		return !exposed(operation)
	})
	for i := range item.members {
		if m := &item.members[i]; slices.Contains(methods, m.name) {
			m.value.members = slices.DeleteFunc(m.value.members, func(m member) bool { return m.name == "servers" })
		}
	}
}

// callable reports whether an operation is left in a path; one that refers elsewhere is left as it is.
func callable(item tree) bool {
	return slices.ContainsFunc(item.members, func(m member) bool { return slices.Contains(methods, m.name) || m.name == "$ref" })
}

func (t tree) write(b *bytes.Buffer) {
	switch t.kind {
	case '{':
		b.WriteByte('{')
		for i, m := range t.members {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(state(m.name))
			b.WriteByte(':')
			m.value.write(b)
		}
		b.WriteByte('}')
	case '[':
		b.WriteByte('[')
		for i, v := range t.items {
			if i > 0 {
				b.WriteByte(',')
			}
			v.write(b)
		}
		b.WriteByte(']')
	default:
		b.Write(t.scalar)
	}
}

// readTree reads JSON or YAML.
func readTree(raw []byte) (tree, error) {
	if s := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))); len(s) > 0 && s[0] == '{' && json.Valid(s) {
		d := json.NewDecoder(bytes.NewReader(s))
		d.UseNumber()
		return readJSON(d, 0)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(raw, &n); err != nil {
		return tree{}, err
	}
	left := maxDocumentParts
	return readYAML(&n, 0, &left)
}

func readJSON(d *json.Decoder, depth int) (tree, error) {
	t, err := d.Token()
	if err != nil {
		return tree{}, err
	}
	if depth > maxDocumentDepth {
		return tree{}, errors.New("it is nested too deep")
	}
	switch t {
	case json.Delim('{'):
		out := tree{kind: '{'}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return out, err
			}
			v, err := readJSON(d, depth+1)
			if err != nil {
				return out, err
			}
			out.members = append(out.members, member{fmt.Sprint(name), v})
		}
		_, err = d.Token()
		return out, err
	case json.Delim('['):
		out := tree{kind: '['}
		for d.More() {
			v, err := readJSON(d, depth+1)
			if err != nil {
				return out, err
			}
			out.items = append(out.items, v)
		}
		_, err = d.Token()
		return out, err
	}
	return tree{kind: 's', scalar: state(t)}, nil
}

func readYAML(n *yaml.Node, depth int, left *int) (tree, error) {
	if *left--; *left < 0 || depth > maxDocumentDepth {
		return tree{}, errors.New("it is too large or nested too deep")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) != 1 {
			return tree{}, io.ErrUnexpectedEOF
		}
		return readYAML(n.Content[0], depth+1, left)
	case yaml.AliasNode:
		return readYAML(n.Alias, depth+1, left)
	case yaml.MappingNode:
		out := tree{kind: '{'}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := readYAML(n.Content[i+1], depth+1, left)
			if err != nil {
				return out, err
			}
			out.members = append(out.members, member{n.Content[i].Value, v})
		}
		return out, nil
	case yaml.SequenceNode:
		out := tree{kind: '['}
		for _, c := range n.Content {
			v, err := readYAML(c, depth+1, left)
			if err != nil {
				return out, err
			}
			out.items = append(out.items, v)
		}
		return out, nil
	case yaml.ScalarNode:
		return tree{kind: 's', scalar: scalar(n)}, nil
	}
	return tree{}, fmt.Errorf("line %d cannot be written as JSON", n.Line)
}

// scalar is a YAML scalar as JSON. What JSON has no form for (infinity, times) stays text.
func scalar(n *yaml.Node) json.RawMessage {
	switch n.ShortTag() {
	case "!!null":
		return json.RawMessage("null")
	case "!!bool":
		var v bool
		if n.Decode(&v) == nil {
			return state(v)
		}
	case "!!int":
		if json.Valid([]byte(n.Value)) {
			return json.RawMessage(n.Value)
		}
		if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return state(v)
		}
	case "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.RawMessage(n.Value)
		}
		var v float64
		if n.Decode(&v) == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return state(v)
		}
	}
	return state(n.Value)
}
