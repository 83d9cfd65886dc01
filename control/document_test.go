package control

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/manifest"
)

func TestRewriteDocumentReadsBothForms(t *testing.T) {
	for name, raw := range map[string]string{
		"JSON": `{"openapi":"3.1.0","info":{"title":"\ud83d\ude00 \u00e9","version":"1"},"servers":[{"url":"http://inside"}],"paths":{"/a":{"servers":[{"url":"http://inside"}],"get":{"operationId":"a","servers":[{"url":"http://inside"}]},"post":{"operationId":"hidden"}},"/b":{"get":{}},"/c":{"$ref":"#/x"}},"x-n":[1.50,12345678901234567890,true,null]}`,
		"YAML": "openapi: 3.1.0\ninfo: {title: \"😀 é\", version: \"1\"}\nservers: [{url: http://inside}]\npaths:\n  /a:\n    servers: [{url: http://inside}]\n    get: {operationId: a, servers: [{url: http://inside}]}\n    post: {operationId: hidden}\n  /b: {get: {}}\n  /c: {$ref: '#/x'}\nx-n: [1.50, 12345678901234567890, true, null]\n",
	} {
		out, err := rewriteDocument(&manifest.Document{Raw: []byte(raw)}, []server{{URL: "https://gw/<a>", Description: "Live & test"}}, func(op string) bool { return op == "a" })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := `{"openapi":"3.1.0","info":{"title":"😀 é","version":"1"},"servers":[{"url":"https://gw/\u003ca\u003e","description":"Live \u0026 test"}],"paths":{"/a":{"get":{"operationId":"a"}},"/c":{"$ref":"#/x"}},"x-n":[1.50,12345678901234567890,true,null]}`
		if string(out) != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, out, want)
		}
	}
}

func TestRewriteDocumentRefusesBombs(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		n, p := string(rune('a'+i)), string(rune('a'+i-1))
		if i == 1 {
			p = "a0"
		}
		b.WriteString(n + ": &" + n + " [" + strings.TrimSuffix(strings.Repeat("*"+p+",", 10), ",") + "]\n")
	}
	for name, raw := range map[string]string{
		"aliases": b.String(), "deep": strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "deep JSON": `{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}",
		"itself": "a: &a [*a]", "not an object": "- a", "empty": "", "nonsense": "\x00\xff",
	} {
		if out, err := rewriteDocument(&manifest.Document{Raw: []byte(raw)}, nil, func(string) bool { return true }); err == nil {
			t.Errorf("%s is written as %.80s", name, out)
		}
	}
	if _, err := rewriteDocument(nil, nil, nil); err == nil {
		t.Error("no document is written")
	}
}

func FuzzRewriteDocument(f *testing.F) {
	f.Add([]byte(`{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"a"}}}}`))
	f.Add([]byte("openapi: 3.1.0\npaths: {/a: {get: {operationId: b}}}\n"))
	f.Add([]byte("a: .inf\nb: 0x1f\nc: 2026-01-01\nd: ~\n? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := rewriteDocument(&manifest.Document{Raw: raw}, []server{{URL: "https://gw"}}, func(op string) bool { return op == "a" })
		if err == nil && !json.Valid(out) {
			t.Errorf("%q becomes %q, which is not JSON", raw, out)
		}
	})
}
