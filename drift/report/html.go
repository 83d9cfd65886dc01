package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
)

//go:embed report.css
var reportCSS string

//go:embed report.html
var reportHTML string

// page is what the report shows. It asks nothing of anywhere: its policy allows its own style and nothing else.
type page struct {
	Policy  string
	CSS     template.CSS
	Verdict string
	When    string
	Areas   []drift.Area
	Result  *drift.Result
	Groups  []pageGroup
	Notes   []string
}

type pageGroup struct {
	Severity drift.Severity
	Name     string
	Findings []pageFinding
}

type pageFinding struct {
	*drift.Finding
	Open  bool
	On    string
	Sides []pageSide
	Why   string
	Refs  string
}

type pageSide struct {
	*drift.Side
	Weak  bool
	Parts []Part
	At    string
	More  int
}

// Part is a piece of a value: what the other side does not have is marked.
type Part struct {
	Text    string
	Differs bool
}

// Marked divides a value into words, marking those that the other does not hold.
func Marked(value, other string) []Part {
	const most = 4000
	value = clean(short(value, most))
	words := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,[]()", r) })
	}
	has := map[string]bool{}
	for _, w := range words(clean(other)) {
		has[w] = true
	}
	var out []Part
	add := func(text string, differs bool) {
		if n := len(out); n > 0 && out[n-1].Differs == differs {
			out[n-1].Text += text
			return
		}
		out = append(out, Part{text, differs})
	}
	for len(value) > 0 {
		i := strings.IndexAny(value, " ,[]()")
		switch {
		case i < 0:
			add(value, !has[value])
			return out
		case i > 0:
			add(value[:i], !has[value[:i]])
		}
		add(value[i:i+1], false)
		value = value[i+1:]
	}
	return out
}

// HTML writes the result as one file that needs nothing else: light and dark, on paper and on a phone, without script.
func HTML(w io.Writer, r *drift.Result, now time.Time) error {
	sum := sha256.Sum256([]byte(reportCSS))
	p := page{
		Policy:  "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		CSS:     template.CSS(reportCSS), // our own file, embedded
		Verdict: Verdict(r), Areas: drift.Areas(), Result: r, Notes: Notes(r),
	}
	if !now.IsZero() {
		p.When = "Read " + now.UTC().Format("2 January 2006, 15:04 UTC") + "."
	}
	rules := map[string]drift.Rule{}
	for _, rule := range drift.Rules() {
		rules[rule.ID] = rule
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		j := slices.IndexFunc(p.Groups, func(g pageGroup) bool { return g.Severity == f.Severity })
		if j < 0 {
			j = len(p.Groups)
			name := f.Severity.String()
			p.Groups = append(p.Groups, pageGroup{Severity: f.Severity, Name: strings.ToUpper(name[:1]) + name[1:]})
		}
		const opened = 40 // beyond it a page is not read from top to bottom
		x := pageFinding{Finding: f, Open: i < opened && f.Severity >= drift.High && f.Waiver == nil, On: Operations(f, 12), Why: rules[f.Rule].Why, Refs: strings.Join(rules[f.Rule].Refs, " ")}
		other := ""
		if f.B != nil {
			other = f.B.Value
		}
		x.Sides = append(x.Sides, sideOf(f, &f.A, other, f.B != nil))
		if f.B != nil {
			x.Sides = append(x.Sides, sideOf(f, f.B, f.A.Value, true))
		}
		p.Groups[j].Findings = append(p.Groups[j].Findings, x)
	}
	t, err := template.New("report").Funcs(template.FuncMap{
		"clean":  clean,
		"causes": func(c drift.Coverage) []string { return Causes(c, 20) },
		"problems": func(e drift.Summary) []string {
			var out []string
			for i, q := range e.Problems {
				if i == 50 {
					return append(out, fmt.Sprintf("… and %d more problems", len(e.Problems)-i))
				}
				out = append(out, q.String())
			}
			return out
		},
	}).Parse(reportHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

func sideOf(f *drift.Finding, s *drift.Side, other string, pair bool) pageSide {
	x := pageSide{Side: s, Weak: f.Weaker() == s.Environment && pair, At: s.Origin.String(), More: len(s.Also)}
	if pair {
		x.Parts = Marked(s.Value, other)
	} else {
		x.Parts = []Part{{clean(short(s.Value, 4000)), false}}
	}
	return x
}
