package drift

import "strconv"

// Facts calls f for every leaf of the policy, by its stable name. A gateway's reader is whole when none of them is left zero.
func (p *Policy) Facts(f func(name string, l Fact)) {
	f("auth.ways", p.Auth.Ways)
	f("auth.anonymous_fallback", p.Auth.Fallback)
	f("auth.optional", p.Auth.Optional)
	f("auth.exempt", p.Auth.Exempt)
	n := 0
	for i := range p.Auth.Ways.Value {
		for j := range p.Auth.Ways.Value[i].Needs {
			r := &p.Auth.Ways.Value[i].Needs[j]
			r.facts("auth."+string(r.Kind)+"."+strconv.Itoa(n)+".", f)
			n++
		}
	}
	f("authz.rules", p.Access.Rules)
	f("authz.default", p.Access.Default)
	p.TLS.facts(f)
	f("upstream.urls", p.Upstream.URLs)
	f("tls.upstream.verify", p.Upstream.Verify)
	f("tls.upstream.ca_refs", p.Upstream.CAs)
	f("tls.upstream.client_cert_ref", p.Upstream.ClientCert)
	f("tls.upstream.server_name", p.Upstream.ServerName)
	f("tls.upstream.min", p.Upstream.Min)
	f("rate", p.Rates)
	for i, r := range p.Rates.Value {
		r.facts("rate."+strconv.Itoa(i)+".", f)
	}
	f("quota", p.Quotas)
	for i, q := range p.Quotas.Value {
		n := "quota." + strconv.Itoa(i) + "."
		f(n+"count", q.Count)
		f(n+"period_s", q.Period)
		f(n+"key", q.Key)
	}
	f("limits.body_bytes", p.Limits.Body)
	f("limits.header_bytes", p.Limits.Header)
	f("limits.timeout_connect_ms", p.Limits.Connect)
	f("limits.timeout_read_ms", p.Limits.Read)
	f("limits.retries", p.Limits.Retries)
	f("limits.retry_on", p.Limits.RetryOn)
	f("limits.circuit_breaker", p.Limits.Breaker)
	f("cors.enabled", p.CORS.Enabled)
	if p.CORS.Enabled.Or(true) {
		f("cors.origins", p.CORS.Origins)
		f("cors.methods", p.CORS.Methods)
		f("cors.headers", p.CORS.Headers)
		f("cors.expose", p.CORS.Expose)
		f("cors.credentials", p.CORS.Credentials)
		f("cors.max_age_s", p.CORS.MaxAge)
	}
	f("ip.allow", p.IP.Allow)
	f("ip.deny", p.IP.Deny)
	f("ip.client_ip_source", p.IP.Source)
	f("ip.trusted_hops", p.IP.Hops)
	f("waf", p.WAF)
	f("transforms", p.Transforms)
	p.Logging.facts(f)
	f("metrics.enabled", p.Metrics.Enabled)
	if p.Metrics.Enabled.Or(true) {
		f("metrics.labels", p.Metrics.Labels)
		f("metrics.sink", p.Metrics.Sink)
	}
	f("tracing.enabled", p.Tracing.Enabled)
	if p.Tracing.Enabled.Or(true) {
		f("tracing.exporter", p.Tracing.Exporter)
		f("tracing.endpoint", p.Tracing.Endpoint)
		f("tracing.sample_ratio", p.Tracing.Sample)
		f("tracing.propagation", p.Tracing.Propagation)
	}
	f("diag.verbosity", p.Diag.Verbosity)
	f("diag.always_log_errors", p.Diag.Errors)
	f("diag.http_correlation", p.Diag.Correlation)
	f("diag.fault_logged", p.Diag.FaultLogged)
	f("diag.fault_leaks", p.Diag.FaultLeaks)
	f("lifecycle.revision", p.Lifecycle.Revision)
	f("lifecycle.version", p.Lifecycle.Version)
	f("lifecycle.deprecated", p.Lifecycle.Deprecated)
	f("lifecycle.subscription_required", p.Lifecycle.Subscription)
	f("lifecycle.approval_required", p.Lifecycle.Approval)
	f("opaque", p.Opaque)
	f("debug", p.Debug)
}

func (t ServerTLS) facts(f func(string, Fact)) {
	f("tls.min", t.Min)
	f("tls.max", t.Max)
	f("tls.ciphers", t.Ciphers)
	f("tls.curves", t.Curves)
	f("tls.alpn", t.ALPN)
	f("tls.hsts_max_age_s", t.HSTS)
	f("tls.plain", t.Plain)
	f("tls.http_redirect_code", t.Redirect)
	f("tls.client_auth", t.ClientAuth)
	f("tls.ca_refs", t.CAs)
	f("tls.pins", t.Pins)
}

func (l Logging) facts(f func(string, Fact)) {
	f("logging.enabled", l.Enabled)
	if !l.Enabled.Or(true) {
		return
	}
	f("logging.sinks", l.Sinks)
	f("logging.format", l.Format)
	f("logging.fields", l.Fields)
	f("logging.sample_ratio", l.Sample)
	f("logging.body_bytes", l.Body)
	f("logging.headers_logged", l.Headers)
	f("logging.redactions", l.Redactions)
	f("logging.retention_days", l.Retention)
}

func (r Rate) facts(n string, f func(string, Fact)) {
	f(n+"count", r.Count)
	f(n+"window_s", r.Window)
	f(n+"burst", r.Burst)
	f(n+"algorithm", r.Algorithm)
	f(n+"key", r.Key)
	f(n+"enforcement", r.Enforcement)
	f(n+"replicas", r.Replicas)
	f(n+"fail_open", r.FailOpen)
	f(n+"exempt_ips", r.Exempt)
	f(n+"status", r.Status)
}

func (r *Requirement) facts(n string, f func(string, Fact)) {
	f(n+"forward", r.Forward)
	if j := r.JWT; j != nil {
		f(n+"issuers", j.Issuers)
		f(n+"audiences", j.Audiences)
		f(n+"keys", j.Keys)
		f(n+"static_keys", j.Static)
		f(n+"algs", j.Algorithms)
		f(n+"require_signed", j.Signed)
		f(n+"require_exp", j.Expires)
		f(n+"clock_skew_s", j.Skew)
		f(n+"max_lifetime_s", j.Longest)
		f(n+"claims", j.Claims)
		f(n+"sources", j.Sources)
	}
	if k := r.Key; k != nil {
		f(n+"in", k.In)
		f(n+"names", k.Names)
	}
	if m := r.MTLS; m != nil {
		f(n+"ca_refs", m.CAs)
		f(n+"pins", m.Pins)
		f(n+"header", m.Header)
	}
	if x := r.External; x != nil {
		f(n+"url", x.URL)
		f(n+"fail_open", x.FailOpen)
		f(n+"timeout_ms", x.Timeout)
		f(n+"cache_ttl_s", x.TTL)
		f(n+"cache_key", x.CacheKey)
	}
}
