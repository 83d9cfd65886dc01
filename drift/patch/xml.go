package patch

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"gatehouse/fault"
)

// XML is an XML file that is open for changes. Its places stay those of the file as it was opened; Text makes the changes.
type XML struct {
	name  string
	text  []byte
	skip  Skip
	Root  *Element
	edits []edit
}

// Skip finds the end of what stands in a document and is not XML, such as an expression.
type Skip func(b []byte, at int) (end int, ok bool)

// Element is one element with the bytes that it takes.
type Element struct {
	Name     string
	Line     int
	Parent   *Element
	Children []*Element

	start, nameEnd, open, close, end int // open: behind the start tag; close: before the end tag; the same when it closes itself
	empty                            bool
	attrs                            []attr
}

type attr struct {
	name     string
	from, to int // of the value, within its quotes
}

// OpenXML finds the elements of a file. It is lenient about what stands between them and strict about their nesting.
func OpenXML(name string, text []byte, skip Skip) (*XML, error) {
	x := &XML{name: name, text: text, skip: skip}
	if len(text) > maxText {
		return nil, fault.Bad("", "%s has more than %d bytes", name, maxText)
	}
	return x, x.scan()
}

func (x *XML) bad(at int) error {
	return fault.New(fault.Conflict, "%s:%d: the document is not nested as XML is, so it is not edited", x.name, 1+bytes.Count(x.text[:min(at, len(x.text))], []byte("\n")))
}

func (x *XML) scan() error {
	var at *Element
	line, counted, depth := 1, 0, 0
	for i := 0; i < len(x.text); {
		if x.skip != nil {
			if end, ok := x.skip(x.text, i); ok {
				i = end
				continue
			}
		}
		rest := x.text[i:]
		switch {
		case rest[0] != '<':
			i++
		case bytes.HasPrefix(rest, []byte("<!--")):
			end := bytes.Index(rest, []byte("-->"))
			if end < 0 {
				return x.bad(i)
			}
			i += end + 3
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			end := bytes.Index(rest, []byte("]]>"))
			if end < 0 {
				return x.bad(i)
			}
			i += end + 3
		case bytes.HasPrefix(rest, []byte("<?")):
			end := bytes.Index(rest, []byte("?>"))
			if end < 0 {
				return x.bad(i)
			}
			i += end + 2
		case bytes.HasPrefix(rest, []byte("</")):
			end := bytes.IndexByte(rest, '>')
			if end < 0 || at == nil || strings.TrimSpace(string(rest[2:end])) != at.Name {
				return x.bad(i)
			}
			at.close, at.end = i, i+end+1
			i += end + 1
			at = at.Parent
			depth--
		default:
			if depth++; depth > maxDepth {
				return x.bad(i)
			}
			line += bytes.Count(x.text[counted:i], []byte("\n"))
			counted = i
			e := &Element{Line: line, Parent: at, start: i}
			end, ok := x.tag(e)
			if !ok {
				return x.bad(i)
			}
			if at != nil {
				at.Children = append(at.Children, e)
			} else if x.Root != nil {
				return x.bad(i)
			} else {
				x.Root = e
			}
			if e.empty {
				depth--
			} else {
				at = e
			}
			i = end
		}
	}
	if at != nil || x.Root == nil {
		return x.bad(len(x.text))
	}
	return nil
}

// tag reads a start tag.
func (x *XML) tag(e *Element) (end int, ok bool) {
	b := x.text
	i := e.start + 1
	for i < len(b) && !bytes.ContainsRune([]byte(" \t\r\n/>"), rune(b[i])) {
		i++
	}
	e.Name, e.nameEnd = string(b[e.start+1:i]), i
	if e.Name == "" || e.Name[0] == '!' {
		return 0, false
	}
	for i < len(b) {
		switch c := b[i]; {
		case c == '>':
			e.open = i + 1
			return i + 1, true
		case c == '/' && i+1 < len(b) && b[i+1] == '>':
			e.empty, e.open, e.close, e.end = true, i, i, i+2
			return i + 2, true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		default:
			from := i
			for i < len(b) && b[i] != '=' && b[i] != '>' && b[i] != '<' {
				i++
			}
			name := strings.TrimSpace(string(b[from:min(i, len(b))]))
			for i++; i < len(b) && bytes.IndexByte([]byte(" \t\r\n"), b[i]) >= 0; i++ {
			}
			if i >= len(b) || b[i] != '"' && b[i] != '\'' {
				return 0, false
			}
			q := b[i]
			i++
			a := attr{name: name, from: i}
			for i < len(b) && b[i] != q {
				if x.skip != nil {
					if end, ok := x.skip(b, i); ok {
						i = end
						continue
					}
				}
				i++
			}
			if i >= len(b) {
				return 0, false
			}
			a.to = i
			e.attrs = append(e.attrs, a)
			i++
		}
	}
	return 0, false
}

// Child is the first child of a name, or nil.
func (e *Element) Child(name string) *Element {
	if e != nil {
		for _, c := range e.Children {
			if c.Name == name {
				return c
			}
		}
	}
	return nil
}

// Path is the names from the root down.
func (e *Element) Path() string {
	if e.Parent == nil {
		return e.Name
	}
	return e.Parent.Path() + "/" + e.Name
}

// At is the element of a path that begins on a line. It is an error when there is none, or more than one.
func (x *XML) At(line int, path string) (*Element, error) {
	var found []*Element
	var walk func(*Element)
	walk = func(e *Element) {
		if e.Line == line && (e.Path() == path || "fragment/"+e.Path() == path) {
			found = append(found, e)
		}
		for _, c := range e.Children {
			walk(c)
		}
	}
	walk(x.Root)
	if len(found) != 1 {
		return nil, fault.New(fault.NotFound, "%s:%d: %d elements %s begin there, not one", x.name, line, len(found), path)
	}
	return found[0], nil
}

// Inner is the text within an element.
func (x *XML) Inner(e *Element) string { return string(x.text[e.open:e.close]) }

// Attr is an attribute's value as it is written.
func (x *XML) Attr(e *Element, name string) (string, bool) {
	for _, a := range e.attrs {
		if a.name == name {
			return string(x.text[a.from:a.to]), true
		}
	}
	return "", false
}

func (x *XML) change(e edit) {
	if !slices.Contains(x.edits, e) {
		x.edits = append(x.edits, e)
	}
}

// Escape writes text into an attribute or an element.
func Escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// SetAttr writes an attribute.
func (x *XML) SetAttr(e *Element, name, value string) {
	for _, a := range e.attrs {
		if a.name == name {
			x.change(edit{a.from, a.to, Escape(value)})
			return
		}
	}
	at := e.nameEnd
	if n := len(e.attrs); n > 0 {
		at = e.attrs[n-1].to + 1
	}
	x.change(edit{at, at, " " + name + `="` + Escape(value) + `"`})
}

// SetInner writes the text within an element.
func (x *XML) SetInner(e *Element, text string) {
	if e.empty {
		x.change(edit{e.open, e.end, ">" + Escape(text) + "</" + e.Name + ">"})
		return
	}
	x.change(edit{e.open, e.close, Escape(text)})
}

// Prepend puts a text of XML in front of an element's children, on a line of its own where they have theirs.
func (x *XML) Prepend(e *Element, text string) { x.insert(e, nil, text) }

// After puts a text of XML behind an element.
func (x *XML) After(e *Element, text string) { x.insert(e.Parent, e, text) }

// Behind puts a text of XML behind the last child of one of the names, or in front of all children.
func (x *XML) Behind(e *Element, names []string, text string) {
	var last *Element
	for _, c := range e.Children {
		if slices.Contains(names, c.Name) {
			last = c
		}
	}
	x.insert(e, last, text)
}

func (x *XML) insert(parent, after *Element, text string) {
	if parent.empty {
		x.change(edit{parent.open, parent.end, ">" + text + "</" + parent.Name + ">"})
		return
	}
	at := parent.open
	if after != nil {
		at = after.end
	}
	sibling := after
	if sibling == nil && len(parent.Children) > 0 {
		sibling = parent.Children[0]
	}
	lead := ""
	switch {
	case sibling != nil:
		lead = x.lead(sibling.start)
	case bytes.IndexByte(x.text[parent.open:parent.close], '\n') >= 0:
		lead = x.lead(parent.start)
		if lead != "" {
			lead += "  "
		}
	}
	x.change(edit{at, at, lead + text})
}

// lead is the line end and white space before an element that begins a line, "" when it stands behind something.
func (x *XML) lead(at int) string {
	i := at
	for i > 0 && (x.text[i-1] == ' ' || x.text[i-1] == '\t') {
		i--
	}
	if i == 0 || x.text[i-1] != '\n' {
		return ""
	}
	i--
	if i > 0 && x.text[i-1] == '\r' {
		i--
	}
	return string(x.text[i:at])
}

// Remove takes an element out, with the line that it leaves empty.
func (x *XML) Remove(e *Element) {
	x.change(edit{e.start - len(x.lead(e.start)), e.end, ""})
}

// Text is the file with its changes.
func (x *XML) Text() ([]byte, error) {
	list := slices.Clone(x.edits)
	slices.SortStableFunc(list, func(a, b edit) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	var out []byte
	at := 0
	for _, e := range list {
		if e.start < at {
			return nil, fault.New(fault.Conflict, "%s: two changes meet in one place", x.name)
		}
		out = append(out, x.text[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	out = append(out, x.text[at:]...)
	if _, err := OpenXML(x.name, out, x.skip); err != nil {
		return nil, err
	}
	return out, nil
}
