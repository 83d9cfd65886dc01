package drift

import "sort"

// index finds the operation of an environment that answers a request.
type index struct {
	exact map[Key]*Operation
	wild  map[string][]*Operation // by the first segment of their path
	any   []*Operation            // those whose first segment is a parameter, a pattern or nothing
	found map[Key]*Operation
}

func newIndex(e *Environment) *index {
	x := &index{exact: make(map[Key]*Operation, len(e.Operations)), wild: map[string][]*Operation{}, found: map[Key]*Operation{}}
	for i := range e.Operations {
		o := &e.Operations[i]
		if old, ok := x.exact[o.Key]; !ok || narrower(o, old) {
			x.exact[o.Key] = o
		}
		if o.Key.Method != "*" && o.Match.Kind == Exact && !o.Match.Open {
			continue
		}
		s := segments(o.Key.Path)
		if len(s) == 0 || s[0] == "**" || s[0][0] == '~' || s[0] == "{}" || o.Key.Path[0] == '~' {
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
