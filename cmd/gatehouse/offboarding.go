package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"gatehouse/feed"
	"gatehouse/organization"
)

// offboarding tells how far the end of an organization has come.
func (c *cli) offboarding(path string) *cobra.Command {
	return &cobra.Command{Use: "offboarding ID", Short: "How far the end of an organization has come, and what it waits for", Args: exactly("ID"),
		Long: "Every grant and credential that the organization ever had, and what each gateway has said. Exit code 3 while it waits for\nsomething: with 0 it is over, and 'gatehouse audit evidence ID' exports the proof.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			if err := c.call(cmd.Context(), http.MethodGet, path+"/"+url.PathEscape(args[0])+"/offboarding", nil, &raw); err != nil {
				return err
			}
			var o struct {
				Organization organization.Organization `json:"organization"`
				Ended        []struct{}                `json:"ended"`
				Waits        []string                  `json:"waits"`
				Notes        []string                  `json:"notes"`
				Gateways     []struct {
					Environment string         `json:"environment"`
					Seq         int64          `json:"seq"`
					Receipts    []feed.Receipt `json:"receipts"`
					Unserved    bool           `json:"unserved"`
					Before      []feed.Sworn   `json:"before"`
					Sworn       []feed.Sworn   `json:"sworn"`
				} `json:"gateways"`
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				return fmt.Errorf("the answer is not what this version understands: %w", err)
			}
			err := c.print(raw, func(p *printer) {
				p.line("%s is %s; %d grants and credentials", clean(o.Organization.Name), o.Organization.State, len(o.Ended))
				for _, g := range o.Gateways {
					for _, r := range g.Receipts {
						p.line("%s: %s enforces everything through change %d (needed: %d) since %s", g.Environment, clean(r.Gateway), r.Position.Seq, g.Seq, when(r.At))
					}
				}
				for _, g := range o.Gateways {
					if g.Unserved {
						p.line("%s: no gateway serves there", g.Environment)
					}
					if len(g.Before)+len(g.Sworn) > 0 {
						p.line("%s: sworn by gateways: %d that the canaries were let in before the end, %d that each credential is refused", g.Environment, len(g.Before), len(g.Sworn))
					}
				}
				for _, n := range o.Notes {
					p.line("not shown: %s", clean(n))
				}
				for _, w := range o.Waits {
					p.line("waits: %s", clean(w))
				}
			})
			if err == nil && o.Organization.State != organization.Offboarded {
				return errFound
			}
			return err
		}}
}
