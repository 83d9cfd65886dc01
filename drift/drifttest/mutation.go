package drifttest

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse/drift"
)

// Files is a folder in memory.
type Files map[string]string

// FS makes the folder.
func (f Files) FS() fs.FS {
	m := fstest.MapFS{}
	for k, v := range f {
		m[k] = &fstest.MapFile{Data: []byte(v)}
	}
	return m
}

// With is a copy in which old is replaced by new everywhere in one file. It fails the test when old is not there.
func (f Files) With(t testing.TB, file, old, new string) Files {
	t.Helper()
	if !strings.Contains(f[file], old) {
		t.Fatalf("%s does not hold %q", file, old)
	}
	out := Files{}
	for k, v := range f {
		out[k] = v
	}
	out[file] = strings.ReplaceAll(f[file], old, new)
	return out
}

// Mutation is one weakening that a rule must find.
type Mutation struct {
	Rule      string
	File      string
	Old, New  string
	Also      [2]string // a second replacement in the same file
	Self      bool      // found in the weakened environment alone
	Tier      drift.Tier
	Direction drift.Direction // of the pair finding; default: B weaker
}

// Read reads a folder as an environment of a name.
func Read(t testing.TB, read drift.Reader, f Files, name string, tier drift.Tier) *drift.Environment {
	t.Helper()
	e, problems := read(f.FS(), drift.Options{Name: name, Tier: tier, Now: now})
	for _, p := range problems {
		if p.Partial {
			t.Fatalf("%s: %s", name, p)
		}
	}
	return e
}

// Mutate seeds each weakening into the good folder, and checks that its rule finds it, with the weaker side named rightly, and that the
// rule said nothing before.
func Mutate(t *testing.T, read drift.Reader, good Files, list []Mutation) (found, all int) {
	for _, m := range list {
		all++
		ok := t.Run(m.Rule+" "+strings.TrimSpace(firstLine(m.New)), func(t *testing.T) {
			tier := m.Tier
			if tier == "" {
				tier = drift.Prod
			}
			a := Read(t, read, good, "a", tier)
			weak := good.With(t, m.File, m.Old, m.New)
			if m.Also[0] != "" {
				weak = weak.With(t, m.File, m.Also[0], m.Also[1])
			}
			b := Read(t, read, weak, "b", tier)
			if m.Self {
				if fs := Named(drift.Compare([]*drift.Environment{a}, drift.Settings{Now: now}), m.Rule); len(fs) > 0 {
					t.Fatalf("found before it was seeded: %+v", fs[0])
				}
				if fs := Named(drift.Compare([]*drift.Environment{b}, drift.Settings{Now: now}), m.Rule); len(fs) == 0 {
					t.Fatal("not found")
				}
				return
			}
			var got []drift.Finding
			for _, f := range Between(drift.Compare([]*drift.Environment{a, b}, drift.Settings{Now: now})) {
				if f.Rule == m.Rule {
					got = append(got, f)
				}
			}
			want := m.Direction
			if want == "" {
				want = drift.BWeaker
			}
			for _, f := range got {
				if f.Direction == want {
					return
				}
			}
			t.Fatalf("not found as %s, but %+v", want, got)
		})
		if ok {
			found++
		}
	}
	return found, all
}

func firstLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	if len(s) > 40 {
		s = s[:40]
	}
	return s
}

// Named are the findings of a rule.
func Named(r *drift.Result, rule string) []drift.Finding {
	var out []drift.Finding
	for _, f := range r.Findings {
		if f.Rule == rule {
			out = append(out, f)
		}
	}
	return out
}

// Unmoved checks that a folder written otherwise means the same.
func Unmoved(t *testing.T, read drift.Reader, a, b Files) {
	t.Helper()
	res := drift.Compare([]*drift.Environment{Read(t, read, a, "a", drift.Prod), Read(t, read, b, "b", drift.Prod)}, drift.Settings{Now: now})
	for _, f := range Between(res) {
		t.Errorf("a difference of format is reported: %s %s %q %q (%s)", f.Rule, f.Field, f.A.Value, f.B.Value, f.Note)
	}
}
