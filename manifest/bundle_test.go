package manifest_test

import (
	"bytes"
	"compress/flate"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/manifest"

	"github.com/google/go-cmp/cmp"
)

func TestLoadTakesManifestsAndTheirDocuments(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	write(t, filepath.Dir(outside), map[string]string{"outside.yaml": "openapi: 3.1.0"})
	write(t, dir, map[string]string{
		"a.yaml":          strings.Replace(small, "openapi: openapi.yaml", "openapi: docs/api.json", 1),
		"b.yml":           "gatehouse: 1\napis: [{name: two, openapi: docs/../../x.yaml, path: /t, upstream: eid}, {name: three, openapi: link.json, path: /x, upstream: eid}]",
		"docs/api.json":   `{"openapi": "3.1.0"}`,
		"docs/other.json": "{}",
		"notes.txt":       "not for us",
		".hidden.yaml":    "not for us",
		"folder.yaml/x":   "",
	})
	for link, to := range map[string]string{"link.json": outside, "inside.yaml": "a.yaml", "away.yaml": outside, "gone.yaml": "nothing"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, ds := manifest.Load(dir)
	names := []string{}
	for name := range b {
		names = append(names, name)
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"a.yaml", "b.yml", "docs/api.json", "inside.yaml"}, names); d != "" {
		t.Error(d)
	}
	var got []string
	for _, d := range ds {
		got = append(got, d.String())
	}
	want := []string{
		"away.yaml: cannot be read: it is a link out of the manifest's folder",
		"gone.yaml: is a link to nothing",
		"link.json: cannot be read: it is a link out of the manifest's folder",
		"pipe.yaml: is not a file",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLoadOfNothing(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	for name, dir := range map[string]string{"empty folder": empty, "no folder": filepath.Join(empty, "none"), "a file": file} {
		if name == "a file" {
			write(t, empty, map[string]string{"file": "x"})
		}
		if b, ds := manifest.Load(dir); !manifest.Fatal(ds) || len(b) != 0 {
			t.Errorf("%s: %v, %d files", name, ds, len(b))
		}
	}
}

func TestLoadStopsAtTheBound(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.yaml": strings.Repeat("# x\n", manifest.MaxBundle/4), "b.yaml": "# one too many"})
	b, ds := manifest.Load(dir)
	if !manifest.Fatal(ds) || len(b) != 1 {
		t.Errorf("%d files, %v", len(b), ds)
	}
	b["c.yaml"] = []byte("x")
	if _, ds := manifest.Parse(b); !manifest.Fatal(ds) {
		t.Error("Parse takes what Load would not")
	}
}

func TestEncodeIsReadBack(t *testing.T) {
	for _, b := range []manifest.Bundle{{}, {"a.yaml": nil}, {"a.yaml": []byte("x"), "d/e/f.json": bytes.Repeat([]byte("y"), 100_000), "ü.yaml": {0, 1, 2}}} {
		back, err := manifest.Decode(b.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if len(back) != len(b) || back.Digest() != b.Digest() {
			t.Errorf("%v came back as %v", b, back)
		}
		if !bytes.Equal(b.Encode(), back.Encode()) {
			t.Error("two encodings of one bundle")
		}
	}
}

func TestDigestTellsBundlesApart(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range []manifest.Bundle{{}, {"a": nil}, {"a": []byte("b")}, {"ab": nil}, {"a": nil, "b": nil}, {"a": []byte("\x01b\x00")}} {
		d := b.Digest()
		if seen[d] || !strings.HasPrefix(d, "sha256:") || len(d) != 7+64 {
			t.Errorf("%v has the digest %s", b, d)
		}
		seen[d] = true
	}
}

func TestDecodeRefusesWhatEncodeDoesNotWrite(t *testing.T) {
	good := manifest.Bundle{"a.yaml": []byte("x"), "b.yaml": []byte("y")}.Encode()
	pack := func(plain string) []byte {
		out := bytes.NewBufferString("gatehouse bundle 1\n")
		w, err := flate.NewWriter(out, 9)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(plain)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	if _, err := manifest.Decode(pack("\x01a\x01x")); err != nil {
		t.Fatalf("another compression of a good bundle: %v", err)
	}
	for name, data := range map[string][]byte{
		"nothing":            nil,
		"another file":       []byte("PK\x03\x04"),
		"cut off":            good[:len(good)-3],
		"something after it": append(bytes.Clone(good), 'x'),
		"wrong order":        pack("\x01b\x00\x01a\x00"),
		"twice":              pack("\x01a\x00\x01a\x00"),
		"leaves the folder":  pack("\x04../a\x00"),
		"absolute":           pack("\x02/a\x00"),
		"no name":            pack("\x00\x00"),
		"backslash":          pack("\x03a\\b\x00"),
		"long length":        pack("\x81\x00a\x00"),
		"length past end":    pack("\x01a\x7fx"),
		"huge length":        pack("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		"a bomb":             pack("\x01a" + "\x80\x80\x80\x0a" + strings.Repeat("\x00", 20<<20)),
	} {
		if b, err := manifest.Decode(data); err == nil {
			t.Errorf("%s was taken: %v", name, b)
		}
	}
}
