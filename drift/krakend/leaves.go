package krakend

import (
	"math"
	"strconv"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// view reads one part of the configuration as leaves.
type view struct {
	n     *source.Node
	scope string
	wide  bool // of the service, so that an endpoint inherits it
}

func (v view) at(key string) drift.Origin {
	if n := v.n.Get(key); n != nil {
		return n.Origin(v.scope)
	}
	return v.n.Origin(v.scope)
}

func leaf[T any](v view, value T, o drift.Origin) drift.Leaf[T] {
	if v.wide {
		return drift.From(value, o)
	}
	return drift.Is(value, o)
}

// value reads one scalar: the default when it is not there, unresolved when it is a template or not what it should be.
func value[T any](v view, key string, def T, read func(*source.Node) (T, bool)) drift.Leaf[T] {
	n := v.n.Get(key)
	if n.Absent() {
		return drift.ByDefault(def)
	}
	if cause, is := unrendered(n.Canonical()); is {
		return drift.Unknown[T](cause, n.Origin(v.scope))
	}
	x, ok := read(n)
	if !ok {
		return drift.Unknown[T]("cannot be read: "+key, n.Origin(v.scope))
	}
	return leaf(v, x, n.Origin(v.scope))
}

func (v view) str(key, def string) drift.Leaf[string] {
	return value(v, key, def, func(n *source.Node) (string, bool) {
		return drift.Mask(n.Str()), n.Kind != source.Map && n.Kind != source.List
	})
}

func (v view) flag(key string, def bool) drift.Leaf[bool] {
	return value(v, key, def, (*source.Node).Bool)
}

func (v view) num(key string, def int64) drift.Leaf[int64] {
	return value(v, key, def, (*source.Node).Int)
}

func (v view) list(key string, def []string) drift.Leaf[[]string] {
	return value(v, key, def, func(n *source.Node) ([]string, bool) {
		out := []string{}
		for _, s := range n.Strs() {
			out = append(out, drift.Mask(s))
		}
		return out, n.Kind != source.Map
	})
}

func (v view) millis(key string, def int64) drift.Leaf[int64] {
	return value(v, key, def, func(n *source.Node) (int64, bool) { d, ok := duration(n); return d.Milliseconds(), ok })
}

func (v view) seconds(key string, def int64) drift.Leaf[int64] {
	return value(v, key, def, func(n *source.Node) (int64, bool) { d, ok := duration(n); return int64(math.Ceil(d.Seconds())), ok })
}

// duration reads Go's durations and days; a bare number counts nanoseconds.
func duration(n *source.Node) (time.Duration, bool) {
	s := strings.TrimSpace(n.Str())
	if n.Kind == source.Number {
		i, ok := n.Int()
		return time.Duration(i), ok && i >= 0
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		i, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(i) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

func ratio(n *source.Node) (float64, bool) {
	f, ok := n.Float()
	return f, ok && f >= 0 && f <= 1
}

func percent(n *source.Node) (float64, bool) {
	f, ok := n.Float()
	return f / 100, ok && f >= 0 && f <= 100
}
