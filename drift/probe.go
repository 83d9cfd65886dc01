package drift

import (
	"strings"
	"time"
)

// probe looks at one environment. Rules report through it.
type probe struct {
	env    *Environment
	now    time.Time
	shapes map[string]string
	reach  bool // a non-production environment that leads into production
	rule   *Rule
	hits   []hit
}

// hit is one finding before it is grouped.
type hit struct {
	rule  *Rule
	field string
	order Order // of a against b
	a, b  Side
	sure  Confidence
	note  string
}

func (p *probe) shape(s string) string {
	v, ok := p.shapes[s]
	if !ok {
		v = Shape(s, p.env)
		p.shapes[s] = v
	}
	return v
}

func (p *probe) shapesOf(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = p.shape(s)
	}
	if len(out) > 1 {
		return Sorted(out)
	}
	return out
}

func (p *probe) side(l Fact) Side {
	s, o, _ := l.How()
	return Side{Environment: p.env.Name, Value: l.Text(), State: s, Origin: o}
}

// found reports a weakness of the environment alone.
func (p *probe) found(field string, l Fact, note string) {
	s := p.side(l)
	sure := Sure
	if s.State == Conditional {
		sure = Likely
	}
	p.hits = append(p.hits, hit{rule: p.rule, field: field, order: Weaker, a: s, sure: sure, note: note})
}

// at reports a weakness at a place.
func (p *probe) at(field, value string, o Origin, note string) {
	p.hits = append(p.hits, hit{rule: p.rule, field: field, order: Weaker, sure: Sure, note: note,
		a: Side{Environment: p.env.Name, Value: Mask(value), State: Set, Origin: o}})
}

// public reports whether the environment can be reached by everybody, which is assumed where nothing says otherwise.
func (p *probe) public() bool {
	for _, x := range p.env.Exposures {
		if x.Visibility == Public || x.Visibility == "" {
			return true
		}
	}
	return len(p.env.Exposures) == 0
}

// prod reports whether the environment is to be judged as production.
func (p *probe) prod() bool { return p.env.Tier == Prod || p.env.Tier == "" }

// severity is the rule's severity as it counts in this environment.
func (p *probe) severity(s Severity) Severity {
	if s == Info {
		return s
	}
	if !p.prod() && !p.reach && s > Low {
		s--
	}
	if !p.public() && s > Low {
		s--
	}
	return s
}

// pairing looks at two environments.
type pairing struct {
	a, b   *probe
	rule   *Rule
	hits   []hit
	unseen int  // comparisons not made because a side is not known
	asks   bool // b is a baseline, which asks only for what it writes
	made   int
}

// report adds a difference of the order of a against b.
func (v *pairing) report(field string, a, b Fact, o Order, note string) {
	if o == Same {
		return
	}
	v.add(field, v.a.side(a), v.b.side(b), o, note)
}

func (v *pairing) add(field string, a, b Side, o Order, note string) {
	sure := Sure
	if a.State == Unsupported || b.State == Unsupported || a.State == Conditional || b.State == Conditional {
		sure = Likely
	}
	v.hits = append(v.hits, hit{rule: v.rule, field: field, order: o, a: a, b: b, sure: sure, note: note})
}

// differ compares two leaves by an order. Nothing is said when a side is not known. What a gateway cannot express counts as
// absent, and absent is what the rule says is the weakest.
func differ[T any](v *pairing, field string, a, b Leaf[T], absent T, cmp func(a, b T) Order, note string) {
	if !a.Definite() || !b.Definite() {
		if !v.asks || b.Definite() {
			v.unseen++
		}
		return
	}
	v.made++
	if a.State == Unsupported && b.State == Unsupported {
		return
	}
	x, y := a.Value, b.Value
	if a.State == Unsupported {
		x = absent
	}
	if b.State == Unsupported {
		y = absent
	}
	if o := cmp(x, y); o != Same {
		if a.State == Unsupported || b.State == Unsupported {
			note += "; one of the gateways has no way to express it, so a control in front of or behind it must make up for it"
		}
		v.report(field, a, b, o, note)
	}
}

// unordered compares values that are either the same or not.
func unordered[T comparable](a, b T) Order { return unless(a == b) }

// listed compares lists as sets that have no direction.
func listed(a, b []string) Order { return unless(subset(a, b) && subset(b, a)) }

// shaped compares lists by their binding classes.
func (v *pairing) shaped(cmp func(a, b []string) Order) func(a, b []string) Order {
	return func(a, b []string) Order {
		if equal(a, b) {
			return Same
		}
		return cmp(v.a.shapesOf(a), v.b.shapesOf(b))
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// lower compares lists without regard to case.
func lower(cmp func(a, b []string) Order) func(a, b []string) Order {
	return func(a, b []string) Order {
		if equal(a, b) {
			return Same
		}
		return cmp(lowered(a), lowered(b))
	}
}

func lowered(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ToLower(s)
	}
	return out
}
