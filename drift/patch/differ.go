package patch

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fault"
)

// Delta is one difference between two files that say the same things: a value that is another, an entry or item that is missing here, or
// one that is here and not there.
type Delta struct {
	Line    int      // of the document, here
	Pointer string   // of the value; of the list for an item that is missing
	Value   any      // what stands there; nil with Drop
	Index   int      // where in the list the item goes; -1 when it is no item
	Drop    bool     // it is taken out
	Entry   bool     // what is taken out is an entry or item with entries, and not a word of a list
	Words   []string // the texts within it
	Order   int      // among the differences of the file; they are made in the reverse order

	Document Map // a whole document that is missing
}

// mostDeltas bounds the differences; files that differ in more are not two versions of one.
const mostDeltas = 400

// Raw is a value of another file in the bytes in which it is written there.
type Raw struct {
	Value  any
	behind string // what stands behind its key or mark
	flow   string // the same where brackets are around it
	outer  int    // the column of its key or mark
	block  bool
	tagged bool
}

// Deltas are what has to change here so that it says what the other file says. Items of lists are taken for the same when they have the
// same name.
func (t *Tree) Deltas(other *Tree) []Delta {
	d := differ{here: t, there: other, raw: t.form() == other.form() && !t.toml()}
	used := map[int]bool{}
	for i, doc := range t.docs {
		j := -1
		for k, o := range other.docs {
			if !used[k] && identity(o) == identity(doc) && (identity(doc) != "" || k == i) {
				j = k
				break
			}
		}
		if j < 0 {
			continue
		}
		used[j] = true
		d.line = t.from[i]
		d.walk("", doc, other.docs[j])
	}
	if len(d.out) > mostDeltas {
		return nil
	}
	return d.out
}

// Missing are the documents of the other file that are not here.
func (t *Tree) Missing(other *Tree) []Map {
	var out []Map
	for _, o := range other.docs {
		id := identity(o)
		if m, ok := o.value().(Map); ok && id != "" && !tagged(o) && !slices.ContainsFunc(t.docs, func(d *node) bool { return identity(d) == id }) {
			out = append(out, m)
		}
	}
	return out
}

type differ struct {
	here, there *Tree
	raw         bool
	line        int
	out         []Delta
}

func (d *differ) add(x Delta) {
	x.Line, x.Order = d.line, len(d.out)
	d.out = append(d.out, x)
}

// walk finds the differences of two values that stand at the same place.
func (d *differ) walk(pointer string, a, b *node) {
	switch {
	case len(d.out) > mostDeltas || equal(a, b):
	case a.kind == aMap && b.kind == aMap && a.tag == b.tag:
		for i, k := range a.keys {
			if o := b.child(k.text); o != nil {
				d.walk(pointer+"/"+Key(k.text), a.values[i], o)
			} else {
				d.add(Delta{Pointer: pointer + "/" + Key(k.text), Index: -1, Drop: true, Entry: true, Words: texts(a.values[i])})
			}
		}
		for i, k := range b.keys {
			if a.child(k.text) == nil {
				d.put(pointer+"/"+Key(k.text), -1, d.rawOf(b.values[i], k.end, columnOf(d.there.text, k.start)), b.values[i])
			}
		}
	case a.kind == aList && b.kind == aList && a.tag == b.tag:
		d.lists(pointer, a, b)
	default:
		d.put(pointer, -1, d.rawOf(b, -1, 0), b)
	}
}

func (d *differ) put(pointer string, index int, r Raw, n *node) {
	if r.tagged && r.behind == "" && r.flow == "" {
		return // its tag is lost on the way
	}
	d.add(Delta{Pointer: pointer, Index: index, Value: r, Words: texts(n)})
}

// rawOf keeps the bytes of a value where they can be written elsewhere.
func (d *differ) rawOf(n *node, key, column int) Raw {
	r := Raw{Value: n.value(), outer: column, tagged: tagged(n)}
	text := d.there.text
	if !d.raw || shared(n) {
		return r
	}
	one := bytes.IndexByte(text[n.start:n.end], '\n') < 0
	r.block = n.kind != aScalar && !n.flow || n.kind == aScalar && !one
	if !r.block {
		r.flow = string(text[n.start:n.end])
		r.behind = " " + r.flow
		return r
	}
	if key >= 0 {
		if i := bytes.IndexByte(text[key:n.end], ':'); i >= 0 && !d.there.json() {
			r.behind = string(text[key+i+1 : n.end])
		}
	}
	return r
}

// lists pairs the items of two lists: those that are the same or have the same name, and of the others those that stand in the same gap.
func (d *differ) lists(pointer string, a, b *node) {
	same := func(x, y *node) bool {
		if equal(x, y) {
			return true
		}
		id := identity(x)
		return id != "" && id == identity(y)
	}
	at := func(i int) string { return pointer + "/" + strconv.Itoa(i) }
	i, j := 0, 0
	for _, p := range append(pairs(a.values, b.values, same), [2]int{len(a.values), len(b.values)}) {
		for i < p[0] && j < p[1] && identity(a.values[i]) == "" && identity(b.values[j]) == "" && a.values[i].kind == b.values[j].kind {
			d.walk(at(i), a.values[i], b.values[j])
			i, j = i+1, j+1
		}
		for ; i < p[0]; i++ {
			d.add(Delta{Pointer: at(i), Index: -1, Drop: true, Entry: a.values[i].kind != aScalar, Words: texts(a.values[i])})
		}
		for ; j < p[1]; j++ {
			r := d.rawOf(b.values[j], -1, 0)
			if !b.flow && d.raw && !shared(b.values[j]) && len(b.dashes) > j {
				r.behind, r.outer = string(d.there.text[b.dashes[j]+1:b.values[j].end]), columnOf(d.there.text, b.dashes[j])
			}
			d.put(pointer, p[0], r, b.values[j])
		}
		if i < len(a.values) && j < len(b.values) {
			d.walk(at(i), a.values[i], b.values[j])
			i, j = i+1, j+1
		}
	}
}

// pairs is the longest common part of two lists, as places in both.
func pairs[T any](a, b []T, same func(x, y T) bool) [][2]int {
	if len(a)*len(b) > 1<<20 {
		return nil
	}
	width := len(b) + 1
	longest := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if same(a[i], b[j]) {
				longest[i*width+j] = longest[(i+1)*width+j+1] + 1
			} else {
				longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
			}
		}
	}
	var out [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case same(a[i], b[j]):
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case longest[(i+1)*width+j] >= longest[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// names are the entries by which items are told apart, in the order in which they are tried.
var names = [][]string{{"kind", "metadata/name"}, {"endpoint", "method"}, {"name"}, {"Name"}, {"id"}, {"Id"}, {"path", "method"}, {"path"}, {"host"}, {"kind", "name"}, {"type"}, {"match"}, {"url_pattern"}, {"port"}}

// identity is the name of an item, "" when it has none.
func identity(n *node) string {
	if n.kind != aMap {
		return ""
	}
	for _, list := range names {
		id := ""
		for _, k := range list {
			at := n
			for _, part := range strings.Split(k, "/") {
				if at != nil {
					at = at.child(part)
				}
			}
			if at == nil || at.kind != aScalar || at.text == "" {
				id = ""
				break
			}
			id += k + "=" + at.text + "\x00"
		}
		if id != "" {
			if len(list) == 2 && list[0] == "kind" {
				if m := n.child("metadata"); m != nil && m.child("namespace") != nil {
					id += m.child("namespace").text
				}
			}
			return id
		}
	}
	return ""
}

func equal(a, b *node) bool {
	if a.kind != b.kind || a.tag != b.tag || len(a.values) != len(b.values) {
		return false
	}
	switch a.kind {
	case aMap:
		for i, k := range a.keys {
			if o := b.child(k.text); o == nil || !equal(a.values[i], o) {
				return false
			}
		}
		return true
	case aList:
		for i := range a.values {
			if !equal(a.values[i], b.values[i]) {
				return false
			}
		}
		return true
	}
	return a.scalar == b.scalar
}

func tagged(n *node) bool {
	return n.tag != "" || slices.ContainsFunc(n.values, tagged)
}

// shared reports whether the value has a name that others refer to, or is one of those others.
func shared(n *node) bool {
	return n.alias || n.anchor || slices.ContainsFunc(n.values, shared)
}

// Plain is a value without the bytes in which it is written.
func Plain(v any) any {
	if r, ok := v.(Raw); ok {
		return r.Value
	}
	return v
}

// Any reports whether one of the documents passes the test.
func (t *Tree) Any(test func(any) bool) bool {
	return slices.ContainsFunc(t.docs, func(n *node) bool { return test(n.value()) })
}

// Texts are the texts within a value.
func Texts(v any) []string {
	switch v := v.(type) {
	case Map:
		var out []string
		for _, e := range v {
			out = append(out, Texts(e.Value)...)
		}
		return out
	case List:
		var out []string
		for _, x := range v {
			out = append(out, Texts(x)...)
		}
		return out
	case string:
		return []string{v}
	}
	return nil
}

// texts are the texts within a value.
func texts(n *node) []string {
	if n.kind == aScalar {
		return []string{n.text}
	}
	var out []string
	for _, v := range n.values {
		out = append(out, texts(v)...)
	}
	return out
}

func columnOf(text []byte, at int) int { return at - (bytes.LastIndexByte(text[:at], '\n') + 1) }

// Apply makes one difference go away.
func (t *Tree) Apply(d Delta) error {
	pointer := d.Pointer
	switch {
	case d.Document != nil:
		return t.AddDocument(d.Document)
	case d.Drop:
		return t.Remove(d.Line, d.Pointer)
	case d.Index >= 0:
		pointer += "/" + strconv.Itoa(d.Index)
		if err := t.Insert(d.Line, d.Pointer, d.Index, d.Value); err != nil {
			return err
		}
	default:
		if err := t.Set(d.Line, d.Pointer, d.Value); err != nil {
			return err
		}
	}
	if r, ok := d.Value.(Raw); ok && r.tagged {
		i, err := t.doc(d.Line)
		if err != nil {
			return err
		}
		if n, rest := walk(t.docs[i], parts(pointer)); len(rest) > 0 || !tagged(n) {
			return fault.New(fault.Conflict, "%s: what stands at %s cannot be written in the form of this file", t.name, pointer)
		}
	}
	return nil
}

// Insert adds an item to the list at the pointer, in front of the one that stands at the index, or behind the last.
func (t *Tree) Insert(line int, pointer string, index int, v any) error {
	i, err := t.doc(line)
	if err != nil {
		return err
	}
	path := parts(pointer)
	at, rest := walk(t.docs[i], path)
	if len(rest) > 0 || at.kind != aList || index >= len(at.values) {
		return t.Append(line, pointer, v)
	}
	if at.alias {
		return t.shared(at)
	}
	start := at.values[index].start
	var change edit
	switch {
	case t.toml() && !at.flow:
		return t.unfit(at)
	case t.toml():
		change = edit{start, start, tomlText(v) + ", "}
	case !at.flow:
		dash := at.dashes[index]
		begin := bytes.LastIndexByte(t.text[:dash], '\n') + 1
		if len(bytes.TrimSpace(t.text[begin:dash])) > 0 {
			return fault.New(fault.Conflict, "%s:%d: the list begins behind something, so nothing is put in front of it", t.name, at.line)
		}
		change = edit{begin, begin, strings.Repeat(" ", at.indent) + "-" + item(v, at.indent, t.eol()) + t.eol()}
	case bytes.IndexByte(t.text[at.start:start], '\n') >= 0:
		lead := leadOf(t.text, start)
		change = edit{start, start, flow(v, t.json(), lead, "  ", t.eol()) + "," + t.eol() + lead}
	default:
		change = edit{start, start, flow(v, t.json(), "", "", t.eol()) + ", "}
	}
	return t.apply(change, i, func(root any) any {
		return alter(root, path, func(l any) any {
			list, _ := l.([]any)
			return slices.Insert(slices.Clone(list), index, generic(v))
		})
	})
}

// moved is the raw text behind a key or mark in another column.
func (r Raw) moved(column int, eol string) string {
	list := strings.Split(strings.ReplaceAll(r.behind, "\r\n", "\n"), "\n")
	for i, l := range list[1:] {
		switch by := column - r.outer; {
		case strings.TrimSpace(l) == "":
		case by > 0:
			l = strings.Repeat(" ", by) + l
		default:
			l = strings.TrimPrefix(l, strings.Repeat(" ", min(-by, len(l)-len(strings.TrimLeft(l, " ")))))
		}
		list[i+1] = l
	}
	return strings.Join(list, eol)
}
