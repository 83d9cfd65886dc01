package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/review"
)

const reviewItems = "/api/review-items"

// campaign is a review as the admin API shows it.
type campaign struct {
	review.Review
	Standing string                   `json:"standing"`
	Counts   map[review.ItemState]int `json:"counts"`
}

func campaignPairs(r campaign, now time.Time) []string {
	s := r.Selection
	kv := []string{"review", string(r.ID), "name", r.Name, "stands", first(r.Standing, string(r.State)), "asks", string(r.Reviewers),
		"of API", s.API, "of product", s.Product, "of organization", string(s.Organization), "in", s.Environment,
		"older than", seconds(s.OlderThan), "dormant for", seconds(s.Dormant), "ending before", when(s.Expiring),
		"started", when(r.Created) + " by " + string(r.By), "ends", when(r.Ends) + " (" + span(r.Ends, now) + ")", "reason", r.Reason, "grants", fmt.Sprint(r.Items)}
	for _, state := range review.ItemStates() {
		if n := r.Counts[state]; n > 0 {
			kv = append(kv, "  "+string(state), fmt.Sprint(n))
		}
	}
	return kv
}

func seconds(n int64) string {
	if n == 0 {
		return ""
	}
	return (time.Duration(n) * time.Second).String()
}

// question is the question about one grant.
type question struct {
	review.Item
	Answers []review.Answer `json:"answers"`
	Now     *review.Facts   `json:"now"`
}

func questionPairs(q question, now time.Time) []string {
	f := q.Facts
	if q.Now != nil && q.State == review.Waiting {
		f = *q.Now
	}
	used := strings.Join(f.Used, " ")
	if !f.UsedKnown {
		used += " (not all is known)"
	}
	kv := []string{"question", string(q.ID), "review", string(q.Review) + " " + q.Name, "grant", string(q.Grant), "application", string(q.Application), "organization", string(q.Organization),
		"environment", q.Environment, "product", q.Product, "state", string(q.State), "by", string(q.By), "in the place of", string(q.For), "at", when(q.At), "reason", q.Reason,
		"ends", when(q.Ends) + " (" + span(q.Ends, now) + ")", "asked", words(q.Reviewers), "since", when(f.From), "until", when(f.Until), "calls", fmt.Sprint(f.Calls), "last call", when(f.Last),
		"scopes", strings.Join(f.Scopes, " "), "used", used, "operations", strings.Join(f.Operations, " "), "credentials", words(f.Credentials),
		"asked for by", string(f.RequestedBy), "approved by", words(f.ApprovedBy), "renewal waits", string(f.Renewal)}
	if q.Answers != nil {
		kv = append(kv, "you can", words(q.Answers))
	}
	return kv
}

func (c *cli) reviews() *cobra.Command {
	const path = "/api/reviews"
	return group("review", "Reviews: start, list, questions, confirm, narrow, end, cancel",
		"A review asks, grant by grant, whether access is still needed. What nobody answers until its end is ended.\nOnce it is closed, 'gatehouse audit evidence REVIEW' exports the report.",
		c.startReview(path),
		listing(c, "list", "List reviews", "  gatehouse review list --state open", path, []string{"state"},
			[]string{"REVIEW", "NAME", "STATE", "GRANTS", "ENDS"}, func(r campaign, now time.Time) []string {
				return []string{string(r.ID), r.Name, r.Review.Standing(now), fmt.Sprint(r.Items), span(r.Ends, now)}
			}),
		show(c, "review", path, campaignPairs),
		deed(c, "cancel", "Cancel it: what nobody has answered stays as it is", path, "reason", true, campaignPairs),
		listing(c, "questions", "List the questions about grants", "  gatehouse review questions --mine true", reviewItems, []string{"review", "organization", "state", "mine"},
			[]string{"QUESTION", "GRANT", "PRODUCT", "ENVIRONMENT", "STATE", "CALLS", "LAST CALL", "ENDS"}, func(q question, now time.Time) []string {
				last := "never"
				if !q.Facts.Last.IsZero() {
					last = span(q.Facts.Last, now)
				}
				return []string{string(q.ID), string(q.Grant), q.Product, q.Environment, string(q.State), fmt.Sprint(q.Facts.Calls), last, span(q.Ends, now)}
			}),
		&cobra.Command{Use: "question ID", Short: "Show the question about one grant, with how it was used", Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodGet, reviewItems+"/"+url.PathEscape(args[0]), nil, questionPairs)
		}},
		c.answerReview(review.Confirm, "Say that the grant is still needed as it is"),
		c.answerReview(review.Narrow, "Make the grant smaller: fewer scopes, an earlier end"),
		c.answerReview(review.End, "End the grant for good"))
}

func (c *cli) startReview(path string) *cobra.Command {
	var n struct {
		Name         string `json:"name"`
		Ends         string `json:"ends"`
		Reviewers    string `json:"reviewers,omitempty"`
		API          string `json:"api,omitempty"`
		Product      string `json:"product,omitempty"`
		Organization string `json:"organization,omitempty"`
		Environment  string `json:"environment,omitempty"`
		OlderThan    string `json:"older_than,omitempty"`
		Dormant      string `json:"dormant,omitempty"`
		Expiring     string `json:"expiring,omitempty"`
		DryRun       bool   `json:"dry_run,omitempty"`
	}
	cmd := &cobra.Command{Use: "start", Short: "Ask whether grants are still needed", Args: noArgs,
		Example: `  gatehouse review start --name "Autumn 2027" --ends 2027-11-30 --env live --dormant 90d --dry-run
  gatehouse review start --name "Autumn 2027" --ends 2027-11-30 --api verification`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n.Ends == "" {
				return usage("say with --ends until when answers count: what nobody has answered then is ended")
			}
			for _, t := range []struct {
				flag string
				at   *string
			}{{"--ends", &n.Ends}, {"--expiring", &n.Expiring}} {
				if *t.at == "" {
					continue
				}
				at, err := parseTime(*t.at)
				if err != nil {
					return usage("%s: %v", t.flag, err)
				}
				*t.at = at.Format(time.RFC3339Nano)
			}
			if n.DryRun {
				var raw json.RawMessage
				if err := c.call(cmd.Context(), http.MethodPost, path, n, &raw); err != nil {
					return err
				}
				var r campaign
				if err := json.Unmarshal(raw, &r); err != nil {
					return fmt.Errorf("the answer is not what this version understands: %w", err)
				}
				return c.print(raw, func(p *printer) { p.line("it would ask about %d grants; nothing was started", r.Items) })
			}
			return ask(cmd.Context(), c, http.MethodPost, path, n, campaignPairs)
		}}
	f := cmd.Flags()
	f.StringVar(&n.Name, "name", "", "what it is called: it stands in letters")
	f.StringVar(&n.Ends, "ends", "", "until when: 2027-11-30 (midnight UTC) or 2027-11-30T12:00:00Z")
	f.StringVar(&n.Reviewers, "reviewers", "", "who is asked: both (default), owners, api-owner")
	f.StringVar(&n.API, "api", "", "only grants of products that reach this API")
	f.StringVar(&n.Product, "product", "", "only grants of this product")
	f.StringVar(&n.Organization, "organization", "", "only grants of this organization")
	environmentFlag(cmd, &n.Environment, "only grants there")
	f.StringVar(&n.OlderThan, "older-than", "", "only those that began or were confirmed so long ago, such as 180d")
	f.StringVar(&n.Dormant, "dormant", "", "only those that were not used for so long, such as 90d")
	f.StringVar(&n.Expiring, "expiring", "", "only those that end before this time")
	f.BoolVar(&n.DryRun, "dry-run", false, "start nothing: say how many grants would be asked about")
	return cmd
}

// answerReview makes the command of one answer.
func (c *cli) answerReview(a review.Answer, short string) *cobra.Command {
	var n struct {
		Answer review.Answer `json:"answer"`
		Scopes []string      `json:"scopes,omitempty"`
		Until  string        `json:"until,omitempty"`
		Reason string        `json:"reason,omitempty"`
	}
	n.Answer = a
	cmd := &cobra.Command{Use: string(a) + " QUESTION", Short: short, Args: exactly("QUESTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a != review.Confirm && strings.TrimSpace(n.Reason) == "" {
				return usage("say why with --reason: it stands in the audit")
			}
			if n.Until != "" {
				t, err := parseTime(n.Until)
				if err != nil {
					return usage("--until: %v", err)
				}
				n.Until = t.Format(time.RFC3339Nano)
			}
			return ask(cmd.Context(), c, http.MethodPost, reviewItems+"/"+url.PathEscape(args[0])+"/answer", n, questionPairs)
		}}
	cmd.Flags().StringVar(&n.Reason, "reason", "", "why; the partner sees it")
	if a == review.Narrow {
		cmd.Flags().StringSliceVar(&n.Scopes, "scope", nil, "a scope that stays; may be given several times; default: all")
		cmd.Flags().StringVar(&n.Until, "until", "", "an earlier end: 2027-01-31 (midnight UTC) or 2027-01-31T12:00:00Z")
	}
	return cmd
}
