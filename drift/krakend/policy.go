package krakend

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

func (e *endpoint) policy() *drift.Policy {
	p := &drift.Policy{}
	e.auth(p)
	e.rates(p)
	e.upstream(p)
	e.transforms(p)
	e.tls(&p.TLS, p.Transforms)
	e.cors(p)
	e.filters(p)
	e.observe(p)
	var kept []drift.Opaque
	p.Opaque = drift.ByDefault(kept)
	for _, c := range e.code() {
		p.Opaque = drift.Leaf[[]drift.Opaque]{Value: append(p.Opaque.Value, c.Opaque), State: c.state, Origin: c.Origin}
	}
	return p
}

// code is somebody's own code or expression. guards says that it may refuse callers.
type code struct {
	drift.Opaque
	state  drift.State
	guards bool
}

// known are plugins of the vendor's that do not authenticate.
var known = []string{"ip-filter", "geoip", "url-rewrite", "wildcard", "virtualhost", "static-filesystem", "redis-ratelimit", "jwk-aggregator", "http-logger", "http-proxy", "content-replacer",
	"response-schema-validator", "no-redirect", "static-filesystem-client"}

// code lists what runs on the endpoint and cannot be compared but by its text.
func (e *endpoint) code() []code {
	var out []code
	add := func(v view, name string, guards bool) {
		if v.n == nil {
			return
		}
		state := drift.Set
		if v.wide {
			state = drift.Inherited
		}
		kind := map[string]string{"modifier/lua-endpoint": "lua", "modifier/lua-proxy": "lua", "modifier/lua-backend": "lua"}[name]
		if kind == "" {
			kind = "plugin"
		}
		if strings.HasPrefix(name, "plugin/") {
			names, plain := v.n.Get("name").Strs(), true
			for _, s := range names {
				plain = plain && has(known, s)
			}
			if plain && len(names) > 0 {
				guards = false
			}
		}
		out = append(out, code{drift.Opaque{Kind: kind, Name: name, Hash: drift.Hash(v.n.Canonical()), Code: drift.Shown(safe(v.n, 0)), Origin: v.n.Origin(v.scope)}, state, guards})
	}
	add(e.reader.component("plugin/http-server"), "plugin/http-server", true)
	for _, name := range []string{"modifier/lua-endpoint", "modifier/lua-proxy", "plugin/req-resp-modifier", "validation/cel", "security/policies"} {
		add(e.component(name), name, true)
	}
	for _, b := range e.node.Get("backend").Items() {
		x := components(b)
		for _, name := range []string{"modifier/lua-backend", "plugin/req-resp-modifier", "plugin/http-client", "validation/cel"} {
			add(e.own(x[name]), name, name != "plugin/http-client" && name != "modifier/lua-backend")
		}
	}
	return out
}

func has(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

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
		v := n.Get(k)
		if v.Kind == source.Map {
			b.WriteString(k + ": {" + safe(v, depth+1) + "}\n")
			continue
		}
		b.WriteString(k + ": " + string(drift.ValueOf(k, v.Canonical())) + "\n")
	}
	return b.String()
}

// rates reads limits per endpoint, per caller and per backend. Each replica counts for itself, other than with a shared store.
func (e *endpoint) rates(p *drift.Policy) {
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil))
	add := func(v view, count, burst string, key drift.Leaf[string], status int64) {
		n := v.n.Get(count)
		if n == nil {
			n = v.n.Get(camel(count))
			count, burst = camel(count), camel(burst)
		}
		if f, ok := n.Float(); n.Absent() || ok && f == 0 {
			return
		}
		rate := drift.Rate{Count: v.num(count, 0), Window: v.seconds("every", 1), Algorithm: drift.ByDefault("token bucket"), Key: key, Replicas: e.replicas(), FailOpen: drift.ByDefault(false),
			Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(status), Enforcement: drift.ByDefault("per_replica")}
		if v.n.Has("connection_name") || v.n.Has("connection_pool") { // counted in Redis, by all replicas together
			rate.Enforcement, rate.FailOpen = leaf(v, "shared", v.n.Origin(v.scope)), v.flag("on_failure_allow", false)
		}
		if f, ok := n.Float(); ok && !rate.Count.Known() && f > 0 && f < 1 && !v.n.Has("every") { // a call every some seconds
			rate.Count, rate.Window = leaf(v, int64(1), n.Origin(v.scope)), leaf(v, int64(1/f+0.5), n.Origin(v.scope))
		}
		rate.Burst = v.num(burst, 0)
		if rate.Burst.State == drift.Default || rate.Burst.Known() && rate.Burst.Value == 0 {
			rate.Burst = drift.Leaf[int64]{Value: rate.Count.Value, State: drift.Default}
			if !rate.Count.Known() {
				rate.Burst = drift.Unknown[int64](rate.Count.Cause, rate.Count.Origin)
			}
		}
		l := leaf(v, append(p.Rates.Value, rate), n.Origin(v.scope))
		if p.Rates.State == drift.Set {
			l.State, l.Origin = p.Rates.State, p.Rates.Origin
		}
		p.Rates = l
	}
	for _, v := range []view{e.component("qos/ratelimit/router"), e.reader.component("qos/ratelimit/service"), e.reader.component("qos/ratelimit/router"),
		e.component("qos/ratelimit/router/redis"), e.reader.component("qos/ratelimit/service/redis"), e.reader.component("qos/ratelimit/redis")} {
		add(v, "client_max_rate", "client_capacity", e.limitKey(v), 429)
		add(v, "max_rate", "capacity", drift.ByDefault("global"), 503)
	}
	add(e.component("auth/api-keys"), "client_max_rate", "client_capacity", drift.ByDefault("credential"), 429)
	for _, b := range e.node.Get("backend").Items() {
		add(e.own(components(b)["qos/ratelimit/proxy"]), "max_rate", "capacity", drift.ByDefault("global"), 503)
	}
	for _, v := range []view{e.component("qos/ratelimit/tiered"), e.reader.component("qos/ratelimit/tiered")} {
		if v.n != nil {
			p.Rates = drift.Unknown[[]drift.Rate]("limits by tier are not read", v.n.Origin(v.scope))
		}
	}
	for _, v := range []view{e.component("governance/quota"), e.reader.component("governance/quota")} {
		if v.n != nil {
			p.Quotas = e.quotas(v)
		}
	}
}

// periods are the units of quotas, in seconds.
var periods = map[string]int64{"hour": 3600, "day": 24 * 3600, "week": 7 * 24 * 3600, "month": 30 * 24 * 3600, "year": 365 * 24 * 3600}

// quotas are those of the tier that has most: who calls says by a field which tier it is of.
func (e *endpoint) quotas(v view) drift.Leaf[[]drift.Quota] {
	unknown := drift.Unknown[[]drift.Quota]("the quota that is named is not declared in a form that is read", v.n.Origin(v.scope))
	var of *source.Node
	for _, q := range e.reader.component("governance/processors").n.Get("quotas").Items() {
		if name := v.n.Get("quota_name").Str(); name != "" && q.Get("name").Str() == name {
			of = q
		}
	}
	key := drift.From("header:"+strings.ToLower(v.n.Get("tier_key").Str()), v.at("tier_key"))
	most := map[int64]drift.Quota{}
	for _, tier := range v.n.Get("tiers").Items() {
		for _, rule := range of.Get("rules").Items() {
			if rule.Get("name").Str() != tier.Get("rule_name").Str() {
				continue
			}
			for _, l := range rule.Get("limits").Items() {
				amount, ok := l.Get("amount").Int()
				period := periods[l.Get("unit").Str()]
				if !ok || period == 0 {
					return unknown
				}
				o := l.Origin(v.scope)
				if old, seen := most[period]; !seen || old.Count.Value < amount {
					most[period] = drift.Quota{Count: drift.From(amount, o), Period: drift.From(period, o), Unit: "calls", Key: key}
				}
			}
		}
	}
	if len(most) == 0 {
		return unknown
	}
	var out []drift.Quota
	for _, p := range slices.Sorted(maps.Keys(most)) {
		out = append(out, most[p])
	}
	return leaf(v, out, v.n.Origin(v.scope))
}

func camel(s string) string {
	parts := strings.Split(s, "_")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
	}
	return strings.Join(parts, "")
}

func (e *endpoint) limitKey(v view) drift.Leaf[string] {
	l := v.str("strategy", "ip")
	name := v.str("key", "")
	if !l.Known() || !name.Known() {
		return drift.Unknown[string]("template that is not rendered", v.at("strategy"))
	}
	switch l.Value {
	case "header":
		l.Value = "header:" + strings.ToLower(name.Value)
	case "param":
		l.Value = "param:" + name.Value
	case "ip":
		if name.Value != "" { // the address is taken from this header
			l.Value = "header:" + strings.ToLower(name.Value)
		}
	}
	return l
}

func (r *reader) replicas() drift.Leaf[int64] {
	n, err := strconv.ParseInt(r.opt.Values["replicas"], 10, 32)
	if err != nil || n <= 0 {
		return drift.Unknown[int64]("replicas are not in the configuration", drift.Origin{})
	}
	return drift.Is(n, drift.Origin{Scope: "options"})
}

func (e *endpoint) upstream(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	tls := e.wide(e.service.Get("client_tls"))
	p.Upstream = drift.Upstream{URLs: none, ServerName: drift.ByDefault(""), CAs: tls.list("ca_certs", nil), Min: version(tls, "min_version", e.oldTLS()),
		Verify: not(tls.flag("allow_insecure_connections", false))}
	if tls.n == nil && e.service.Has("allow_insecure_connections") {
		p.Upstream.Verify = not(e.wide(e.service).flag("allow_insecure_connections", false))
	}
	p.Upstream.ClientCert = drift.ByDefault("")
	if c := tls.n.Get("client_certs"); c != nil {
		p.Upstream.ClientCert = drift.From(drift.Mask(strings.Join(fields(c, "certificate"), ",")), c.Origin("service"))
	}
	limits := &p.Limits
	limits.Body = drift.ByDefault(int64(0))
	for _, v := range []view{e.reader.component("router"), e.component("router")} {
		if v.n.Has("max_payload") {
			limits.Body = v.num("max_payload", 0)
		}
	}
	limits.Header, limits.Connect = e.wide(e.service).num("max_header_bytes", 1<<20), e.wide(e.service).millis("dialer_timeout", 0)
	limits.Read = e.wide(e.service).millis("timeout", 2000)
	if e.node.Has("timeout") {
		limits.Read = e.own(e.node).millis("timeout", 2000)
	}
	calls := e.own(e.node).num("concurrent_calls", 1)
	calls.Value = max(0, calls.Value-1)
	limits.Retries, limits.RetryOn, limits.Breaker = calls, none, drift.ByDefault("")
	if calls.Value > 0 {
		limits.RetryOn = drift.Is([]string{"always: calls are made at once"}, calls.Origin)
	}
	for _, b := range e.node.Get("backend").Items() {
		e.backend(b, p)
	}
}

func (e *endpoint) backend(b *source.Node, p *drift.Policy) {
	v := e.own(b)
	if !b.Has("host") {
		v = e.wide(e.service)
	}
	hosts := v.list("host", nil)
	switch {
	case !hosts.Known():
		p.Upstream.URLs = drift.Unknown[[]string](hosts.Cause, hosts.Origin)
	case p.Upstream.URLs.State != drift.Unresolved && len(hosts.Value) > 0:
		urls := p.Upstream.URLs.Value
		for _, h := range hosts.Value {
			if !strings.Contains(h, "://") && b.Get("sd").Str() != "dns" {
				h = "http://" + h
			}
			if !has(urls, h) {
				urls = append(urls, h)
			}
			e.env.Refer("upstream", h, hosts.Origin)
		}
		if p.Upstream.URLs.State == drift.Set {
			hosts.State = drift.Set
		}
		p.Upstream.URLs = drift.Leaf[[]string]{Value: urls, State: hosts.State, Origin: hosts.Origin}
	}
	x := components(b)
	if c := x["backend/http/client"].Get("client_tls"); c != nil {
		tls := e.own(c)
		if l := not(tls.flag("allow_insecure_connections", false)); !l.Known() || !l.Value {
			p.Upstream.Verify = l
		}
		if tls.n.Has("ca_certs") {
			p.Upstream.CAs = tls.list("ca_certs", nil)
		}
	}
	if c := x["qos/circuit-breaker"]; c != nil {
		p.Limits.Breaker = drift.Is(strings.TrimPrefix(p.Limits.Breaker.Value+", "+breaker(c), ", "), c.Origin(e.scope))
	}
}

func breaker(n *source.Node) string {
	return "after " + n.Get("max_errors").Str() + " errors in " + n.Get("interval").Str() + "s for " + n.Get("timeout").Str() + "s"
}

func fields(list *source.Node, key string) []string {
	var out []string
	for _, n := range list.Items() {
		if s := n.Get(key).Str(); s != "" {
			out = append(out, drift.Mask(s))
		}
	}
	return out
}

func not(l drift.Leaf[bool]) drift.Leaf[bool] { l.Value = !l.Value; return l }

// transforms reads what reaches backends, of which nothing does unless it is named, and what is changed on the way.
func (e *endpoint) transforms(p *drift.Policy) {
	l := drift.ByDefault([]drift.Transform(nil))
	add := func(o drift.Origin, t drift.Transform) {
		t.Origin = o
		l.Value = append(l.Value, t)
		if o.File != "" {
			l.State, l.Origin = drift.Set, o
		}
	}
	for _, in := range []struct{ target, name, old string }{{"header", "input_headers", "headers_to_pass"}, {"query", "input_query_strings", "querystring_params"}} {
		passed := e.passed(in.name, in.old)
		if !passed.Known() {
			p.Transforms = drift.Unknown[[]drift.Transform](passed.Cause, passed.Origin)
			return
		}
		if has(passed.Value, "*") {
			l.State, l.Origin = drift.Set, passed.Origin
			continue
		}
		add(passed.Origin, drift.Transform{Phase: "request", Target: in.target, Op: "remove", Name: "*"})
		names := append([]string(nil), passed.Value...)
		sort.Strings(names)
		for _, h := range names {
			add(passed.Origin, drift.Transform{Phase: "request", Target: in.target, Op: "keep", Name: h})
		}
	}
	for _, h := range e.secure() {
		add(h.Origin, h)
	}
	for _, b := range e.node.Get("backend").Items() {
		for _, k := range []string{"allow", "deny", "mapping", "whitelist", "blacklist"} {
			if n := b.Get(k); n != nil {
				name := map[string]string{"whitelist": "allow", "blacklist": "deny"}[k]
				if name == "" {
					name = k
				}
				add(n.Origin(e.scope), drift.Transform{Phase: "response", Target: "body", Op: "replace", Name: name, Value: drift.Text(drift.Hash(n.Canonical()))})
			}
		}
		if n := components(b)["modifier/martian"]; n != nil {
			add(n.Origin(e.scope), drift.Transform{Phase: "request", Target: "header", Op: "set", Name: "martian", Value: drift.Text(drift.Hash(n.Canonical()))})
		}
	}
	p.Transforms = l
}
