package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/control"
	"gatehouse/id"
)

// called is what the admin API says of how often something was used.
type called struct {
	Application id.ID     `json:"application"`
	Grant       id.ID     `json:"grant,omitempty"`
	By          string    `json:"by"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Counts      []struct {
		At          time.Time `json:"at"`
		Environment string    `json:"environment"`
		Grant       id.ID     `json:"grant,omitempty"`
		API         string    `json:"api"`
		Operation   string    `json:"operation"`
		Status      int       `json:"status"`
		Calls       int64     `json:"calls"`
	} `json:"counts"`
	Cut  bool  `json:"cut"`
	Lost int64 `json:"lost"`
}

func (u called) print(p *printer) {
	p.line("from %s until %s, by the %s", when(u.From), when(u.To), u.By)
	if len(u.Counts) == 0 {
		p.line("no calls")
	} else {
		var rows [][]string
		for _, n := range u.Counts {
			rows = append(rows, []string{when(n.At), n.Environment, n.API, n.Operation, string(n.Grant), strconv.Itoa(n.Status), strconv.FormatInt(n.Calls, 10)})
		}
		p.table([]string{"FROM", "ENVIRONMENT", "API", "OPERATION", "GRANT", "STATUS", "CALLS"}, rows)
	}
	if u.Cut {
		p.line("there is more: ask for a shorter time")
	}
	if u.Lost > 0 {
		p.line("%d calls of anybody could not be counted in that time", u.Lost)
	}
}

// quotas tells how much of a grant's quotas is used.
func (c *cli) quotas() *cobra.Command {
	return &cobra.Command{Use: "quotas GRANT", Short: "How much of a grant's quotas is used in the day and month that run", Args: exactly("GRANT"),
		Long: `Days and months are those of UTC. Gateways tell what they have let through each second; all of them together count.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var l list[control.Quota]
			if err := c.call(cmd.Context(), http.MethodGet, "/api/grants/"+url.PathEscape(args[0])+"/quotas", nil, &l); err != nil {
				return err
			}
			return c.print(l, func(p *printer) {
				rows := [][]string{}
				for _, q := range l.Items {
					rows = append(rows, []string{string(q.Period), fmt.Sprint(q.Requests), fmt.Sprint(q.Used), fmt.Sprint(q.Remaining), when(q.Resets)})
				}
				if len(rows) == 0 {
					p.line("the plan has no quotas")
					return
				}
				p.table([]string{"PERIOD", "REQUESTS", "USED", "REMAINING", "RESETS"}, rows)
			})
		}}
}

// calls tells how often an application or a grant was used.
func (c *cli) calls() *cobra.Command {
	var environment, by, from, to string
	cmd := &cobra.Command{Use: "usage APPLICATION|GRANT", Short: "How often an application called, or a grant was used, by operation and status", Args: exactly("APPLICATION|GRANT"),
		Example: "  gatehouse usage app_… --by hour\n  gatehouse usage gr_… --from 2027-01-01T00:00:00Z --to 2027-02-01T00:00:00Z -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{}
			for name, value := range map[string]string{"environment": environment, "by": by, "from": from, "to": to} {
				if value != "" {
					q.Set(name, value)
				}
			}
			kind := "applications"
			if strings.HasPrefix(args[0], string(id.Grant)+"_") {
				kind = "grants"
			}
			var out called
			if err := c.call(cmd.Context(), http.MethodGet, "/api/"+kind+"/"+url.PathEscape(args[0])+"/usage?"+q.Encode(), nil, &out); err != nil {
				return err
			}
			return c.print(out, out.print)
		}}
	environmentFlag(cmd, &environment, "only there")
	cmd.Flags().StringVar(&by, "by", "", "minute, hour or day (default day)")
	cmd.Flags().StringVar(&from, "from", "", "from when, such as 2027-01-01T00:00:00Z (default: the last 30 days, day or hour)")
	cmd.Flags().StringVar(&to, "to", "", "until when (default now)")
	return cmd
}
