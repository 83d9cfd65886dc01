package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/credential"
)

// registerClient makes an OAuth client.
func (c *cli) registerClient() *cobra.Command {
	var n struct {
		Application string          `json:"application"`
		Environment string          `json:"environment"`
		Name        string          `json:"name"`
		Lifetime    string          `json:"lifetime,omitempty"`
		Grants      []string        `json:"grants,omitempty"`
		Sources     []string        `json:"sources,omitempty"`
		Method      string          `json:"method"`
		Keys        json.RawMessage `json:"jwks,omitempty"`
		KeysURL     string          `json:"jwks_uri,omitempty"`
		Thumbprint  string          `json:"thumbprint,omitempty"`
		Constrain   string          `json:"constrain,omitempty"`

		Named *credential.CertName `json:"named,omitempty"`
	}
	keys := ""
	var named credential.CertName
	cmd := &cobra.Command{Use: "register-client", Short: "Register an OAuth client; a secret is printed once and never again", Args: noArgs,
		Example: `  gatehouse credential register-client --application app_… --env live --name batch --method private_key_jwt --keys jwks.json --constrain dpop`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keys != "" {
				b, err := os.ReadFile(keys)
				if err != nil {
					return err
				}
				if !json.Valid(b) {
					return usage("%s is no JSON: it must hold a JWK Set", keys)
				}
				n.Keys = b
			}
			if named != (credential.CertName{}) {
				named.Kind = credential.NameKind(named.Value)
				n.Named = &named
			}
			var out struct {
				Credential credential.Credential `json:"credential"`
				ClientID   string                `json:"client_id"`
				Secret     string                `json:"client_secret,omitempty"`
				Issuer     string                `json:"issuer"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/oauth-clients", n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				p.pairs(credentialPairs(out.Credential, time.Now())...)
				p.pairs("client_id", out.ClientID, "token endpoint", out.Issuer+"/token")
				if out.Secret != "" {
					p.line("\n  %s\n\nThis is the secret. Keep it now: it is not stored and cannot be shown again.", out.Secret)
				}
			})
		}}
	f := cmd.Flags()
	f.StringVar(&n.Application, "application", "", "whose client it is")
	environmentFlag(cmd, &n.Environment, "where it is valid")
	f.StringVar(&n.Name, "name", "", "to know it again")
	f.StringVar(&n.Method, "method", "client_secret", "client_secret, private_key_jwt, tls_client_auth or self_signed_tls_client_auth")
	f.StringVar(&keys, "keys", "", "file with its public keys (a JWK Set), for private_key_jwt")
	f.StringVar(&n.KeysURL, "keys-url", "", "or where its public keys are, an https URL")
	f.StringVar(&n.Thumbprint, "thumbprint", "", "SHA-256 of its certificate in base64url, for self_signed_tls_client_auth")
	f.StringVar(&named.Authority, "authority", "", "client authority of the operator's whose certificates prove it, for tls_client_auth")
	f.StringVar(&named.Value, "san", "", "name that stands in them, for tls_client_auth: a host name, URI, IP or e-mail address, or the whole subject")
	f.StringVar(&n.Constrain, "constrain", "", "what its tokens are bound to: dpop or certificate; default: what it asks for")
	f.StringVar(&n.Lifetime, "lifetime", "", "such as 30d; default: the longest that the plan allows")
	f.StringSliceVar(&n.Grants, "grant", nil, "bind it to this grant; may be given several times")
	f.StringSliceVar(&n.Sources, "source", nil, "only from this network; may be given several times")
	return cmd
}

// issuer shows what issues the access tokens of an environment, and rotates its key.
func (c *cli) issuer() *cobra.Command {
	var env, reason string
	path := func() string { return "/api/environments/" + url.PathEscape(env) + "/issuer" }
	show := &cobra.Command{Use: "show", Short: "Show it", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return ask(cmd.Context(), c, http.MethodGet, path(), nil, issuerPairs)
	}}
	rotate := &cobra.Command{Use: "rotate", Short: "Let the next signing key sign from now on; no token is refused", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if reason == "" {
			return usage("say why with --reason: it stands in the audit")
		}
		return ask(cmd.Context(), c, http.MethodPost, path()+"/rotate", map[string]string{"reason": reason}, issuerPairs)
	}}
	environmentFlag(show, &env, "where")
	environmentFlag(rotate, &env, "where")
	rotate.Flags().StringVar(&reason, "reason", "", "why; it stands in the audit")
	return group("issuer", "What issues access tokens: show, rotate its key", "", show, rotate)
}

func issuerPairs(i credential.Issuer, _ time.Time) []string {
	kv := []string{"issuer", i.URL, "environment", i.Environment, "audience", i.Audience}
	for _, k := range i.Keys {
		kv = append(kv, "key", k.ID+" signs from "+when(k.From))
	}
	return kv
}

// enrol makes a client certificate of a signing request, or binds one that is there.
func (c *cli) enrol() *cobra.Command {
	var n struct {
		Application string               `json:"application"`
		Environment string               `json:"environment"`
		Name        string               `json:"name"`
		Lifetime    string               `json:"lifetime,omitempty"`
		Grants      []string             `json:"grants,omitempty"`
		Sources     []string             `json:"sources,omitempty"`
		Request     string               `json:"csr,omitempty"`
		Certificate string               `json:"certificate,omitempty"`
		Named       *credential.CertName `json:"named,omitempty"`
		Replaces    string               `json:"replaces,omitempty"`
	}
	var request, certificate string
	var named credential.CertName
	cmd := &cobra.Command{Use: "enrol-certificate", Short: "Enrol a client certificate: of a signing request, or one that you have", Args: noArgs,
		Example: `  gatehouse credential enrol-certificate --application app_… --env live --name server --csr server.csr`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if named != (credential.CertName{}) {
				named.Kind = credential.NameKind(named.Value)
				n.Named = &named
			}
			for file, into := range map[string]*string{request: &n.Request, certificate: &n.Certificate} {
				if file == "" {
					continue
				}
				b, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				*into = string(b)
			}
			var out struct {
				Credential  credential.Credential `json:"credential"`
				Certificate string                `json:"certificate,omitempty"`
			}
			if err := c.call(cmd.Context(), http.MethodPost, "/api/client-certificates", n, &out); err != nil {
				return err
			}
			return c.print(out, func(p *printer) {
				p.pairs(credentialPairs(out.Credential, time.Now())...)
				if out.Certificate != "" {
					p.line("\n%s", out.Certificate)
				}
			})
		}}
	f := cmd.Flags()
	f.StringVar(&n.Application, "application", "", "whose certificate it is")
	environmentFlag(cmd, &n.Environment, "where it is valid")
	f.StringVar(&n.Name, "name", "", "to know it again")
	f.StringVar(&request, "csr", "", "file with a certificate signing request, in PEM")
	f.StringVar(&certificate, "certificate", "", "file with a certificate, in PEM")
	f.StringVar(&named.Authority, "authority", "", "client authority of the operator's whose certificates count, with --san")
	f.StringVar(&named.Value, "san", "", "name that stands in them: a host name, a URI such as spiffe://example.org/service, an IP or e-mail address, or the whole subject")
	f.StringVar(&n.Replaces, "replaces", "", "the credential that it renews")
	f.StringVar(&n.Lifetime, "lifetime", "", "such as 7d; default: 30 days, or less where the plan says so")
	f.StringSliceVar(&n.Grants, "grant", nil, "bind it to this grant; may be given several times")
	f.StringSliceVar(&n.Sources, "source", nil, "only from this network; may be given several times")
	return cmd
}
