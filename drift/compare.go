package drift

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// Settings say how to compare.
type Settings struct {
	Now      time.Time // for certificates and waivers; zero leaves both out
	Baseline *Baseline // compare each environment with this instead of with each other; without standards only its waivers and rules count
	Off      []string  // ids of rules that are not asked

	Progress func(done, all int) // told after each comparison of two; nil: nobody
}

// step tells of the progress.
func (s Settings) step(done, all int) {
	if s.Progress != nil {
		s.Progress(done, all)
	}
}

// Compare finds weaknesses of each environment and differences between each two of them, or between each and the baseline. It is
// pure: the same environments give the same result, whatever order their files were read in.
func Compare(envs []*Environment, s Settings) *Result {
	rules := asked(s)
	probes := make([]*probe, len(envs))
	res := &Result{Coverage: Coverage{States: map[string]int{}, Causes: map[string]int{}}, Settings: s.Off}
	g := newGroups(res)
	for i, e := range envs {
		probes[i] = &probe{env: e, now: s.Now, shapes: map[string]string{}}
		one := Cover(e)
		res.Coverage.add(&one)
		res.Environments = append(res.Environments, Summary{Name: e.Name, Tier: e.Tier, Gateway: e.Gateway, Coverage: one, Problems: e.Problems})
	}
	for _, p := range probes {
		p.reach = reaches(p, probes)
		p.alone(rules, g)
	}
	if s.Baseline != nil && len(s.Baseline.Policies) > 0 {
		for i, p := range probes {
			p.against(s.Baseline, rules, g)
			s.step(i+1, len(probes))
		}
	} else {
		indexes := make([]*index, len(envs))
		for i, e := range envs {
			indexes[i] = newIndex(e)
		}
		done := 0
		for i := range probes {
			for j := i + 1; j < len(probes); j++ {
				compareTwo(&pairing{a: probes[i], b: probes[j]}, indexes[i], indexes[j], rules, g)
				done++
				s.step(done, len(probes)*(len(probes)-1)/2)
			}
		}
	}
	g.finish(s)
	return res
}

func asked(s Settings) []Rule {
	return slices.DeleteFunc(Rules(), func(r Rule) bool {
		return slices.Contains(s.Off, r.ID) || s.Baseline != nil && s.Baseline.Off(r.ID)
	})
}

// reaches reports whether an environment that is not production leads into production: its upstreams' names say so, or a production
// environment has the same.
func reaches(p *probe, all []*probe) bool {
	if p.prod() {
		return false
	}
	hosts := map[string]bool{}
	for _, r := range p.env.References {
		if r.Kind == "upstream" {
			if t, ok := TierIn("https://" + hostOf(r.Value)); ok && t == Prod {
				return true
			}
			hosts[hostOf(r.Value)] = true
		}
	}
	for _, o := range all {
		if o.env.Tier != Prod {
			continue
		}
		for _, r := range o.env.References {
			if r.Kind == "upstream" && hosts[hostOf(r.Value)] && hostOf(r.Value) != "" {
				return true
			}
		}
	}
	return false
}

// alone asks the rules that need one environment.
func (p *probe) alone(rules []Rule, g *groups) {
	for i := range rules {
		p.rule = &rules[i]
		if p.rule.env != nil {
			p.rule.env(p)
			g.take(p, nil, "", p.hits)
			p.hits = p.hits[:0]
		}
	}
	cache := map[*Policy][]hit{}
	for i := range p.env.Operations {
		o := &p.env.Operations[i]
		for _, eff := range o.Effective {
			hits, ok := cache[eff.Policy]
			if !ok {
				for j := range rules {
					if p.rule = &rules[j]; p.rule.self != nil {
						p.rule.self(p, eff.Policy)
					}
				}
				hits, p.hits = p.hits, nil
				cache[eff.Policy] = hits
			}
			g.take(p, &o.Key, eff.Class, hits)
		}
	}
}

func compareTwo(v *pairing, xa, xb *index, rules []Rule, g *groups) {
	for i := range rules {
		if v.rule = &rules[i]; v.rule.two != nil {
			v.rule.two(v)
			g.takePair(v, nil, "", v.hits)
			v.hits = v.hits[:0]
		}
	}
	only, wide := ruleOf(rules, "DR-EXP-01"), ruleOf(rules, "DR-EXP-02")
	cache := map[[2]*Policy][]hit{}
	matched := map[*Operation]bool{}
	done := map[[2]*Operation]bool{}
	meet := func(oa, ob *Operation, k Key) {
		matched[oa], matched[ob] = true, true
		if done[[2]*Operation{oa, ob}] {
			return
		}
		done[[2]*Operation{oa, ob}] = true
		v.compareMatch(oa, ob, k, wide, g)
		for _, pair := range classes(oa, ob) {
			key := [2]*Policy{pair.a, pair.b}
			hits, ok := cache[key]
			if !ok {
				hits = v.ask(rules, pair.a, pair.b)
				cache[key] = hits
			}
			g.takePair(v, &k, pair.class, hits)
		}
	}
	for _, o := range xa.ops {
		if other := xb.serving(o.Key); other != nil {
			meet(o, other, o.Key)
		}
	}
	for _, o := range xb.ops {
		if other := xa.serving(o.Key); other != nil {
			meet(other, o, o.Key)
		}
	}
	if only != nil {
		v.rule = only
		v.single(v.a.env, v.b.env, xa, xb, matched, Weaker, g)
		v.single(v.b.env, v.a.env, xb, xa, matched, Stronger, g)
	}
	g.res.Compared += v.made
	g.res.NotCompared += v.unseen
}

func ruleOf(rules []Rule, id string) *Rule {
	if i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id }); i >= 0 {
		return &rules[i]
	}
	return nil
}

func (v *pairing) ask(rules []Rule, a, b *Policy) []hit {
	v.hits = nil
	if a == b {
		return nil
	}
	for i := range rules {
		if v.rule = &rules[i]; v.rule.pair != nil {
			v.rule.pair(v, a, b)
		}
	}
	hits := v.hits
	v.hits = nil
	return hits
}

// single reports operations that the other environment does not have at all.
func (v *pairing) single(e, other *Environment, own, theirs *index, matched map[*Operation]bool, o Order, g *groups) {
	for _, op := range own.ops {
		if matched[op] {
			continue
		}
		here := Side{Environment: e.Name, Value: "exposed", State: Set, Origin: op.Origin}
		there := Side{Environment: other.Name, Value: "absent", State: Set}
		if len(theirs.exact) == 0 || other.Files.Failed > 0 {
			there = Side{Environment: other.Name, Value: "not known", State: Unresolved}
		}
		h := hit{rule: v.rule, field: "operation", order: o, a: here, b: there, sure: Sure, note: "the operation is exposed on one side only"}
		if there.State == Unresolved {
			h.sure, h.note = Likely, h.note+", as far as the other side could be read"
		}
		if o == Stronger {
			h.a, h.b = h.b, h.a
		}
		g.takePair(v, &op.Key, "", []hit{h})
	}
}

// compareMatch reports when one of two operations that meet answers to more than the other.
func (v *pairing) compareMatch(oa, ob *Operation, k Key, r *Rule, g *groups) {
	if r == nil {
		return
	}
	v.rule = r
	why, o := wider(oa, ob), Weaker
	if w := wider(ob, oa); why == "" && w != "" {
		why, o = w, Stronger
	}
	if why == "" {
		return
	}
	h := hit{rule: r, field: "match", order: o, sure: Sure, note: "one side answers to more: " + why,
		a: Side{Environment: v.a.env.Name, Value: oa.Key.String(), State: Set, Origin: oa.Origin},
		b: Side{Environment: v.b.env.Name, Value: ob.Key.String(), State: Set, Origin: ob.Origin}}
	g.takePair(v, &k, "", []hit{h})
}

// classPair is two policies that stand for the same callers.
type classPair struct {
	class string
	a, b  *Policy
}

// classes pairs the effective policies of two operations: those of the same class, and a class that only one side knows with the
// other's general traffic, for that is what its callers meet there.
func classes(a, b *Operation) []classPair {
	if len(a.Effective) == 1 && len(b.Effective) == 1 {
		return []classPair{{"", a.Effective[0].Policy, b.Effective[0].Policy}}
	}
	var out []classPair
	for i, x := range a.Effective {
		j := slices.IndexFunc(b.Effective, func(y Effective) bool { return y.Class == x.Class })
		if j < 0 && i == 0 {
			j = 0
		}
		if j < 0 {
			out = append(out, classPair{x.Class, x.Policy, b.General()})
			continue
		}
		out = append(out, classPair{x.Class, x.Policy, b.Effective[j].Policy})
	}
	for i, y := range b.Effective {
		if i > 0 && !slices.ContainsFunc(a.Effective, func(x Effective) bool { return x.Class == y.Class }) {
			out = append(out, classPair{y.Class, a.General(), y.Policy})
		}
	}
	return out
}

// groups gathers hits into findings.
type groups struct {
	res   *Result
	byKey map[groupKey]*Finding
}

type groupKey struct {
	rule     *Rule
	id       string
	field    string
	order    Order
	envA, a  string
	envB, b  string
	stA, stB State
	note     string
}

func newGroups(r *Result) *groups { return &groups{res: r, byKey: map[groupKey]*Finding{}} }

func (g *groups) take(p *probe, k *Key, class string, hits []hit) {
	for _, h := range hits {
		g.put(h, k, class, p.severity(h.rule.Severity), nil)
	}
}

func (g *groups) takePair(v *pairing, k *Key, class string, hits []hit) {
	for _, h := range hits {
		var s Severity
		switch h.order {
		case Weaker:
			s = v.a.severity(h.rule.Severity)
		case Stronger:
			s = v.b.severity(h.rule.Severity)
		default:
			s = max(v.a.severity(h.rule.Severity), v.b.severity(h.rule.Severity))
		}
		b := h.b
		g.put(h, k, class, s, &b)
	}
}

func (g *groups) put(h hit, k *Key, class string, s Severity, b *Side) {
	key := groupKey{rule: h.rule, id: h.rule.ID, field: h.field, order: h.order, envA: h.a.Environment, a: h.a.Value, stA: h.a.State, note: h.note}
	if b != nil {
		key.envB, key.b, key.stB = b.Environment, b.Value, b.State
	}
	f, ok := g.byKey[key]
	if !ok {
		f = &Finding{Rule: h.rule.ID, Title: h.rule.Title, Area: h.rule.Area, Severity: s, Direction: directionOf(h.order), Field: h.field,
			A: h.a, B: b, Confidence: h.sure, Note: h.note}
		f.identify()
		g.byKey[key] = f
	} else {
		f.A.place(h.a.Origin)
		if b != nil {
			f.B.place(b.Origin)
		}
		f.Severity = max(f.Severity, s)
	}
	if !slices.Contains(f.Classes, class) {
		f.Classes = append(f.Classes, class)
	}
	if k != nil && !slices.Contains(lastFew(f.Operations), *k) {
		f.Operations = append(f.Operations, *k)
	}
}

func lastFew(k []Key) []Key { return k[max(0, len(k)-4):] }

// finish sorts what was found, applies waivers and fills the matrix.
func (g *groups) finish(s Settings) {
	out := make([]Finding, 0, len(g.byKey))
	used := map[*Waiver]bool{}
	for _, f := range g.byKey {
		sort.Slice(f.Operations, func(i, j int) bool { return compareKeys(f.Operations[i], f.Operations[j]) < 0 })
		f.Operations = slices.Compact(f.Operations)
		if f.Classes = Sorted(f.Classes); f.Classes[0] == "" {
			f.Classes = nil // general traffic is everybody
		}
		if s.Baseline != nil && !s.Now.IsZero() {
			for i := range s.Baseline.Waivers {
				if s.Baseline.Waivers[i].Covers(f, s.Now) {
					f.Waiver = &s.Baseline.Waivers[i]
					used[f.Waiver] = true
					break
				}
			}
		}
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.A.Environment, b.A.Environment), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.A.Origin.String(), b.A.Origin.String()), cmp.Compare(a.Note, b.Note), cmp.Compare(a.A.State, b.A.State), cmp.Compare(a.Direction, b.Direction))
	})
	g.res.Findings = out
	if s.Baseline != nil && !s.Now.IsZero() {
		g.res.Ended = s.Baseline.Ended(s.Now)
		for i := range s.Baseline.Waivers {
			if w := &s.Baseline.Waivers[i]; s.Now.Before(w.Ends) && !used[w] {
				g.res.Idle = append(g.res.Idle, *w)
			}
		}
	}
	g.res.fillMatrix()
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
}
