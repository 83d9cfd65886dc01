package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// reviewed tells the report of a review that the entry holds, if it holds one: what came of the question about each grant.
func reviewed(l leaf) string {
	if l.Action != "review.report" {
		return ""
	}
	var o struct {
		Reviewed []struct {
			Grant       string    `json:"grant"`
			Environment string    `json:"environment"`
			Product     string    `json:"product"`
			State       string    `json:"state"`
			By          string    `json:"by"`
			For         string    `json:"for"`
			At          time.Time `json:"at"`
			Reason      string    `json:"reason"`
			Calls       int64     `json:"calls"`
			Last        time.Time `json:"last"`
		} `json:"reviewed"`
	}
	if json.Unmarshal([]byte(l.After), &o) != nil {
		return ""
	}
	var b strings.Builder
	for _, g := range o.Reviewed {
		fmt.Fprintf(&b, "  %s (%s in %s): %s", g.Grant, g.Product, g.Environment, g.State)
		if g.By != "" {
			fmt.Fprintf(&b, " by %s", g.By)
		}
		if g.For != "" {
			fmt.Fprintf(&b, " in the place of %s", g.For)
		}
		fmt.Fprintf(&b, ", %s; %d calls", g.At.UTC().Format("2 January 2006, 15:04:05 UTC"), g.Calls)
		if !g.Last.IsZero() {
			fmt.Fprintf(&b, ", the last on %s", g.Last.UTC().Format("2 January 2006"))
		}
		if g.Reason != "" {
			fmt.Fprintf(&b, "; in their words: %s", strings.Join(strings.Fields(g.Reason), " "))
		}
		b.WriteString("\n")
	}
	return b.String()
}
