package apigee_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/drift"
	"gatehouse/drift/apigee"
	"gatehouse/drift/drifttest"
)

// bundles are the folders of the corpus that hold one proxy or one shared flow.
func bundles(t *testing.T, dir string) []string {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "apiproxy" || d.Name() == "sharedflowbundle") {
			out = append(out, path.Dir(p))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCorpus(t *testing.T) {
	dir := drifttest.Corpus(t, "apigee")
	ops, gaps := 0, 0
	var all []*drift.Environment
	list := append(bundles(t, dir), dir)
	for _, d := range list {
		e, problems := apigee.Read(os.DirFS(d), drift.Options{Name: "corpus", Now: drifttest.Now()})
		name := strings.TrimPrefix(d, dir)
		drifttest.Invariants(t, name, e)
		for _, p := range problems {
			t.Logf("%s: %s", name, p)
		}
		if d != dir {
			ops += len(e.Operations)
			gaps += len(e.Gaps)
			all = append(all, e)
		}
	}
	var secrets []string
	files := drifttest.EachFile(t, dir, []string{".xml"}, func(_ string, _ fs.FS, text []byte) { secrets = append(secrets, drifttest.Secrets(text)...) })
	whole, _ := apigee.Read(os.DirFS(dir), drift.Options{Name: "corpus", Now: drifttest.Now()})
	drifttest.Hidden(t, "all", whole, secrets)
	if whole.Files.Read != files {
		t.Errorf("%d of %d files read", whole.Files.Read, files)
	}
	if ops < 80 {
		t.Errorf("only %d operations in %d bundles", ops, len(list))
	}
	t.Logf("%d bundles, %d operations, %d gaps; %s", len(list)-1, ops, gaps, drift.CoverAll(all))
}
