// Package oauth is the policy that knows a caller by an access token of this platform (RFC 9068): as a bearer, or bound to the
// caller's certificate (RFC 8705) or key (RFC 9449).
package oauth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/token"
	"gatehouse/wire"
)

// Method is what Principal.Method says of a caller with an access token: the kind of its credential.
const Method = string(credential.Client)

// Config is the settings of oauth.
type Config struct {
	Constrained bool `json:"constrained"` // true: only tokens that are bound to a certificate or a key; default: false
}

// Kind is the policy "oauth".
func Kind() policy.Kind {
	return policy.Define("oauth", policy.Authenticate,
		"The caller proves its application with an access token of this environment, in Authorization: Bearer or DPoP. The token is not forwarded.", build)
}

func build(c Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
	if d.Tokens == nil || d.Proofs == nil {
		return policy.Policy{}, fault.New(fault.Unavailable, "this gateway verifies no access tokens")
	}
	t := &tokens{Config: c, environment: s.Route.Environment, base: s.Route.Base, kept: d.Tokens, proofs: d.Proofs, scope: strings.Join(s.Route.Scopes, " "),
		shared: slices.Contains(s.Beside, "workload_identity")}
	return policy.Policy{Request: t.request, Response: t.response, Methods: []string{Method}}, nil
}

type tokens struct {
	Config
	environment string
	base        string
	scope       string
	kept        *policy.Tokens
	proofs      *token.Prover
	shared      bool // tokens of issuers elsewhere are another policy's
}

// The refusals. Each is told to callers and counted by its code.
var (
	missing   = fault.Of(fault.Unauthenticated, "token-missing", "no access token was sent").Because(policy.ErrNothing)
	repeated  = fault.Of(fault.Unauthenticated, "token-repeated", "more than one access token was sent: send exactly one")
	malformed = fault.Of(fault.Unauthenticated, "token-malformed", "%v", token.ErrMalformed)
	unsigned  = fault.Of(fault.Unauthenticated, "token-unsigned", "%v", token.ErrSigned)
	elsewhere = fault.Of(fault.Unauthenticated, "token-issuer", "%v", token.ErrIssuer)
	expired   = fault.Of(fault.Unauthenticated, "token-expired", "%v", token.ErrExpired)
	early     = fault.Of(fault.Unauthenticated, "token-early", "%v", token.ErrEarly)
	revoked   = fault.Of(fault.Unauthenticated, "token-revoked", "this access token has been revoked")
	audience  = fault.Of(fault.Unauthenticated, "token-audience", "this access token is for another API: ask for one with the resource that this one names")
	unknown   = fault.Of(fault.Unauthenticated, "client-unknown", "the client of this access token is not known here")
	unbound   = fault.Of(fault.Unauthenticated, "token-unbound", "this operation takes only access tokens that are bound to a certificate or a key")
	cert      = fault.Of(fault.Unauthenticated, "token-certificate", "this access token is bound to another certificate than the one that you connected with")
	scheme    = fault.Of(fault.Unauthenticated, "token-scheme", "this access token is bound to a key: send it as DPoP, with a proof")
	proof     = fault.Of(fault.Unauthenticated, "dpop-proof", "the DPoP proof is missing or not right: one proof for this method, this address and this token, signed by the token's key")
	nonce     = fault.Of(fault.Unauthenticated, "dpop-nonce", "the DPoP proof needs the nonce of this answer")
	replayed  = fault.Of(fault.Unauthenticated, "dpop-replayed", "this DPoP proof was used before: make one for each request")
	busy      = fault.Of(fault.Unavailable, "dpop-busy", "too many DPoP proofs at once")
	many      = fault.Of(fault.Limited, "dpop-many", "this client has sent more DPoP proofs at once than are remembered of one")
	refusals  = policy.NewRefusals("client", "OAuth client")
)

// sent is what a request carries.
type sent struct {
	token, proof wire.View
	dpop         bool
}

func (t *tokens) request(x *policy.Exchange) error {
	by := x.Access.Issuer()
	if t.shared && t.foreign(x.Request.Fields, by) {
		return missing
	}
	in, err := t.take(x.Request.Fields)
	if err != nil {
		return err
	}
	if by == nil {
		return unsigned
	}
	a, err := t.verified(x, by, in.token)
	if err != nil {
		return err
	}
	switch {
	case x.Now.Unix() >= a.Expires:
		return expired
	case x.Access.Denied(a.Mark):
		return revoked
	case !t.isFor(by, a.Audience):
		return audience
	}
	constrained, err := t.holder(x, by, a, in)
	if err != nil {
		return err
	}
	if t.Constrained && !constrained {
		return unbound
	}
	c, ok := x.Access.Marked(a.Client)
	if !ok || c.Kind != Method {
		return unknown
	}
	if err := x.Accept(&c, refusals); err != nil {
		return err
	}
	p := &x.Principal
	p.Scopes, p.Constrained, p.FAPI, p.Token = a.Scopes, constrained, constrained && a.Strong, a.Mark
	p.Expires = a.Expires * 1_000_000
	return nil
}

// foreign reports whether the one token that was sent is a bearer's and not ours: then it is left where it is.
func (t *tokens) foreign(fields wire.Fields, by *policy.Issuer) bool {
	raw, ok := fields.Get("Authorization")
	if !ok || fields.Count("Authorization") != 1 || fields.Count("DPoP") > 0 || len(raw) <= 7 || len(raw) > token.Longest || !raw[:7].EqualFold("Bearer ") {
		return false
	}
	raw = raw[7:]
	printed := t.kept.Print(raw)
	return by == nil || t.kept.Workload(printed) != nil || t.kept.Get(printed, by) == nil && token.IssuerOf(string(raw)) != by.URL
}

// verified is the token, from what is kept or verified now.
func (t *tokens) verified(x *policy.Exchange, by *policy.Issuer, raw wire.View) (*policy.AccessToken, error) {
	if len(raw) > token.Longest {
		return nil, malformed
	}
	printed := t.kept.Print(raw)
	if a := t.kept.Get(printed, by); a != nil {
		return a, nil
	}
	c, err := token.ReadAccess(string(raw), by.URL, by.Keys, x.Now)
	if err != nil {
		switch {
		case errors.Is(err, token.ErrSigned):
			return nil, unsigned
		case errors.Is(err, token.ErrIssuer):
			return nil, elsewhere
		case errors.Is(err, token.ErrExpired):
			return nil, expired
		case errors.Is(err, token.ErrEarly):
			return nil, early
		}
		return nil, malformed
	}
	names := strings.Fields(c.Scope)
	slices.Sort(names)
	a := &policy.AccessToken{Print: printed, Issuer: by, Expires: c.Expires, Strong: credential.AuthMethod(c.Method).Strong(), Client: credential.ClientMark(id.ID(c.Client)), Mark: credential.TokenMark(c.ID),
		Audience: c.Audience, Scopes: &policy.Scopes{Names: names, Joined: strings.Join(names, " ")}}
	if c.Confirm != nil {
		a.ByKey = c.Confirm.Key
		if c.Confirm.Certificate != "" {
			b, err := base64.RawURLEncoding.Strict().DecodeString(c.Confirm.Certificate)
			if err != nil || len(b) != len(a.CertThumb) {
				return nil, malformed
			}
			a.ByCert = true
			copy(a.CertThumb[:], b)
		}
		if !a.ByCert && a.ByKey == "" {
			return nil, malformed // bound by something that is not known here: never taken as a bearer
		}
	}
	t.kept.Put(a)
	return a, nil
}

// isFor reports whether one of the audiences is the route's API.
func (t *tokens) isFor(by *policy.Issuer, audience []string) bool {
	for _, a := range audience {
		if len(a) == len(by.Audience)+len(t.base) && a[:len(by.Audience)] == by.Audience && a[len(by.Audience):] == t.base {
			return true
		}
	}
	return false
}

// holder checks that whoever sends a bound token holds what it is bound to, and reports whether it is bound.
func (t *tokens) holder(x *policy.Exchange, by *policy.Issuer, a *policy.AccessToken, in sent) (bool, error) {
	if a.ByCert && (x.TLS == nil || x.TLS.Certificate == nil || x.TLS.Thumbprint != a.CertThumb) {
		return false, cert
	}
	switch {
	case a.ByKey == "" && in.dpop:
		return false, proof // a token that is not bound must not be taken for one that is
	case a.ByKey == "":
		return a.ByCert, nil
	case !in.dpop:
		return false, scheme
	}
	url := by.Audience + string(x.Request.Path)
	p, err := t.proofs.Read(string(in.proof), string(x.Request.Method), url, string(in.token), x.Now)
	if err == nil && p.Key == a.ByKey { // what somebody else has made is not worth remembering
		err = t.proofs.Take(p, a.Client, x.Now)
	}
	switch {
	case errors.Is(err, token.ErrNonce):
		return false, nonce
	case errors.Is(err, token.ErrReplay):
		return false, replayed
	case errors.Is(err, token.ErrFull):
		return false, busy
	case errors.Is(err, token.ErrMany):
		return false, many
	case err != nil || p.Key != a.ByKey:
		return false, proof
	}
	return true, nil
}

// take finds the one token and its proof, and deletes the fields that carry them.
func (t *tokens) take(fields wire.Fields) (in sent, err error) {
	found, proofs := 0, 0
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Name.EqualFold("DPoP"):
			in.proof = f.Value
			proofs++
		case !f.Name.EqualFold("Authorization"):
			continue
		case len(f.Value) > 7 && f.Value[:7].EqualFold("Bearer "):
			in.token = f.Value[7:]
			found++
		case len(f.Value) > 5 && f.Value[:5].EqualFold("DPoP "):
			in.token, in.dpop = f.Value[5:], true
			found++
		default:
			continue
		}
		*f = wire.Field{}
	}
	switch {
	case found > 1:
		return in, repeated
	case found == 0:
		return in, missing
	case proofs > 1 || in.dpop && proofs == 0:
		return in, proof
	}
	return in, nil
}

// response tells whoever is refused how to ask (RFC 6750 §3, RFC 9449 §7.1 and §9, RFC 9728 §5.1).
func (t *tokens) response(x *policy.Exchange) {
	r := x.Refusal
	if r == nil || r.Kind != fault.Unauthenticated && r.Code != "insufficient-scope" {
		return
	}
	by := x.Access.Issuer()
	if by == nil {
		return
	}
	why := ""
	switch {
	case r.Code == "token-missing", r.Code == "proof-missing":
	case r.Code == "insufficient-scope":
		why = `, error="insufficient_scope", scope="` + t.scope + `"`
	case r.Code == "dpop-nonce":
		why = `, error="use_dpop_nonce"`
	case strings.HasPrefix(r.Code, "dpop-"):
		why = `, error="invalid_dpop_proof"`
	default:
		why = `, error="invalid_token"`
	}
	about := ` realm="` + t.environment + `", resource_metadata="` + by.Metadata(t.base) + `"`
	if t.bearer(r.Code) {
		x.Response.Fields.AddString("WWW-Authenticate", "Bearer"+about+why)
	}
	x.Response.Fields.AddString("WWW-Authenticate", "DPoP"+about+why+`, algs="`+strings.Join(token.Strong(), " ")+`"`)
	x.Response.Fields.AddString("DPoP-Nonce", t.proofs.Nonce(x.Now))
}

// bearer reports whether a bearer token could do, after a refusal of that code.
func (t *tokens) bearer(code string) bool {
	return !strings.HasPrefix(code, "dpop-") && code != "token-scheme"
}
