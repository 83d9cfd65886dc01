package drift

import (
	"slices"
	"strings"
)

func observabilityRules() []Rule {
	const area = AreaObservability
	return []Rule{
		{ID: "DR-OBS-01", Title: "Access log is off", Area: area, Severity: High, Pair: true, Why: "no forensics",
			Refs: []string{"checkov:CKV_AWS_76", "checkov:CKV_AWS_95", "owasp:API8:2023"}, pair: pairLog},
		{ID: "DR-OBS-02", Title: "Fields or format of the access log differ", Area: area, Severity: Medium, Pair: true, Why: "cannot correlate", pair: pairFields},
		{ID: "DR-OBS-03", Title: "Credentials or bodies are logged", Area: area, Severity: High, Pair: true, Self: true, Why: "leak",
			Refs: []string{"checkov:CKV_AWS_276"}, self: selfLeak, pair: pairBodies},
		{ID: "DR-OBS-04", Title: "Redactions differ", Area: area, Severity: High, Pair: true, Why: "what one side hides, the other logs", pair: pairRedactions},
		{ID: "DR-OBS-05", Title: "Tracing, its sampling or its propagation differs", Area: area, Severity: Medium, Pair: true, Why: "broken traces",
			Refs: []string{"checkov:CKV_AWS_73"}, pair: pairTracing},
		{ID: "DR-OBS-06", Title: "Metrics are off, or their labels differ", Area: area, Severity: Medium, Pair: true, Why: "blind", pair: pairMetrics},
		{ID: "DR-OBS-07", Title: "Telemetry goes to another environment's sink", Area: area, Severity: High, Pair: true, Self: true, Why: "mixes data, hides incidents", env: envSinks},
		{ID: "DR-OBS-08", Title: "Retention differs", Area: area, Severity: Medium, Pair: true, Why: "evidence is gone too early", pair: pairRetention},
		{ID: "DR-OBS-09", Title: "Errors are not logged, or less verbosely", Area: area, Severity: Medium, Pair: true, Why: "failures go unseen",
			Refs: []string{"checkov:CKV2_AWS_4"}, pair: pairErrors},
		{ID: "DR-OBS-10", Title: "Telemetry is sent over plain HTTP", Area: area, Severity: Medium, Pair: true, Self: true, Why: "can be read and forged on the way", self: selfPlainSink},
		{ID: "DR-OBS-11", Title: "Error path leaves no log, or tells about the inside", Area: area, Severity: Medium, Pair: true, Self: true, Why: "blind or leaking failures", self: selfFault, pair: pairFault},
	}
}

func pairLog(v *pairing, a, b *Policy) {
	differ(v, "logging.enabled", a.Logging.Enabled, b.Logging.Enabled, false, CompareTrue, "calls leave no trace on one side")
	if a.Logging.Enabled.Or(false) && b.Logging.Enabled.Or(false) {
		differ(v, "logging.sample_ratio", a.Logging.Sample, b.Logging.Sample, 0, CompareRatio, "one side logs fewer of the calls")
	}
}

// logs reports whether both sides log, so that what they log can be compared.
func logs(a, b *Policy) bool { return a.Logging.Enabled.Or(false) && b.Logging.Enabled.Or(false) }

func pairFields(v *pairing, a, b *Policy) {
	if !logs(a, b) {
		return
	}
	if len(a.Logging.Fields.Value) > 0 && len(b.Logging.Fields.Value) > 0 {
		differ(v, "logging.fields", a.Logging.Fields, b.Logging.Fields, nil, lower(CompareRequired), "the logs cannot be read side by side")
	}
	if a.Logging.Format.Known() && b.Logging.Format.Known() && a.Logging.Format.State != Default && b.Logging.Format.State != Default {
		differ(v, "logging.format", a.Logging.Format, b.Logging.Format, "", unordered[string], "the logs cannot be read side by side")
	}
}

func credentialHeaders(list []string) []string {
	var out []string
	for _, h := range list {
		if h == "*" || SecretName(h) {
			out = append(out, strings.ToLower(h))
		}
	}
	return Sorted(out)
}

func selfLeak(p *probe, q *Policy) {
	l := q.Logging
	if !l.Enabled.Or(true) {
		return
	}
	if l.Headers.Known() {
		hidden := lowered(l.Redactions.Or(nil))
		open := slices.DeleteFunc(credentialHeaders(l.Headers.Value), func(h string) bool { return slices.Contains(hidden, h) })
		if len(open) > 0 {
			p.found("logging.headers_logged", l.Headers, "credentials are written into the log: "+strings.Join(open, ", "))
		}
	}
	if l.Body.Known() && l.Body.Value > 0 && p.prod() {
		p.found("logging.body_bytes", l.Body, "bodies are written into the log")
	}
}

func pairBodies(v *pairing, a, b *Policy) {
	if !logs(a, b) {
		return
	}
	differ(v, "logging.body_bytes", a.Logging.Body, b.Logging.Body, 0, skew, "one side writes more of the bodies into its log")
	differ(v, "logging.headers_logged", a.Logging.Headers, b.Logging.Headers, nil, func(x, y []string) Order {
		return CompareAllowed(credentialHeaders(x), credentialHeaders(y))
	}, "one side writes credentials into its log")
}

func pairRedactions(v *pairing, a, b *Policy) {
	if logs(a, b) {
		differ(v, "logging.redactions", a.Logging.Redactions, b.Logging.Redactions, nil, lower(CompareRequired), "one side hides less in its log")
	}
}

func pairTracing(v *pairing, a, b *Policy) {
	differ(v, "tracing.enabled", a.Tracing.Enabled, b.Tracing.Enabled, false, CompareTrue, "traces end at one of the gateways")
	if a.Tracing.Enabled.Or(false) && b.Tracing.Enabled.Or(false) {
		differ(v, "tracing.sample_ratio", a.Tracing.Sample, b.Tracing.Sample, 0, CompareRatio, "one side samples fewer traces")
		differ(v, "tracing.propagation", a.Tracing.Propagation, b.Tracing.Propagation, nil, lower(listed), "the two sides do not understand each other's trace headers")
	}
}

func pairMetrics(v *pairing, a, b *Policy) {
	differ(v, "metrics.enabled", a.Metrics.Enabled, b.Metrics.Enabled, false, CompareTrue, "one side does not count")
	if a.Metrics.Enabled.Or(false) && b.Metrics.Enabled.Or(false) {
		differ(v, "metrics.labels", a.Metrics.Labels, b.Metrics.Labels, nil, lower(listed), "the same question cannot be asked of both")
	}
}

func envSinks(p *probe) {
	for _, r := range p.env.References {
		if r.Kind != "sink" {
			continue
		}
		if t, ok := foreign(r.Value, p.env); ok {
			p.at("reference.sink", r.Value, r.Origin, "the name says that it belongs to "+string(t))
		}
	}
}

func pairRetention(v *pairing, a, b *Policy) {
	if logs(a, b) {
		differ(v, "logging.retention_days", a.Logging.Retention, b.Logging.Retention, 0, func(x, y int64) Order { return orderOf(x >= y, y >= x) }, "one side keeps its log for less long")
	}
}

var verbosities = []string{"none", "error", "information", "verbose"}

func compareVerbosity(a, b string) Order {
	i, j := slices.Index(verbosities, a), slices.Index(verbosities, b)
	if i < 0 || j < 0 {
		return unless(a == b)
	}
	return orderOf(i >= j, j >= i)
}

func pairErrors(v *pairing, a, b *Policy) {
	if a.Diag.Verbosity.State == Unsupported || b.Diag.Verbosity.State == Unsupported {
		return
	}
	differ(v, "diag.verbosity", a.Diag.Verbosity, b.Diag.Verbosity, "none", compareVerbosity, "one side logs less about what goes wrong")
	differ(v, "diag.always_log_errors", a.Diag.Errors, b.Diag.Errors, false, CompareTrue, "errors fall under the sampling on one side")
}

func selfPlainSink(p *probe, q *Policy) {
	for _, s := range q.Logging.Sinks.Or(nil) {
		if q.Logging.Enabled.Or(true) && plainly([]string{s}) {
			p.found("logging.sinks", q.Logging.Sinks, "the log leaves over plain HTTP")
			break
		}
	}
	if e := q.Tracing.Endpoint; e.Known() && q.Tracing.Enabled.Or(true) && plainly([]string{e.Value}) {
		p.found("tracing.endpoint", e, "traces leave over plain HTTP")
	}
	if s := q.Metrics.Sink; s.Known() && q.Metrics.Enabled.Or(true) && plainly([]string{s.Value}) {
		p.found("metrics.sink", s, "measures leave over plain HTTP")
	}
}

func selfFault(p *probe, q *Policy) {
	if q.Diag.FaultLeaks.Known() && q.Diag.FaultLeaks.Value {
		p.found("diag.fault_leaks", q.Diag.FaultLeaks, "callers are told about the inside when something goes wrong")
	}
}

func pairFault(v *pairing, a, b *Policy) {
	differ(v, "diag.fault_leaks", a.Diag.FaultLeaks, b.Diag.FaultLeaks, false, CompareFalse, "one side tells callers about the inside when something goes wrong")
	if a.Diag.FaultLogged.State != Unsupported && b.Diag.FaultLogged.State != Unsupported {
		differ(v, "diag.fault_logged", a.Diag.FaultLogged, b.Diag.FaultLogged, false, CompareTrue, "the error path leaves no trace on one side")
	}
}
