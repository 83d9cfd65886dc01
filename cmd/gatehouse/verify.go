package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/app"
	"gatehouse/audit"
)

func auditRow(e audit.Entry, _ time.Time) []string {
	seq := "…"
	if e.Seq >= 0 {
		seq = fmt.Sprint(e.Seq)
	}
	actor := e.Actor
	for _, p := range e.Personal {
		if p.Name == "actor.name" && p.Value != "" {
			actor = p.Value + " (" + e.Actor + ")"
		}
	}
	return []string{seq, when(e.At), e.Action, first(string(e.Object), e.Environment), actor, e.Reason}
}

// verified verifies the log, at the server or in a file, and prints the report.
func (c *cli) verified(cmd *cobra.Command, checkpoint, db, key string) error {
	var report audit.Report
	var err error
	if db != "" {
		report, err = app.VerifyAudit(cmd.Context(), app.AuditFiles{Data: c.data, Database: db, Verifier: key, Checkpoint: checkpoint})
	} else {
		err = c.call(cmd.Context(), http.MethodGet, "/api/audit/verification?checkpoint="+url.QueryEscape(checkpoint), nil, &report)
	}
	if err != nil {
		return err
	}
	err = c.print(report, func(p *printer) {
		for _, f := range report.Problems {
			switch {
			case f.Seq >= 0:
				p.line("entry %d %s: %s", f.Seq, f.Entry, clean(f.Text))
			default:
				p.line("the log: %s", clean(f.Text))
			}
		}
		word := "the log holds"
		if !report.OK {
			word = "THE LOG DOES NOT HOLD"
		}
		p.line("%s: %d entries sealed, %d waiting, root %s", word, report.Entries, report.Unsealed, report.Root)
	})
	if err == nil && !report.OK {
		return errFound
	}
	return err
}
