package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/application"
	"gatehouse/grant"
	"gatehouse/organization"
)

// listing makes a list command: where the objects are, which flags select, and how one is a row.
func listing[T any](c *cli, use, short, example, path string, selectors []string, head []string, row func(T, time.Time) []string) *cobra.Command {
	limit := 100
	values := map[string]*string{}
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if limit < 0 {
			return usage("--limit is a number of rows, or 0 for all")
		}
		q := url.Values{}
		for name, v := range values {
			if *v != "" {
				q.Set(name, *v)
			}
		}
		items, more, err := all[T](cmd.Context(), c, path, q, limit)
		if err != nil {
			return err
		}
		return c.print(map[string]any{"items": items, "more": more}, func(p *printer) {
			if len(items) == 0 {
				p.line("none")
				return
			}
			now, rows := time.Now(), make([][]string, 0, len(items))
			for _, i := range items {
				rows = append(rows, row(i, now))
			}
			p.table(head, rows)
			if more {
				p.line("… and more: --limit 0 lists all")
			}
		})
	}}
	cmd.Flags().IntVar(&limit, "limit", limit, "at most so many; 0 lists all")
	for _, s := range selectors {
		values[s] = new(string)
		if s == "environment" {
			environmentFlag(cmd, values[s], "only of this environment")
			continue
		}
		cmd.Flags().StringVar(values[s], s, "", "only of this "+s)
	}
	return cmd
}

// show makes a command that prints one object.
func show[T any](c *cli, noun, path string, pairs func(T, time.Time) []string) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show one " + noun, Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
		return ask(cmd.Context(), c, http.MethodGet, path+"/"+url.PathEscape(args[0]), nil, pairs)
	}}
}

// ask calls the admin API and prints the object that it answers with: the JSON as it is, or its pairs.
func ask[T any](ctx context.Context, c *cli, method, path string, in any, pairs func(T, time.Time) []string) error {
	var raw json.RawMessage
	if err := c.call(ctx, method, path, in, &raw); err != nil {
		return err
	}
	return printObject(c, raw, pairs)
}

func printObject[T any](c *cli, raw json.RawMessage, pairs func(T, time.Time) []string) error {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("the answer is not what this version understands: %w", err)
	}
	return c.print(raw, func(p *printer) { p.pairs(pairs(v, time.Now())...) })
}

// deed makes a command that changes the state of one object, with a reason.
func deed[T any](c *cli, verb, short, path, field string, must bool, pairs func(T, time.Time) []string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: verb + " ID", Short: short, Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
		if must && strings.TrimSpace(reason) == "" {
			return usage("say why with --%s: it stands in the audit", field)
		}
		return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/"+verb, map[string]string{field: reason}, pairs)
	}}
	cmd.Flags().StringVar(&reason, field, "", "why; it stands in the audit")
	return cmd
}

func organizationPairs(o organization.Organization, _ time.Time) []string {
	return []string{"organization", string(o.ID), "name", o.Name, "state", string(o.State), "reason", o.Reason, "region", o.Region, "website", o.Website,
		"country", o.Country, "register", o.Register, "created", when(o.Created), "verified", when(o.Verified), "by", string(o.VerifiedBy)}
}

func (c *cli) organizations() *cobra.Command {
	const path = "/api/organizations"
	return group("organization", "Partners: list, verify, suspend, resume, pin to a region, offboard", "",
		listing(c, "list", "List organizations", "  gatehouse organization list --state registered", path, []string{"state", "search"},
			[]string{"ORGANIZATION", "NAME", "STATE", "CREATED"}, func(o organization.Organization, _ time.Time) []string {
				return []string{string(o.ID), o.Name, string(o.State), when(o.Created)}
			}),
		show(c, "organization", path, organizationPairs),
		deed(c, "verify", "Say that you have checked who it is", path, "note", false, organizationPairs),
		deed(c, "suspend", "Stop everything it has, at every gateway", path, "reason", true, organizationPairs),
		deed(c, "resume", "End a suspension", path, "reason", true, organizationPairs),
		deed(c, "offboard", "End the trust for good: applications, requests, grants, credentials", path, "reason", true, organizationPairs),
		c.pin(path), c.offboarding(path))
}

// pin says in which region an organization's grants and credentials are.
func (c *cli) pin(path string) *cobra.Command {
	var n struct {
		Region string `json:"region,omitempty"`
		Reason string `json:"reason"`
	}
	var everywhere bool
	cmd := &cobra.Command{Use: "pin ID", Short: "Say in which region its grants and credentials are", Args: exactly("ID"),
		Long: `Gateways of that region alone are told of its grants and credentials. Those of other regions are told in the same moment that all of
them are over. It is for an operator or admin who is signed in ('gatehouse login', or GATEHOUSE_TOKEN): the owner of the data directory alone
may not do it, since the audit is to name a person.`,
		Example: `  gatehouse organization pin org_… --region eu --reason "its contract names the EU"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (n.Region == "") != everywhere {
				return usage("say where it is: --region REGION, or --everywhere")
			}
			if strings.TrimSpace(n.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/pin", n, organizationPairs)
		}}
	cmd.Flags().StringVar(&n.Region, "region", "", "the region")
	cmd.Flags().BoolVar(&everywhere, "everywhere", false, "in none: every gateway may know them")
	cmd.Flags().StringVar(&n.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}

func applicationPairs(a application.Application, _ time.Time) []string {
	return []string{"application", string(a.ID), "name", a.Name, "purpose", a.Purpose, "organization", string(a.Organization), "owner", string(a.Owner),
		"state", string(a.State), "reason", a.Reason, "created", when(a.Created), "closed", when(a.Closed)}
}

func (c *cli) applications() *cobra.Command {
	const path = "/api/applications"
	var n struct {
		Organization string `json:"organization,omitempty"`
		Name         string `json:"name"`
		Purpose      string `json:"purpose"`
		Owner        string `json:"owner,omitempty"`
	}
	create := &cobra.Command{Use: "create", Short: "Create an application", Args: noArgs,
		Example: `  gatehouse application create --name "Web shop" --purpose "Verify buyers of age-restricted goods"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd.Context(), c, http.MethodPost, path, n, applicationPairs)
		}}
	f := create.Flags()
	f.StringVar(&n.Name, "name", "", "its name")
	f.StringVar(&n.Purpose, "purpose", "", "what it is for")
	f.StringVar(&n.Owner, "owner", "", "the member who answers for it; default: you")
	f.StringVar(&n.Organization, "organization", "", "whose it is, when staff create it")
	return group("application", "Applications: list, create, change, close", "", create, c.changeApplication(path),
		listing(c, "list", "List applications", "", path, []string{"organization"},
			[]string{"APPLICATION", "NAME", "STATE", "ORGANIZATION", "CREATED"}, func(a application.Application, _ time.Time) []string {
				return []string{string(a.ID), a.Name, string(a.State), string(a.Organization), when(a.Created)}
			}),
		show(c, "application", path, applicationPairs),
		deed(c, "close", "End it with its grants and credentials, for good", path, "reason", true, applicationPairs))
}

// changeApplication changes what an application is called, what it is for and who answers for it.
func (c *cli) changeApplication(path string) *cobra.Command {
	var n struct {
		Name    *string `json:"name,omitempty"`
		Purpose *string `json:"purpose,omitempty"`
		Owner   *string `json:"owner,omitempty"`
	}
	cmd := &cobra.Command{Use: "change ID", Short: "Change its name, its purpose, or who answers for it", Args: exactly("ID"),
		Example: "  gatehouse application change app_… --owner per_…"}
	name, purpose, owner := cmd.Flags().String("name", "", "its name"), cmd.Flags().String("purpose", "", "what it is for"), cmd.Flags().String("owner", "", "the member who answers for it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, f := range []struct {
			flag string
			from *string
			into **string
		}{{"name", name, &n.Name}, {"purpose", purpose, &n.Purpose}, {"owner", owner, &n.Owner}} {
			if cmd.Flags().Changed(f.flag) {
				*f.into = f.from
			}
		}
		if n.Name == nil && n.Purpose == nil && n.Owner == nil {
			return usage("say what to change: --name, --purpose or --owner")
		}
		return ask(cmd.Context(), c, http.MethodPatch, path+"/"+url.PathEscape(args[0]), n, applicationPairs)
	}
	return cmd
}

func grantPairs(g grant.Grant, now time.Time) []string {
	by := make([]string, 0, len(g.ApprovedBy))
	for _, b := range g.ApprovedBy {
		by = append(by, string(b))
	}
	return []string{"grant", string(g.ID), "application", string(g.Application), "organization", string(g.Organization), "environment", g.Environment,
		"product", g.Product, "plan", g.Plan, "scopes", strings.Join(g.Scopes, " "), "purpose", g.Purpose, "approved by", strings.Join(by, " "),
		"from", when(g.From), "until", when(g.Until) + " (" + span(g.Until, now) + ")", "stands", g.Standing(now), "reason", g.Reason, "ended", when(g.Ended)}
}

func (c *cli) grants() *cobra.Command {
	const path = "/api/grants"
	return group("grant", "Grants: list, narrow, suspend, resume, end", "A grant is the right that an approved request results in. Only a new request makes it larger: see gatehouse request renew.",
		listing(c, "list", "List grants", "  gatehouse grant list --env live --state active", path, []string{"organization", "application", "environment", "state"},
			[]string{"GRANT", "APPLICATION", "ENVIRONMENT", "PRODUCT", "PLAN", "STANDS", "UNTIL"}, func(g grant.Grant, now time.Time) []string {
				return []string{string(g.ID), string(g.Application), g.Environment, g.Product, g.Plan, g.Standing(now), when(g.Until)}
			}),
		show(c, "grant", path, grantPairs),
		c.narrow(path),
		deed(c, "suspend", "Stop it until it is resumed", path, "reason", true, grantPairs),
		deed(c, "resume", "End a suspension", path, "reason", true, grantPairs),
		deed(c, "end", "End it for good", path, "reason", true, grantPairs))
}

func (c *cli) narrow(path string) *cobra.Command {
	var n struct {
		Scopes []string `json:"scopes,omitempty"`
		Until  string   `json:"until,omitempty"`
		Reason string   `json:"reason"`
	}
	cmd := &cobra.Command{Use: "narrow ID", Short: "Make it smaller: fewer scopes, an earlier end", Args: exactly("ID"),
		Example: `  gatehouse grant narrow gr_… --scope verifications:read --reason "the integration only reads"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(n.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			if n.Until != "" {
				t, err := parseTime(n.Until)
				if err != nil {
					return usage("--until: %v", err)
				}
				n.Until = t.Format(time.RFC3339Nano)
			}
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/narrow", n, grantPairs)
		}}
	cmd.Flags().StringSliceVar(&n.Scopes, "scope", nil, "a scope that stays; may be given several times; default: all")
	cmd.Flags().StringVar(&n.Until, "until", "", "an earlier end: 2027-01-31 (midnight UTC) or 2027-01-31T12:00:00Z")
	cmd.Flags().StringVar(&n.Reason, "reason", "", "why; it stands in the audit")
	return cmd
}
