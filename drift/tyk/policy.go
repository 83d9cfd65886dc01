package tyk

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

func (e *endpoint) policy(allowed bool, class string) *drift.Policy {
	p := &drift.Policy{}
	e.auth(p)
	e.access(p, allowed)
	e.rates(p, class)
	e.limits(p)
	e.cors(p)
	e.transforms(p)
	e.code(p)
	e.tls(p)
	e.upstream(p)
	e.observe(p)
	return p
}

func (e *endpoint) access(p *drift.Policy, allowed bool) {
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	deny := func(l drift.Leaf[[]drift.AccessRule]) {
		l.Value = []drift.AccessRule{{Effect: "deny", Subjects: []string{"everybody, with status 403"}}}
		p.Access.Rules = l
	}
	switch {
	case e.rules["block"] != nil:
		deny(leaf(e.own(), []drift.AccessRule(nil), e.rules["block"]))
	case allowed && e.rules["allow"] == nil && e.rules["ignore"] == nil:
		deny(drift.From([]drift.AccessRule(nil), e.node.Origin(e.api.scope())))
	case e.rules["internal"] != nil:
		deny(leaf(e.own(), []drift.AccessRule(nil), e.rules["internal"]))
	}
	v := e.wide()
	p.IP = drift.IPFilter{Allow: drift.ByDefault([]string(nil)), Deny: drift.ByDefault([]string(nil)), Source: drift.Unknown[string](fromConf, drift.Origin{Scope: "tyk.conf"}), Hops: drift.Unknown[int64](fromConf, drift.Origin{Scope: "tyk.conf"})}
	if e.on("enable_ip_whitelisting", "server/ipAccessControl/enabled") {
		p.IP.Allow = v.list(e.n("allowed_ips", "server/ipAccessControl/allow"), nil)
	}
	if e.on("enable_ip_blacklisting", "server/ipAccessControl/enabled") {
		p.IP.Deny = v.list(e.n("blacklisted_ips", "server/ipAccessControl/block"), nil)
	}
	p.WAF, p.Debug = drift.ByDefault([]string(nil)), drift.ByDefault([]string(nil))
	if n := e.rules["validate"]; n != nil {
		p.WAF = leaf(e.own(), []string{"validate request"}, n)
	}
	if n := e.rules["mock"]; n != nil {
		p.Debug = leaf(e.own(), []string{"mock response"}, n)
	}
}

// limit is one rate as both formats write it.
func (e *endpoint) limit(v view, n *source.Node, key string) (drift.Rate, bool) {
	if off, _ := n.Get("disabled").Bool(); n == nil || off {
		return drift.Rate{}, false
	}
	if on, ok := n.Get("enabled").Bool(); ok && !on {
		return drift.Rate{}, false
	}
	count := v.num(n.Get("rate"), 0)
	if count.Known() && count.Value <= 0 {
		return drift.Rate{}, false
	}
	const where = "which limiter counts is " + fromConf
	r := drift.Rate{Count: count, Window: value(v, n.Get("per"), int64(1), seconds), Burst: drift.ByDefault(int64(0)), Algorithm: drift.Unknown[string](where, drift.Origin{}), Key: drift.ByDefault(key),
		Enforcement: drift.Unknown[string](where, drift.Origin{}), Replicas: drift.Unknown[int64]("replicas are not in the files", drift.Origin{}), FailOpen: drift.Unknown[bool](where, drift.Origin{}), Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(int64(429))}
	return r, true
}

// seconds reads numbers of seconds and Go's durations.
func seconds(n *source.Node) (int64, bool) {
	if f, ok := n.Float(); ok {
		return int64(math.Ceil(f)), f >= 0 && f < 1<<40
	}
	d, err := time.ParseDuration(n.Str())
	return int64(math.Ceil(d.Seconds())), err == nil && d >= 0
}

// rates are the API's own limit, the endpoint's, and that of the caller's policies, of which the most permissive counts.
func (e *endpoint) rates(p *drift.Policy, class string) {
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil))
	put := func(v view, n *source.Node, r drift.Rate) {
		p.Rates = leaf(v, append(p.Rates.Value, r), n)
	}
	noRate := e.on("disable_rate_limit", "middleware/global/skipRateLimit")
	for _, c := range []struct {
		v view
		n *source.Node
	}{{e.own(), e.rules["rate"]}, {e.wide(), e.n("global_rate_limit", "upstream/rateLimit")}} {
		if r, ok := e.limit(c.v, c.n, "global"); ok && !noRate {
			put(c.v, c.n, r)
		}
	}
	if e.keyless() || e.rules["ignore"] != nil {
		return
	}
	var ids []string
	switch {
	case class != "":
		ids = []string{class}
	case slices.ContainsFunc(e.schemes(), func(s scheme) bool { return s.kind == "jwt" }):
		ids = e.defaults()
	}
	noQuota := e.on("disable_quota", "middleware/global/skipQuota")
	rate, quota, at := e.permissive(ids)
	if at == nil {
		const cause = "limits of keys and policies are not among the files"
		if !noRate {
			r, _ := e.limit(e.wide(), &source.Node{Kind: source.Map, Keys: []string{"rate"}, Values: []*source.Node{{Kind: source.Number, Text: "1"}}}, "credential")
			r.Count, r.Window = drift.Unknown[int64](cause, e.origin()), drift.Unknown[int64](cause, e.origin())
			put(e.wide(), e.doc, r)
		}
		if !noQuota {
			p.Quotas = drift.Unknown[[]drift.Quota](cause, e.origin())
		}
		return
	}
	v := view{e, "policy", true}
	if rate.Count.Known() && !noRate {
		put(v, at, rate)
	}
	if quota != nil && !noQuota {
		p.Quotas = leaf(v, []drift.Quota{*quota}, at)
	}
}

// defaults are the policies that a token has when it names none.
func (e *endpoint) defaults() []string {
	if !e.oas {
		return e.root.Get("jwt_default_policies").Strs()
	}
	for _, s := range e.schemes() {
		if s.kind == "jwt" {
			return s.node.Get("defaultPolicies").Strs()
		}
	}
	return nil
}

// permissive combines policies: the highest rate and the highest quota count. at is nil when one of them is not among the files, or none is named.
func (e *endpoint) permissive(ids []string) (best drift.Rate, quota *drift.Quota, at *source.Node) {
	perSecond, unlimited, endless := -1.0, false, false
	for _, id := range ids {
		n := e.policies[id]
		if n == nil {
			return drift.Rate{}, nil, nil
		}
		v, scope := view{e, "policy " + drift.Mask(id), true}, n
		if l := n.Get("access_rights", e.id(), "limit"); l.Has("rate") {
			scope = l // a limit for this API alone
		}
		if at == nil {
			at = scope
		}
		r, ok := e.limit(v, scope, "credential")
		if !ok {
			unlimited = true
		} else if f := float64(r.Count.Value) / math.Max(1, float64(r.Window.Value)); f > perSecond {
			best, perSecond, at = r, f, scope
		}
		max, ok := scope.Get("quota_max").Int()
		if !ok || max <= 0 {
			endless = true
		} else if quota == nil || max > quota.Count.Value {
			quota = &drift.Quota{Count: leaf(v, max, scope.Get("quota_max")), Period: v.num(scope.Get("quota_renewal_rate"), 0), Unit: "calls", Key: drift.ByDefault("credential")}
		}
	}
	if unlimited {
		best = drift.Rate{}
	}
	if endless {
		quota = nil
	}
	return best, quota, at
}

func (e *endpoint) limits(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	l := &p.Limits
	l.Header, l.Connect = drift.Unknown[int64](fromConf, drift.Origin{Scope: "tyk.conf"}), drift.Unknown[int64](fromConf, drift.Origin{Scope: "tyk.conf"})
	l.Read, l.Retries, l.RetryOn, l.Breaker = drift.Unknown[int64](fromConf, drift.Origin{Scope: "tyk.conf"}), drift.ByDefault(int64(0)), none, drift.ByDefault("")
	l.Body = drift.ByDefault(int64(0))
	size := e.version.Get("global_size_limit")
	if e.oas {
		size = nil
		if e.on("", "middleware/global/requestSizeLimit/enabled") {
			size = e.root.Get("middleware", "global", "requestSizeLimit", "value")
		}
	}
	if n, _ := size.Int(); size != nil && n != 0 {
		l.Body = e.wide().num(size, 0)
	}
	pick := func(n *source.Node, classic, oas string) *source.Node {
		if e.oas {
			return n.Get(oas)
		}
		return n.Get(classic)
	}
	if n := e.rules["size"]; n != nil {
		if own := e.own().num(pick(n, "size_limit", "value"), 0); !l.Body.Known() || l.Body.Value == 0 || !own.Known() || own.Value < l.Body.Value {
			l.Body = own // both are tested
		}
	}
	if n := e.rules["timeout"]; n != nil {
		l.Read = e.own().num(pick(n, "timeout", "value"), 0)
		l.Read.Value = min(l.Read.Value, math.MaxInt64/1000) * 1000
	}
	if n := e.rules["breaker"]; n != nil {
		text := fmt.Sprintf("over %s of %s calls for %ss", pick(n, "threshold_percent", "threshold").Str(), pick(n, "samples", "sampleSize").Str(), pick(n, "return_to_service_after", "coolDownPeriod").Str())
		l.Breaker = leaf(e.own(), text, n)
	}
}

func (e *endpoint) cors(p *drift.Policy) {
	off, none := drift.ByDefault(false), drift.ByDefault([]string(nil))
	p.CORS = drift.CORS{Enabled: off, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: off, MaxAge: drift.ByDefault(int64(0))}
	if !e.on("CORS/enable", "middleware/global/cors/enabled") {
		return
	}
	v := e.wide()
	n := func(classic, oas string) *source.Node { return e.n("CORS/"+classic, "middleware/global/cors/"+oas) }
	p.CORS = drift.CORS{Enabled: leaf(v, true, n("enable", "enabled")), Origins: v.list(n("allowed_origins", "allowedOrigins"), []string{"*"}), Methods: v.list(n("allowed_methods", "allowedMethods"), []string{"GET", "POST", "HEAD"}),
		Headers: v.list(n("allowed_headers", "allowedHeaders"), nil), Expose: v.list(n("exposed_headers", "exposedHeaders"), nil), Credentials: v.flag(n("allow_credentials", "allowCredentials"), false), MaxAge: v.num(n("max_age", "maxAge"), 0)}
	if l := &p.CORS.Origins; l.Known() && len(l.Value) == 0 {
		l.Value = []string{"*"} // an empty list admits all
	}
	for _, o := range p.CORS.Origins.Or(nil) {
		e.env.Refer("cors_origin", o, p.CORS.Origins.Origin)
	}
}

// headers are changes of headers in either of the formats.
func (e *endpoint) headers(phase string, v view, remove, add *source.Node) []drift.Transform {
	var out []drift.Transform
	put := func(op, name, text string, n *source.Node) {
		out = append(out, drift.Transform{Phase: phase, Target: "header", Op: op, Name: name, Value: drift.ValueOf(name, text), Origin: n.Origin(v.scope)})
	}
	for _, s := range drift.Sorted(remove.Strs()) {
		put("remove", s, "", remove)
	}
	values := map[string]*source.Node{}
	add.Each(func(k string, n *source.Node) { values[k] = n })
	for _, n := range add.Items() {
		values[n.Get("name").Str()] = n.Get("value")
	}
	var names []string
	for k := range values {
		names = append(names, k)
	}
	for _, k := range drift.Sorted(names) {
		if values[k] != nil {
			put("set", k, values[k].Str(), values[k])
		}
	}
	return out
}

func (e *endpoint) transforms(p *drift.Policy) {
	p.Transforms = drift.ByDefault([]drift.Transform(nil))
	put := func(v view, n *source.Node, list ...drift.Transform) {
		if len(list) > 0 {
			p.Transforms = leaf(v, append(p.Transforms.Value, list...), n)
		}
	}
	for _, c := range []struct{ phase, kind, remove, add, oas string }{{"request", "headers", "global_headers_remove", "global_headers", "transformRequestHeaders"}, {"response", "answers", "global_response_headers_remove", "global_response_headers", "transformResponseHeaders"}} {
		if n := e.root.Get("middleware", "global", c.oas); e.oas {
			if on, _ := n.Get("enabled").Bool(); on {
				put(e.wide(), n, e.headers(c.phase, e.wide(), n.Get("remove"), n.Get("add"))...)
			}
		} else if off, _ := e.version.Get(c.add + "_disabled").Bool(); !off {
			put(e.wide(), e.version, e.headers(c.phase, e.wide(), e.version.Get(c.remove), e.version.Get(c.add))...)
		}
		if n := e.rules[c.kind]; n != nil && e.oas {
			put(e.own(), n, e.headers(c.phase, e.own(), n.Get("remove"), n.Get("add"))...)
		} else if n != nil {
			put(e.own(), n, e.headers(c.phase, e.own(), n.Get("delete_headers"), n.Get("add_headers"))...)
		}
	}
	for _, c := range []struct{ kind, target, op string }{{"rewrite", "path", "rewrite"}, {"method", "method", "set"}, {"body", "body", "replace"}, {"jq", "body", "replace"}} {
		if n := e.rules[c.kind]; n != nil {
			text := ""
			for _, k := range []string{"rewrite_to", "rewriteTo", "to_method", "toMethod"} {
				text += n.Get(k).Str()
			}
			if c.target == "body" {
				text = drift.Hash(n.Get("template_data").Canonical() + n.Get("body").Canonical() + n.Get("filter").Canonical())
			}
			put(e.own(), n, drift.Transform{Phase: "request", Target: c.target, Op: c.op, Value: drift.Shown(text), Origin: n.Origin(e.label())})
		}
	}
	if e.on("proxy/preserve_host_header", "upstream/preserveHostHeader/enabled") {
		n := e.n("proxy/preserve_host_header", "upstream/preserveHostHeader/enabled")
		put(e.wide(), n, drift.Transform{Phase: "request", Target: "host", Op: "set", Origin: n.Origin(e.api.scope())})
	}
}

// hooks are places where somebody's own code runs. Code before authentication and bundles may refuse callers.
var hooks = []struct {
	classic, oas string
	guards       bool
}{{"custom_middleware/pre", "middleware/global/prePlugins", true}, {"custom_middleware/post_key_auth", "middleware/global/postAuthenticationPlugins", true}, {"custom_middleware/post", "middleware/global/postPlugins", true},
	{"custom_middleware/response", "middleware/global/responsePlugins", false}, {"custom_middleware/auth_check", "server/authentication/custom/config", false}, {"custom_middleware_bundle", "middleware/global/pluginConfig/bundle", true}}

// plugged is the code of a hook that is really there: a switched off, empty one is not.
func (e *endpoint) plugged(classic, oas string) *source.Node {
	n := e.n(classic, oas)
	live := func(m *source.Node) bool {
		off, _ := m.Get("disabled").Bool()
		on, said := m.Get("enabled").Bool()
		return !off && (on || !said) && (m.Has("name") && m.Get("name").Str() != "" || m.Get("functionName").Str() != "" || m.Get("path").Str() != "" && !m.Has("name"))
	}
	switch {
	case n == nil || n.Kind == source.Null:
		return nil
	case n.Kind == source.List:
		if !slices.ContainsFunc(n.Values, live) {
			return nil
		}
	case n.Kind == source.Map:
		if !live(n) {
			return nil
		}
	case n.Str() == "" || e.on("custom_middleware_bundle_disabled", ""):
		return nil
	}
	return n
}

func (e *endpoint) guarded() bool {
	for _, h := range hooks {
		if h.guards && e.plugged(h.classic, h.oas) != nil {
			return true
		}
	}
	return e.rules["virtual"] != nil || e.rules["plugin"] != nil
}

func (e *endpoint) code(p *drift.Policy) {
	p.Opaque = drift.ByDefault([]drift.Opaque(nil))
	put := func(v view, n *source.Node, kind, name string) {
		p.Opaque = leaf(v, append(p.Opaque.Value, drift.Opaque{Kind: kind, Name: name, Hash: drift.Hash(n.Canonical()), Code: drift.Shown(n.Canonical()), Origin: n.Origin(v.scope)}), n)
	}
	for _, h := range hooks {
		if n := e.plugged(h.classic, h.oas); n != nil {
			put(e.wide(), n, "plugin", h.oas[strings.LastIndexByte(h.oas, '/')+1:])
		}
	}
	for _, k := range []string{"virtual", "plugin"} {
		if n := e.rules[k]; n != nil {
			put(e.own(), n, "function", k)
		}
	}
}

// tlsOf writes the numbers that classic definitions hold for versions of TLS.
func tlsOf(n *source.Node) (string, bool) {
	if i, ok := n.Int(); ok && i >= 768 && i <= 772 {
		return []string{"ssl3", "1.0", "1.1", "1.2", "1.3"}[i-768], true
	}
	s, err := drift.TLSVersion(n.Str())
	return s, err == nil
}
