package traefik

import (
	"net/url"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// apply adds what one middleware does.
func (b *builder) apply(u use) {
	p := b.p
	v := u.view
	change := func(n *source.Node, phase, target, op, name, value string) {
		if n == nil {
			n = v.n
		}
		grow(&p.Transforms, u, n, drift.Transform{Phase: phase, Target: target, Op: op, Name: name, Value: drift.ValueOf(name, value), Origin: n.Origin(v.scope)})
	}
	switch u.kind {
	case "basicauth", "digestauth":
		b.password(u)
	case "forwardauth":
		b.forward(u)
	case "ipallowlist", "ipwhitelist":
		p.IP.Allow = v.list(nil, "sourceRange")
		p.IP.Allow.Value = drift.Sorted(p.IP.Allow.Value)
		if s := keyIn(v.n, "ipStrategy"); s != nil {
			if d := v.num(0, "ipStrategy", "depth"); d.State != drift.Default {
				p.IP.Source, p.IP.Hops = leaf(v, "xff", s), d
			}
			if keyIn(s, "excludedIPs") != nil {
				p.IP.Source = leaf(v, "xff", s)
			}
		}
	case "ratelimit":
		if v.num(0, "average").Value != 0 || !v.num(0, "average").Known() {
			grow(&p.Rates, u, v.n, b.rate(v))
		}
	case "inflightreq":
		p.Limits.Breaker = leaf(v, strings.TrimPrefix(p.Limits.Breaker.Value+", "+keyIn(v.n, "amount").Str()+" calls at once", ", "), v.n)
	case "circuitbreaker":
		p.Limits.Breaker = leaf(v, strings.TrimPrefix(p.Limits.Breaker.Value+", "+drift.Mask(keyIn(v.n, "expression").Str()), ", "), v.n)
	case "buffering":
		p.Limits.Body = v.num(0, "maxRequestBodyBytes")
		if x := keyIn(v.n, "retryExpression"); x != nil {
			p.Limits.RetryOn = leaf(v, []string{drift.Mask(x.Str())}, x)
		}
	case "retry":
		p.Limits.Retries = v.num(1, "attempts")
		p.Limits.Retries.Value = max(0, p.Limits.Retries.Value-1)
	case "headers":
		b.headers(u, change)
	case "stripprefix", "stripprefixregex", "replacepath", "replacepathregex", "addprefix":
		change(v.n, "request", "path", "rewrite", "", u.kind+" "+v.n.Canonical())
	case "redirectscheme":
		if keyIn(v.n, "scheme").Str() == "https" {
			p.TLS.Redirect = leaf(v, code(v.n), v.n)
			return
		}
		change(v.n, "response", "status", "set", "redirect", v.n.Canonical())
	case "redirectregex":
		change(v.n, "response", "status", "set", "redirect", v.n.Canonical())
	case "errors":
		change(v.n, "response", "body", "replace", "errors", drift.Hash(v.n.Canonical()))
	case "passtlsclientcert":
		change(v.n, "request", "header", "set", "X-Forwarded-Tls-Client-Cert", "from the connection")
	case "compress", "contenttype", "grpcweb", "encodedcharacters":
	case "plugin":
		v.n.Each(func(name string, n *source.Node) { b.opaque(u, "plugin", name, n) })
	case "jwt", "oidc", "apikey", "hmac", "ldap", "oauthintrospection", "opa":
		b.demand(u, drift.Requirement{Kind: map[string]drift.RequirementKind{"jwt": drift.JWTProof, "oidc": drift.OIDCSession, "apikey": drift.KeyProof, "hmac": drift.HMACProof, "ldap": drift.BasicProof}[u.kind], Forward: drift.ByDefault(true)})
		w := &b.p.Auth.Ways
		if last := &w.Value[0].Needs[len(w.Value[0].Needs)-1]; last.Kind == "" {
			last.Kind = drift.ExtAuthz
		}
		*w = drift.DependsOn(w.Value, "details of "+u.kind+" are not read", u.thing.origin(u.n))
	default:
		b.opaque(u, "middleware", u.kind, v.n)
	}
}

// opaque keeps what cannot be compared but by its text, and may do anything.
func (b *builder) opaque(u use, kind, name string, n *source.Node) {
	grow(&b.p.Opaque, u, n, drift.Opaque{Kind: kind, Name: drift.Mask(name), Hash: drift.Hash(n.Canonical()), Code: drift.Shown(safe(n, 0)), Origin: n.Origin(u.scope())})
	if len(b.p.Auth.Ways.Value) == 0 {
		b.p.Auth.Ways = drift.Unknown[drift.Ways](kind+" "+drift.Mask(name)+" may authenticate", n.Origin(u.scope()))
	}
}

func (u use) scope() string { return u.view.scope }

// safe writes a configuration for people, without the values of fields that hold secrets.
func safe(n *source.Node, depth int) string {
	if n == nil || depth > 8 {
		return ""
	}
	if n.Kind != source.Map {
		return n.Canonical()
	}
	var b strings.Builder
	for _, k := range drift.Sorted(n.Keys) {
		if v := n.Get(k); v.Kind == source.Map {
			b.WriteString(k + ": {" + safe(v, depth+1) + "}\n")
		} else {
			b.WriteString(k + ": " + string(drift.ValueOf(k, v.Canonical())) + "\n")
		}
	}
	return b.String()
}

func code(n *source.Node) int64 {
	if on, _ := keyIn(n, "permanent").Bool(); on {
		return 301
	}
	return 302
}

// redirects reports whether a router only sends plain calls to HTTPS.
func (r *reader) redirects(t *router) (drift.Leaf[int64], bool) {
	if t.tls != nil {
		return drift.Leaf[int64]{}, false
	}
	for _, e := range r.listens(t) {
		chain, _ := r.chain(t, e)
		for _, u := range chain {
			if u.kind == "redirectscheme" && keyIn(u.n, "scheme").Str() == "https" {
				return leaf(u.view, code(u.n), u.n), true
			}
		}
	}
	return drift.Leaf[int64]{}, false
}

func (b *builder) password(u use) {
	v := u.view
	for _, k := range []string{"users", "usersFile", "secret"} {
		if n := keyIn(v.n, k); n != nil && k == "users" && len(n.Strs()) > 0 {
			b.literal("basic credentials", n.Origin(v.scope))
		}
	}
	b.demand(u, drift.Requirement{Kind: drift.BasicProof, Forward: not(v.flag(false, "removeHeader"))})
}

func (r *reader) literal(what string, o drift.Origin) {
	for _, l := range r.env.Literals {
		if l.Origin == o {
			return
		}
	}
	r.env.Literals = append(r.env.Literals, drift.Literal{What: what, Origin: o})
}

// forward reads an authorizer that is asked before each call. Without its answer the call is refused.
func (b *builder) forward(u use) {
	v := u.view
	address := v.str("", "address")
	if x, err := url.Parse(address.Value); err == nil && address.Known() {
		b.env.Refer("issuer", x.Scheme+"://"+x.Host, address.Origin)
	}
	b.demand(u, drift.Requirement{Kind: drift.ExtAuthz, Forward: drift.ByDefault(true), External: &drift.External{URL: address, FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(30_000)), TTL: drift.ByDefault(int64(0)), CacheKey: drift.ByDefault([]string(nil))}})
	for _, h := range v.list(nil, "authResponseHeaders").Value {
		grow(&b.p.Transforms, u, keyIn(v.n, "authResponseHeaders"), drift.Transform{Phase: "request", Target: "header", Op: "set", Name: h, Value: "from the authorizer", Origin: v.n.Origin(v.scope)})
	}
	if trust := v.flag(false, "trustForwardHeader"); trust.Known() && trust.Value {
		b.p.Debug = leaf(v, append(b.p.Debug.Value, "forwardAuth trusts X-Forwarded headers of callers"), keyIn(v.n, "trustForwardHeader"))
	}
}

func (b *builder) rate(v view) drift.Rate {
	window := v.millis(1000, "period")
	count := v.num(0, "average")
	if window.Known() {
		if window.Value%1000 != 0 && window.Value > 0 && count.Known() { // a window below a second, as calls per second
			count.Value = count.Value * 1000 / window.Value
			window.Value = 1000
		}
		window.Value /= 1000
	}
	key := drift.ByDefault("ip")
	if c := keyIn(v.n, "sourceCriterion"); c != nil {
		switch on, _ := keyIn(c, "requestHost").Bool(); {
		case keyIn(c, "requestHeaderName").Str() != "":
			key = leaf(v, "header:"+strings.ToLower(keyIn(c, "requestHeaderName").Str()), c)
		case on:
			key = leaf(v, "global", c)
		case keyIn(c, "ipStrategy") != nil:
			key = leaf(v, "ip", c)
		}
	}
	how, open := drift.ByDefault("per_replica"), drift.ByDefault(false)
	if n := keyIn(v.n, "redis"); n != nil {
		how, open = leaf(v, "shared", n), not(v.flag(true, "redis", "denyOnError"))
	}
	return drift.Rate{Count: count, Window: window, Burst: v.num(1, "burst"), Algorithm: drift.ByDefault("token bucket"), Key: key, Enforcement: how, Replicas: b.replicas(), FailOpen: open,
		Exempt: drift.Leaf[[]string]{Value: drift.Sorted(v.list(nil, "sourceCriterion", "ipStrategy", "excludedIPs").Value), State: v.list(nil, "sourceCriterion", "ipStrategy", "excludedIPs").State}, Status: drift.ByDefault(int64(429))}
}

// headers reads the middleware that changes headers, answers preflights and tells browsers what to insist on.
func (b *builder) headers(u use, change func(n *source.Node, phase, target, op, name, value string)) {
	v, p := u.view, b.p
	for _, k := range []struct{ key, phase string }{{"customRequestHeaders", "request"}, {"customResponseHeaders", "response"}} {
		n := keyIn(v.n, k.key)
		if n == nil {
			continue
		}
		for _, name := range drift.Sorted(n.Keys) {
			if n.Get(name).Str() == "" {
				change(n.Get(name), k.phase, "header", "remove", name, "")
			} else {
				change(n.Get(name), k.phase, "header", "set", name, n.Get(name).Str())
			}
		}
	}
	if s := keyIn(v.n, "stsSeconds"); s != nil {
		p.TLS.HSTS = v.num(0, "stsSeconds")
	}
	for _, k := range []struct{ key, name, value string }{{"frameDeny", "X-Frame-Options", "DENY"}, {"contentTypeNosniff", "X-Content-Type-Options", "nosniff"}, {"browserXssFilter", "X-XSS-Protection", "1; mode=block"}} {
		if on := v.flag(false, k.key); on.Value {
			change(keyIn(v.n, k.key), "response", "header", "set", k.name, k.value)
		}
	}
	for _, k := range []struct{ key, name string }{{"customFrameOptionsValue", "X-Frame-Options"}, {"contentSecurityPolicy", "Content-Security-Policy"}, {"referrerPolicy", "Referrer-Policy"}, {"permissionsPolicy", "Permissions-Policy"}} {
		if n := keyIn(v.n, k.key); n.Str() != "" {
			change(n, "response", "header", "set", k.name, n.Str())
		}
	}
	if on, _ := keyIn(v.n, "sslRedirect").Bool(); on {
		p.TLS.Redirect = leaf(v, int64(301), keyIn(v.n, "sslRedirect"))
	}
	if on, _ := keyIn(v.n, "isDevelopment").Bool(); on {
		p.Debug = leaf(v, append(p.Debug.Value, "headers.isDevelopment"), keyIn(v.n, "isDevelopment"))
	}
	cors := false
	for _, k := range v.n.Keys {
		cors = cors || strings.HasPrefix(strings.ToLower(k), "accesscontrolalloworigin") || strings.HasPrefix(strings.ToLower(k), "accesscontrolallowmethods")
	}
	if !cors {
		return
	}
	origins := v.list(nil, "accessControlAllowOriginList")
	if re := v.list(nil, "accessControlAllowOriginListRegex"); re.State != drift.Default {
		for _, s := range re.Value {
			origins.Value = append(origins.Value, "~"+s)
		}
		origins.State, origins.Origin, origins.Cause = re.State, re.Origin, re.Cause
	}
	p.CORS = drift.CORS{Enabled: leaf(v, true, v.n), Origins: origins, Methods: v.list(nil, "accessControlAllowMethods"), Headers: v.list(nil, "accessControlAllowHeaders"), Expose: v.list(nil, "accessControlExposeHeaders"),
		Credentials: v.flag(false, "accessControlAllowCredentials"), MaxAge: v.num(0, "accessControlMaxAge")}
	for _, o := range origins.Value {
		b.env.Refer("cors_origin", o, origins.Origin)
	}
}
