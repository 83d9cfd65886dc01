package adopt

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/patch"
)

// policies carries over what is in force. It returns why the operation must be left out, or "".
func (w *writer) policies(o *drift.Operation, p *drift.Policy, out *operation) string {
	if why := w.auth(o, p, out); why != "" {
		return why
	}
	w.rates(o, p, out)
	switch b := p.Limits.Body; {
	case b.Known() && b.Value > 0:
		out.policies = append(out.policies, one("request_size", patch.Map{{Key: "max", Value: b.Value}}))
	case !b.Definite():
		w.lose(o, "the bound of bodies", "it is not known: "+b.Cause, "limits.body_bytes")
	}
	w.cors(o, p, out)
	w.headers(o, p, out)
	for _, l := range []struct {
		what, why string
		there     bool
		fields    []string
	}{
		{"the list of addresses that are let in or kept out", "a manifest has no such policy: filter in front of the gateway, or bind each credential to its networks when it is issued", len(p.IP.Allow.Value)+len(p.IP.Deny.Value) > 0 || !p.IP.Allow.Definite(), []string{"ip.allow", "ip.deny", "ip.client_ip_source", "ip.trusted_hops"}},
		{"filters and validation of contents", "a manifest has no such policy; filter in front of the gateway", len(p.WAF.Value) > 0, []string{"waf"}},
		{"code of its own", "code is not run elsewhere; read it, and write a policy kind for what is needed", len(p.Opaque.Value) > 0, []string{"opaque"}},
		{"mocks and debug aids", "they are left behind on purpose", len(p.Debug.Value) > 0, []string{"debug"}},
		{"the upstream's certificate is not verified", "Gatehouse always verifies; give the upstream a certificate that can be", p.Upstream.Verify.Known() && !p.Upstream.Verify.Value && slices.ContainsFunc(p.Upstream.URLs.Value, func(u string) bool { return strings.HasPrefix(u, "https://") }), []string{"tls.upstream.verify"}},
		{"the circuit breaker", "a manifest's breaker counts failures in a window: declare one on the upstream", p.Limits.Breaker.Or("") != "", []string{"limits.circuit_breaker"}},
		{"TLS beyond 1.2 demanded of callers", "a listener of ours takes 1.2 and 1.3, and there is no setting", drift.CompareTLS(p.TLS.Min.Or("1.2"), "1.2") == drift.Stronger, []string{"tls.min"}},
		{"certificates asked of callers at the listener", "set gateway.tls.clients and gateway.tls.client-authorities of the start-up configuration", slices.Contains([]string{"request", "require", "require_any", "verify"}, p.TLS.ClientAuth.Or("")), []string{"tls.client_auth", "tls.ca_refs", "tls.pins", "auth.ways"}},
	} {
		if l.there {
			w.lose(o, l.what, l.why, l.fields...)
		}
	}
	return ""
}

const mostWindows = 8 // of a rate_limit

// rateFields are those of findings about limits.
var rateFields = []string{"rate", "rate.count", "rate.window_s", "rate.key", "rate.fail_open", "rate.enforcement", "rate.exempt_ips", "quota", "quota.count", "quota.key"}

var limitedBy = map[string]string{"consumer": "application", "credential": "credential", "ip": "address"}

func (w *writer) rates(o *drift.Operation, p *drift.Policy, out *operation) {
	if !p.Rates.Definite() || !p.Quotas.Definite() {
		w.lose(o, "the rate limit", "it is not known: "+p.Rates.Cause+p.Quotas.Cause, rateFields...)
		return
	}
	var windows patch.List
	by := ""
	put := func(count, window, burst drift.Leaf[int64], key drift.Leaf[string], of *drift.Rate) {
		b := limitedBy[key.Or("")]
		if kind(out.policies[0]) == "anonymous" && b != "" {
			if b != "address" {
				w.lose(o, "a limit by caller where nobody is known", "it counts by address", "rate.key", "quota.key")
			}
			b = "address"
		}
		const longest = 366 * 24 * 3600 // of a window, in seconds
		if !count.Known() || !window.Known() || count.Value < 1 || window.Value < 1 || window.Value > longest || b == "" || by != "" && by != b || len(windows) == mostWindows {
			w.lose(o, "a limit of "+count.Text()+" in "+window.Text()+" s by "+key.Text(), "Gatehouse counts by application, credential or address, in up to eight windows that share one of them", rateFields...)
			return
		}
		by = b
		m := patch.Map{{Key: "requests", Value: count.Value}, {Key: "per", Value: strconv.FormatInt(window.Value, 10) + "s"}}
		if n := burst.Or(0); n > 0 && n != count.Value && n/10 <= count.Value {
			m = append(m, patch.Entry{Key: "burst", Value: n})
		}
		m = append(m, w.counted(o, of)...)
		if !slices.ContainsFunc(windows, func(v any) bool { return fmt.Sprint(v) == fmt.Sprint(m) }) {
			windows = append(windows, m)
		}
	}
	for _, r := range p.Rates.Value {
		put(r.Count, r.Window, r.Burst, r.Key, &r)
		if len(r.Exempt.Or(nil)) > 0 {
			w.lose(o, "addresses that no limit counts", "Gatehouse counts everybody", "rate.exempt_ips")
		}
	}
	for _, q := range p.Quotas.Value {
		if q.Unit != "calls" {
			w.lose(o, "a quota of "+q.Unit, "Gatehouse counts calls", "quota")
			continue
		}
		put(q.Count, q.Period, drift.Leaf[int64]{}, q.Key, nil)
	}
	if len(windows) > 0 {
		out.policies = append(out.policies, one("rate_limit", patch.Map{{Key: "by", Value: by}, {Key: "windows", Value: windows}}))
	}
}

// counted says where a limit is counted: what replicas share there is shared here, and what holds while the counter is away stays.
func (w *writer) counted(o *drift.Operation, r *drift.Rate) patch.Map {
	if r == nil || r.Enforcement.Or("") != "shared" {
		return nil
	}
	w.lose(o, "the counter that replicas share", "set counters.address of the gateways' start-up configuration: until then the limit is counted as if the counter were away", "rate.enforcement")
	away := "local"
	switch {
	case r.FailOpen.Known() && r.FailOpen.Value:
		away = "open"
	case r.FailOpen.Known():
		away = "closed"
	}
	return patch.Map{{Key: "counter", Value: "leased"}, {Key: "away", Value: away}}
}

var origin = regexp.MustCompile(`^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)

func (w *writer) cors(o *drift.Operation, p *drift.Policy, out *operation) {
	c := p.CORS
	if !c.Enabled.Or(!c.Enabled.Known() && c.Enabled.State != drift.Unsupported) {
		return
	}
	var origins []string
	for _, s := range c.Origins.Or(nil) {
		if s == "*" || origin.MatchString(s) {
			origins = append(origins, s)
		}
	}
	if !c.Enabled.Known() || len(origins) == 0 || slices.Contains(origins, "*") && c.Credentials.Or(true) {
		w.lose(o, "CORS", "its origins are not known, are patterns, or are any with credentials: pages of other origins cannot call until it is written by hand", "cors.enabled", "cors.origins", "cors.credentials")
		return
	}
	if len(origins) < len(c.Origins.Value) {
		w.lose(o, "some origins of pages that may call", "they are patterns, and a manifest names each origin", "cors.origins")
	}
	if len(c.Methods.Or(nil)) == 0 || len(c.Headers.Or(nil)) == 0 || slices.Contains(c.Methods.Value, "*") || slices.Contains(c.Headers.Value, "*") {
		w.lose(o, "which methods and header fields pages may use", "where none or all are named, a manifest's own defaults hold: the operation's methods, Content-Type, X-API-Key and Authorization", "cors.methods", "cors.headers")
	}
	m := patch.Map{{Key: "origins", Value: patch.Strings(origins)}}
	for _, l := range []struct {
		key  string
		leaf drift.Leaf[[]string]
	}{{"methods", c.Methods}, {"headers", c.Headers}, {"expose", c.Expose}} {
		if l.leaf.Known() && len(l.leaf.Value) > 0 && !slices.Contains(l.leaf.Value, "*") {
			m = append(m, patch.Entry{Key: l.key, Value: patch.Strings(l.leaf.Value)})
		}
	}
	if c.Credentials.Or(false) {
		m = append(m, patch.Entry{Key: "credentials", Value: true})
	}
	if c.MaxAge.Or(0) > 0 {
		m = append(m, patch.Entry{Key: "max_age", Value: strconv.FormatInt(c.MaxAge.Value, 10) + "s"})
	}
	out.policies = append(out.policies, one("cors", m))
}

// taken reports whether a manifest may not change the field so.
func taken(t drift.Transform) bool {
	l := strings.ToLower(t.Name)
	switch {
	case own(l) != "":
		return true
	case t.Phase == "request":
		return t.Op != "remove" && (l == "authorization" || l == "cookie" || l == "traceparent" || l == "tracestate" || l == "x-request-id") || t.Op == "remove" && slices.Contains([]string{"traceparent", "tracestate", "x-request-id"}, l)
	}
	return strings.HasPrefix(l, "access-control-") || slices.Contains([]string{"ratelimit", "ratelimit-policy", "retry-after", "www-authenticate"}, l)
}

func (w *writer) headers(o *drift.Operation, p *drift.Policy, out *operation) {
	if !p.Transforms.Definite() {
		w.lose(o, "changes of messages", "they are not known: "+p.Transforms.Cause, "transforms", "transforms.order")
		return
	}
	sides := map[string]*struct{ remove, set, add patch.Map }{"request": {}, "response": {}}
	for _, t := range p.Transforms.Value {
		s := sides[t.Phase]
		text := string(t.Value)
		switch {
		case s == nil || t.Target != "header" || t.Name == "" || !token.MatchString(t.Name) || taken(t) || t.Op != "remove" && (drift.Mask(text) != text || strings.Contains(text, "[secret]") || strings.ContainsAny(text, "$@{}\n")):
			w.lose(o, "a change of messages: "+t.String(), "its value is computed or a secret, or it changes more than a header field that a manifest may change", "transforms", "transforms.order", "tls.hsts_max_age_s")
		case t.Op == "remove":
			if !has(s.remove, t.Name) {
				s.remove = append(s.remove, patch.Entry{Key: t.Name})
			}
		case has(s.set, t.Name) || has(s.add, t.Name):
			w.lose(o, "a second change of a field: "+t.String(), "a manifest changes each field once", "transforms", "transforms.order", "tls.hsts_max_age_s")
		case t.Op == "add" || t.Op == "append":
			s.add = append(s.add, patch.Entry{Key: t.Name, Value: text})
		case t.Op == "set" || t.Op == "replace":
			s.set = append(s.set, patch.Entry{Key: t.Name, Value: text})
		default:
			w.lose(o, "a change of messages: "+t.String(), "a manifest removes, sets and adds fields", "transforms", "transforms.order")
		}
	}
	var m patch.Map
	for _, phase := range []string{"request", "response"} {
		s, side := sides[phase], patch.Map{}
		if len(s.remove) > 0 {
			var names patch.List
			for _, e := range s.remove {
				names = append(names, e.Key)
			}
			side = append(side, patch.Entry{Key: "remove", Value: names})
		}
		if len(s.set) > 0 {
			side = append(side, patch.Entry{Key: "set", Value: s.set})
		}
		if len(s.add) > 0 {
			side = append(side, patch.Entry{Key: "add", Value: s.add})
		}
		if len(side) > 0 {
			m = append(m, patch.Entry{Key: phase, Value: side})
		}
	}
	if len(m) > 0 {
		out.policies = append(out.policies, one("headers", m))
	}
}

func has(m patch.Map, name string) bool {
	return slices.ContainsFunc(m, func(e patch.Entry) bool { return strings.EqualFold(e.Key, name) })
}
