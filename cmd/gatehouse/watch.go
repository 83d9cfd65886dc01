package main

import (
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/adminapi"
	"gatehouse/drift/watch"
)

// driftWatch is the drift review of a Gatehouse that runs: what its portal shows, for people and programs at a terminal.
func (c *cli) driftWatch() *cobra.Command {
	return group("watch", "The drift review of a Gatehouse that runs: how it stands, runs, uploads, waivers",
		`Asks a Gatehouse that runs about the environments that its start-up configuration watches (drift.environments): folders on its host,
gateways that run, and bundles that are uploaded here. The other commands of drift read files of this machine and keep nothing.`,
		c.watchStatus(), c.watchReview(), c.watchRuns(), c.watchUpload(), c.watchWaivers(), c.watchWaive(), c.watchUnwaive())
}

func (c *cli) watchStatus() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show the newest review: what is open, and how much could be seen", Args: noArgs,
		Long: `Shows the newest review with the waivers as they count now.

Exit codes: 0 nothing is open, 3 something is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var d adminapi.DriftStanding
			if err := c.call(cmd.Context(), http.MethodGet, "/api/drift", nil, &d); err != nil {
				return err
			}
			open := 0
			for _, f := range d.Findings {
				if !f.Waived {
					open++
				}
			}
			if err := c.print(d, func(p *printer) { standing(p, d) }); err != nil {
				return err
			}
			if open > 0 {
				return coded(3, nil)
			}
			return nil
		}}
}

func standing(p *printer, d adminapi.DriftStanding) {
	p.pairs("watched", strings.Join(d.Watched, " "), "every", d.Every)
	if d.Failure != nil {
		p.pairs("failed", when(d.Failure.At)+": "+d.Failure.Why)
	}
	for _, name := range d.Awaited {
		p.pairs("awaited", name+": no bundle was uploaded yet")
	}
	if d.Run == nil {
		p.line("nothing has been reviewed yet")
		return
	}
	p.pairs("reviewed", when(d.Run.At), "verdict", d.Run.Verdict, "coverage", d.Coverage)
	var rows [][]string
	for _, f := range d.Findings {
		at := f.A.Environment
		if f.Direction == "B weaker" && f.B != nil {
			at = f.B.Environment
		}
		state := "open"
		if f.Waived {
			state = "waived"
		}
		rows = append(rows, []string{f.ID, f.Rule, f.Severity, at, state, f.Title})
	}
	p.table([]string{"FINDING", "RULE", "SEVERITY", "ENVIRONMENT", "STATE", "WHAT"}, rows)
}

func runRow(r adminapi.DriftRun) []string {
	return []string{string(r.ID), when(r.At), strconv.Itoa(r.Open), strconv.Itoa(r.Fresh), r.Worst, r.Verdict}
}

func (c *cli) watchReview() *cobra.Command {
	return &cobra.Command{Use: "run", Short: "Review the watched environments now", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return ask(cmd.Context(), c, http.MethodPost, "/api/drift/runs", nil, func(r adminapi.DriftRun, _ time.Time) []string {
			return []string{"run", string(r.ID), "verdict", r.Verdict, "open", strconv.Itoa(r.Open), "new", strconv.Itoa(r.Fresh), "worst", r.Worst}
		})
	}}
}

func (c *cli) watchRuns() *cobra.Command {
	return &cobra.Command{Use: "runs", Short: "List reviews, the newest first", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var list []adminapi.DriftRun
		if err := c.call(cmd.Context(), http.MethodGet, "/api/drift/runs", nil, &list); err != nil {
			return err
		}
		return c.print(list, func(p *printer) {
			rows := make([][]string, 0, len(list))
			for _, r := range list {
				rows = append(rows, runRow(r))
			}
			p.table([]string{"RUN", "AT", "OPEN", "NEW", "WORST", "VERDICT"}, rows)
		})
	}}
}

func (c *cli) watchUpload() *cobra.Command {
	return &cobra.Command{Use: "upload ENVIRONMENT FILE", Short: "Upload the files of an environment, as a zip or a tar", Args: exactly("ENVIRONMENT", "FILE"),
		Long: `Uploads the folder of an environment that is watched as NAME:GATEWAY=bundle:. What is read of it is kept until the next upload, with secrets
masked, and counts from the next review on; the files themselves are not kept.`,
		Example: "  tar -czf kong.tar.gz -C deploy kong && gatehouse drift watch upload staging kong.tar.gz",
		RunE: func(cmd *cobra.Command, args []string) error {
			const most = 20 << 20 // of a bundle; the other side says it too
			if st, err := os.Stat(args[1]); err != nil {
				return err
			} else if st.Size() > most || !st.Mode().IsRegular() {
				return usage("%s is not a file of at most %d MB", args[1], most>>20)
			}
			b, err := os.ReadFile(args[1])
			if err != nil {
				return err
			}
			return ask(cmd.Context(), c, http.MethodPost, "/api/drift/bundles/"+url.PathEscape(args[0]), map[string][]byte{"bundle": b}, func(b adminapi.DriftBundle, _ time.Time) []string {
				out := []string{"environment", b.Environment, "sha256", b.Digest, "operations", strconv.Itoa(b.Operations), "coverage", b.Coverage}
				for _, p := range b.Problems {
					out = append(out, "not read", p)
				}
				return out
			})
		}}
}

func waiverPairs(w watch.Waiver, now time.Time) []string {
	return []string{"waiver", string(w.ID), "rule", w.Rule, "finding", w.Finding, "environment", w.Environment, "owner", w.Owner, "reason", w.Reason, "ends", when(w.Ends), "state", w.Standing(now)}
}

func (c *cli) watchWaivers() *cobra.Command {
	return &cobra.Command{Use: "waivers", Short: "List what is and was accepted, by whom, why and until when", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		items, _, err := all[watch.Waiver](cmd.Context(), c, "/api/drift/waivers", url.Values{}, 0)
		if err != nil {
			return err
		}
		return c.print(map[string]any{"items": items}, func(p *printer) {
			rows := make([][]string, 0, len(items))
			for _, w := range items {
				about := w.Environment
				if w.Finding != "" {
					about = w.Finding
				}
				rows = append(rows, []string{string(w.ID), w.Rule, about, w.Owner, w.Standing(time.Now()), when(w.Ends), w.Reason})
			}
			p.table([]string{"WAIVER", "RULE", "WHERE", "OWNER", "STATE", "ENDS", "REASON"}, rows)
		})
	}}
}

func (c *cli) watchWaive() *cobra.Command {
	var n struct {
		Finding     string    `json:"finding,omitempty"`
		Rule        string    `json:"rule,omitempty"`
		Environment string    `json:"environment,omitempty"`
		Owner       string    `json:"owner"`
		Reason      string    `json:"reason"`
		Ends        time.Time `json:"ends"`
	}
	var ends string
	cmd := &cobra.Command{Use: "waive", Short: "Accept a finding, or a rule in an environment, for a while", Args: noArgs,
		Example: `  gatehouse drift watch waive --finding dr_… --owner "Payments team" --reason "moves in spring" --ends 2027-03-31
  gatehouse drift watch waive --rule DR-OBS-02 --environment staging --owner Kim --reason "old gateway" --ends 2027-03-31`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if n.Ends, err = time.Parse(time.DateOnly, ends); err != nil {
				return usage("give its end with --ends, as 2027-03-31: nothing is accepted for ever")
			}
			if (n.Finding == "") == (n.Rule == "") {
				return usage("give one of --finding and --rule")
			}
			return ask(cmd.Context(), c, http.MethodPost, "/api/drift/waivers", n, waiverPairs)
		}}
	f := cmd.Flags()
	f.StringVar(&n.Finding, "finding", "", "id of a finding of the newest review")
	f.StringVar(&n.Rule, "rule", "", "id of a rule")
	f.StringVar(&n.Environment, "environment", "", "with --rule: only where this is the weaker side")
	f.StringVar(&n.Owner, "owner", "", "who answers for it")
	f.StringVar(&n.Reason, "reason", "", "why; it stands in the audit")
	f.StringVar(&ends, "ends", "", "its last day is the one before, at most a year away")
	return cmd
}

func (c *cli) watchUnwaive() *cobra.Command {
	return &cobra.Command{Use: "unwaive WAIVER", Short: "End a waiver before its time", Args: exactly("WAIVER"), RunE: func(cmd *cobra.Command, args []string) error {
		return ask(cmd.Context(), c, http.MethodPost, "/api/drift/waivers/"+url.PathEscape(args[0])+"/end", nil, waiverPairs)
	}}
}
