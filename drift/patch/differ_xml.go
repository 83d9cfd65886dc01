package patch

import (
	"slices"
	"strings"

	"gatehouse/fault"
)

// DeltaXML is one difference between two documents.
type DeltaXML struct {
	Path    []int  // of the element here, by the places of its ancestors among their siblings
	Attr    string // the attribute that is another
	Text    string // its value, or the text within the element, or the element that is missing
	Within  bool   // Text is the text within
	Whole   bool   // Text takes the element's place
	Missing bool   // Text goes into the element, behind the child After
	After   int    // -1: in front of all
	Drop    bool   // the element, or the attribute, is taken out
	Name    string // of the element
}

// Deltas are what has to change here so that the document says what the other does.
func (x *XML) Deltas(other *XML) []DeltaXML {
	var out []DeltaXML
	if x.Root.Name == other.Root.Name {
		x.differ(nil, x.Root, other, other.Root, &out)
	}
	if len(out) > mostDeltas {
		return nil
	}
	return out
}

func (x *XML) differ(path []int, a *Element, other *XML, b *Element, out *[]DeltaXML) {
	add := func(d DeltaXML) {
		d.Path, d.Name = slices.Clone(path), a.Name
		*out = append(*out, d)
	}
	for _, t := range b.attrs {
		want := string(other.text[t.from:t.to])
		if have, ok := x.Attr(a, t.name); !ok || have != want {
			add(DeltaXML{Attr: t.name, Text: want})
		}
	}
	for _, t := range a.attrs {
		if _, ok := other.Attr(b, t.name); !ok {
			add(DeltaXML{Attr: t.name, Drop: true})
		}
	}
	switch {
	case len(a.Children) == 0 && len(b.Children) == 0:
		if strings.TrimSpace(x.Inner(a)) != strings.TrimSpace(other.Inner(b)) {
			if a.empty || b.empty {
				add(DeltaXML{Whole: true, Text: other.raw(b)})
				return
			}
			add(DeltaXML{Within: true, Text: other.Inner(b)})
		}
		return
	case len(a.Children) == 0 && strings.TrimSpace(x.Inner(a)) != "" || len(b.Children) == 0 && strings.TrimSpace(other.Inner(b)) != "", a.empty && len(b.Children) > 1:
		add(DeltaXML{Whole: true, Text: other.raw(b)})
		return
	}
	same := func(p, q *Element) bool { return p.Name == q.Name && x.named(p) == other.named(q) }
	i, j := 0, 0
	for _, p := range append(pairs(a.Children, b.Children, same), [2]int{len(a.Children), len(b.Children)}) {
		for ; i < p[0]; i++ {
			c := a.Children[i]
			*out = append(*out, DeltaXML{Path: append(slices.Clone(path), i), Drop: true, Name: c.Name})
		}
		for ; j < p[1]; j++ {
			add(DeltaXML{Missing: true, After: p[0] - 1, Text: other.raw(b.Children[j])})
		}
		if i < len(a.Children) && j < len(b.Children) {
			x.differ(append(path, i), a.Children[i], other, b.Children[j], out)
			i, j = i+1, j+1
		}
	}
}

func (x *XML) raw(e *Element) string { return string(x.text[e.start:e.end]) }

// named is by what an element is told apart from others of its kind.
func (x *XML) named(e *Element) string {
	for _, k := range []string{"name", "id", "fragment-id"} {
		if v, ok := x.Attr(e, k); ok {
			return v
		}
	}
	if n := e.Child("Name"); n != nil && len(n.Children) == 0 {
		return strings.TrimSpace(x.Inner(n))
	}
	return ""
}

// Apply notes a change that makes one difference go away; Text makes it.
func (x *XML) Apply(d DeltaXML) error {
	e := x.Root
	for _, i := range d.Path {
		if i >= len(e.Children) {
			return fault.New(fault.NotFound, "%s: the place of %s is not found", x.name, d.Name)
		}
		e = e.Children[i]
	}
	switch {
	case d.Attr != "" && d.Drop:
		for _, a := range e.attrs {
			if a.name == d.Attr {
				from := a.from - len(a.name) - 2 // as far as it is written in the common form
				if from > e.nameEnd && string(x.text[from:a.from-2]) == a.name {
					x.change(edit{from - 1, a.to + 1, ""})
					return nil
				}
			}
		}
		return fault.New(fault.Conflict, "%s:%d: the attribute %s is written in a form that is not edited", x.name, e.Line, d.Attr)
	case d.Attr != "":
		x.setRaw(e, d.Attr, d.Text)
	case d.Drop:
		if e.Parent == nil {
			return fault.Bad("", "%s: a whole document is not removed", x.name)
		}
		x.Remove(e)
	case d.Within:
		x.change(edit{e.open, e.close, d.Text})
	case d.Whole:
		x.change(edit{e.start, e.end, d.Text})
	case d.Missing && d.After >= 0 && d.After < len(e.Children):
		x.insert(e, e.Children[d.After], d.Text)
	case d.Missing:
		x.insert(e, nil, d.Text)
	}
	return nil
}

// setRaw writes an attribute whose value is escaped already.
func (x *XML) setRaw(e *Element, name, value string) {
	for _, a := range e.attrs {
		if a.name == name {
			if x.text[a.from-1] == '\'' {
				value = strings.ReplaceAll(value, "'", "&apos;")
			} else if !strings.Contains(value, "@(") {
				value = strings.ReplaceAll(value, `"`, "&quot;")
			}
			x.change(edit{a.from, a.to, value})
			return
		}
	}
	at := e.nameEnd
	if n := len(e.attrs); n > 0 {
		at = e.attrs[n-1].to + 1
	}
	quote := `"`
	if strings.Contains(value, `"`) && !strings.Contains(value, "'") {
		quote = "'"
	}
	x.change(edit{at, at, " " + name + "=" + quote + value + quote})
}
