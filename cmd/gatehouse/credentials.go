package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/credential"
)

func credentialPairs(k credential.Credential, now time.Time) []string {
	bound := "all grants of the application there"
	if len(k.Grants) > 0 {
		ids := make([]string, 0, len(k.Grants))
		for _, g := range k.Grants {
			ids = append(ids, string(g))
		}
		bound = strings.Join(ids, " ")
	}
	state := k.Standing(now)
	if !k.RetireAt.IsZero() {
		state += ", retires " + when(k.RetireAt)
	}
	var workload string
	if w := k.Workload; w != nil {
		workload = w.Subject + " of " + w.Issuer + " for " + w.Audience
		for _, c := range w.Claims {
			workload += ", " + c.Name + "=" + c.Value
		}
	}
	return []string{"credential", string(k.ID), "name", k.Name, "kind", string(k.Kind), "looks like", k.Hint(), "workload", workload, "application", string(k.Application),
		"environment", k.Environment, "for", bound, "from", strings.Join(k.Sources, " "), "replaces", string(k.Replaces), "state", state, "reason", k.Reason, "created", when(k.Created),
		"expires", when(k.Expires) + " (" + span(k.Expires, now) + ")", "revoked", when(k.Revoked)}
}

func (c *cli) credentials() *cobra.Command {
	const path = "/api/credentials"
	var n struct {
		Application string   `json:"application"`
		Environment string   `json:"environment"`
		Name        string   `json:"name"`
		Lifetime    string   `json:"lifetime,omitempty"`
		Grants      []string `json:"grants,omitempty"`
		Sources     []string `json:"sources,omitempty"`
		Pending     bool     `json:"pending,omitempty"`
	}
	issue := &cobra.Command{Use: "issue", Short: "Issue an API key; it is printed once and never again", Args: noArgs,
		Example: `  gatehouse credential issue --application app_… --env test --name "build server" --lifetime 30d`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out struct {
				Credential credential.Credential `json:"credential"`
				Key        string                `json:"key"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, path, n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				p.pairs(credentialPairs(out.Credential, time.Now())...)
				p.line("\n  %s\n\nThis is the key. Keep it now: it is not stored and cannot be shown again.", out.Key)
			})
		}}
	f := issue.Flags()
	f.StringVar(&n.Application, "application", "", "whose key it is")
	environmentFlag(issue, &n.Environment, "where it is valid")
	f.StringVar(&n.Name, "name", "", "to know it again")
	f.StringVar(&n.Lifetime, "lifetime", "", "such as 30d or 12h; default: the longest that the plan allows")
	f.StringSliceVar(&n.Grants, "grant", nil, "bind it to this grant; may be given several times")
	f.StringSliceVar(&n.Sources, "source", nil, "only from this network, such as 203.0.113.0/24; may be given several times")
	f.BoolVar(&n.Pending, "pending", false, "refuse it until it is activated")
	revoke := deed(c, "revoke", "End it at once, and watch that come into force", path, "reason", true, credentialPairs)
	run := revoke.RunE
	revoke.RunE = func(cmd *cobra.Command, args []string) error {
		if err := run(cmd, args); err != nil || c.format == "json" {
			return err
		}
		return c.watch(cmd.Context(), args[0])
	}
	return group("credential", "Credentials: list, issue, rotate, suspend, revoke", "", issue, revoke, c.rotate(path), c.changeCredential(path), c.found(), c.registerClient(), c.enrol(), c.bindWorkload(),
		deed(c, "suspend", "Stop it until it is resumed", path, "reason", true, credentialPairs),
		deed(c, "resume", "End a suspension", path, "reason", true, credentialPairs),
		&cobra.Command{Use: "activate ID", Short: "Begin the use of a pending one", Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPost, path+"/"+url.PathEscape(args[0])+"/activate", nil, credentialPairs)
		}},
		c.uses(path),
		listing(c, "list", "List credentials", "  gatehouse credential list --dormant 90d", path, []string{"organization", "application", "dormant"},
			[]string{"CREDENTIAL", "NAME", "LOOKS LIKE", "ENVIRONMENT", "STATE", "EXPIRES"}, func(k credential.Credential, now time.Time) []string {
				return []string{string(k.ID), k.Name, k.Hint(), k.Environment, k.Standing(now), when(k.End())}
			}),
		show(c, "credential", path, credentialPairs))
}

// rotate replaces a key.
func (c *cli) rotate(path string) *cobra.Command {
	var n struct {
		Name     string `json:"name,omitempty"`
		Overlap  string `json:"overlap,omitempty"`
		Lifetime string `json:"lifetime,omitempty"`
	}
	cmd := &cobra.Command{Use: "rotate ID", Short: "Replace an API key or a client's secret; the new one is printed once and never again", Args: exactly("ID"),
		Example: "  gatehouse credential rotate crd_… --overlap 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			var out struct {
				Credential credential.Credential `json:"credential"`
				Replaced   credential.Credential `json:"replaced"`
				Key        string                `json:"key"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, path+"/"+url.PathEscape(args[0])+"/rotate", n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				p.pairs(credentialPairs(out.Credential, time.Now())...)
				until, what := out.Replaced.End(), "The old one, "+string(out.Replaced.ID)+","
				if out.Replaced.ID == out.Credential.ID { // the client stays, its secret is another one
					if until, what = out.Credential.EarlierUntil, "The earlier one"; until.IsZero() {
						p.line("\n  %s\n\nThis is the secret. Keep it now: it is not stored and cannot be shown again.\nThe earlier one is not valid any more.", out.Key)
						return
					}
				}
				p.line("\n  %s\n\nThis is the new one. Keep it now: it is not stored and cannot be shown again.\n%s is valid until %s.", out.Key, what, when(until))
			})
		}}
	f := cmd.Flags()
	f.StringVar(&n.Overlap, "overlap", "24h", "for how long both are valid, up to 90d; \"\" ends the old one at once")
	f.StringVar(&n.Name, "name", "", "of the new one; default: that of the old one")
	f.StringVar(&n.Lifetime, "lifetime", "", "of the new one, such as 30d; default: the longest that the plan allows")
	return cmd
}

// changeCredential changes name and sources.
func (c *cli) changeCredential(path string) *cobra.Command {
	var name string
	var sources []string
	var anywhere bool
	cmd := &cobra.Command{Use: "change ID", Short: "Change its name, or from where it may be used", Args: exactly("ID"),
		Example: "  gatehouse credential change crd_… --source 203.0.113.0/24",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{}
			if name != "" {
				body["name"] = name
			}
			if anywhere {
				sources = []string{}
			}
			if anywhere || len(sources) > 0 {
				body["sources"] = sources
			}
			if len(body) == 0 {
				return usage("say what to change: --name, --source or --anywhere")
			}
			return ask(cmd.Context(), c, http.MethodPatch, path+"/"+url.PathEscape(args[0]), body, credentialPairs)
		}}
	cmd.Flags().StringVar(&name, "name", "", "its new name")
	cmd.Flags().StringSliceVar(&sources, "source", nil, "only from this network; may be given several times")
	cmd.Flags().BoolVar(&anywhere, "anywhere", false, "from any address")
	return cmd
}

// uses tells how a credential was used.
func (c *cli) uses(path string) *cobra.Command {
	return &cobra.Command{Use: "uses ID", Short: "Tell how it was used, by grant and operation", Args: exactly("ID"), RunE: func(cmd *cobra.Command, args []string) error {
		var out struct {
			Items []credential.Use `json:"items"`
		}
		if err := c.call(cmd.Context(), http.MethodGet, path+"/"+url.PathEscape(args[0])+"/uses", nil, &out); err != nil {
			return err
		}
		return c.print(out, func(p *printer) {
			if len(out.Items) == 0 {
				p.line("never used")
				return
			}
			var rows [][]string
			for _, u := range out.Items {
				rows = append(rows, []string{u.API, u.Operation, string(u.Grant), strconv.FormatInt(u.Count, 10), when(u.Last), u.Gateway, u.Address})
			}
			p.table([]string{"API", "OPERATION", "GRANT", "CALLS", "LAST", "GATEWAY", "FROM"}, rows)
		})
	}}
}

// found reports a key that was found. It reads it from standard input, so that it does not stand in the shell's history.
func (c *cli) found() *cobra.Command {
	var n struct {
		Found  string `json:"found"`
		Where  string `json:"where,omitempty"`
		Revoke bool   `json:"revoke,omitempty"`
	}
	cmd := &cobra.Command{Use: "found", Short: "Report a key that you found, read from standard input: its owner is told", Args: noArgs,
		Example: "  gatehouse credential found --where 'a public repository' --revoke < found.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 64<<10))
			if err != nil {
				return fmt.Errorf("the key cannot be read: %w", err)
			}
			n.Found = string(b)
			var out struct {
				Message string `json:"message"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/leaks", n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) { p.line("%s", out.Message) })
		}}
	cmd.Flags().StringVar(&n.Where, "where", "", "where it was found")
	cmd.Flags().BoolVar(&n.Revoke, "revoke", false, "end it at once")
	return cmd
}
