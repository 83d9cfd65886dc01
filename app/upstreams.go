package app

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"gatehouse/gateway"
)

// writeUpstream writes how an upstream does, for operators.
func writeUpstream(w io.Writer, environment string, u gateway.UpstreamState) {
	fmt.Fprintf(w, "%s  upstream %s", environment, u.Name)
	if u.Breaker != "" {
		fmt.Fprintf(w, "  breaker %s (opened %d times, refused %d)", u.Breaker, u.Opened, u.Resting)
	}
	if u.Bounded {
		fmt.Fprintf(w, "  running %d of %d, waiting %d, refused %d", u.Gate.Running, u.Gate.Limit, u.Gate.Waiting, u.Gate.Shed)
	}
	if u.Retries+u.RetriesRefused > 0 {
		fmt.Fprintf(w, "  retries %d, beyond the budget %d", u.Retries, u.RetriesRefused)
	}
	if u.Unresolved > 0 {
		fmt.Fprintf(w, "  look-ups failed %d", u.Unresolved)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range u.Targets {
		state := "asked"
		switch {
		case m.Down:
			state = "unwell, says its check"
		case m.Ejected > 0:
			state = "ejected for " + m.Ejected.Round(time.Second).String()
		}
		fmt.Fprintf(t, "  %s\t%s\trunning %d\trequests %d\tfailed %d\tejected %d times\n", m.Name, state, m.Running, m.Asked, m.Failed, m.Ejections)
	}
	_ = t.Flush()
}
