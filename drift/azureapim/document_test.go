package azureapim

import (
	"strings"
	"testing"

	"gatehouse/drift/source"
)

func TestDocumentsAreRead(t *testing.T) {
	for _, c := range []struct{ name, text, how, attr, want string }{
		{"well-formed is not masked", `<policies><a v="@(1 &lt; 2)"/><!-- @( --></policies>`, "", "v", "@(1 < 2)"},
		{"quotes in an attribute", `<policies><a v="@(x.Get("k", "d)") == "\"")"/></policies>`, "masked", "v", `@(x.Get("k", "d)") == "\"")`},
		{"verbatim string", `<policies><a v="@(@"a""b\" + "x")"/></policies>`, "masked", "v", `@(@"a""b\" + "x")`},
		{"character", `<policies><a v="@(x.Split(')')[0] + "")"/></policies>`, "masked", "v", `@(x.Split(')')[0] + "")`},
		{"block with comments", "<policies><a v=\"@{ // it's (\n /* \" */ return \"}\"; }\"/></policies>", "masked", "v", "@{ // it's (\n /* \" */ return \"}\"; }"},
		{"generic types", `<policies><a v="@(x.As<JObject>()["k"])"/></policies>`, "masked", "v", `@(x.As<JObject>()["k"])`},
		{"bad comment", "<!-- a <!-- b -->\n<policies><a v=\"@(\"x\")\"/></policies>", "repaired", "v", `@("x")`},
		{"bare ampersand", `<policies><a v="b"/><c>https://h/?x=1&y=2</c></policies>`, "repaired", "v", "b"},
		{"several roots", `<a v="b"/><c/>`, "repaired", "v", "b"},
	} {
		d, err := parse("x.xml", []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ""
		d.root.Walk(func(e *source.Element) {
			if v, ok := e.Attr(c.attr); ok {
				got = d.restore(v)
			}
		})
		if d.how != c.how || got != c.want {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, d.how, got, c.how, c.want)
		}
	}
}

func TestLinesSurviveMasking(t *testing.T) {
	d, err := parse("x.xml", []byte("<policies>\n<a v=\"@{\n@\"\n\"\n}\"/>\n<b/></policies>"))
	if err != nil {
		t.Fatal(err)
	}
	if b := d.root.Child("b"); b.Line != 6 {
		t.Errorf("line %d, want 6", b.Line)
	}
}

func TestHostileDocumentsAreRefused(t *testing.T) {
	for _, s := range []string{"", "<", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><policies>&x;</policies>`, strings.Repeat("<a>", 1000), "@(" + strings.Repeat("(", 100_000)} {
		if d, err := parse("x.xml", []byte(s)); err == nil && d.root != nil && strings.Contains(s, "DOCTYPE") {
			t.Errorf("%.30q is read", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`<policies><a v="@(x.Get("k"))"/></policies>`))
	f.Add([]byte("<!-- <!-- @{ \" -->"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse("x.xml", b)
		if err == nil && d.root == nil {
			t.Error("neither a document nor an error")
		}
	})
}
