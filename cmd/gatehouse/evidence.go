package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/audit"
)

// auditEvidence exports what the log says about one object.
func (c *cli) auditEvidence() *cobra.Command {
	var out string
	cmd := &cobra.Command{Use: "evidence ID", Short: "Export what the log says about an object, with its proof", Args: exactly("ID"),
		Long: `Exports every entry about a request, grant, credential, application or organization, each with the proof that it stands in
the log. The file verifies offline: give it to an auditor together with the verifier key, by another way. Without --out it is
told in plain words.`,
		Example: "  gatehouse audit evidence gr_… --out grant.json\n  gatehouse audit verify --evidence grant.json --key 'gatehouse+1a2b3c4d+…'",
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			if err := c.call(cmd.Context(), http.MethodGet, "/api/evidence/"+url.PathEscape(args[0]), nil, &raw); err != nil {
				return err
			}
			var e audit.Evidence
			if err := json.Unmarshal(raw, &e); err != nil {
				return fmt.Errorf("the answer is not what this version understands: %w", err)
			}
			if out == "" {
				return c.print(raw, func(p *printer) { p.lines(e.Tell()) })
			}
			if err := os.WriteFile(out, raw, 0o600); err != nil {
				return err
			}
			return c.print(map[string]any{"file": out, "entries": len(e.Entries)}, func(p *printer) {
				p.line("%d entries in %s", len(e.Entries), out)
			})
		}}
	cmd.Flags().StringVar(&out, "out", "", "the file to write")
	return cmd
}

// verifiedEvidence verifies exported evidence and tells what it shows. It asks nobody.
func (c *cli) verifiedEvidence(file, key string) error {
	if key == "" {
		return usage("give the verifier key that you trust with --key: what the file itself says proves nothing")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var e audit.Evidence
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("%s is no evidence: %w", file, err)
	}
	report := e.Verify(key, time.Now())
	err = c.print(report, func(p *printer) {
		for _, f := range report.Problems {
			if f.Seq < 0 {
				p.line("the evidence: %s", clean(f.Text))
				continue
			}
			p.line("entry %d %s: %s", f.Seq, f.Entry, clean(f.Text))
		}
		if !report.OK {
			p.line("THE EVIDENCE DOES NOT HOLD")
			return
		}
		p.lines(e.Tell())
		p.line("the evidence holds: %d entries", report.Entries)
	})
	if err == nil && !report.OK {
		return errFound
	}
	return err
}
