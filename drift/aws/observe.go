package aws

import (
	"regexp"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// logged is one value that an access log writes.
var logged = regexp.MustCompile(`\$context\.([A-Za-z0-9_.]+)`)

// telemetry reads the log, the metrics and the traces of a stage.
func (r *reader) telemetry(a *api, s *stage, p *drift.Policy) {
	none := func() drift.Leaf[[]string] { return drift.ByDefault([]string(nil)) }
	p.Logging = drift.Logging{Enabled: drift.ByDefault(false), Sinks: none(), Format: drift.ByDefault(""), Fields: none(), Sample: drift.ByDefault(1.0), Body: drift.ByDefault(int64(0)),
		Headers: none(), Redactions: none(), Retention: drift.ByDefault(int64(0))}
	p.Metrics = drift.Metrics{Enabled: drift.ByDefault(false), Labels: none(), Sink: drift.ByDefault("cloudwatch")}
	p.Tracing = drift.Tracing{Enabled: drift.ByDefault(false), Exporter: drift.ByDefault("xray"), Endpoint: drift.ByDefault(""),
		Sample: drift.Unknown[float64]("decided by the account's sampling rules of X-Ray", drift.Origin{}), Propagation: drift.ByDefault([]string{"xray"})}
	p.Diag = drift.Diagnostics{Verbosity: drift.ByDefault("none"), Errors: drift.ByDefault(false), Correlation: drift.Impossible[string]("no setting for it"), FaultLogged: drift.ByDefault(false)}
	if n := first(s.props, "TracingEnabled"); n != nil {
		p.Tracing.Enabled = a.leafBool(n, false)
	}
	if n := first(s.props, "AccessLogSetting", "AccessLogSettings"); n != nil {
		r.access(a, n, p)
	}
	if n := a.wide(s); n != nil {
		r.settings(a, n, p)
	}
}

func (r *reader) access(a *api, n *source.Node, p *drift.Policy) {
	at := n.Origin("stage")
	sink := n.Get("DestinationArn")
	p.Logging.Enabled = drift.Is(true, at)
	p.Logging.Sinks = a.leafList(sink, nil)
	if id := referred(sink); !p.Logging.Sinks.Known() && id != "" {
		p.Logging.Sinks = drift.Is([]string{"loggroup:" + drift.Mask(id)}, sink.Origin("stage"))
	}
	for _, v := range p.Logging.Sinks.Value {
		r.env.Refer("sink", v, at)
	}
	p.Logging.Retention = drift.Unknown[int64]("set on the log group, which is not among the files", at)
	if a.tpl != nil {
		if g := a.tpl.logs[referred(sink)]; g != nil {
			p.Logging.Retention = a.leafInt(g.Get("Properties", "RetentionInDays"), 0)
		}
	}
	format := a.leafText(n.Get("Format"), "")
	if !format.Known() {
		p.Logging.Format, p.Logging.Fields = format, drift.Unknown[[]string](format.Cause, format.Origin)
		return
	}
	kind := "text"
	if strings.HasPrefix(strings.TrimSpace(format.Value), "{") {
		kind = "json"
	}
	var fields []string
	for _, m := range logged.FindAllStringSubmatch(format.Value, -1) {
		fields = append(fields, m[1])
	}
	p.Logging.Format, p.Logging.Fields = drift.Is(kind, at), drift.Is(drift.Sorted(fields), at)
}

// wide are the settings for all methods of a stage.
func (a *api) wide(s *stage) *source.Node {
	if a.kind != rest {
		return s.props.Get("DefaultRouteSettings")
	}
	for _, m := range s.props.Get("MethodSettings").Items() {
		if where(m) == "*" && method(m) == "*" {
			return m
		}
	}
	return nil
}

// where is the path that settings are for: the escape of the slash is undone, and all forms of every path are *.
func where(m *source.Node) string {
	p := strings.ReplaceAll(m.Get("ResourcePath").Str(), "~1", "/")
	if p == "/*" || p == "*" || p == "" {
		return "*"
	}
	return "/" + strings.Trim(p, "/")
}

func method(m *source.Node) string {
	if s := m.Get("HttpMethod").Str(); s != "" && s != "*" {
		return strings.ToLower(s)
	}
	return "*"
}

// narrow are the settings for one method.
func (a *api) narrow(s *stage, o *op) *source.Node {
	if a.kind != rest {
		key := strings.ToUpper(o.method) + " " + o.path
		if a.kind == websocket || o.path == "$default" {
			key = o.path
		}
		return s.props.Get("RouteSettings", key)
	}
	for _, m := range s.props.Get("MethodSettings").Items() {
		if where(m) == "/"+strings.Trim(o.path, "/") && (method(m) == o.method || method(m) == "*") {
			return m
		}
	}
	return nil
}

func (r *reader) settings(a *api, n *source.Node, p *drift.Policy) {
	at := n.Origin("stage")
	if v := first(n, "MetricsEnabled", "DetailedMetricsEnabled"); v != nil {
		p.Metrics.Enabled = a.leafBool(v, false)
	}
	if v := n.Get("LoggingLevel"); v != nil {
		l := a.leafText(v, "OFF")
		switch {
		case !l.Known():
			p.Diag.Verbosity, p.Diag.Errors, p.Diag.FaultLogged = l, drift.Unknown[bool](l.Cause, l.Origin), drift.Unknown[bool](l.Cause, l.Origin)
		default:
			l.Value = map[string]string{"ERROR": "error", "INFO": "information"}[strings.ToUpper(l.Value)]
			on := l.Value != ""
			if !on {
				l.Value = "none"
			}
			p.Diag.Verbosity, p.Diag.Errors, p.Diag.FaultLogged = l, drift.Is(on, at), drift.Is(on, at)
		}
	}
	if v := n.Get("DataTraceEnabled"); v != nil {
		switch b := a.leafBool(v, false); {
		case !b.Known():
			p.Logging.Body = drift.Unknown[int64](b.Cause, b.Origin)
		case b.Value:
			// Whole messages are written, headers included.
			p.Logging.Enabled = drift.Is(true, b.Origin)
			p.Logging.Body, p.Logging.Headers = drift.Is(int64(10<<20), b.Origin), drift.Is([]string{"*"}, b.Origin)
		}
	}
}

// limits are the throttles of the stage and of the usage plans. Those of the account are not among the files, and the same for all.
func (r *reader) limits(a *api, s *stage, o *op, p *drift.Policy) {
	var rates []drift.Rate
	var quotas []drift.Quota
	var at drift.Origin
	for _, n := range []*source.Node{a.narrow(s, o), a.wide(s)} {
		if n == nil {
			continue
		}
		if len(rates) == 0 {
			if rate, ok := a.rate(n, "ThrottlingRateLimit", "ThrottlingBurstLimit", "global"); ok {
				rates, at = append(rates, rate), n.Origin("stage")
			}
		}
	}
	if n := a.narrow(s, o); n != nil {
		r.settings(a, n, p)
	}
	if p.Lifecycle.Subscription.Or(false) {
		for _, plan := range a.plans {
			if rate, ok := a.rate(plan.Get("Throttle"), "RateLimit", "BurstLimit", "credential"); ok {
				rates, at = append(rates, rate), plan.Origin("usage plan")
			}
			if q := plan.Get("Quota"); q != nil {
				period := map[string]int64{"DAY": 86400, "WEEK": 7 * 86400, "MONTH": 30 * 86400}[strings.ToUpper(q.Get("Period").Str())]
				quotas = append(quotas, drift.Quota{Count: a.leafInt(q.Get("Limit"), 0), Period: drift.Is(period, q.Origin("usage plan")), Unit: "calls", Key: drift.ByDefault("credential")})
				if period == 0 {
					quotas[len(quotas)-1].Period = drift.Unknown[int64]("period "+q.Get("Period").Str(), q.Origin("usage plan"))
				}
			}
		}
	}
	p.Rates, p.Quotas = drift.ByDefault(rates), drift.ByDefault(quotas)
	if len(rates) > 0 {
		p.Rates = drift.From(rates, at)
	}
	if len(quotas) > 0 {
		p.Quotas = drift.From(quotas, at)
	}
	if a.tpl == nil {
		p.Rates, p.Quotas = drift.Unknown[[]drift.Rate](outside, drift.Origin{}), drift.Unknown[[]drift.Quota](outside, drift.Origin{})
	}
}

func (a *api) rate(n *source.Node, count, burst, key string) (drift.Rate, bool) {
	c := n.Get(count)
	if c.Absent() {
		return drift.Rate{}, false
	}
	if v, ok := c.Float(); ok && v < 0 {
		return drift.Rate{}, false // -1 takes the limit away
	}
	return drift.Rate{Count: a.leafInt(c, 0), Window: drift.ByDefault(int64(1)), Burst: a.leafInt(n.Get(burst), 0), Algorithm: drift.ByDefault("token-bucket"), Key: drift.ByDefault(key),
		Enforcement: drift.ByDefault("shared"), Replicas: drift.ByDefault(int64(1)), FailOpen: drift.Impossible[bool]("limits are a best effort, as the vendor says"), Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(int64(429))}, true
}
