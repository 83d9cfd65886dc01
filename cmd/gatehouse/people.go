package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/adminapi"
	"gatehouse/identity"
	"gatehouse/webhook"
)

// members is what owners do about their people.
func (c *cli) members() *cobra.Command {
	var n struct {
		Roles     []string `json:"roles,omitempty"`
		State     string   `json:"state,omitempty"`
		Successor string   `json:"successor,omitempty"`
	}
	change := &cobra.Command{Use: "change PERSON", Short: "Change a member's roles, or end their membership", Args: exactly("PERSON"),
		Example: `  gatehouse member change per_… --role viewer
  gatehouse member change per_… --state disabled --successor per_…`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPatch, "/api/members/"+url.PathEscape(args[0]), n, personPairs)
		}}
	change.Flags().StringSliceVar(&n.Roles, "role", nil, "owner, developer or viewer; may be given several times; all roles from now on")
	change.Flags().StringVar(&n.State, "state", "", "active or disabled")
	change.Flags().StringVar(&n.Successor, "successor", "", "who takes over the applications that they answer for")
	list := &cobra.Command{Use: "list ORGANIZATION", Short: "List an organization's members", Args: exactly("ORGANIZATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			items, _, err := all[identity.Person](cmd.Context(), c, "/api/organizations/"+url.PathEscape(args[0])+"/members", url.Values{}, 0)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"items": items}, func(p *printer) {
				rows := make([][]string, 0, len(items))
				for _, m := range items {
					rows = append(rows, []string{string(m.ID), m.Name, m.Email, words(m.Roles), string(m.State)})
				}
				p.table([]string{"PERSON", "NAME", "E-MAIL", "ROLES", "STATE"}, rows)
			})
		}}
	return group("member", "People of a partner: list, change, end, reset", "", list, change, c.resetFactors(), c.exportPerson(), c.erasePerson())
}

// exportPerson prints what is kept of somebody.
func (c *cli) exportPerson() *cobra.Command {
	return &cobra.Command{Use: "export PERSON", Short: "Print everything that is kept of somebody, as JSON", Args: exactly("PERSON"),
		Long:    "On the host itself, as the owner of the data directory; elsewhere it is downloaded in the portal, in person.",
		Example: "  gatehouse member export per_… > person.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			if err := c.call(cmd.Context(), http.MethodGet, "/api/people/"+url.PathEscape(args[0])+"/data", nil, &raw); err != nil {
				return err
			}
			var b bytes.Buffer
			if err := json.Indent(&b, raw, "", "  "); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.out, b.String())
			return err
		}}
}

// erasePerson takes somebody out for good.
func (c *cli) erasePerson() *cobra.Command {
	var n struct {
		Successor string `json:"successor,omitempty"`
		Reason    string `json:"reason,omitempty"`
	}
	cmd := &cobra.Command{Use: "erase PERSON", Short: "Take everything personal of somebody out, for good", Args: exactly("PERSON"),
		Long: `Name, address, password, sessions, tokens, second factors, and the personal values of the audit that are theirs. The audit verifies as before.
On the host itself, as the owner of the data directory; elsewhere it is done in the portal, in person.`,
		Example: `  gatehouse member erase per_… --successor per_… --reason "asked for it in writing"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPost, "/api/people/"+url.PathEscape(args[0])+"/erasure", n, personPairs)
		}}
	cmd.Flags().StringVar(&n.Successor, "successor", "", "who takes over what they answer for")
	cmd.Flags().StringVar(&n.Reason, "reason", "", "why; it stays in the audit, so name nobody in it")
	return cmd
}

// resetFactors takes a lost second factor away.
func (c *cli) resetFactors() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "reset-second-factor PERSON", Short: "Take a lost second factor away; they are told by a letter", Args: exactly("PERSON"),
		Long: `Takes the authenticator app, the recovery codes and the passkeys of somebody away who has lost them. Their sessions end. On the host
itself, as the owner of the data directory, for anybody; elsewhere it is done in the portal, in person.`,
		Example: `  gatehouse staff reset-second-factor per_… --reason "her phone was stolen; called back on the number we know"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.call(cmd.Context(), http.MethodPost, "/api/people/"+url.PathEscape(args[0])+"/second-factors/reset", map[string]string{"reason": reason}, nil); err != nil {
				return err
			}
			return c.print(map[string]string{"reset": args[0]}, func(p *printer) { p.line("%s has no second factor any more.", args[0]) })
		}}
	cmd.Flags().StringVar(&reason, "reason", "", "why, and how you know that it is them")
	return cmd
}

func invitationPairs(i adminapi.Invitation, _ time.Time) []string {
	return []string{"invitation", string(i.ID), "e-mail", i.Email, "roles", words(i.Roles), "organization", string(i.Organization),
		"state", i.Standing, "expires", when(i.Expires)}
}

func (c *cli) invitations() *cobra.Command {
	const path = "/api/invitations"
	var n struct {
		Organization string   `json:"organization,omitempty"`
		Email        string   `json:"email"`
		Roles        []string `json:"roles"`
	}
	send := &cobra.Command{Use: "send EMAIL", Short: "Invite somebody; they are sent a link that works once", Args: exactly("EMAIL"),
		Example: `  gatehouse invitation send dora@fjord-bank.example --role developer
  gatehouse invitation send asta@platform.example --role approver@api:payments`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if n.Email = args[0]; len(n.Roles) == 0 {
				return usage("say what they may do with --role")
			}
			return ask(cmd.Context(), c, http.MethodPost, path, n, invitationPairs)
		}}
	send.Flags().StringSliceVar(&n.Roles, "role", nil, "may be given several times; none above your own")
	send.Flags().StringVar(&n.Organization, "organization", "", "for the platform: which partner; left out, your own, or the staff")
	withdraw := &cobra.Command{Use: "withdraw ID", Short: "Make the link of an invitation useless", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPost, fmt.Sprintf("%s/%s/withdraw", path, url.PathEscape(args[0])), nil, invitationPairs)
		}}
	return group("invitation", "Invitations: send, list, withdraw", "", send, withdraw,
		listing(c, "list", "List invitations", "", path, []string{"organization"}, []string{"INVITATION", "E-MAIL", "ROLES", "STATE", "EXPIRES"},
			func(i adminapi.Invitation, _ time.Time) []string {
				return []string{string(i.ID), i.Email, words(i.Roles), i.Standing, when(i.Expires)}
			}))
}

func webhookPairs(e webhook.Endpoint, _ time.Time) []string {
	return []string{"webhook", string(e.ID), "url", e.URL, "told of", words(e.Kinds), "state", string(e.State), "reason", e.Reason, "created", when(e.Created)}
}

func (c *cli) webhooks() *cobra.Command {
	const path = "/api/webhooks"
	var n struct {
		Organization string   `json:"organization,omitempty"`
		URL          string   `json:"url"`
		Kinds        []string `json:"kinds,omitempty"`
	}
	add := &cobra.Command{Use: "add URL", Short: "Add a webhook; its secret is printed once", Args: exactly("URL"),
		Example: "  gatehouse webhook add https://example.org/hooks/gatehouse --kind grant --kind credential",
		RunE: func(cmd *cobra.Command, args []string) error {
			n.URL = args[0]
			return ask(cmd.Context(), c, http.MethodPost, path, n, func(f adminapi.FreshWebhook, now time.Time) []string {
				return append(webhookPairs(f.Webhook, now), "secret", f.Secret)
			})
		}}
	add.Flags().StringSliceVar(&n.Kinds, "kind", nil, "what it is told of, such as grant; may be given several times; left out, everything")
	add.Flags().StringVar(&n.Organization, "organization", "", "for the platform: which partner's; left out, your own or the platform's")
	state := &cobra.Command{Use: "set ID STATE", Short: "Pause a webhook, let it go on, or end it: paused, active, ended", Args: exactly("ID", "STATE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPatch, path+"/"+url.PathEscape(args[0]), map[string]string{"state": args[1]}, webhookPairs)
		}}
	return group("webhook", "Webhooks: list, add, set", "", add, state,
		listing(c, "list", "List webhooks", "", path, []string{"organization"}, []string{"WEBHOOK", "URL", "TOLD OF", "STATE"},
			func(e webhook.Endpoint, _ time.Time) []string {
				return []string{string(e.ID), e.URL, words(e.Kinds), string(e.State)}
			}))
}
