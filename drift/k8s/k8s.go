// Package k8s finds Kubernetes objects in files: documents, lists, and maps of lists of objects.
package k8s

import (
	"encoding/base64"
	"path"
	"slices"
	"sort"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// Object is one Kubernetes object.
type Object struct {
	Group, Kind     string
	Namespace, Name string
	Created         string // creationTimestamp, as RFC 3339: orders as text
	Labels          *source.Node
	Node            *source.Node
}

// Spec is the object's spec.
func (o *Object) Spec() *source.Node { return o.Node.Get("spec") }

// Label is "kind namespace/name", for scopes.
func (o *Object) Label() string {
	if o.Namespace == "" {
		return strings.ToLower(o.Kind) + " " + o.Name
	}
	return strings.ToLower(o.Kind) + " " + o.Namespace + "/" + o.Name
}

// Origin is where the object stands.
func (o *Object) Origin() drift.Origin { return o.Node.Origin(o.Label()) }

// Load reads the objects of all YAML and JSON files of a folder, in the order of the files.
func Load(f *source.Folder) []*Object {
	return LoadWith(f, func(*source.Node) bool { return false })
}

// LoadWith is Load that offers the documents without an object to other, which says whether it takes them, and reads files of more endings.
func LoadWith(f *source.Folder, other func(*source.Node) bool, endings ...string) []*Object {
	var out []*Object
	for _, name := range f.Names() {
		if ext := strings.ToLower(path.Ext(name)); ext != ".yaml" && ext != ".yml" && ext != ".json" && !slices.Contains(endings, ext) {
			f.Skip()
			continue
		}
		taken := false
		for _, doc := range f.Documents(name) {
			found := within(doc, 0)
			out = append(out, found...)
			taken = taken || len(found) > 0 || other(doc)
		}
		if !taken {
			f.Skip()
		}
	}
	return out
}

// within finds objects: the value itself, the items of a List, or lists in a map, as test data of controllers has them.
func within(n *source.Node, depth int) []*Object {
	if n == nil || depth > 3 {
		return nil
	}
	var out []*Object
	switch n.Kind {
	case source.List:
		for _, v := range n.Values {
			out = append(out, within(v, depth+1)...)
		}
	case source.Map:
		kind, version := n.Get("kind").Str(), n.Get("apiVersion").Str()
		if kind == "List" {
			return within(n.Get("items"), depth+1)
		}
		if kind != "" && version != "" && n.Has("metadata") {
			group, _, ok := strings.Cut(version, "/")
			if !ok {
				group = ""
			}
			m := n.Get("metadata")
			return []*Object{{Group: group, Kind: kind, Namespace: m.Get("namespace").Str(), Name: m.Get("name").Str(), Created: m.Get("creationTimestamp").Str(), Labels: m.Get("labels"), Node: n}}
		}
		if kind == "" {
			for _, v := range n.Values {
				if v.Kind == source.List || v.Kind == source.Map && v.Has("kind") {
					out = append(out, within(v, depth+1)...)
				}
			}
		}
	}
	return out
}

// Kind are the objects of a kind.
func Kind(list []*Object, kind string) []*Object {
	var out []*Object
	for _, o := range list {
		if o.Kind == kind {
			out = append(out, o)
		}
	}
	return out
}

// Find is the object of a kind, namespace and name; an object without a namespace is in every one.
func Find(list []*Object, kind, namespace, name string) *Object {
	for _, o := range list {
		if o.Kind == kind && o.Name == name && (o.Namespace == namespace || o.Namespace == "" || namespace == "") {
			return o
		}
	}
	return nil
}

// Oldest orders objects as controllers do that let the oldest win: by creation, then namespace and name.
func Oldest(list []*Object) []*Object {
	out := append([]*Object(nil), list...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Created != b.Created {
			return a.Created != "" && (b.Created == "" || a.Created < b.Created)
		}
		return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
	})
	return out
}

// Selects reports whether a label selector (matchLabels and matchExpressions) selects the labels.
func Selects(selector, labels *source.Node) bool {
	ok := true
	selector.Get("matchLabels").Each(func(k string, v *source.Node) { ok = ok && labels.Has(k) && labels.Get(k).Str() == v.Str() })
	for _, e := range selector.Get("matchExpressions").Items() {
		k, values := e.Get("key").Str(), e.Get("values").Strs()
		has := labels.Has(k)
		in := false
		for _, v := range values {
			in = in || has && labels.Get(k).Str() == v
		}
		switch e.Get("operator").Str() {
		case "In":
			ok = ok && in
		case "NotIn":
			ok = ok && !in
		case "Exists":
			ok = ok && has
		case "DoesNotExist":
			ok = ok && !has
		default:
			return false
		}
	}
	return ok
}

// Decoded is an entry of a secret or config map: its stringData, its data, or its data decoded.
func Decoded(o *Object, key string) string {
	if s := o.Node.Get("stringData", key).Str(); s != "" {
		return s
	}
	s := o.Node.Get("data", key).Str()
	if o.Kind != "Secret" {
		return s
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return ""
	}
	return string(b)
}

// Certificate is the entry of the inventory for a secret "namespace/name" that a gateway presents.
func Certificate(list []*Object, ref string, o drift.Origin) drift.Certificate {
	ns, name, _ := strings.Cut(ref, "/")
	if s := Find(list, "Secret", ns, name); s != nil {
		if c, ok := drift.CertificateOf(ref, "server", Decoded(s, "tls.crt"), o); ok {
			c.Kind = "k8s_secret"
			return c
		}
	}
	c := drift.Certificate{Ref: ref, Kind: "k8s_secret", Use: "server", Origin: o}
	c.Ends.Cause, c.KeyAlg.Cause = "the secret is not among the files", "the secret is not among the files"
	return c
}

// Literals are the secrets whose contents are among the files: certificates and what stands for a value do not count.
func Literals(list []*Object) []drift.Literal {
	var out []drift.Literal
	for _, o := range list {
		if o.Kind != "Secret" {
			continue
		}
		written := false
		for _, part := range []string{"stringData", "data"} {
			o.Node.Get(part).Each(func(key string, v *source.Node) {
				written = written || len(v.Str()) > 2 && !strings.HasSuffix(key, ".crt") && !strings.HasSuffix(key, ".pub") && !strings.ContainsAny(v.Str()[:2], "$<{")
			})
		}
		if written {
			out = append(out, drift.Literal{What: "secret " + drift.Mask(o.Namespace+"/"+o.Name), Origin: o.Origin()})
		}
	}
	return out
}

// Encrypts reports whether a service's port of the name or number is named https.
func (o *Object) Encrypts(port string) bool {
	if o == nil {
		return false
	}
	for _, p := range o.Spec().Get("ports").Items() {
		if name := p.Get("name").Str(); (p.Get("port").Str() == port || name == port) && strings.HasPrefix(name, "https") {
			return true
		}
	}
	return false
}
