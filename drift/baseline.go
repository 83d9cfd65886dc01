package drift

import (
	"fmt"
	"slices"
	"time"
)

// Baseline is a named standard that environments are compared with, and what has been accepted for a while. It is kept as a file,
// which drift/baseline reads.
type Baseline struct {
	Name     string     `json:"baseline"`
	Policies []Standard `json:"policies"`
	Rules    []RuleOff  `json:"rules_off,omitempty"`
	Waivers  []Waiver   `json:"waivers,omitempty"`
}

// Standard is what some operations must meet. A leaf that it does not write is not asked for.
type Standard struct {
	Operations []string `json:"operations"` // selectors; the first standard that selects an operation counts
	Policy     Policy   `json:"policy"`
}

// RuleOff takes a rule out of the comparison, with a reason.
type RuleOff struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Off reports whether the baseline takes the rule out.
func (b *Baseline) Off(id string) bool {
	return slices.ContainsFunc(b.Rules, func(r RuleOff) bool { return r.Rule == id })
}

// Validate reports everything that is wrong with the baseline.
func (b *Baseline) Validate() []Problem {
	var out []Problem
	bad := func(pointer, format string, args ...any) {
		out = append(out, Problem{Pointer: pointer, Text: fmt.Sprintf(format, args...), Partial: true})
	}
	if b.Name == "" {
		bad("/baseline", "must be a name")
	}
	for i, s := range b.Policies {
		if len(s.Operations) == 0 {
			bad(fmt.Sprintf("/policies/%d/operations", i), "must name operations; ** is all of them")
		}
	}
	for i, r := range b.Rules {
		if _, ok := RuleByID(r.Rule); !ok {
			bad(fmt.Sprintf("/rules_off/%d/rule", i), "%q is not a rule", r.Rule)
		}
		if r.Reason == "" {
			bad(fmt.Sprintf("/rules_off/%d/reason", i), "must say why")
		}
	}
	for i, w := range b.Waivers {
		at := fmt.Sprintf("/waivers/%d", i)
		if _, ok := RuleByID(w.Rule); !ok {
			bad(at+"/rule", "%q is not a rule", w.Rule)
		}
		if w.Owner == "" {
			bad(at+"/owner", "must name who answers for it")
		}
		if w.Reason == "" {
			bad(at+"/reason", "must say why")
		}
		if w.Ends.IsZero() {
			bad(at+"/ends", "must be a time; nothing is accepted for ever")
		}
	}
	return out
}

// Ended are the waivers that are over.
func (b *Baseline) Ended(now time.Time) []Waiver {
	var out []Waiver
	for _, w := range b.Waivers {
		if !now.Before(w.Ends) {
			out = append(out, w)
		}
	}
	return out
}

// against compares an environment with the baseline. Only what is weaker than the standard, or cannot be compared with it, is
// reported: stricter is fine.
func (p *probe) against(b *Baseline, rules []Rule, g *groups) {
	g.res.Baseline = b.Name
	std := &probe{env: &Environment{Name: "baseline " + b.Name, Tier: p.env.Tier}, now: p.now, shapes: map[string]string{}}
	v := &pairing{a: p, b: std, asks: true}
	cache := map[[2]*Policy][]hit{}
	for i := range p.env.Operations {
		o := &p.env.Operations[i]
		j := slices.IndexFunc(b.Policies, func(s Standard) bool { return Selected(s.Operations, o.Key) })
		if j < 0 {
			g.res.Unjudged++
			continue
		}
		want := &b.Policies[j].Policy
		for _, eff := range o.Effective {
			key := [2]*Policy{eff.Policy, want}
			hits, ok := cache[key]
			if !ok {
				hits = slices.DeleteFunc(v.ask(rules, eff.Policy, want), func(h hit) bool { return h.order == Stronger })
				cache[key] = hits
			}
			g.takePair(v, &o.Key, eff.Class, hits)
		}
	}
	g.res.Compared += v.made
	g.res.NotCompared += v.unseen
}

// Adopt makes a baseline of an environment: what is in force there becomes the standard. Operations that share a policy share a
// standard.
func Adopt(name string, e *Environment) *Baseline {
	b := &Baseline{Name: name}
	at := map[*Policy]int{}
	for _, o := range e.Operations {
		p := o.General()
		i, ok := at[p]
		if !ok {
			i = len(b.Policies)
			at[p] = i
			b.Policies = append(b.Policies, Standard{Policy: *p})
		}
		b.Policies[i].Operations = append(b.Policies[i].Operations, o.Key.String())
	}
	return b
}
