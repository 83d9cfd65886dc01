package traefik

import (
	"strings"

	"gatehouse/drift"
)

// match is one conjunction of a rule.
type match struct {
	kind    drift.MatchKind
	path    string
	raw     bool // the rule could not be read
	methods []string
	hosts   []string
	headers []string
	query   []string
	from    []string // addresses
	only    string   // the same, for people
}

func (m match) verbs() []string {
	if len(m.methods) == 0 {
		return []string{"*"}
	}
	return m.methods
}

// The bounds of a rule. Rules above them come only from input made to explode.
const (
	maxRule    = 16 << 10
	maxMatches = 64
	maxParens  = 32
)

// parse reads a rule into its alternatives. What a rule excludes is not told apart: the narrower router that serves it is found by its
// own path.
func parse(rule string) ([]match, bool) {
	if strings.TrimSpace(rule) == "" {
		return []match{{kind: drift.Prefix, path: "/"}}, true
	}
	if len(rule) > maxRule {
		return nil, false
	}
	p := &ruleParser{s: rule}
	out, ok := p.or(0)
	p.space()
	if !ok || p.at != len(p.s) {
		return nil, false
	}
	for i := range out {
		if out[i].path == "" {
			out[i].kind, out[i].path = drift.Prefix, "/"
		}
		out[i].only = drift.Mask(strings.Join(out[i].from, ","))
	}
	return out, true
}

type ruleParser struct {
	s  string
	at int
}

func (p *ruleParser) space() {
	for p.at < len(p.s) && strings.ContainsRune(" \t\r\n", rune(p.s[p.at])) {
		p.at++
	}
}

func (p *ruleParser) take(token string) bool {
	p.space()
	if strings.HasPrefix(p.s[p.at:], token) {
		p.at += len(token)
		return true
	}
	return false
}

func (p *ruleParser) or(depth int) ([]match, bool) {
	out, ok := p.and(depth)
	for ok && p.take("||") {
		var more []match
		more, ok = p.and(depth)
		out = append(out, more...)
		ok = ok && len(out) <= maxMatches
	}
	return out, ok
}

func (p *ruleParser) and(depth int) ([]match, bool) {
	out, ok := p.term(depth)
	for ok && p.take("&&") {
		var more []match
		if more, ok = p.term(depth); ok {
			out = both(out, more)
			ok = len(out) <= maxMatches
		}
	}
	return out, ok
}

func (p *ruleParser) term(depth int) ([]match, bool) {
	switch {
	case depth > maxParens:
		return nil, false
	case p.take("!"):
		if _, ok := p.term(depth + 1); !ok {
			return nil, false
		}
		return []match{{}}, true
	case p.take("("):
		out, ok := p.or(depth + 1)
		return out, ok && p.take(")")
	}
	p.space()
	start := p.at
	for p.at < len(p.s) && (p.s[p.at]|0x20 >= 'a' && p.s[p.at]|0x20 <= 'z') {
		p.at++
	}
	name := p.s[start:p.at]
	if name == "" || !p.take("(") {
		return nil, false
	}
	var args []string
	for !p.take(")") {
		a, ok := p.text()
		if !ok {
			return nil, false
		}
		args = append(args, a)
		p.take(",")
	}
	return matcher(name, args)
}

func (p *ruleParser) text() (string, bool) {
	p.space()
	if p.at >= len(p.s) || p.s[p.at] != '`' && p.s[p.at] != '"' {
		return "", false
	}
	quote := p.s[p.at]
	end := strings.IndexByte(p.s[p.at+1:], quote)
	if end < 0 {
		return "", false
	}
	out := p.s[p.at+1 : p.at+1+end]
	p.at += end + 2
	return out, true
}

// matcher makes the alternatives of one condition.
func matcher(name string, args []string) ([]match, bool) {
	var out []match
	switch strings.ToLower(name) {
	case "host", "hostheader", "hostregexp", "hostsni", "hostsniregexp":
		m := match{}
		for _, h := range args {
			m.hosts = append(m.hosts, strings.ToLower(h))
		}
		return []match{m}, len(args) > 0
	case "path":
		for _, a := range args {
			kind := drift.Exact
			if strings.Contains(a, "{") {
				kind = drift.Template
			}
			out = append(out, match{kind: kind, path: plainParams(a)})
		}
	case "pathprefix":
		for _, a := range args {
			if strings.Contains(a, "{") {
				out = append(out, match{kind: drift.Template, path: strings.TrimSuffix(plainParams(a), "/") + "/**"})
				continue
			}
			out = append(out, match{kind: drift.Prefix, path: a})
		}
	case "pathregexp":
		for _, a := range args {
			out = append(out, match{kind: drift.Regex, path: a})
		}
	case "method":
		m := match{}
		for _, a := range args {
			m.methods = append(m.methods, strings.ToUpper(a))
		}
		return []match{m}, len(args) > 0
	case "header", "headers", "headerregexp", "headersregexp":
		if len(args) == 2 {
			return []match{{headers: []string{strings.ToLower(args[0]) + "=" + drift.Mask(args[1])}}}, true
		}
	case "query", "queryregexp":
		return []match{{query: []string{drift.Mask(strings.Join(args, "="))}}}, len(args) > 0
	case "clientip":
		return []match{{from: args}}, len(args) > 0
	}
	return out, len(out) > 0
}

// plainParams takes patterns out of parameters: {id:[0-9]+} is {id}.
func plainParams(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return b.String() + s
		}
		depth, j := 0, i
		for ; j < len(s); j++ {
			if s[j] == '{' {
				depth++
			} else if s[j] == '}' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		if j == len(s) {
			return b.String() + s
		}
		name, _, _ := strings.Cut(s[i+1:j], ":")
		b.WriteString(s[:i] + "{" + name + "}")
		s = s[j+1:]
	}
}

// both are the conjunctions of one of a and one of b. Of two paths the narrower one stands.
func both(a, b []match) []match {
	var out []match
	for _, x := range a {
		for _, y := range b {
			if len(out) > maxMatches {
				return out
			}
			m := x
			if y.path != "" && (x.path == "" || len(y.path) >= len(x.path)) {
				m.kind, m.path, m.raw = y.kind, y.path, y.raw
			}
			m.methods = meet(x.methods, y.methods)
			m.hosts = meet(x.hosts, y.hosts)
			m.headers = append(append([]string(nil), x.headers...), y.headers...)
			m.query = append(append([]string(nil), x.query...), y.query...)
			m.from = meet(x.from, y.from)
			out = append(out, m)
		}
	}
	return out
}

// meet is what both lists hold; an empty list holds everything. Lists of patterns may have nothing in common as text: then the narrower,
// the second, stands.
func meet(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	var out []string
	for _, s := range a {
		for _, t := range b {
			if s == t {
				out = append(out, s)
			}
		}
	}
	if len(out) == 0 {
		return b
	}
	return out
}
