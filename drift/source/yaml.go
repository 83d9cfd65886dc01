package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"gatehouse/drift"
)

// Documents reads a YAML, JSON or TOML file, by its name's ending, as its documents. It notes what is wrong; what stands before a mistake
// in a file of several documents is returned.
func (f *Folder) Documents(name string) []*Node {
	b, ok := f.Text(name)
	if !ok {
		return nil
	}
	return f.Parsed(name, b)
}

// Parsed is Documents for a file whose text was taken before.
func (f *Folder) Parsed(name string, b []byte) []*Node {
	docs, doubts, err := Parse(name, b)
	if err != nil {
		f.files.Read--
		f.Problem(drift.Problem{File: name, Line: lineIn(err), Text: err.Error(), Partial: true})
	}
	for _, d := range doubts {
		f.Problem(d)
	}
	return docs
}

// Parse reads YAML, JSON or TOML by the name's ending.
func Parse(name string, b []byte) ([]*Node, []drift.Problem, error) {
	p := &parser{file: name}
	if strings.EqualFold(path.Ext(name), ".json") {
		n, err := p.json(b)
		if n == nil {
			return nil, p.doubts, err
		}
		return []*Node{n}, p.doubts, err
	}
	if strings.EqualFold(path.Ext(name), ".toml") {
		n, err := p.toml(b)
		if n == nil || len(n.Keys) == 0 {
			return nil, p.doubts, err
		}
		return []*Node{n}, p.doubts, err
	}
	docs, err := p.yaml(b)
	return docs, p.doubts, err
}

type parser struct {
	file   string
	nodes  int
	doubts []drift.Problem
	lines  []int // offsets of line ends, for JSON
}

var (
	errMany = fmt.Errorf("holds more than %d values, aliases written out", maxNodes)
	errDeep = fmt.Errorf("is nested deeper than %d", maxNest)
)

// lineIn finds the line in a parser's message.
func lineIn(err error) int {
	s := err.Error()
	for _, mark := range []string{"line ", "L"} {
		if i := strings.Index(s, mark); i >= 0 {
			rest := s[i+len(mark):]
			j := 0
			for j < len(rest) && rest[j] >= '0' && rest[j] <= '9' {
				j++
			}
			if n, err := strconv.Atoi(rest[:j]); err == nil {
				return n
			}
		}
	}
	return 0
}

func (p *parser) yaml(b []byte) (docs []*Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var y yaml.Node
		if err := d.Decode(&y); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return docs, err
		}
		n, err := p.convert(&y, nil, "", 0)
		if err != nil {
			return docs, err
		}
		if n != nil && n.Kind != Null {
			docs = append(docs, n)
		}
	}
}

func (p *parser) convert(y *yaml.Node, parent *Node, key string, depth int) (*Node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, errMany
	}
	if depth > maxNest {
		return nil, fmt.Errorf("line %d: %w", y.Line, errDeep)
	}
	n := &Node{File: p.file, Line: y.Line, parent: parent, key: key}
	if t := y.ShortTag(); strings.HasPrefix(t, "!") && !strings.HasPrefix(t, "!!") {
		n.Tag = t
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return nil, nil
		}
		return p.convert(y.Content[0], parent, key, depth+1)
	case yaml.AliasNode:
		return p.convert(y.Alias, parent, key, depth+1)
	case yaml.SequenceNode:
		n.Kind = List
		for i, c := range y.Content {
			v, err := p.convert(c, n, strconv.Itoa(i), depth+1)
			if err != nil {
				return nil, err
			}
			n.Values = append(n.Values, v)
		}
	case yaml.MappingNode:
		n.Kind = Map
		return n, p.mapping(y, n, depth)
	case yaml.ScalarNode:
		n.Text = y.Value
		switch {
		case y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			n.Kind, n.Quoted = String, true
		default:
			switch y.ShortTag() {
			case "!!null":
				n.Kind = Null
			case "!!bool":
				n.Kind = Bool
			case "!!int", "!!float":
				n.Kind = Number
			default:
				n.Kind = String
			}
		}
	}
	return n, nil
}

func (p *parser) mapping(y *yaml.Node, n *Node, depth int) error {
	var merges []*yaml.Node
	at := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: a key must be a scalar", k.Line)
		}
		if k.Value == "<<" && k.Style == 0 {
			merges = append(merges, y.Content[i+1])
			continue
		}
		v, err := p.convert(y.Content[i+1], n, k.Value, depth+1)
		if err != nil {
			return err
		}
		if j, ok := at[k.Value]; ok {
			p.twice(k.Value, k.Line)
			n.Values[j] = v
			continue
		}
		at[k.Value] = len(n.Keys)
		n.Keys = append(n.Keys, k.Value)
		n.Values = append(n.Values, v)
	}
	for _, m := range merges {
		v, err := p.convert(m, n, "<<", depth+1)
		if err != nil {
			return err
		}
		list := []*Node{v}
		if v.Kind == List {
			list = v.Values
		}
		for _, from := range list {
			from.Each(func(k string, v *Node) {
				if _, ok := at[k]; !ok {
					at[k] = len(n.Keys)
					v.parent, v.key = n, k
					n.Keys = append(n.Keys, k)
					n.Values = append(n.Values, v)
				}
			})
		}
	}
	return nil
}

func (p *parser) twice(key string, line int) {
	p.doubts = append(p.doubts, drift.Problem{File: p.file, Line: line, Text: fmt.Sprintf("the key %q stands twice; the last one counts", key)})
}

func (p *parser) json(b []byte) (*Node, error) {
	for i, c := range b {
		if c == '\n' {
			p.lines = append(p.lines, i)
		}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	n, err := p.value(d, nil, "", 0)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.line(d.InputOffset()), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("line %d: something stands after the document", p.line(d.InputOffset()))
	}
	return n, nil
}

func (p *parser) line(offset int64) int { return sort.SearchInts(p.lines, int(offset)) + 1 }

func (p *parser) value(d *json.Decoder, parent *Node, key string, depth int) (*Node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, errMany
	}
	if depth > maxNest {
		return nil, errDeep
	}
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	n := &Node{File: p.file, Line: p.line(d.InputOffset()), parent: parent, key: key}
	switch v := t.(type) {
	case json.Delim:
		if v == '[' {
			n.Kind = List
			for i := 0; d.More(); i++ {
				c, err := p.value(d, n, strconv.Itoa(i), depth+1)
				if err != nil {
					return nil, err
				}
				n.Values = append(n.Values, c)
			}
		} else if err := p.object(d, n, depth); err != nil {
			return nil, err
		}
		_, err := d.Token()
		return n, err
	case string:
		n.Kind, n.Text, n.Quoted = String, v, true
	case json.Number:
		n.Kind, n.Text = Number, v.String()
	case bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(v)
	}
	return n, nil
}

func (p *parser) object(d *json.Decoder, n *Node, depth int) error {
	n.Kind = Map
	at := map[string]int{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		k, ok := t.(string)
		if !ok {
			return errors.New("a key must be a string")
		}
		line := p.line(d.InputOffset())
		c, err := p.value(d, n, k, depth+1)
		if err != nil {
			return err
		}
		if j, ok := at[k]; ok {
			p.twice(k, line)
			n.Values[j] = c
			continue
		}
		at[k] = len(n.Keys)
		n.Keys = append(n.Keys, k)
		n.Values = append(n.Values, c)
	}
	return nil
}
