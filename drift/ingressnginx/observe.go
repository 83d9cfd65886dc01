package ingressnginx

import (
	"regexp"
	"strconv"
	"strings"

	"gatehouse/drift"
)

// standard is the form of the access log unless another is written.
const standard = `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id`

var variable = regexp.MustCompile(`\$\{?([a-z0-9_]+)\}?`)

func variables(format string) []string {
	var out []string
	for _, m := range variable.FindAllStringSubmatch(format, -1) {
		out = append(out, m[1])
	}
	return drift.Sorted(out)
}

func (l *location) observe(p *drift.Policy) {
	g := &p.Logging
	none := drift.ByDefault([]string(nil))
	on, off := flag(l.get("enable-access-log", ""), true), flag(l.get("", "disable-access-log"), false)
	g.Enabled = on
	if on.State == drift.Default {
		g.Enabled = drift.Leaf[bool]{Value: !off.Value, State: off.State, Origin: off.Origin, Cause: off.Cause}
	}
	for _, u := range split(l.get("", "skip-access-log-urls").n.Str()) {
		if u == l.path {
			g.Enabled = drift.From(false, l.get("", "skip-access-log-urls").origin())
		}
	}
	form := l.get("", "log-format-upstream")
	format := text(form, standard)
	fields := read(form, variables(standard), func(s string) ([]string, bool) { return variables(s), true })
	g.Fields = fields
	g.Format = format
	if format.Known() {
		g.Format.Value = "text"
		if strings.HasPrefix(strings.TrimSpace(format.Value), "{") {
			g.Format.Value = "json"
		}
	}
	var headers []string
	body := int64(0)
	for _, v := range fields.Value {
		if h, ok := strings.CutPrefix(v, "http_"); ok {
			headers = append(headers, strings.ReplaceAll(h, "_", "-"))
		}
		if v == "request_body" {
			body = 8 << 10 // what fits into the buffer
		}
	}
	g.Headers = drift.Leaf[[]string]{Value: headers, State: fields.State, Origin: fields.Origin, Cause: fields.Cause}
	g.Body = drift.Leaf[int64]{Value: body, State: fields.State, Origin: fields.Origin, Cause: fields.Cause}
	g.Redactions, g.Sample = none, drift.ByDefault(1.0)
	g.Retention = drift.Impossible[int64]("kept by the sink")
	g.Sinks = read(either(l.get("", "http-access-log-path"), l.get("", "access-log-path")), []string{"/var/log/nginx/access.log"}, func(s string) ([]string, bool) { return []string{drift.Mask(s)}, true })
	if f := l.get("", "enable-syslog"); f.n != nil && flag(f, false).Value {
		host, port := l.get("", "syslog-host"), number(l.get("", "syslog-port"), 514)
		s := "udp://" + hostPort(drift.Mask(host.n.Str()), strconv.FormatInt(port.Value, 10))
		g.Sinks = drift.From([]string{s}, f.origin())
		l.env.Refer("sink", s, host.origin())
	}
	metrics := l.argued("enable-metrics")
	p.Metrics = drift.Metrics{Enabled: metrics, Labels: none, Sink: drift.ByDefault("prometheus")}
	l.tracing(p)
	level := read(l.get("", "error-log-level"), "information", func(s string) (string, bool) {
		v, ok := map[string]string{"debug": "verbose", "info": "information", "notice": "information", "warn": "error", "error": "error", "crit": "none", "alert": "none", "emerg": "none"}[s]
		return v, ok
	})
	id := flag(l.get("", "generate-request-id"), true)
	p.Diag = drift.Diagnostics{Verbosity: level, Errors: drift.Impossible[bool]("the log has no sampling"), Correlation: drift.Leaf[string]{Value: "x-request-id", State: id.State, Origin: id.Origin, Cause: id.Cause},
		FaultLogged: drift.Impossible[bool]("there is no error path"), FaultLeaks: flag(either(l.get("", "server-tokens"), l.get("", "show-server-tokens")), false)}
	if id.Known() && !id.Value {
		p.Diag.Correlation.Value = ""
	}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("there are no revisions"), Version: drift.Impossible[string]("there are no versions"), Deprecated: drift.Impossible[bool]("cannot be marked"),
		Subscription: drift.Impossible[bool]("there are no subscriptions"), Approval: drift.Impossible[bool]("there is no approval")}
}

func (l *location) tracing(p *drift.Policy) {
	t := &p.Tracing
	none := drift.ByDefault([]string(nil))
	t.Enabled = flag(l.get("enable-opentelemetry", "enable-opentelemetry"), false)
	t.Exporter, t.Propagation = drift.ByDefault("otlp"), drift.ByDefault([]string{"tracecontext"})
	t.Endpoint = read(l.get("", "otlp-collector-host"), "", func(s string) (string, bool) {
		port := number(l.get("", "otlp-collector-port"), 4317)
		return "grpc://" + hostPort(drift.Mask(s), strconv.FormatInt(port.Value, 10)), true
	})
	sampler, ratio := text(l.get("", "otel-sampler"), "AlwaysOn"), l.get("", "otel-sampler-ratio")
	t.Sample = drift.Leaf[float64]{Value: 1, State: sampler.State, Origin: sampler.Origin, Cause: sampler.Cause}
	switch sampler.Value {
	case "AlwaysOff":
		t.Sample.Value = 0
	case "TraceIdRatioBased":
		t.Sample = read(ratio, 0.01, func(s string) (float64, bool) { f, err := strconv.ParseFloat(s, 64); return f, err == nil })
	}
	if t.Enabled.Known() && t.Enabled.Value {
		l.env.Refer("sink", t.Endpoint.Value, t.Endpoint.Origin)
		return
	}
	// The old form of tracing.
	if f := l.get("enable-opentracing", "enable-opentracing"); f.n != nil && flag(f, false).Value {
		t.Enabled, t.Exporter = leaf(f, true), drift.ByDefault("opentracing")
		t.Endpoint = drift.ByDefault("")
		t.Propagation = none
	}
}

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
