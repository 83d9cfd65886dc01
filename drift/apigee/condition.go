package apigee

import (
	"strings"
)

// condition is a parsed condition: one test, or several combined.
type condition struct {
	op       string // "and", "or", "not", or "" for a test
	of       []*condition
	variable string
	how      string // as written, in lower case
	value    string
	quoted   bool
}

// truth is what is known of a condition.
type truth uint8

const (
	maybe truth = iota
	yes
	no
)

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return maybe
}

// The bounds of a condition; more comes only from input made to explode.
const (
	maxCondition = 16 << 10
	maxDepth     = 32
	maxMatches   = 64
)

// parseCondition reads a condition. nil is one that always holds; ok is false when it cannot be read.
func parseCondition(s string) (c *condition, ok bool) {
	if strings.TrimSpace(s) == "" {
		return nil, true
	}
	if len(s) > maxCondition {
		return nil, false
	}
	p := &conditionParser{words: conditionWords(s)}
	c, ok = p.or(0)
	return c, ok && p.at == len(p.words)
}

type conditionWord struct {
	text   string
	quoted bool
}

func conditionWords(s string) []conditionWord {
	var out []conditionWord
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '(' || c == ')':
			out = append(out, conditionWord{text: string(c)})
			i++
		case c == '"' || c == '\'':
			j := strings.IndexByte(s[i+1:], c)
			if j < 0 {
				return append(out, conditionWord{text: s[i+1:], quoted: true})
			}
			out = append(out, conditionWord{text: s[i+1 : i+1+j], quoted: true})
			i += j + 2
		case strings.IndexByte("=!~<>&|:", c) >= 0:
			j := i
			for j < len(s) && strings.IndexByte("=!~<>&|/:", s[j]) >= 0 {
				j++
			}
			if s[i:j] == "!" || strings.HasPrefix(s[i:j], "!") && !strings.HasPrefix(s[i:j], "!=") && !strings.HasPrefix(s[i:j], "!~") {
				j = i + 1
			}
			out = append(out, conditionWord{text: s[i:j]})
			i = j
		default:
			j := i
			for j < len(s) && strings.IndexByte(" \t\r\n()\"'=!~<>&|", s[j]) < 0 {
				j++
			}
			out = append(out, conditionWord{text: s[i:j]})
			i = j
		}
	}
	return out
}

type conditionParser struct {
	words []conditionWord
	at    int
}

func (p *conditionParser) word(names ...string) bool {
	if p.at < len(p.words) && !p.words[p.at].quoted {
		for _, n := range names {
			if strings.EqualFold(p.words[p.at].text, n) {
				p.at++
				return true
			}
		}
	}
	return false
}

func (p *conditionParser) or(depth int) (*condition, bool) {
	return p.list(depth, "or", p.and, "or", "||", "|")
}

func (p *conditionParser) and(depth int) (*condition, bool) {
	return p.list(depth, "and", p.test, "and", "&&", "&")
}

func (p *conditionParser) list(depth int, op string, next func(int) (*condition, bool), names ...string) (*condition, bool) {
	c, ok := next(depth)
	if !ok {
		return nil, false
	}
	out := &condition{op: op, of: []*condition{c}}
	for p.word(names...) {
		if c, ok = next(depth); !ok {
			return nil, false
		}
		out.of = append(out.of, c)
	}
	if len(out.of) == 1 {
		return out.of[0], true
	}
	return out, true
}

func (p *conditionParser) test(depth int) (*condition, bool) {
	switch {
	case depth > maxDepth || p.at >= len(p.words):
		return nil, false
	case p.word("not", "!"):
		c, ok := p.test(depth + 1)
		return &condition{op: "not", of: []*condition{c}}, ok
	case p.word("("):
		c, ok := p.or(depth + 1)
		return c, ok && p.word(")")
	}
	left := p.words[p.at]
	p.at++
	if p.at >= len(p.words) || p.words[p.at].text == ")" || joins(p.words[p.at].text) {
		return &condition{variable: left.text, how: "=", value: "true"}, true // a variable alone
	}
	how := strings.ToLower(p.words[p.at].text)
	p.at++
	if how == "not" && p.at < len(p.words) {
		how += strings.ToLower(p.words[p.at].text)
		p.at++
	}
	if p.at >= len(p.words) {
		return nil, false
	}
	right := p.words[p.at]
	p.at++
	if left.quoted && !right.quoted {
		left, right = right, left
	}
	return &condition{variable: left.text, how: how, value: right.text, quoted: right.quoted}, true
}

func joins(s string) bool {
	switch strings.ToLower(s) {
	case "and", "or", "&&", "||", "&", "|":
		return true
	}
	return false
}

// call is what is known of the calls of an operation.
type call struct {
	verb string // "*": any
	path string // the suffix of the path as a pattern; "": any
	kind string // how: "path", "regex", "is"
}

// holds says whether the condition holds for such calls.
func (c *condition) holds(k call) truth {
	if c == nil {
		return yes
	}
	switch c.op {
	case "and", "or":
		stop, out := no, yes
		if c.op == "or" {
			stop, out = yes, no
		}
		for _, x := range c.of {
			switch t := x.holds(k); {
			case t == stop:
				return stop
			case t == maybe:
				out = maybe
			}
		}
		return out
	case "not":
		return c.of[0].holds(k).not()
	}
	switch strings.ToLower(c.variable) {
	case "request.verb", "message.verb":
		if k.verb == "*" {
			return maybe
		}
		same := yes
		if !strings.EqualFold(k.verb, c.value) {
			same = no
		}
		switch c.how {
		case "=", "==", "equals", "is", ":=", "equalscaseinsensitive", "~", "matches":
			return same
		case "!=", "notequals", "isnot", "notis":
			return same.not()
		}
	case "proxy.pathsuffix":
		switch c.how {
		case "matchespath", "~/", "=", "==", "equals", "is", "~", "matches", "like":
			return samePath(c.value, k)
		case "!=", "notequals", "isnot", "notmatchespath":
			return samePath(c.value, k).not()
		}
	}
	return maybe
}

func samePath(pattern string, k call) truth {
	if k.path == "" || k.kind == "regex" {
		return maybe
	}
	a, b := strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(strings.Trim(k.path, "/"), "/")
	for i, s := range a {
		if s == "**" {
			return yes
		}
		if i >= len(b) {
			return no
		}
		if b[i] == "**" {
			return maybe
		}
		free := func(s string) bool { return s == "*" || strings.HasPrefix(s, "{") }
		if !free(s) {
			if free(b[i]) {
				return maybe
			}
			if !strings.EqualFold(s, b[i]) && !strings.Contains(s, "*") {
				return no
			}
			if strings.Contains(s, "*") {
				return maybe
			}
		}
	}
	if len(b) > len(a) {
		return no
	}
	return yes
}

// client reports whether the caller controls what is tested: a header, a parameter.
func (c *condition) client() bool {
	if c == nil {
		return false
	}
	for _, x := range c.of {
		if x.client() {
			return true
		}
	}
	v := strings.ToLower(c.variable)
	return strings.HasPrefix(v, "request.header.") || strings.HasPrefix(v, "request.queryparam.") || strings.HasPrefix(v, "request.formparam.") || strings.HasPrefix(v, "message.header.") || strings.HasPrefix(v, "client.host")
}

// reach is one alternative of a flow's condition: the calls that it takes, and what else it tests.
type reach struct {
	call
	rest []string
}

// reaches writes a condition as alternatives. What it excludes is not told apart: an earlier flow takes it.
func (c *condition) reaches() ([]reach, bool) {
	if c == nil {
		return []reach{{call: call{verb: "*"}}}, true
	}
	switch c.op {
	case "or":
		var out []reach
		for _, x := range c.of {
			more, ok := x.reaches()
			if out = append(out, more...); !ok || len(out) > maxMatches {
				return nil, false
			}
		}
		return out, true
	case "and":
		out := []reach{{call: call{verb: "*"}}}
		for _, x := range c.of {
			more, ok := x.reaches()
			if !ok {
				return nil, false
			}
			var next []reach
			for _, a := range out {
				for _, b := range more {
					m := reach{a.call, append(append([]string(nil), a.rest...), b.rest...)}
					if b.verb != "*" {
						if m.verb != "*" && m.verb != b.verb {
							continue
						}
						m.verb = b.verb
					}
					if b.path != "" {
						m.path, m.kind = b.path, b.kind
					}
					next = append(next, m)
				}
			}
			if out = next; len(out) > maxMatches {
				return nil, false
			}
		}
		return out, true
	case "not":
		return []reach{{call: call{verb: "*"}, rest: []string{"not " + c.of[0].text()}}}, true
	}
	out := reach{call: call{verb: "*"}}
	switch v := strings.ToLower(c.variable); {
	case (v == "request.verb" || v == "message.verb") && (c.how == "=" || c.how == "==" || c.how == "equals" || c.how == "is" || c.how == "matches" || c.how == "~"):
		out.verb = strings.ToUpper(c.value)
	case v == "proxy.pathsuffix" && (c.how == "matchespath" || c.how == "~/" || c.how == "~" || c.how == "matches" || c.how == "like"):
		out.path, out.kind = c.value, "path"
	case v == "proxy.pathsuffix" && (c.how == "javaregex" || c.how == "~~"):
		out.path, out.kind = c.value, "regex"
	case v == "proxy.pathsuffix" && (c.how == "=" || c.how == "==" || c.how == "equals" || c.how == "is"):
		out.path, out.kind = c.value, "is"
	case v == "proxy.pathsuffix" && (c.how == "=|" || c.how == "startswith"):
		out.path, out.kind = strings.TrimSuffix(c.value, "/")+"/**", "path"
	default:
		out.rest = []string{c.text()}
	}
	return []reach{out}, true
}

func (c *condition) text() string {
	if c.op == "" {
		return c.variable + " " + c.how + " " + c.value
	}
	var parts []string
	for _, x := range c.of {
		parts = append(parts, x.text())
	}
	if c.op == "not" {
		return "not " + parts[0]
	}
	return "(" + strings.Join(parts, " "+c.op+" ") + ")"
}
