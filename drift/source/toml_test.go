package source_test

import (
	"strings"
	"testing"

	"gatehouse/drift/source"
)

func TestTOML(t *testing.T) {
	docs, problems, err := source.Parse("a.toml", []byte("# x\na.b = 1\nlist = [\"x\", 'y',\n  \"z\"]\n[http.routers.\"r.1\"]\nrule = \"\"\"Host(`a`)\n\"\"\"\non = true\n[[s.servers]]\nurl = 'http://a'\n[[s.servers]]\nurl = 'http://b'\ninner = {a = {b = [1, 2]}}\n"))
	if err != nil || len(problems) > 0 || len(docs) != 1 {
		t.Fatal(err, problems)
	}
	d := docs[0]
	if n := d.Get("http", "routers", "r.1", "rule"); n.Str() != "Host(`a`)\n" || n.Line != 6 || n.Pointer() != "/http/routers/r.1/rule" {
		t.Errorf("%q line %d %s", n.Str(), n.Line, n.Pointer())
	}
	if s := strings.Join(d.Get("list").Strs(), ""); s != "xyz" || d.Get("a", "b").Text != "1" {
		t.Error(s)
	}
	n := d.Get("s", "servers").Items()
	if len(n) != 2 || n[1].Get("url").Line != 12 || n[1].Get("inner", "a", "b").Pointer() != "/s/servers/1/inner/a/b" {
		t.Errorf("%+v", n)
	}
	if on, ok := d.Get("http", "routers", "r.1", "on").Bool(); !on || !ok {
		t.Error("not true")
	}
}

func TestBadTOML(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a mistake has its line", "a = 1\nb = = 2\n", "line 2"},
		{"too deep", "a = " + strings.Repeat("[", 100_000), "nested deeper"},
		{"too deep in tables", "a = " + strings.Repeat("{a=", 100_000), "nested deeper"},
		{"too deep in names", "[" + strings.Repeat("a.", 10_000) + "a]", "nested deeper"},
		{"too deep in keys", strings.Repeat("a.", 10_000) + "a = 1", "nested deeper"},
		{"a value is no table", "a = 1\n[a.b]\n", "line 2"},
		{"not closed", "a = \"x\n", "line 1"},
	} {
		if _, _, err := source.Parse("a.toml", []byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, problems, err := source.Parse("a.toml", []byte("a = 1\na = [2]\n")); err != nil || len(problems) != 1 || problems[0].Line != 2 {
		t.Error(err, problems)
	}
}

func FuzzTOML(f *testing.F) {
	f.Add("a = 1\n[b]\nc.d = {e = [1, '2']}\n[[f]]\ng = \"\"\"x\"\"\"\n")
	f.Fuzz(func(t *testing.T, s string) {
		docs, _, _ := source.Parse("a.toml", []byte(s))
		for _, d := range docs {
			_ = d.Canonical()
			_ = d.Pointer()
		}
	})
}
