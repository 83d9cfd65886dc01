package drifttest

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/plan"
)

// Healed is what must be reached: it only ever rises.
type Healed struct {
	Carried int // closed with the standard's files at hand
	Native  int // closed with nothing of the standard but what it enforces, as against a baseline or another gateway
}

// Heal seeds each weakening and plans it away, with the good folder as the standard: once with its files and once without. What is planned
// must be proven, done twice must change nothing the second time, taken back must bring back every byte, and no secret may stand in it.
// Every finding that is left has a reason and what makes up for it.
func Heal(t *testing.T, read drift.Reader, good Files, list []Mutation, least Healed) {
	t.Helper()
	got := Healed{}
	reasons, without := map[string]int{}, map[string]int{}
	for i, m := range list {
		if i%healEvery != 0 {
			continue
		}
		h := newHealing(t, read, good, m)
		if h.whole(reasons) {
			got.Carried++
		}
		if h.native(without) {
			got.Native++
		}
	}
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%d left: %s", reasons[r], r)
	}
	for _, r := range slices.Sorted(maps.Keys(without)) {
		t.Logf("%d left without the standard's files: %s", without[r], r)
	}
	t.Logf("%d of %d weakenings are closed by a proven change with the standard's files at hand, %d without them", got.Carried, len(list), got.Native)
	if healEvery == 1 && (got.Carried < least.Carried || got.Native < least.Native) {
		t.Errorf("%+v of %d weakenings are closed, less than before: %+v", got, len(list), least)
	}
}

// healing is one weakening.
type healing struct {
	t         *testing.T
	m         Mutation
	name      string
	weak      Files
	again     func(fs.FS) *drift.Environment
	standard  plan.Target
	options   plan.Options
	weakerEnv *drift.Environment
}

func newHealing(t *testing.T, read drift.Reader, good Files, m Mutation) *healing {
	tier := m.Tier
	if tier == "" {
		tier = drift.Prod
	}
	weak := good.With(t, m.File, m.Old, m.New)
	if m.Also[0] != "" {
		weak = weak.With(t, m.File, m.Also[0], m.Also[1])
	}
	if m.Direction == drift.AWeaker { // what was seeded is the stricter side
		good, weak = weak, good
	}
	h := &healing{t: t, m: m, name: m.Rule + " " + firstLine(m.New), weak: weak}
	h.again = func(f fs.FS) *drift.Environment {
		e, _ := read(f, drift.Options{Name: "b", Tier: tier, Now: now})
		return e
	}
	h.standard = plan.Target{Env: Read(t, read, good, "a", tier), Files: good.FS()}
	h.weakerEnv = Read(t, read, weak, "b", tier)
	h.options = plan.Options{Like: "a", Deletions: 2, Settings: drift.Settings{Now: now}}
	return h
}

// plan plans a folder; only the seeded rule when it is said so.
func (h *healing) plan(f Files, e *drift.Environment, standard plan.Target, o plan.Options) *plan.Plan {
	return plan.Make([]plan.Target{standard, {Env: e, Files: f.FS(), Read: h.again}}, o)
}

// left is the field of the seeded finding, when it is there.
func (h *healing) left(e *drift.Environment) string {
	for _, f := range drift.Compare([]*drift.Environment{h.standard.Env, e}, drift.Settings{Now: now}).Findings {
		if f.Rule == h.m.Rule && (f.B != nil || f.A.Environment == "b") {
			return f.Rule + " " + f.Field
		}
	}
	return ""
}

// native plans without the standard's files.
func (h *healing) native(reasons map[string]int) bool {
	std := h.standard
	std.Files = nil
	p := h.plan(h.weak, h.weakerEnv, std, h.options)
	open := h.left(h.again(h.done(p).FS()))
	return h.said(p, open, reasons)
}

// done is the folder after a plan.
func (h *healing) done(p *plan.Plan) Files {
	healed := maps.Clone(h.weak)
	for _, f := range p.Files {
		if f.Environment != "b" {
			h.t.Errorf("%s: the standard is changed", h.name)
			continue
		}
		done, err := f.Done([]byte(h.weak[f.Name]))
		if err != nil {
			h.t.Errorf("%s: %v", h.name, err)
			continue
		}
		healed[f.Name] = string(done)
	}
	return healed
}

// whole plans everything, and checks what must hold of a plan. It reports whether the weakening is gone.
func (h *healing) whole(reasons map[string]int) bool {
	t, o := h.t, h.options
	p := h.plan(h.weak, h.weakerEnv, h.standard, o)
	healed := h.done(p)
	h.files(p)
	h.words(p)
	e := h.again(healed.FS())
	o.Only = []string{h.m.Rule}
	if second := h.plan(healed, e, h.standard, o); len(second.Steps) > 0 {
		t.Errorf("%s: planned again there is %s: %s", h.name, second.Steps[0].Rule, second.Steps[0].Does)
	}
	if p.Deletes > 0 {
		o.Deletions = 0
		if none := h.plan(h.weak, h.weakerEnv, h.standard, o); none.Deletes > 0 {
			t.Errorf("%s: entries are taken out that nobody allowed", h.name)
		}
	}
	open := h.left(e)
	return h.said(p, open, reasons)
}

// said checks that every finding that is left has a reason and what makes up for it. It reports whether the weakening is gone.
func (h *healing) said(p *plan.Plan, open string, reasons map[string]int) bool {
	t := h.t
	said := open == ""
	for _, r := range p.Refusals {
		if r.Reason == "" || r.Control == "" {
			t.Errorf("%s: a refusal without reason or control: %+v", h.name, r)
		}
		for _, vague := range []string{"not supported", "not written yet", "not written here", "stands elsewhere", "has no setting"} {
			if strings.Contains(r.Reason, vague) {
				t.Errorf("%s: the reason does not say why: %s %s: %s", h.name, r.Rule, r.Field, r.Reason)
			}
		}
		if open != "" && r.Rule == h.m.Rule && r.Environment == "b" {
			said = true
			reasons[r.Rule+" "+r.Field+": "+r.Reason]++
		}
	}
	if !said {
		t.Errorf("%s: %s is left open and no reason is given", h.name, open)
	}
	return open == ""
}

// files checks both ways of each file's change.
func (h *healing) files(p *plan.Plan) {
	for _, f := range p.Files {
		old := []byte(h.weak[f.Name])
		done, err := f.Done(old)
		if err != nil {
			continue // done has said so
		}
		if twice, err := f.Done(done); err != nil || string(twice) != string(done) {
			h.t.Errorf("%s: done twice changes %s (%v)", h.name, f.Name, err)
		}
		if back, err := f.Undone(done); err != nil || string(back) != string(old) {
			h.t.Errorf("%s: taken back, %s is not what it was (%v)", h.name, f.Name, err)
		}
		if _, err := f.Done(append(old, '#')); err == nil {
			h.t.Errorf("%s: a file that has changed is changed", h.name)
		}
	}
}

// words checks that no secret of the folder stands in the plan.
func (h *healing) words(p *plan.Plan) {
	b, err := json.Marshal(p)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, text := range h.weak {
		for _, s := range Secrets([]byte(text)) {
			if strings.Contains(string(b), s) {
				h.t.Errorf("%s: a secret stands in the plan: %.4s…", h.name, s)
			}
		}
	}
}
