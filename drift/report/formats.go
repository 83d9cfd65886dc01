package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"gatehouse/drift"
)

// Causes are the most frequent causes of what could not be resolved.
func Causes(c drift.Coverage, n int) []string {
	type cause struct {
		text  string
		count int
	}
	var all []cause
	for k, v := range c.Causes {
		all = append(all, cause{k, v})
	}
	slices.SortFunc(all, func(a, b cause) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.text, b.text)) })
	var out []string
	for i, x := range all {
		if i == n {
			out = append(out, fmt.Sprintf("… and %d more causes", len(all)-n))
			break
		}
		out = append(out, fmt.Sprintf("%d leaves: %s", x.count, short(x.text, 120)))
	}
	return out
}

// document is the JSON form of a result. Its version grows when a field changes its meaning.
type document struct {
	Format int    `json:"drift"`
	Said   string `json:"verdict"`
	*drift.Result
}

// JSON writes the result for programs. Every finding has rule, severity, operations, both sides with value, state and origin, and direction.
func JSON(w io.Writer, r *drift.Result) error {
	if r.Findings == nil {
		c := *r
		c.Findings = []drift.Finding{}
		r = &c
	}
	for i := range r.Findings {
		if r.Findings[i].Operations == nil {
			r.Findings[i].Operations = []drift.Key{}
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(document{1, r.Verdict(), r})
}

// The part of SARIF 2.1.0 that is written.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool       sarifTool     `json:"tool"`
	Results    []sarifResult `json:"results"`
	Properties sarifCoverage `json:"properties"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name  string      `json:"name"`
	Rules []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID       string          `json:"id"`
	Text     sarifText       `json:"shortDescription"`
	Full     sarifText       `json:"fullDescription"`
	Default  sarifLevel      `json:"defaultConfiguration"`
	Property sarifProperties `json:"properties"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifProperties struct {
	Severity string   `json:"security-severity"`
	Tags     []string `json:"tags"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	Rule         string             `json:"ruleId"`
	Index        int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations,omitempty"`
	Related      []sarifLocation    `json:"relatedLocations,omitempty"`
	Prints       sarifPrints        `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifPrints struct {
	ID string `json:"drift/v1"`
}

type sarifSuppression struct {
	Kind string `json:"kind"`
	Why  string `json:"justification"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifText     `json:"message,omitempty"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	Line int `json:"startLine"`
}

type sarifCoverage struct {
	Coverage drift.Coverage `json:"coverage"`
	Verdict  string         `json:"verdict"`
}

var levels = [...]string{"note", "note", "warning", "error", "error"}
var scores = [...]string{"0.0", "3.0", "5.5", "8.0", "9.5"}

// SARIF writes the result for code scanning. roots are the folders that environments were read from, by their names, so that places are
// relative to the repository.
func SARIF(w io.Writer, r *drift.Result, roots map[string]string) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "gatehouse drift"}}, Results: []sarifResult{}, Properties: sarifCoverage{r.Coverage, r.Verdict()}}
	index := map[string]int{}
	for i, rule := range drift.Rules() {
		index[rule.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{rule.ID, sarifText{rule.Title}, sarifText{rule.Why}, sarifLevel{levels[rule.Severity]},
			sarifProperties{scores[rule.Severity], append([]string{"security", string(rule.Area)}, rule.Refs...)}})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		at, other := &f.A, f.B
		if f.Direction == drift.BWeaker && f.B != nil {
			at, other = f.B, &f.A
		}
		res := sarifResult{Rule: f.Rule, Index: index[f.Rule], Level: levels[f.Severity], Message: sarifText{sentence(f)}, Prints: sarifPrints{f.ID}}
		if l, ok := location(at, f, roots); ok {
			res.Locations = append(res.Locations, l)
		}
		if other != nil {
			if l, ok := location(other, f, roots); ok {
				l.Message = &sarifText{other.Environment + ": " + other.Value}
				res.Related = append(res.Related, l)
			}
		}
		if f.Waiver != nil {
			res.Suppressions = []sarifSuppression{{"external", f.Waiver.Reason + " (" + f.Waiver.Owner + ")"}}
		}
		run.Results = append(run.Results, res)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

func location(s *drift.Side, f *drift.Finding, roots map[string]string) (sarifLocation, bool) {
	if s.Origin.File == "" {
		return sarifLocation{}, false
	}
	file := s.Origin.File
	if root := roots[s.Environment]; root != "" && root != "." {
		file = strings.TrimSuffix(root, "/") + "/" + file
	}
	l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: file}).EscapedPath()}}}
	if s.Origin.Line > 0 {
		l.Physical.Region = &sarifRegion{s.Origin.Line}
	}
	for i, k := range f.Operations {
		if i == 20 {
			break
		}
		l.Logical = append(l.Logical, sarifLogical{k.String()})
	}
	return l, true
}

// sentence tells a finding in one.
func sentence(f *drift.Finding) string {
	s := f.Title + ": " + f.A.Environment + " has " + short(f.A.Value, 120)
	if f.B != nil {
		s += ", " + f.B.Environment + " has " + short(f.B.Value, 120)
	}
	return s + "; " + f.Note + "."
}

// Markdown writes the result for a pull request or a wiki.
func Markdown(w io.Writer, r *drift.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Drift review\n\n%s\n\nCoverage: %s.\n\n", Verdict(r), r.Coverage)
	for _, s := range Notes(r) {
		fmt.Fprintf(&b, "* %s\n", cell(s))
	}
	if len(Notes(r)) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("| environment |")
	for _, a := range drift.Areas() {
		fmt.Fprintf(&b, " %s |", a)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(drift.Areas())) + "\n")
	for _, row := range r.Matrix {
		fmt.Fprintf(&b, "| %s |", cell(row.Environment))
		for _, c := range row.Cells {
			if c.Findings == 0 {
				b.WriteString(" · |")
			} else {
				fmt.Fprintf(&b, " %d, worst %s |", c.Findings, c.Worst)
			}
		}
		b.WriteByte('\n')
	}
	if len(r.Findings) > 0 {
		b.WriteString("\n| rule | severity | operations | weaker | A | B | why |\n|---|---|---|---|---|---|---|\n")
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		other, weaker := "", f.Weaker()
		if f.B != nil {
			other = mdSide(f.B)
		}
		if weaker == "" {
			weaker = "neither"
		}
		title := f.Rule + " " + f.Title
		if f.Waiver != nil {
			title += " (waived by " + f.Waiver.Owner + " until " + f.Waiver.Ends.Format("2006-01-02") + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", cell(title), f.Severity, cell(Operations(f, 3)), cell(weaker), mdSide(&f.A), other, cell(f.Note))
	}
	for _, e := range r.Environments {
		fmt.Fprintf(&b, "\n## %s\n\n%s: %s.\n", cell(e.Name), e.Gateway, e.Coverage)
		for _, c := range Causes(e.Coverage, 8) {
			fmt.Fprintf(&b, "* %s\n", cell(c))
		}
		for i, p := range e.Problems {
			if i == 20 {
				fmt.Fprintf(&b, "* … and %d more problems\n", len(e.Problems)-i)
				break
			}
			fmt.Fprintf(&b, "* %s\n", cell(p.String()))
		}
	}
	_, err := io.WriteString(w, clean(b.String()))
	return err
}

func mdSide(s *drift.Side) string {
	out := cell(s.Environment) + ": " + cell(short(s.Value, 100)) + " (" + s.State.String() + ")"
	if at := s.Origin.String(); at != "" {
		out += " " + cell(at)
	}
	return out
}

// cell writes text into a table so that it stays text.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", ">", "&gt;", "`", "'", "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`).Replace(s)
}
