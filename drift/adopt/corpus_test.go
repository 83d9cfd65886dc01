package adopt_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/app"
	"gatehouse/drift"
	"gatehouse/drift/adopt"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
	"gatehouse/drift/gatehouse"
	"gatehouse/drift/kong"
	"gatehouse/manifest"
)

// described is a document for every family of paths: two operations below each.
func described(e *drift.Environment) []adopt.Document {
	d := adopt.Document{Name: "below"}
	for _, o := range e.Operations {
		base, ok := strings.CutSuffix(o.Key.Path, "/**")
		if !ok && !o.Match.Open || strings.HasPrefix(o.Key.Path, "~") {
			continue
		}
		m := o.Key.Method
		if m == "*" {
			m = "GET"
		}
		n := 0
		for strings.Contains(base, "{}") {
			n++
			base = strings.Replace(base, "{}", "{a"+string(rune('0'+n%10))+"}", 1)
		}
		d.Operations = append(d.Operations, adopt.Described{Method: m, Path: base + "/adopted", ID: "adopted"}, adopt.Described{Method: m, Path: base + "/adopted/{id}", ID: "one"})
	}
	return []adopt.Document{d}
}

// addressed gives an address to upstreams that are not in the file, so that the policies are carried over all the same.
func addressed(e *drift.Environment) {
	for i := range e.Operations {
		e.Operations[i].Key.Path = strings.ReplaceAll(e.Operations[i].Key.Path, " ", "-") // a policy that stands alone has the name of its file
		for _, eff := range e.Operations[i].Effective {
			if u := &eff.Policy.Upstream.URLs; !u.Known() || len(u.Value) == 0 {
				*u = drift.Is([]string{"https://upstream.example.com"}, e.Operations[i].Origin)
			}
		}
	}
}

// tally is what came of the files of one gateway.
type tally struct {
	made, none, ops, of, findings, added int
	left, more, weaker                   map[string]int
}

// carry adopts one environment, and checks what must hold of every manifest that is made so.
func (c *tally) carry(t *testing.T, name string, e *drift.Environment) {
	if len(e.Operations) == 0 {
		return
	}
	addressed(e)
	c.of += len(e.Operations)
	a, err := adopt.Make(e, adopt.Options{Documents: described(e)})
	short := func(s string) string { s, _, _ = strings.Cut(s, ":"); return s[:min(len(s), 90)] }
	left := map[string]bool{}
	for _, l := range a.Lost {
		if l.What == "" || l.Why == "" {
			t.Errorf("%s: %+v", name, l)
		}
		if l.Left {
			c.left[short(l.Why)]++
			left[l.Operation] = true
		}
	}
	if err != nil {
		c.none++
		return
	}
	c.made++
	for _, o := range e.Operations {
		if !left[o.Key.String()] {
			c.ops++
		}
	}
	b := manifest.Bundle{}
	maps.Copy(b, a.Files)
	if ds := app.Check(b); manifest.Fatal(ds) {
		t.Errorf("%s: cannot be published: %+v\n%s", name, ds, a.Files["gatehouse.yaml"])
		return
	}
	fresh, _ := gatehouse.Read(folder(a.Files), drift.Options{Name: "new", Now: drifttest.Now()})
	before := len(a.Lost)
	between := drift.Compare([]*drift.Environment{e, fresh}, drift.Settings{}).Findings
	n, more := a.Explain(between)
	c.findings, c.added = c.findings+n, c.added+more
	for _, l := range a.Lost[before:] {
		c.more[l.Fields[0]]++
	}
	for _, l := range a.Lost {
		if l.Weaker {
			what, _, _ := strings.Cut(l.What, " is ")
			c.weaker[short(what)+" "+strings.Join(l.Fields, ",")]++
		}
	}
	if _, again := a.Explain(between); again != 0 {
		t.Errorf("%s: %d findings are not listed", name, again)
	}
	for _, f := range between {
		if len(f.Operations) > 0 && left[f.Operations[0].String()] {
			continue // of two hosts or gateways in one file, one is carried over
		}
		if f.Field == "cors.methods" || f.Field == "cors.headers" {
			continue // who may call at all is the origins' matter
		}
		if f.B != nil && f.Direction == drift.BWeaker && slices.Contains([]string{"DR-AUT-01", "DR-AUT-14", "DR-AUT-17", "DR-AUT-18", "DR-AUT-19", "DR-EXP-02", "DR-EXP-03", "DR-CRT-06"}, f.Rule) {
			t.Errorf("%s: %s: %v was stricter: %s became %s", name, f.Rule, f.Operations, f.A.Value, f.B.Value)
		}
	}
}

// TestCorpus: what is written of real configurations can be published, nothing that was closed is open, and between what it was made of
// and what was made there is no finding that is not listed. The floors are what is carried over today.
func TestCorpus(t *testing.T) {
	for _, g := range []struct {
		name      string
		read      drift.Reader
		made, ops int
	}{{"kong", kong.Read, 131, 216}, {"azure-apim", azureapim.Read, 50, 137}, {"envoy-gateway", envoygateway.Read, 255, 548}, {"gateway-api", envoygateway.Read, 14, 54}} {
		t.Run(g.name, func(t *testing.T) {
			c := &tally{left: map[string]int{}, more: map[string]int{}, weaker: map[string]int{}}
			dir := drifttest.Corpus(t, g.name)
			o := drift.Options{Name: "old", Now: drifttest.Now()}
			drifttest.EachFile(t, dir, []string{".yaml", ".yml", ".json", ".xml"}, func(name string, fsys fs.FS, _ []byte) {
				e, _ := g.read(fsys, o)
				c.carry(t, name, e)
			})
			if g.name == "azure-apim" { // whose files mean little alone
				subs, err := filepath.Glob(dir + "/*")
				if err != nil {
					t.Fatal(err)
				}
				for _, sub := range subs {
					e, _ := g.read(os.DirFS(sub), o)
					c.carry(t, filepath.Base(sub), e)
				}
			}
			t.Logf("%d manifests are written, with %d of %d operations; of %d environments nothing could be carried over; %d findings between the two, all listed, %d of them by the comparison", c.made, c.ops, c.of, c.none, c.findings, c.added)
			for what, m := range map[string]map[string]int{"left out": c.left, "listed by the comparison": c.more, "weaker": c.weaker} {
				for _, k := range slices.SortedFunc(maps.Keys(m), func(a, b string) int { return m[b] - m[a] }) {
					t.Logf("%s: %d %s", what, m[k], k)
				}
			}
			if c.made < g.made || c.ops < g.ops {
				t.Errorf("%d manifests with %d operations, fewer than before", c.made, c.ops)
			}
		})
	}
}
