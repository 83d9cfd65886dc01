package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/credential"
)

// bindWorkload binds a workload elsewhere to an application.
func (c *cli) bindWorkload() *cobra.Command {
	var n struct {
		Application string             `json:"application"`
		Environment string             `json:"environment"`
		Name        string             `json:"name"`
		Lifetime    string             `json:"lifetime,omitempty"`
		Grants      []string           `json:"grants,omitempty"`
		Sources     []string           `json:"sources,omitempty"`
		Issuer      string             `json:"issuer"`
		Subject     string             `json:"subject"`
		Audience    string             `json:"audience,omitempty"`
		Claims      []credential.Claim `json:"claims,omitempty"`
	}
	var claims []string
	cmd := &cobra.Command{Use: "bind-workload", Short: "Bind a workload elsewhere, which then needs no secret", Args: noArgs,
		Example: `  gatehouse credential bind-workload --application app_… --env live --name pipeline --issuer ci --subject repo:example/service:ref:refs/heads/main`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range claims {
				name, value, ok := strings.Cut(s, "=")
				if !ok {
					return usage("--claim must be NAME=VALUE, not %q", s)
				}
				n.Claims = append(n.Claims, credential.Claim{Name: name, Value: value})
			}
			return ask(cmd.Context(), c, http.MethodPost, "/api/workload-identities", n, credentialPairs)
		}}
	f := cmd.Flags()
	f.StringVar(&n.Application, "application", "", "whom it proves")
	environmentFlag(cmd, &n.Environment, "where it is valid")
	f.StringVar(&n.Name, "name", "", "to know it again")
	f.StringVar(&n.Issuer, "issuer", "", "the issuer, by its name in the manifest: gatehouse trusted-issuers")
	f.StringVar(&n.Subject, "subject", "", "who it is there: a client id of Entra ID, system:serviceaccount:NAMESPACE:NAME, else mostly the sub")
	f.StringVar(&n.Audience, "audience", "", "what its tokens are for; default: the issuer's only one")
	f.StringArrayVar(&claims, "claim", nil, "NAME=VALUE that its tokens must have beside; may be given several times")
	f.StringVar(&n.Lifetime, "lifetime", "", "such as 30d; default: the longest that the plan allows")
	f.StringSliceVar(&n.Grants, "grant", nil, "bind it to this grant; may be given several times")
	f.StringSliceVar(&n.Sources, "source", nil, "only from this network; may be given several times")
	return cmd
}

// trustedIssuers lists the issuers elsewhere that an environment trusts.
func (c *cli) trustedIssuers() *cobra.Command {
	var env string
	cmd := &cobra.Command{Use: "trusted-issuers", Short: "List the issuers elsewhere by whose tokens workloads prove themselves", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type list struct {
				Items []struct {
					Name      string   `json:"name"`
					Title     string   `json:"title"`
					Kind      string   `json:"kind"`
					Issuer    string   `json:"issuer"`
					Audiences []string `json:"audiences"`
				} `json:"items"`
			}
			return ask(cmd.Context(), c, http.MethodGet, "/api/environments/"+url.PathEscape(env)+"/trusted-issuers", nil, func(l list, _ time.Time) (kv []string) {
				for _, t := range l.Items {
					kv = append(kv, t.Name, t.Kind+" "+t.Issuer+" for "+strings.Join(t.Audiences, " or "))
				}
				return kv
			})
		}}
	environmentFlag(cmd, &env, "where")
	return cmd
}
