package patch

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"gatehouse/fault"
)

type kind uint8

const (
	aScalar kind = iota
	aList
	aMap
)

// node is one value with the bytes that it takes.
type node struct {
	kind       kind
	flow       bool
	alias      bool
	start, end int // end is exclusive; that of a block is the end of its last value
	line       int
	indent     int // of a block's entries
	keys       []*node
	values     []*node
	dashes     []int // where the items of a block list begin
	scalar     any
	text       string
	tag        string // one of its own, such as CloudFormation's
	anchor     bool   // others may refer to it
	table      *table // of a TOML file, and of one that is not in brackets
}

const (
	maxDepth = 200
	maxNodes = 1 << 20
)

type parser struct {
	name  string
	text  []byte
	lines []int // offsets of their first bytes
	nodes int
	depth int
}

func (p *parser) index() {
	p.lines = []int{0}
	for i, c := range p.text {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
}

// offset is the byte of a line and a column, which counts characters.
func (p *parser) offset(line, column int) (int, error) {
	if line < 1 || line > len(p.lines) {
		return 0, p.unfit(line)
	}
	at := p.lines[line-1]
	for range column - 1 {
		if at >= len(p.text) {
			break
		}
		_, n := utf8.DecodeRune(p.text[at:])
		at += n
	}
	return at, nil
}

func (p *parser) unfit(line int) error {
	return fault.New(fault.Conflict, "%s:%d: the value is written in a form that is not edited", p.name, line)
}

// build turns a parsed value into one with its bytes. outer is the indentation of what holds it.
func (p *parser) build(y *yaml.Node, outer int) (*node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, fault.Bad("", "%s holds too many values", p.name)
	}
	if p.depth++; p.depth > maxDepth {
		return nil, fault.Bad("", "%s is nested too deeply", p.name)
	}
	defer func() { p.depth-- }()
	start, err := p.offset(y.Line, y.Column)
	if err != nil {
		return nil, err
	}
	n := &node{start: start, line: y.Line, indent: y.Column - 1, anchor: y.Anchor != ""}
	if y.Style&yaml.TaggedStyle != 0 || strings.HasPrefix(y.Tag, "!") && !strings.HasPrefix(y.Tag, "!!") {
		n.tag = y.Tag
	}
	if y.Kind == yaml.AliasNode {
		return p.aliased(y, n)
	}
	body := p.skipProperties(start)
	n.flow = y.Style&yaml.FlowStyle != 0
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = aMap
		for i := 0; i+1 < len(y.Content); i += 2 {
			k, err := p.build(y.Content[i], outer)
			if err != nil {
				return nil, err
			}
			if i == 0 && !n.flow {
				n.indent = y.Content[0].Column - 1
			}
			v, err := p.build(y.Content[i+1], n.indent)
			if err != nil {
				return nil, err
			}
			n.keys, n.values = append(n.keys, k), append(n.values, v)
		}
	case yaml.SequenceNode:
		n.kind = aList
		for _, c := range y.Content {
			dash, inner := 0, outer
			if !n.flow {
				if dash, err = p.dash(c); err != nil {
					return nil, err
				}
				inner = dash - p.lineStart(dash)
				n.indent = inner
			}
			v, err := p.build(c, inner)
			if err != nil {
				return nil, err
			}
			n.values, n.dashes = append(n.values, v), append(n.dashes, dash)
		}
	default:
		return n, p.scalar(y, n, body, outer)
	}
	if n.flow {
		n.end, err = p.closing(body, y.Line)
		return n, err
	}
	n.end = body
	if len(n.values) > 0 {
		n.end = n.values[len(n.values)-1].end
	}
	return n, nil
}

// aliased is the value that an alias stands for, in the bytes of the alias. It can be read and not changed from here.
func (p *parser) aliased(y *yaml.Node, n *node) (*node, error) {
	v, err := p.build(y.Alias, 0)
	if err != nil {
		return nil, err
	}
	c := *v
	c.alias, c.start, c.line, c.end = true, n.start, n.line, n.start+1+len(y.Value)
	return &c, nil
}

// skipProperties goes over anchors and tags.
func (p *parser) skipProperties(at int) int {
	for at < len(p.text) && (p.text[at] == '&' || p.text[at] == '!') {
		for at < len(p.text) && !bytes.ContainsRune([]byte(" \t\r\n"), rune(p.text[at])) {
			at++
		}
		for at < len(p.text) && (p.text[at] == ' ' || p.text[at] == '\t') {
			at++
		}
	}
	return at
}

// dash finds the mark of a block list's item.
func (p *parser) dash(c *yaml.Node) (int, error) {
	at, err := p.offset(c.Line, c.Column)
	if err != nil {
		return 0, err
	}
	for i := at - 1; i >= p.lineStart(at); i-- {
		switch p.text[i] {
		case '-':
			return i, nil
		case ' ', '\t':
		default:
			return 0, p.unfit(c.Line)
		}
	}
	return 0, p.unfit(c.Line)
}

func (p *parser) lineStart(at int) int { return bytes.LastIndexByte(p.text[:at], '\n') + 1 }

// closing finds the end of a flow list or map that opens at the byte.
func (p *parser) closing(at, line int) (int, error) {
	depth := 0
	for i := at; i < len(p.text); i++ {
		switch p.text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case '"', '\'':
			if i > 0 && !bytes.ContainsRune([]byte(" \t\r\n,[{:"), rune(p.text[i-1])) {
				continue // within a plain scalar
			}
			end := quoted(p.text, i)
			if end < 0 {
				return 0, p.unfit(line)
			}
			i = end - 1
		case '#':
			if i > 0 && bytes.ContainsRune([]byte(" \t\n"), rune(p.text[i-1])) {
				for i < len(p.text) && p.text[i] != '\n' {
					i++
				}
			}
		}
	}
	return 0, p.unfit(line)
}

// quoted finds the end of a quoted scalar that opens at the byte, or -1.
func quoted(b []byte, at int) int {
	q := b[at]
	for i := at + 1; i < len(b); i++ {
		switch {
		case q == '"' && b[i] == '\\':
			i++
		case b[i] == q:
			if q == '\'' && i+1 < len(b) && b[i+1] == q {
				i++
				continue
			}
			return i + 1
		}
	}
	return -1
}

func (p *parser) scalar(y *yaml.Node, n *node, body, outer int) error {
	n.text = y.Value
	n.scalar = y.Value
	style := y.Style &^ yaml.TaggedStyle
	if style == 0 {
		switch y.ShortTag() {
		case "!!null":
			n.scalar = nil
		case "!!bool":
			n.scalar = strings.EqualFold(y.Value, "true")
		case "!!int":
			if i, err := strconv.ParseInt(y.Value, 0, 64); err == nil {
				n.scalar = i
			}
		case "!!float":
			if f, err := strconv.ParseFloat(y.Value, 64); err == nil {
				n.scalar = f
			}
		}
	}
	switch {
	case style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if body >= len(p.text) || p.text[body] != '"' && p.text[body] != '\'' {
			return p.unfit(y.Line)
		}
		if n.end = quoted(p.text, body); n.end < 0 {
			return p.unfit(y.Line)
		}
	case style == 0 && bytes.HasPrefix(p.text[min(body, len(p.text)):], []byte(y.Value)):
		n.end = body + len(y.Value)
	default:
		n.end = p.blockEnd(body, outer)
	}
	return nil
}

// blockEnd is the end of a text over several lines: of those that are indented more than what holds it.
func (p *parser) blockEnd(body, outer int) int {
	end := body
	for i := body; i < len(p.text); {
		next := bytes.IndexByte(p.text[i:], '\n')
		last := next < 0
		if last {
			next = len(p.text) - i
		}
		line := p.text[i : i+next]
		trimmed := bytes.TrimRight(line, " \t\r")
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		if i != body && len(trimmed) > 0 && indent <= outer {
			break
		}
		if len(trimmed) > 0 {
			end = i + len(trimmed)
		}
		if last {
			break
		}
		i += next + 1
	}
	return end
}

func (n *node) isNull() bool { return n.kind == aScalar && n.scalar == nil && !n.alias }

func (n *node) child(key string) *node {
	switch n.kind {
	case aMap:
		for i := len(n.keys) - 1; i >= 0; i-- {
			if n.keys[i].text == key {
				return n.values[i]
			}
		}
	case aList:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.values) {
			return n.values[i]
		}
	}
	return nil
}

func (n *node) value() any {
	switch n.kind {
	case aMap:
		m := make(Map, len(n.keys))
		for i, k := range n.keys {
			m[i] = Entry{k.text, n.values[i].value()}
		}
		return m
	case aList:
		l := make(List, len(n.values))
		for i, v := range n.values {
			l[i] = v.value()
		}
		return l
	}
	return n.scalar
}
