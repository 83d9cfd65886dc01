package aws

import (
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// common is what holds for all operations of an API on one stage.
func (r *reader) common(a *api, s *stage) *drift.Policy {
	none := func() drift.Leaf[[]string] { return drift.ByDefault([]string(nil)) }
	p := &drift.Policy{
		TLS:        r.tls(a),
		Limits:     drift.Limits{Body: drift.ByDefault(int64(10 << 20)), Header: drift.ByDefault(int64(10240)), Connect: drift.Impossible[int64]("no own time for connecting"), Retries: drift.ByDefault(int64(0)), RetryOn: none(), Breaker: drift.ByDefault("")},
		Transforms: drift.ByDefault([]drift.Transform(nil)),
		Lifecycle:  drift.Lifecycle{Revision: drift.ByDefault(""), Version: a.leafText(a.body.Get("info", "version"), "")},
		Opaque:     drift.ByDefault([]drift.Opaque(nil)),
		Debug:      none(),
		WAF:        drift.ByDefault(a.waf),
	}
	if len(a.waf) > 0 {
		p.WAF = drift.Is(a.waf, a.node.Origin("stage"))
	}
	r.telemetry(a, s, p)
	p.Diag.FaultLeaks = drift.ByDefault(false)
	if g := a.body.Get("x-amazon-apigateway-gateway-responses"); g != nil {
		if text := g.Canonical(); strings.Contains(text, "context.error.validationErrorString") || strings.Contains(text, "context.integrationErrorMessage") || strings.Contains(text, "context.authorizer") {
			p.Diag.FaultLeaks = drift.Is(true, g.Origin("api"))
		}
	}
	if a.tpl == nil {
		alone(p)
	}
	return p
}

// alone marks what a document without a template does not say.
func alone(p *drift.Policy) {
	none := drift.Origin{}
	p.TLS = drift.ServerTLS{Min: drift.Unknown[string](outside, none), Max: p.TLS.Max, Ciphers: p.TLS.Ciphers, Curves: p.TLS.Curves, ALPN: p.TLS.ALPN, HSTS: p.TLS.HSTS, Plain: p.TLS.Plain, Redirect: p.TLS.Redirect,
		ClientAuth: drift.Unknown[string](outside, none), CAs: drift.Unknown[[]string](outside, none), Pins: p.TLS.Pins}
	p.WAF = drift.Unknown[[]string](outside, none)
	p.Logging = drift.Logging{Enabled: drift.Unknown[bool](outside, none), Sinks: drift.Unknown[[]string](outside, none), Format: drift.Unknown[string](outside, none), Fields: drift.Unknown[[]string](outside, none), Sample: drift.ByDefault(1.0),
		Body: drift.Unknown[int64](outside, none), Headers: drift.Unknown[[]string](outside, none), Redactions: p.Logging.Redactions, Retention: drift.Unknown[int64](outside, none)}
	p.Metrics.Enabled = drift.Unknown[bool](outside, none)
	p.Tracing.Enabled = drift.Unknown[bool](outside, none)
	p.Diag.Verbosity, p.Diag.Errors, p.Diag.FaultLogged = drift.Unknown[string](outside, none), drift.Unknown[bool](outside, none), drift.Unknown[bool](outside, none)
}

// own is what holds for one operation.
func (r *reader) own(a *api, s *stage, o *op, p *drift.Policy) {
	r.auth(a, o, p)
	r.resourcePolicy(a, o, p)
	r.upstream(a, s, o, p)
	r.limits(a, s, o, p)
	r.cors(a, o, p)
	p.Lifecycle.Deprecated = a.leafBool(o.oas.Get("deprecated"), false)
}

// tls is the face towards callers: the weakest of the addresses that answer.
func (r *reader) tls(a *api) drift.ServerTLS {
	none := func() drift.Leaf[[]string] { return drift.ByDefault([]string(nil)) }
	t := drift.ServerTLS{Max: drift.ByDefault("1.3"), Ciphers: none(), Curves: none(), ALPN: none(), HSTS: drift.ByDefault(int64(0)), Plain: drift.ByDefault(false), Redirect: drift.ByDefault(int64(0)),
		ClientAuth: drift.ByDefault("none"), CAs: none(), Pins: none()}
	// The address that every API has speaks an old version too, unless the API is private; HTTP and WebSocket APIs never do.
	t.Min = drift.ByDefault("1.0")
	if a.kind != rest || a.private() {
		t.Min = drift.ByDefault("1.2")
	}
	open := !a.shut().Or(false)
	if v := a.props.Get("SecurityPolicy"); v != nil {
		t.Min = a.version(v)
	}
	demanded := len(a.domains) > 0
	for i, d := range a.domains {
		m := a.version(d.tls)
		if d.tls.Absent() && a.kind == rest && !a.private() {
			m = drift.Unknown[string]("the default depends on how the domain was made", d.node.Origin("domain"))
		}
		switch {
		case i == 0 && !open, !m.Known():
			t.Min = m
		case t.Min.Known() && drift.CompareTLS(t.Min.Value, m.Value) == drift.Stronger:
			t.Min = m
		}
		if d.mtls.Absent() {
			demanded = false
			continue
		}
		t.CAs = a.truststore(d.mtls)
		t.ClientAuth = drift.Is("verify", d.mtls.Origin("domain"))
	}
	if t.ClientAuth.Value == "verify" && (!demanded || open) {
		t.ClientAuth.Value = "request" // another address answers without
	}
	return t
}

func (a *api) version(n *source.Node) drift.Leaf[string] {
	l := a.leafText(n, "1.2")
	switch {
	case l.State != drift.Set:
	case strings.Contains(l.Value, "TLS13_1_3"):
		l.Value = "1.3"
	case strings.Contains(l.Value, "1_2"):
		l.Value = "1.2"
	case strings.Contains(l.Value, "1_0"):
		l.Value = "1.0"
	default:
		return drift.Unknown[string]("security policy "+l.Value, l.Origin)
	}
	return l
}

func (a *api) private() bool {
	n := a.props.Get("EndpointConfiguration")
	if n == nil {
		n = a.body.Get("x-amazon-apigateway-endpoint-configuration")
	}
	for _, v := range append(first(n, "Types", "types", "Type").Strs(), n.Str()) {
		if strings.EqualFold(v, "PRIVATE") {
			return true
		}
	}
	return false
}

// exposures are the addresses under which the API answers.
func (r *reader) exposures(a *api) {
	own := "execute-api of " + drift.Mask(a.label())
	open := a.shut()
	visible := drift.Public
	if a.private() {
		visible = drift.Private
	}
	for _, d := range a.domains {
		host := a.leafText(d.host, "")
		x := drift.Exposure{Host: host.Value, Port: 443, Scheme: "https", Visibility: visible, Origin: d.node.Origin("domain"), Proof: drift.ByDefault(false)}
		if len(d.base) > 0 && d.base[0] != "" {
			x.BasePath = "/" + d.base[0]
		}
		if open.Known() && !open.Value {
			x.Bypass = []string{own}
		}
		if cert := a.leafText(d.cert, ""); cert.State == drift.Set {
			x.Certs = []string{cert.Value}
			r.env.Refer("certificate", cert.Value, cert.Origin)
			r.env.Certificates = append(r.env.Certificates, drift.Certificate{Ref: cert.Value, Kind: "acm", Use: "server", Hosts: compact(host.Value), Ends: drift.Unknown[time.Time]("held by ACM", cert.Origin),
				KeyAlg: drift.Unknown[string]("held by ACM", cert.Origin), Pinned: drift.ByDefault(false), Rotates: drift.ByDefault(true), Origin: cert.Origin})
		}
		r.env.Exposures = append(r.env.Exposures, x)
		r.env.Refer("host", host.Value, d.node.Origin("domain"))
	}
	if len(a.domains) == 0 && !open.Or(false) && a.tpl != nil {
		r.env.Exposures = append(r.env.Exposures, drift.Exposure{Host: own, Port: 443, Scheme: "https", Visibility: visible, Origin: a.node.Origin("api"), Proof: drift.ByDefault(false)})
	}
}

func compact(s ...string) []string {
	var out []string
	for _, v := range s {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}
