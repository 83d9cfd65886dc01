package kong

import (
	"slices"
	"strings"

	"gatehouse/drift"
)

// authPlugins are the bundled plugins that authenticate.
var authPlugins = []string{"basic-auth", "header-cert-auth", "hmac-auth", "jwt", "jwt-signer", "key-auth", "key-auth-enc", "ldap-auth", "ldap-auth-advanced",
	"mtls-auth", "oauth2", "oauth2-introspection", "openid-connect", "saml", "session", "vault-auth"}

// auth combines the authentication plugins that run: all must be met, except that those with an anonymous consumer only try, so that
// when every one of them tries, any is enough and nobody may be enough too.
func (r *reader) auth(rt *route, on map[string]*plugin, p *drift.Policy) {
	var must, try drift.Ways
	var fallback drift.Leaf[bool] = drift.ByDefault(false)
	var from drift.Origin
	state := drift.Set
	cause := ""
	for _, name := range authPlugins {
		inst := on[name]
		if inst == nil || name == "session" && len(on) > 1 && hasOther(on) {
			continue
		}
		v := view{r, inst, rt}
		ways := v.requirements(name)
		if from.File == "" {
			from = v.origin(nil)
		}
		if inst.route != rt {
			state = drift.Inherited
		}
		anon := v.str("", "anonymous")
		if c := inst.node.Get("condition"); c.Str() != "" {
			cause = "plugin condition " + c.Str()
			when := &drift.Condition{Text: drift.Shown(c.Str()), Client: strings.Contains(c.Str(), "http."), Origin: c.Origin(inst.scope)}
			for i := range ways {
				ways[i].When = when
			}
			ways = append(ways, drift.Way{When: when})
		}
		if anon.Known() && anon.Value == "" {
			out, ok := must.Times(ways)
			if !ok {
				r.Doubt(v.origin(nil), "too many combinations of ways to authenticate")
			}
			must = out
			continue
		}
		try = append(try, ways...)
		if !fallback.Value {
			fallback = r.fallback(anon, on, v)
		}
	}
	switch {
	case len(must) > 0:
		p.Auth.Ways, p.Auth.Fallback = drift.Leaf[drift.Ways]{Value: must, State: state, Origin: from}, drift.ByDefault(false)
	case len(try) > 0:
		p.Auth.Ways, p.Auth.Fallback = drift.Leaf[drift.Ways]{Value: try, State: state, Origin: from}, fallback
	default:
		p.Auth.Ways, p.Auth.Fallback = drift.ByDefault(drift.Ways(nil)), drift.ByDefault(false)
	}
	if opa := on["opa"]; opa != nil {
		v := view{r, opa, rt}
		url := v.str("http", "opa_protocol").Or("http") + "://" + v.str("localhost", "opa_host").Or("") + v.str("", "opa_path").Or("")
		p.Auth.Ways.Value = p.Auth.Ways.Value.And(drift.Requirement{Kind: drift.ExtAuthz, Name: "opa", Origin: v.origin(nil), Forward: drift.ByDefault(true),
			External: &drift.External{URL: leaf(v, drift.Mask(url), nil), FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(60000)), TTL: drift.ByDefault(int64(0)), CacheKey: drift.ByDefault([]string(nil))}})
		if p.Auth.Ways.State == drift.Default {
			p.Auth.Ways.State, p.Auth.Ways.Origin = leafState(v), v.origin(nil)
		}
	}
	p.Auth.Optional, p.Auth.Exempt = drift.ByDefault(false), drift.ByDefault(false)
	if cause != "" {
		p.Auth.Ways.State, p.Auth.Ways.Cause = drift.Conditional, drift.Mask(cause)
	}
	// Custom code may authenticate: then nothing is said about whether the route is open.
	if len(p.Auth.Ways.Value) == 0 {
		for _, name := range sortedNames(on) {
			if (view{r, on[name], rt}).mayAuthenticate() {
				p.Auth.Ways = drift.Unknown[drift.Ways]("custom code may authenticate: "+name, on[name].node.Origin(on[name].scope))
				break
			}
		}
	}
}

// mayAuthenticate reports whether code of somebody's own runs before the upstream is called.
func (v view) mayAuthenticate() bool {
	if v.p.name != "pre-function" && v.p.name != "post-function" {
		return !bundled(v.p.name)
	}
	return v.either("certificate", "rewrite", "access", "functions") != nil
}

func leafState(v view) drift.State {
	if v.p.route != v.rt {
		return drift.Inherited
	}
	return drift.Set
}

func hasOther(on map[string]*plugin) bool {
	return slices.ContainsFunc(authPlugins, func(n string) bool { return n != "session" && on[n] != nil })
}

// fallback reports whether the anonymous consumer gets through: it does not when request-termination stops it, or when acl admits only
// groups that it does not have.
func (r *reader) fallback(anon drift.Leaf[string], on map[string]*plugin, v view) drift.Leaf[bool] {
	if !anon.Known() {
		return drift.Unknown[bool](anon.Cause, anon.Origin)
	}
	pass := drift.Leaf[bool]{Value: true, State: anon.State, Origin: anon.Origin}
	c := r.findConsumer(anon.Value)
	if c == nil {
		return pass
	}
	for _, p := range r.plugins {
		if p.consumer == c && p.name == "request-termination" && p.enabled() && (p.route == nil || p.route == v.rt) && (p.service == nil || p.service == v.rt.svc) {
			pass.Value = false
		}
	}
	if acl := on["acl"]; acl != nil {
		allow := view{r, acl, v.rt}.list(nil, "allow", "whitelist")
		if allow.Known() && len(allow.Value) > 0 && !slices.ContainsFunc(c.acls, func(g string) bool { return slices.Contains(allow.Value, g) }) {
			pass.Value = false
		}
	}
	return pass
}

func one(r drift.Requirement) drift.Ways { return drift.Ways{{Needs: []drift.Requirement{r}}} }

// requirements are the ways in that one authentication plugin offers.
func (v view) requirements(name string) drift.Ways {
	r := drift.Requirement{Name: name, Origin: v.origin(nil), Forward: invert(v.flag(false, "hide_credentials"))}
	none := drift.ByDefault([]string(nil))
	switch name {
	case "key-auth", "key-auth-enc", "vault-auth":
		r.Kind = drift.KeyProof
		in := v.keyPlaces()
		r.Key = &drift.APIKey{In: in, Names: v.list([]string{"apikey"}, "key_names", "access_token_name")}
		return one(r)
	case "basic-auth", "ldap-auth", "ldap-auth-advanced":
		r.Kind = drift.BasicProof
		return one(r)
	case "hmac-auth":
		r.Kind = drift.HMACProof
		return one(r)
	case "mtls-auth":
		r.Kind = drift.MTLSProof
		r.Forward = drift.ByDefault(false)
		r.MTLS = &drift.MTLS{CAs: v.list(nil, "ca_certificates"), Pins: v.bound(), Header: drift.ByDefault("")}
		return one(r)
	case "header-cert-auth":
		r.Kind = drift.MTLSProof
		r.Forward = drift.ByDefault(true)
		r.MTLS = &drift.MTLS{CAs: v.list(nil, "ca_certificates"), Pins: none, Header: v.str("", "certificate_header_name")}
		return one(r)
	case "session", "saml":
		r.Kind = drift.OIDCSession
		return one(r)
	case "oauth2":
		r.Kind = drift.ExtAuthz
		r.External = &drift.External{URL: drift.ByDefault("kong"), FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(0)), TTL: drift.ByDefault(int64(0)), CacheKey: none}
		return one(r)
	case "oauth2-introspection":
		r.Kind = drift.ExtAuthz
		r.External = &drift.External{URL: v.str("", "introspection_url"), FailOpen: drift.ByDefault(false), Timeout: v.num(10000, "timeout"), TTL: v.num(30, "ttl"), CacheKey: drift.ByDefault([]string{"token"})}
		return one(r)
	case "jwt":
		r.Kind, r.Forward = drift.JWTProof, drift.ByDefault(true)
		r.JWT = v.jwt()
		return one(r)
	case "jwt-signer":
		r.Kind, r.Forward = drift.JWTProof, drift.ByDefault(true)
		r.JWT = &drift.JWT{Issuers: v.list(nil, "access_token_issuers_allowed", "access_token_issuer"), Audiences: v.list(nil, "access_token_audiences_allowed"), Keys: v.list(nil, "access_token_jwks_uri"),
			Static: drift.ByDefault(false), Algorithms: drift.Unknown[[]string]("taken from the key set", v.origin(nil)), Signed: v.flag(true, "verify_access_token_signature"),
			Expires: v.flag(true, "verify_access_token_expiry"), Skew: v.num(0, "access_token_leeway"), Longest: drift.ByDefault(int64(0)), Claims: v.claims("access_token_scopes_claim", "access_token_scopes_required"),
			Sources: drift.ByDefault([]string{"header:Authorization"})}
		return one(r)
	}
	return v.openID(r)
}

func invert(l drift.Leaf[bool]) drift.Leaf[bool] { l.Value = !l.Value; return l }

func (v view) keyPlaces() drift.Leaf[[]string] {
	out := drift.ByDefault([]string(nil))
	out.Origin = v.origin(nil)
	for _, place := range []struct {
		key, name string
		def       bool
	}{{"key_in_header", "header", true}, {"key_in_query", "query", true}, {"key_in_body", "body", false}} {
		l := v.flag(place.def, place.key)
		if !l.Known() {
			return drift.Unknown[[]string](l.Cause, l.Origin)
		}
		if l.State != drift.Default {
			out.State, out.Origin = l.State, l.Origin
		}
		if l.Value {
			out.Value = append(out.Value, place.name)
		}
	}
	return out
}

// jwt: the issuers and keys are those of the consumers' credentials.
func (v view) jwt() *drift.JWT {
	var issuers, algs []string
	var first drift.Origin
	known := false
	for _, c := range v.r.consumers {
		for _, s := range c.node.Get("jwt_secrets").Items() {
			known = true
			if first.File == "" {
				first = s.Origin("consumer " + c.name)
			}
			if k := s.Get("key").Str(); k != "" {
				issuers = append(issuers, drift.Mask(v.r.text(k)))
			}
			alg := s.Get("algorithm").Str()
			if alg == "" {
				alg = "HS256"
			}
			algs = append(algs, alg)
		}
	}
	j := &drift.JWT{
		Audiences: drift.ByDefault([]string(nil)), Keys: drift.ByDefault([]string(nil)), Static: drift.ByDefault(true),
		Signed: drift.ByDefault(true), Skew: drift.ByDefault(int64(0)), Longest: v.num(0, "maximum_expiration"), Claims: drift.ByDefault([]drift.Claim(nil)),
	}
	if known {
		j.Issuers, j.Algorithms = drift.From(drift.Sorted(issuers), first), drift.From(drift.Sorted(algs), first)
	} else {
		j.Issuers = drift.Unknown[[]string]("credentials of consumers are not in the files", v.origin(nil))
		j.Algorithms = drift.Unknown[[]string]("credentials of consumers are not in the files", v.origin(nil))
	}
	verify := v.list(nil, "claims_to_verify")
	j.Expires = drift.Leaf[bool]{Value: slices.Contains(verify.Value, "exp"), State: verify.State, Origin: verify.Origin, Cause: verify.Cause}
	var sources []string
	l := drift.ByDefault(sources)
	for _, s := range []struct {
		key, prefix string
		def         []string
	}{{"header_names", "header:", []string{"authorization"}}, {"uri_param_names", "query:", []string{"jwt"}}, {"cookie_names", "cookie:", nil}} {
		names := v.list(s.def, s.key)
		if names.State == drift.Unresolved {
			l = names
			break
		}
		if names.State != drift.Default {
			l.State, l.Origin = names.State, names.Origin
		}
		for _, n := range names.Value {
			l.Value = append(l.Value, s.prefix+n)
		}
	}
	j.Sources = l
	return j
}

func (v view) claims(claimKey, valuesKey string) drift.Leaf[[]drift.Claim] {
	values := v.list(nil, valuesKey)
	out := drift.Leaf[[]drift.Claim]{State: values.State, Origin: values.Origin, Cause: values.Cause}
	if len(values.Value) > 0 {
		name := "scope"
		if c := v.list(nil, claimKey); len(c.Value) > 0 {
			name = strings.Join(c.Value, ".")
		}
		out.Value = []drift.Claim{{Name: name, Values: values.Value}}
	}
	return out
}

// openID offers a way for each kind of method that is switched on.
func (v view) openID(r drift.Requirement) drift.Ways {
	methods := v.list([]string{"authorization_code", "bearer", "client_credentials", "introspection", "kerberos_auth", "password", "refresh_token", "session", "userinfo"}, "auth_methods")
	issuer := v.str("", "issuer")
	j := &drift.JWT{
		Issuers: v.list(nil, "issuers_allowed"), Audiences: v.list(nil, "audience_required"), Keys: drift.Leaf[[]string]{Value: []string{issuer.Value}, State: issuer.State, Origin: issuer.Origin, Cause: issuer.Cause},
		Static: drift.ByDefault(false), Algorithms: drift.Unknown[[]string]("taken from the issuer's metadata", v.origin(nil)), Signed: v.flag(true, "verify_signature"),
		Expires: v.flag(true, "verify_claims"), Skew: v.num(0, "leeway"), Longest: drift.ByDefault(int64(0)), Sources: drift.ByDefault([]string{"header:Authorization", "query:access_token", "body:access_token"}),
	}
	if !v.has("issuers_allowed") {
		j.Issuers = drift.Leaf[[]string]{Value: []string{issuer.Value}, State: issuer.State, Origin: issuer.Origin, Cause: issuer.Cause}
	}
	if v.has("bearer_token_param_type") {
		types := v.list(nil, "bearer_token_param_type")
		out := drift.Leaf[[]string]{State: types.State, Origin: types.Origin, Cause: types.Cause}
		for _, t := range types.Value {
			out.Value = append(out.Value, map[string]string{"header": "header:Authorization", "query": "query:access_token", "body": "body:access_token", "cookie": "cookie"}[t])
		}
		j.Sources = out
	}
	var claims []drift.Claim
	l := drift.ByDefault(claims)
	for _, c := range []struct{ key, claim, def string }{{"scopes_required", "scopes_claim", "scope"}, {"roles_required", "roles_claim", "roles"}, {"groups_required", "groups_claim", "groups"}} {
		values := v.list(nil, c.key)
		if values.State == drift.Unresolved {
			l.State, l.Cause, l.Origin = drift.Unresolved, values.Cause, values.Origin
		}
		if len(values.Value) > 0 && values.Known() {
			name := strings.Join(v.list([]string{c.def}, c.claim).Or([]string{c.def}), ".")
			l.Value, l.State, l.Origin = append(l.Value, drift.Claim{Name: name, Values: values.Value}), values.State, values.Origin
		}
	}
	j.Claims = l
	r.Forward = drift.ByDefault(true)
	if n := v.node("upstream_access_token_header"); n != nil {
		r.Forward = leaf(v, n.Str() != "", n)
	}
	if !methods.Known() {
		r.Kind, r.JWT = drift.JWTProof, j
		return one(r)
	}
	var ways drift.Ways
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(methods.Value, n) })
	}
	if has("bearer", "introspection", "userinfo") {
		k := r
		k.Kind, k.JWT = drift.JWTProof, j
		ways = append(ways, one(k)...)
	}
	if has("authorization_code", "session", "refresh_token") {
		k := r
		k.Kind = drift.OIDCSession
		ways = append(ways, one(k)...)
	}
	if has("password", "client_credentials") {
		k := r
		k.Kind = drift.BasicProof
		ways = append(ways, one(k)...)
	}
	if len(ways) == 0 {
		r.Kind = drift.OIDCSession
		return one(r)
	}
	return ways
}

func (v view) has(key string) bool {
	n := v.node(key)
	return n != nil && len(n.Strs()) > 0
}

// bound is what mtls-auth ties a certificate to: a consumer, unless it is told not to look for one.
func (v view) bound() drift.Leaf[[]string] {
	skip := v.flag(false, "skip_consumer_lookup")
	l := drift.Leaf[[]string]{Value: []string{"consumer"}, State: skip.State, Origin: skip.Origin, Cause: skip.Cause}
	if skip.Value {
		l.Value = nil
	}
	return l
}
