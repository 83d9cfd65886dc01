package source

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatehouse/drift"
)

// Element is one element of an XML document, with its place. All methods work on a nil Element.
type Element struct {
	Name     string
	Attrs    []xml.Attr
	Children []*Element
	Text     string // all text directly within, trimmed
	File     string
	Line     int
	Parent   *Element

	text bytes.Buffer
}

// ParseXML reads a strictly well-formed document. Document type declarations are refused: nothing that these files need, and the
// door for entities that explode or read other files.
func ParseXML(name string, b []byte) (*Element, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) { return in, nil } // the bytes are UTF-8 already
	var root, at *Element
	depth, count := 0, 0
	for {
		line, _ := d.InputPos()
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if root == nil {
				return nil, errors.New("holds no element")
			}
			if at != nil {
				return nil, fmt.Errorf("line %d: <%s> is not closed", at.Line, at.Name)
			}
			return root, nil
		}
		if err != nil {
			var s *xml.SyntaxError
			if errors.As(err, &s) {
				return nil, fmt.Errorf("line %d: %s", s.Line, s.Msg)
			}
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		switch v := t.(type) {
		case xml.StartElement:
			if depth++; depth > maxNest {
				return nil, fmt.Errorf("line %d: %w", line, errDeep)
			}
			if count++; count > maxNodes {
				return nil, errMany
			}
			e := &Element{Name: qualified(v.Name), Attrs: v.Copy().Attr, File: name, Line: line, Parent: at}
			if at == nil {
				if root != nil {
					return nil, fmt.Errorf("line %d: a second root element <%s>", line, e.Name)
				}
				root = e
			} else {
				at.Children = append(at.Children, e)
			}
			at = e
		case xml.EndElement:
			if at == nil || at.Name != qualified(v.Name) {
				return nil, fmt.Errorf("line %d: </%s> closes nothing", line, qualified(v.Name))
			}
			at.Text = strings.TrimSpace(at.text.String())
			at.text = bytes.Buffer{}
			at = at.Parent
			depth--
		case xml.CharData:
			if at != nil {
				at.text.Write(v)
			} else if len(bytes.TrimSpace(v)) > 0 {
				return nil, fmt.Errorf("line %d: text outside of the root element", line)
			}
		case xml.Directive:
			return nil, fmt.Errorf("line %d: document type declarations are not read", line)
		}
	}
}

func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// Child is the first child of a name.
func (e *Element) Child(names ...string) *Element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		var next *Element
		for _, c := range e.Children {
			if c.Name == name {
				next = c
				break
			}
		}
		e = next
	}
	return e
}

// All are the children of a name.
func (e *Element) All(name string) []*Element {
	var out []*Element
	if e != nil {
		for _, c := range e.Children {
			if c.Name == name {
				out = append(out, c)
			}
		}
	}
	return out
}

// Attr is an attribute's value, and whether it is there.
func (e *Element) Attr(name string) (string, bool) {
	if e != nil {
		for _, a := range e.Attrs {
			if a.Name.Local == name {
				return a.Value, true
			}
		}
	}
	return "", false
}

// Str is the text of an element, "" when it is not there.
func (e *Element) Str() string {
	if e == nil {
		return ""
	}
	return e.Text
}

// Origin is where the element stands, in a scope.
func (e *Element) Origin(scope string) drift.Origin {
	if e == nil {
		return drift.Origin{Scope: scope}
	}
	path := e.Name
	for p := e.Parent; p != nil; p = p.Parent {
		path = p.Name + "/" + path
	}
	return drift.Origin{File: e.File, Line: e.Line, Pointer: path, Scope: scope}
}

// Walk calls f for e and everything within it.
func (e *Element) Walk(f func(*Element)) {
	if e == nil {
		return
	}
	f(e)
	for _, c := range e.Children {
		c.Walk(f)
	}
}
