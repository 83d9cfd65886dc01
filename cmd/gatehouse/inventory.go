package main

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/inventory"
)

// inventoryPage is one page as the admin API answers.
type inventoryPage struct {
	At    time.Time         `json:"at"`
	Items []inventory.Entry `json:"items"`
	Next  string            `json:"next,omitempty"`
	Risks []inventory.Risk  `json:"risks"`
}

// stocktaking is the pages together, with how many findings there are of each severity.
type stocktaking struct {
	At       time.Time                  `json:"at"`
	Items    []inventory.Entry          `json:"items"`
	Findings map[inventory.Severity]int `json:"findings"`
	More     bool                       `json:"more"`
	Risks    []inventory.Risk           `json:"risks"`
}

func (s *stocktaking) add(p inventoryPage) {
	if s.At.IsZero() {
		s.At = p.At
	}
	s.Risks = p.Risks
	for _, e := range p.Items {
		s.Items = append(s.Items, e)
		for _, f := range e.Findings {
			s.Findings[f.Severity]++
		}
	}
}

func (c *cli) inventory() *cobra.Command {
	const path = "/api/inventory"
	var failOn, format string
	var limit int
	values := map[string]*string{}
	cmd := &cobra.Command{Use: "inventory", Short: "Every machine credential, who answers for it, what it can reach, and what is wrong with it", Args: noArgs,
		Long: `Every API key, OAuth client, client certificate and workload identity that has not ended, with findings by the OWASP Non-Human
Identities Top 10 (2025) and what ends each. It says which of the ten risks the records cannot show.

With --fail-on, the exit code is 3 when there is a finding that is at least so severe.`,
		Example: "  gatehouse inventory --env live --severity high\n  gatehouse inventory --limit 0 --format csv > credentials.csv\n  gatehouse inventory --limit 0 --fail-on high",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if failOn != "" && inventory.Severity(failOn).Rank() == 0 {
				return usage("--fail-on is low, medium, high or critical, not %q", failOn)
			}
			if format != "" && format != "csv" && format != "text" && format != "json" {
				return usage("--format is text, json or csv, not %q", format)
			}
			if limit < 0 {
				return usage("--limit is a number of credentials, or 0 for all")
			}
			q := url.Values{}
			for name, v := range values {
				if *v != "" {
					q.Set(name, *v)
				}
			}
			out := stocktaking{Items: []inventory.Entry{}, Findings: map[inventory.Severity]int{}}
			for {
				size := 200
				if limit > 0 {
					size = min(size, limit-len(out.Items))
				}
				q.Set("limit", strconv.Itoa(size))
				var p inventoryPage
				if err := c.call(cmd.Context(), http.MethodGet, path+"?"+q.Encode(), nil, &p); err != nil {
					return err
				}
				out.add(p)
				if out.More = p.Next != ""; !out.More || limit > 0 && len(out.Items) >= limit {
					break
				}
				q.Set("after", p.Next)
			}
			return c.printStock(out, format, inventory.Severity(failOn))
		}}
	f := cmd.Flags()
	for name, help := range map[string]string{"organization": "only of this organization", "application": "only of this application", "kind": "api_key, oauth_client, client_certificate or workload_identity",
		"risk": "only with a finding of this risk, such as NHI7", "severity": "only with a finding that is at least so severe: low, medium, high, critical"} {
		values[name] = f.String(name, "", help)
	}
	values["environment"] = new(string)
	environmentFlag(cmd, values["environment"], "only there")
	f.StringVar(&failOn, "fail-on", "", "exit with 3 when there is a finding that is at least so severe: low, medium, high, critical")
	f.StringVar(&format, "format", "", "text, json or csv; default: as --output says")
	f.IntVar(&limit, "limit", 100, "at most so many credentials; 0 lists all")
	cmd.AddCommand(&cobra.Command{Use: "show CREDENTIAL", Short: "One credential as the inventory has it, with what it can reach", Args: exactly("CREDENTIAL"), RunE: func(cmd *cobra.Command, args []string) error {
		var e inventory.Entry
		if err := c.call(cmd.Context(), http.MethodGet, path+"/"+url.PathEscape(args[0]), nil, &e); err != nil {
			return err
		}
		return c.print(e, func(p *printer) {
			stockEntry(p, e, time.Now())
			for _, o := range e.Reach {
				p.line("  reaches  %s %s %s", o.Method, o.Path, o.Closed)
			}
		})
	}})
	return cmd
}

func (c *cli) printStock(s stocktaking, format string, failOn inventory.Severity) error {
	var err error
	switch {
	case format == "csv":
		err = s.csv(csv.NewWriter(c.out))
	case format == "json", format == "" && c.format == "json":
		json := *c
		json.format = "json"
		err = json.print(s, nil)
	default:
		text := *c
		text.format = "text"
		err = text.print(s, s.print)
	}
	if err != nil || failOn == "" {
		return err
	}
	for severity, n := range s.Findings {
		if n > 0 && severity.Rank() >= failOn.Rank() {
			return errFound
		}
	}
	if s.More { // what was not looked at may have one
		return fmt.Errorf("there are more credentials than --limit: --limit 0 looks at all of them")
	}
	return nil
}

func (s stocktaking) print(p *printer) {
	for _, e := range s.Items {
		stockEntry(p, e, s.At)
		p.line("")
	}
	var counts []string
	for _, severity := range inventory.Severities() {
		if n := s.Findings[severity]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	p.line("%d credentials; findings: %s", len(s.Items), first(strings.Join(counts, ", "), "none"))
	if s.More {
		p.line("… and more: --limit 0 lists all")
	}
	p.line("What the records can show of the OWASP Non-Human Identities Top 10 (2025):")
	rows := make([][]string, 0, len(s.Risks))
	for _, r := range s.Risks {
		rows = append(rows, []string{r.ID, r.Title, string(r.Seen), r.Says})
	}
	p.table([]string{"RISK", "TITLE", "SEEN", "WHAT"}, rows)
}

func stockEntry(p *printer, e inventory.Entry, now time.Time) {
	last := "never"
	if !e.LastUse.IsZero() {
		last = span(e.LastUse, now) + " at " + e.LastGateway + ", " + strconv.FormatInt(e.Calls, 10) + " calls"
	}
	reach := strconv.Itoa(len(e.Reach)) + " operations"
	if !e.ReachKnown {
		reach = "not known: no view of " + e.Environment + " could be asked"
	}
	end := "none"
	if !e.End.IsZero() {
		end = when(e.End) + " (" + span(e.End, now) + ")"
	}
	p.pairs("credential", string(e.Credential), "name", e.Name, "method", e.Method, "stands", e.Standing, "environment", e.Environment,
		"organization", stockName(e.Organization), "application", stockName(e.Application), "owner", first(stockName(e.Owner), "nobody"), "purpose", e.Purpose,
		"created", when(e.Created)+" ("+span(e.Created, now)+")", "last call", last, "reach", reach, "grants", words(e.Grants), "end", end)
	for _, f := range e.Findings {
		p.line("  %s %s %s: %s", strings.ToUpper(string(f.Severity)), f.Risk, f.Rule, clean(f.Text))
		for _, x := range f.Facts {
			p.line("      %s: %s", x.Name, clean(x.Value))
		}
		p.line("    mend: %s (%s)", clean(f.Mend.Text), f.Mend.Who)
		if f.Mend.Command != "" {
			p.line("      %s", clean(f.Mend.Command))
		}
	}
}

func stockName(n inventory.Named) string {
	return strings.TrimSpace(n.Name + " " + string(n.ID))
}

// csv writes one line for each finding, and one for each credential without any.
func (s stocktaking) csv(w *csv.Writer) error {
	_ = w.Write([]string{"credential", "kind", "method", "name", "standing", "environment", "organization", "organization_name", "application", "application_name", "owner", "owner_name", "purpose",
		"created", "last_use", "last_gateway", "calls", "reach", "end", "finding", "risk", "severity", "text", "mend", "command"}) // Flush tells
	for _, e := range s.Items {
		reach := strconv.Itoa(len(e.Reach))
		if !e.ReachKnown {
			reach = "not known"
		}
		row := []string{string(e.Credential), string(e.Kind), e.Method, e.Name, e.Standing, e.Environment, string(e.Organization.ID), e.Organization.Name, string(e.Application.ID), e.Application.Name,
			string(e.Owner.ID), e.Owner.Name, e.Purpose, when(e.Created), when(e.LastUse), e.LastGateway, strconv.FormatInt(e.Calls, 10), reach, when(e.End)}
		findings := e.Findings
		if len(findings) == 0 {
			findings = []inventory.Finding{{}}
		}
		for _, f := range findings {
			line := append(row[:len(row):len(row)], f.ID, f.Risk, string(f.Severity), f.Text, f.Mend.Text, f.Mend.Command)
			for i := range line {
				line[i] = cell(line[i])
			}
			_ = w.Write(line)
		}
	}
	w.Flush()
	return w.Error()
}

// cell keeps what a partner wrote from being taken for a formula by the program that opens the file.
func cell(s string) string {
	if s = clean(s); s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}
