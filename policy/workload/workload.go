// Package workload is the policy that knows a caller by a token of an issuer elsewhere: Entra ID, a Kubernetes cluster, any
// issuer of OpenID Connect that the manifest lists. No secret of ours is involved.
package workload

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/token"
	"gatehouse/wire"
)

// Method is what Principal.Method says of a caller that is known by where it runs.
const Method = string(credential.Federated)

// Config is the settings of workload_identity.
type Config struct {
	Issuers []string `json:"issuers"` // only these of the manifest's trusted_issuers; default: all that count in the environment
}

// Kind is the policy "workload_identity".
func Kind() policy.Kind {
	return policy.Define(Method, policy.Authenticate,
		"The caller proves its application with a token of an issuer that trusted_issuers lists, in Authorization: Bearer. The token is not forwarded.", build)
}

func build(c Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
	w := &workloads{environment: s.Route.Environment, kept: d.Tokens, shared: slices.Contains(s.Beside, "oauth")}
	var names []string
	for _, t := range s.Trusted {
		names = append(names, t.Name)
	}
	for n, name := range c.Issuers {
		if !slices.Contains(names, name) {
			return policy.Policy{}, fault.Bad(fmt.Sprintf("/issuers/%d", n), "there is no trusted issuer %q in %s: list it in trusted_issuers", name, s.Route.Environment)
		}
	}
	if len(s.Trusted) == 0 {
		return policy.Policy{}, fault.Bad("", "no issuer is trusted in %s: list one in trusted_issuers", s.Route.Environment)
	}
	if d.Trusted == nil || d.Tokens == nil {
		return policy.Policy{}, fault.New(fault.Unavailable, "this gateway asks no issuers elsewhere for their keys")
	}
	for _, t := range s.Trusted {
		if len(c.Issuers) == 0 || slices.Contains(c.Issuers, t.Name) {
			w.issuers = append(w.issuers, trusted{t, d.Trusted(t)})
		}
	}
	w.challenge = wire.View(`Bearer realm="` + w.environment + `"`)
	w.wrong = wire.View(`Bearer realm="` + w.environment + `", error="invalid_token"`)
	return policy.Policy{Request: w.request, Response: w.response, Methods: []string{Method}}, nil
}

// trusted is an issuer and its keys.
type trusted struct {
	*policy.TrustedIssuer
	keys *policy.TrustedKeys
}

type workloads struct {
	environment      string
	issuers          []trusted
	kept             *policy.Tokens
	shared           bool // oauth looks for tokens in the same field
	challenge, wrong wire.View
}

// The refusals. Each is told to callers and counted by its code.
var (
	missing  = fault.Of(fault.Unauthenticated, "workload-missing", "no token of a workload was sent").Because(policy.ErrNothing)
	repeated = fault.Of(fault.Unauthenticated, "workload-repeated", "more than one token was sent: send exactly one")
	issuer   = fault.Of(fault.Unauthenticated, "workload-issuer", "this token is of an issuer that is not trusted here, or cannot be read")
	away     = fault.Of(fault.Unavailable, "workload-keys", "the keys of this token's issuer are not known now: it could not be reached for too long")
	unknown  = fault.Of(fault.Unauthenticated, "workload-unknown", "no application here is bound to what this token says: its issuer, audience and subject")
	claims   = fault.Of(fault.Unauthenticated, "workload-claims", "this token lacks a claim that the application's binding asks for")
	cert     = fault.Of(fault.Unauthenticated, "workload-certificate", "this token is bound to another certificate than the one that you connected with")
	expired  = of("workload-expired", token.ErrExpired)
	refusals = policy.NewRefusals("workload", "workload identity")

	wrong = []struct{ err, told error }{
		{token.ErrForeign, of("workload-malformed", token.ErrForeign)},
		{token.ErrUnknown, of("workload-key", token.ErrUnknown)},
		{token.ErrForged, of("workload-forged", token.ErrForged)},
		{token.ErrIssuer, issuer},
		{token.ErrLifetime, of("workload-lifetime", token.ErrLifetime)},
		{token.ErrExpired, expired},
		{token.ErrEarly, of("workload-early", token.ErrEarly)},
		{token.ErrAudience, of("workload-audience", token.ErrAudience)},
		{token.ErrSubject, of("workload-subject", token.ErrSubject)},
		{token.ErrTenant, of("workload-tenant", token.ErrTenant)},
		{token.ErrPerson, of("workload-person", token.ErrPerson)},
		{token.ErrBound, of("workload-bound", token.ErrBound)},
	}
)

func of(code string, err error) error {
	return fault.Of(fault.Unauthenticated, code, "%v", err)
}

// told is what a caller is told of what is wrong with a token.
func told(err error) error {
	for _, w := range wrong {
		if w.err == err {
			return w.told
		}
	}
	return issuer
}

func (w *workloads) request(x *policy.Exchange) error {
	at, err := find(x.Request.Fields)
	if err != nil {
		strip(x.Request.Fields)
		return err
	}
	if at < 0 {
		return missing
	}
	raw := x.Request.Fields[at].Value[len("Bearer "):]
	printed := w.kept.Print(raw)
	t := w.known(x, printed)
	if t == nil {
		if w.shared && len(raw) <= token.Longest {
			if by := x.Access.Issuer(); by != nil && token.IssuerOf(string(raw)) == by.URL {
				return missing // it is for oauth
			}
		}
		x.Request.Fields[at] = wire.Field{}
		if t, err = w.verified(x, string(raw), printed); err != nil {
			return err
		}
	} else {
		x.Request.Fields[at] = wire.Field{}
	}
	switch {
	case x.Now.Unix() >= t.Expires:
		return expired
	case t.ByCert && (x.TLS == nil || x.TLS.Certificate == nil || x.TLS.Thumbprint != t.CertThumb):
		return cert
	}
	c, ok := x.Access.Marked(t.Mark)
	if !ok || c.Kind != Method {
		return unknown
	}
	if c.Conditions != t.Met { // it changed while the token was looked at: ask again
		return unknown
	}
	if err := x.Accept(&c, refusals); err != nil {
		return err
	}
	x.Principal.Constrained, x.Principal.Expires = t.ByCert, t.Expires*1_000_000
	return nil
}

// find returns the one field with a bearer token; -1 when there is none.
func find(fields wire.Fields) (at int, err error) {
	at = -1
	for i := range fields {
		f := &fields[i]
		if f.Name.EqualFold("Authorization") && len(f.Value) > 7 && f.Value[:7].EqualFold("Bearer ") {
			if at >= 0 {
				return -1, repeated
			}
			at = i
		}
	}
	return at, nil
}

// strip deletes every bearer token.
func strip(fields wire.Fields) {
	for i := range fields {
		f := &fields[i]
		if f.Name.EqualFold("Authorization") && len(f.Value) > 7 && f.Value[:7].EqualFold("Bearer ") {
			*f = wire.Field{}
		}
	}
}

// known is the token as it was verified before, if nothing that it was verified by has changed.
func (w *workloads) known(x *policy.Exchange, printed policy.Print) *policy.WorkloadToken {
	t := w.kept.Workload(printed)
	if t == nil {
		return nil
	}
	for i := range w.issuers {
		of := &w.issuers[i]
		if of.TrustedIssuer != t.Issuer {
			continue
		}
		if of.keys.Load(x.Now, of.Stale) != t.Keys {
			return nil
		}
		if c, ok := x.Access.Marked(t.Mark); ok && c.Conditions == t.Met {
			return t
		}
		return nil
	}
	return nil
}

// verified is the token, verified now.
func (w *workloads) verified(x *policy.Exchange, raw string, printed policy.Print) (*policy.WorkloadToken, error) {
	name := token.IssuerOf(raw)
	i := slices.IndexFunc(w.issuers, func(t trusted) bool { return t.URL == name })
	if i < 0 || name == "" {
		return nil, issuer
	}
	by := &w.issuers[i]
	keys := by.keys.Load(x.Now, by.Stale)
	if keys == nil {
		by.keys.Ask()
		return nil, away
	}
	said, err := by.Read(raw, keys.Keys, x.Now)
	if err != nil {
		if err == token.ErrUnknown {
			by.keys.Ask()
		}
		return nil, told(err)
	}
	t := &policy.WorkloadToken{Print: printed, Issuer: by.TrustedIssuer, Keys: keys, Expires: said.Expires,
		Mark: credential.WorkloadMark(by.URL, said.Audience, said.Subject)}
	if said.Thumb != "" {
		b, err := base64.RawURLEncoding.Strict().DecodeString(said.Thumb)
		if err != nil || len(b) != len(t.CertThumb) {
			return nil, told(token.ErrBound)
		}
		t.ByCert = true
		copy(t.CertThumb[:], b)
	}
	c, ok := x.Access.Marked(t.Mark)
	if !ok || c.Kind != Method {
		return nil, unknown
	}
	for _, claim := range c.Claims {
		if !said.Has(claim.Name, claim.Value) {
			return nil, claims
		}
	}
	t.Met = c.Conditions
	w.kept.PutWorkload(t)
	return t, nil
}

// response tells whoever is refused how to ask (RFC 6750 §3).
func (w *workloads) response(x *policy.Exchange) {
	r := x.Refusal
	if r == nil || r.Kind != fault.Unauthenticated {
		return
	}
	if strings.HasPrefix(r.Code, "workload-") && r.Code != "workload-missing" {
		x.Response.Fields.Add(nameChallenge, w.wrong)
		return
	}
	x.Response.Fields.Add(nameChallenge, w.challenge)
}

var nameChallenge = wire.View("WWW-Authenticate")
