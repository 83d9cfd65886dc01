package report

import (
	"fmt"
	"io"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/plan"
)

// PlanText writes a plan for a terminal: each step with its difference, what it was shown to change, and what is not planned.
func PlanText(w io.Writer, p *plan.Plan, colour bool) error {
	c := paint(colour)
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s\n", c.in("1", fmt.Sprintf("%d. %s: %s", s.Number, clean(s.Environment), clean(s.Does))))
		fmt.Fprintf(&b, "   closes  %s  %s\n", s.Rule, c.severity(s.Severity, s.Severity.String()+"  "+s.Title))
		if ops := planOperations(s.About, 4); ops != "" {
			fmt.Fprintf(&b, "   on      %s\n", clean(ops))
		}
		if n := len(s.Closes); n > 1 {
			fmt.Fprintf(&b, "   and     %d more findings that are gone with it\n", n-1)
		}
		for i, e := range s.Effects {
			if i == 4 {
				fmt.Fprintf(&b, "           … and %d more leaves\n", len(s.Effects)-i)
				break
			}
			fmt.Fprintf(&b, "   proven  %s %s: %s -> %s\n", clean(e.Operation), e.Field, clean(short(e.From, 80)), clean(short(e.To, 80)))
		}
		for _, f := range s.Shows {
			fmt.Fprintf(&b, "   shows   %s\n", clean(f))
		}
		for _, ch := range s.Changes {
			for line := range strings.Lines(ch.Diff) {
				line = strings.TrimRight(clean(line), "\n?")
				switch {
				case strings.HasPrefix(line, "+"):
					line = c.in("32", line)
				case strings.HasPrefix(line, "-"):
					line = c.in("31", line)
				case strings.HasPrefix(line, "@"):
					line = c.in("36", line)
				}
				b.WriteString("     " + line + "\n")
			}
		}
		b.WriteByte('\n')
	}
	if len(p.Refusals) > 0 {
		b.WriteString(c.in("1", "Not planned") + "\n")
	}
	for _, r := range p.Refusals {
		fmt.Fprintf(&b, "  %s  %s  %s: %s\n", r.Rule, c.severity(r.Severity, r.Severity.String()), clean(r.Environment), r.Title)
		if ops := planOperations(r.About, 4); ops != "" {
			fmt.Fprintf(&b, "    on       %s\n", clean(ops))
		}
		fmt.Fprintf(&b, "    because  %s\n    instead  %s\n", clean(r.Reason), clean(r.Control))
	}
	fmt.Fprintf(&b, "\n%s\nafterwards: %s.\ncoverage: %s\n", p.Summary(), p.After, p.Coverage)
	_, err := io.WriteString(w, b.String())
	return err
}

func planOperations(a plan.About, n int) string {
	return Operations(&drift.Finding{Operations: a.Operations}, n)
}

// PlanDiff writes the whole plan as one difference that git apply and patch take. Folders give the files their places.
func PlanDiff(w io.Writer, p *plan.Plan, folders map[string]string) error {
	for _, f := range p.Files {
		name := f.Name
		if dir := strings.Trim(strings.TrimPrefix(folders[f.Environment], "./"), "/"); dir != "" && dir != "." {
			name = dir + "/" + name
		}
		if _, err := io.WriteString(w, f.Diff(name)); err != nil {
			return err
		}
	}
	return nil
}

// PlanMarkdown writes a plan for a pull request.
func PlanMarkdown(w io.Writer, p *plan.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Plan\n\n%s Afterwards: %s.\n\nCoverage: %s.\n", p.Summary(), p.After, p.Coverage)
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "\n## %d. %s: %s\n\nCloses %s, %s: %s", s.Number, cell(s.Environment), cell(s.Does), s.Rule, s.Severity, cell(s.Title))
		if ops := planOperations(s.About, 6); ops != "" {
			fmt.Fprintf(&b, ", on %s", cell(ops))
		}
		b.WriteString(".\n")
		for _, f := range s.Shows {
			fmt.Fprintf(&b, "\nThen asks: %s.\n", cell(f))
		}
		for _, c := range s.Changes {
			fmt.Fprintf(&b, "\n~~~~diff\n%s~~~~\n", strings.ReplaceAll(c.Diff, "~~~~", "~~~ ~"))
		}
	}
	if len(p.Refusals) > 0 {
		b.WriteString("\n## Not planned\n\n| rule | severity | environment | operations | because | instead |\n|---|---|---|---|---|---|\n")
	}
	for _, r := range p.Refusals {
		fmt.Fprintf(&b, "| %s %s | %s | %s | %s | %s | %s |\n", r.Rule, cell(r.Title), r.Severity, cell(r.Environment), cell(planOperations(r.About, 3)), cell(r.Reason), cell(r.Control))
	}
	_, err := io.WriteString(w, clean(b.String()))
	return err
}
