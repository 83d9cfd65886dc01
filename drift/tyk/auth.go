package tyk

import (
	"encoding/base64"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// keyless reports whether the API asks nobody for anything.
func (a *api) keyless() bool {
	if a.oas {
		return !a.on("", "server/authentication/enabled")
	}
	return a.on("use_keyless", "")
}

// scheme is one method of authentication that is switched on.
type scheme struct {
	name string // in the OAS document's security
	kind string
	node *source.Node // where it is written
	from *source.Node // where the credential is taken from
}

// schemes are the methods that are switched on, in the gateway's order.
func (a *api) schemes() []scheme {
	if a.oas {
		return a.documentedSchemes()
	}
	var out []scheme
	for _, s := range []struct{ flag, kind, config string }{
		{"use_oauth2", "oauth", "oauth"}, {"external_oauth/enabled", "external", "oauth"}, {"use_basic_auth", "basic", "basic"}, {"enable_signature_checking", "hmac", "hmac"}, {"enable_jwt", "jwt", "jwt"}, {"use_openid", "oidc", "oidc"},
		{"enable_coprocess_auth", "custom", "coprocess"}, {"use_go_plugin_auth", "custom", "coprocess"}, {"custom_plugin_auth_enabled", "custom", "coprocess"}, {"use_standard_auth", "token", "authToken"},
	} {
		if !a.on(s.flag, "") || s.kind == "custom" && len(out) > 0 && out[len(out)-1].kind == "custom" {
			continue
		}
		from := a.root.Get("auth_configs", s.config)
		if from == nil {
			from = a.root.Get("auth")
		}
		out = append(out, scheme{s.config, s.kind, a.n(s.flag, ""), from})
	}
	if len(out) == 0 && !a.on("use_mutual_tls_auth", "") {
		from := a.root.Get("auth_configs", "authToken")
		if from == nil {
			from = a.root.Get("auth")
		}
		at := from
		if at == nil {
			at = a.doc
		}
		out = append(out, scheme{"authToken", "token", at, from})
	}
	return out
}

func (a *api) documentedSchemes() []scheme {
	var out []scheme
	auth := a.root.Get("server", "authentication")
	auth.Get("securitySchemes").Each(func(name string, n *source.Node) {
		if on, _ := n.Get("enabled").Bool(); !on {
			return
		}
		declared := a.doc.Get("components", "securitySchemes", name)
		kind := "token"
		switch typ, how := declared.Get("type").Str(), strings.ToLower(declared.Get("scheme").Str()); {
		case n.Has("providers"):
			kind = "external"
		case typ == "http" && how == "basic":
			kind = "basic"
		case typ == "http" && how == "bearer", n.Has("signingMethod"), n.Has("jwksURIs"):
			kind = "jwt"
		case typ == "oauth2", n.Has("allowedAuthorizeTypes"):
			kind = "oauth"
		case typ == "" && name != "authToken" && !n.Has("header") && !n.Has("query"):
			kind = "unknown"
		}
		out = append(out, scheme{name, kind, n, n})
	})
	for _, k := range []string{"hmac", "oidc", "custom"} {
		if n := auth.Get(k); n != nil {
			if on, _ := n.Get("enabled").Bool(); on {
				out = append(out, scheme{k, k, n, n})
			}
		}
	}
	return out
}

func (e *endpoint) auth(p *drift.Policy) {
	p.Auth = drift.Auth{Fallback: drift.ByDefault(false), Optional: drift.ByDefault(false), Exempt: drift.ByDefault(false)}
	at := e.n("use_keyless", "server/authentication")
	if at == nil {
		at = e.doc
	}
	v := e.wide()
	if e.keyless() {
		p.Auth.Ways = leaf(v, drift.Ways{}, at)
		if e.guarded() {
			p.Auth.Ways = drift.Unknown[drift.Ways]("custom code may authenticate", at.Origin(v.scope))
		}
		return
	}
	if n := e.rules["ignore"]; n != nil {
		p.Auth.Ways, p.Auth.Exempt = leaf(e.own(), drift.Ways{}, n), leaf(e.own(), true, n)
		return
	}
	var mutual []drift.Requirement
	if n := e.n("use_mutual_tls_auth", "server/clientCertificates/enabled"); e.on("use_mutual_tls_auth", "server/clientCertificates/enabled") {
		mutual = append(mutual, drift.Requirement{Kind: drift.MTLSProof, Name: "mtls", Origin: n.Origin(v.scope), Forward: drift.ByDefault(false),
			MTLS: &drift.MTLS{CAs: drift.ByDefault([]string(nil)), Pins: v.list(e.n("client_certificates", "server/clientCertificates/allowlist"), nil), Header: drift.ByDefault("")}})
	}
	made := map[string]drift.Requirement{}
	var all []drift.Requirement
	for _, s := range e.schemes() {
		if s.kind == "unknown" {
			p.Auth.Ways = drift.Unknown[drift.Ways]("the scheme "+s.name+" is not declared in the document", s.node.Origin(v.scope))
			return
		}
		made[s.name] = e.requirement(v, s)
		all = append(all, made[s.name])
	}
	ways := drift.Ways{{Needs: append(mutual, all...)}}
	if security := e.doc.Get("security"); e.oas && len(security.Items()) > 0 {
		var unclear string
		if ways, unclear = e.demanded(security.Items(), made, mutual); unclear != "" {
			p.Auth.Ways = drift.Unknown[drift.Ways](unclear, security.Origin(v.scope))
			return
		}
	}
	if len(mutual)+len(all) == 0 {
		p.Auth.Ways = drift.Unknown[drift.Ways]("authentication is on, and no method is", at.Origin(v.scope))
		return
	}
	p.Auth.Ways = leaf(v, ways, at)
}

// demanded are the ways in that the document's security names: all of them where the gateway is told to comply, and otherwise the first
// alone. What stands outside the document's schemes is demanded beside it.
func (e *endpoint) demanded(security []*source.Node, made map[string]drift.Requirement, mutual []drift.Requirement) (ways drift.Ways, unclear string) {
	if e.n("", "server/authentication/securityProcessingMode").Str() != "compliant" {
		security = security[:1]
	}
	for _, n := range security {
		needs := append([]drift.Requirement(nil), mutual...)
		for _, name := range n.Keys {
			q, ok := made[name]
			if !ok {
				return nil, "the scheme " + name + " is named in the document's security and is not switched on"
			}
			needs = append(needs, q)
		}
		for _, k := range []string{"hmac", "oidc", "custom"} {
			if q, ok := made[k]; ok && !n.Has(k) && e.root.Get("server", "authentication", "securitySchemes", k) == nil {
				needs = append(needs, q)
			}
		}
		if len(needs) == 0 {
			return nil, "the document's security holds an empty alternative"
		}
		ways = append(ways, drift.Way{Needs: needs})
	}
	return ways, ""
}

func (e *endpoint) requirement(v view, s scheme) drift.Requirement {
	q := drift.Requirement{Name: s.kind, Origin: s.node.Origin(v.scope), Forward: not(v.flag(e.n("strip_auth_data", "server/authentication/stripAuthorizationData"), false))}
	none := drift.ByDefault([]string(nil))
	switch s.kind {
	case "token":
		q.Kind, q.Key = drift.KeyProof, e.places(v, s.from)
	case "basic":
		q.Kind = drift.BasicProof
	case "hmac":
		q.Kind = drift.HMACProof
	case "jwt":
		q.Kind, q.JWT = drift.JWTProof, e.jwt(v, s)
	case "oidc":
		q.Kind = drift.OIDCSession
	case "oauth", "external":
		q.Kind = drift.ExtAuthz
		q.External = &drift.External{URL: drift.ByDefault("tyk"), FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(0)), TTL: drift.ByDefault(int64(0)), CacheKey: none}
		if s.kind == "external" {
			e.asked(v, q.External, s)
		}
	default:
		q.Kind = drift.CustomCode
		q.External = &drift.External{URL: drift.Unknown[string]("custom code", s.node.Origin(v.scope)), FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(0)), TTL: drift.ByDefault(int64(0)), CacheKey: none}
	}
	return q
}

// asked reads which service is asked about tokens, and for how long its answers are kept.
func (e *endpoint) asked(v view, x *drift.External, s scheme) {
	n := s.from
	if !n.Has("providers") {
		n = e.root.Get("external_oauth")
	}
	x.URL = drift.Unknown[string]("no provider is asked", s.node.Origin(v.scope))
	for _, p := range n.Get("providers").Items() {
		i := p.Get("introspection")
		if on, _ := i.Get("enabled").Bool(); !on {
			continue
		}
		if u := i.Get("url"); u.Str() != "" {
			x.URL = leaf(v, drift.Mask(u.Str()), u)
		}
		if on, _ := i.Get("cache", "enabled").Bool(); on {
			x.TTL = drift.Unknown[int64]("the time is not a number", i.Get("cache").Origin(v.scope))
			if t, ok := i.Get("cache", "timeout").Int(); ok {
				x.TTL = leaf(v, t, i.Get("cache", "timeout"))
			}
		}
		return
	}
}

// sources reads where a credential is taken from, which the formats write differently.
func (e *endpoint) sources(n *source.Node, def string) (in, names []string) {
	take := func(kind, name, plain string) {
		if name == "" {
			name = plain
		}
		if name != "" {
			in, names = append(in, kind), append(names, strings.ToLower(name))
		}
	}
	if e.oas {
		for _, k := range []string{"header", "query", "cookie"} {
			on, ok := n.Get(k, "enabled").Bool()
			if !on && (k != "header" || ok) {
				continue
			}
			take(k, n.Get(k, "name").Str(), def)
		}
		return
	}
	if off, _ := n.Get("disable_header").Bool(); !off {
		take("header", n.Get("auth_header_name").Str(), def)
	}
	header := n.Get("auth_header_name").Str()
	for _, k := range []struct{ kind, on, name string }{{"query", "use_param", "param_name"}, {"cookie", "use_cookie", "cookie_name"}} {
		if on, _ := n.Get(k.on).Bool(); on {
			name := n.Get(k.name).Str()
			if name == "" {
				name = header
			}
			take(k.kind, name, def)
		}
	}
	return
}

func (e *endpoint) places(v view, n *source.Node) *drift.APIKey {
	in, names := e.sources(n, "authorization")
	if n == nil {
		return &drift.APIKey{In: drift.ByDefault(in), Names: drift.ByDefault(names)}
	}
	return &drift.APIKey{In: leaf(v, in, n), Names: leaf(v, drift.Sorted(names), n)}
}

var families = map[string][]string{"hmac": {"HS256", "HS384", "HS512"}, "rsa": {"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}, "ecdsa": {"ES256", "ES384", "ES512"}}

func (e *endpoint) jwt(v view, s scheme) *drift.JWT {
	get := func(classic, oas string) *source.Node {
		if e.oas {
			return s.node.Get(oas)
		}
		return e.root.Get(classic)
	}
	at := s.node.Origin(v.scope)
	j := &drift.JWT{Issuers: v.list(get("jwt_allowed_issuers", "allowedIssuers"), nil), Audiences: v.list(get("jwt_allowed_audiences", "allowedAudiences"), nil), Signed: drift.ByDefault(true),
		Expires: drift.Unknown[bool]("whether a token must have an end is not documented", at), Skew: v.num(get("jwt_expires_at_validation_skew", "expiresAtValidationSkew"), 0), Longest: drift.ByDefault(int64(0)),
		Claims: drift.ByDefault([]drift.Claim(nil)), Static: drift.ByDefault(false), Keys: drift.Unknown[[]string]("keys of callers are not in the files", at)}
	method := get("jwt_signing_method", "signingMethod")
	j.Algorithms = drift.Unknown[[]string]("the signing method is not written", at)
	if list := families[strings.ToLower(method.Str())]; list != nil {
		j.Algorithms = leaf(v, list, method)
	}
	if n := get("jwt_source", "source"); n.Str() != "" {
		text := n.Str()
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			text = string(b)
		}
		if strings.HasPrefix(text, "http") {
			j.Keys = leaf(v, []string{drift.Mask(text)}, n)
			e.env.Refer("issuer", text, n.Origin(v.scope))
		} else {
			j.Keys, j.Static = leaf(v, []string(nil), n), leaf(v, true, n)
		}
		if cause, is := elsewhere(n); is {
			j.Keys, j.Static = drift.Unknown[[]string](cause, n.Origin(v.scope)), drift.Unknown[bool](cause, n.Origin(v.scope))
		}
	}
	if n := get("jwt_jwks_uris", "jwksURIs"); len(n.Items()) > 0 {
		var urls []string
		for _, u := range n.Items() {
			urls = append(urls, drift.Mask(u.Get("url").Str()))
			e.env.Refer("issuer", u.Get("url").Str(), u.Origin(v.scope))
		}
		j.Keys, j.Static = leaf(v, urls, n), drift.ByDefault(false)
	}
	j.Claims = e.scoped(v, get)
	in, names := e.sources(s.from, "authorization")
	var sources []string
	for i := range in {
		sources = append(sources, in[i]+":"+names[i])
	}
	j.Sources = drift.ByDefault(sources)
	return j
}

// scoped are the scopes of which a token must hold one: those that choose a policy, where no policy counts without.
func (e *endpoint) scoped(v view, get func(classic, oas string) *source.Node) drift.Leaf[[]drift.Claim] {
	if n := get("jwt_default_policies", "defaultPolicies"); len(n.Items()) > 0 {
		return drift.ByDefault([]drift.Claim(nil))
	}
	name, mapping := e.root.Get("jwt_scope_claim_name"), e.root.Get("jwt_scope_to_policy_mapping")
	if m := e.root.Get("scopes", "jwt"); m != nil {
		name, mapping = m.Get("scope_claim_name"), m.Get("scope_to_policy")
	}
	var values []string
	if e.oas {
		n := get("", "scopes")
		name, mapping = n.Get("claimName"), n.Get("scopeToPolicyMapping")
		for _, m := range mapping.Items() {
			values = append(values, drift.Mask(m.Get("scope").Str()))
		}
	} else if mapping != nil {
		values = append(values, mapping.Keys...)
	}
	if len(values) == 0 {
		return drift.ByDefault([]drift.Claim(nil))
	}
	claim := name.Str()
	if claim == "" {
		claim = "scope"
	}
	return leaf(v, []drift.Claim{{Name: claim, Values: drift.Sorted(values)}}, mapping)
}
