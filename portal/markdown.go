package portal

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdown turns the Markdown of manifests and OpenAPI documents into HTML that can do no harm.
type markdown struct {
	convert goldmark.Markdown
	clean   *bluemonday.Policy
}

func newMarkdown() markdown {
	clean := bluemonday.NewPolicy()
	clean.AllowElements("p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li",
		"h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td")
	clean.AllowStandardURLs()
	clean.AllowAttrs("href").OnElements("a")
	clean.RequireNoFollowOnLinks(true)
	clean.RequireNoReferrerOnLinks(true)
	return markdown{
		convert: goldmark.New(
			goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
			goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(lowerHeadings{}, 100))),
		),
		clean: clean,
	}
}

// lowerHeadings makes the headings of a text start at the third level, since the page has the first two, and go down by
// one level at a time.
type lowerHeadings struct{}

func (lowerHeadings) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	const first, last = 3, 6
	above := []int{} // the levels, as written, of the headings that the present one stands under
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			for len(above) > 0 && above[len(above)-1] >= h.Level {
				above = above[:len(above)-1]
			}
			above = append(above, h.Level)
			h.Level = min(first+len(above)-1, last)
		}
		return ast.WalkContinue, nil
	})
}

// html renders one text. Text that cannot be rendered is shown as it stands.
func (m markdown) html(s string) template.HTML {
	var b bytes.Buffer
	if err := m.convert.Convert([]byte(s), &b); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(s) + "</p>")
	}
	safe := string(m.clean.SanitizeBytes(b.Bytes()))
	return template.HTML(strings.ReplaceAll(safe, "<th>", `<th scope="col">`))
}

// inline renders a text of one line: a description in a table. Longer ones keep their paragraphs.
func (m markdown) inline(s string) template.HTML {
	if !strings.ContainsAny(s, "`*_[<&\n\\:") {
		return template.HTML(template.HTMLEscapeString(s))
	}
	out := strings.TrimSpace(string(m.html(s)))
	if one, ok := strings.CutPrefix(out, "<p>"); ok && strings.Count(out, "<p>") == 1 {
		if one, ok = strings.CutSuffix(one, "</p>"); ok {
			out = one
		}
	}
	return template.HTML(out)
}

// firstParagraph is the plain text of a Markdown text's first paragraph, for cards.
func (m markdown) firstParagraph(s string) string {
	for part := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n") {
		part = strings.TrimSpace(part)
		if part == "" || strings.HasPrefix(part, "#") || strings.HasPrefix(part, "```") || strings.HasPrefix(part, "<") {
			continue
		}
		plain := bluemonday.StrictPolicy().Sanitize(string(m.html(part)))
		return strings.TrimSpace(htmlText(plain))
	}
	return ""
}
