package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/grant"
)

// request is an access request as the admin API shows it.
type request struct {
	grant.Request
	Duration string `json:"duration"`
}

func requestPairs(r request, now time.Time) []string {
	kv := []string{"request", string(r.ID), "application", string(r.Application), "organization", string(r.Organization), "environment", r.Environment,
		"product", r.Product, "plan", r.Plan, "scopes", strings.Join(r.Scopes, " "), "purpose", r.Purpose, "duration", r.Duration,
		"asked", when(r.Created) + " (" + span(r.Created, now) + ") by " + string(r.By), "state", string(r.State), "grant", string(r.Grant)}
	for i, s := range r.Stages {
		kv = append(kv, fmt.Sprintf("stage %d", i+1), fmt.Sprintf("%s: %d of role %s", s.Name, max(s.Count, 1), s.Role))
	}
	for _, d := range r.Decisions {
		word := "refused"
		if d.Approve {
			word = "approved until " + when(d.Until) + " for " + strings.Join(d.Scopes, " ")
		}
		if d.Reason != "" {
			word += ": " + d.Reason
		}
		kv = append(kv, "decision", when(d.At)+" "+string(d.By)+" "+word)
	}
	return kv
}

func (c *cli) requests() *cobra.Command {
	const path = "/api/requests"
	return group("request", "Access requests: list, create, approve, refuse, withdraw", "",
		listing(c, "list", "List requests", "  gatehouse request list --state open", path, []string{"organization", "application", "environment", "state"},
			[]string{"REQUEST", "APPLICATION", "ENVIRONMENT", "PRODUCT", "PLAN", "STATE", "ASKED"}, func(r request, now time.Time) []string {
				return []string{string(r.ID), string(r.Application), r.Environment, r.Product, r.Plan, string(r.State), span(r.Created, now)}
			}),
		show(c, "request", path, requestPairs),
		c.createRequest(path), c.approve(path), c.refuse(path),
		&cobra.Command{Use: "withdraw ID", Short: "Take an open request back", Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/withdraw", map[string]string{}, requestPairs)
		}})
}

func (c *cli) createRequest(path string) *cobra.Command {
	var n struct {
		Application string   `json:"application"`
		Environment string   `json:"environment"`
		Product     string   `json:"product"`
		Plan        string   `json:"plan"`
		Scopes      []string `json:"scopes,omitempty"`
		Purpose     string   `json:"purpose"`
		Duration    string   `json:"duration,omitempty"`
	}
	cmd := &cobra.Command{Use: "create", Short: "Ask for access", Args: noArgs,
		Example: `  gatehouse request create --application app_… --env test --product verification --plan standard \
    --scope verifications:read --purpose "Try the integration out" --duration 30d`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd.Context(), c, http.MethodPost, path, n, requestPairs)
		}}
	f := cmd.Flags()
	f.StringVar(&n.Application, "application", "", "which application")
	environmentFlag(cmd, &n.Environment, "where")
	f.StringVar(&n.Product, "product", "", "what")
	f.StringVar(&n.Plan, "plan", "", "on which terms")
	f.StringSliceVar(&n.Scopes, "scope", nil, "may be given several times; default: all of the product's")
	f.StringVar(&n.Purpose, "purpose", "", "what for: it becomes part of the grant")
	f.StringVar(&n.Duration, "duration", "", "for how long, such as 90d; default: the longest of the plan")
	return cmd
}

// decision is the body of an approver's answer.
type decision struct {
	Approve bool     `json:"approve"`
	Scopes  []string `json:"scopes,omitempty"`
	Until   string   `json:"until,omitempty"`
	Reason  string   `json:"reason,omitempty"`
}

func (c *cli) approve(path string) *cobra.Command {
	var d decision
	cmd := &cobra.Command{Use: "approve ID", Short: "Approve a request, perhaps for less than was asked", Args: exactly("ID"),
		Example: `  gatehouse request approve req_…
  gatehouse request approve req_… --scope verifications:read --until 2027-01-31`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Approve = true
			if d.Until != "" {
				t, err := parseTime(d.Until)
				if err != nil {
					return usage("--until: %v", err)
				}
				d.Until = t.Format(time.RFC3339Nano)
			}
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/decisions", d, requestPairs)
		}}
	cmd.Flags().StringSliceVar(&d.Scopes, "scope", nil, "only this scope; may be given several times")
	cmd.Flags().StringVar(&d.Until, "until", "", "an earlier end: 2027-01-31 (midnight UTC) or 2027-01-31T12:00:00Z")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "a word to the partner")
	return cmd
}

func (c *cli) refuse(path string) *cobra.Command {
	var d decision
	cmd := &cobra.Command{Use: "refuse ID", Short: "Refuse a request", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(d.Reason) == "" {
				return usage("say why with --reason: the partner sees it")
			}
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/decisions", d, requestPairs)
		}}
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why; the partner sees it")
	return cmd
}

// parseTime reads a day or an instant.
func parseTime(s string) (time.Time, error) {
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2027-01-31 or 2027-01-31T12:00:00Z", s)
}
