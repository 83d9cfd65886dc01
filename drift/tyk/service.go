package tyk

import (
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

func (e *endpoint) tls(p *drift.Policy) {
	o := drift.Origin{Scope: "tyk.conf"}
	t := &p.TLS
	t.Min, t.Max, t.Plain = drift.Unknown[string](fromConf, o), drift.Unknown[string](fromConf, o), drift.Unknown[bool](fromConf, o)
	t.Ciphers, t.Curves, t.ALPN = drift.Unknown[[]string](fromConf, o), drift.Unknown[[]string](fromConf, o), drift.Unknown[[]string](fromConf, o)
	t.Redirect, t.HSTS = drift.ByDefault(int64(0)), drift.HSTSOf(p.Transforms)
	t.ClientAuth, t.CAs, t.Pins = drift.ByDefault("none"), drift.ByDefault([]string(nil)), drift.ByDefault([]string(nil))
	if e.on("use_mutual_tls_auth", "server/clientCertificates/enabled") {
		n := e.n("use_mutual_tls_auth", "server/clientCertificates/enabled")
		t.ClientAuth, t.Pins = leaf(e.wide(), "verify", n), e.wide().list(e.n("client_certificates", "server/clientCertificates/allowlist"), nil)
	}
}

func (e *endpoint) upstream(p *drift.Policy) {
	v, none := e.wide(), drift.ByDefault([]string(nil))
	p.Upstream = drift.Upstream{URLs: none, CAs: none, ServerName: drift.ByDefault(""), ClientCert: drift.ByDefault(""), Verify: not(v.flag(e.n("proxy/transport/ssl_insecure_skip_verify", "upstream/tlsTransport/insecureSkipVerify"), false))}
	p.Upstream.Min = drift.Unknown[string](fromConf, drift.Origin{Scope: "tyk.conf"})
	if n := e.n("proxy/transport/ssl_min_version", "upstream/tlsTransport/minVersion"); n.Str() != "" && n.Str() != "0" {
		p.Upstream.Min = value(v, n, "", tlsOf)
	}
	if p.Upstream.Verify.State == drift.Default {
		p.Upstream.Verify = drift.Unknown[bool](fromConf, drift.Origin{Scope: "tyk.conf"})
	}
	p.Upstream.URLs = v.list(e.n("proxy/target_url", "upstream/url"), nil)
	if e.on("proxy/enable_load_balancing", "upstream/loadBalancing/enabled") {
		n := e.n("proxy/target_list", "upstream/loadBalancing/targets")
		urls := n.Strs()
		for _, t := range n.Items() {
			if u := t.Get("url").Str(); u != "" {
				urls = append(urls, u)
			}
		}
		for i := range urls {
			urls[i] = drift.Mask(urls[i])
		}
		p.Upstream.URLs = leaf(v, urls, n)
	}
	if e.on("proxy/service_discovery/use_discovery_service", "upstream/serviceDiscovery/enabled") {
		p.Upstream.URLs = drift.Unknown[[]string]("found by service discovery", e.n("proxy/service_discovery", "upstream/serviceDiscovery").Origin(v.scope))
	}
	for _, u := range p.Upstream.URLs.Or(nil) {
		e.env.Refer("upstream", u, p.Upstream.URLs.Origin)
	}
	var certs []string
	n := e.n("upstream_certificates", "upstream/mutualTLS/domainToCertificateMapping")
	n.Each(func(domain string, c *source.Node) { certs = append(certs, domain+"="+c.Str()) })
	for _, c := range n.Items() {
		certs = append(certs, c.Get("domain").Str()+"="+c.Get("certificate").Str())
	}
	off := e.oas && !e.on("", "upstream/mutualTLS/enabled") || e.on("upstream_certificates_disabled", "")
	if len(certs) > 0 && !off {
		p.Upstream.ClientCert = leaf(v, drift.Mask(strings.Join(drift.Sorted(certs), ",")), n)
	}
}

func (e *endpoint) observe(p *drift.Policy) {
	v, none, o := e.wide(), drift.ByDefault([]string(nil)), drift.Origin{Scope: "tyk.conf"}
	l := &p.Logging
	// Traffic logs are records for analytics. Whether any are kept at all, the gateway's own configuration says.
	l.Enabled = drift.Unknown[bool](fromConf, o)
	switch untracked := e.n("do_not_track", ""); {
	case e.rules["untracked"] != nil:
		l.Enabled = leaf(e.own(), false, e.rules["untracked"])
	case untracked != nil && e.on("do_not_track", ""):
		l.Enabled = leaf(v, false, untracked)
	case e.oas && e.root.Get("middleware", "global", "trafficLogs") != nil && !e.on("", "middleware/global/trafficLogs/enabled"):
		l.Enabled = leaf(v, false, e.root.Get("middleware", "global", "trafficLogs"))
	}
	l.Sinks, l.Fields, l.Redactions = drift.Unknown[[]string](fromConf, o), none, none
	l.Format, l.Sample, l.Headers = drift.Unknown[string](fromConf, o), drift.ByDefault(1.0), none
	l.Body = drift.ByDefault(int64(0))
	if n := e.n("enable_detailed_recording", "server/detailedActivityLogs/enabled"); e.on("enable_detailed_recording", "server/detailedActivityLogs/enabled") {
		l.Body, l.Headers = leaf(v, int64(1<<20), n), leaf(v, []string{"*"}, n)
	}
	l.Retention = drift.Unknown[int64](fromConf, o)
	p.Metrics = drift.Metrics{Enabled: drift.Unknown[bool](fromConf, o), Labels: drift.Unknown[[]string](fromConf, o), Sink: drift.Unknown[string](fromConf, o)}
	p.Tracing = drift.Tracing{Enabled: drift.Unknown[bool](fromConf, o), Exporter: drift.Unknown[string](fromConf, o), Endpoint: drift.Unknown[string](fromConf, o), Sample: drift.Unknown[float64](fromConf, o), Propagation: drift.Unknown[[]string](fromConf, o)}
	p.Diag = drift.Diagnostics{Verbosity: drift.Unknown[string](fromConf, o), Errors: drift.Impossible[bool]("the log has no sampling"), Correlation: drift.Unknown[string](fromConf, o), FaultLogged: drift.Impossible[bool]("Tyk has no error path of its own"), FaultLeaks: drift.Unknown[bool](fromConf, o)}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("Tyk has no revisions"), Version: drift.ByDefault(""), Deprecated: drift.ByDefault(false), Subscription: drift.Impossible[bool]("Tyk has no subscriptions"), Approval: drift.Impossible[bool]("Tyk has no approval")}
	if n := e.n("", "info/expiration"); n.Str() != "" {
		p.Lifecycle.Deprecated = leaf(v, true, n)
	}
}

// leftovers are certificates by their names, methods that are switched on where nobody is asked, and secrets that are written out.
func (a *api) leftovers() {
	scope := a.scope()
	const cause = "the certificate is in the gateway's own store"
	add := func(n *source.Node, use string) {
		for i, s := range n.Strs() {
			at := n
			if items := n.Items(); i < len(items) {
				at = items[i]
			}
			o := at.Origin(scope)
			a.env.Certificates = append(a.env.Certificates, drift.Certificate{Ref: drift.Mask(s), Kind: "store", Use: use, Ends: drift.Unknown[time.Time](cause, o), KeyAlg: drift.Unknown[string](cause, o),
				Pinned: drift.ByDefault(false), Rotates: drift.Unknown[bool](cause, o), Origin: o})
			a.env.Refer("certificate", s, o)
		}
	}
	add(a.n("certificates", "server/customDomain/certificates"), "server")
	add(a.n("client_certificates", "server/clientCertificates/allowlist"), "client")
	if a.keyless() {
		for _, s := range a.schemes() {
			if a.oas || s.kind != "token" || a.on("use_standard_auth", "") {
				a.env.Detached = append(a.env.Detached, drift.Detached{Kind: s.kind, Name: s.name + " of " + a.name(), Auth: true, Origin: s.node.Origin(scope)})
			}
		}
	}
	a.secrets(a.root, 0)
}

func (a *api) secrets(n *source.Node, depth int) {
	if depth > 40 {
		return
	}
	n.Each(func(k string, v *source.Node) {
		switch {
		case v.Kind == source.Map || v.Kind == source.List:
			a.secrets(v, depth+1)
		case v.Str() != "" && secretField(k, n):
			if _, is := elsewhere(v); !is {
				a.env.Literals = append(a.env.Literals, drift.Literal{What: k, Origin: v.Origin(a.scope())})
			}
		}
	})
	for _, v := range n.Items() {
		a.secrets(v, depth+1)
	}
}

func secretField(k string, in *source.Node) bool {
	switch k {
	case "secret", "shared_secret", "sharedSecret", "password", "client_secret", "clientSecret":
		return true
	case "jwt_source":
		return in.Get("jwt_signing_method").Str() == "hmac"
	case "source":
		return in.Get("signingMethod").Str() == "hmac"
	}
	return false
}
