package traefik

import (
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

func (r *reader) replicas() drift.Leaf[int64] {
	if n, err := strconv.ParseInt(r.values["replicas"], 10, 64); err == nil && n > 0 {
		return drift.From(n, drift.Origin{Scope: "option replicas"})
	}
	for _, o := range k8s.Kind(r.objects, "Deployment") {
		for _, c := range o.Spec().Get("template", "spec", "containers").Items() {
			if n, ok := o.Spec().Get("replicas").Int(); ok && strings.Contains(c.Get("image").Str(), "traefik") {
				return drift.From(n, o.Spec().Get("replicas").Origin(o.Label()))
			}
		}
	}
	return drift.Unknown[int64]("the number of replicas is not among the files", drift.Origin{Scope: "static configuration"})
}

// observe reads logs, measures and traces, which the static configuration sets for all, and entry points and routers may switch off.
func (r *reader) observe(p *drift.Policy, t *router, e *entry) {
	none := drift.ByDefault([]string(nil))
	o := drift.Origin{Scope: "static configuration"}
	g := &p.Logging
	g.Sinks, g.Format, g.Fields, g.Sample, g.Body, g.Headers, g.Redactions = none, drift.ByDefault("common"), none, drift.ByDefault(1.0), drift.ByDefault(int64(0)), none, none
	g.Retention = drift.Impossible[int64]("kept by the sink")
	p.Metrics = drift.Metrics{Enabled: drift.ByDefault(false), Labels: none, Sink: drift.ByDefault("")}
	p.Tracing = drift.Tracing{Enabled: drift.ByDefault(false), Exporter: drift.ByDefault(""), Endpoint: drift.ByDefault(""), Sample: drift.ByDefault(0.0), Propagation: none}
	p.Diag = drift.Diagnostics{Verbosity: drift.ByDefault("error"), Errors: drift.Impossible[bool]("the log has no sampling"), Correlation: drift.ByDefault(""), FaultLogged: drift.Impossible[bool]("there is no error path"), FaultLeaks: drift.ByDefault(false)}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("there are no revisions"), Version: drift.Impossible[string]("there are no versions"), Deprecated: drift.Impossible[bool]("cannot be marked"),
		Subscription: drift.Impossible[bool]("there are no subscriptions"), Approval: drift.Impossible[bool]("there is no approval")}
	if !r.known {
		g.Enabled, p.Metrics.Enabled, p.Tracing.Enabled = drift.Unknown[bool](noStatic, o), drift.Unknown[bool](noStatic, o), drift.Unknown[bool](noStatic, o)
		p.Diag.Verbosity = drift.Unknown[string](noStatic, o)
		return
	}
	v := view{&source.Node{}, "static configuration", true}
	r.accessLog(g, v)
	if m := r.setting("metrics"); present(m) {
		r.metrics(p, m)
	}
	if n := r.setting("tracing"); present(n) {
		r.tracing(p, n)
	}
	if l := r.setting("log", "level"); l != nil {
		if s := map[string]string{"TRACE": "verbose", "DEBUG": "verbose", "INFO": "information", "WARN": "error", "ERROR": "error", "FATAL": "none", "PANIC": "none"}[strings.ToUpper(l.Str())]; s != "" {
			p.Diag.Verbosity = drift.From(s, l.Origin(v.scope))
		}
	}
	for _, k := range []string{"insecure", "debug"} {
		if n := r.setting("api", k); n != nil {
			if on, _ := n.Bool(); on {
				p.Debug = drift.From(append(p.Debug.Value, "api."+k), n.Origin(v.scope))
			}
		}
	}
	for _, w := range []struct {
		n    *source.Node
		view view
	}{{keyIn(e.node, "observability"), view{e.node, e.scope(), true}}, {keyIn(t.node, "observability"), view{t.node, t.scope, false}}} {
		for _, k := range []struct {
			key string
			to  *drift.Leaf[bool]
		}{{"accessLogs", &g.Enabled}, {"metrics", &p.Metrics.Enabled}, {"tracing", &p.Tracing.Enabled}} {
			if on, ok := keyIn(w.n, k.key).Bool(); ok && !on {
				*k.to = leaf(w.view, false, keyIn(w.n, k.key))
			}
		}
	}
	// Whose address a caller has is the entry point's matter.
	if n := keyIn(e.node, "forwardedHeaders", "insecure"); n != nil && p.IP.Source.State == drift.Default {
		if on, _ := n.Bool(); on {
			p.IP.Hops = drift.From(int64(0), n.Origin(e.scope()))
			p.Debug = drift.From(append(p.Debug.Value, "forwardedHeaders.insecure"), n.Origin(e.scope()))
		}
	}
	if n := keyIn(e.node, "proxyProtocol"); present(n) && p.IP.Source.State == drift.Default {
		p.IP.Source = drift.From("proxy_protocol", n.Origin(e.scope()))
	}
}

// present reports whether a section is written, also as nothing but its name.
func present(n *source.Node) bool {
	if n == nil {
		return false
	}
	on, ok := n.Bool()
	return !ok || on
}

func (r *reader) accessLog(g *drift.Logging, v view) {
	n := r.setting("accessLog")
	g.Enabled = drift.ByDefault(false)
	if !present(n) {
		return
	}
	v.n = n
	g.Enabled = drift.From(true, n.Origin(v.scope))
	g.Sinks = drift.ByDefault([]string{"stdout"})
	if f := v.str("", "filePath"); f.State != drift.Default {
		g.Sinks = drift.Leaf[[]string]{Value: []string{f.Value}, State: f.State, Origin: f.Origin, Cause: f.Cause}
	}
	for _, k := range []string{"http", "grpc"} {
		if x := keyIn(n, "otlp", k, "endpoint"); x.Str() != "" {
			s := endpoint(k, x.Str(), keyIn(n, "otlp", k, "insecure"))
			g.Sinks = drift.From(append(g.Sinks.Value, s), x.Origin(v.scope))
			r.env.Refer("sink", s, x.Origin(v.scope))
		}
	}
	g.Format = v.str("common", "format")
	if f := keyIn(n, "filters"); f != nil && len(f.Keys) > 0 {
		g.Sample = drift.DependsOn(1.0, "filters of the access log", f.Origin(v.scope))
	}
	fields := keyIn(n, "fields")
	if keyIn(fields, "defaultMode").Str() == "drop" {
		var kept []string
		keyIn(fields, "names").Each(func(k string, m *source.Node) {
			if m.Str() != "drop" {
				kept = append(kept, k)
			}
		})
		g.Fields = drift.From(drift.Sorted(kept), fields.Origin(v.scope))
	}
	headers := keyIn(fields, "headers")
	if headers == nil {
		return
	}
	var kept, hidden []string
	switch keyIn(headers, "defaultMode").Str() {
	case "keep":
		kept = append(kept, "*")
	case "redact":
		hidden = append(hidden, "*")
	}
	keyIn(headers, "names").Each(func(k string, m *source.Node) {
		switch m.Str() {
		case "keep":
			kept = append(kept, strings.ToLower(k))
		case "redact":
			hidden = append(hidden, strings.ToLower(k))
		}
	})
	g.Headers, g.Redactions = drift.From(drift.Sorted(kept), headers.Origin(v.scope)), drift.From(drift.Sorted(hidden), headers.Origin(v.scope))
}

// endpoint is an address with the scheme that it is really called by.
func endpoint(kind, address string, insecure *source.Node) string {
	if strings.Contains(address, "://") {
		return drift.Mask(address)
	}
	if on, _ := insecure.Bool(); on {
		return map[string]string{"grpc": "grpc://", "http": "http://"}[kind] + drift.Mask(address)
	}
	return "https://" + drift.Mask(address)
}

func (r *reader) metrics(p *drift.Policy, n *source.Node) {
	var sinks, labels []string
	for _, k := range drift.Sorted(n.Keys) {
		s := n.Get(k)
		switch strings.ToLower(k) {
		case "prometheus", "datadog", "statsd", "influxdb", "influxdb2", "otlp":
		default:
			continue
		}
		sink := strings.ToLower(k)
		if a := keyIn(s, "address").Str(); a != "" {
			sink = drift.Mask(a)
			r.env.Refer("sink", a, s.Origin("static configuration"))
		}
		for _, how := range []string{"http", "grpc"} {
			if a := keyIn(s, how, "endpoint").Str(); a != "" {
				sink = endpoint(how, a, keyIn(s, how, "insecure"))
				r.env.Refer("sink", sink, s.Origin("static configuration"))
			}
		}
		sinks = append(sinks, sink)
		for _, l := range []struct {
			key, label string
			def        bool
		}{{"addEntryPointsLabels", "entrypoint", true}, {"addRoutersLabels", "router", false}, {"addServicesLabels", "service", true}} {
			on, ok := keyIn(s, l.key).Bool()
			if ok && on || !ok && l.def {
				labels = append(labels, l.label)
			}
		}
	}
	o := n.Origin("static configuration")
	if len(sinks) == 0 {
		return
	}
	p.Metrics = drift.Metrics{Enabled: drift.From(true, o), Labels: drift.From(drift.Sorted(labels), o), Sink: drift.From(strings.Join(sinks, ", "), o)}
}

func (r *reader) tracing(p *drift.Policy, n *source.Node) {
	t, o := &p.Tracing, n.Origin("static configuration")
	v := view{n, "static configuration", true}
	t.Enabled = drift.From(true, o)
	t.Sample = value(v, 1.0, (*source.Node).Float, "sampleRate")
	t.Exporter, t.Propagation = drift.ByDefault("otlp"), drift.ByDefault([]string{"tracecontext"})
	for _, k := range []struct{ name, propagation string }{{"jaeger", "jaeger"}, {"zipkin", "b3"}, {"datadog", "datadog"}, {"instana", "instana"}, {"haystack", "haystack"}, {"elastic", "tracecontext"}} {
		if s := keyIn(n, k.name); present(s) {
			t.Exporter, t.Propagation = drift.From(k.name, s.Origin(v.scope)), drift.From([]string{k.propagation}, s.Origin(v.scope))
			for _, a := range []string{"httpEndpoint", "samplingServerURL", "localAgentHostPort", "serverURL"} {
				if x := keyIn(s, a); x.Str() != "" {
					t.Endpoint = drift.From(drift.Mask(x.Str()), x.Origin(v.scope))
				}
			}
			if s := value(view{s, v.scope, true}, 1.0, (*source.Node).Float, "samplingParam"); s.State != drift.Default {
				t.Sample = s
			}
		}
	}
	for _, k := range []string{"http", "grpc"} {
		if x := keyIn(n, "otlp", k, "endpoint"); x.Str() != "" {
			t.Endpoint = drift.From(endpoint(k, x.Str(), keyIn(n, "otlp", k, "insecure")), x.Origin(v.scope))
		}
	}
	if t.Endpoint.Value != "" {
		r.env.Refer("sink", t.Endpoint.Value, t.Endpoint.Origin)
	}
}
