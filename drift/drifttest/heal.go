package drifttest

import (
	"io/fs"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/plan"
)

// Heal seeds each weakening and plans it away, with the good folder as the standard. What is planned must be proven, done twice must
// change nothing the second time, and taken back must bring back every byte. It returns how many weakenings are closed, and the reasons
// for the others.
func Heal(t *testing.T, read drift.Reader, good Files, list []Mutation) (closed, all int, reasons map[string]int) {
	reasons = map[string]int{}
	for _, m := range list {
		tier := m.Tier
		if tier == "" {
			tier = drift.Prod
		}
		weak := good.With(t, m.File, m.Old, m.New)
		if m.Also[0] != "" {
			weak = weak.With(t, m.File, m.Also[0], m.Also[1])
		}
		all++
		name := m.Rule + " " + firstLine(m.New)
		again := func(f fs.FS) *drift.Environment {
			e, _ := read(f, drift.Options{Name: "b", Tier: tier, Now: now})
			return e
		}
		targets := []plan.Target{{Env: Read(t, read, good, "a", tier)}, {Env: Read(t, read, weak, "b", tier), Files: weak.FS(), Read: again}}
		o := plan.Options{Like: "a", Deletions: 2, Settings: drift.Settings{Now: now}}
		p := plan.Make(targets, o)
		healed := Files{}
		for k, v := range weak {
			healed[k] = v
		}
		for _, f := range p.Files {
			done, err := f.Done([]byte(weak[f.Name]))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if twice, err := f.Done(done); err != nil || string(twice) != string(done) {
				t.Errorf("%s: done twice changes %s (%v)", name, f.Name, err)
			}
			if back, err := f.Undone(done); err != nil || string(back) != weak[f.Name] {
				t.Errorf("%s: taken back, %s is not what it was (%v)", name, f.Name, err)
			}
			if _, err := f.Done(append([]byte(weak[f.Name]), '#')); err == nil {
				t.Errorf("%s: a file that has changed is changed", name)
			}
			healed[f.Name] = string(done)
		}
		e := again(healed.FS())
		left := drift.Compare([]*drift.Environment{targets[0].Env, e}, drift.Settings{Now: now})
		open := ""
		for _, f := range left.Findings {
			if f.Rule == m.Rule && (f.B != nil || f.A.Environment == "b") {
				open = f.Field
			}
		}
		targets[1] = plan.Target{Env: e, Files: healed.FS(), Read: again}
		if second := plan.Make(targets, o); len(second.Steps) > 0 {
			t.Errorf("%s: planned again there is %s: %s", name, second.Steps[0].Rule, second.Steps[0].Does)
		}
		if open == "" {
			closed++
			continue
		}
		said := false
		for _, r := range p.Refusals {
			if r.Rule == m.Rule {
				said = true
				reasons[r.Rule+" "+r.Field+": "+r.Reason]++
				if r.Reason == "" || r.Control == "" {
					t.Errorf("%s: a refusal without reason or control: %+v", name, r)
				}
			}
		}
		if !said {
			t.Errorf("%s: %s is left open and no reason is given", name, open)
		}
	}
	return closed, all, reasons
}
