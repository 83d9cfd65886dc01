package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/adminapi"
)

func initialPairs(t adminapi.InitialToken, _ time.Time) []string {
	return []string{"initial token", string(t.ID), "name", t.Name, "application", string(t.Application), "environment", t.Environment,
		"used", fmt.Sprintf("%d of %d", t.Uses, t.Most), "state", t.Standing, "expires", when(t.Expires)}
}

// initialTokens makes, lists and ends the tokens by which programs register OAuth clients.
func (c *cli) initialTokens() *cobra.Command {
	const path = "/api/initial-tokens"
	var n struct {
		Application string `json:"application"`
		Environment string `json:"environment"`
		Name        string `json:"name"`
		Uses        int    `json:"uses,omitempty"`
		Lifetime    string `json:"lifetime,omitempty"`
	}
	mk := &cobra.Command{Use: "make", Short: "Make a token by which a program registers OAuth clients; it is printed once", Args: noArgs,
		Example: `  gatehouse initial-token make --application app_… --env live --name pipeline --uses 5`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out adminapi.FreshInitialToken
			if err := c.call(cmd.Context(), http.MethodPost, path, n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				p.pairs(initialPairs(out.Initial, time.Now())...)
				p.pairs("registration endpoint", out.Endpoint)
				p.line("\n  %s\n\nThis is the token. Keep it now: it is not stored and cannot be shown again.", out.Token)
			})
		}}
	f := mk.Flags()
	f.StringVar(&n.Application, "application", "", "whose clients are registered")
	environmentFlag(mk, &n.Environment, "where")
	f.StringVar(&n.Name, "name", "", "to know it again")
	f.IntVar(&n.Uses, "uses", 1, "how many clients it registers at most")
	f.StringVar(&n.Lifetime, "lifetime", "", "such as 7d, 30d at most; default: a day")
	end := &cobra.Command{Use: "end ID", Short: "Make one useless; clients that were registered with it stay", Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd.Context(), c, http.MethodPost, fmt.Sprintf("%s/%s/end", path, url.PathEscape(args[0])), nil, initialPairs)
		}}
	return group("initial-token", "Tokens by which programs register OAuth clients: make, list, end", "", mk, end,
		listing(c, "list", "List them", "", path, []string{"organization"}, []string{"TOKEN", "NAME", "APPLICATION", "ENVIRONMENT", "USED", "STATE", "EXPIRES"},
			func(t adminapi.InitialToken, _ time.Time) []string {
				return []string{string(t.ID), t.Name, string(t.Application), t.Environment, strconv.Itoa(t.Uses) + " of " + strconv.Itoa(t.Most), t.Standing, when(t.Expires)}
			}))
}
