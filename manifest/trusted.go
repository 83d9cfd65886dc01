package manifest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// TrustedIssuer is an issuer elsewhere by whose tokens workloads prove themselves, without any secret of ours. Only those that
// are listed count, and only for credentials that an application has bound.
type TrustedIssuer struct {
	Name         string   `json:"name"`         // by which policies and credentials name it
	Title        string   `json:"title"`        // shown to people; default: the name
	Kind         string   `json:"kind"`         // how its tokens say who calls: oidc (the claim subject), entra (the application's client id; version 1 or 2 as the issuer has it), kubernetes (the service account); default: oidc
	Issuer       string   `json:"issuer"`       // exactly the iss of its tokens, such as https://token.actions.githubusercontent.com; of entra https://login.microsoftonline.com/TENANT/v2.0 or https://sts.windows.net/TENANT/
	Audiences    []string `json:"audiences"`    // what its tokens must be for: something that stands for this platform and nothing else
	Subject      string   `json:"subject"`      // of the kind oidc: the claim that says which workload it is; default: sub
	Keys         string   `json:"jwks_uri"`     // where its keys are; default: where its discovery document says
	Algorithms   []string `json:"algorithms"`   // that its tokens may be signed with; default: RS256 and ES256
	Longest      Duration `json:"longest"`      // how long a token of it may live; default: 25h, as tokens of managed identities live for a day; at most 48h
	Stale        Duration `json:"stale"`        // for how long its keys count after they were last seen, while it cannot be reached; default: 4h; at most 24h
	Environments []string `json:"environments"` // where it counts; default: everywhere
}

const (
	longestToken = 48 * time.Hour
	longestStale = day
)

// trustedKinds is the forms of tokens that this build knows.
func trustedKinds() []string { return []string{"oidc", "entra", "kubernetes"} }

// trustedAlgorithms is those that a token elsewhere may be signed with: no secret that verifies can also sign.
func trustedAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func (c *check) trusted() {
	first := map[string]string{}
	for i := range c.TrustedIssuers {
		t, at := &c.TrustedIssuers[i], pointer("trusted_issuers", i)
		c.named(at, "trusted issuer", t.Name, nameForm, first)
		c.words(at+"/title", t.Title, maxTitle)
		if t.Title == "" {
			t.Title = t.Name
		}
		c.offeredIn(at+"/environments", &t.Environments, c.environmentNames(), "environment")
		if t.Kind == "" {
			t.Kind = "oidc"
		}
		c.word(at+"/kind", t.Kind, trustedKinds())
		c.issuer(at, t)
		for _, o := range c.TrustedIssuers[:i] {
			if o.Issuer == t.Issuer && slices.ContainsFunc(o.Environments, func(e string) bool { return slices.Contains(t.Environments, e) }) {
				c.bad(at+"/issuer", "%s has this issuer already: which of the two counts would not be clear", o.Name)
			}
		}
		c.audiences(at, t.Audiences)
		if len(t.Algorithms) == 0 {
			t.Algorithms = []string{"RS256", "ES256"}
		}
		for k, a := range t.Algorithms {
			c.word(fmt.Sprintf("%s/algorithms/%d", at, k), a, trustedAlgorithms())
		}
		if t.Subject != "" && t.Kind != "oidc" {
			c.bad(at+"/subject", "is for the kind oidc: tokens of the kind %s say it in their own way", clip(t.Kind))
		}
		if t.Keys != "" {
			if why := webURL(t.Keys); why != "" {
				c.bad(at+"/jwks_uri", "%s", why)
			}
		}
		c.span(at+"/longest", t.Longest, time.Minute, longestToken)
		if t.Longest <= 0 {
			t.Longest = Duration(25 * time.Hour)
		}
		c.span(at+"/stale", t.Stale, time.Minute, longestStale)
		if t.Stale <= 0 {
			t.Stale = Duration(4 * time.Hour)
		}
	}
}

// word checks that a text is one of a list.
func (c *check) word(at, s string, list []string) {
	if !slices.Contains(list, s) {
		c.bad(at, "must be one of %s, not %q", strings.Join(list, ", "), clip(s))
	}
}

// issuer checks the name of an issuer, which is compared byte by byte with what tokens say.
func (c *check) issuer(at string, t *TrustedIssuer) {
	if t.Issuer == "" {
		c.bad(at, "the trusted issuer needs its issuer: the iss of its tokens")
		return
	}
	why := webURL(t.Issuer)
	if why == "" && strings.Contains(t.Issuer, "?") {
		why = "must have no query"
	}
	if why != "" {
		c.bad(at+"/issuer", "%s", why)
		return
	}
	if t.Kind == "entra" {
		if _, _, ok := EntraIssuer(t.Issuer); !ok {
			c.bad(at+"/issuer", "must be https://…/TENANT/v2.0, or https://…/TENANT/ for tokens of version 1, with the tenant's GUID in lower case: common, organizations and consumers would let any tenant in")
		}
	}
}

// audiences checks what tokens must be for.
func (c *check) audiences(at string, list []string) {
	if len(list) == 0 {
		c.bad(at, "the trusted issuer needs audiences: without one, a token for any other service would count here")
	}
	for k, a := range list {
		below := fmt.Sprintf("%s/audiences/%d", at, k)
		switch {
		case a == "" || len(a) > maxAudience || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' }):
			c.bad(below, "%q is not an audience: use up to %d ASCII letters, digits and signs without spaces", clip(a), maxAudience)
		case slices.Contains(list[:k], a):
			c.bad(below, "%s stands twice", clip(a))
		}
	}
}

const maxAudience = 256 // bytes

// webURL says what is wrong with an address that is fetched from; "" when nothing is.
func webURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || len(s) > maxName:
		return fmt.Sprintf("%q is not an address such as https://issuer.example", clip(s))
	case u.Scheme != "https":
		return "must begin with https://"
	case u.User != nil:
		return "must hold no user name or password"
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		return "must have no #fragment"
	}
	return ""
}

// EntraIssuer takes the tenant and the version of its tokens from an issuer of Entra ID: https://…/TENANT/v2.0, or
// https://…/TENANT/ for version 1.0. The tenant is a GUID in lower case: common, organizations and consumers stand for anybody's.
func EntraIssuer(issuer string) (tenant, version string, ok bool) {
	rest, found := strings.CutPrefix(issuer, "https://")
	host, path, _ := strings.Cut(rest, "/")
	tenant, tail, slash := strings.Cut(path, "/")
	switch {
	case !found || host == "" || !slash || !guid(tenant):
		return "", "", false
	case tail == "v2.0":
		return tenant, "2.0", true
	}
	return tenant, "1.0", tail == ""
}

func guid(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// TrustedIn is the trusted issuers that count in an environment.
func (p *Parsed) TrustedIn(environment string) (out []TrustedIssuer) {
	for _, t := range p.TrustedIssuers {
		if slices.Contains(t.Environments, environment) {
			out = append(out, t)
		}
	}
	return out
}
