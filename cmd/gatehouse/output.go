package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// print writes v as JSON, or what text says of it.
func (c *cli) print(v any, text func(*printer)) error {
	if c.format == "json" {
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	p := &printer{w: c.out}
	text(p)
	return p.err
}

// printer writes text for people.
type printer struct {
	w   io.Writer
	err error
}

// line writes one line.
func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table writes rows in aligned columns under a head. What a partner wrote cannot move the terminal: see clean.
func (p *printer) table(head []string, rows [][]string) {
	wide := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range row {
			row[i] = clean(row[i])
			wide[i] = max(wide[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range append([][]string{head}, rows...) {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell)))
			}
		}
		p.line("%s", strings.TrimRight(b.String(), " "))
	}
}

// words writes a list as people do.
func words[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return strings.Join(out, ", ")
}

// pairs writes names and values below each other, leaving out empty values.
func (p *printer) pairs(kv ...string) {
	wide := 0
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			wide = max(wide, len(kv[i]))
		}
	}
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			p.line("%-*s  %s", wide, kv[i], clean(kv[i+1]))
		}
	}
}

// clean shows control characters, and those that turn the direction of text, as a mark instead of sending them to the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) || r == utf8.RuneError {
			return '·'
		}
		return r
	}, s)
}

// when writes a time as people and scripts read it: UTC, to the second.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// span writes how far a time is from now, roughly.
func span(t, now time.Time) string {
	d, format := t.Sub(now), "in %s"
	if d < 0 {
		d, format = -d, "%s ago"
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf(format, fmt.Sprintf("%d s", d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%d min", d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%d h", d/time.Hour))
	}
	return fmt.Sprintf(format, fmt.Sprintf("%d days", d/(24*time.Hour)))
}

// lines writes a text of several lines, each as clean as one.
func (p *printer) lines(text string) {
	for l := range strings.Lines(text) {
		p.line("%s", clean(strings.TrimRight(l, "\n")))
	}
}
