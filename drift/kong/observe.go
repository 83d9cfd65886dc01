package kong

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/drift"
)

// bundledNames are the plugins that Kong ships. What is not among them is somebody's code.
const bundledNames = ` acl acme ai-a2a-proxy ai-aws-guardrails ai-azure-content-safety ai-gcp-model-armor ai-llm-as-judge ai-mcp-oauth2 ai-mcp-proxy ai-mocking ai-prompt-compressor ai-prompt-decorator ai-prompt-guard ai-prompt-template ai-proxy ai-proxy-advanced ai-rag-injector ai-rate-limiting-advanced ai-request-transformer ai-response-transformer ai-sanitizer ai-semantic-cache ai-semantic-prompt-guard ai-semantic-response-guard app-dynamics aws-lambda aws-request-signing azure-functions basic-auth bot-detection canary confluent confluent-consume correlation-id cors datadog datakit degraphql exit-transformer file-log forward-proxy graphql-proxy-cache-advanced graphql-rate-limiting-advanced grpc-gateway grpc-web header-cert-auth hmac-auth http-log injection-protection ip-restriction jq json-threat-protection jwe-decrypt jwt jwt-signer kafka-consume kafka-log kafka-upstream key-auth key-auth-enc konnect-application-auth ldap-auth ldap-auth-advanced loggly metering-and-billing mocking mtls-auth oas-validation oauth2 oauth2-introspection opa openid-connect opentelemetry post-function pre-function prometheus proxy-cache proxy-cache-advanced rate-limiting rate-limiting-advanced redirect request-callout request-size-limiting request-termination request-transformer request-transformer-advanced request-validator response-ratelimiting response-transformer response-transformer-advanced route-by-header route-transformer-advanced saml service-protection session solace-consume solace-log solace-upstream standard-webhooks standard-webhook-signature statsd statsd-advanced syslog tcp-log tls-handshake-modifier tls-metadata-headers udp-log upstream-oauth upstream-timeout vault-auth websocket-size-limit websocket-validator xml-threat-protection zipkin ace `

func bundled(name string) bool { return strings.Contains(bundledNames, " "+name+" ") }

var logPlugins = []string{"confluent", "file-log", "http-log", "kafka-log", "loggly", "solace-log", "syslog", "tcp-log", "udp-log"}

// sink is where a logging plugin sends to.
func (v view) sink() drift.Leaf[string] {
	for _, k := range []string{"http_endpoint", "path", "host", "endpoint", "traces_endpoint", "logs_endpoint"} {
		if n := v.node(k); n != nil {
			l := v.str("", k)
			if p := v.node("port"); l.Known() && k == "host" && p != nil {
				l.Value += ":" + p.Str()
			}
			return l
		}
	}
	return v.str(v.p.name)
}

// written are the headers that code of a log plugin writes out.
var written = regexp.MustCompile(`get_headers?\(\s*["']([A-Za-z0-9-]+)["']`)

func (r *reader) observe(rt *route, on map[string]*plugin, p *drift.Policy) {
	none, off := drift.ByDefault([]string(nil)), drift.ByDefault(false)
	l := &p.Logging
	l.Enabled, l.Sinks, l.Fields = off, none, none
	l.Format, l.Sample, l.Body = drift.ByDefault("json"), drift.ByDefault(1.0), drift.ByDefault(int64(0))
	l.Headers, l.Redactions = drift.ByDefault([]string{"all"}), drift.ByDefault([]string{"authorization", "proxy-authorization"})
	l.Retention = drift.Impossible[int64]("kept by the sink")
	for _, name := range logPlugins {
		inst := on[name]
		if inst == nil {
			continue
		}
		v := view{r, inst, rt}
		s := v.sink()
		l.Enabled = leaf(v, true, nil)
		if !s.Known() {
			l.Sinks = drift.Unknown[[]string](s.Cause, s.Origin)
		} else if l.Sinks.State != drift.Unresolved {
			l.Sinks = drift.Leaf[[]string]{Value: append(l.Sinks.Value, s.Value), State: s.State, Origin: s.Origin}
			r.env.Refer("sink", s.Value, s.Origin)
		}
		if n := v.node("custom_fields_by_lua"); n != nil && len(n.Keys) > 0 {
			l.Fields = leaf(v, drift.Sorted(n.Keys), n)
			for _, code := range n.Values {
				for _, m := range written.FindAllStringSubmatch(code.Str(), -1) {
					h := strings.ToLower(m[1])
					l.Headers = leaf(v, append(l.Headers.Value, h), code)
					l.Redactions.Value = slices.DeleteFunc(slices.Clone(l.Redactions.Value), func(s string) bool { return s == h })
				}
				if strings.Contains(code.Str(), "get_raw_body") || strings.Contains(code.Str(), "get_body") {
					l.Body = leaf(v, int64(8<<20), code)
				}
			}
			p.Opaque = leaf(v, append(p.Opaque.Value, drift.Opaque{Kind: "lua", Name: name + " fields", Hash: drift.Hash(n.Canonical()), Code: drift.Shown(n.Canonical()), Origin: v.origin(n)}), n)
		}
	}
	p.Metrics = drift.Metrics{Enabled: off, Labels: none, Sink: drift.ByDefault("")}
	for _, name := range []string{"datadog", "prometheus", "statsd", "statsd-advanced"} {
		if inst := on[name]; inst != nil {
			v := view{r, inst, rt}
			p.Metrics.Enabled, p.Metrics.Sink = leaf(v, true, nil), v.sink()
			var labels []string
			for _, k := range []string{"per_consumer", "status_code_metrics", "latency_metrics", "bandwidth_metrics", "upstream_health_metrics"} {
				if v.flag(false, k).Or(false) {
					labels = append(labels, k)
				}
			}
			p.Metrics.Labels = leaf(v, labels, nil)
			r.env.Refer("sink", p.Metrics.Sink.Or(""), p.Metrics.Sink.Origin)
		}
	}
	t := &p.Tracing
	t.Enabled, t.Exporter, t.Endpoint, t.Propagation = off, drift.ByDefault(""), drift.ByDefault(""), none
	t.Sample = drift.ByDefault(0.0)
	for _, name := range []string{"zipkin", "opentelemetry"} {
		if inst := on[name]; inst != nil {
			v := view{r, inst, rt}
			t.Enabled, t.Exporter = leaf(v, true, nil), leaf(v, name, nil)
			t.Endpoint = v.str("", "traces_endpoint", "endpoint", "http_endpoint")
			if name == "zipkin" {
				t.Sample = v.ratio(drift.ByDefault(0.001), "sample_ratio")
			} else {
				t.Sample = v.ratio(node(r, "tracing_sampling_rate", 0.01, ratio), "sampling_rate")
			}
			t.Propagation = v.propagation()
			r.env.Refer("sink", t.Endpoint.Or(""), t.Endpoint.Origin)
		}
	}
	p.Diag = drift.Diagnostics{Verbosity: node(r, "log_level", "information", verbosity), Errors: drift.Impossible[bool]("set for the whole node"),
		Correlation: drift.ByDefault(""), FaultLogged: drift.Impossible[bool]("Kong has no error path of its own"), FaultLeaks: drift.ByDefault(false)}
	if c := on["correlation-id"]; c != nil {
		v := view{r, c, rt}
		p.Diag.Correlation = v.str("Kong-Request-ID", "header_name")
	}
	if x := on["exit-transformer"]; x != nil {
		p.Diag.FaultLeaks = drift.Unknown[bool]("Lua code writes the answers to errors", x.node.Origin(x.scope))
	}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("Kong has no revisions"), Version: drift.Impossible[string]("Kong has no versions of APIs"), Deprecated: drift.Impossible[bool]("Kong cannot mark it"),
		Subscription: drift.Impossible[bool]("Kong has no subscriptions"), Approval: drift.Impossible[bool]("Kong has no approval")}
	if x := on["application-registration"]; x != nil { // of the developer portal: who calls has registered an application for the service
		v := view{r, x, rt}
		p.Lifecycle.Subscription = drift.From(true, x.node.Origin(x.scope))
		p.Lifecycle.Approval = v.flag(false, "auto_approve")
		p.Lifecycle.Approval.Value = !p.Lifecycle.Approval.Value
	}
}

func (v view) propagation() drift.Leaf[[]string] {
	n := v.node("propagation", "inject")
	if n == nil {
		l := v.str("preserve", "header_type")
		return drift.Leaf[[]string]{Value: []string{l.Value}, State: l.State, Origin: l.Origin, Cause: l.Cause}
	}
	return leaf(v, n.Strs(), n)
}

// edge reads the face towards callers.
func (r *reader) edge(rt *route, on map[string]*plugin, p *drift.Policy) {
	scope := "route " + rt.label()
	protocols := []string{"http", "https"}
	n := field(rt.node, rt.defaults, "protocols")
	if n != nil {
		protocols = n.Strs()
	}
	plain := slices.Contains(protocols, "http") || slices.Contains(protocols, "grpc")
	code, ok := field(rt.node, rt.defaults, "https_redirect_status_code").Int()
	if !ok || code == 426 {
		code = 0
	}
	if plain {
		code = 0
	}
	t := &p.TLS
	t.Plain, t.Redirect = drift.ByDefault(plain), drift.ByDefault(code)
	if n != nil {
		t.Plain = drift.Is(plain, n.Origin(scope))
	}
	if m := field(rt.node, rt.defaults, "https_redirect_status_code"); m != nil {
		t.Redirect = drift.Is(code, m.Origin(scope))
	}
	r.tlsOfNode(t)
	t.ClientAuth, t.CAs, t.Pins = drift.ByDefault("none"), drift.ByDefault([]string(nil)), drift.ByDefault([]string(nil))
	if m := on["mtls-auth"]; m != nil {
		v := view{r, m, rt}
		t.ClientAuth, t.CAs = leaf(v, "verify", nil), v.list(nil, "ca_certificates")
	} else if m := on["tls-handshake-modifier"]; m != nil {
		t.ClientAuth = leaf(view{r, m, rt}, "request", nil)
	}
}

func (r *reader) upstream(rt *route, p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	p.Upstream = drift.Upstream{URLs: none, Verify: drift.ByDefault(false), CAs: none, ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""), Min: node(r, "nginx_proxy_proxy_ssl_protocols", "1.2", lowest)}
	p.Limits.Connect, p.Limits.Read, p.Limits.Retries = drift.ByDefault(int64(60000)), drift.ByDefault(int64(60000)), drift.ByDefault(int64(5))
	p.Limits.RetryOn, p.Limits.Breaker = drift.ByDefault([]string{"error", "timeout"}), drift.ByDefault("")
	s := rt.svc
	if s == nil {
		return
	}
	scope := "service " + s.label()
	protocol, host, port := "http", field(s.node, s.defaults, "host").Str(), ""
	at := s.node
	if n := field(s.node, s.defaults, "protocol"); n.Str() != "" {
		protocol, at = n.Str(), n
	}
	if n := field(s.node, s.defaults, "port"); n.Str() != "" {
		port = ":" + n.Str()
	}
	urls := []string{protocol + "://" + host + port}
	if u := s.node.Get("url"); u.Str() != "" {
		urls, at = []string{r.text(u.Str())}, u
		protocol, _, _ = strings.Cut(urls[0], "://")
		host = strings.TrimPrefix(urls[0], protocol+"://")
	}
	name, _, _ := strings.Cut(host, "/")
	if up := r.upstreams[name]; up != nil {
		var targets []string
		for _, t := range up.Get("targets").Items() {
			targets = append(targets, protocol+"://"+t.Get("target").Str())
		}
		if len(targets) > 0 {
			urls = targets
		}
		p.Limits.Breaker = drift.ByDefault("")
		if hc := up.Get("healthchecks", "passive"); hc != nil {
			p.Limits.Breaker = drift.From(drift.Mask("passive "+drift.Hash(hc.Canonical())), hc.Origin(scope))
		}
	}
	origin := at.Origin(scope)
	p.Upstream.URLs = drift.From(mask(urls), origin)
	for _, u := range urls {
		if cause, is := open(r.text(u)); is {
			p.Upstream.URLs = drift.Unknown[[]string](cause, origin)
			break
		}
		r.env.Refer("upstream", u, origin)
	}
	if protocol == "https" || protocol == "grpcs" || protocol == "tls" {
		p.Upstream.Verify = node(r, "tls_certificate_verify", false, onOff)
		if v, ok := field(s.node, s.defaults, "tls_verify").Bool(); ok {
			p.Upstream.Verify = drift.From(v, field(s.node, s.defaults, "tls_verify").Origin(scope))
		}
	}
	if n := s.node.Get("ca_certificates"); n != nil {
		p.Upstream.CAs = drift.From(n.Strs(), n.Origin(scope))
	}
	if n := s.node.Get("client_certificate"); ref(n) != "" {
		p.Upstream.ClientCert = drift.From(ref(n), n.Origin(scope))
	}
	for _, f := range []struct {
		key string
		to  *drift.Leaf[int64]
	}{{"connect_timeout", &p.Limits.Connect}, {"read_timeout", &p.Limits.Read}, {"retries", &p.Limits.Retries}} {
		n := field(s.node, s.defaults, f.key)
		if i, ok := n.Int(); ok {
			*f.to = drift.From(i, n.Origin(scope))
		} else if cause, is := open(r.text(n.Str())); is {
			*f.to = drift.Unknown[int64](cause, n.Origin(scope))
		}
	}
}

func mask(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = drift.Mask(s)
	}
	return out
}

// verbosity is how much a level of the node's log says about errors.
func verbosity(s string) (string, bool) {
	v, ok := map[string]string{"debug": "verbose", "info": "information", "notice": "information", "warn": "error", "error": "error", "crit": "none", "alert": "none", "emerg": "none"}[s]
	return v, ok
}
