package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds of one file, so that a small file cannot become a large tree.
const (
	maxDepth         = 100       // of nesting: people write ten, generated schemas forty
	maxNodes         = 200_000   // of a manifest file, once aliases are written out: a large platform's has a few thousand
	maxDocumentNodes = 2_000_000 // of an OpenAPI document: 10,000 operations with their schemas have about 500,000
)

// readYAML reads one document into nodes and refuses what two readers could read differently. Aliases stand written out
// in the result, which is nil when the text is not one document.
func readYAML(ds *diagnostics, file string, data []byte, most int) *yaml.Node {
	if line, text := badText(data); text != "" {
		ds.add(file, line, "", "%s", text)
		return nil
	}
	if n := mostNodes(data); n > 2*most { // the parser would need a few hundred bytes for each
		ds.add(file, 1, "", "is too large: it has up to %d values, more than %d", n, 2*most)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		ds.add(file, 0, "", "cannot be read: %v", err)
		return nil
	}
	doc, err := load(loader)
	switch {
	case err == io.EOF:
		ds.add(file, 1, "", "is empty")
		return nil
	case err != nil:
		addYAML(ds, file, data, err)
		return nil
	case len(doc.Content) != 1:
		ds.add(file, 1, "", "is empty")
		return nil
	}
	switch more, err := load(loader); {
	case err == nil:
		ds.add(file, more.Line, "", "a second document begins here: write one document a file")
		return nil
	case err != io.EOF:
		addYAML(ds, file, data, err)
		return nil
	}
	return checkNodes(ds, file, doc.Content[0], most)
}

// checkNodes returns the root with aliases written out, or nil when it must not be walked.
func checkNodes(ds *diagnostics, file string, root *yaml.Node, most int) *yaml.Node {
	c := checker{ds: ds, file: file, seen: map[*yaml.Node]measure{}, most: most}
	m := c.check(root, "", 0)
	if m.nodes > most {
		ds.add(file, root.Line, "", "is too large: it has more than %d values once its aliases are written out", most)
	}
	if c.stop || m.nodes > most {
		return nil
	}
	return root
}

// mostNodes is an upper bound of how many values a text can have: each begins or ends with one of these signs.
func mostNodes(data []byte) int {
	n := 1
	for _, c := range data {
		switch c {
		case '\n', ',', ':', '[', '{', '-', '?':
			n++
		}
	}
	return n
}

// load reads the next document. What the parser does not foresee counts as an error of the text.
func load(l *yaml.Loader) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	doc = new(yaml.Node)
	return doc, l.Load(doc)
}

func badText(data []byte) (line int, text string) {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return 1, "begins with a byte order mark: save it as UTF-8 without one"
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return 1, "is UTF-16: save it as UTF-8"
	}
	line = 1
	for i := 0; i < len(data); {
		c := data[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '\n':
				line++
			case c < ' ' && c != '\t' && c != '\r', c == 0x7f:
				return line, fmt.Sprintf("holds the control character 0x%02x", c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return line, fmt.Sprintf("is not UTF-8: the byte 0x%02x stands for nothing", c)
		}
		i += n
	}
	return 0, ""
}

func addYAML(ds *diagnostics, file string, data []byte, err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		ds.add(file, 0, "", "is not YAML: %v", err)
		return
	}
	line, text := e.Mark.Line, e.Message
	if line == 0 {
		line = e.ContextMark.Line
	}
	if lines := bytes.Split(data, []byte("\n")); line > 0 && line <= len(lines) {
		indent := lines[line-1][:len(lines[line-1])-len(bytes.TrimLeft(lines[line-1], " \t"))]
		if bytes.IndexByte(indent, '\t') >= 0 {
			text = "a tab stands in the indentation: indent with spaces"
		}
	}
	if e.ContextMsg != "" && e.ContextMark.Line > 0 && e.ContextMark.Line != line {
		text += fmt.Sprintf(" (%s that begins in line %d)", e.ContextMsg, e.ContextMark.Line)
	}
	ds.add(file, line, "", "is not YAML: %s", text)
}

// checker walks the nodes of one document once. It puts what aliases name in their place and measures how large that is.
type checker struct {
	ds   *diagnostics
	file string
	seen map[*yaml.Node]measure // of nodes with an anchor
	most int
	stop bool // the document must not be walked
}

type measure struct {
	nodes, depth int
	open         bool // its walk has not ended
}

func (c *checker) check(n *yaml.Node, at string, depth int) measure {
	if depth > maxDepth {
		if !c.stop {
			c.ds.add(c.file, n.Line, "", "is nested more than %d deep", maxDepth)
		}
		c.stop = true
		return measure{nodes: 1}
	}
	if n.Anchor != "" {
		c.seen[n] = measure{open: true}
	}
	m := measure{nodes: 1}
	if tag := n.ShortTag(); n.Style&yaml.TaggedStyle != 0 && !plainTag(tag) {
		c.ds.add(c.file, n.Line, at, "has the tag %s, which is not understood here", clip(tag))
	}
	for i, child := range n.Content {
		below := at
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			c.key(n, i, at)
		} else {
			below = join(at, n, i)
		}
		if child.Kind == yaml.AliasNode {
			target := child.Alias
			if target == nil || target.Kind == yaml.AliasNode {
				c.ds.add(c.file, child.Line, below, "names an anchor that is not there")
				c.stop = true
				continue
			}
			was := c.seen[target]
			if was.open {
				c.ds.add(c.file, child.Line, below, "*%s contains itself", clip(child.Value))
				c.stop = true
				continue
			}
			n.Content[i] = target
			m.add(was, c.most)
			if depth+1+was.depth > maxDepth {
				c.ds.add(c.file, child.Line, below, "is nested more than %d deep once aliases are written out", maxDepth)
				c.stop = true
			}
			continue
		}
		m.add(c.check(child, below, depth+1), c.most)
	}
	if n.Kind == yaml.MappingNode {
		c.unique(n, at)
	}
	if n.Anchor != "" {
		c.seen[n] = m
	}
	return m
}

func (m *measure) add(child measure, most int) {
	m.nodes = min(m.nodes+child.nodes, most+1)
	m.depth = max(m.depth, child.depth+1)
}

func (c *checker) key(n *yaml.Node, i int, at string) {
	k := n.Content[i]
	if k.Kind == yaml.AliasNode && k.Alias != nil && k.Alias.Kind == yaml.ScalarNode {
		k = k.Alias
	}
	switch {
	case k.Kind != yaml.ScalarNode:
		c.ds.add(c.file, k.Line, at, "a name must be a word, not a list or a mapping")
		c.stop = true
	case k.ShortTag() == "!!merge":
		c.ds.add(c.file, k.Line, at, "<< (merging) is not supported: write the lines out, or name the whole mapping by an alias")
		c.stop = true
	}
}

func (c *checker) unique(n *yaml.Node, at string) {
	if len(n.Content) <= 2 {
		return
	}
	if len(n.Content) <= 16 { // most are small: no map is made for them
		for i := 2; i < len(n.Content); i += 2 {
			for j := 0; j < i; j += 2 {
				if n.Content[i].Value == n.Content[j].Value {
					c.twice(n.Content[i], n.Content[j].Line, at)
					break
				}
			}
		}
		return
	}
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		if line, ok := first[k.Value]; ok {
			c.twice(k, line, at)
			continue
		}
		first[k.Value] = k.Line
	}
}

func (c *checker) twice(k *yaml.Node, first int, at string) {
	c.ds.add(c.file, k.Line, at+"/"+escape(k.Value), "stands twice, first in line %d", first)
}

func plainTag(tag string) bool {
	switch tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!":
		return true
	}
	return false
}

// join is the pointer to n.Content[i], a value of the mapping or list n.
func join(at string, n *yaml.Node, i int) string {
	if n.Kind == yaml.MappingNode {
		return at + "/" + escape(n.Content[i-1].Value)
	}
	return fmt.Sprintf("%s/%d", at, i)
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// escape writes one token of a JSON pointer (RFC 6901 §3).
func escape(token string) string {
	if strings.ContainsAny(token, "~/") {
		return escaper.Replace(token)
	}
	return token
}

// get returns the value of a mapping's name, and the node of the name itself.
func get(n *yaml.Node, name string) (value, key *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1], n.Content[i]
		}
	}
	return nil, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// shape names what a node is, for people.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!bool":
		return clip(n.Value)
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	end := 60
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
