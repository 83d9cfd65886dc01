package kong

import (
	"gatehouse/drift"
	"gatehouse/drift/source"
)

// view reads one plugin's configuration as leaves.
type view struct {
	r  *reader
	p  *plugin
	rt *route
}

func (v view) node(keys ...string) *source.Node {
	for _, c := range v.p.config {
		if n := c.Get(keys...); n != nil && n.Kind != source.Null {
			return n
		}
	}
	return nil
}

// either is the first of several names under which a field is known over versions.
func (v view) either(names ...string) *source.Node {
	for _, n := range names {
		if m := v.node(n); m != nil {
			return m
		}
	}
	return nil
}

func (v view) origin(n *source.Node) drift.Origin {
	if n == nil {
		return v.p.node.Origin(v.p.scope)
	}
	return n.Origin(v.p.scope)
}

// leaf gives a value the state that fits the plugin's scope.
func leaf[T any](v view, value T, n *source.Node) drift.Leaf[T] {
	l := drift.Is(value, v.origin(n))
	if v.p.route != v.rt {
		l.State = drift.Inherited
	}
	if c := v.p.node.Get("condition").Str(); c != "" {
		l.State, l.Cause = drift.Conditional, drift.Mask("plugin condition "+c)
	}
	return l
}

func (v view) str(def string, names ...string) drift.Leaf[string] {
	n := v.either(names...)
	if n == nil {
		return v.byDefault(def)
	}
	s := v.r.text(n.Str())
	if cause, is := open(s); is {
		return drift.Unknown[string](cause, v.origin(n))
	}
	return leaf(v, drift.Mask(s), n)
}

func (v view) byDefault(s string) drift.Leaf[string] {
	l := drift.ByDefault(s)
	l.Origin = v.origin(nil)
	return l
}

func (v view) flag(def bool, names ...string) drift.Leaf[bool] {
	n := v.either(names...)
	if n == nil {
		l := drift.ByDefault(def)
		l.Origin = v.origin(nil)
		return l
	}
	if cause, is := open(v.r.text(n.Str())); is {
		return drift.Unknown[bool](cause, v.origin(n))
	}
	b, ok := n.Bool()
	if !ok {
		return drift.Unknown[bool]("not a truth value", v.origin(n))
	}
	return leaf(v, b, n)
}

func (v view) num(def int64, names ...string) drift.Leaf[int64] {
	return v.intOf(v.either(names...), def)
}

func (v view) intOf(n *source.Node, def int64) drift.Leaf[int64] {
	if n == nil {
		l := drift.ByDefault(def)
		l.Origin = v.origin(nil)
		return l
	}
	if cause, is := open(v.r.text(n.Str())); is {
		return drift.Unknown[int64](cause, v.origin(n))
	}
	i, ok := n.Int()
	if !ok {
		return drift.Unknown[int64]("not a whole number", v.origin(n))
	}
	return leaf(v, i, n)
}

func (v view) ratio(def drift.Leaf[float64], names ...string) drift.Leaf[float64] {
	n := v.either(names...)
	if n == nil {
		return def
	}
	f, ok := n.Float()
	if !ok {
		return drift.Unknown[float64]("not a number", v.origin(n))
	}
	return leaf(v, f, n)
}

func (v view) list(def []string, names ...string) drift.Leaf[[]string] {
	n := v.either(names...)
	if n == nil {
		l := drift.ByDefault(def)
		l.Origin = v.origin(nil)
		return l
	}
	items := n.Strs()
	out := make([]string, 0, len(items))
	for _, s := range items {
		s = v.r.text(s)
		if cause, is := open(s); is {
			return drift.Unknown[[]string](cause, v.origin(n))
		}
		out = append(out, drift.Mask(s))
	}
	return leaf(v, out, n)
}
