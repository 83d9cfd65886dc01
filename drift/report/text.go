// Package report writes the result of a comparison for people and for programs: text, JSON, SARIF and Markdown.
package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"gatehouse/drift"
)

// paint writes terminal colours, or nothing.
type paint bool

func (p paint) in(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) severity(s drift.Severity, text string) string {
	return p.in([...]string{"36", "34", "33", "31", "1;31"}[min(int(s), 4)], text)
}

// Text writes the result for a terminal: the matrix first, then each finding with both sides, then what could not be seen.
func Text(w io.Writer, r *drift.Result, colour bool) error {
	p := paint(colour)
	var b strings.Builder
	matrix(&b, p, r)
	for i := range r.Findings {
		finding(&b, p, &r.Findings[i])
	}
	for _, s := range Notes(r) {
		fmt.Fprintf(&b, "\n%s", clean(s))
	}
	fmt.Fprintf(&b, "\n%s\n", p.in("1", Verdict(r)))
	coverage(&b, r)
	_, err := io.WriteString(w, b.String())
	return err
}

// Notes are what is to be said of the baseline itself: waivers that are over or accept nothing, operations that no standard selects.
func Notes(r *drift.Result) []string {
	var out []string
	for _, w := range r.Ended {
		out = append(out, fmt.Sprintf("The waiver of %s by %s ended on %s: what it accepted counts again.", w.Rule, w.Owner, w.Ends.Format("2006-01-02")))
	}
	for _, w := range r.Idle {
		out = append(out, fmt.Sprintf("The waiver of %s by %s accepts nothing that was found, and may be taken out.", w.Rule, w.Owner))
	}
	if r.Unjudged > 0 {
		out = append(out, fmt.Sprintf("%d operations are selected by no standard of the baseline, and were not judged by it.", r.Unjudged))
	}
	return out
}

// Verdict is the sentence under a result, with its figures.
func Verdict(r *drift.Result) string {
	open := r.Open()
	if len(open) == 0 {
		return r.Verdict() + "."
	}
	count := map[drift.Severity]int{}
	for _, f := range open {
		count[f.Severity]++
	}
	var parts []string
	for s := drift.Critical; ; s-- {
		if n := count[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
		if s == drift.Info {
			break
		}
	}
	out := fmt.Sprintf("%d findings: %s.", len(open), strings.Join(parts, ", "))
	if !r.Coverage.Whole() || r.NotCompared > 0 || r.Unjudged > 0 {
		out += " There may be more in what could not be resolved."
	}
	return out
}

func matrix(b *strings.Builder, p paint, r *drift.Result) {
	width := len("environment")
	for _, row := range r.Matrix {
		width = max(width, utf8.RuneCountInString(row.Environment))
	}
	const cell = 15
	fmt.Fprintf(b, "%-*s", width+2, "environment")
	for _, a := range drift.Areas() {
		fmt.Fprintf(b, "%-*s", cell, a)
	}
	b.WriteByte('\n')
	for _, row := range r.Matrix {
		b.WriteString(clean(row.Environment) + strings.Repeat(" ", width+2-utf8.RuneCountInString(row.Environment)))
		for _, c := range row.Cells {
			text := "·"
			if c.Findings > 0 {
				text = fmt.Sprintf("%d %s", c.Findings, c.Worst)
			}
			pad := strings.Repeat(" ", max(1, cell-utf8.RuneCountInString(text)))
			if c.Findings > 0 {
				text = p.severity(c.Worst, text)
			}
			b.WriteString(text + pad)
		}
		b.WriteByte('\n')
	}
}

func finding(b *strings.Builder, p paint, f *drift.Finding) {
	head := fmt.Sprintf("%s  %s  %s", f.Rule, f.Severity, f.Title)
	if f.Waiver != nil {
		head += fmt.Sprintf("  (waived by %s until %s: %s)", clean(f.Waiver.Owner), f.Waiver.Ends.Format("2006-01-02"), clean(f.Waiver.Reason))
		fmt.Fprintf(b, "\n%s\n", p.in("2", head))
	} else {
		fmt.Fprintf(b, "\n%s\n", p.severity(f.Severity, head))
	}
	if ops := Operations(f, 4); ops != "" {
		fmt.Fprintf(b, "  on      %s\n", clean(ops))
	}
	side(b, p, f, &f.A, f.B != nil && f.Direction == drift.AWeaker)
	if f.B != nil {
		side(b, p, f, f.B, f.Direction == drift.BWeaker)
	}
	fmt.Fprintf(b, "  why     %s\n", clean(f.Note))
	fmt.Fprintf(b, "  id      %s\n", f.ID)
}

func side(b *strings.Builder, p paint, f *drift.Finding, s *drift.Side, weaker bool) {
	mark := "        "
	if weaker {
		mark = p.in("31", "weaker  ")
	}
	fmt.Fprintf(b, "  %s%s: %s [%s]", mark, clean(s.Environment), clean(short(s.Value, 160)), s.State)
	if at := clean(s.Origin.String()); at != "" {
		fmt.Fprintf(b, "  %s", p.in("2", at))
	}
	if n := len(s.Also); n > 0 {
		fmt.Fprintf(b, " and %d more places", n)
	}
	b.WriteByte('\n')
}

// Operations names the operations of a finding, at most n of them.
func Operations(f *drift.Finding, n int) string {
	var names []string
	for i, k := range f.Operations {
		if i == n {
			names = append(names, fmt.Sprintf("and %d more", len(f.Operations)-n))
			break
		}
		names = append(names, k.String())
	}
	out := strings.Join(names, ", ")
	if len(f.Classes) > 0 {
		out += " for " + strings.Join(f.Classes, ", ")
	}
	return out
}

func short(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n]) + "…"
}

// coverage says how much was seen, and why the rest was not.
func coverage(b *strings.Builder, r *drift.Result) {
	fmt.Fprintf(b, "coverage: %s\n", r.Coverage)
	if r.NotCompared > 0 {
		fmt.Fprintf(b, "compared: %d leaves; %d not, because a side is not known\n", r.Compared, r.NotCompared)
	}
	for _, e := range r.Environments {
		fmt.Fprintf(b, "  %s (%s): %s\n", clean(e.Name), e.Gateway, e.Coverage)
		for _, c := range Causes(e.Coverage, 6) {
			fmt.Fprintf(b, "    %s\n", clean(c))
		}
		for i, p := range e.Problems {
			if i == 20 {
				fmt.Fprintf(b, "    … and %d more problems\n", len(e.Problems)-i)
				break
			}
			fmt.Fprintf(b, "    %s\n", clean(p.String()))
		}
	}
}

// clean takes control characters out of what came from files, so that nothing in a configuration can drive a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' || r == '\u202d' {
			return '?'
		}
		return r
	}, s)
}
