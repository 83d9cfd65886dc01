package aws

import (
	"regexp"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// template is one CloudFormation or SAM template.
type template struct {
	r    *reader
	doc  *source.Node
	logs map[string]*source.Node // log groups by name of the resource
}

// function tells an intrinsic function from a value: its name in the long form, and what it is given.
func function(n *source.Node) (string, *source.Node) {
	switch {
	case n == nil:
		return "", nil
	case n.Tag != "":
		arg := *n
		arg.Tag = ""
		switch name := strings.TrimPrefix(n.Tag, "!"); name {
		case "Ref", "Condition":
			return name, &arg
		default:
			return "Fn::" + name, &arg
		}
	case n.Kind == source.Map && len(n.Keys) == 1 && (n.Keys[0] == "Ref" || strings.HasPrefix(n.Keys[0], "Fn::")):
		return n.Keys[0], n.Values[0]
	}
	return "", nil
}

func noValue(n *source.Node) bool {
	name, arg := function(n)
	return name == "Ref" && arg.Str() == "AWS::NoValue"
}

// pick goes through Fn::If to the branch that holds something; cond names the conditions on the way.
func pick(n *source.Node) (out *source.Node, cond string) {
	for {
		name, arg := function(n)
		if name != "Fn::If" || len(arg.Items()) != 3 {
			break
		}
		cond = "condition " + arg.Values[0].Str()
		if n = arg.Values[1]; noValue(n) {
			n = arg.Values[2]
		}
	}
	if noValue(n) {
		return nil, cond
	}
	return n, cond
}

// referred is the resource that a Ref, a GetAtt, a Sub of one variable or a literal name means.
func referred(n *source.Node) string {
	name, arg := function(n)
	switch name {
	case "":
		return n.Str()
	case "Ref":
		return arg.Str()
	case "Fn::GetAtt":
		if len(arg.Items()) > 0 {
			return arg.Values[0].Str()
		}
		s, _, _ := strings.Cut(arg.Str(), ".")
		return s
	case "Fn::Sub":
		if m := variable.FindAllStringSubmatch(arg.Str(), -1); len(m) == 1 {
			s, _, _ := strings.Cut(m[0][1], ".")
			return s
		}
	}
	return ""
}

var variable = regexp.MustCompile(`\$\{([^{}!][^{}]*)\}`)

// known is the value of a parameter or pseudo parameter that whoever reads has given. Defaults are not values: a deployment may
// give another.
func (t *template) known(name string) (string, bool) {
	if v, ok := t.r.opt.Values[name]; ok {
		return v, true
	}
	if name == "AWS::Region" && t.r.opt.Region != "" {
		return t.r.opt.Region, true
	}
	return "", false
}

// text is a value as text. What a deployment decides is not known, and cause says what it is.
func (t *template) text(n *source.Node) (s, cause string) {
	name, arg := function(n)
	switch name {
	case "":
		return n.Str(), ""
	case "Ref":
		if v, ok := t.known(arg.Str()); ok {
			return v, ""
		}
		return "", "!Ref " + arg.Str()
	case "Fn::Sub":
		text, with := arg.Str(), (*source.Node)(nil)
		if items := arg.Items(); len(items) == 2 {
			text, with = items[0].Str(), items[1]
		}
		s = variable.ReplaceAllStringFunc(text, func(m string) string {
			v := m[2 : len(m)-1]
			if w := with.Get(v); w != nil {
				got, c := t.text(w)
				if c != "" {
					cause = c
				}
				return got
			}
			got, ok := t.known(v)
			if !ok {
				cause = "!Sub ${" + v + "}"
			}
			return got
		})
		return s, cause
	case "Fn::Join":
		items := arg.Items()
		if len(items) != 2 || items[1].Kind != source.List {
			return "", "!Join"
		}
		var parts []string
		for _, i := range items[1].Values {
			p, c := t.text(i)
			if c != "" {
				return "", c
			}
			parts = append(parts, p)
		}
		return strings.Join(parts, items[0].Str()), ""
	case "Fn::If":
		if items := arg.Items(); len(items) == 3 {
			return "", "!If " + items[0].Str()
		}
	}
	return "", "!" + strings.TrimPrefix(name, "Fn::") + " " + arg.Str()
}

// leafText is a text as a leaf.
func (a *api) leafText(n *source.Node, def string) drift.Leaf[string] {
	if n.Absent() || noValue(n) {
		return drift.ByDefault(def)
	}
	s, cause := a.text(n)
	if cause != "" {
		return drift.Unknown[string](cause, n.Origin(""))
	}
	return drift.Is(drift.Mask(s), n.Origin(""))
}

func (a *api) leafInt(n *source.Node, def int64) drift.Leaf[int64] {
	if n.Absent() || noValue(n) {
		return drift.ByDefault(def)
	}
	s, cause := a.text(n)
	if cause != "" {
		return drift.Unknown[int64](cause, n.Origin(""))
	}
	i, ok := (&source.Node{Kind: source.String, Text: s}).Int()
	if !ok {
		return drift.Unknown[int64]("not a whole number", n.Origin(""))
	}
	return drift.Is(i, n.Origin(""))
}

func (a *api) leafBool(n *source.Node, def bool) drift.Leaf[bool] {
	if n.Absent() || noValue(n) {
		return drift.ByDefault(def)
	}
	s, cause := a.text(n)
	if cause != "" {
		return drift.Unknown[bool](cause, n.Origin(""))
	}
	b, ok := (&source.Node{Kind: source.String, Text: s}).Bool()
	if !ok {
		return drift.Unknown[bool]("not a truth value", n.Origin(""))
	}
	return drift.Is(b, n.Origin(""))
}

// leafList is a list of texts; a single text counts as a list of one.
func (a *api) leafList(n *source.Node, def []string) drift.Leaf[[]string] {
	if n.Absent() || noValue(n) {
		return drift.ByDefault(def)
	}
	var out []string
	for _, i := range items(n) {
		s, cause := a.text(i)
		if cause != "" {
			return drift.Unknown[[]string](cause, n.Origin(""))
		}
		out = append(out, drift.Mask(s))
	}
	return drift.Is(out, n.Origin(""))
}

func items(n *source.Node) []*source.Node {
	if name, _ := function(n); name == "" && n != nil && n.Kind == source.List {
		return n.Values
	}
	if n.Absent() {
		return nil
	}
	return []*source.Node{n}
}

// first is the first of several names under which a field is known.
func first(n *source.Node, names ...string) *source.Node {
	for _, k := range names {
		if v := n.Get(k); !v.Absent() {
			return v
		}
	}
	return nil
}
