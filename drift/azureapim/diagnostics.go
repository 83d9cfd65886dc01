package azureapim

import (
	"math"
	"slices"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// diagnostics: those of the API stand in place of the service's of the same name.
func (b *builder) diagnostics() {
	none, no, zero := drift.ByDefault([]string(nil)), drift.ByDefault(false), drift.ByDefault(int64(0))
	l := &b.p.Logging
	*l = drift.Logging{Enabled: no, Sinks: none, Format: drift.ByDefault("service"), Fields: none, Sample: drift.ByDefault(0.0), Body: zero, Headers: none, Redactions: none, Retention: drift.Impossible[int64]("kept by the sink")}
	b.p.Metrics = drift.Metrics{Enabled: no, Labels: none, Sink: drift.ByDefault("")}
	b.p.Tracing = drift.Tracing{Enabled: no, Exporter: drift.ByDefault(""), Endpoint: drift.ByDefault(""), Sample: drift.ByDefault(0.0), Propagation: none}
	b.p.Diag = drift.Diagnostics{Verbosity: drift.ByDefault("none"), Errors: no, Correlation: drift.ByDefault("")}
	all := map[string]*entity{}
	own := map[string]bool{}
	var order []string
	for _, e := range b.r.svc.diagnostics {
		all[e.name] = e
		order = append(order, e.name)
	}
	for _, e := range b.a.diags {
		if all[e.name] == nil {
			order = append(order, e.name)
		}
		all[e.name], own[e.name] = e, true
	}
	for _, name := range order {
		b.diagnostic(all[name], own[name])
	}
}

func (b *builder) diagnostic(e *entity, own bool) {
	scope := "global, diagnostic " + e.name
	if own {
		scope = "api " + b.a.name + ", diagnostic " + e.name
	}
	give := func(n *source.Node) (drift.State, drift.Origin) {
		if own {
			return drift.Set, n.Origin(scope)
		}
		return drift.Inherited, n.Origin(scope)
	}
	p, l := e.props, &b.p.Logging
	st, o := give(p)
	l.Enabled = drift.Leaf[bool]{Value: true, State: st, Origin: o}
	logger := last(p.Get("loggerId").Str())
	if r := find(b.r.svc.loggers, logger); r != nil {
		if id := r.props.Get("resourceId").Str(); id != "" {
			b.r.env.Refer("sink", last(id), r.props.Get("resourceId").Origin("logger "+logger))
		}
	}
	l.Sinks = drift.Leaf[[]string]{Value: append(l.Sinks.Value, logger), State: st, Origin: p.Get("loggerId").Origin(scope)}
	b.r.env.Refer("sink", logger, p.Get("loggerId").Origin(scope))
	sample := drift.Leaf[float64]{Value: 1, State: drift.Default, Origin: o}
	if f, ok := p.Get("sampling", "percentage").Float(); ok {
		s, at := give(p.Get("sampling", "percentage"))
		sample = drift.Leaf[float64]{Value: f / 100, State: s, Origin: at}
	}
	if sample.Value >= l.Sample.Value {
		l.Sample = sample
	}
	for _, side := range []string{"frontend", "backend"} {
		for _, dir := range []string{"request", "response"} {
			part := p.Get(side, dir)
			if n, ok := part.Get("body", "bytes").Int(); ok && n > l.Body.Value && n < math.MaxInt32 {
				s, at := give(part.Get("body", "bytes"))
				l.Body = drift.Leaf[int64]{Value: n, State: s, Origin: at}
			}
			if h := part.Get("headers").Strs(); len(h) > 0 {
				s, at := give(part.Get("headers"))
				l.Headers = drift.Leaf[[]string]{Value: drift.Sorted(append(l.Headers.Value, h...)), State: s, Origin: at}
			}
			for _, kind := range []string{"headers", "queryParams"} {
				for _, m := range part.Get("dataMasking", kind).Items() {
					s, at := give(m)
					l.Redactions = drift.Leaf[[]string]{Value: drift.Sorted(append(l.Redactions.Value, m.Get("value").Str())), State: s, Origin: at}
				}
			}
		}
	}
	if v := p.Get("verbosity"); v.Str() != "" {
		s, at := give(v)
		if have := b.p.Diag.Verbosity; have.State != drift.Default && chatty(have.Value) > chatty(strings.ToLower(v.Str())) {
			s, at, v = have.State, have.Origin, &source.Node{Kind: source.String, Text: have.Value} // another sink is told more
		}
		b.p.Diag.Verbosity = drift.Leaf[string]{Value: strings.ToLower(v.Str()), State: s, Origin: at}
	} else if b.p.Diag.Verbosity.State == drift.Default {
		b.p.Diag.Verbosity = drift.ByDefault("information")
	}
	if v := p.Get("alwaysLog"); strings.EqualFold(v.Str(), "allErrors") {
		s, at := give(v)
		b.p.Diag.Errors = drift.Leaf[bool]{Value: true, State: s, Origin: at}
	}
	if v := p.Get("httpCorrelationProtocol"); v.Str() != "" && !strings.EqualFold(v.Str(), "None") {
		s, at := give(v)
		b.p.Diag.Correlation = drift.Leaf[string]{Value: v.Str(), State: s, Origin: at}
		b.p.Tracing.Propagation = drift.Leaf[[]string]{Value: []string{strings.ToLower(v.Str())}, State: s, Origin: at}
	}
	if strings.EqualFold(e.name, "applicationinsights") {
		b.p.Tracing.Enabled = drift.Leaf[bool]{Value: true, State: st, Origin: o}
		b.p.Tracing.Exporter = drift.Leaf[string]{Value: "applicationinsights", State: st, Origin: o}
		b.p.Tracing.Sample = sample
		if v, ok := p.Get("metrics").Bool(); ok && v {
			b.p.Metrics.Enabled = drift.Leaf[bool]{Value: true, State: st, Origin: p.Get("metrics").Origin(scope)}
		}
	}
}

func chatty(verbosity string) int {
	return slices.Index([]string{"none", "error", "information", "verbose"}, verbosity)
}
