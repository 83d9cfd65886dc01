// Package plan writes the changes that close findings of a drift review, in each gateway's own files, and proves each of them: the
// changed files are read again, the finding must be gone, and nothing else may have changed. It writes nothing by itself; Apply does.
package plan

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"gatehouse/drift"
)

// Target is an environment whose files may be changed, and how they are read again after a change. Without Read its files are a pattern
// for others, and stay.
type Target struct {
	Env   *drift.Environment
	Files fs.FS
	Read  func(fs.FS) *drift.Environment

	Instead string // what to do where it has no files that can be changed, such as how they are written out
}

// kept is why an environment is not changed, and what to do instead.
func (t *Target) kept() (reason, control string) {
	switch {
	case t.Instead != "":
		return "what is read from a gateway that runs is masked, and only looked at: nothing is written to it", t.Instead
	case t.Files != nil:
		return t.Env.Name + " is compared and not to be changed", "plan with it as an environment of its own"
	}
	return t.Env.Name + " was not read from files that can be changed", "change it where it is kept, and read it again"
}

// Options say what is planned.
type Options struct {
	Like      string         // the environment that the others are brought to; "": whichever side is stricter
	Only      []string       // ids of findings or rules; none: all
	Deletions int            // how many entries the whole plan may take out
	Settings  drift.Settings // of the comparison
	Progress  func(tried, left int)
}

// Plan is what would be done, in order, and what cannot be done.
type Plan struct {
	Format   int       `json:"drift_plan"`
	Before   string    `json:"verdict_before"`
	After    string    `json:"verdict_after"`
	Steps    []Step    `json:"steps"`
	Refusals []Refusal `json:"not_planned"`
	Files    []File    `json:"files"` // the sum of all steps, file by file
	Deletes  int       `json:"deletes"`
	Coverage drift.Coverage
}

// About names the finding that a step closes, or that a refusal leaves.
type About struct {
	Finding     string         `json:"finding"`
	Rule        string         `json:"rule"`
	Title       string         `json:"title"`
	Severity    drift.Severity `json:"severity"`
	Field       string         `json:"field,omitempty"`
	Operations  []drift.Key    `json:"operations"`
	Environment string         `json:"environment"` // that is changed
	Gateway     string         `json:"gateway"`
	Origin      drift.Origin   `json:"origin,omitzero"`
}

// Step is one proven change.
type Step struct {
	Number int `json:"number"`
	About
	Does    string   `json:"does"`
	Changes []Change `json:"changes"`
	Effects []Effect `json:"effects"`           // everything that is different afterwards, as read from the changed files
	Closes  []string `json:"closes"`            // ids of all findings that are gone afterwards
	Shows   []string `json:"shows,omitempty"`   // findings that only now can be asked, such as the audience of tokens that were not asked for before
	Deletes int      `json:"deletes,omitempty"` // entries that are taken out
}

// Change is a step's difference in one file, masked, for people.
type Change struct {
	File string `json:"file"`
	Diff string `json:"diff"`
}

// Effect is one leaf that changes.
type Effect struct {
	Operation string `json:"operation"`
	Field     string `json:"field"`
	From      string `json:"from"`
	To        string `json:"to"`

	key   drift.Key
	class string
}

// Refusal is a finding that no change is planned for.
type Refusal struct {
	About
	Reason  string `json:"reason"`
	Control string `json:"control"` // what makes up for it until then
}

// mostRounds bounds the findings that are tried: closing some lets others be asked.
const mostRounds = 2000

// mostAttached bounds the policies that are attached nowhere and tried.
const mostAttached = 6

type planner struct {
	targets  []*Target
	overlays []*Overlay
	opt      Options
	res      *drift.Result
	plan     *Plan
	tried    map[string]bool
	moved    map[[2]int]moves
	closed   map[string]bool // places of findings that steps have closed
}

// Make plans. The targets' environments are all that is compared; those without Files are compared and not changed.
func Make(targets []Target, o Options) *Plan {
	p := &planner{opt: o, plan: &Plan{Format: 1, Steps: []Step{}, Refusals: []Refusal{}, Files: []File{}}, tried: map[string]bool{}, moved: map[[2]int]moves{}, closed: map[string]bool{}}
	for _, t := range targets {
		p.targets = append(p.targets, &t)
		p.overlays = append(p.overlays, NewOverlay(t.Files))
	}
	p.res = p.compare()
	p.plan.Before, p.plan.Coverage = p.res.Verdict(), p.res.Coverage
	for round := range mostRounds {
		open := p.open()
		if len(open) == 0 {
			break
		}
		if o.Progress != nil {
			o.Progress(round, len(open))
		}
		p.try(&open[0])
	}
	p.plan.After = p.res.Verdict()
	for i, t := range p.targets {
		p.plan.Files = append(p.plan.Files, p.overlays[i].changes(t.Env.Name)...)
	}
	return p.plan
}

func (p *planner) compare() *drift.Result {
	envs := make([]*drift.Environment, len(p.targets))
	for i, t := range p.targets {
		envs[i] = t.Env
	}
	return drift.Compare(envs, p.opt.Settings)
}

// label tells findings apart, also those that share an id.
func label(f *drift.Finding) string {
	s := f.ID + f.Field + string(f.Direction) + f.Note + f.A.State.String()
	if f.B != nil {
		s += f.B.State.String()
	}
	return s
}

// open are the findings that are still to be tried, safest first: the lowest tier before the next, authentication before what could
// turn callers away, and limits last.
func (p *planner) open() []drift.Finding {
	out := slices.DeleteFunc(p.res.Open(), func(f drift.Finding) bool {
		wanted := len(p.opt.Only) == 0 || slices.Contains(p.opt.Only, f.ID) || slices.Contains(p.opt.Only, f.Rule)
		return !wanted || p.tried[label(&f)]
	})
	slices.SortStableFunc(out, func(a, b drift.Finding) int {
		return cmp.Or(cmp.Compare(p.tier(&a), p.tier(&b)), cmp.Compare(rank(a.Area), rank(b.Area)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func rank(a drift.Area) int {
	return slices.Index([]drift.Area{drift.AreaAuth, drift.AreaCertificates, drift.AreaExposure, drift.AreaObservability, drift.AreaTraffic}, a)
}

func (p *planner) tier(f *drift.Finding) int {
	i := p.find(f.Weaker())
	if i < 0 {
		return 4
	}
	if n := slices.Index([]drift.Tier{drift.Dev, drift.Test, drift.Stage, drift.Prod}, p.targets[i].Env.Tier); n >= 0 {
		return n
	}
	return 3
}

func (p *planner) find(name string) int {
	return slices.IndexFunc(p.targets, func(t *Target) bool { return t.Env.Name == name })
}

// sides says which environment is changed, and which side it is brought to: nil where the finding is about one environment alone.
func (p *planner) sides(f *drift.Finding) (at int, other *drift.Side, err error) {
	if f.B == nil {
		return p.find(f.A.Environment), nil, nil
	}
	weak := f.Weaker()
	baseline := p.find(f.B.Environment) < 0
	switch {
	case baseline:
		return p.find(f.A.Environment), f.B, nil
	case p.opt.Like != "" && f.A.Environment == p.opt.Like && weak != p.opt.Like:
		return p.find(f.B.Environment), &f.A, nil
	case p.opt.Like != "" && f.B.Environment == p.opt.Like && weak != p.opt.Like:
		return p.find(f.A.Environment), f.B, nil
	case p.opt.Like != "" && weak == p.opt.Like:
		return p.find(weak), nil, refuse("the standard itself is the weaker side", "make the standard stricter first, or accept the difference with a waiver")
	case weak == f.A.Environment:
		return p.find(weak), f.B, nil
	case weak == f.B.Environment && weak != "":
		return p.find(weak), &f.A, nil
	}
	return p.find(f.A.Environment), nil, refuse("neither side is the weaker, so which is to change is a decision", "name the environment that is the standard with --like, or compare with a baseline")
}

// try plans one finding: it becomes a step or a refusal.
func (p *planner) try(f *drift.Finding) {
	p.tried[label(f)] = true
	at, other, err := p.sides(f)
	if at < 0 {
		at = 0
	}
	t := p.targets[at]
	about := About{f.ID, f.Rule, f.Title, f.Severity, f.Field, f.Operations, t.Env.Name, t.Env.Gateway, sideOf(f, t.Env.Name).Origin}
	if about.Operations == nil {
		about.Operations = []drift.Key{}
	}
	if err == nil && (t.Files == nil || t.Read == nil) {
		if err = decision(f); err == nil || settled(f) {
			err = refuse(t.kept())
		}
	}
	if err == nil {
		var s *Step
		if s, err = p.step(f, at, other, about); err == nil {
			s.Number = len(p.plan.Steps) + 1
			p.plan.Steps = append(p.plan.Steps, *s)
			p.plan.Deletes += s.Deletes
			return
		}
	}
	r := reasonOf(err)
	if r.control == "" {
		r.control = control(f)
	}
	p.plan.Refusals = append(p.plan.Refusals, Refusal{about, drift.Mask(r.reason), r.control})
}

func sideOf(f *drift.Finding, name string) drift.Side {
	if f.B != nil && f.B.Environment == name {
		return *f.B
	}
	return f.A
}

// step tries the ways in which a gateway can express the change: where the value stands, then for the finding's operations alone, then as
// the standard writes it, when it is of the same gateway.
func (p *planner) step(f *drift.Finding, at int, other *drift.Side, about About) (*Step, error) {
	from := p.standard(at, other)
	err := decision(f)
	if err != nil && (from < 0 || !settled(f)) {
		return nil, err
	}
	if err == nil {
		var step *Step
		if step, err = p.native(f, at, other, about); err == nil {
			return step, nil
		}
	}
	if from >= 0 {
		step, other := p.carry(f, at, from, other, about)
		if other == nil {
			return step, nil
		}
		if r, o := reasonOf(err), reasonOf(other); r.weak && !o.weak || strings.Contains(o.control, "--delete") || strings.Contains(o.reason, "belongs to it") {
			err = other
		}
	}
	if reasonOf(err).weak {
		err = refuse(absent(f, p.targets[at].Env.Gateway), "")
	}
	return nil, err
}

func (p *planner) native(f *drift.Finding, at int, other *drift.Side, about About) (*Step, error) {
	edit := editor(p.targets[at].Env.Gateway)
	if edit == nil {
		return nil, &refusal{reason: "what is missing is not written by itself into files of " + p.targets[at].Env.Gateway, weak: true}
	}
	groups, err := p.groups(f, at, other)
	if err != nil {
		return nil, err
	}
	var first error
	try := func(edit Editor, narrow bool) *Step {
		s := newSite(p.targets[at].Env, p.overlays[at], narrow)
		err := s.edit(edit, groups)
		if err == nil {
			var step *Step
			if step, err = p.prove(f, at, s, about); err == nil {
				return step
			}
		}
		if r := reasonOf(first); first == nil || r.weak {
			first = err
		}
		return nil
	}
	for _, narrow := range []bool{false, true} {
		if step := try(edit, narrow); step != nil {
			return step, nil
		}
	}
	if p.targets[at].Env.Gateway == "apigee" && len(f.Operations) > 0 {
		for n := range min(len(p.targets[at].Env.Detached), mostAttached) {
			if step := try(attach(n), false); step != nil {
				return step, nil
			}
		}
	}
	for _, r := range rowsOf(p.targets[at].Env.Gateway, f.Field) {
		if step := try(r.edit, false); step != nil {
			return step, nil
		}
	}
	return nil, first
}

// groups divides the finding's operations by what they have and what they should have.
func (p *planner) groups(f *drift.Finding, at int, other *drift.Side) ([]Group, error) {
	env := p.targets[at].Env
	mine := sideOf(f, env.Name)
	base := Group{Finding: f, Field: f.Field, Rule: f.Rule, Env: env, Origins: append([]drift.Origin{mine.Origin}, mine.Also...), Value: mine.Value}
	if len(f.Operations) == 0 {
		return []Group{base}, nil
	}
	here := drift.NewLookup(env)
	var there *drift.Lookup
	if other != nil {
		if i := p.find(other.Environment); i >= 0 {
			l := drift.NewLookup(p.targets[i].Env)
			there = &l
			base.Other = p.targets[i].Env
		}
	}
	classes := f.Classes
	if len(classes) == 0 {
		classes = []string{""}
	}
	var out []Group
	base.covered = map[drift.Key]bool{}
	for _, k := range f.Operations {
		o := here.Serving(k)
		if o == nil {
			continue
		}
		base.covered[o.Key] = true
		var want *drift.Operation
		if there != nil {
			want = there.Serving(k)
		}
		for _, class := range classes {
			g := base
			g.Class, g.Have = class, policyOf(o, class)
			switch {
			case want != nil:
				g.Want = policyOf(want, class)
			case other != nil && p.opt.Settings.Baseline != nil && there == nil:
				g.Want = p.opt.Settings.Baseline.For(o.Key)
			}
			i := slices.IndexFunc(out, func(x Group) bool { return x.Have == g.Have && x.Want == g.Want && x.Class == g.Class })
			if i < 0 {
				i = len(out)
				out = append(out, g)
			}
			if !slices.Contains(out[i].Operations, o) {
				out[i].Operations = append(out[i].Operations, o)
			}
		}
	}
	if len(out) == 0 {
		return nil, refuse("the operations are not exposed here", "")
	}
	return out, nil
}

func policyOf(o *drift.Operation, class string) *drift.Policy {
	for _, e := range o.Effective {
		if e.Class == class {
			return e.Policy
		}
	}
	return o.General()
}

// Summary says in one sentence what the plan is.
func (p *Plan) Summary() string {
	if len(p.Steps)+len(p.Refusals) == 0 {
		return "Nothing to plan: " + p.Before + "."
	}
	files := map[string]bool{}
	for _, f := range p.Files {
		files[f.Environment+"\x00"+f.Name] = true
	}
	s := fmt.Sprintf("%d changes in %d files, each proven by reading the changed files again; %d findings without a change.", len(p.Steps), len(files), len(p.Refusals))
	if p.Deletes > 0 {
		s += fmt.Sprintf(" %d entries are taken out.", p.Deletes)
	}
	return strings.TrimSpace(s)
}
