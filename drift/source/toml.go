package source

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"

	"gatehouse/drift"
)

// toml reads a document as one map. Tables that stand twice are joined, keys that stand twice are noted.
func (p *parser) toml(b []byte) (*Node, error) {
	if line, deep := nested(b); deep {
		return nil, fmt.Errorf("line %d: %w", line, errDeep)
	}
	var d unstable.Parser
	d.Reset(b)
	root := &Node{Kind: Map, File: p.file, Line: 1}
	at := root
	var err error
	for err == nil && d.NextExpression() {
		e := d.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			at, err = p.table(&d, root, e)
		case unstable.KeyValue:
			err = p.pair(&d, at, e, 0)
		}
	}
	if err == nil {
		err = d.Error()
	}
	if err != nil {
		var bad *unstable.ParserError
		if errors.As(err, &bad) {
			line := 1
			if len(bad.Highlight) > 0 {
				line = d.Shape(d.Range(bad.Highlight)).Start.Line
			}
			err = fmt.Errorf("line %d: %s", line, bad.Message)
		}
		return root, err
	}
	return root, nil
}

// nested finds where brackets are nested too deep for a parser that recurses.
func nested(b []byte) (line int, deep bool) {
	line = 1
	depth, quote, long := 0, byte(0), false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\n' {
			line++
		}
		triple := i+2 < len(b) && b[i+1] == c && b[i+2] == c
		switch {
		case quote == 0 && c == '#':
			for i+1 < len(b) && b[i+1] != '\n' {
				i++
			}
		case quote == 0 && (c == '"' || c == '\''):
			if quote, long = c, triple; triple {
				i += 2
			}
		case quote != 0 && c == '\\' && quote == '"':
			i++
		case quote != 0 && c == quote && long && triple:
			quote, i = 0, i+2
		case quote != 0 && !long && (c == quote || c == '\n'):
			quote = 0
		case quote == 0 && (c == '[' || c == '{'):
			if depth++; depth > maxNest {
				return line, true
			}
		case quote == 0 && (c == ']' || c == '}'):
			depth = max(0, depth-1)
		}
	}
	return line, false
}

// table goes to where a header leads, and makes what is not there. A part of the way that is a list leads to its last value.
func (p *parser) table(d *unstable.Parser, root *Node, e *unstable.Node) (*Node, error) {
	at, line := root, 0
	for k := e.Key(); k.Next(); {
		name := string(k.Node().Data)
		line = d.Shape(k.Node().Raw).Start.Line
		last := e.Kind == unstable.ArrayTable && k.IsLast()
		next := at.Get(name)
		switch {
		case next == nil && last:
			next = p.put(at, name, &Node{Kind: List, Line: line})
		case next == nil:
			next = p.put(at, name, &Node{Kind: Map, Line: line})
		}
		if next.Kind == List && last {
			p.nodes++
			v := &Node{Kind: Map, File: p.file, Line: line, parent: next, key: strconv.Itoa(len(next.Values))}
			next.Values = append(next.Values, v)
		}
		if next.Kind == List && len(next.Values) > 0 {
			next = next.Values[len(next.Values)-1]
		}
		if next.Kind != Map {
			return nil, fmt.Errorf("line %d: %q is no table", line, name)
		}
		if at = next; at.depth() > maxNest {
			return nil, fmt.Errorf("line %d: %w", line, errDeep)
		}
	}
	if p.nodes > maxNodes {
		return nil, errMany
	}
	return at, nil
}

func (n *Node) depth() int {
	d := 0
	for ; n.parent != nil; n = n.parent {
		d++
	}
	return d
}

func (p *parser) put(at *Node, name string, v *Node) *Node {
	p.nodes++
	v.File, v.parent, v.key = p.file, at, name
	at.Keys, at.Values = append(at.Keys, name), append(at.Values, v)
	return v
}

func (p *parser) pair(d *unstable.Parser, at *Node, e *unstable.Node, depth int) error {
	k := e.Key()
	for k.Next() {
		name, line := string(k.Node().Data), d.Shape(k.Node().Raw).Start.Line
		if k.IsLast() {
			v, err := p.tomlValue(d, e.Value(), line, depth)
			if err != nil {
				return err
			}
			if old := at.Get(name); old != nil {
				p.doubts = append(p.doubts, drift.Problem{File: p.file, Line: line, Text: fmt.Sprintf("the key %q stands twice; the last one counts", name)})
				parent, key := old.parent, old.key
				*old = *v
				old.File, old.parent, old.key = p.file, parent, key
				for _, c := range old.Values {
					c.parent = old
				}
				return nil
			}
			p.put(at, name, v)
			return nil
		}
		next := at.Get(name)
		if next == nil {
			next = p.put(at, name, &Node{Kind: Map, Line: line})
		}
		if next.Kind != Map {
			return fmt.Errorf("line %d: %q is no table", line, name)
		}
		if at = next; at.depth() > maxNest {
			return fmt.Errorf("line %d: %w", line, errDeep)
		}
	}
	return nil
}

func (p *parser) tomlValue(d *unstable.Parser, v *unstable.Node, line, depth int) (*Node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, errMany
	}
	if depth > maxNest {
		return nil, fmt.Errorf("line %d: %w", line, errDeep)
	}
	if v.Raw.Length > 0 {
		line = d.Shape(v.Raw).Start.Line
	}
	n := &Node{Kind: String, Text: string(v.Data), File: p.file, Line: line}
	switch v.Kind {
	case unstable.String:
		n.Quoted = true
	case unstable.Bool:
		n.Kind = Bool
	case unstable.Integer, unstable.Float:
		n.Kind = Number
	case unstable.Array:
		n.Kind, n.Text = List, ""
		for c := v.Children(); c.Next(); {
			x, err := p.tomlValue(d, c.Node(), line, depth+1)
			if err != nil {
				return nil, err
			}
			x.parent, x.key = n, strconv.Itoa(len(n.Values))
			n.Values = append(n.Values, x)
		}
	case unstable.InlineTable:
		n.Kind, n.Text = Map, ""
		for c := v.Children(); c.Next(); {
			if err := p.pair(d, n, c.Node(), depth+1); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}
