package manifest

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// security is what a list of security requirements comes to.
type security struct {
	scopes []string // of all its alternatives
	open   bool     // it asks for nothing
}

// schemes reads the names of the security schemes.
func (r *openapi) schemes() {
	components := r.object(r.root, "", "components")
	if components == nil {
		return
	}
	n := r.object(components, "/components", "securitySchemes")
	if n == nil {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		r.doc.Schemes = append(r.doc.Schemes, n.Content[i].Value)
	}
}

// security reads a list of requirements: alternatives, each of schemes with their scopes. Where alternatives ask for
// different scopes, a grant must hold them all: to take the smallest would be to guess.
func (r *openapi) security(n *yaml.Node, at string) *security {
	out := &security{open: true}
	if n.Kind != yaml.SequenceNode {
		r.bad(n, at, "must be a list, not %s", shape(n))
		return &security{}
	}
	same, first := true, []string(nil)
	for i, alternative := range n.Content {
		below := fmt.Sprintf("%s/%d", at, i)
		if alternative.Kind != yaml.MappingNode {
			r.bad(alternative, below, "must be a mapping from a security scheme to scopes, not %s", shape(alternative))
			return &security{}
		}
		var scopes []string
		for k := 0; k+1 < len(alternative.Content); k += 2 {
			out.open = false
			scopes = append(scopes, r.requirement(alternative.Content[k], alternative.Content[k+1], below)...)
		}
		slices.Sort(scopes)
		scopes = slices.Compact(scopes)
		if i == 0 {
			first = scopes
		}
		same = same && slices.Equal(first, scopes)
		out.scopes = append(out.scopes, scopes...)
	}
	slices.Sort(out.scopes)
	out.scopes = slices.Compact(out.scopes)
	if !same && !out.open {
		r.warn(n, at, "the alternatives ask for different scopes: a grant must hold all of them, unless the manifest says otherwise")
	}
	return out
}

func (r *openapi) requirement(key, scopes *yaml.Node, at string) []string {
	at += "/" + escape(key.Value)
	if !slices.Contains(r.doc.Schemes, key.Value) {
		r.bad(key, at, "there is no security scheme %q in the components%s", clip(key.Value), meant(key.Value, r.doc.Schemes))
	}
	if scopes.Kind != yaml.SequenceNode {
		r.bad(scopes, at, "must be a list of scopes, not %s", shape(scopes))
		return nil
	}
	var out []string
	for i, s := range scopes.Content {
		if s.Kind != yaml.ScalarNode || !scopeForm.MatchString(s.Value) || len(s.Value) > maxScope {
			r.bad(s, fmt.Sprintf("%s/%d", at, i), "must be a scope, not %s", shape(s))
			continue
		}
		out = append(out, s.Value)
	}
	return out
}
