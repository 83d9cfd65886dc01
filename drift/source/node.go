package source

import (
	"math"
	"strconv"
	"strings"

	"gatehouse/drift"
)

// Kind is what sort of value a node is.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

// Node is one value of a YAML, JSON or TOML document, with its place. All methods work on a nil Node, which is a value that is not there.
type Node struct {
	Kind   Kind
	Text   string   // of a scalar
	Quoted bool     // a string because it was written as one
	Keys   []string // of a map, in the order of the file
	Values []*Node  // of a map or list
	File   string
	Line   int
	Tag    string // an application's own tag, such as !Ref

	parent *Node
	key    string
}

// Get walks down by keys; nil when something is not there.
func (n *Node) Get(keys ...string) *Node {
	for _, k := range keys {
		if n == nil || n.Kind != Map {
			return nil
		}
		var next *Node
		for i, name := range n.Keys {
			if name == k {
				next = n.Values[i]
				break
			}
		}
		n = next
	}
	return n
}

// Has reports whether the map holds a key with a value that is not null.
func (n *Node) Has(key string) bool {
	v := n.Get(key)
	return v != nil && v.Kind != Null
}

// Absent reports whether the value is not there, or null.
func (n *Node) Absent() bool { return n == nil || n.Kind == Null }

// Str is the text of a scalar, "" of anything else.
func (n *Node) Str() string {
	if n == nil || n.Kind == Null || n.Kind == List || n.Kind == Map {
		return ""
	}
	return n.Text
}

// Strs are the texts of a list of scalars; a scalar counts as a list of one.
func (n *Node) Strs() []string {
	switch {
	case n == nil || n.Kind == Null || n.Kind == Map:
		return nil
	case n.Kind == List:
		out := make([]string, 0, len(n.Values))
		for _, v := range n.Values {
			if v.Kind != List && v.Kind != Map && v.Kind != Null {
				out = append(out, v.Text)
			}
		}
		return out
	}
	return []string{n.Text}
}

// Items are the values of a list.
func (n *Node) Items() []*Node {
	if n == nil || n.Kind != List {
		return nil
	}
	return n.Values
}

// Each calls f for the entries of a map in the order of the file.
func (n *Node) Each(f func(key string, v *Node)) {
	if n == nil || n.Kind != Map {
		return
	}
	for i, k := range n.Keys {
		f(k, n.Values[i])
	}
}

// Int is a whole number. Quoted numbers count, for many configurations quote them.
func (n *Node) Int() (int64, bool) {
	f, ok := n.Float()
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// Float is a number.
func (n *Node) Float() (float64, bool) {
	if n == nil || n.Kind != Number && n.Kind != String {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(n.Text), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// Bool is a truth value, also when it is quoted.
func (n *Node) Bool() (value, ok bool) {
	if n == nil || n.Kind != Bool && n.Kind != String {
		return false, false
	}
	switch strings.ToLower(n.Text) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}

var pointerPart = strings.NewReplacer("~", "~0", "/", "~1")

// Pointer is the node's JSON pointer in its document.
func (n *Node) Pointer() string {
	if n == nil {
		return ""
	}
	var parts []string
	for m := n; m.parent != nil; m = m.parent {
		parts = append(parts, pointerPart.Replace(m.key))
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String()
}

// Origin is where the node stands, in a scope.
func (n *Node) Origin(scope string) drift.Origin {
	if n == nil {
		return drift.Origin{Scope: scope}
	}
	return drift.Origin{File: n.File, Line: n.Line, Pointer: n.Pointer(), Scope: scope}
}

// Canonical writes the node without differences of format: keys sorted, scalars as text. It is for hashes.
func (n *Node) Canonical() string {
	var b strings.Builder
	n.canonical(&b)
	return b.String()
}

func (n *Node) canonical(b *strings.Builder) {
	switch {
	case n.Absent():
		b.WriteString("null")
	case n.Kind == List:
		b.WriteByte('[')
		for i, v := range n.Values {
			if i > 0 {
				b.WriteByte(',')
			}
			v.canonical(b)
		}
		b.WriteByte(']')
	case n.Kind == Map:
		keys := drift.Sorted(n.Keys)
		b.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Quote(k) + ":")
			n.Get(k).canonical(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(strconv.Quote(n.Text))
	}
}

// Under reports whether the node stands within root.
func (n *Node) Under(root *Node) bool {
	for ; n != nil; n = n.parent {
		if n == root {
			return true
		}
	}
	return false
}

// Merged is base with top laid over it: maps key by key, everything else whole, and null takes away. Values keep their places.
func Merged(base, top *Node) *Node {
	switch {
	case top == nil:
		return base
	case base == nil || base.Kind != Map || top.Kind != Map:
		return top
	}
	out := *base
	out.Keys, out.Values = nil, nil
	base.Each(func(k string, v *Node) {
		t := top.Get(k)
		switch {
		case t == nil:
			out.Keys, out.Values = append(out.Keys, k), append(out.Values, v)
		case t.Kind != Null:
			out.Keys, out.Values = append(out.Keys, k), append(out.Values, Merged(v, t))
		}
	})
	top.Each(func(k string, v *Node) {
		if base.Get(k) == nil && v.Kind != Null {
			out.Keys, out.Values = append(out.Keys, k), append(out.Values, v)
		}
	})
	return &out
}
