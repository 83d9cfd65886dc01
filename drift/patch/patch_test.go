package patch_test

import (
	"bytes"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/patch"
)

// TestOneChange: what was asked changes, and every other byte stays.
func TestOneChange(t *testing.T) {
	set := func(p string, v any) func(*patch.Tree) error {
		return func(t *patch.Tree) error { return t.Set(0, p, v) }
	}
	add := func(p string, v any) func(*patch.Tree) error {
		return func(t *patch.Tree) error { return t.Append(0, p, v) }
	}
	cut := func(p string) func(*patch.Tree) error { return func(t *patch.Tree) error { return t.Remove(0, p) } }
	plugin := patch.Map{{Key: "name", Value: "key-auth"}, {Key: "config", Value: patch.Map{{Key: "key_in_query", Value: false}, {Key: "key_names", Value: patch.List{"x-key"}}}}}
	for _, c := range []struct {
		name, file, in, want string
		do                   func(*patch.Tree) error
	}{
		{"scalar", "a.yaml", "a: 1 # one\nb: 'x'   # two\n", "a: 2 # one\nb: 'x'   # two\n", set("/a", int64(2))},
		{"quoted", "a.yaml", "b: 'it''s'   # two\nc: 1", "b: \"it is\"   # two\nc: 1", set("/b", "it is")},
		{"unicode before", "a.yaml", "é: {ü: ö, a: 1}\n", "é: {ü: ö, a: 2}\n", set("/é/a", int64(2))},
		{"new key", "a.yaml", "a:\n  b: 1 # c\n\n# end\nd: 2\n", "a:\n  b: 1 # c\n  e: true\n\n# end\nd: 2\n", set("/a/e", true)},
		{"new maps", "a.yaml", "a:\n  b: 1\n", "a:\n  b: 1\n  c:\n    d: x\n", set("/a/c/d", "x")},
		{"empty value", "a.yaml", "a:\nb: 1\n", "a: x\nb: 1\n", set("/a", "x")},
		{"a word that is a truth value", "a.yaml", "a: x\n", "a: \"on\"\n", set("/a", "on")},
		{"block list", "a.yaml", "a:\n- x # 1\n- y # 2\n- z\nb: 1\n", "a:\n- x # 1\n- z\n- w\nb: 1\n", set("/a", patch.List{"x", "z", "w"})},
		{"flow list", "a.yaml", "a: [x, y] # c\n", "a: [x, y, z] # c\n", add("/a", "z")},
		{"item after text", "a.yaml", "a:\n  - k: |\n      x\n      # not a comment\n\n# c\nb: 1\n", "a:\n  - k: |\n      x\n      # not a comment\n  - name: key-auth\n    config:\n      key_in_query: false\n      key_names:\n      - x-key\n\n# c\nb: 1\n", add("/a", plugin)},
		{"made list", "a.yaml", "s:\n- name: r\n  p: [a]\n", "s:\n- name: r\n  p: [a]\n  plugins:\n  - name: x\n", add("/s/0/plugins", patch.Map{{Key: "name", Value: "x"}})},
		{"flow item", "a.yaml", "s: [{name: r}]\n", "s: [{name: r, plugins: [{name: x}]}]\n", add("/s/0/plugins", patch.Map{{Key: "name", Value: "x"}})},
		{"carriage returns", "a.yaml", "a:\r\n- 1\r\nb: 2\r\n", "a:\r\n- 1\r\n- 2\r\nb: 2\r\n", add("/a", int64(2))},
		{"no last line end", "a.yaml", "a:\n  b: 1", "a:\n  b: 1\n  c: 2", set("/a/c", int64(2))},
		{"remove entry", "a.yaml", "a:\n  b: 1\n  # about c\n  c: [1,\n    2]\n  d: 3\n", "a:\n  b: 1\n  # about c\n  d: 3\n", cut("/a/c")},
		{"json", "a.json", "{\n  \"a\": {\n    \"b\": [1, 2]\n  },\n  \"c\": \"\\u00e9\"\n}\n", "{\n  \"a\": {\n    \"b\": [1, 2],\n    \"d\": {\n      \"e\": false\n    }\n  },\n  \"c\": \"\\u00e9\"\n}\n", set("/a/d/e", false)},
		{"json with tabs", "a.json", "{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n", "{\n\t\"a\": {\n\t\t\"b\": 1,\n\t\t\"c\": \"x\"\n\t}\n}\n", set("/a/c", "x")},
		{"json on a line", "a.json", `{"a":{"b":1}}`, `{"a":{"b":1, "c": [{"x": "y"}]}}`, set("/a/c", patch.List{patch.Map{{Key: "x", Value: "y"}}})},
		{"json removal", "a.json", "{\"a\": [1, 2, 3]}", "{\"a\": [1, 3]}", cut("/a/1")},
		{"json first removal", "a.json", "{\"a\": [1, 2, 3]}", "{\"a\": [2, 3]}", cut("/a/0")},
		{"toml scalar", "a.toml", "# x\n[a.b]\n  c = 1 # one\n  d = 'x'\n", "# x\n[a.b]\n  c = 2 # one\n  d = 'x'\n", set("/a/b/c", int64(2))},
		{"toml string", "a.toml", "a = \"\"\"\none\ntwo\"\"\" # c\nb = 1\n", "a = \"x\" # c\nb = 1\n", set("/a", "x")},
		{"toml new key", "a.toml", "[a]\n  b = 1 # one\n\n# about c\n[c]\n", "[a]\n  b = 1 # one\n  d = true\n\n# about c\n[c]\n", set("/a/d", true)},
		{"toml first key", "a.toml", "[a]\n\n[b]\nc = 1\n", "[a]\n  d = true\n\n[b]\nc = 1\n", set("/a/d", true)},
		{"toml root key", "a.toml", "# top\nx = 1\n[a]\nb = 1\n", "# top\nx = 1\ny = 2\n[a]\nb = 1\n", set("/y", int64(2))},
		{"toml table", "a.toml", "[a.b]\nc = 1", "[a.b]\nc = 1\n\n[a.d]\n  e = [\"x\"]\n\n[a.d.f]\n  g = 1\n", set("/a/d", patch.Map{{Key: "e", Value: patch.List{"x"}}, {Key: "f", Value: patch.Map{{Key: "g", Value: int64(1)}}}})},
		{"toml implied table", "a.toml", "[a.b.c]\nd = 1\n", "[a.b.c]\nd = 1\n\n[a.b]\n  e = 2\n", set("/a/b/e", int64(2))},
		{"toml in brackets", "a.toml", "a = { b = [1, 2], c = 3 } # c\n", "a = { b = [1, 2], c = 3, e = \"on\" } # c\n", set("/a/e", "on")},
		{"toml list", "a.toml", "a = [ # first\n  \"x\", # one\n  \"y\",\n]\nb = 1\n", "a = [ # first\n  \"x\", # one\n  \"y\",\n  \"z\"\n]\nb = 1\n", add("/a", "z")},
		{"toml removal from a list", "a.toml", "a = ['x', 'y', 'z']\n", "a = ['x', 'z']\n", cut("/a/1")},
		{"toml removal", "a.toml", "[a]\n  # about b\n  b = 1\n  c = 2\n", "[a]\n  # about b\n  c = 2\n", cut("/a/b")},
		{"toml table's removal", "a.toml", "[a]\nb = 1\n[c]\nd = 1\n[e]\nf = 1\n", "[a]\nb = 1\n[e]\nf = 1\n", cut("/c")},
		{"toml list of tables", "a.toml", "[[a]]\n  b = 1\n[[a]]\nb = 2\n[c]\n", "[[a]]\n  b = 1\n  d = \"x\"\n[[a]]\nb = 2\n[c]\n", set("/a/0/d", "x")},
		{"toml one more table", "a.toml", "[[a]]\nb = 1\n[c]\nd = 1\n", "[[a]]\nb = 1\n[c]\nd = 1\n\n[[a]]\n  b = 2\n", add("/a", patch.Map{{Key: "b", Value: int64(2)}})},
		{"toml dotted keys", "a.toml", "a.b = 1\na.c.d = 2\n[e]\n", "a.b = 1\na.c.d = 2\na.c.f = 3\n[e]\n", set("/a/c/f", int64(3))},
		{"toml quoted keys", "a.toml", "[a.\"b.c\"]\r\nd = 1\r\n", "[a.\"b.c\"]\r\nd = 1\r\n\r\n[a.\"b.c\".\"e f\"]\r\n  g = 1\r\n", set("/a/b.c/e f", patch.Map{{Key: "g", Value: int64(1)}})},
	} {
		tree, err := patch.Open(c.file, []byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := c.do(tree); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.want, string(tree.Text())); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestWhatIsSharedIsNotChanged: an alias's value stands in other places, a merged key too.
func TestWhatIsSharedIsNotChanged(t *testing.T) {
	for _, c := range []struct{ in, pointer string }{
		{"a: &x {b: 1}\nc: *x\n", "/c/b"},
		{"a: &x {b: 1}\nc: *x\n", "/a/b"},
		{"a: &x [1]\nc: *x\n", "/c"},
	} {
		tree, err := patch.Open("a.yaml", []byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Set(0, c.pointer, int64(2)); err == nil {
			t.Errorf("%q %s: changed to %q", c.in, c.pointer, tree.Text())
		}
		if string(tree.Text()) != c.in {
			t.Errorf("%q: a refused change has changed it to %q", c.in, tree.Text())
		}
	}
}

func TestDocuments(t *testing.T) {
	const in = "# one\na: 1\n---\n# two\na: 1\n"
	tree, err := patch.Open("a.yaml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Set(5, "/a", int64(2)); err != nil {
		t.Fatal(err)
	}
	if err := tree.AddDocument(patch.Map{{Key: "b", Value: patch.Map{{Key: "c", Value: patch.List{"x"}}}}}); err != nil {
		t.Fatal(err)
	}
	if got, want := string(tree.Text()), "# one\na: 1\n---\n# two\na: 2\n---\nb:\n  c:\n  - x\n"; got != want {
		t.Errorf("%q", got)
	}
}

// TestCorpus: over all real YAML, JSON and TOML files, setting a scalar to what it is changes no byte; changing it and changing it back brings
// every byte back; and a new entry and its removal do too, wherever the form is one that is edited.
func TestCorpus(t *testing.T) {
	files, changed, refused := 0, 0, 0
	for _, gateway := range []string{"kong", "aws-apigateway", "envoy-gateway", "gateway-api", "traefik", "krakend", "tyk", "ingress-nginx", "azure-apim"} {
		drifttest.EachFile(t, drifttest.Corpus(t, gateway), []string{".yaml", ".yml", ".json", ".toml"}, func(name string, _ fs.FS, text []byte) {
			if len(text) > 64<<10 {
				return
			}
			tree, err := patch.Open(name, text)
			if err != nil {
				return
			}
			files++
			root, ok := tree.Value(0, "")
			if !ok {
				return
			}
			for i, p := range leaves(root, "") {
				if i == 1 {
					break
				}
				v, _ := tree.Value(0, p)
				if err := tree.Set(0, p, v); err != nil || !bytes.Equal(tree.Text(), text) {
					t.Fatalf("%s %s: the same value changes the file (%v)", name, p, err)
				}
				if err := tree.Set(0, p, "changed by the test"); err != nil {
					refused++
					continue
				}
				changed++
				got, _ := tree.Value(0, p)
				if got != "changed by the test" {
					t.Errorf("%s %s: %v", name, p, got)
				}
				if tree, err = patch.Open(name, text); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	t.Logf("%d files, %d values changed, %d refused", files, changed, refused)
	if refused*50 > changed {
		t.Errorf("%d of %d values are refused", refused, refused+changed)
	}
}

func leaves(v any, at string) []string {
	var out []string
	switch v := v.(type) {
	case patch.Map:
		for _, e := range v {
			out = append(out, leaves(e.Value, at+"/"+patch.Key(e.Key))...)
		}
	case patch.List:
		for i, x := range v {
			out = append(out, leaves(x, at+"/"+strconv.Itoa(i))...)
		}
	default:
		if at != "" {
			out = append(out, at)
		}
	}
	return out
}

// TestWhatTOMLCannotSay is refused, and the file stays.
func TestWhatTOMLCannotSay(t *testing.T) {
	for _, c := range []struct {
		in string
		do func(*patch.Tree) error
	}{
		{"[a.b]\nc = 1\n", func(t *patch.Tree) error { return t.Remove(0, "/a") }},
		{"[a]\nb.c = 1\n", func(t *patch.Tree) error { return t.Remove(0, "/a/b/c") }},
		{"[a]\nb = 1\n", func(t *patch.Tree) error { return t.Set(0, "/a", "x") }},
		{"a = 1\n", func(t *patch.Tree) error { return t.AddDocument(patch.Map{{Key: "b", Value: int64(1)}}) }},
		{"[[a]]\n[[a.b]]\nc = 1\n[[a]]\n", func(t *patch.Tree) error { return t.Append(0, "/a/0/b", patch.Map{{Key: "c", Value: int64(2)}}) }},
	} {
		tree, err := patch.Open("a.toml", []byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.do(tree); err == nil || string(tree.Text()) != c.in {
			t.Errorf("%q: %v, %q", c.in, err, tree.Text())
		}
	}
	for _, in := range []string{"a = [", "[a", "a = 1\n[a.b]\n", "a = " + strings.Repeat("[", 5000), "a = \"x", "a = 'x\nb = 1\n", "a = { b.c = 1 }\n", "[[a]]\n[a.b]\n[[a.b]]\n"} {
		if tree, err := patch.Open("a.toml", []byte(in)); err == nil && !strings.Contains(in, "[a.b]") {
			t.Errorf("%q: %q", in, tree.Text())
		}
	}
}

// FuzzTOML: as FuzzSet, for TOML.
func FuzzTOML(f *testing.F) {
	f.Add("[a]\nb = [\"x\"]\n", "/a/b/0", "y")
	f.Add("[[a]]\nb.c = 1\n[d.e]\n", "/a/0/b/f", "on")
	f.Add("a = { b = \"\"\"x\"\"\" }", "/a/b", "\x85")
	f.Fuzz(func(t *testing.T, text, pointer, value string) {
		tree, err := patch.Open("a.toml", []byte(text))
		if err != nil {
			return
		}
		if err := tree.Set(0, pointer, value); err != nil {
			if string(tree.Text()) != text {
				t.Errorf("refused and changed to %q", tree.Text())
			}
			return
		}
		if v, ok := tree.Value(0, pointer); !ok || !reflect.DeepEqual(v, value) && !strings.Contains(pointer, "//") {
			t.Errorf("%q at %q of %q is %v", value, pointer, text, v)
		}
	})
}

// FuzzSet: a change does what was asked or is refused, and a refused one changes nothing.
func FuzzSet(f *testing.F) {
	f.Add("a: 1\nb: [x]\n", "/b/0", "y")
	f.Add("a:\n- b: |\n    x\n", "/a/0/c", "on")
	f.Add("{\"a\": {\"b\": null}}", "/a/b", "\x85")
	f.Fuzz(func(t *testing.T, text, pointer, value string) {
		tree, err := patch.Open("a.yaml", []byte(text))
		if err != nil {
			return
		}
		if err := tree.Set(0, pointer, value); err != nil {
			if string(tree.Text()) != text {
				t.Errorf("refused and changed to %q", tree.Text())
			}
			return
		}
		if v, ok := tree.Value(0, pointer); !ok || !reflect.DeepEqual(v, value) && !strings.Contains(pointer, "//") {
			t.Errorf("%q at %q of %q is %v", value, pointer, text, v)
		}
	})
}
