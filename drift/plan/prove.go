package plan

import (
	"fmt"
	"reflect"
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
	case field == "operation" || field == "match":
		return []string{"operation", "match"}
	case field == "gap":
		return []string{""} // what was not known becomes known
	case field == "exposure.bypass":
		return []string{"exposure", "tls.client_auth"}
	case field == "transforms" || field == "transforms.order":
		return []string{"transforms", "tls.hsts"}
	case strings.HasPrefix(field, "tls.upstream"):
		return []string{"tls.upstream"}
	case strings.HasPrefix(field, "tls.client") || field == "tls.ca_refs":
		return []string{"tls.client_auth", "tls.ca_refs", "tls.pins", "auth.", "exposure"}
	case strings.HasPrefix(field, "tls."):
		return []string{"tls.", "exposure"}
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

// trial is a change that is tried.
type trial struct {
	files   map[string][]byte
	deletes int
	did     []string
	brings  []string
	like    *drift.Environment // what comes along must be as it is there; nil: nothing may come along
}

// outcome is a trial that is proven, and not accepted yet.
type outcome struct {
	step *Step
	env  *drift.Environment
	res  *drift.Result
	over *Overlay
}

// prove checks a change and makes it part of the plan.
func (p *planner) prove(f *drift.Finding, at int, s *Site, about About) (*Step, error) {
	t := trial{files: s.changed(), deletes: s.deletes, did: s.did, brings: s.brings}
	o, err := p.check(f, at, t, about)
	if i := p.find(p.otherThan(f, at)); err != nil && i >= 0 && len(t.files) > 0 {
		t.like = p.targets[i].Env
		if along, e := p.check(f, at, t, about); e == nil && keeps(f, along.step.Effects) == nil {
			o, err = along, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return p.accept(at, o), nil
}

// otherThan is the side of a finding that is not changed.
func (p *planner) otherThan(f *drift.Finding, at int) string {
	if f.B == nil {
		return ""
	}
	if f.A.Environment == p.targets[at].Env.Name {
		return f.B.Environment
	}
	return f.A.Environment
}

func (p *planner) accept(at int, o *outcome) *Step {
	for i := range p.res.Findings {
		if g := &p.res.Findings[i]; slices.Contains(o.step.Closes, g.ID) {
			p.closed[placeOf(g)] = true
		}
	}
	p.targets[at].Env, p.res, p.overlays[at] = o.env, o.res, o.over
	return o.step
}

// check reads the changed files again. The finding must be gone, no other leaf may have changed, on no other operation, and what comes
// to light must be less than what is closed.
func (p *planner) check(f *drift.Finding, at int, c trial, about About) (*outcome, error) {
	if len(c.files) == 0 {
		return nil, &refusal{reason: "the files say already what would be written, so the difference stands elsewhere", weak: true}
	}
	if left := p.opt.Deletions - p.plan.Deletes; c.deletes > left {
		return nil, refuse(fmt.Sprintf("it takes out %d entries and the plan may take out %d more", c.deletes, max(0, left)), "allow it with --delete")
	}
	t := p.targets[at]
	next := p.overlays[at].with(c.files)
	before, after := t.Env, t.Read(next)
	effects, err := changed(before, after, c.like)
	if err == nil {
		err = within(f, effects, c.brings, c.like)
	}
	if err != nil {
		return nil, err
	}
	t.Env = after
	res := p.compare()
	t.Env = before
	step := &Step{About: about, Does: strings.Join(c.did, "; "), Effects: effects, Closes: []string{}, Deletes: c.deletes}
	now := spotsOf(res)
	for i := range p.res.Findings {
		if g := &p.res.Findings[i]; g.Waiver == nil && !now.has(g) {
			step.Closes = append(step.Closes, g.ID)
		}
	}
	if err = p.shown(f, p.res, res, t.Env.Name, step); err == nil {
		err = step.diffs(p.overlays[at], c.files)
	}
	if err != nil {
		return nil, err
	}
	return &outcome{step, after, res, next}, nil
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
		if about.has(g) && measured(f.Field) {
			return refuse("the change would go beyond what the other side has: "+g.A.Value+sideText(g), "")
		}
		if was.has(g) || g.A.Environment != name && (g.B == nil || g.B.Environment != name) {
			continue
		}
		if p.closed[placeOf(g)] {
			return refuse("the change would open again what another step closes: "+g.Rule+" "+g.Title, "")
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

// measured reports whether a field is a number, which is brought to the other side's and not beyond it.
func measured(field string) bool {
	return strings.HasPrefix(field, "rate") || strings.HasPrefix(field, "quota") || strings.HasPrefix(field, "limits.") || strings.HasSuffix(field, "_s") || strings.HasSuffix(field, "_ratio") || strings.HasSuffix(field, "_days") || strings.HasSuffix(field, ".min")
}

func sideText(f *drift.Finding) string {
	if f.B == nil {
		return ""
	}
	return " against " + f.B.Value
}

// within reports what of the effects the finding is not about. What comes along with it is all right where the change is one that a
// standard has too, and everything that comes along is as it is there.
func within(f *drift.Finding, all []Effect, brings []string, like *drift.Environment) error {
	allowed := append(families(f.Field, f.Rule), brings...)
	there := standing(like)
	for _, e := range all {
		if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(e.Field, prefix) }) && !there(e) {
			return refuse(fmt.Sprintf("the change would also change %s of %s", e.Field, e.Operation), "")
		}
		if len(f.Operations) > 0 && e.key != (drift.Key{}) && !touches(f.Operations, e.key) && !there(e) {
			return refuse("the value stands where it serves other operations too, such as "+e.Operation, "")
		}
	}
	return nil
}

// standing asks of effects whether what has become of the leaf is what it is in another environment. Without one it never is.
func standing(like *drift.Environment) func(Effect) bool {
	var look *drift.Lookup // made once, when something is asked
	return func(e Effect) bool {
		if like == nil {
			return false
		}
		if look == nil {
			l := drift.NewLookup(like)
			look = &l
		}
		return e.isIn(like, *look)
	}
}

func (e Effect) isIn(like *drift.Environment, look drift.Lookup) bool {
	if e.key == (drift.Key{}) {
		return e.To == addresses(like)
	}
	o := look.Serving(e.key)
	switch {
	case e.Field == "operation":
		return (e.To == "absent") == (o == nil || o.Key != e.key)
	case o == nil:
		return false
	case e.Field == "match":
		return e.To == string(o.Match.Kind)
	}
	text := "absent"
	policyOf(o, e.class).Facts(func(n string, l drift.Fact) {
		if n == e.Field {
			text = l.Text()
		}
	})
	return text == e.To
}

// changed is everything that is different. It is an error when the changed files are read less well, or serve other operations than
// before, unless these are as in the standard.
func changed(before, after, like *drift.Environment) ([]Effect, error) {
	if after.Files.Failed > before.Files.Failed || len(after.Problems) > len(before.Problems) {
		for _, q := range after.Problems {
			if !slices.ContainsFunc(before.Problems, func(o drift.Problem) bool { return o.Text == q.Text && o.File == q.File }) {
				return nil, refuse("the changed files are not read as well as before: "+q.String(), "")
			}
		}
	}
	same := len(after.Certificates) == len(before.Certificates) || like != nil && len(after.Certificates) == len(like.Certificates)
	if !same || len(after.Literals) > len(before.Literals) || len(after.Gaps) > len(before.Gaps) {
		return nil, refuse("the change would add or take away certificates, secrets or references", "")
	}
	effects := []Effect{}
	if a, b := addresses(before), addresses(after); a != b {
		effects = append(effects, Effect{Operation: "all", Field: "exposure", From: a, To: b})
	}
	was := map[drift.Key]*drift.Operation{}
	for i := range before.Operations {
		was[before.Operations[i].Key] = &before.Operations[i]
	}
	for i := range after.Operations {
		y := &after.Operations[i]
		x := was[y.Key]
		if x == nil {
			effects = append(effects, Effect{Operation: y.Key.String(), Field: "operation", From: "absent", To: "present", key: y.Key})
			continue
		}
		delete(was, y.Key)
		effects = append(effects, effectsOn(x, y)...)
	}
	for k := range was {
		effects = append(effects, Effect{Operation: k.String(), Field: "operation", From: "present", To: "absent", key: k})
	}
	there := standing(like)
	for _, e := range effects {
		if e.Field == "operation" && !there(e) {
			return nil, refuse("the change would expose other operations: "+e.Operation+" is "+e.From+" and would be "+e.To, "")
		}
	}
	return effects, nil
}

// effectsOn are the differences of one operation.
func effectsOn(x, y *drift.Operation) []Effect {
	var effects []Effect
	name := x.Key.String()
	if x.Match.Kind != y.Match.Kind {
		effects = append(effects, Effect{Operation: name, Field: "match", From: string(x.Match.Kind), To: string(y.Match.Kind), key: x.Key})
	}
	for _, class := range bothClasses(x, y) {
		a, b := policyOf(x, class), policyOf(y, class)
		if reflect.DeepEqual(a, b) { // as most are: what differs in its lines alone is looked at leaf by leaf
			continue
		}
		for _, e := range differences(a, b) {
			e.Operation, e.key, e.class = name, x.Key, class
			if class != "" {
				e.Operation += " (" + class + ")"
			}
			effects = append(effects, e)
		}
	}
	return effects
}

// addresses are those under which an environment answers, for comparison.
func addresses(e *drift.Environment) string {
	var out []string
	for _, x := range e.Exposures {
		out = append(out, fmt.Sprint(x.Scheme, " ", x.Host, ":", x.Port, x.BasePath, " ", x.Visibility, " ", x.Edge, " ", x.Bypass, " ", x.Proof.Text()))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
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

// valued are the transformations with their values, which their texts leave out.
func valued(p *drift.Policy) string {
	var out []string
	for _, t := range p.Transforms.Value {
		out = append(out, t.String()+"="+string(drift.ValueOf(t.Name, string(t.Value))))
	}
	return strings.Join(out, ", ")
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
	if x, y := valued(a), valued(b); x != y && !slices.ContainsFunc(out, func(e Effect) bool { return e.Field == "transforms" }) {
		out = append(out, Effect{Field: "transforms", From: x, To: y})
	}
	for _, n := range names {
		if !is[n] {
			out = append(out, Effect{Field: n, From: was[n].text, To: "absent"})
		}
	}
	return out
}
