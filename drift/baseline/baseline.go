// Package baseline reads and writes baselines: the named standards, with their waivers, that environments are compared with.
package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// Read reads a baseline from YAML or JSON, by the name's ending, strictly: a field that is not known is an error. Leaves may be written
// as bare values. It reports everything that is wrong with the meaning at once.
func Read(name string, b []byte) (*drift.Baseline, []drift.Problem) {
	docs, doubts, err := source.Parse(name, b)
	problems := doubts
	if err == nil && len(docs) != 1 {
		err = errors.New("must hold one document")
	}
	if err != nil {
		return &drift.Baseline{}, append(problems, drift.Problem{File: name, Text: err.Error(), Partial: true})
	}
	var out drift.Baseline
	d := json.NewDecoder(bytes.NewReader(encode(docs[0], 0)))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return &drift.Baseline{}, append(problems, drift.Problem{File: name, Text: "is not a baseline: " + strings.TrimPrefix(err.Error(), "json: "), Partial: true})
	}
	for _, p := range out.Validate() {
		p.File = name
		if n := at(docs[0], p.Pointer); n != nil {
			p.Line = n.Line
		}
		problems = append(problems, p)
	}
	return &out, problems
}

// at finds the node of a pointer, or the nearest one around it.
func at(n *source.Node, pointer string) *source.Node {
	for _, k := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		next := n.Get(k)
		if i, err := strconv.Atoi(k); err == nil && i < len(n.Items()) {
			next = n.Items()[i]
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

var day = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// encode writes a node as JSON. A day alone, which is how people write the end of a waiver, ends with that day.
func encode(n *source.Node, depth int) []byte {
	if n == nil || n.Kind == source.Null || depth > 64 {
		return []byte("null")
	}
	switch n.Kind {
	case source.Bool, source.Number:
		if b := []byte(n.Text); json.Valid(b) {
			return b
		}
	case source.List:
		out := []byte{'['}
		for i, v := range n.Values {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, encode(v, depth+1)...)
		}
		return append(out, ']')
	case source.Map:
		out := []byte{'{'}
		for i, k := range n.Keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(append(append(out, quote(k)...), ':'), encode(n.Values[i], depth+1)...)
		}
		return append(out, '}')
	}
	if day.MatchString(n.Text) {
		return quote(n.Text + "T23:59:59Z")
	}
	return quote(n.Text)
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

// Write writes a baseline as YAML for people: leaves as bare values, and only those that are known.
func Write(b *drift.Baseline) ([]byte, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	docs, _, err := source.Parse("baseline.json", text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# A standard that environments are compared with. A leaf that is not written is not asked for.\n")
	write(&out, bare(docs[0]), 0)
	return out.Bytes(), nil
}

// bare replaces leaves by their values, and takes out what is not known and where it came from.
func bare(n *source.Node) *source.Node {
	switch n.Kind {
	case source.List:
		out := *n
		out.Values = nil
		for _, v := range n.Values {
			if b := bare(v); b != nil {
				out.Values = append(out.Values, b)
			}
		}
		return &out
	case source.Map:
		if state := n.Get("state").Str(); state != "" && n.Get("value") != nil {
			if state != "set" && state != "default" && state != "inherited" {
				return nil
			}
			v := bare(n.Get("value"))
			if v != nil && v.Kind == source.Null {
				return &source.Node{Kind: source.List}
			}
			return v
		}
		out := &source.Node{Kind: source.Map}
		n.Each(func(k string, v *source.Node) {
			if k == "origin" || k == "cuts" || k == "early" {
				return
			}
			if b := bare(v); b != nil && !(b.Kind == source.Map && len(b.Keys) == 0) {
				out.Keys, out.Values = append(out.Keys, k), append(out.Values, b)
			}
		})
		return out
	}
	return n
}

func write(b *bytes.Buffer, n *source.Node, indent int) {
	pad := strings.Repeat("  ", indent)
	switch {
	case n.Kind == source.Map && len(n.Keys) > 0:
		for i, k := range n.Keys {
			v := n.Values[i]
			if nests(v) {
				fmt.Fprintf(b, "%s%s:\n", pad, k)
				write(b, v, indent+1)
				continue
			}
			fmt.Fprintf(b, "%s%s: %s\n", pad, k, flat(v))
		}
	case n.Kind == source.List:
		for _, v := range n.Values {
			if nests(v) {
				fmt.Fprintf(b, "%s-\n", pad)
				write(b, v, indent+1)
				continue
			}
			fmt.Fprintf(b, "%s- %s\n", pad, flat(v))
		}
	}
}

func nests(n *source.Node) bool {
	return n.Kind == source.Map && len(n.Keys) > 0 || n.Kind == source.List && len(n.Values) > 0
}

// flat is a value on one line; strings are quoted as in JSON, which YAML reads as well.
func flat(n *source.Node) string {
	switch n.Kind {
	case source.Map:
		return "{}"
	case source.List:
		return "[]"
	case source.Null:
		return "null"
	case source.Bool, source.Number:
		return n.Text
	}
	return string(quote(n.Text))
}
