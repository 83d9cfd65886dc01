package portal

import (
	"strings"
	"testing"
)

func TestMarkdownDoesNoHarm(t *testing.T) {
	m := newMarkdown()
	for _, in := range []string{
		`<script>boo</script>`, `<img src=x onerror=boo>`, `[a](javascript:boo)`, `![a](https://elsewhere.example/pixel.png)`,
		`<a href="data:text/html,boo">a</a>`, `<style>*{display:none}</style>`, `<h1>one</h1>`, `<p style="position:fixed">a</p>`,
		"<iframe src=//elsewhere.example></iframe>", `<form action=/signout><button>a</button></form>`, `<base href=//elsewhere.example>`,
	} {
		out := string(m.html(in)) + string(m.inline(in))
		for _, never := range []string{"<script", "<img", "javascript:", "data:text", "<style", "<h1", "style=", "<iframe", "<form", "<button", "<base", "onerror"} {
			if strings.Contains(out, never) && !strings.Contains(out, "&lt;") {
				t.Errorf("%q became %q", in, out)
			}
		}
	}
}

func TestMarkdown(t *testing.T) {
	m := newMarkdown()
	for _, c := range []struct{ in, want string }{
		{"# One\n\n### Two", "<h3>One</h3>\n<h4>Two</h4>\n"},
		{"### Deep first\n\n# Then high", "<h3>Deep first</h3>\n<h3>Then high</h3>\n"},
		{"a `b` <https://example.org>", `<p>a <code>b</code> <a href="https://example.org" rel="nofollow noreferrer">https://example.org</a></p>` + "\n"},
		{"| a |\n|---|\n| b |", "<table>\n<thead>\n<tr>\n<th scope=\"col\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>b</td>\n</tr>\n</tbody>\n</table>\n"},
	} {
		if got := string(m.html(c.in)); got != c.want {
			t.Errorf("%q became\n%q, want\n%q", c.in, got, c.want)
		}
	}
	if got := string(m.inline("the `level` of **it**")); got != "the <code>level</code> of <strong>it</strong>" {
		t.Errorf("inline: %q", got)
	}
	if got := m.firstParagraph("# Title\n\nFirst *words* & `code`.\n\nSecond."); got != "First words & code." {
		t.Errorf("the first paragraph is %q", got)
	}
}
