package patch

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"gatehouse/fault"
)

// table is where a table of a TOML file stands, which may be in several places.
type table struct {
	path   []string
	start  int    // of the line of its header; -1 when it has none
	insert int    // the end of its last line, behind which another is written; -1 when it has no lines of its own
	prefix string // what stands before its keys there: it is written as dotted keys
	within bool   // a list of tables is on the way, so that a header elsewhere would be another item's
	heads  int    // how many headers below it there are
}

func (t *Tree) toml() bool { return strings.EqualFold(path.Ext(t.name), ".toml") }

// form tells files apart whose values are not written alike.
func (t *Tree) form() string {
	switch {
	case t.toml():
		return "toml"
	case t.json():
		return "json"
	}
	return "yaml"
}

// tomlParser finds the values of a file and their bytes.
type tomlParser struct {
	*parser
	d    unstable.Parser
	root *node
	at   *node // the table whose keys are read
}

func (t *Tree) parseTOML(text []byte) error {
	p := &tomlParser{parser: &parser{text: text, name: t.name}}
	p.index()
	p.root = &node{kind: aMap, line: 1, table: &table{start: -1}}
	p.at = p.root
	p.d.Reset(text)
	if line, deep := p.deep(); deep {
		return fault.Bad("", "%s:%d: is nested too deeply", t.name, line)
	}
	var err error
	for err == nil && p.d.NextExpression() {
		switch e := p.d.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			err = p.header(e)
		case unstable.KeyValue:
			_, err = p.pair(p.at, e, false)
		}
	}
	if err == nil {
		err = p.d.Error()
	}
	if err != nil {
		return fault.Bad("", "%s cannot be read", t.name).Because(err)
	}
	t.docs, t.text = []*node{p.root}, text
	return nil
}

// deep looks for brackets that are nested deeper than a parser that recurses should go.
func (p *tomlParser) deep() (line int, deep bool) {
	depth := 0
	for at := 0; at < len(p.text); at++ {
		switch p.text[at] {
		case '#':
			at = p.lineEnd(at)
		case '"', '\'':
			at = p.str(at) - 1
		case '[', '{':
			if depth++; depth > maxDepth {
				return 1 + bytes.Count(p.text[:at], []byte("\n")), true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return 0, false
}

func (p *tomlParser) lineEnd(at int) int {
	i := bytes.IndexByte(p.text[min(at, len(p.text)):], '\n')
	if i < 0 {
		return len(p.text)
	}
	if at += i; at > 0 && p.text[at-1] == '\r' {
		at--
	}
	return at
}

// str is the end of the string that opens at the byte.
func (p *tomlParser) str(at int) int {
	q := p.text[at]
	mark := []byte{q, q, q}
	if !bytes.HasPrefix(p.text[at:], mark) {
		for i := at + 1; i < len(p.text); i++ {
			switch {
			case q == '"' && p.text[i] == '\\':
				i++
			case p.text[i] == q || p.text[i] == '\n':
				return i + 1
			}
		}
		return len(p.text)
	}
	for i := at + 3; i < len(p.text); i++ {
		switch {
		case q == '"' && p.text[i] == '\\':
			i++
		case bytes.HasPrefix(p.text[i:], mark):
			for i += 3; i < len(p.text) && p.text[i] == q; i++ { // up to two more belong to the text
			}
			return i
		}
	}
	return len(p.text)
}

// space goes over white space, line ends and comments.
func (p *tomlParser) space(at int) int {
	for at < len(p.text) {
		switch p.text[at] {
		case ' ', '\t', '\r', '\n', ',':
			at++
		case '#':
			at = p.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

func (p *tomlParser) count() error {
	if p.nodes++; p.nodes > maxNodes {
		return fmt.Errorf("holds too many values")
	}
	return nil
}

func (p *tomlParser) key(k *unstable.Node) *node {
	start := int(k.Raw.Offset)
	return &node{start: start, end: start + int(k.Raw.Length), text: string(k.Data), line: 1 + bytes.Count(p.text[:start], []byte("\n"))}
}

// header goes to the table that it names.
func (p *tomlParser) header(e *unstable.Node) error {
	at, within := p.root, false
	var way []string
	for k := e.Key(); k.Next(); {
		if err := p.count(); err != nil {
			return err
		}
		key := p.key(k.Node())
		start := p.lineStart(key.start)
		way = append(way, key.text)
		at.table.heads++
		next := at.child(key.text)
		list := k.IsLast() && e.Kind == unstable.ArrayTable
		if next == nil {
			next = &node{kind: aMap, start: start, line: key.line, table: &table{path: slices.Clone(way), start: -1, insert: -1, within: within}}
			if list {
				next.kind = aList
			}
			at.keys, at.values = append(at.keys, key), append(at.values, next)
		}
		if next.kind == aList && !next.flow {
			within = true
			if list {
				item := &node{kind: aMap, start: start, line: key.line, table: &table{path: slices.Clone(way), start: -1, insert: -1, within: true}}
				next.values, next.dashes = append(next.values, item), append(next.dashes, start)
			}
			if len(next.values) == 0 {
				return errors.New("a list of tables has no item yet")
			}
			next = next.values[len(next.values)-1]
		}
		if next.kind != aMap || next.table == nil || next.table.prefix != "" {
			return fmt.Errorf("line %d: %q is no table", key.line, key.text)
		}
		if at = next; k.IsLast() {
			at.table.start, at.table.insert = start, p.lineEnd(key.end)
		}
	}
	p.at = at
	return nil
}

// pair reads a key and its value, and returns where it ends.
func (p *tomlParser) pair(at *node, e *unstable.Node, inline bool) (int, error) {
	section := at
	for k := e.Key(); k.Next(); {
		if err := p.count(); err != nil {
			return 0, err
		}
		key := p.key(k.Node())
		if !k.IsLast() {
			next := at.child(key.text)
			if next == nil {
				next = &node{kind: aMap, start: key.start, end: key.end, line: key.line, flow: inline}
				if !inline {
					next.table = &table{path: append(slices.Clone(at.table.path), key.text), start: -1, within: true, prefix: at.table.prefix + keyText(key.text) + "."}
				}
				at.keys, at.values = append(at.keys, key), append(at.values, next)
			}
			if next.kind != aMap || inline || next.table == nil {
				return 0, fmt.Errorf("line %d: %q is written in a form that is not edited", key.line, key.text)
			}
			at = next
			continue
		}
		start := p.space(key.end)
		if start < len(p.text) && p.text[start] == '=' {
			start = p.space(start + 1)
		}
		v, err := p.value(e.Value(), start)
		if err != nil {
			return 0, err
		}
		at.keys, at.values = append(at.keys, key), append(at.values, v)
		if !inline {
			section.table.insert, at.table.insert = p.lineEnd(v.end), p.lineEnd(v.end)
		}
		return v.end, nil
	}
	return 0, errors.New("a key is missing")
}

// value reads what begins at the byte.
func (p *tomlParser) value(v *unstable.Node, start int) (*node, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	n := &node{start: start, line: 1 + bytes.Count(p.text[:min(start, len(p.text))], []byte("\n")), text: string(v.Data)}
	at := start + 1
	switch v.Kind {
	case unstable.Array:
		n.kind, n.flow, n.text = aList, true, ""
		for c := v.Children(); c.Next(); {
			x, err := p.value(c.Node(), p.space(at))
			if err != nil {
				return nil, err
			}
			n.values, n.dashes = append(n.values, x), append(n.dashes, 0)
			at = x.end
		}
		n.end = p.space(at) + 1
	case unstable.InlineTable:
		n.kind, n.flow, n.text = aMap, true, ""
		for c := v.Children(); c.Next(); {
			end, err := p.pair(n, c.Node(), true)
			if err != nil {
				return nil, err
			}
			at = end
		}
		n.end = p.space(at) + 1
	case unstable.String:
		n.scalar, n.end = n.text, p.str(start)
	default:
		n.end = start + len(v.Data)
		n.scalar = bare(v)
	}
	if n.end > len(p.text) || (v.Kind == unstable.Array || v.Kind == unstable.InlineTable) && p.text[n.end-1] != ']' && p.text[n.end-1] != '}' {
		return nil, p.unfit(n.line)
	}
	return n, nil
}

// bare is a value that is no text: dates and times stay as they are written.
func bare(v *unstable.Node) any {
	s := strings.ReplaceAll(string(v.Data), "_", "")
	switch v.Kind {
	case unstable.Bool:
		return s == "true"
	case unstable.Integer:
		if i, err := strconv.ParseInt(s, 0, 64); err == nil {
			return i
		}
	case unstable.Float:
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) {
			return f
		}
	}
	return s
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func keyText(s string) string {
	if bareKey.MatchString(s) {
		return s
	}
	return quote(s)
}

func headText(path []string) string {
	out := make([]string, len(path))
	for i, s := range path {
		out[i] = keyText(s)
	}
	return strings.Join(out, ".")
}

// tomlText writes a value on one line.
func tomlText(v any) string {
	switch v := v.(type) {
	case Raw:
		return tomlText(v.Value)
	case Map:
		if len(v) == 0 {
			return "{}"
		}
		out := make([]string, len(v))
		for i, e := range v {
			out[i] = keyText(e.Key) + " = " + tomlText(e.Value)
		}
		return "{ " + strings.Join(out, ", ") + " }"
	case List:
		out := make([]string, len(v))
		for i, x := range v {
			out[i] = tomlText(x)
		}
		return "[" + strings.Join(out, ", ") + "]"
	case string:
		return quote(v)
	case nil:
		return `""`
	}
	return scalarText(v)
}

// section writes a table with its header, and those below it behind it.
func section(way []string, m Map, eol string) string {
	var b, below strings.Builder
	b.WriteString("[" + headText(way) + "]" + eol)
	for _, e := range m {
		if inner, ok := Plain(e.Value).(Map); ok {
			below.WriteString(eol + section(append(slices.Clone(way), e.Key), inner, eol))
			continue
		}
		b.WriteString("  " + keyText(e.Key) + " = " + tomlText(e.Value) + eol)
	}
	return b.String() + below.String()
}

// behind is an edit at the end of the file, with an empty line in front of it.
func (t *Tree) behind(text string) edit {
	eol, lead := t.eol(), ""
	if len(t.text) > 0 && !bytes.HasSuffix(t.text, []byte("\n")) {
		lead = eol
	}
	if len(bytes.TrimSpace(t.text)) > 0 {
		lead += eol
	}
	return edit{len(t.text), len(t.text), lead + text}
}

// tomlKey adds an entry to a table: a line behind its others, or a table of its own at the end of the file.
func (t *Tree) tomlKey(n *node, key string, v any) (edit, error) {
	eol := t.eol()
	if n.flow {
		return t.insertFlow(n, func(string, string) string { return keyText(key) + " = " + tomlText(v) })
	}
	s := n.table
	m, isMap := Plain(v).(Map)
	switch {
	case s == nil:
		return edit{}, t.unfit(n)
	case isMap && !s.within:
		return t.behind(section(append(slices.Clone(s.path), key), m, eol)), nil
	case s.insert < 0 && s.within:
		return edit{}, t.unfit(n)
	case s.insert < 0:
		return t.behind(section(s.path, Map{{key, v}}, eol)), nil
	}
	line := s.prefix + keyText(key) + " = " + tomlText(v)
	if len(s.path) == 0 && (len(n.keys) == 0 || s.insert == 0) {
		return edit{0, 0, line + eol}, nil
	}
	lead := leadOf(t.text, s.insert)
	if len(n.keys) == s.heads && s.start >= 0 { // its header alone
		lead += "  "
	}
	return edit{s.insert, s.insert, eol + lead + line}, nil
}

// tomlItem adds an item to a list.
func (t *Tree) tomlItem(n *node, v any) (edit, error) {
	if n.flow {
		return t.insertFlow(n, func(string, string) string { return tomlText(v) })
	}
	m, isMap := Plain(v).(Map)
	if n.table == nil || n.table.within || !isMap {
		return edit{}, t.unfit(n)
	}
	text := section(n.table.path, m, t.eol())
	head, rest, _ := strings.Cut(text, "]")
	return t.behind("[" + head + "]]" + rest), nil
}

// tomlCut takes an entry out that takes whole lines: a key with its value, or a table that has no others below it.
func (t *Tree) tomlCut(n *node, i int) (edit, error) {
	v := n.values[i]
	start := v.start
	if n.kind == aMap {
		start = n.keys[i].start
	}
	from, end := bytes.LastIndexByte(t.text[:start], '\n')+1, v.end
	switch s := v.table; {
	case s != nil && (s.start < 0 || s.heads > 0 || v.kind != aMap):
		return edit{}, t.unfit(v)
	case s != nil:
		from, end = s.start, s.insert
	case len(bytes.TrimSpace(t.text[from:start])) > 0:
		return edit{}, t.unfit(v)
	}
	end = t.lineEnd(end)
	if j := bytes.IndexByte(t.text[end:], '\n'); j >= 0 {
		end += j + 1
	}
	return edit{from, end, ""}, nil
}

func (t *Tree) unfit(n *node) error {
	return fault.New(fault.Conflict, "%s:%d: the value is written in a form that is not edited", t.name, n.line)
}
