package manifest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// references finds what $ref names. Only references within the document are followed: nothing is fetched, no other file
// is read.
type references struct {
	*openapi
	found   map[string]*yaml.Node // nil for one that was looked for and is not there
	indexes map[*yaml.Node]map[string]int
	anchors map[string]*yaml.Node // of schemas: "#name", and whole identifiers
}

// free is the names of fields whose values are data: a $ref in them is no reference.
var free = []string{"example", "default", "enum", "const", "value"}

// maps is the names of fields whose values map names that somebody chose: none of those is a field of OpenAPI.
var nameMaps = strings.Fields("properties patternProperties $defs definitions dependentSchemas schemas responses parameters requestBodies headers securitySchemes links callbacks pathItems paths webhooks content encoding variables mapping scopes examples mediaTypes")

// check walks the whole document and reports every reference that leads nowhere, once each.
func (f *references) check() {
	f.anchors = map[string]*yaml.Node{}
	f.indexes = map[*yaml.Node]map[string]int{}
	f.walk(f.root, "", "", func(n *yaml.Node, _ string) {
		for _, name := range []string{"$anchor", "$dynamicAnchor"} {
			if v, _ := get(n, name); v != nil && v.Kind == yaml.ScalarNode {
				f.anchors["#"+v.Value] = n
			}
		}
		if v, _ := get(n, "$id"); v != nil && v.Kind == yaml.ScalarNode {
			f.anchors[v.Value] = n
		}
	})
	f.walk(f.root, "", "", func(n *yaml.Node, at string) {
		if v, _ := get(n, "$ref"); v != nil && v.Kind == yaml.ScalarNode {
			f.one(v, at+"/$ref")
		}
	})
}

// walk calls fn for each mapping that can be an object of OpenAPI or a schema. in is the name of the field that holds n.
func (f *references) walk(n *yaml.Node, at, in string, fn func(*yaml.Node, string)) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			f.walk(item, at+"/"+strconv.Itoa(i), "", fn)
		}
	case yaml.MappingNode:
		named := slices.Contains(nameMaps, in)
		if !named {
			fn(n, at)
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if !named && (slices.Contains(free, key) || strings.HasPrefix(key, "x-")) {
				continue
			}
			if n.Content[i+1].Kind == yaml.ScalarNode {
				continue
			}
			if named {
				f.walk(n.Content[i+1], at+"/"+escape(key), "", fn)
			} else {
				f.walk(n.Content[i+1], at+"/"+escape(key), key, fn)
			}
		}
	}
}

// one finds the target of a reference, or says why there is none.
func (f *references) one(ref *yaml.Node, at string) *yaml.Node {
	if n, ok := f.found[ref.Value]; ok {
		return n
	}
	n, err := f.lookUp(ref.Value)
	if err != nil {
		f.bad(ref, at, "%s", err)
	}
	f.found[ref.Value] = n
	return n
}

func (f *references) lookUp(ref string) (*yaml.Node, error) {
	if n := f.anchors[ref]; n != nil {
		return n, nil
	}
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, fmt.Errorf("the reference %q leaves the document: put everything it needs into one document first", clip(ref))
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil || fragment != "" && fragment[0] != '/' {
		return nil, fmt.Errorf("the reference %q leads nowhere", clip(ref))
	}
	n := f.root
	for token := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if fragment == "" {
			break
		}
		if n = f.child(n, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")); n == nil {
			return nil, fmt.Errorf("the reference %q leads nowhere", clip(ref))
		}
	}
	return n, nil
}

func (f *references) child(n *yaml.Node, token string) *yaml.Node {
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.Content) && strconv.Itoa(i) == token {
			return n.Content[i]
		}
	case yaml.MappingNode:
		if len(n.Content) < 64 {
			v, _ := get(n, token)
			return v
		}
		index := f.indexes[n]
		if index == nil { // large maps of components are looked into often
			index = make(map[string]int, len(n.Content)/2)
			for i := len(n.Content) - 2; i >= 0; i -= 2 {
				index[n.Content[i].Value] = i + 1
			}
			f.indexes[n] = index
		}
		if i, ok := index[token]; ok {
			return n.Content[i]
		}
	}
	return nil
}

// follow returns what n stands for: itself, or what its $ref leads to, and the last part of that reference. ok is false
// when the reference leads nowhere, which has been said, or in a circle.
func (f *references) follow(n *yaml.Node, at string) (target *yaml.Node, name string, ok bool) {
	var seen []*yaml.Node
	for {
		ref, _ := get(n, "$ref")
		if ref == nil || ref.Kind != yaml.ScalarNode {
			return n, name, true
		}
		seen = append(seen, n)
		next := f.one(ref, at+"/$ref")
		if next == nil {
			return nil, "", false
		}
		if slices.Contains(seen, next) {
			f.circle(ref, at)
			return nil, "", false
		}
		name = ref.Value[strings.LastIndexAny(ref.Value, "/#")+1:]
		n = next
	}
}

func (f *references) circle(ref *yaml.Node, at string) {
	key := "circle " + ref.Value
	if _, said := f.found[key]; said {
		return
	}
	f.found[key] = nil
	f.bad(ref, at+"/$ref", "the reference %q leads back to itself", clip(ref.Value))
}
