// Package patch changes single values of YAML, JSON, TOML and XML files and leaves every other byte as it is: comments, order, white space
// and quoting stay those of whoever wrote the file. Each change is read back and must have done what was asked, and nothing else.
package patch

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"gatehouse/fault"
)

// Map is a map whose entries are written in their order.
type Map []Entry

// Entry is one entry of a Map.
type Entry struct {
	Key   string
	Value any // string, bool, int64, float64, nil, List or Map
}

// List is a list of values.
type List []any

// Strings is a list of strings.
func Strings(list []string) List {
	out := make(List, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// Tree is a YAML, JSON or TOML file that is open for changes.
type Tree struct {
	name string
	text []byte
	docs []*node
	from []int // the lines on which the documents began when the file was opened, which is how documents are named
}

const maxText = 16 << 20 // as large as a reader reads

// Open parses a file. A text that is not plain UTF-8 is refused: the places of its values are not those of its bytes.
func Open(name string, text []byte) (*Tree, error) {
	if len(text) > maxText {
		return nil, fault.Bad("", "%s has more than %d bytes", name, maxText)
	}
	for _, mark := range []string{"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"} {
		if bytes.HasPrefix(text, []byte(mark)) {
			return nil, fault.Bad("", "%s begins with a byte order mark, so its bytes are not edited", name)
		}
	}
	t := &Tree{name: name}
	if err := t.parse(text); err != nil {
		return nil, err
	}
	for _, d := range t.docs {
		t.from = append(t.from, d.line)
	}
	return t, nil
}

// Text is the file as it is now.
func (t *Tree) Text() []byte { return t.text }

// doc is the document in which a line stood when the file was opened.
func (t *Tree) doc(line int) (int, error) {
	at := 0
	for i, from := range t.from {
		if from <= line {
			at = i
		}
	}
	if at >= len(t.docs) {
		return 0, fault.New(fault.NotFound, "%s holds no document", t.name)
	}
	return at, nil
}

func parts(pointer string) []string {
	if pointer == "" {
		return nil
	}
	out := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, p := range out {
		out[i] = fromPointer.Replace(p)
	}
	return out
}

var (
	fromPointer = strings.NewReplacer("~1", "/", "~0", "~")
	toPointer   = strings.NewReplacer("~", "~0", "/", "~1")
)

// Key is one step of a pointer.
func Key(s string) string { return toPointer.Replace(s) }

// walk follows a pointer as far as it goes; rest is what is not there.
func walk(n *node, path []string) (at *node, rest []string) {
	for len(path) > 0 {
		next := n.child(path[0])
		if next == nil {
			return n, path
		}
		n, path = next, path[1:]
	}
	return n, nil
}

// Has reports whether something stands at the pointer, in the document of the line.
func (t *Tree) Has(line int, pointer string) bool {
	_, ok := t.Value(line, pointer)
	return ok
}

// Value is what stands at the pointer.
func (t *Tree) Value(line int, pointer string) (any, bool) {
	i, err := t.doc(line)
	if err != nil {
		return nil, false
	}
	n, rest := walk(t.docs[i], parts(pointer))
	if len(rest) > 0 {
		return nil, false
	}
	return n.value(), true
}

// Str is the text of the scalar at the pointer, "" when there is none.
func (t *Tree) Str(line int, pointer string) string {
	v, _ := t.Value(line, pointer)
	switch v := v.(type) {
	case string:
		return v
	case int64, bool, float64:
		return fmt.Sprint(v)
	}
	return ""
}

// Len is how many items the list at the pointer has.
func (t *Tree) Len(line int, pointer string) int {
	v, _ := t.Value(line, pointer)
	l, _ := v.(List)
	return len(l)
}

// Set writes a value at the pointer. Maps on the way that are not there are made.
func (t *Tree) Set(line int, pointer string, v any) error {
	i, err := t.doc(line)
	if err != nil {
		return err
	}
	path := parts(pointer)
	if len(path) == 0 {
		return fault.Bad("", "%s: a whole document is not replaced", t.name)
	}
	at, rest := walk(t.docs[i], path)
	goal := v
	var change edit
	switch {
	case len(rest) == 0:
		if reflect.DeepEqual(generic(at.value()), generic(v)) {
			return nil
		}
		list, isList := v.(List)
		if have, ok := at.value().(List); ok && isList && at.kind == aList && !at.flow {
			return t.setList(line, pointer, have, list)
		}
		change, err = t.replace(at, v)
	case at.isNull():
		for j := len(rest) - 1; j >= 0; j-- {
			v = Map{{rest[j], v}}
		}
		change, err = t.replace(at, v)
	case at.kind == aMap:
		for j := len(rest) - 1; j > 0; j-- {
			v = Map{{rest[j], v}}
		}
		change, err = t.insertKey(at, rest[0], v)
	default:
		return fault.New(fault.NotFound, "%s: nothing stands at %s", t.name, pointer)
	}
	if err != nil {
		return err
	}
	return t.apply(change, i, func(root any) any { return put(root, path, goal) })
}

// setList brings a list to the wanted items by taking out and adding single ones.
func (t *Tree) setList(line int, pointer string, have, want List) error {
	in := func(l List, v any) bool {
		return slices.ContainsFunc(l, func(o any) bool { return reflect.DeepEqual(generic(o), generic(v)) })
	}
	for _, v := range want {
		if !in(have, v) {
			if err := t.Append(line, pointer, v); err != nil {
				return err
			}
		}
	}
	for i := len(have) - 1; i >= 0; i-- {
		if !in(want, have[i]) {
			if err := t.Remove(line, pointer+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Append adds an item to the list at the pointer, which is made when it is not there.
func (t *Tree) Append(line int, pointer string, v any) error {
	i, err := t.doc(line)
	if err != nil {
		return err
	}
	path := parts(pointer)
	at, rest := walk(t.docs[i], path)
	if len(rest) > 0 || at.isNull() {
		return t.Set(line, pointer, List{v})
	}
	if at.kind != aList {
		return fault.Bad("", "%s: %s is not a list", t.name, pointer)
	}
	change, err := t.insertItem(at, v)
	if err != nil {
		return err
	}
	return t.apply(change, i, func(root any) any {
		return alter(root, path, func(l any) any { list, _ := l.([]any); return append(slices.Clone(list), generic(v)) })
	})
}

// Remove takes out the entry or item at the pointer.
func (t *Tree) Remove(line int, pointer string) error {
	i, err := t.doc(line)
	if err != nil {
		return err
	}
	path := parts(pointer)
	if len(path) == 0 {
		return fault.Bad("", "%s: a whole document is not removed", t.name)
	}
	parent, rest := walk(t.docs[i], path[:len(path)-1])
	if len(rest) > 0 || parent.child(path[len(path)-1]) == nil {
		return fault.New(fault.NotFound, "%s: nothing stands at %s", t.name, pointer)
	}
	change, err := t.cut(parent, path[len(path)-1])
	if err != nil {
		return err
	}
	return t.apply(change, i, func(root any) any {
		return alter(root, path[:len(path)-1], func(c any) any {
			last := path[len(path)-1]
			switch c := c.(type) {
			case map[string]any:
				c = maps.Clone(c)
				delete(c, last)
				return c
			case []any:
				j, _ := strconv.Atoi(last)
				return slices.Delete(slices.Clone(c), j, j+1)
			}
			return c
		})
	})
}

// AddDocument adds a document behind the last one.
func (t *Tree) AddDocument(v Map) error {
	if t.toml() {
		return fault.New(fault.Conflict, "%s: a TOML file is one document", t.name)
	}
	eol := t.eol()
	var b bytes.Buffer
	b.Write(t.text)
	if len(t.text) > 0 && !bytes.HasSuffix(t.text, []byte("\n")) {
		b.WriteString(eol)
	}
	if len(t.docs) > 0 {
		b.WriteString("---" + eol)
	}
	b.WriteString(strings.TrimPrefix(item(v, -2, eol), " ") + eol)
	next := &Tree{name: t.name}
	if err := next.parse(b.Bytes()); err != nil {
		return err
	}
	if len(next.docs) != len(t.docs)+1 || !slices.EqualFunc(t.docs, next.docs[:len(t.docs)], func(a, b *node) bool {
		return reflect.DeepEqual(generic(a.value()), generic(b.value()))
	}) || !reflect.DeepEqual(generic(next.docs[len(t.docs)].value()), generic(v)) {
		return fault.New(fault.Conflict, "%s: a document cannot be added so that everything else stays", t.name)
	}
	t.from = append(t.from, next.docs[len(t.docs)].line)
	t.text, t.docs = next.text, next.docs
	return nil
}

// edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// apply makes the edit and reads the file again: the document must be what want makes of it, and the others what they were.
func (t *Tree) apply(e edit, doc int, want func(any) any) error {
	var b bytes.Buffer
	b.Write(t.text[:e.start])
	b.WriteString(e.text)
	b.Write(t.text[e.end:])
	next := &Tree{name: t.name}
	if err := next.parse(b.Bytes()); err != nil {
		return fault.New(fault.Conflict, "%s: the change would break the file", t.name).Because(err)
	}
	if len(next.docs) != len(t.docs) {
		return fault.New(fault.Conflict, "%s: the change would divide the file otherwise", t.name)
	}
	for i := range t.docs {
		expect := generic(t.docs[i].value())
		if i == doc {
			expect = want(expect)
		}
		if !reflect.DeepEqual(expect, generic(next.docs[i].value())) {
			return fault.New(fault.Conflict, "%s: the value cannot be changed so that everything else stays: it is shared, or written in a form that is not edited", t.name)
		}
	}
	t.text, t.docs = next.text, next.docs
	return nil
}

func (t *Tree) parse(text []byte) error {
	if t.toml() {
		return t.parseTOML(text)
	}
	p := &parser{text: text, name: t.name}
	p.index()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var y yaml.Node
		if err := d.Decode(&y); err != nil {
			if err.Error() == "EOF" {
				break
			}
			return fault.Bad("", "%s cannot be read", t.name).Because(err)
		}
		if len(y.Content) == 0 {
			continue
		}
		n, err := p.build(y.Content[0], -1)
		if err != nil {
			return err
		}
		if !n.isNull() {
			t.docs = append(t.docs, n)
		}
	}
	t.text = text
	return nil
}

// generic is a value for comparison: maps without order.
func generic(v any) any {
	switch v := v.(type) {
	case Raw:
		return generic(v.Value)
	case Map:
		m := make(map[string]any, len(v))
		for _, e := range v {
			m[e.Key] = generic(e.Value)
		}
		return m
	case List:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = generic(x)
		}
		return l
	case int:
		return int64(v)
	}
	return v
}

func put(root any, path []string, v any) any {
	if len(path) == 0 {
		return generic(v)
	}
	switch c := root.(type) {
	case []any:
		c = slices.Clone(c)
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(c) {
			c[i] = put(c[i], path[1:], v)
		}
		return c
	case map[string]any:
		c = maps.Clone(c)
		c[path[0]] = put(c[path[0]], path[1:], v)
		return c
	}
	return map[string]any{path[0]: put(nil, path[1:], v)}
}

func alter(root any, path []string, f func(any) any) any {
	if len(path) == 0 {
		return f(root)
	}
	switch c := root.(type) {
	case []any:
		c = slices.Clone(c)
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(c) {
			c[i] = alter(c[i], path[1:], f)
		}
		return c
	case map[string]any:
		c = maps.Clone(c)
		c[path[0]] = alter(c[path[0]], path[1:], f)
		return c
	}
	return root
}
