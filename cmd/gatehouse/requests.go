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
		"sort", string(r.Sort), "of grant", string(r.Of), "asked", when(r.Created) + " (" + span(r.Created, now) + ") by " + string(r.By), "state", string(r.State), "grant", string(r.Grant)}
	for i, s := range r.Stages {
		kv = append(kv, fmt.Sprintf("stage %d", i+1), fmt.Sprintf("%s: %d of role %s", s.Name, max(s.Count, 1), s.Role))
	}
	for _, q := range r.Questions {
		kv = append(kv, "question", when(q.At)+" "+string(q.By)+" "+q.Text, "answer", q.Answer)
	}
	if d := r.Deadline(); !d.IsZero() {
		kv = append(kv, "waits until", when(d)+" ("+span(d, now)+")")
	}
	for _, d := range r.Decisions {
		word := "refused"
		if d.Approve {
			word = "approved until " + when(d.Until) + " for " + strings.Join(d.Scopes, " ")
		}
		if d.Plan != "" {
			word += " on the plan " + d.Plan
		}
		if d.For != "" {
			word += " in the place of " + string(d.For)
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
	return group("request", "Access requests: list, create, renew, approve, refuse, ask, answer, withdraw", "",
		listing(c, "list", "List requests", "  gatehouse request list --state open", path, []string{"organization", "application", "environment", "state"},
			[]string{"REQUEST", "APPLICATION", "ENVIRONMENT", "PRODUCT", "PLAN", "STATE", "ASKED"}, func(r request, now time.Time) []string {
				return []string{string(r.ID), string(r.Application), r.Environment, r.Product, r.Plan, string(r.State), span(r.Created, now)}
			}),
		show(c, "request", path, requestPairs),
		c.createRequest(path), c.renew(path), c.approve(path), c.refuse(path),
		c.say(path, "ask", "questions", "Ask whoever asks for access"), c.say(path, "answer", "answers", "Answer the question that waits"),
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
		Emergency   bool     `json:"emergency,omitempty"`
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
	f.BoolVar(&n.Emergency, "emergency", false, "short and at once: two people approve, and everybody concerned is told")
	return cmd
}

func (c *cli) renew(path string) *cobra.Command {
	var n struct {
		Of       string   `json:"of"`
		Plan     string   `json:"plan,omitempty"`
		Scopes   []string `json:"scopes,omitempty"`
		Purpose  string   `json:"purpose,omitempty"`
		Duration string   `json:"duration,omitempty"`
	}
	cmd := &cobra.Command{Use: "renew GRANT", Short: "Ask for a later end of a grant, or for more", Args: exactly("GRANT"),
		Long: "Asks for a later end of a grant. With scopes or a plan that it does not have, it asks to grow the grant. The grant keeps\nits identifier, and credentials that are bound to it go on.",
		Example: `  gatehouse request renew gr_… --duration 90d
  gatehouse request renew gr_… --scope verifications:read --scope verifications:write --purpose "start them too"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Of = args[0]
			return ask(cmd.Context(), c, http.MethodPost, path, n, requestPairs)
		}}
	f := cmd.Flags()
	f.StringVar(&n.Plan, "plan", "", "another plan; default: the grant's")
	f.StringSliceVar(&n.Scopes, "scope", nil, "may be given several times; default: the grant's")
	f.StringVar(&n.Purpose, "purpose", "", "what for; default: the grant's")
	f.StringVar(&n.Duration, "duration", "", "for how long from now, such as 90d; default: the longest of the plan")
	return cmd
}

// say makes a command that puts a text to a request.
func (c *cli) say(path, verb, list, short string) *cobra.Command {
	var text string
	cmd := &cobra.Command{Use: verb + " ID", Short: short, Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(text) == "" {
			return usage("say it with --text")
		}
		return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/"+list, map[string]string{"text": text}, requestPairs)
	}}
	cmd.Flags().StringVar(&text, "text", "", "in a few sentences")
	return cmd
}

func absencePairs(a grant.Absence, now time.Time) []string {
	return []string{"absence", string(a.ID), "of", string(a.Person), "stand-in", string(a.StandIn), "from", when(a.From),
		"until", when(a.Until) + " (" + span(a.Until, now) + ")", "called off", when(a.Ended)}
}

// absences is who decides in whose place.
func (c *cli) absences() *cobra.Command {
	const path = "/api/absences"
	n := struct {
		StandIn string `json:"stand_in"`
		From    string `json:"from,omitempty"`
		Until   string `json:"until"`
	}{}
	set := &cobra.Command{Use: "set", Short: "Name somebody who decides in your place for a time", Args: noArgs,
		Example: "  gatehouse absence set --stand-in per_… --until 2027-07-15",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, at := range []*string{&n.From, &n.Until} {
				if *at == "" && at == &n.From {
					continue
				}
				t, err := parseTime(*at)
				if err != nil {
					return usage("%v", err)
				}
				*at = t.Format(time.RFC3339Nano)
			}
			return ask(cmd.Context(), c, http.MethodPost, path, n, absencePairs)
		}}
	set.Flags().StringVar(&n.StandIn, "stand-in", "", "who decides")
	set.Flags().StringVar(&n.From, "from", "", "from when on; default: now")
	set.Flags().StringVar(&n.Until, "until", "", "until when: 2027-07-15 (midnight UTC) or 2027-07-15T12:00:00Z")
	return group("absence", "Who decides on requests in whose place: list, set, end", "", set,
		listing(c, "list", "List absences that are not over", "", path, nil, []string{"ABSENCE", "OF", "STAND-IN", "FROM", "UNTIL"},
			func(a grant.Absence, _ time.Time) []string {
				return []string{string(a.ID), string(a.Person), string(a.StandIn), when(a.From), when(a.Until)}
			}),
		&cobra.Command{Use: "end ID", Short: "Call an absence off", Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/end", map[string]string{}, absencePairs)
		}})
}

// decision is the body of an approver's answer.
type decision struct {
	Approve bool     `json:"approve"`
	Scopes  []string `json:"scopes,omitempty"`
	Plan    string   `json:"plan,omitempty"`
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
	cmd.Flags().StringVar(&d.Plan, "plan", "", "only this plan, which allows less")
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
