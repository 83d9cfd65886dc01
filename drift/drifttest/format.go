package drifttest

import (
	"path"
	"strconv"
	"strings"

	"gatehouse/drift/source"
)

// Reformatted is a file written otherwise and meaning the same: maps in the other order, everything in one line, aliases written out,
// every string quoted, comments added. ok is false for what cannot be rewritten so.
func Reformatted(name string, text []byte) (out []byte, ok bool) {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".json", ".yaml", ".yml":
		docs, doubts, err := source.Parse(name, text)
		if err != nil || len(docs) == 0 || len(doubts) > 0 {
			return nil, false
		}
		var b strings.Builder
		for i, d := range docs {
			if ext != ".json" {
				b.WriteString("# written otherwise\n")
				if i > 0 {
					b.WriteString("---\n")
				}
			}
			if !rewrite(&b, d, ext == ".json", 0) {
				return nil, false
			}
			b.WriteString("\n")
		}
		return []byte(b.String()), true
	case ".xml":
		s := string(text)
		if _, err := source.ParseXML(name, text); err != nil || strings.Contains(s, "CDATA") || strings.Contains(s, "<!--") {
			return nil, false
		}
		return []byte(strings.ReplaceAll(s, "><", ">\n\t<!-- written otherwise -->\n<")), true
	case ".toml":
		return []byte("# written otherwise\n" + strings.ReplaceAll(string(text), " = ", "   =   ")), true
	}
	return nil, false
}

func rewrite(b *strings.Builder, n *source.Node, json bool, depth int) bool {
	if n == nil || n.Kind == source.Null {
		b.WriteString("null")
		return true
	}
	if n.Tag != "" {
		if json || n.Tag == "!" {
			return false
		}
		b.WriteString(n.Tag + " ")
	}
	switch n.Kind {
	case source.List:
		b.WriteString("[")
		for i, v := range n.Values {
			if i > 0 {
				b.WriteString(", ")
			}
			if !rewrite(b, v, json, depth+1) {
				return false
			}
		}
		b.WriteString("]")
	case source.Map:
		b.WriteString("{")
		for i := len(n.Keys) - 1; i >= 0; i-- {
			b.WriteString(quote(n.Keys[i]) + ": ")
			if !rewrite(b, n.Values[i], json, depth+1) {
				return false
			}
			if i > 0 {
				b.WriteString(", ")
			}
		}
		b.WriteString("}")
	case source.String:
		b.WriteString(quote(n.Text))
	default:
		b.WriteString(n.Text)
	}
	return true
}

// quote writes a string so that YAML and JSON both take it.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f || r == 0x85 || r == 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			h := strconv.FormatInt(int64(r), 16)
			b.WriteString(`\u` + strings.Repeat("0", 4-len(h)) + h)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
