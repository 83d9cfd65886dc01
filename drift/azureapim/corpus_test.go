package azureapim_test

import (
	"io/fs"
	"os"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
)

// TestCorpus reads every file alone and every service whole; every policy document must be read.
func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "azure-apim")
	files, documents, failed := 0, 0, 0
	drifttest.EachFile(t, dir, []string{".json", ".xml", ".yaml", ".wadl"}, func(name string, fsys fs.FS, text []byte) {
		files++
		e, problems := azureapim.Read(fsys, drift.Options{Name: "x", Now: drifttest.Now()})
		drifttest.Invariants(t, name, e)
		drifttest.Hidden(t, name, e, drifttest.Secrets(text))
		xml := name[len(name)-4:] == ".xml"
		if xml {
			documents++
		}
		for _, p := range problems {
			if p.Partial && e.Files.Read == 0 && xml {
				failed++
				t.Errorf("%s: %s", name, p)
			}
		}
	})
	t.Logf("%d files, %d policy documents, %d not read", files, documents, failed)
	for sub, wantOps := range map[string]int{"multienv-apiops-demo": 20, "apiops-sample-artifacts": 7, "checkov-fixtures": 0, "policy-snippets": 20} {
		e, problems := azureapim.Read(os.DirFS(dir+"/"+sub), drift.Options{Name: "dev", Now: drifttest.Now()})
		drifttest.Invariants(t, sub, e)
		t.Logf("%s: %d operations; %s", sub, len(e.Operations), drift.Cover(e))
		if len(e.Operations) < wantOps {
			t.Errorf("%s: %d operations, want %d", sub, len(e.Operations), wantOps)
		}
		for _, p := range problems {
			t.Logf("  %s", p)
		}
		for c, n := range drift.Cover(e).Causes {
			t.Logf("  %5d %s", n, c)
		}
	}
}
