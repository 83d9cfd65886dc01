package azureapim

import (
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// statement is one policy statement with the document and scope that it comes from.
type statement struct {
	el    *source.Element
	doc   *document
	scope string
	own   bool // of the narrowest scope, the operation
}

func (s statement) origin() drift.Origin { return s.el.Origin(s.scope) }

// section splices the section of all scopes together, as <base/> says: what a wider scope says runs only where the narrower one names it.
// lost are the statements of wider scopes that do not run, and by whom. early are those of narrower scopes that run before wider ones.
func (r *reader) section(chain []scope, name string) (run, early []statement, lost []cutting, unread *drift.Origin) {
	for i, sc := range chain {
		if sc.doc == nil || sc.doc.root == nil {
			continue
		}
		if sc.doc.root.Name == "unreadable" {
			o := sc.doc.root.Origin(sc.name)
			unread = &o
			continue
		}
		sec := sc.doc.root.Child(name)
		var next, before []statement
		spliced := false
		if sec != nil {
			for _, el := range sec.Children {
				if el.Name == "base" {
					if !spliced {
						before = append(before, next...)
						next = append(next, run...)
					}
					spliced = true
					continue
				}
				next = append(next, r.expand(statement{el, sc.doc, sc.name, i == len(chain)-1}, 0)...)
			}
		}
		if spliced && len(run) > 0 {
			early = append(early, before...)
		}
		if !spliced && len(run) > 0 {
			by := sc.doc.root.Origin(sc.name)
			if sec != nil {
				by = sec.Origin(sc.name)
			}
			lost = append(lost, cutting{run, by})
		}
		run = next
	}
	return run, early, lost, unread
}

// cutting is what a scope cuts off.
type cutting struct {
	lost []statement
	by   drift.Origin
}

// expand replaces a fragment by its statements.
func (r *reader) expand(s statement, depth int) []statement {
	if s.el.Name != "include-fragment" {
		return []statement{s}
	}
	id, _ := s.el.Attr("fragment-id")
	d := r.svc.fragments[id]
	if d == nil || d.root == nil || depth > 8 || d.root.Name == "unreadable" {
		r.gap("policy fragment", id, s.origin())
		return []statement{s} // stays as something that is not known
	}
	var out []statement
	for _, el := range d.root.Children {
		out = append(out, r.expand(statement{el, d, s.scope + ", fragment " + id, s.own}, depth+1)...)
	}
	return out
}

// attr is a leaf from an attribute; read makes the value of its text.
func attr[T any](r *reader, s statement, el *source.Element, name string, def T, read func(string) (T, bool)) drift.Leaf[T] {
	text, ok := el.Attr(name)
	if !ok {
		l := drift.ByDefault(def)
		l.Origin = el.Origin(s.scope)
		return l
	}
	return leafOf(r, s, el, text, read)
}

func leafOf[T any](r *reader, s statement, el *source.Element, raw string, read func(string) (T, bool)) drift.Leaf[T] {
	o := el.Origin(s.scope)
	text, cause, expr := r.value(s.doc, raw, o)
	var zero T
	switch {
	case expr:
		return drift.DependsOn(zero, "expression", o)
	case cause != "":
		return drift.Unknown[T](cause, o)
	}
	v, ok := read(strings.TrimSpace(text))
	if !ok {
		return drift.Unknown[T]("not of the kind that is wanted here", o)
	}
	return stated(s, v, o)
}

// stated gives a value the state that fits its scope.
func stated[T any](s statement, v T, o drift.Origin) drift.Leaf[T] {
	if s.own {
		return drift.Is(v, o)
	}
	return drift.From(v, o)
}

func asText(s string) (string, bool) { return drift.Mask(s), true }

func asBool(s string) (bool, bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "1":
		return true, true
	case "false", "no", "0":
		return false, true
	}
	return false, false
}

func asInt(s string) (int64, bool) {
	n := int64(0)
	if s == "" {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' || n > 1<<50 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// texts is a leaf from the texts of child elements: list/item.
func (r *reader) texts(s statement, el *source.Element, list, item string) drift.Leaf[[]string] {
	l := el.Child(list)
	if l == nil {
		d := drift.ByDefault([]string(nil))
		d.Origin = el.Origin(s.scope)
		return d
	}
	var out []string
	for _, c := range l.All(item) {
		text, cause, expr := r.value(s.doc, c.Text, c.Origin(s.scope))
		if expr {
			return drift.DependsOn[[]string](nil, "expression", c.Origin(s.scope))
		}
		if cause != "" {
			return drift.Unknown[[]string](cause, c.Origin(s.scope))
		}
		out = append(out, drift.Mask(text))
	}
	return stated(s, out, l.Origin(s.scope))
}

// canonical is an element without differences of format, for hashes.
func (d *document) canonical(e *source.Element) string {
	var b strings.Builder
	var walk func(e *source.Element)
	walk = func(e *source.Element) {
		b.WriteString("<" + e.Name)
		names := make([]string, 0, len(e.Attrs))
		for _, a := range e.Attrs {
			names = append(names, a.Name.Local)
		}
		for _, n := range drift.Sorted(names) {
			v, _ := e.Attr(n)
			b.WriteString(" " + n + "=" + d.restore(v))
		}
		b.WriteString(">" + d.restore(e.Text))
		for _, c := range e.Children {
			walk(c)
		}
		b.WriteString("</>")
	}
	walk(e)
	return b.String()
}
