package envoygateway

import (
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/gatewayapi"
	"gatehouse/drift/source"
)

var units = map[string]int64{"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400, "Month": 30 * 86400, "Year": 365 * 86400}

func (r *reader) traffic(p *drift.Policy, a *gatewayapi.Attachment) {
	x := r.apply("BackendTrafficPolicy", a)
	if x.by == nil {
		return
	}
	s := x.spec
	if x.parent != nil && !x.merged && x.parent.Spec().Has("rateLimit") && !s.Has("rateLimit") {
		n := x.parent.Spec().Get("rateLimit")
		p.Cuts = append(p.Cuts, drift.Cut{What: "rateLimit", Lost: n.Origin(x.parent.Label()), Origin: x.by.Origin()})
	}
	if l := s.Get("rateLimit"); l != nil {
		var out []drift.Rate
		for _, side := range []string{"global", "local"} {
			for _, rule := range l.Get(side, "rules").Items() {
				out = append(out, rate(x, rule, side))
			}
		}
		p.Rates = leaf(x, out, l)
	}
	if n := s.Get("timeout", "tcp", "connectTimeout"); n != nil {
		p.Limits.Connect = millis(x, n, 10_000)
	}
	if n := s.Get("timeout", "http", "requestTimeout"); n != nil && p.Limits.Read.State != drift.Set {
		p.Limits.Read = millis(x, n, 0)
	}
	if n := s.Get("retry"); n != nil {
		p.Limits.Retries = number(x, n.Get("numRetries"), 2)
		p.Limits.RetryOn = list(x, n.Get("retryOn", "triggers"))
	}
	if n := s.Get("circuitBreaker"); n != nil {
		p.Limits.Breaker = leaf(x, drift.Hash(n.Canonical()), n)
	}
	if n := s.Get("requestBuffer", "limit"); n != nil {
		if b, ok := quantity(n.Str()); ok {
			p.Limits.Body = leaf(x, b, n)
		}
	}
	if n := s.Get("faultInjection"); n != nil {
		p.Debug = leaf(x, append(p.Debug.Value, "fault injection"), n)
	}
	if n := s.Get("responseOverride"); n != nil {
		p.Opaque = leaf(x, append(p.Opaque.Value, drift.Opaque{Kind: "answer", Name: "responseOverride", Hash: drift.Hash(n.Canonical()), Code: drift.Shown(n.Canonical()), Origin: x.origin(n)}), n)
	}
}

func rate(x applied, rule *source.Node, side string) drift.Rate {
	lim := rule.Get("limit")
	window, ok := units[lim.Get("unit").Str()]
	w := drift.Unknown[int64]("not a unit of time", x.origin(lim))
	if ok {
		w = leaf(x, window, lim.Get("unit"))
	}
	key := leaf(x, "global", rule)
	for _, sel := range rule.Get("clientSelectors").Items() {
		switch {
		case sel.Get("sourceCIDR", "type").Str() == "Distinct":
			key = leaf(x, "ip", sel)
		case len(sel.Get("headers").Items()) > 0:
			h := sel.Get("headers").Items()[0]
			if h.Get("type").Str() == "Distinct" {
				key = leaf(x, "header:"+strings.ToLower(h.Get("name").Str()), h)
			} else {
				key = leaf(x, "global for "+strings.ToLower(h.Get("name").Str())+"="+drift.Mask(h.Get("value").Str()), h)
			}
		case sel.Get("sourceCIDR") != nil:
			key = leaf(x, "global for "+sel.Get("sourceCIDR", "value").Str(), sel)
		}
	}
	how := drift.Leaf[string]{Value: "shared", State: x.state(rule), Origin: x.origin(rule)}
	if side == "local" {
		how.Value = "per_replica"
	}
	return drift.Rate{Count: number(x, lim.Get("requests"), 0), Window: w, Burst: drift.ByDefault(int64(0)), Algorithm: drift.ByDefault(map[string]string{"global": "fixed window", "local": "token bucket"}[side]), Key: key,
		Enforcement: how, Replicas: drift.Unknown[int64]("replicas are not in these objects", drift.Origin{}), FailOpen: drift.ByDefault(side == "global"), Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(int64(429))}
}

// quantity reads Kubernetes' sizes: 4Ki, 10M, 32768.
func quantity(s string) (int64, bool) {
	factor := int64(1)
	for _, u := range []struct {
		suffix string
		n      int64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"k", 1000}, {"M", 1_000_000}, {"G", 1_000_000_000}} {
		if strings.HasSuffix(s, u.suffix) {
			s, factor = strings.TrimSuffix(s, u.suffix), u.n
			break
		}
	}
	n := int64(0)
	if s == "" || len(s) > 9 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n * factor, true
}

// client reads the face towards callers.
func (r *reader) client(p *drift.Policy, a *gatewayapi.Attachment) {
	x := r.apply("ClientTrafficPolicy", a)
	if x.by == nil {
		return
	}
	s := x.spec
	t := s.Get("tls")
	for _, v := range []struct {
		key string
		to  *drift.Leaf[string]
	}{{"minVersion", &p.TLS.Min}, {"maxVersion", &p.TLS.Max}} {
		if n := t.Get(v.key); n != nil && n.Str() != "Auto" {
			if version, err := drift.TLSVersion(n.Str()); err == nil {
				*v.to = leaf(x, version, n)
			} else {
				*v.to = drift.Unknown[string]("not a version of TLS", x.origin(n))
			}
		}
	}
	for _, v := range []struct {
		key string
		to  *drift.Leaf[[]string]
	}{{"ciphers", &p.TLS.Ciphers}, {"ecdhCurves", &p.TLS.Curves}, {"alpnProtocols", &p.TLS.ALPN}} {
		if n := t.Get(v.key); n != nil {
			*v.to = list(x, n)
		}
	}
	if v := t.Get("clientValidation"); v != nil && a.Listener.Protocol == "HTTPS" {
		how := "verify"
		if opt, _ := v.Get("optional").Bool(); opt {
			how = "request"
		}
		var refs, pins []string
		for _, ref := range v.Get("caCertificateRefs").Items() {
			refs = append(refs, ref.Get("name").Str())
		}
		for _, k := range []string{"spkiHashes", "certificateHashes"} {
			pins = append(pins, v.Get(k).Strs()...)
		}
		v.Get("subjectAltNames").Each(func(k string, l *source.Node) {
			for _, m := range l.Items() {
				pins = append(pins, k+"="+m.Get("value").Str()+m.Str())
			}
		})
		p.TLS.ClientAuth, p.TLS.CAs, p.TLS.Pins = leaf(x, how, v), leaf(x, refs, v), leaf(x, pins, v)
	}
	ip := s.Get("clientIPDetection")
	if n := ip.Get("xForwardedFor"); n != nil {
		p.IP.Source, p.IP.Hops = leaf(x, "xff", n), number(x, n.Get("numTrustedHops"), 0)
	}
	if n := ip.Get("customHeader"); n != nil {
		p.IP.Source = leaf(x, "header:"+strings.ToLower(n.Get("name").Str()), n)
	}
}
