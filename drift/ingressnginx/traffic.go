package ingressnginx

import (
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

func (l *location) policy() *drift.Policy {
	p := &drift.Policy{}
	l.auth(p)
	l.code(p)
	l.transforms(p)
	l.tls(p)
	l.upstream(p)
	l.rates(p)
	l.limits(p)
	l.cors(p)
	l.filters(p)
	l.observe(p)
	return p
}

// rates: each replica counts for itself, with a burst that is a multiple of the rate.
func (l *location) rates(p *drift.Policy) {
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.Impossible[[]drift.Quota]("ingress-nginx has no quotas")
	var out []drift.Rate
	var from found
	for _, k := range []struct {
		name   string
		window int64
	}{{"limit-rps", 1}, {"limit-rpm", 60}} {
		f := l.get(k.name, "")
		count := number(f, 0)
		if f.n == nil || count.Known() && count.Value <= 0 {
			continue
		}
		times := number(l.get("limit-burst-multiplier", ""), 5)
		burst := drift.Leaf[int64]{Value: count.Value * times.Value, State: times.State, Origin: times.Origin, Cause: times.Cause}
		exempt := sorted(list(either(l.get("limit-allowlist", ""), l.get("limit-whitelist", "")), nil))
		out = append(out, drift.Rate{Count: count, Window: drift.Is(k.window, f.origin()), Burst: burst, Algorithm: drift.ByDefault("leaky bucket"), Key: drift.ByDefault("ip"), Enforcement: drift.ByDefault("per_replica"), Replicas: l.replicas(),
			FailOpen: drift.ByDefault(false), Exempt: exempt, Status: number(l.get("", "limit-req-status-code"), 503)})
		from = f
	}
	if f := l.get("global-rate-limit", ""); f.n != nil {
		key := read(l.get("global-rate-limit-key", ""), "ip", func(s string) (string, bool) { return nginxKey(s), s != "" })
		window := millis(l.get("global-rate-limit-window", ""), 0)
		window.Value /= 1000
		out = append(out, drift.Rate{Count: number(f, 0), Window: window, Burst: drift.ByDefault(int64(0)), Algorithm: drift.ByDefault("sliding window"), Key: key, Enforcement: drift.ByDefault("shared"), Replicas: l.replicas(),
			FailOpen: drift.ByDefault(true), Exempt: sorted(list(l.get("global-rate-limit-ignored-cidrs", ""), nil)), Status: number(l.get("", "global-rate-limit-status-code"), 429)})
		from = f
	}
	if len(out) > 0 {
		p.Rates = leaf(from, out)
		return
	}
	for _, s := range l.snippets() {
		if s.decides("limit_req") {
			p.Rates = drift.Unknown[[]drift.Rate]("the "+s.name+" limits how often", s.from.origin())
		}
	}
}

// nginxKey names what a variable of nginx counts by.
func nginxKey(s string) string {
	s = strings.Trim(s, "${}")
	switch {
	case s == "remote_addr" || s == "binary_remote_addr":
		return "ip"
	case s == "remote_user":
		return "consumer"
	case strings.HasPrefix(s, "http_"):
		return "header:" + strings.ReplaceAll(s[5:], "_", "-")
	case strings.HasPrefix(s, "arg_"):
		return "query:" + s[4:]
	case strings.HasPrefix(s, "cookie_"):
		return "cookie:" + s[7:]
	}
	return "expression"
}

func (l *location) limits(p *drift.Policy) {
	m := &p.Limits
	m.Body = size(l.get("proxy-body-size", "proxy-body-size"), 1<<20)
	m.Header = read(l.get("", "large-client-header-buffers"), 32<<10, func(s string) (int64, bool) {
		n, b, _ := strings.Cut(s, " ")
		count, err := strconv.ParseInt(n, 10, 16)
		each, ok := bytes(strings.TrimSpace(b))
		return count * each, err == nil && ok
	})
	m.Connect = millis(l.get("proxy-connect-timeout", "proxy-connect-timeout"), 5_000)
	m.Read = millis(l.get("proxy-read-timeout", "proxy-read-timeout"), 60_000)
	on := read(l.get("proxy-next-upstream", "proxy-next-upstream"), []string{"error", "timeout"}, func(s string) ([]string, bool) { return drift.Sorted(strings.Fields(s)), true })
	m.Retries = number(l.get("proxy-next-upstream-tries", "proxy-next-upstream-tries"), 3)
	switch {
	case on.Known() && len(on.Value) == 1 && on.Value[0] == "off":
		m.Retries = drift.Leaf[int64]{State: on.State, Origin: on.Origin}
	case m.Retries.Known() && m.Retries.Value <= 0:
		m.Retries = drift.Unknown[int64]("as many as there are upstreams", m.Retries.Origin)
	case m.Retries.Known():
		m.Retries.Value--
	}
	m.RetryOn = on
	m.Breaker = drift.ByDefault("")
	if f := l.get("limit-connections", ""); f.n != nil {
		m.Breaker = leaf(f, f.n.Str()+" connections of one address")
	}
}

const (
	corsMethods = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
	corsHeaders = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
)

func (l *location) cors(p *drift.Policy) {
	p.CORS = drift.CORS{Enabled: flag(l.get("enable-cors", ""), false), Origins: list(l.get("cors-allow-origin", ""), []string{"*"}), Methods: list(l.get("cors-allow-methods", ""), split(corsMethods)),
		Headers: list(l.get("cors-allow-headers", ""), split(corsHeaders)), Expose: list(l.get("cors-expose-headers", ""), nil), Credentials: flag(l.get("cors-allow-credentials", ""), true), MaxAge: number(l.get("cors-max-age", ""), 1728000)}
	if p.CORS.Enabled.Value {
		for _, o := range p.CORS.Origins.Value {
			l.env.Refer("cors_origin", o, p.CORS.Origins.Origin)
		}
	}
}

func (l *location) filters(p *drift.Policy) {
	allow := either(l.get("allowlist-source-range", ""), l.get("whitelist-source-range", "whitelist-source-range"))
	if allow.unseen {
		allow = l.get("", "allowlist-source-range")
	}
	p.IP.Allow = sorted(list(allow, nil))
	p.IP.Deny = sorted(list(l.get("denylist-source-range", "denylist-source-range"), nil))
	if f := l.get("", "block-cidrs"); f.n != nil {
		more := list(f, nil)
		p.IP.Deny = drift.Leaf[[]string]{Value: drift.Sorted(append(p.IP.Deny.Value, more.Value...)), State: max(p.IP.Deny.State, more.State), Origin: more.Origin, Cause: more.Cause}
	}
	for _, s := range l.snippets() {
		if s.decides("allow", "deny") {
			p.IP.Allow, p.IP.Deny = drift.Unknown[[]string]("the "+s.name+" filters addresses", s.from.origin()), drift.Unknown[[]string]("the "+s.name+" filters addresses", s.from.origin())
		}
	}
	p.IP.Source, p.IP.Hops = drift.ByDefault("peer"), drift.Impossible[int64]("addresses of proxies are trusted, not a number of hops")
	for _, c := range []struct{ key, is string }{{"use-forwarded-headers", "xff"}, {"enable-real-ip", "xff"}, {"use-proxy-protocol", "proxy_protocol"}} {
		f := l.get("", c.key)
		if on := flag(f, false); !on.Known() {
			p.IP.Source = drift.Unknown[string](on.Cause, on.Origin)
		} else if on.Value {
			p.IP.Source = drift.From(c.is, f.origin())
			if h := l.get("", "forwarded-for-header"); h.n != nil && c.is == "xff" && !strings.EqualFold(h.n.Str(), "X-Forwarded-For") {
				p.IP.Source = drift.From("header:"+strings.ToLower(h.n.Str()), h.origin())
			}
		}
	}
	l.firewall(p)
}

func (l *location) firewall(p *drift.Policy) {
	p.WAF = drift.ByDefault([]string(nil))
	on := flag(l.get("enable-modsecurity", "enable-modsecurity"), false)
	if !on.Known() {
		p.WAF = drift.Unknown[[]string](on.Cause, on.Origin)
		return
	}
	add := func(name string, f drift.Leaf[bool]) {
		p.WAF = drift.Leaf[[]string]{Value: append(p.WAF.Value, name), State: f.State, Origin: f.Origin}
	}
	if on.Value {
		add("modsecurity", on)
		if crs := flag(l.get("enable-owasp-core-rules", "enable-owasp-modsecurity-crs"), false); crs.Known() && crs.Value {
			add("owasp-crs", crs)
		}
	}
	for _, k := range []string{"block-user-agents", "block-referers"} {
		if f := l.get("", k); f.n != nil {
			add(k, drift.From(true, f.origin()))
		}
	}
}

// transforms reads what is changed on the way, in the order in which nginx does it.
func (l *location) transforms(p *drift.Policy) {
	out := drift.ByDefault([]drift.Transform(nil))
	add := func(f found, phase, target, op, name, value string) {
		state := drift.Set
		if f.wide {
			state = drift.Inherited
		}
		if out.State != drift.Unresolved {
			out.State, out.Origin = state, f.origin()
		}
		out.Value = append(out.Value, drift.Transform{Phase: phase, Target: target, Op: op, Name: name, Value: drift.ValueOf(name, value), Origin: f.origin()})
	}
	for _, c := range []struct{ annotation, config, phase string }{{"", "proxy-set-headers", "request"}, {"auth-proxy-set-headers", "", "request"}, {"", "add-headers", "response"}, {"custom-headers", "", "response"}} {
		f := l.get(c.annotation, c.config)
		data, ok := l.entries(f)
		switch {
		case f.unseen:
			out = drift.Unknown[[]drift.Transform](noConfig, drift.Origin{Scope: f.scope})
		case !ok:
			out = drift.Unknown[[]drift.Transform]("ConfigMap "+f.n.Str()+" is missing", f.origin())
		}
		for _, k := range drift.Sorted(keysOf(data)) {
			add(found{n: data.Get(k), scope: f.scope, wide: f.wide}, c.phase, "header", "set", k, data.Get(k).Str())
		}
	}
	if f := l.get("", "hide-headers"); f.n != nil {
		for _, h := range split(f.n.Str()) {
			add(f, "response", "header", "remove", h, "")
		}
	}
	if f := l.get("auth-response-headers", ""); f.n != nil {
		for _, h := range split(f.n.Str()) {
			add(f, "request", "header", "set", h, "from the authorizer")
		}
	}
	for _, c := range []struct{ annotation, phase, target, op, name string }{{"x-forwarded-prefix", "request", "header", "set", "X-Forwarded-Prefix"}, {"connection-proxy-header", "request", "header", "set", "Connection"}, {"upstream-vhost", "request", "host", "rewrite", ""},
		{"rewrite-target", "request", "path", "rewrite", ""}, {"app-root", "response", "status", "set", "root"}, {"permanent-redirect", "response", "status", "set", "redirect"}, {"temporal-redirect", "response", "status", "set", "redirect"}, {"proxy-cookie-domain", "response", "header", "replace", "Set-Cookie"}} {
		if f := l.get(c.annotation, ""); f.n != nil {
			add(f, c.phase, c.target, c.op, c.name, f.n.Str())
		}
	}
	for _, s := range l.snippets() {
		if s.decides("proxy_set_header", "more_set_headers", "more_clear_headers", "more_set_input_headers", "more_clear_input_headers", "add_header", "rewrite", "proxy_hide_header") && out.State != drift.Unresolved {
			out = drift.DependsOn(out.Value, "the "+s.name+" changes messages too", s.from.origin())
		}
	}
	p.Transforms = out
}

func keysOf(n *source.Node) []string {
	if n == nil {
		return nil
	}
	return n.Keys
}
