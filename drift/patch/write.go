package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/fault"
)

func (t *Tree) json() bool { return strings.EqualFold(path.Ext(t.name), ".json") }

// eol is how the file ends its lines.
func (t *Tree) eol() string {
	if i := bytes.IndexByte(t.text, '\n'); i > 0 && t.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func (t *Tree) shared(n *node) error {
	return fault.New(fault.Conflict, "%s:%d: the value is an alias, which stands in other places too", t.name, n.line)
}

// replace writes a value in the place of another.
func (t *Tree) replace(n *node, v any) (edit, error) {
	if n.alias {
		return edit{}, t.shared(n)
	}
	start, end := n.start, n.end
	if t.toml() {
		if n.table != nil {
			return edit{}, t.unfit(n)
		}
		return edit{start, end, tomlText(v)}, nil
	}
	text := flow(v, t.json(), "", "", t.eol())
	switch {
	case n.isNull() && start == end:
		text = " " + text
	case n.kind != aScalar && !n.flow && bytes.HasSuffix(bytes.TrimRight(t.text[:start], " "), []byte("-")):
		// An item of a list, on the line of its mark.
	case n.kind != aScalar && !n.flow:
		// A block: what is written in its place stands on the line of its key.
		i := start
		for i > 0 && bytes.IndexByte([]byte(" \t\r\n-"), t.text[i-1]) >= 0 {
			i--
		}
		if i == 0 || t.text[i-1] != ':' {
			return edit{}, fault.New(fault.Conflict, "%s:%d: the value is written in a form that is not edited", t.name, n.line)
		}
		start, text = i, " "+text
	}
	return edit{start, end, text}, nil
}

// lineEnd is the end of the line on which the byte stands, without its mark.
func (t *Tree) lineEnd(at int) int {
	i := bytes.IndexByte(t.text[at:], '\n')
	if i < 0 {
		return len(t.text)
	}
	at += i
	if at > 0 && t.text[at-1] == '\r' {
		at--
	}
	return at
}

// insertKey adds an entry to a map, behind its last.
func (t *Tree) insertKey(n *node, key string, v any) (edit, error) {
	if n.alias {
		return edit{}, t.shared(n)
	}
	if t.toml() {
		return t.tomlKey(n, key, v)
	}
	eol := t.eol()
	if n.flow || len(n.keys) == 0 {
		return t.insertFlow(n, func(lead, unit string) string {
			name := quote(key)
			if !t.json() && plain.MatchString(key) {
				name = key
			}
			return name + ": " + flow(v, t.json(), lead, unit, eol)
		})
	}
	last := n.values[len(n.values)-1]
	at := t.lineEnd(last.end)
	pad := strings.Repeat(" ", n.indent)
	return edit{at, at, eol + pad + scalarText(key) + ":" + block(v, n.indent, eol)}, nil
}

// insertItem adds an item to a list, behind its last.
func (t *Tree) insertItem(n *node, v any) (edit, error) {
	if n.alias {
		return edit{}, t.shared(n)
	}
	if t.toml() {
		return t.tomlItem(n, v)
	}
	eol := t.eol()
	if n.flow || len(n.values) == 0 {
		return t.insertFlow(n, func(lead, unit string) string { return flow(v, t.json(), lead, unit, eol) })
	}
	at := t.lineEnd(n.values[len(n.values)-1].end)
	return edit{at, at, eol + strings.Repeat(" ", n.indent) + "-" + item(v, n.indent, eol)}, nil
}

// insertFlow adds to a list or map in brackets, on a line of its own where the others are.
func (t *Tree) insertFlow(n *node, text func(lead, unit string) string) (edit, error) {
	if n.end <= n.start+1 {
		return edit{}, fault.New(fault.Conflict, "%s:%d: the value is written in a form that is not edited", t.name, n.line)
	}
	if len(n.values) == 0 {
		return edit{n.start, n.end, string(t.text[n.start]) + text("", "") + string(t.text[n.end-1])}, nil
	}
	first := n.values[0].start
	if n.kind == aMap {
		first = n.keys[0].start
	}
	last := n.values[len(n.values)-1].end
	tail := t.text[last : n.end-1]
	comma := ","
	if bytes.HasPrefix(bytes.TrimLeft(tail, " \t\r\n"), []byte(",")) {
		last += bytes.IndexByte(tail, ',') + 1
		comma = ""
	}
	lead := leadOf(t.text, first)
	if bytes.IndexByte(t.text[n.start:first], '\n') < 0 {
		return edit{last, last, comma + " " + text("", "")}, nil
	}
	unit := strings.TrimPrefix(lead, leadOf(t.text, n.start))
	if unit == "" || len(unit) > 8 {
		unit = "  "
	}
	return edit{last, last, comma + t.eol() + lead + text(lead, unit)}, nil
}

// leadOf is the white space before the first character of the line of a byte.
func leadOf(text []byte, at int) string {
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	line := text[start:at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// cut takes an entry or item out.
func (t *Tree) cut(n *node, key string) (edit, error) {
	if n.alias {
		return edit{}, t.shared(n)
	}
	i := -1
	for j := range n.values {
		if n.kind == aMap && n.keys[j].text == key || n.kind == aList && key == strconv.Itoa(j) {
			i = j
		}
	}
	start := n.values[i].start
	if n.kind == aMap {
		start = n.keys[i].start
	}
	if n.flow {
		switch {
		case i > 0:
			return edit{n.values[i-1].end, n.values[i].end, ""}, nil
		case len(n.values) > 1:
			next := n.values[1].start
			if n.kind == aMap {
				next = n.keys[1].start
			}
			return edit{start, next, ""}, nil
		}
		return edit{n.start, n.end, string(t.text[n.start]) + string(t.text[n.end-1])}, nil
	}
	if t.toml() {
		return t.tomlCut(n, i)
	}
	if n.kind == aList {
		start = n.dashes[i]
	}
	from := bytes.LastIndexByte(t.text[:start], '\n') + 1
	if len(bytes.TrimSpace(t.text[from:start])) > 0 || len(n.values) == 1 {
		return edit{}, fault.New(fault.Conflict, "%s:%d: the value cannot be taken out and leave a readable file", t.name, n.values[i].line)
	}
	end := t.lineEnd(n.values[i].end)
	if j := bytes.IndexByte(t.text[end:], '\n'); j >= 0 {
		end += j + 1
	}
	return edit{from, end, ""}, nil
}

var (
	plain = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*$`)
	words = regexp.MustCompile(`(?i)^(?:true|false|yes|no|on|off|y|n|null|~)$`)
)

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func scalarText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if plain.MatchString(v) && !words.MatchString(v) {
			return v
		}
		return quote(v)
	case float64:
		s := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return fmt.Sprint(v)
}

// flow writes a value in brackets: on one line, or over several with the lead of the line that it stands on.
func flow(v any, json bool, lead, unit, eol string) string {
	sep, opened, closed := ", ", "", ""
	if unit != "" {
		sep, opened, closed = ","+eol+lead+unit, eol+lead+unit, eol+lead
	}
	switch v := v.(type) {
	case Raw:
		if v.flow != "" {
			return v.flow
		}
		return flow(v.Value, json, lead, unit, eol)
	case Map:
		if len(v) == 0 {
			return "{}"
		}
		out := make([]string, len(v))
		for i, e := range v {
			key := quote(e.Key)
			if !json {
				key = scalarText(e.Key)
			}
			out[i] = key + ": " + flow(e.Value, json, lead+unit, unit, eol)
		}
		return "{" + opened + strings.Join(out, sep) + closed + "}"
	case List:
		if len(v) == 0 {
			return "[]"
		}
		out := make([]string, len(v))
		simple := true
		for i, x := range v {
			switch x.(type) {
			case Map, List:
				simple = false
			}
			out[i] = flow(x, json, lead+unit, unit, eol)
		}
		if simple {
			return "[" + strings.Join(out, ", ") + "]"
		}
		return "[" + opened + strings.Join(out, sep) + closed + "]"
	case string:
		if json {
			return quote(v)
		}
	case float64:
		if json {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	return scalarText(v)
}

// block writes a value behind a key: a scalar on its line, a list or map on the lines below.
func block(v any, indent int, eol string) string {
	pad := strings.Repeat(" ", indent)
	var b strings.Builder
	switch v := v.(type) {
	case Raw:
		if v.behind == "" {
			return block(v.Value, indent, eol)
		}
		return v.moved(indent, eol)
	case Map:
		if len(v) == 0 {
			return " {}"
		}
		inner := indent + 2
		for _, e := range v {
			b.WriteString(eol + strings.Repeat(" ", inner) + scalarText(e.Key) + ":" + block(e.Value, inner, eol))
		}
	case List:
		if len(v) == 0 {
			return " []"
		}
		for _, x := range v {
			b.WriteString(eol + pad + "-" + item(x, indent, eol))
		}
	default:
		return " " + scalarText(v)
	}
	return b.String()
}

// item writes a value behind the mark of a list.
func item(v any, indent int, eol string) string {
	if r, ok := v.(Raw); ok {
		if r.behind == "" {
			return item(r.Value, indent, eol)
		}
		return r.moved(indent, eol)
	}
	m, ok := v.(Map)
	if !ok || len(m) == 0 {
		return " " + flow(v, false, "", "", eol)
	}
	var b strings.Builder
	inner := indent + 2
	for i, e := range m {
		if i > 0 {
			b.WriteString(eol + strings.Repeat(" ", inner))
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(scalarText(e.Key) + ":" + block(e.Value, inner, eol))
	}
	return b.String()
}
