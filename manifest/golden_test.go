package manifest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden parses the files of each archive and compares the diagnostics with its file "diagnostics", and what was read,
// where the archive has a file "parsed", with that.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no golden files")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b := manifest.Bundle{}
			for _, f := range a.Files {
				if f.Name != "diagnostics" && f.Name != "parsed" {
					b[f.Name] = unquote(f.Data)
				}
			}
			p, ds := manifest.Parse(b)
			var text strings.Builder
			for _, d := range ds {
				fmt.Fprintln(&text, d)
			}
			got := map[string]string{"diagnostics": text.String(), "parsed": parsed(t, p)}
			for i, f := range a.Files {
				want, ok := got[f.Name]
				if !ok {
					continue
				}
				if *update {
					a.Files[i].Data = []byte(want)
				} else if d := cmp.Diff(string(f.Data), want); d != "" {
					t.Errorf("%s (-want +got; -update writes it anew):\n%s", f.Name, d)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// unquote lets a golden file hold what a text file should not: ⇥ is a tab, ⊘ a byte that is not UTF-8, ⊢ a byte order mark.
func unquote(b []byte) []byte {
	return []byte(strings.NewReplacer("⇥", "\t", "⊘", "\xff", "⊢", "\ufeff", "␀", "\x00").Replace(string(b)))
}

func parsed(t *testing.T, p *manifest.Parsed) string {
	documents := map[string][]manifest.DocOperation{}
	for name, d := range p.Documents {
		if d != nil {
			documents[name] = d.Operations
		}
	}
	b, err := json.MarshalIndent(struct {
		Manifest  manifest.Manifest
		Documents map[string][]manifest.DocOperation
	}{p.Manifest, documents}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}
