package kong_test

import (
	"io/fs"
	"os"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
)

// TestCorpus reads every file of the corpus alone, and the folders of several environments whole.
func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "kong")
	files, ops, failed := 0, 0, 0
	var total []*drift.Environment
	drifttest.EachFile(t, dir, []string{".yaml", ".yml", ".json"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, problems := kong.Read(fsys, drift.Options{Name: "x", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, drifttest.Secrets(text))
		ops += len(e.Operations)
		for _, p := range problems {
			if p.Partial && e.Files.Skipped == 0 {
				failed++
				t.Logf("%s: %s", name, p)
			}
		}
		total = append(total, e)
	})
	t.Logf("%d files, %d operations, %d not read; %s", files, ops, failed, drift.CoverAll(total))
	for cause, n := range drift.CoverAll(total).Causes {
		t.Logf("%6d %s", n, cause)
	}
	for _, sub := range []string{"multienv-nestjs-microservices"} {
		e, _ := kong.Read(os.DirFS(dir+"/"+sub), drift.Options{Name: sub})
		drifttest.Invariants(t, sub, e)
	}
}
