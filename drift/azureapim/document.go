package azureapim

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// document is one policy document. Expressions that stand in the way of XML are held aside and put back when a value is read.
type document struct {
	root  *source.Element
	exprs []string
	how   string // how it had to be read: "", masked, repaired
}

// parse reads a policy document: strictly first, for masking would break legal files; then with its expressions held aside; then with
// comments and stray ampersands repaired as well, and with more than one root.
func parse(name string, b []byte) (*document, error) {
	root, first := source.ParseXML(name, b)
	if first == nil {
		return &document{root: root}, nil
	}
	d := &document{how: "masked"}
	masked := d.mask(b)
	if d.root, _ = source.ParseXML(name, masked); d.root != nil {
		return d, nil
	}
	d = &document{how: "repaired"}
	plain := ampersands(d.mask(uncomment(b)))
	if d.root, _ = source.ParseXML(name, plain); d.root != nil {
		return d, nil
	}
	if i := bytes.Index(plain, []byte("?>")); i >= 0 && bytes.HasPrefix(bytes.TrimSpace(plain), []byte("<?xml")) {
		plain = append(bytes.Repeat([]byte("\n"), bytes.Count(plain[:i], []byte("\n"))), plain[i+2:]...)
	}
	wrapped := append(append([]byte("<fragment>"), plain...), "</fragment>"...)
	if d.root, _ = source.ParseXML(name, wrapped); d.root != nil {
		return d, nil
	}
	return nil, first
}

// mask holds expressions aside, keeping the line ends so that places stay right.
func (d *document) mask(b []byte) []byte {
	const mostFailures = 256 // openings without an end: more come only from input made to be slow
	var out bytes.Buffer
	failures := 0
	for i := 0; i < len(b); {
		if bytes.HasPrefix(b[i:], []byte("<!--")) {
			end := bytes.Index(b[i:], []byte("-->"))
			if end < 0 {
				end = len(b) - i - 3
			}
			end = max(end, 0)
			out.Write(b[i : i+end+3])
			i += end + 3
			continue
		}
		if b[i] == '@' && i+1 < len(b) && (b[i+1] == '(' || b[i+1] == '{') && failures < mostFailures {
			if end, ok := balanced(b, i+1); ok {
				out.WriteString(d.hold(string(b[i:end])))
				i = end
				continue
			}
			failures++
		}
		out.WriteByte(b[i])
		i++
	}
	return out.Bytes()
}

const holdMark = "\u27e6"

func (d *document) hold(expr string) string {
	d.exprs = append(d.exprs, expr)
	return holdMark + strconv.Itoa(len(d.exprs)-1) + "\u27e7" + strings.Repeat("\n", strings.Count(expr, "\n"))
}

var held = regexp.MustCompile("\u27e6([0-9]+)\u27e7\n*")

// restore puts expressions back into a value.
func (d *document) restore(s string) string {
	if len(d.exprs) == 0 || !strings.Contains(s, holdMark) {
		return s
	}
	return held.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.Atoi(held.FindStringSubmatch(m)[1])
		if err != nil || n >= len(d.exprs) {
			return m
		}
		return d.exprs[n]
	})
}

// balanced finds the end of an expression that opens at i, minding strings, characters and comments of C#.
func balanced(b []byte, i int) (end int, ok bool) {
	depth := 0
	for i < len(b) {
		switch c := b[i]; c {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
		case '"', '\'':
			verbatim := c == '"' && i > 0 && (b[i-1] == '@' || b[i-1] == '$' && i > 1 && b[i-2] == '@')
			j, ok := literal(b, i, verbatim)
			if !ok {
				return 0, false
			}
			i = j
			continue
		case '&':
			if bytes.HasPrefix(b[i:], []byte("&quot;")) {
				j := bytes.Index(b[i+6:], []byte("&quot;"))
				if j >= 0 {
					i += 6 + j + 6
					continue
				}
			}
		case '/':
			if i+1 < len(b) && b[i+1] == '/' && !(i > 0 && b[i-1] == ':') {
				j := bytes.IndexByte(b[i:], '\n')
				if j < 0 {
					return 0, false
				}
				i += j
				continue
			}
			if i+1 < len(b) && b[i+1] == '*' {
				j := bytes.Index(b[i+2:], []byte("*/"))
				if j < 0 {
					return 0, false
				}
				i += j + 4
				continue
			}
		}
		i++
	}
	return 0, false
}

// literal finds the end of a string or character that opens at i.
func literal(b []byte, i int, verbatim bool) (end int, ok bool) {
	quote := b[i]
	for j := i + 1; j < len(b); j++ {
		switch {
		case b[j] == '\\' && !verbatim:
			j++
		case b[j] == quote:
			if verbatim && j+1 < len(b) && b[j+1] == quote {
				j++
				continue
			}
			return j + 1, true
		case b[j] == '\n' && !verbatim:
			return 0, false
		}
	}
	return 0, false
}

// uncomment takes out comments, also those that XML does not allow, keeping the line ends.
func uncomment(b []byte) []byte {
	var out bytes.Buffer
	for {
		i := bytes.Index(b, []byte("<!--"))
		if i < 0 {
			out.Write(b)
			return out.Bytes()
		}
		out.Write(b[:i])
		j := bytes.Index(b[i+4:], []byte("-->"))
		if j < 0 {
			out.Write(b[i:])
			return out.Bytes()
		}
		end := i + 4 + j + 3
		out.WriteString(strings.Repeat("\n", bytes.Count(b[i:end], []byte("\n"))))
		b = b[end:]
	}
}

var entityRef = regexp.MustCompile(`^&(?:[a-z]+|#[0-9]+|#x[0-9a-fA-F]+);`)

func ampersands(b []byte) []byte {
	if bytes.IndexByte(b, '&') < 0 {
		return b
	}
	var out bytes.Buffer
	for i := range b {
		out.WriteByte(b[i])
		if b[i] == '&' && !entityRef.Match(b[i:min(len(b), i+12)]) {
			out.WriteString("amp;")
		}
	}
	return out.Bytes()
}

// isExpr reports whether a value is computed at run time.
func isExpr(s string) bool {
	t := strings.TrimSpace(s)
	return strings.HasPrefix(t, "@(") || strings.HasPrefix(t, "@{") || strings.Contains(t, "@(") && strings.Contains(t, ")")
}

var namedValue = regexp.MustCompile(`\{\{([A-Za-z0-9._-]+)\}\}`)

// value reads a text with its expressions and named values. cause says why it cannot be known: an expression (then expr), or a named
// value that is secret, kept in a vault, or missing.
func (r *reader) value(d *document, s string, o drift.Origin) (text, cause string, expr bool) {
	s = d.restore(s)
	s = namedValue.ReplaceAllStringFunc(s, func(m string) string {
		name := namedValue.FindStringSubmatch(m)[1]
		nv := r.svc.named(name)
		switch {
		case nv == nil:
			r.gap("named value", name, o)
			cause = "named value " + name + " is missing"
		case nv.hidden():
			cause = "named value " + name + " is secret"
		case nv.value() == "" || strings.Contains(nv.value(), "{#"):
			cause = "named value " + name + " has no value in the files"
		default:
			return nv.value()
		}
		return m
	})
	if cause == "" && strings.Contains(s, "{#") && strings.Contains(s, "#}") {
		cause = "token of the pipeline"
	}
	if isExpr(s) {
		return s, "expression", true
	}
	return s, cause, false
}

func (r *reader) gap(what, name string, o drift.Origin) {
	key := what + "\x00" + name
	if !r.gaps[key] {
		r.gaps[key] = true
		r.env.Gaps = append(r.env.Gaps, drift.Gap{What: what, Name: drift.Mask(name), Origin: o})
	}
}

// doc reads a policy document's text. nil when it cannot be read.
func (r *reader) doc(name string, b []byte) *document {
	d, err := parse(name, b)
	if err != nil {
		r.Problem(drift.Problem{File: name, Text: fmt.Sprintf("is not a policy document: %v", err), Partial: true})
		return nil
	}
	r.how[d.how]++
	return d
}

// Expression finds the end of a policy expression that opens at the byte: @(…) or @{…}.
func Expression(b []byte, at int) (end int, ok bool) {
	if at+1 >= len(b) || b[at] != '@' || b[at+1] != '(' && b[at+1] != '{' {
		return 0, false
	}
	return balanced(b, at+1)
}
