package manifest_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/manifest"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse: nothing that is uploaded may crash Parse; what it says has places; and what it takes, it takes again in its
// stored form.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var parts, doc []byte
		for _, part := range a.Files {
			switch {
			case strings.Contains(string(part.Data), "openapi: 3") || strings.HasSuffix(part.Name, ".json"):
				doc = unquote(part.Data)
				f.Add(parts, doc)
			case strings.HasSuffix(part.Name, ".yaml"):
				parts = unquote(part.Data)
				f.Add(parts, doc)
			}
		}
	}
	f.Add([]byte(small), []byte(smallDocument))
	f.Fuzz(func(t *testing.T, part, doc []byte) {
		b := manifest.Bundle{"m.yaml": part, "openapi.yaml": doc, "doc.yaml": doc, "documents/eid.yaml": doc, "broken.yaml": doc, "twice.json": doc}
		p, ds := manifest.Parse(b)
		for _, d := range ds {
			if d.Text == "" || d.Line < 0 || d.Pointer != "" && d.Pointer[0] != '/' {
				t.Errorf("a diagnostic without a place or text: %+v", d)
			}
		}
		for i, a := range p.APIs {
			all := slices.Clone(a.Policies)
			for _, o := range a.Operations {
				all = append(all, o.Policies...)
			}
			for _, l := range all {
				if !json.Valid(l.Config) {
					t.Errorf("settings of %s in /apis/%d are no JSON: %s", l.Kind, i, l.Config)
				}
			}
		}
		if manifest.Fatal(ds) {
			return
		}
		back, err := manifest.Decode(b.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if _, again := manifest.Parse(back); len(again) != len(ds) {
			t.Errorf("read again it has other diagnostics: %v, %v", ds, again)
		}
	})
}

// FuzzDecode: a stored bundle that was changed is refused, or is another one in its canonical form.
func FuzzDecode(f *testing.F) {
	f.Add(manifest.Bundle{"a.yaml": []byte("x")}.Encode())
	f.Add([]byte("gatehouse bundle 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := manifest.Decode(data)
		if err != nil {
			return
		}
		back, err := manifest.Decode(b.Encode())
		if err != nil || back.Digest() != b.Digest() {
			t.Errorf("%q comes back as another one: %v", data, err)
		}
	})
}
