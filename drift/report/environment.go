package report

import (
	"fmt"
	"io"
	"strings"

	"gatehouse/drift"
)

// Plain is text from a configuration as it may be written to a terminal.
func Plain(s string) string { return clean(strings.Join(strings.Fields(s), " ")) }

// Environment writes what one environment enforces, a line for each operation and class of callers.
func Environment(w io.Writer, e *drift.Environment) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n", Plain(e.Name), e.Gateway, drift.Cover(e))
	for i := range e.Operations {
		o := &e.Operations[i]
		for _, eff := range o.Effective {
			p := eff.Policy
			name := o.Key.String()
			if eff.Class != "" {
				name += " (" + eff.Class + ")"
			}
			fmt.Fprintf(&b, "  %s: %s; rate %s; cors %s; upstream %s  %s\n", Plain(name), Plain(p.Auth.Ways.Text()), Plain(p.Rates.Text()), corsText(p), Plain(short(p.Upstream.URLs.Text(), 80)), Plain(o.Origin.String()))
		}
	}
	for _, c := range Causes(drift.Cover(e), 8) {
		fmt.Fprintf(&b, "  %s\n", Plain(c))
	}
	for _, g := range e.Gaps {
		fmt.Fprintf(&b, "  not there: %s %s  %s\n", Plain(g.What), Plain(drift.Mask(g.Name)), Plain(g.Origin.String()))
	}
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "  %s\n", Plain(p.String()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func corsText(p *drift.Policy) string {
	if !p.CORS.Enabled.Known() {
		return p.CORS.Enabled.Text()
	}
	if !p.CORS.Enabled.Value {
		return "off"
	}
	return Plain(short(p.CORS.Origins.Text(), 60))
}
