package kong

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// policy is what is in force on a route for a caller.
func (r *reader) policy(rt *route, c caller) *drift.Policy {
	on, lost := r.running(rt, c)
	p := &drift.Policy{}
	r.auth(rt, on, p)
	r.access(rt, on, p)
	r.rates(rt, on, p)
	r.shape(rt, on, p)
	r.observe(rt, on, p)
	r.edge(rt, on, p)
	r.upstream(rt, p)
	early(on, p)
	for _, l := range lost {
		if c.class != "" && l.consumer == nil && l.group == nil && on[l.name].consumer == nil && on[l.name].group == nil {
			continue // said for general traffic
		}
		auth := slices.Contains(authPlugins, l.name) || l.name == "acl" || l.name == "opa"
		if auth && weakens(r, rt, on[l.name], l) {
			p.Cuts = append(p.Cuts, drift.Cut{What: l.name, Auth: true, Lost: l.node.Origin(l.scope), Origin: on[l.name].node.Origin(on[l.name].scope)})
		} else if !auth {
			p.Cuts = append(p.Cuts, drift.Cut{What: l.name, Lost: l.node.Origin(l.scope), Origin: on[l.name].node.Origin(on[l.name].scope)})
		}
	}
	return p
}

// early notes the plugins that are put in front of authentication by their ordering: their priorities would let them run behind it.
func early(on map[string]*plugin, p *drift.Policy) {
	for _, name := range slices.Sorted(maps.Keys(on)) {
		o := on[name].node.Get("ordering")
		auth := slices.Contains(authPlugins, name)
		for _, other := range o.Get("before", "access").Strs() {
			if !auth && on[other] != nil && slices.Contains(authPlugins, other) {
				p.Early = append(p.Early, drift.Statement{Name: name, Origin: o.Origin(on[name].scope)})
			}
		}
		for _, other := range o.Get("after", "access").Strs() {
			if auth && on[other] != nil && !slices.Contains(authPlugins, other) {
				p.Early = append(p.Early, drift.Statement{Name: other, Origin: o.Origin(on[name].scope)})
			}
		}
	}
}

// weakens reports whether the narrower instance of an authentication plugin demands less than the wider one that it replaces: it tries
// where the wider one insists, or admits groups and claims that the wider one does not.
func weakens(r *reader, rt *route, on, lost *plugin) bool {
	a, b := view{r, on, rt}, view{r, lost, rt}
	if a.str("", "anonymous").Or("") != "" && b.str("", "anonymous").Or("") == "" {
		return true
	}
	for _, k := range []string{"claims_to_verify", "audience_required", "scopes_required", "roles_required", "groups_required"} {
		x, y := a.list(nil, k), b.list(nil, k)
		if y.Known() && x.Known() && len(y.Value) > 0 && drift.CompareRequired(x.Value, y.Value) != drift.Same && drift.CompareRequired(x.Value, y.Value) != drift.Stronger {
			return true
		}
	}
	x, y := a.list(nil, "allow", "whitelist"), b.list(nil, "allow", "whitelist")
	return x.Known() && y.Known() && drift.CompareChecked(x.Value, y.Value) != drift.Same && drift.CompareChecked(x.Value, y.Value) != drift.Stronger
}

func (r *reader) access(rt *route, on map[string]*plugin, p *drift.Policy) {
	p.Access.Rules, p.Access.Default = drift.ByDefault([]drift.AccessRule(nil)), drift.ByDefault("allow")
	add := func(v view, rule drift.AccessRule, n *source.Node) {
		l := leaf(v, append(p.Access.Rules.Value, rule), n)
		p.Access.Rules = l
	}
	if acl := on["acl"]; acl != nil {
		v := view{r, acl, rt}
		for _, side := range []struct {
			effect string
			names  []string
		}{{"allow", []string{"allow", "whitelist"}}, {"deny", []string{"deny", "blacklist"}}} {
			l := v.list(nil, side.names...)
			switch {
			case !l.Known():
				p.Access.Rules = drift.Unknown[[]drift.AccessRule](l.Cause, l.Origin)
			case len(l.Value) > 0 && p.Access.Rules.State != drift.Unresolved:
				add(v, drift.AccessRule{Effect: side.effect, Subjects: prefixed("group:", l.Value)}, v.either(side.names...))
			}
		}
	}
	if t := on["request-termination"]; t != nil {
		v := view{r, t, rt}
		add(v, drift.AccessRule{Effect: "deny", Subjects: []string{fmt.Sprintf("everybody, with status %d", v.num(503, "status_code").Or(0))}}, nil)
	}
	p.IP.Allow, p.IP.Deny = drift.ByDefault([]string(nil)), drift.ByDefault([]string(nil))
	if ip := on["ip-restriction"]; ip != nil {
		v := view{r, ip, rt}
		p.IP.Allow, p.IP.Deny = v.list(nil, "allow", "whitelist"), v.list(nil, "deny", "blacklist")
	}
	p.IP.Source = node(r, "trusted_ips", "peer", func(string) (string, bool) {
		return "header:" + strings.ToLower(node(r, "real_ip_header", "X-Real-IP", text).Value), true
	})
	p.IP.Hops = drift.ByDefault(int64(0))
	p.WAF = drift.ByDefault([]string(nil))
	for _, name := range sortedNames(on) {
		switch name {
		case "bot-detection", "injection-protection", "json-threat-protection", "xml-threat-protection", "request-validator", "oas-validation":
			p.WAF = leaf(view{r, on[name], rt}, append(p.WAF.Value, name), nil)
		}
	}
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = prefix + s
	}
	return out
}

var windows = []struct {
	name    string
	seconds int64
}{{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"month", 30 * 86400}, {"year", 365 * 86400}}

// rates divides limits into rates (windows under a day) and quotas.
func (r *reader) rates(rt *route, on map[string]*plugin, p *drift.Policy) {
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil))
	put := func(v view, n *source.Node, base drift.Rate) {
		if base.Window.Known() && base.Window.Value >= 86400 {
			p.Quotas = leaf(v, append(p.Quotas.Value, drift.Quota{Count: base.Count, Period: base.Window, Unit: "calls", Key: base.Key}), n)
			return
		}
		p.Rates = leaf(v, append(p.Rates.Value, base), n)
	}
	if l := on["rate-limiting"]; l != nil {
		v := view{r, l, rt}
		for _, w := range windows {
			n := v.node(w.name)
			if n == nil {
				continue
			}
			put(v, n, drift.Rate{Count: v.intOf(n, 0), Window: leaf(v, w.seconds, n), Burst: drift.ByDefault(int64(0)), Algorithm: drift.ByDefault("fixed window"), Key: v.limitKey("limit_by"),
				Enforcement: enforcement(v.str("local", "policy")), Replicas: v.replicas(),
				FailOpen: v.flag(true, "fault_tolerant"), Exempt: drift.ByDefault([]string(nil)), Status: v.num(429, "error_code")})
		}
	}
	for _, name := range []string{"rate-limiting-advanced", "service-protection"} {
		l := on[name]
		if l == nil {
			continue
		}
		v := view{r, l, rt}
		limits, sizes := v.node("limit").Items(), v.node("window_size").Items()
		key := v.limitKey("identifier")
		if name == "service-protection" {
			key = drift.ByDefault("global")
		}
		strategy := enforcement(v.str("local", "strategy"))
		if s := v.num(0, "sync_rate"); s.Known() && s.Value < 0 {
			strategy.Value = "per_replica"
		}
		for i, n := range limits {
			if i >= len(sizes) {
				break
			}
			put(v, n, drift.Rate{Count: v.intOf(n, 0), Window: v.intOf(sizes[i], 0), Burst: drift.ByDefault(int64(0)), Algorithm: v.str("sliding", "window_type"), Key: key, Enforcement: strategy,
				Replicas: v.replicas(), FailOpen: drift.ByDefault(false), Exempt: drift.ByDefault([]string(nil)), Status: v.num(429, "error_code")})
		}
	}
}

func (v view) limitKey(name string) drift.Leaf[string] {
	l := v.str("consumer", name)
	switch l.Value {
	case "header":
		l.Value = "header:" + strings.ToLower(v.str("", "header_name").Or(""))
	case "path", "service", "consumer-group":
		l.Value = map[string]string{"path": "global", "service": "global", "consumer-group": "claim:group"}[l.Value]
	}
	return l
}

func enforcement(l drift.Leaf[string]) drift.Leaf[string] {
	if l.Value == "local" {
		l.Value = "per_replica"
	} else {
		l.Value = "shared"
	}
	return l
}

var sizeUnits = map[string]float64{"megabytes": 1 << 20, "kilobytes": 1 << 10, "bytes": 1}

// shape reads limits of size, CORS and transformations.
func (r *reader) shape(rt *route, on map[string]*plugin, p *drift.Policy) {
	p.Limits.Body = node(r, "nginx_http_client_max_body_size", int64(0), size)
	p.Limits.Header = node(r, "nginx_http_large_client_header_buffers", int64(32<<10), func(s string) (int64, bool) {
		n, each, ok := strings.Cut(s, " ")
		count, ok1 := size(n)
		bytes, ok2 := size(each)
		return count * bytes, ok && ok1 && ok2
	})
	if l := on["request-size-limiting"]; l != nil {
		v := view{r, l, rt}
		size := v.num(128, "allowed_payload_size")
		unit := v.str("megabytes", "size_unit")
		if n := float64(size.Value) * sizeUnits[unit.Value]; size.Known() && unit.Known() && n < math.MaxInt64 {
			size.Value = int64(n)
		}
		p.Limits.Body = size
	}
	off, none := drift.ByDefault(false), drift.ByDefault([]string(nil))
	p.CORS = drift.CORS{Enabled: off, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: off, MaxAge: drift.ByDefault(int64(0))}
	if l := on["cors"]; l != nil {
		v := view{r, l, rt}
		p.CORS = drift.CORS{Enabled: leaf(v, true, nil), Origins: origins(v.list([]string{"*"}, "origins")), Methods: v.list([]string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"}, "methods"),
			Headers: v.list([]string{"*"}, "headers"), Expose: v.list(nil, "exposed_headers"), Credentials: v.flag(false, "credentials"), MaxAge: v.num(0, "max_age")}
		for _, o := range p.CORS.Origins.Or(nil) {
			r.env.Refer("cors_origin", o, p.CORS.Origins.Origin)
		}
	}
	p.Transforms = drift.ByDefault([]drift.Transform(nil))
	for _, name := range []string{"request-transformer", "request-transformer-advanced", "response-transformer", "response-transformer-advanced", "correlation-id"} {
		if l := on[name]; l != nil {
			v := view{r, l, rt}
			p.Transforms = leaf(v, append(p.Transforms.Value, v.transforms(name)...), nil)
		}
	}
	p.TLS.HSTS = drift.HSTSOf(p.Transforms)
	p.Debug = drift.ByDefault([]string(nil))
	for _, name := range []string{"mocking", "ai-mocking"} {
		if l := on[name]; l != nil {
			p.Debug = leaf(view{r, l, rt}, append(p.Debug.Value, name), nil)
		}
	}
	p.Opaque = drift.ByDefault([]drift.Opaque(nil))
	for _, name := range sortedNames(on) {
		if !bundled(name) || name == "pre-function" || name == "post-function" {
			text := on[name].canonical()
			p.Opaque = leaf(view{r, on[name], rt}, append(p.Opaque.Value, drift.Opaque{Kind: "plugin", Name: name, Hash: drift.Hash(text), Code: drift.Shown(on[name].safe()), Origin: on[name].node.Origin(on[name].scope)}), nil)
		}
	}
}

// origins writes patterns, which Kong takes without a mark, with theirs.
func origins(l drift.Leaf[[]string]) drift.Leaf[[]string] {
	out := slices.Clone(l.Value)
	for i, o := range out {
		if o != "*" && strings.ContainsAny(o, `\^$()|+?[]`) || o != "*" && strings.Contains(o, ".*") {
			out[i] = "~" + o
		}
	}
	l.Value = out
	return l
}

func (p *plugin) canonical() string {
	for _, c := range p.config {
		if c != nil {
			return c.Canonical()
		}
	}
	return ""
}

// safe is the configuration for people, without the values of fields that hold secrets.
func (p *plugin) safe() string {
	var b strings.Builder
	for _, c := range p.config {
		c.Each(func(k string, n *source.Node) {
			fmt.Fprintf(&b, "%s: %s\n", k, drift.ValueOf(k, n.Canonical()))
		})
	}
	return b.String()
}

func (v view) transforms(name string) []drift.Transform {
	if name == "correlation-id" {
		return []drift.Transform{{Phase: "request", Target: "header", Op: "add", Name: v.str("Kong-Request-ID", "header_name").Or("?"), Value: drift.Text(v.str("uuid#counter", "generator").Or("?")), Origin: v.origin(nil)}}
	}
	phase := "request"
	if strings.HasPrefix(name, "response") {
		phase = "response"
	}
	var out []drift.Transform
	for _, op := range []string{"remove", "rename", "replace", "add", "append"} {
		n := v.node(op)
		for _, t := range []struct{ key, target string }{{"headers", "header"}, {"querystring", "query"}, {"body", "body"}, {"json", "body"}} {
			for _, item := range n.Get(t.key).Items() {
				k, value, _ := strings.Cut(item.Str(), ":")
				if op == "remove" {
					k, value = item.Str(), ""
				}
				out = append(out, drift.Transform{Phase: phase, Target: t.target, Op: op, Name: k, Value: drift.ValueOf(k, strings.TrimSpace(value)), Origin: item.Origin(v.p.scope)})
			}
		}
		if u := n.Get("uri"); u.Str() != "" {
			out = append(out, drift.Transform{Phase: phase, Target: "path", Op: "rewrite", Value: drift.Shown(u.Str()), Origin: u.Origin(v.p.scope)})
		}
	}
	if m := v.node("http_method"); m != nil && m.Str() != "" {
		out = append(out, drift.Transform{Phase: phase, Target: "method", Op: "set", Value: drift.Shown(m.Str()), Origin: m.Origin(v.p.scope)})
	}
	return out
}

// replicas is how many nodes there are, which only the options can say.
func (v view) replicas() drift.Leaf[int64] {
	n, ok := size(v.r.opt.Values["replicas"])
	if !ok || n == 0 {
		return drift.Unknown[int64]("replicas are not in decK files", drift.Origin{})
	}
	return drift.Is(n, drift.Origin{Scope: "options"})
}

func ratio(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && f >= 0 && f <= 1
}
