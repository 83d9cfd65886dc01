package plan

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/drift"
)

// families are the leaves that may change together with a field: a rate brings its quota, an address its transformation.
func families(field, rule string) []string {
	switch {
	case rule == "DR-AUT-02":
		return []string{""} // what was cut off comes back, whatever it is
	case field == "tls.hsts_max_age_s":
		return []string{"tls.hsts", "transforms"}
	case field == "transforms" || field == "transforms.order":
		return []string{"transforms", "tls.hsts"}
	case strings.HasPrefix(field, "tls.upstream"):
		return []string{"tls.upstream"}
	case strings.HasPrefix(field, "tls.client") || field == "tls.ca_refs":
		return []string{"tls.client_auth", "tls.ca_refs", "tls.pins", "auth."}
	case strings.HasPrefix(field, "tls."):
		return []string{"tls."}
	case strings.HasPrefix(field, "auth") || field == "detached" || field == "order":
		return []string{"auth", "authz", "lifecycle.subscription", "tls.client_auth", "tls.ca_refs"}
	case strings.HasPrefix(field, "rate") || field == "quota":
		return []string{"rate", "quota"}
	case strings.HasPrefix(field, "reference."):
		return []string{"upstream.urls", "cors.origins", "logging.sinks", "tracing.endpoint", "metrics.sink"}
	}
	head, _, _ := strings.Cut(field, ".")
	return []string{head}
}

// prove reads the changed files again. The finding must be gone, no other leaf may have changed, on no other operation, and what comes
// to light must be less than what is closed.
func (p *planner) prove(f *drift.Finding, at int, s *Site, about About) (*Step, error) {
	files := s.changed()
	if len(files) == 0 {
		return nil, refuse("the files say already what would be written, so the difference stands elsewhere", "")
	}
	if left := p.opt.Deletions - p.plan.Deletes; s.deletes > left {
		return nil, refuse(fmt.Sprintf("it takes out %d entries and the plan may take out %d more", s.deletes, max(0, left)), "allow it with --delete")
	}
	t := p.targets[at]
	next := p.overlays[at].with(files)
	before, after := t.Env, t.Read(next)
	effects, err := compared(f, before, after, s.brings)
	if err != nil {
		return nil, err
	}
	old := p.res
	t.Env = after
	res := p.compare()
	step := &Step{About: about, Does: strings.Join(s.did, "; "), Effects: effects, Closes: []string{}, Deletes: s.deletes}
	now := spotsOf(res)
	for i := range old.Findings {
		if g := &old.Findings[i]; g.Waiver == nil && !now.has(g) {
			step.Closes = append(step.Closes, g.ID)
		}
	}
	if err = p.shown(f, old, res, t.Env.Name, step); err == nil {
		err = step.diffs(p.overlays[at], files)
	}
	if err != nil {
		t.Env = before
		return nil, err
	}
	p.res, p.overlays[at] = res, next
	return step, nil
}

// spots are the findings of a result that nobody has waived, by what they say of which operations, whatever their values.
type spots map[string]map[drift.Key]bool

func spotsOf(r *drift.Result) spots {
	out := spots{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Waiver != nil {
			continue
		}
		k := placeOf(f)
		if out[k] == nil {
			out[k] = map[drift.Key]bool{}
		}
		for _, o := range f.Operations {
			out[k][o] = true
		}
	}
	return out
}

func placeOf(f *drift.Finding) string {
	k := f.Rule + "\x00" + f.Field + "\x00" + f.A.Environment
	if f.B != nil {
		k += "\x00" + f.B.Environment
	}
	if len(f.Operations) == 0 {
		k += "\x00\x00" + f.A.Value + "\x00" + f.A.Origin.File + "\x00" + f.A.Origin.Pointer
	}
	return k
}

func (p spots) has(f *drift.Finding) bool {
	keys, ok := p[placeOf(f)]
	return ok && (len(f.Operations) == 0 || slices.ContainsFunc(f.Operations, func(k drift.Key) bool { return keys[k] }))
}

// shown checks that the finding is gone, and that nothing worse than it has come.
func (p *planner) shown(f *drift.Finding, old, res *drift.Result, name string, step *Step) error {
	was, about := spotsOf(old), spotsOf(&drift.Result{Findings: []drift.Finding{*f}})
	for i := range res.Findings {
		g := &res.Findings[i]
		if g.Waiver != nil {
			continue
		}
		if about.has(g) && (g.Direction == f.Direction || g.Direction == drift.NoneWeaker || g.ID == f.ID) {
			return refuse("the change was tried and the finding stays: "+g.A.Value+sideText(g), "")
		}
		if was.has(g) || g.A.Environment != name && (g.B == nil || g.B.Environment != name) {
			continue
		}
		if g.Severity > f.Severity || g.Weaker() == name && g.Field == f.Field {
			return refuse("the change would bring another finding: "+g.Rule+" "+g.Title, "")
		}
		text := g.Rule + " " + g.Title
		if !slices.Contains(step.Shows, text) {
			step.Shows = append(step.Shows, text)
		}
	}
	return nil
}

func sideText(f *drift.Finding) string {
	if f.B == nil {
		return ""
	}
	return " against " + f.B.Value
}

// compared is everything that is different after a change. It is an error when that is more than the finding is about.
func compared(f *drift.Finding, before, after *drift.Environment, brings []string) ([]Effect, error) {
	if after.Files.Failed > before.Files.Failed || len(after.Problems) > len(before.Problems) {
		for _, q := range after.Problems {
			if !slices.ContainsFunc(before.Problems, func(o drift.Problem) bool { return o.Text == q.Text && o.File == q.File }) {
				return nil, refuse("the changed files are not read as well as before: "+q.String(), "")
			}
		}
	}
	if len(after.Operations) != len(before.Operations) || len(after.Certificates) != len(before.Certificates) || len(after.Literals) > len(before.Literals) || len(after.Gaps) > len(before.Gaps) {
		return nil, refuse("the change would add or take away operations, certificates, secrets or references", "")
	}
	allowed := append(families(f.Field, f.Rule), brings...)
	effects := []Effect{}
	for i := range before.Operations {
		x, y := &before.Operations[i], &after.Operations[i]
		if x.Key != y.Key {
			return nil, refuse("the change would expose other operations: "+x.Key.String()+" becomes "+y.Key.String(), "")
		}
		for _, pair := range bothClasses(x, y) {
			for _, e := range differences(policyOf(x, pair), policyOf(y, pair)) {
				e.Operation = x.Key.String()
				if pair != "" {
					e.Operation += " (" + pair + ")"
				}
				if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(e.Field, prefix) }) {
					return nil, refuse(fmt.Sprintf("the change would also change %s of %s", e.Field, e.Operation), "")
				}
				if len(f.Operations) > 0 && !touches(f.Operations, x.Key) {
					return nil, refuse("the value stands where it serves other operations too, such as "+e.Operation, "")
				}
				effects = append(effects, e)
			}
		}
	}
	return effects, nil
}

// bothClasses are the classes of callers that one of two operations knows.
func bothClasses(x, y *drift.Operation) []string {
	var out []string
	for _, o := range []*drift.Operation{x, y} {
		for _, e := range o.Effective {
			if !slices.Contains(out, e.Class) {
				out = append(out, e.Class)
			}
		}
	}
	return out
}

// touches reports whether the key is one of the finding's, or of the family that answers one of them.
func touches(keys []drift.Key, k drift.Key) bool {
	return slices.ContainsFunc(keys, func(o drift.Key) bool {
		return o == k || (k.Method == "*" || k.Method == o.Method) && (k.Path == o.Path || strings.HasSuffix(k.Path, "**") && strings.HasPrefix(o.Path+"/", strings.TrimSuffix(k.Path, "**")))
	})
}

// differences are the leaves of two policies that do not say the same.
func differences(a, b *drift.Policy) []Effect {
	type seen struct {
		text  string
		state drift.State
	}
	was := map[string]seen{}
	var names []string
	a.Facts(func(n string, l drift.Fact) {
		s, _, _ := l.How()
		was[n] = seen{l.Text(), s}
		names = append(names, n)
	})
	known := func(s drift.State) bool { return s == drift.Set || s == drift.Default || s == drift.Inherited }
	var out []Effect
	is := map[string]bool{}
	b.Facts(func(n string, l drift.Fact) {
		s, _, _ := l.How()
		is[n] = true
		o, ok := was[n]
		if !ok {
			o.text = "absent"
		}
		if !ok || o.text != l.Text() || o.state != s && !(known(o.state) && known(s)) {
			out = append(out, Effect{Field: n, From: o.text, To: l.Text()})
		}
	})
	for _, n := range names {
		if !is[n] {
			out = append(out, Effect{Field: n, From: was[n].text, To: "absent"})
		}
	}
	return out
}
