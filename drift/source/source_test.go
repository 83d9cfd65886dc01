package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 10; i++ {
		prev := string(rune('0' + i - 1))
		b.WriteString("a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.TrimSuffix(strings.Repeat("*a"+prev+",", 10), ",") + "]\n")
	}
	return b.String()
}

// TestBadFiles: each is a problem with its place, and the good file beside them is read.
func TestBadFiles(t *testing.T) {
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	files := fstest.MapFS{
		"good.yaml":     {Data: []byte("a: 1\n---\nb: 2\n")},
		"bomb.yaml":     {Data: []byte(bomb())},
		"deep.json":     {Data: []byte(deep)},
		"deep.yaml":     {Data: []byte(deep)},
		"cut.json":      {Data: []byte("{\n\"a\": [1,\n")},
		"twice.json":    {Data: []byte("{} {}")},
		"bad.yaml":      {Data: []byte("a: 1\n b: 2\n")},
		"latin.yaml":    {Data: []byte("a: \xe9t\xe9\n")},
		"zero.yaml":     {Data: []byte("a: \x00\n")},
		"utf16.yaml":    {Data: []byte{0xFF, 0xFE, 'a', 0, ':', 0, ' ', 0, '1', 0}},
		"utf16odd.yaml": {Data: []byte{0xFF, 0xFE, 'a'}},
		"bom.yaml":      {Data: []byte("\xef\xbb\xbfa: 1\n")},
		"selfref.yaml":  {Data: []byte("a: &a {b: *a}\n")},
		"large.yaml":    {Data: []byte(strings.Repeat("# 0123456789012345678901234567890123456789\n", 500_000))},
	}
	f := source.Open(files)
	good := map[string]int{"good.yaml": 2, "utf16.yaml": 1, "bom.yaml": 1, "twice.json": 1}
	for _, name := range f.Names() {
		if got := len(f.Documents(name)); got != good[name] {
			t.Errorf("%s: %d documents, want %d", name, got, good[name])
		}
	}
	e := drift.NewEnvironment("test", drift.Options{})
	at := map[string]drift.Problem{}
	for _, p := range f.Finish(e) {
		at[p.File] = p
	}
	for _, name := range []string{"bomb.yaml", "deep.json", "deep.yaml", "cut.json", "twice.json", "bad.yaml", "latin.yaml", "zero.yaml", "utf16odd.yaml", "selfref.yaml", "large.yaml"} {
		if p, ok := at[name]; !ok || !p.Partial {
			t.Errorf("%s: no problem is told", name)
		}
	}
	if at["cut.json"].Line == 0 || at["bad.yaml"].Line == 0 {
		t.Errorf("lines: %+v %+v", at["cut.json"], at["bad.yaml"])
	}
	if e.Files.Read != 3 {
		t.Errorf("%d files are counted as read, want 3", e.Files.Read)
	}
}

// TestLinksAreNotFollowed: neither out of the folder nor within.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(outside, []byte("secret: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	fsys, close, err := source.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer close.Close()
	f := source.Open(fsys)
	if len(f.Names()) != 0 {
		t.Errorf("files %v", f.Names())
	}
	if docs := f.Documents("link.yaml"); docs != nil {
		t.Error("a link was followed when asked by name")
	}
	e := drift.NewEnvironment("test", drift.Options{})
	if got := f.Finish(e); len(got) < 2 {
		t.Errorf("problems %v", got)
	}
}

func TestPlaces(t *testing.T) {
	docs, _, err := source.Parse("x.yaml", []byte("a:\n  b/c:\n  - 1\n  - {d: 2}\nm: &m {k: v}\nn: {<<: *m, l: w}\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := docs[0].Get("a", "b/c").Items()[1].Get("d")
	if o := d.Origin("s"); o.Line != 4 || o.Pointer != "/a/b~1c/1/d" {
		t.Errorf("%+v", o)
	}
	if v := docs[0].Get("n", "k").Str(); v != "v" {
		t.Errorf("merged %q", v)
	}
	docs, _, err = source.Parse("x.json", []byte("{\n\"a\":\n [1,\n {\"b\": true}]}"))
	if err != nil {
		t.Fatal(err)
	}
	if o := docs[0].Get("a").Items()[1].Get("b").Origin(""); o.Line != 4 || o.Pointer != "/a/1/b" {
		t.Errorf("%+v", o)
	}
}

func TestXML(t *testing.T) {
	for _, bad := range []string{"", "<a>", "<a></b>", "<a/><b/>", `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, "<a>&x;</a>", strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300), "x<a/>"} {
		if _, err := source.ParseXML("x.xml", []byte(bad)); err == nil {
			t.Errorf("%.40q is read", bad)
		}
	}
	e, err := source.ParseXML("x.xml", []byte("<a>\n<b c=\"d\"> t <!-- x --></b></a>"))
	if err != nil {
		t.Fatal(err)
	}
	b := e.Child("b")
	if v, _ := b.Attr("c"); v != "d" || b.Str() != "t" || b.Line != 2 {
		t.Errorf("%+v", b)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("x.yaml", []byte("a: &a [1, *a]"))
	f.Add("x.json", []byte(`{"a":[1,{"b":null}]}`))
	f.Add("x.yaml", []byte(bomb()))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		docs, _, err := source.Parse(name, b)
		if err != nil {
			return
		}
		for _, d := range docs {
			_ = d.Canonical()
		}
	})
}

func FuzzXML(f *testing.F) {
	f.Add([]byte("<a b='c'><d/>x</a>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := source.ParseXML("x", b)
		if err == nil && e == nil {
			t.Error("neither an element nor an error")
		}
	})
}
