package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift/bundle"
	"gatehouse/fault"
)

type entry struct {
	name, text string
	mode       fs.FileMode
	link       string
}

func zipped(t testing.TB, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range list {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode | 0o644)
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t testing.TB, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Size: int64(len(e.text)), Mode: 0o644, Typeflag: tar.TypeReg}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, e.link, 0
		case e.mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.text, 0
		case e.mode&fs.ModeDevice != 0:
			h.Typeflag, h.Size = tar.TypeChar, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpacked is the folder as names and texts.
func unpacked(t testing.TB, fsys fs.FS) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, name)
		got[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOpen: files come out as they went in, whatever form the bundle has, and the one folder around them is taken away.
func TestOpen(t *testing.T) {
	list := []entry{{name: "repo-main/kong.yaml", text: "a: 1\n"}, {name: "repo-main/apis/orders/policy.xml", text: "<policies/>"}}
	want := map[string]string{"kong.yaml": "a: 1\n", "apis/orders/policy.xml": "<policies/>"}
	for name, b := range map[string][]byte{"zip": zipped(t, list...), "tar": tarred(t, list...), "tar.gz": gzipped(t, tarred(t, list...))} {
		fsys, problems, err := bundle.Open(b)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%s: %v %v", name, err, problems)
		}
		if d := cmp.Diff(want, unpacked(t, fsys)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	fsys, _, err := bundle.Open(zipped(t, entry{name: "./a.yaml", text: "a"}, entry{name: "b/c.yaml", text: "c"}))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"a.yaml": "a", "b/c.yaml": "c"}, unpacked(t, fsys)); d != "" {
		t.Error(d)
	}
}

// TestNothingOutside: links, devices, absolute paths and paths that lead outside are left out and said; the others are read.
func TestNothingOutside(t *testing.T) {
	good := entry{name: "good.yaml", text: "a: 1\n"}
	for name, bad := range map[string]entry{
		"a link": {name: "link.yaml", text: "/etc/passwd", mode: fs.ModeSymlink}, "an absolute path": {name: "/etc/x.yaml", text: "x"}, "a path outside": {name: "../x.yaml", text: "x"}, "a path outside within": {name: "a/../../x.yaml", text: "x"},
		"another system's path": {name: `..\x.yaml`, text: "x"}, "a device": {name: "dev", mode: fs.ModeDevice | fs.ModeCharDevice}, "a second one": {name: "good.yaml", text: "b: 2\n"},
	} {
		for form, b := range map[string][]byte{"zip": zipped(t, good, bad), "tar.gz": gzipped(t, tarred(t, good, bad))} {
			fsys, problems, err := bundle.Open(b)
			if err != nil {
				t.Errorf("%s as %s: %v", name, form, err)
				continue
			}
			if d := cmp.Diff(map[string]string{"good.yaml": "a: 1\n"}, unpacked(t, fsys)); d != "" {
				t.Errorf("%s as %s: %s", name, form, d)
			}
			if len(problems) != 1 || !problems[0].Partial || problems[0].File != bad.name {
				t.Errorf("%s as %s: %+v", name, form, problems)
			}
		}
	}
	fsys, problems, err := bundle.Open(tarred(t, good, entry{name: "hard.yaml", link: "good.yaml"}))
	if err != nil || len(problems) != 1 || len(unpacked(t, fsys)) != 1 {
		t.Errorf("a hard link: %v %v", problems, err)
	}
}

// TestBounds: what unpacks to too much is refused whole, one file that is too large is left out, and what is no bundle is said to be none.
func TestBounds(t *testing.T) {
	zeros := strings.Repeat("\x00", 16<<20)
	var bomb, many []entry
	for i := range 9 {
		bomb = append(bomb, entry{name: string(rune('a'+i)) + ".yaml", text: zeros})
	}
	for i := range 20_001 {
		many = append(many, entry{name: "d" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + "/" + strings.Repeat("y", i/100) + ".yaml"})
	}
	for name, b := range map[string][]byte{"a bomb": zipped(t, bomb...), "a gzipped bomb": gzipped(t, tarred(t, bomb...)), "too many": zipped(t, many...), "too large itself": make([]byte, bundle.MaxBytes+1)} {
		if _, _, err := bundle.Open(b); !errors.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fsys, problems, err := bundle.Open(zipped(t, entry{name: "large.yaml", text: zeros + "x"}, entry{name: "a.yaml", text: "a"}))
	if err != nil || len(problems) != 1 || problems[0].File != "large.yaml" || len(unpacked(t, fsys)) != 1 {
		t.Errorf("%v %v", problems, err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "text": []byte("a: 1\n"), "half a zip": zipped(t, entry{name: "a.yaml", text: "a"})[:20], "half a gzip": gzipped(t, tarred(t, entry{name: "a.yaml", text: "a"}))[:8]} {
		if _, _, err := bundle.Open(b); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := tarred(t, entry{name: "a.yaml", text: "a"}, entry{name: "b.yaml", text: strings.Repeat("b", 4096)})
	fsys, problems, err = bundle.Open(whole[:2600])
	if err != nil || len(problems) == 0 || unpacked(t, fsys)["a.yaml"] != "a" {
		t.Errorf("half a tar: %v %v", problems, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(zipped(f, entry{name: "a/b.yaml", text: "a"}, entry{name: "a", text: "b"}))
	f.Add(gzipped(f, tarred(f, entry{name: "a", text: "/etc/passwd", mode: fs.ModeSymlink})))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys, _, err := bundle.Open(b)
		if err != nil {
			return
		}
		_ = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			if !fs.ValidPath(name) || d != nil && d.Type()&fs.ModeSymlink != 0 {
				t.Errorf("%q came out", name)
			}
			return err
		})
	})
}
