package aws

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// resourcePolicy reads who may reach the API at all, before any authorizer is asked.
func (r *reader) resourcePolicy(a *api, o *op, p *drift.Policy) {
	p.IP = drift.IPFilter{Allow: drift.ByDefault([]string(nil)), Deny: drift.ByDefault([]string(nil)), Source: drift.ByDefault("peer"), Hops: drift.ByDefault(int64(0))}
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	n := a.props.Get("Policy")
	if n == nil {
		n = a.body.Get("x-amazon-apigateway-policy")
	}
	sam := a.props.Get("Auth", "ResourcePolicy")
	switch {
	case sam != nil || o.policy != nil:
		p.Access.Default = drift.From("deny", first(a.node, "Properties").Origin("api"))
		for _, l := range []*source.Node{sam, o.policy} {
			if l != nil {
				p.Access.Default.Origin = l.Origin("api")
				a.lists(l, p)
				a.statements(l.Get("CustomStatements"), o, p)
			}
		}
		return
	case n == nil:
		if a.tpl == nil {
			p.IP.Allow, p.IP.Deny = drift.Unknown[[]string](outside, drift.Origin{}), drift.Unknown[[]string](outside, drift.Origin{})
			p.Access.Rules, p.Access.Default = drift.Unknown[[]drift.AccessRule](outside, drift.Origin{}), drift.Unknown[string](outside, drift.Origin{})
		}
		return
	}
	p.Access.Default = drift.From("deny", n.Origin("api"))
	a.statements(n, o, p)
}

// statements reads a policy document, or the statements alone.
func (a *api) statements(n *source.Node, o *op, p *drift.Policy) {
	n, cond := pick(n)
	if s := n.Get("Statement"); s != nil {
		n = s
	}
	for _, s := range items(n) {
		s, c := pick(s)
		name, arg := function(s)
		switch {
		case cond == "" && c != "":
			cond = c
		case name != "":
			cond = name + " " + arg.Str()
		}
		if cond == "" && a.about(s.Get("Resource"), o) {
			a.statement(s, p)
		}
	}
	if cond != "" {
		p.Access.Rules = drift.Unknown[[]drift.AccessRule](cond, n.Origin("api"))
		p.Access.Default = drift.Unknown[string](cond, n.Origin("api"))
	}
}

// about reports whether a statement is for the operation: its resource ends in stage, method and path, with * for anything.
func (a *api) about(n *source.Node, o *op) bool {
	list := items(n)
	for _, i := range list {
		if name, arg := function(i); name == "Fn::Sub" {
			if i = arg; len(arg.Items()) > 0 {
				i = arg.Values[0]
			}
		}
		_, s, ok := strings.Cut(i.Str(), "execute-api:")
		if !ok {
			return true // in another form: it counts
		}
		parts := strings.SplitN(s[strings.LastIndex(s, ":")+1:], "/", 4)
		if len(parts) < 4 {
			return true
		}
		m := strings.ToUpper(o.method)
		if (parts[2] == "*" || parts[2] == m) && matches(parts[3], strings.Trim(braces.ReplaceAllString(o.path, "*"), "/")) {
			return true
		}
	}
	return len(list) == 0
}

var braces = regexp.MustCompile(`\{[^{}]*\}`)

// matches reports whether a pattern with * is for a path, which may have * for a parameter.
func matches(pattern, path string) bool {
	if pattern == path {
		return true
	}
	before, after, star := strings.Cut(pattern, "*")
	if !star || !strings.HasPrefix(path, before) {
		return false
	}
	last := after[strings.LastIndex(after, "*")+1:]
	return len(path) >= len(before)+len(last) && strings.HasSuffix(path, last)
}

// lists reads SAM's short forms.
func (a *api) lists(n *source.Node, p *drift.Policy) {
	if l := n.Get("IpRangeWhitelist"); l != nil {
		p.IP.Allow = a.leafList(l, nil)
	}
	if l := n.Get("IpRangeBlacklist"); l != nil {
		p.IP.Deny = a.leafList(l, nil)
	}
	n.Each(func(k string, v *source.Node) {
		effect := "allow"
		switch {
		case strings.HasSuffix(k, "Blacklist"):
			effect = "deny"
		case !strings.HasSuffix(k, "Whitelist"):
			return
		}
		if strings.HasPrefix(k, "Ip") {
			return
		}
		kind := "principal:"
		if strings.Contains(k, "Vpc") {
			kind = "vpc:"
		}
		l := a.leafList(v, nil)
		if !l.Known() {
			p.Access.Rules = drift.Unknown[[]drift.AccessRule](l.Cause, l.Origin)
			return
		}
		a.rule(p, drift.AccessRule{Effect: effect, Subjects: prefixed(kind, l.Value)}, v)
	})
}

func prefixed(kind string, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = kind + s
	}
	return drift.Sorted(out)
}

func (a *api) rule(p *drift.Policy, rule drift.AccessRule, at *source.Node) {
	if p.Access.Rules.State == drift.Unresolved {
		return
	}
	if slices.ContainsFunc(p.Access.Rules.Value, func(o drift.AccessRule) bool { return o.String() == rule.String() }) {
		return
	}
	p.Access.Rules = drift.From(append(slices.Clone(p.Access.Rules.Value), rule), at.Origin("api"))
}

// statement reads one statement of a policy document: filters of addresses by themselves, everything else as a rule.
func (a *api) statement(s *source.Node, p *drift.Policy) {
	effect := strings.ToLower(s.Get("Effect").Str())
	if effect == "" {
		effect = "allow"
	}
	conditions := s.Get("Condition")
	if conditions == nil {
		who := a.principals(s.Get("Principal"))
		if who == nil {
			p.Access.Rules = drift.Unknown[[]drift.AccessRule]("the principal of a statement is not known", s.Origin("api"))
			return
		}
		a.rule(p, drift.AccessRule{Effect: effect, Subjects: who}, s)
		return
	}
	conditions.Each(func(op string, n *source.Node) {
		n.Each(func(key string, v *source.Node) {
			l := a.leafList(v, nil)
			not := strings.HasPrefix(op, "Not") || strings.HasPrefix(op, "StringNot")
			switch {
			case !l.Known():
				p.Access.Rules = drift.Unknown[[]drift.AccessRule](l.Cause, l.Origin)
			case strings.EqualFold(key, "aws:SourceIp") && (effect == "allow") != not:
				p.IP.Allow = drift.From(append(p.IP.Allow.Value, l.Value...), l.Origin)
			case strings.EqualFold(key, "aws:SourceIp"):
				p.IP.Deny = drift.From(append(p.IP.Deny.Value, l.Value...), l.Origin)
			default:
				e := effect
				if not && effect == "deny" {
					e = "allow"
				} else if not {
					key = "not " + key
				}
				kind := key + ":"
				if strings.EqualFold(key, "aws:SourceVpc") || strings.EqualFold(key, "aws:SourceVpce") {
					kind = "vpc:"
				}
				a.rule(p, drift.AccessRule{Effect: e, Subjects: prefixed(kind, l.Value)}, v)
			}
		})
	})
}

func (a *api) principals(n *source.Node) []string {
	if n.Absent() || n.Str() == "*" {
		return []string{"principal:*"}
	}
	if n.Kind != source.Map {
		return prefixed("principal:", n.Strs())
	}
	var out []string
	n.Each(func(_ string, v *source.Node) {
		if l := a.leafList(v, nil); l.Known() {
			out = append(out, prefixed("principal:", l.Value)...)
		}
	})
	return drift.Sorted(out)
}
