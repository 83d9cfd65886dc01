package patch_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/patch"
)

const policyXML = "\ufeff<!-- <inbound> -->\r\n<policies>\r\n\t<inbound>\r\n\t\t<choose><when condition=\"@(context.Request.Headers.GetValueOrDefault(\"X\",\"<a>\") != \"1\")\"><cors/></when></choose>\r\n\t\t<set-body>@{ return \"</inbound>\"; }</set-body>\r\n\t</inbound>\r\n\t<outbound />\r\n</policies>"

// TestXML: what is asked changes, and every other byte stays, expressions and comments among them.
func TestXML(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		do             func(*patch.XML)
	}{
		{"first child", "<inbound>\r\n", "<inbound>\r\n\t\t<base />\r\n", func(x *patch.XML) { x.Prepend(x.Root.Child("inbound"), "<base />") }},
		{"empty element", "<outbound />", "<outbound ><base /></outbound>", func(x *patch.XML) { x.Prepend(x.Root.Child("outbound"), "<base />") }},
		{"attribute", "<cors/>", "<cors allow-credentials=\"a&amp;b\"/>", func(x *patch.XML) {
			x.SetAttr(x.Root.Child("inbound").Child("choose").Child("when").Child("cors"), "allow-credentials", "a&b")
		}},
		{"removal", "\r\n\t\t<set-body>@{ return \"</inbound>\"; }</set-body>", "", func(x *patch.XML) { x.Remove(x.Root.Child("inbound").Child("set-body")) }},
		{"behind", "</choose>", "</choose>\r\n\t\t<x />", func(x *patch.XML) { x.After(x.Root.Child("inbound").Child("choose"), "<x />") }},
	} {
		x, err := patch.OpenXML("p.xml", []byte(policyXML), azureapim.Expression)
		if err != nil {
			t.Fatal(err)
		}
		c.do(x)
		got, err := x.Text()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(strings.Replace(policyXML, c.old, c.new, 1), string(got)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestXMLCorpus: most real policy documents are open for changes, also those that are not well-formed; without a change not a byte is
// another, and with one only what is put in.
func TestXMLCorpus(t *testing.T) {
	open, closed, base := 0, 0, 0
	drifttest.EachFile(t, drifttest.Corpus(t, "azure-apim"), []string{".xml"}, func(name string, _ fs.FS, text []byte) {
		x, err := patch.OpenXML(name, text, azureapim.Expression)
		if err != nil {
			closed++
			return
		}
		open++
		if same, err := x.Text(); err != nil || string(same) != string(text) {
			t.Errorf("%s: changed without a change (%v)", name, err)
		}
		in := x.Root.Child("inbound")
		if in == nil {
			return
		}
		x.Prepend(in, "<base />")
		got, err := x.Text()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		i := 0
		for i < len(text) && text[i] == got[i] {
			i++
		}
		if grown := len(got) - len(text); string(got[i+grown:]) != string(text[i:]) || !strings.Contains(string(got[max(0, i-40):i+grown+12]), "<base />") {
			t.Errorf("%s: more than <base /> has changed", name)
		}
		base++
	})
	t.Logf("%d documents are open for changes, %d are not, %d were given <base />", open, closed, base)
	if closed*20 > open {
		t.Errorf("%d documents cannot be changed, %d can", closed, open)
	}
}

// FuzzXML: nothing crashes, and without a change not a byte is another.
func FuzzXML(f *testing.F) {
	f.Add([]byte(policyXML))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := patch.OpenXML("p.xml", text, azureapim.Expression)
		if err != nil {
			return
		}
		if got, err := x.Text(); err != nil || string(got) != string(text) {
			t.Errorf("%v", err)
		}
		x.Prepend(x.Root, "<base />")
		_, _ = x.Text()
	})
}
