package drift

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// index finds the operation of an environment that answers a request.
type index struct {
	ops   []*Operation // one for each key
	exact map[Key]*Operation
	wild  map[string][]*Operation // by the first segment of their path
	any   []*Operation            // those whose first segment is a parameter, a pattern or nothing
	found map[Key]*Operation
}

func newIndex(e *Environment) *index {
	x := &index{exact: make(map[Key]*Operation, len(e.Operations)), wild: map[string][]*Operation{}, found: map[Key]*Operation{}}
	for i := range e.Operations {
		o := &e.Operations[i]
		old, ok := x.exact[o.Key]
		if !ok {
			x.exact[o.Key] = o
			x.ops = append(x.ops, o)
			continue
		}
		both := joinOperations(old, o)
		x.exact[o.Key] = both
		for j := len(x.ops) - 1; j >= 0; j-- {
			if x.ops[j] == old {
				x.ops[j] = both
				break
			}
		}
	}
	for _, o := range x.ops {
		if o.Key.Method != "*" && o.Match.Kind == Exact && !o.Match.Open {
			continue
		}
		s := segments(o.Key.Path)
		if len(s) == 0 || s[0] == "**" || s[0] == "{}" || o.Key.Path[0] == '~' {
			x.any = append(x.any, o)
			continue
		}
		x.wild[s[0]] = append(x.wild[s[0]], o)
	}
	for _, list := range x.wild {
		sort.SliceStable(list, func(i, j int) bool { return narrower(list[i], list[j]) })
	}
	sort.SliceStable(x.any, func(i, j int) bool { return narrower(x.any[i], x.any[j]) })
	return x
}

// serving is the operation that answers what the key asks, or nil. A family of paths is answered only by itself or by a wider one.
func (x *index) serving(k Key) *Operation {
	if o, ok := x.exact[k]; ok {
		return o
	}
	o, ok := x.found[k]
	if ok {
		return o
	}
	if k.Path[0] != '~' {
		if s := segments(k.Path); len(s) > 0 {
			o = first(x.wild[s[0]], k)
		}
		if other := first(x.any, k); o == nil || other != nil && narrower(other, o) {
			o = other
		}
	}
	x.found[k] = o
	return o
}

func first(list []*Operation, k Key) *Operation {
	for _, o := range list {
		if serves(o.Key, o.Match, k) {
			return o
		}
	}
	return nil
}

// wider says in what o answers to more than what the other does, or "".
func wider(o, than *Operation) string {
	switch {
	case o.Key.Method == "*" && than.Key.Method != "*":
		return "any method"
	case matchRank(o.Match.Kind) == 3 && matchRank(than.Match.Kind) < 2:
		return "everything below the path"
	case o.Match.Open && !than.Match.Open && matchRank(than.Match.Kind) < 2:
		return "a pattern without an end"
	case o.Key.Path != than.Key.Path && o.Match.Kind == Prefix && than.Match.Kind == Prefix && len(o.Key.Path) < len(than.Key.Path):
		return "a shorter prefix"
	case o.Key.Path != than.Key.Path && than.Key.Path[0] != '~' && o.Match.Kind == Template && than.Match.Kind == Exact:
		return "a parameter in place of a fixed segment"
	}
	return ""
}

// before orders operations of one key whatever the order of the files: the narrower first, then the weaker door.
func before(a, b *Operation) bool {
	if narrower(a, b) != narrower(b, a) {
		return narrower(a, b)
	}
	if x, y := a.General().Auth.Ways, b.General().Auth.Ways; x.Value.Open() != y.Value.Open() {
		return x.Value.Open()
	}
	name := func(o *Operation) string {
		return strings.Join(o.Match.Hosts, " ") + "\x00" + strings.Join(o.Match.Headers, " ") + "\x00" + o.API + "\x00" + o.Name
	}
	return name(a) < name(b)
}

// joinOperations makes one of two operations of one key, which differ by host, header or listener: the policies of the second are
// further classes of the first, so that none is overlooked.
func joinOperations(a, b *Operation) *Operation {
	if before(b, a) {
		a, b = b, a
	}
	out := *a
	out.Effective = append([]Effective(nil), a.Effective...)
	where := b.Name
	if len(b.Match.Hosts) > 0 {
		where = "host " + strings.Join(b.Match.Hosts, " ")
	} else if len(b.Match.Headers) > 0 {
		where = "header " + strings.Join(b.Match.Headers, " ")
	}
	for _, e := range b.Effective {
		if slices.ContainsFunc(out.Effective, func(x Effective) bool { return x.Policy == e.Policy }) {
			continue
		}
		class := strings.TrimSpace(where + " " + e.Class)
		for n := 2; slices.ContainsFunc(out.Effective, func(x Effective) bool { return x.Class == class }); n++ {
			class = strings.TrimSpace(fmt.Sprintf("%s %s (%d)", where, e.Class, n))
		}
		out.Effective = append(out.Effective, Effective{Class: class, Policy: e.Policy})
	}
	return &out
}
