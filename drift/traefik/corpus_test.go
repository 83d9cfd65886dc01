package traefik_test

import (
	"io/fs"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

func TestCorpus(t *testing.T) {
	files, ops := 0, 0
	var all []*drift.Environment
	drifttest.EachFile(t, drifttest.Corpus(t, "traefik"), []string{".yaml", ".yml", ".toml"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, problems := traefik.Read(fsys, drift.Options{Name: "corpus", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, drifttest.Secrets(text))
		for _, p := range problems {
			if p.Partial {
				t.Logf("%s: %s", name, p)
			}
		}
		ops += len(e.Operations)
		all = append(all, e)
	})
	if ops < 150 {
		t.Errorf("only %d operations in %d files", ops, files)
	}
	t.Logf("%d files, %d operations; %s", files, ops, drift.CoverAll(all))
}
