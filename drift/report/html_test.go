package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/drift"
	"gatehouse/drift/drifttest"
	"gatehouse/drift/report"
)

// TestHTMLNeedsNothingElse: one file, no script, no address that is fetched, a policy that allows its own style alone, and names from
// files stay text.
func TestHTMLNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	r := result(t)
	r.Findings[0].A.Value = `<script>alert(1)</script> " onload="x`
	if err := report.HTML(&b, r, drifttest.Now()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "src=", "href=", "url(", "@import", "<link", "style=", "<x>", "\x1b", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	sum := sha256.Sum256([]byte(style[1]))
	if want := "default-src &#39;none&#39;; style-src &#39;sha256-" + base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(strings.ReplaceAll(page, "&#43;", "+"), want) {
		t.Errorf("the policy does not name the style: %s", page[:600])
	}
	for _, want := range []string{"DR-AUT-01", "(weaker)", "<mark>", "prefers-color-scheme:dark", "@media print", "width=device-width", "There may be more in what could not be resolved", "kong.yaml:"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

func TestMarked(t *testing.T) {
	want := []report.Part{{Text: "[a ", Differs: false}, {Text: "b", Differs: true}, {Text: "]", Differs: false}}
	if d := cmp.Diff(want, report.Marked("[a b]", "[a c]")); d != "" {
		t.Error(d)
	}
}

// TestNotesAreInEveryForm: what is to be said of waivers is said in text, Markdown and HTML alike.
func TestNotesAreInEveryForm(t *testing.T) {
	r := result(t)
	r.Ended = []drift.Waiver{{Rule: "DR-AUT-01", Owner: "Kim <b>", Ends: drifttest.Now()}}
	r.Unjudged = 3
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text": func(b *bytes.Buffer) error { return report.Text(b, r, false) }, "markdown": func(b *bytes.Buffer) error { return report.Markdown(b, r) },
		"html": func(b *bytes.Buffer) error { return report.HTML(b, r, drifttest.Now()) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "what it accepted counts again") || !strings.Contains(b.String(), "3 operations are selected by no standard") || name == "html" && strings.Contains(b.String(), "Kim <b>") {
			t.Errorf("%s does not say it", name)
		}
	}
}
