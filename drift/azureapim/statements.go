package azureapim

import (
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// statement reads one statement that changes, limits or records. Those that authenticate are read by ways.
func (b *builder) statement(s statement, phase string, when *drift.Condition) {
	switch s.el.Name {
	case "rate-limit", "rate-limit-by-key":
		b.rate(s, when)
	case "quota", "quota-by-key":
		b.quota(s, when)
	case "llm-token-limit", "azure-openai-token-limit":
		b.tokens(s, when)
	case "cors":
		b.cors(s, when)
	case "ip-filter":
		b.ipFilter(s, when)
	case "set-header", "set-query-parameter":
		b.setNamed(s, phase)
	case "rewrite-uri":
		raw, _ := s.el.Attr("template")
		b.transform(s, phase, "path", "rewrite", "", b.text(s, s.el, raw, ""))
	case "set-method":
		b.transform(s, phase, "method", "set", "", b.text(s, s.el, s.el.Text, ""))
	case "set-body", "find-and-replace", "redirect-content-urls", "json-to-xml", "xml-to-json", "jsonp", "xsl-transform":
		b.transform(s, phase, "body", strings.TrimPrefix(s.el.Name, "set-"), "", drift.Text(drift.Hash(s.doc.canonical(s.el))))
	case "set-status":
		code, _ := s.el.Attr("code")
		b.transform(s, phase, "status", "set", "", drift.Shown(s.doc.restore(code)))
	case "set-backend-service":
		b.backendService(s, when)
	case "forward-request":
		seconds := attr(b.r, s, s.el, "timeout", int64(300), asInt)
		seconds.Value *= 1000
		b.p.Limits.Read = under(seconds, when)
	case "retry":
		b.p.Limits.Retries = under(attr(b.r, s, s.el, "count", int64(0), asInt), when)
	case "validate-content":
		b.p.Limits.Body = under(attr(b.r, s, s.el, "max-size", int64(0), asInt), when)
		b.p.WAF = under(stated(s, append(b.p.WAF.Value, s.el.Name), s.origin()), when)
	case "validate-parameters", "validate-headers", "validate-graphql-request", "validate-odata-request", "llm-content-safety":
		b.p.WAF = under(stated(s, append(b.p.WAF.Value, s.el.Name), s.origin()), when)
	case "mock-response":
		b.p.Debug = under(stated(s, append(b.p.Debug.Value, s.el.Name), s.origin()), when)
	case "log-to-eventhub", "trace":
		b.sink(s, when)
	case "emit-metric", "llm-emit-token-metric", "azure-openai-emit-token-metric":
		b.p.Metrics.Enabled = under(stated(s, true, s.origin()), when)
		var labels []string
		for _, d := range s.el.All("dimension") {
			n, _ := d.Attr("name")
			labels = append(labels, n)
		}
		b.p.Metrics.Labels = under(stated(s, labels, s.origin()), when)
	case "authentication-certificate":
		ref := attr(b.r, s, s.el, "thumbprint", "", asText)
		if _, ok := s.el.Attr("certificate-id"); ok {
			ref = attr(b.r, s, s.el, "certificate-id", "", asText)
		}
		b.p.Upstream.ClientCert = under(ref, when)
	case "authentication-basic":
		for _, a := range []string{"username", "password"} {
			if v, ok := s.el.Attr(a); ok && a == "password" && !namedValue.MatchString(v) && !isExpr(s.doc.restore(v)) {
				b.r.literal("password for the backend", s.origin())
			}
		}
	case "send-request", "send-one-way-request", "invoke-dapr-binding", "publish-to-dapr", "proxy":
		b.opaque("callout", s.el.Name, s.doc.canonical(s.el), s.origin(), s)
		b.hosts(s)
	case "return-response":
		b.opaque("answer", s.el.Name, s.doc.canonical(s.el), s.origin(), s)
	}
}

func (b *builder) hosts(s statement) {
	if u := s.el.Child("set-url"); u != nil {
		if v, cause, expr := b.r.value(s.doc, u.Text, u.Origin(s.scope)); cause == "" && !expr {
			b.r.env.Refer("host", strings.TrimSpace(v), u.Origin(s.scope))
		}
	}
}

func (b *builder) rate(s statement, when *drift.Condition) {
	key := drift.ByDefault("credential")
	key.Origin = s.origin()
	if raw, ok := s.el.Attr("counter-key"); ok {
		v, _, _ := b.r.value(s.doc, raw, s.origin())
		key = stated(s, counterKey(v), s.origin())
	}
	one := drift.Rate{Count: under(attr(b.r, s, s.el, "calls", int64(0), asInt), when), Window: attr(b.r, s, s.el, "renewal-period", int64(0), asInt), Burst: drift.ByDefault(int64(0)),
		Algorithm: drift.ByDefault("sliding window"), Key: key, Enforcement: drift.ByDefault("shared"), Replicas: drift.ByDefault(int64(1)), FailOpen: drift.ByDefault(false),
		Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(int64(429))}
	b.p.Rates = keep(b.p.Rates, under(stated(s, append(b.p.Rates.Value, one), s.origin()), when))
}

// keep leaves a list known that has an unconditional entry when a conditional one is added: the entry itself says so.
func keep[T any](old, with drift.Leaf[[]T]) drift.Leaf[[]T] {
	if with.State == drift.Conditional && old.Known() && len(old.Value) > 0 {
		with.State, with.Cause = old.State, ""
	}
	return with
}

func (b *builder) quota(s statement, when *drift.Condition) {
	key := drift.ByDefault("credential")
	if raw, ok := s.el.Attr("counter-key"); ok {
		v, _, _ := b.r.value(s.doc, raw, s.origin())
		key = stated(s, counterKey(v), s.origin())
	}
	period := attr(b.r, s, s.el, "renewal-period", int64(0), asInt)
	for _, u := range []struct {
		attr, unit string
		factor     int64
	}{{"calls", "calls", 1}, {"bandwidth", "bytes", 1 << 10}} {
		if _, ok := s.el.Attr(u.attr); !ok {
			continue
		}
		count := attr(b.r, s, s.el, u.attr, int64(0), asInt)
		count.Value *= u.factor
		q := drift.Quota{Count: under(count, when), Period: period, Unit: u.unit, Key: key}
		b.p.Quotas = keep(b.p.Quotas, under(stated(s, append(b.p.Quotas.Value, q), s.origin()), when))
	}
}

func (b *builder) tokens(s statement, when *drift.Condition) {
	raw, _ := s.el.Attr("counter-key")
	v, _, _ := b.r.value(s.doc, raw, s.origin())
	q := drift.Quota{Count: attr(b.r, s, s.el, "tokens-per-minute", int64(0), asInt), Period: stated(s, int64(60), s.origin()), Unit: "tokens", Key: stated(s, counterKey(v), s.origin())}
	b.p.Quotas = keep(b.p.Quotas, under(stated(s, append(b.p.Quotas.Value, q), s.origin()), when))
}

func (b *builder) cors(s statement, when *drift.Condition) {
	c := &b.p.CORS
	c.Enabled = under(stated(s, true, s.origin()), when)
	c.Origins, c.Methods = b.r.texts(s, s.el, "allowed-origins", "origin"), b.r.texts(s, s.el, "allowed-methods", "method")
	c.Headers, c.Expose = b.r.texts(s, s.el, "allowed-headers", "header"), b.r.texts(s, s.el, "expose-headers", "header")
	if c.Methods.State == drift.Default {
		c.Methods.Value = []string{"GET", "POST"}
	}
	c.Credentials = attr(b.r, s, s.el, "allow-credentials", false, asBool)
	if m := s.el.Child("allowed-methods"); m != nil {
		c.MaxAge = attr(b.r, s, m, "preflight-result-max-age", int64(0), asInt)
	}
	for _, o := range c.Origins.Or(nil) {
		b.r.env.Refer("cors_origin", o, c.Origins.Origin)
	}
}

func (b *builder) ipFilter(s statement, when *drift.Condition) {
	action, _ := s.el.Attr("action")
	l := under(b.r.addresses(s), when)
	switch strings.ToLower(s.doc.restore(action)) {
	case "allow":
		if b.p.IP.Allow.Known() && len(b.p.IP.Allow.Value) > 0 && l.Known() {
			l = narrowed(b.p.IP.Allow, l)
		}
		b.p.IP.Allow = l
	case "forbid":
		l.Value = append(append([]string(nil), b.p.IP.Deny.Value...), l.Value...)
		b.p.IP.Deny = l
	}
}

// narrowed is what two filters both let in, when one lies within the other; else it is not known.
func narrowed(a, b drift.Leaf[[]string]) drift.Leaf[[]string] {
	switch drift.CompareCIDR(a.Value, b.Value) {
	case drift.Stronger, drift.Same:
		return a
	case drift.Weaker:
		return b
	}
	return drift.Unknown[[]string]("two address filters of which neither lies within the other", b.Origin)
}

func (b *builder) setNamed(s statement, phase string) {
	name, _ := s.el.Attr("name")
	name = s.doc.restore(name)
	action, _ := s.el.Attr("exists-action")
	target := "header"
	if s.el.Name == "set-query-parameter" {
		target = "query"
	}
	op := map[string]string{"delete": "remove", "append": "append", "skip": "add"}[strings.ToLower(action)]
	if op == "" {
		op = "set"
	}
	var value drift.Text
	for _, v := range s.el.All("value") {
		value += b.text(s, v, v.Text, name)
		if t := strings.TrimSpace(s.doc.restore(v.Text)); drift.SecretName(name) && !namedValue.MatchString(t) && !isExpr(t) && len(t) > 8 && !strings.EqualFold(op, "remove") {
			b.r.literal("value of "+strings.ToLower(name), v.Origin(s.scope))
		}
	}
	if target == "header" && strings.EqualFold(name, "host") {
		target = "host"
	}
	b.transform(s, phase, target, op, name, value)
}

func (b *builder) backendService(s statement, when *drift.Condition) {
	if raw, ok := s.el.Attr("base-url"); ok {
		l := under(leafOf(b.r, s, s.el, raw, asText), when)
		b.p.Upstream.URLs = drift.Leaf[[]string]{Value: []string{l.Value}, State: l.State, Origin: l.Origin, Cause: l.Cause}
		b.p.Upstream.Verify = drift.ByDefault(true)
		if l.Known() || l.State == drift.Conditional && l.Value != "" {
			b.r.env.Refer("upstream", l.Value, l.Origin)
		}
		return
	}
	raw, ok := s.el.Attr("backend-id")
	if !ok {
		return
	}
	id, cause, expr := b.r.value(s.doc, raw, s.origin())
	switch {
	case expr:
		b.p.Upstream.URLs = drift.DependsOn[[]string](nil, "expression", s.origin())
	case cause != "":
		b.p.Upstream.URLs = drift.Unknown[[]string](cause, s.origin())
	default:
		b.backend(id, s, when)
	}
}

func (b *builder) backend(id string, s statement, when *drift.Condition) {
	e := find(b.r.svc.backends, id)
	if e == nil {
		b.r.gap("backend", id, s.origin())
		b.p.Upstream.URLs = drift.Unknown[[]string]("backend "+id+" is missing", s.origin())
		return
	}
	urls := []string{}
	if u := e.props.Get("url").Str(); u != "" {
		urls = append(urls, u)
	}
	verify := verified(e)
	for _, m := range e.props.Get("pool", "services").Items() {
		if member := find(b.r.svc.backends, last(m.Get("id").Str())); member != nil {
			urls = append(urls, member.props.Get("url").Str())
			if v := verified(member); v.Known() && !v.Value {
				verify = v
			}
		}
	}
	for i, u := range urls {
		b.r.env.Refer("upstream", u, e.props.Get("url").Origin("backend "+id))
		urls[i] = drift.Mask(u)
	}
	o := e.props.Origin("backend " + id)
	b.p.Upstream.URLs = under(drift.From(urls, o), when)
	b.p.Upstream.Verify = under(verify, when)
	if c := e.props.Get("credentials", "certificate"); c != nil && len(c.Strs()) > 0 {
		b.p.Upstream.ClientCert = drift.From(drift.Mask(c.Strs()[0]), c.Origin("backend "+id))
	}
}

func verified(e *entity) drift.Leaf[bool] {
	l := drift.ByDefault(true)
	for _, k := range []string{"validateCertificateChain", "validateCertificateName"} {
		n := e.props.Get("tls", k)
		if v, ok := n.Bool(); ok {
			if l.State == drift.Default || !v {
				l = drift.From(v && l.Value, n.Origin("backend "+e.name))
			}
		}
	}
	return l
}

func (b *builder) sink(s statement, when *drift.Condition) {
	id, ok := s.el.Attr("logger-id")
	if !ok {
		return
	}
	id = s.doc.restore(id)
	l := b.p.Logging.Sinks
	b.p.Logging.Sinks = stated(s, append(l.Value, id), s.origin())
	if !b.p.Logging.Enabled.Or(false) {
		b.p.Logging.Enabled = under(stated(s, true, s.origin()), when)
	}
	b.r.env.Refer("sink", id, s.origin())
	text := s.doc.canonical(s.el)
	b.opaque("csharp", s.el.Name, text, s.origin(), s)
	if strings.Contains(text, "Authorization") || strings.Contains(text, "Request.Headers.Select") {
		b.p.Logging.Headers = under(stated(s, append(b.p.Logging.Headers.Value, "authorization"), s.origin()), when)
	}
	if strings.Contains(text, "Body.As<") {
		b.p.Logging.Body = drift.DependsOn(int64(1), "expression", s.origin())
	}
}

// onError reads the error path: whether it leaves a trace, and whether it tells the caller about the inside.
func (b *builder) onError(list []statement) {
	b.p.Diag.FaultLogged, b.p.Diag.FaultLeaks = drift.ByDefault(false), drift.ByDefault(false)
	for _, s := range list {
		s.el.Walk(func(e *source.Element) {
			switch e.Name {
			case "log-to-eventhub", "trace", "send-request", "send-one-way-request":
				b.p.Diag.FaultLogged = stated(s, true, e.Origin(s.scope))
			case "set-body", "value", "set-status":
				t := s.doc.restore(e.Text)
				if v, ok := e.Attr("reason"); ok {
					t += s.doc.restore(v)
				}
				if strings.Contains(t, "context.LastError") && (e.Parent == nil || e.Parent.Name != "log-to-eventhub") {
					b.p.Diag.FaultLeaks = stated(s, true, e.Origin(s.scope))
				}
			}
		})
		b.statements("response", []statement{s}, &drift.Condition{Text: "an error"}, 0)
	}
}
