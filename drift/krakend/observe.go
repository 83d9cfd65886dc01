package krakend

import (
	"strings"

	"gatehouse/drift"
)

func (e *endpoint) observe(p *drift.Policy) {
	none, off := drift.ByDefault([]string(nil)), drift.ByDefault(false)
	r := e.reader
	l := &p.Logging
	v, router := r.component("telemetry/logging"), r.component("router")
	// The access log goes to the standard output unless it is switched off.
	l.Enabled = not(router.flag("disable_access_log", false))
	if l.Enabled.State == drift.Default && v.n != nil {
		l.Enabled = drift.From(true, v.n.Origin(v.scope))
	}
	for _, w := range []struct {
		v   view
		key string
	}{{router, "logger_skip_paths"}, {v, "skip_paths"}} {
		if skip := w.v.list(w.key, nil); !skip.Known() {
			l.Enabled = drift.Unknown[bool](skip.Cause, skip.Origin)
		} else if has(skip.Value, e.node.Get("endpoint").Str()) {
			l.Enabled = drift.From(false, skip.Origin)
		}
	}
	l.Format, l.Sinks = v.str("format", "default"), drift.ByDefault([]string{"stdout"})
	if v.n.Has("custom_format") {
		l.Format = v.str("custom_format", "")
	}
	sink := func(s string, o drift.Origin) {
		if l.Sinks.State == drift.Default {
			l.Sinks.Value = nil
		}
		l.Sinks = drift.From(append(l.Sinks.Value, drift.Mask(s)), o)
	}
	for _, s := range []string{"stdout", "syslog"} {
		if on := v.flag(s, false); on.Known() && on.Value {
			sink(s, on.Origin)
		}
	}
	if g := r.component("telemetry/gelf"); g.n != nil {
		scheme := "udp://"
		if tcp := g.flag("enable_tcp", false); tcp.Or(false) {
			scheme = "tcp://"
		}
		address := g.str("address", "")
		if address.Known() {
			sink(scheme+address.Value, address.Origin)
			e.env.Refer("sink", address.Value, address.Origin)
		}
	}
	if g := r.component("telemetry/logstash"); g.n != nil {
		sink("logstash", g.n.Origin(g.scope))
	}
	l.Fields, l.Headers, l.Redactions = none, none, none
	l.Sample, l.Body = drift.ByDefault(1.0), drift.ByDefault(int64(0))
	l.Retention = drift.Impossible[int64]("kept by the sink")
	e.metrics(p)
	e.tracing(p)
	level := v.str("level", "DEBUG")
	if level.Known() {
		level.Value = map[string]string{"DEBUG": "verbose", "INFO": "information", "WARNING": "error", "ERROR": "error", "CRITICAL": "none"}[strings.ToUpper(level.Value)]
		if level.Value == "" {
			level = drift.Unknown[string]("not a level of the log", v.at("level"))
		}
	}
	p.Diag = drift.Diagnostics{Verbosity: level, Errors: drift.Impossible[bool]("the log has no sampling"), Correlation: drift.ByDefault(""), FaultLogged: drift.Impossible[bool]("KrakenD has no error path of its own"), FaultLeaks: off}
	for _, own := range []view{router, e.component("router")} {
		if leaks := own.flag("return_error_msg", false); leaks.State != drift.Default {
			p.Diag.FaultLeaks = leaks
		}
	}
	for _, b := range e.node.Get("backend").Items() {
		w := e.own(components(b)["backend/http"])
		if w.n.Has("return_error_details") {
			p.Diag.FaultLeaks = drift.Is(true, w.at("return_error_details"))
		}
	}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("KrakenD has no revisions"), Version: drift.Impossible[string]("KrakenD has no versions of APIs"), Deprecated: drift.Impossible[bool]("KrakenD cannot mark it"),
		Subscription: drift.Impossible[bool]("KrakenD has no subscriptions"), Approval: drift.Impossible[bool]("KrakenD has no approval")}
}

// otlp are the exporters of telemetry/opentelemetry that carry one kind of signal.
func (e *endpoint) otlp(off string) (address string, o drift.Origin, on bool) {
	v := e.reader.component("telemetry/opentelemetry")
	for _, x := range v.n.Get("exporters", "otlp").Items() {
		if b, _ := x.Get(off).Bool(); b {
			continue
		}
		scheme := "grpc://"
		if b, _ := x.Get("use_http").Bool(); b {
			scheme = "http://"
		}
		port := x.Get("port").Str()
		if port == "443" {
			scheme = "https://"
		}
		return drift.Mask(scheme + x.Get("host").Str() + ":" + port), x.Origin(v.scope), true
	}
	return "", v.n.Origin(v.scope), false
}

func (e *endpoint) metrics(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	p.Metrics = drift.Metrics{Enabled: drift.ByDefault(false), Labels: none, Sink: drift.ByDefault("")}
	m := &p.Metrics
	set := func(o drift.Origin, sink string) {
		m.Enabled = drift.From(true, o)
		if sink != "" {
			m.Sink = drift.From(sink, o)
			e.env.Refer("sink", sink, o)
		}
	}
	if v := e.reader.component("telemetry/metrics"); v.n != nil {
		set(v.n.Origin(v.scope), "")
	}
	if v := e.reader.component("telemetry/influx"); v.n != nil {
		set(v.n.Origin(v.scope), v.str("address", "").Or(""))
	}
	if v := e.reader.component("telemetry/opentelemetry"); v.n != nil {
		if n := v.n.Get("exporters", "prometheus"); len(n.Items()) > 0 {
			set(n.Origin(v.scope), "")
		}
	}
	if address, o, on := e.otlp("disable_metrics"); on {
		set(o, address)
	}
	if v := e.reader.component("telemetry/opencensus"); v.n.Get("exporters", "prometheus") != nil {
		set(v.n.Get("exporters", "prometheus").Origin(v.scope), "")
	}
}

func (e *endpoint) tracing(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	t := &p.Tracing
	*t = drift.Tracing{Enabled: drift.ByDefault(false), Exporter: drift.ByDefault(""), Endpoint: drift.ByDefault(""), Sample: drift.ByDefault(0.0), Propagation: none}
	if v := e.reader.component("telemetry/opencensus"); v.n != nil {
		for _, x := range []struct{ name, key string }{{"jaeger", "endpoint"}, {"zipkin", "collector_url"}, {"ocagent", "address"}, {"datadog", "tracing_address"}, {"xray", "region"}, {"stackdriver", "project_id"}} {
			n := v.n.Get("exporters", x.name)
			if n == nil {
				continue
			}
			t.Enabled, t.Exporter, t.Endpoint = drift.From(true, n.Origin(v.scope)), drift.From(x.name, n.Origin(v.scope)), e.wide(n).str(x.key, "")
			e.env.Refer("sink", t.Endpoint.Or(""), t.Endpoint.Origin)
		}
		t.Sample = value(v, "sample_rate", 0.0, percent)
		t.Propagation = drift.ByDefault([]string{"b3"})
	}
	v := e.reader.component("telemetry/opentelemetry")
	if address, o, on := e.otlp("disable_traces"); on {
		t.Enabled, t.Exporter, t.Endpoint = drift.From(true, o), drift.From("otlp", o), drift.From(address, o)
		t.Sample, t.Propagation = value(v, "trace_sample_rate", 1.0, ratio), drift.ByDefault([]string{"w3c"})
		e.env.Refer("sink", address, o)
	}
}
