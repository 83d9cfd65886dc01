package envoygateway

import (
	"regexp"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/gatewayapi"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// defaults are Envoy Gateway's own.
func (r *reader) defaults(p *drift.Policy) {
	none, no, zero := drift.ByDefault([]string(nil)), drift.ByDefault(false), drift.ByDefault(int64(0))
	p.Auth.Ways = drift.ByDefault(drift.Ways(nil))
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	p.Rates = drift.ByDefault([]drift.Rate(nil))
	p.IP = drift.IPFilter{Allow: none, Deny: none, Source: drift.ByDefault("peer"), Hops: zero}
	p.WAF = none
	read, retries := p.Limits.Read, p.Limits.Retries
	p.Limits = drift.Limits{Body: zero, Header: drift.ByDefault(int64(60 << 10)), Connect: drift.ByDefault(int64(10_000)), Read: zero, Retries: drift.ByDefault(int64(2)), RetryOn: none, Breaker: drift.ByDefault("")}
	if read.Known() {
		p.Limits.Read = read
	}
	if retries.Known() {
		p.Limits.Retries = retries
	}
	p.TLS.Min, p.TLS.Max = drift.ByDefault("1.2"), drift.ByDefault("1.3")
	p.TLS.Ciphers, p.TLS.Curves, p.TLS.ALPN = none, none, drift.ByDefault([]string{"h2", "http/1.1"})
	p.Upstream.Min = drift.ByDefault("1.2")
	p.Diag.Correlation = drift.ByDefault("x-request-id")
	p.Metrics = drift.Metrics{Enabled: drift.ByDefault(true), Labels: none, Sink: drift.ByDefault("prometheus")}
	p.Tracing = drift.Tracing{Enabled: no, Exporter: drift.ByDefault(""), Endpoint: drift.ByDefault(""), Sample: drift.ByDefault(0.0), Propagation: none}
	p.Logging = drift.Logging{Enabled: drift.ByDefault(true), Sinks: drift.ByDefault([]string{"/dev/stdout"}), Format: drift.ByDefault("json"), Fields: none, Sample: drift.ByDefault(1.0), Body: zero,
		Headers: none, Redactions: none, Retention: drift.Impossible[int64]("kept by the sink")}
}

func (r *reader) security(p *drift.Policy, a *gatewayapi.Attachment) {
	x := r.apply("SecurityPolicy", a)
	if x.by == nil {
		return
	}
	ways, from := r.ways(x)
	p.Auth.Ways = drift.ByDefault(ways)
	if from != nil {
		p.Auth.Ways = leaf(x, ways, from)
	}
	if x.parent != nil && !x.merged {
		lost, _ := r.ways(applied{spec: x.parent.Spec(), by: x.parent})
		o := ways.Compare(lost)
		for _, n := range lost.All() {
			if o != drift.Same && o != drift.Stronger {
				p.Cuts = append(p.Cuts, drift.Cut{What: string(n.Kind), Auth: true, Lost: n.Origin, Origin: x.by.Origin()})
			}
		}
	}
	p.Auth.Optional = flag(x, x.spec.Get("jwt", "optional"), false)
	if p.Auth.Optional.Value && hasOther(ways) {
		p.Auth.Optional.Value = false // something else is demanded as well
	}
	r.cors(p, x)
	r.authorization(p, x)
	if x.spec.Has("csrf") {
		p.WAF = leaf(x, append(p.WAF.Value, "csrf"), x.spec.Get("csrf"))
	}
}

func hasOther(w drift.Ways) bool {
	for _, n := range w.All() {
		if n.Kind != drift.JWTProof {
			return true
		}
	}
	return false
}

// ways: each kind that is configured is demanded; providers of JWT are alternatives; OIDC that lets a bearer through is an alternative
// to it.
func (r *reader) ways(x applied) (w drift.Ways, from *source.Node) {
	s := x.spec
	times := func(more drift.Ways, n *source.Node) {
		w, _ = w.Times(more)
		if from == nil {
			from = n
		}
	}
	jwt := r.jwt(x)
	if o := s.Get("oidc"); o != nil {
		sess := drift.Ways{{Needs: []drift.Requirement{{Kind: drift.OIDCSession, Name: "oidc", Origin: x.origin(o), Forward: flag(x, o.Get("forwardAccessToken"), false)}}}}
		r.env.Refer("issuer", o.Get("provider", "issuer").Str(), x.origin(o))
		if pass, _ := o.Get("passThroughAuthHeader").Bool(); pass && len(jwt) > 0 {
			sess, jwt = append(sess, jwt...), nil
		}
		times(sess, o)
	}
	if len(jwt) > 0 {
		times(jwt, s.Get("jwt"))
	}
	if b := s.Get("basicAuth"); b != nil {
		times(drift.Ways{{Needs: []drift.Requirement{{Kind: drift.BasicProof, Name: "basicAuth", Origin: x.origin(b), Forward: drift.ByDefault(true)}}}}, b)
	}
	if k := s.Get("apiKeyAuth"); k != nil {
		times(drift.Ways{{Needs: []drift.Requirement{apiKey(x, k)}}}, k)
	}
	if e := s.Get("extAuth"); e != nil {
		times(drift.Ways{{Needs: []drift.Requirement{r.extAuth(x, e)}}}, e)
	}
	return w, from
}

func (r *reader) jwt(x applied) drift.Ways {
	var w drift.Ways
	for _, n := range x.spec.Get("jwt", "providers").Items() {
		j := &drift.JWT{Static: drift.ByDefault(false), Algorithms: drift.Unknown[[]string]("taken from the key set", x.origin(n)), Signed: drift.ByDefault(true), Expires: drift.ByDefault(true),
			Skew: drift.ByDefault(int64(60)), Longest: drift.ByDefault(int64(0)), Claims: drift.ByDefault([]drift.Claim(nil)), Keys: drift.ByDefault([]string(nil)), Audiences: list(x, n.Get("audiences")), Issuers: drift.ByDefault([]string(nil))}
		if i := n.Get("issuer"); i.Str() != "" {
			j.Issuers = leaf(x, []string{drift.Mask(i.Str())}, i)
			r.env.Refer("issuer", i.Str(), x.origin(i))
		}
		if u := n.Get("remoteJWKS", "uri"); u != nil {
			j.Keys = leaf(x, []string{drift.Mask(u.Str())}, u)
		}
		if l := n.Get("localJWKS"); l != nil {
			j.Static = leaf(x, true, l)
		}
		j.Sources = drift.ByDefault([]string{"header:authorization", "query:access_token"})
		if e := n.Get("extractFrom"); e != nil {
			var src []string
			for _, h := range e.Get("headers").Items() {
				src = append(src, "header:"+strings.ToLower(h.Get("name").Str()))
			}
			for _, k := range []struct{ key, prefix string }{{"cookies", "cookie:"}, {"params", "query:"}} {
				for _, s := range e.Get(k.key).Strs() {
					src = append(src, k.prefix+s)
				}
			}
			j.Sources = leaf(x, src, e)
		}
		w = append(w, drift.Way{Needs: []drift.Requirement{{Kind: drift.JWTProof, Name: n.Get("name").Str(), Origin: x.origin(n), Forward: drift.ByDefault(true), JWT: j}}})
	}
	return w
}

func apiKey(x applied, k *source.Node) drift.Requirement {
	var in, names []string
	for _, e := range k.Get("extractFrom").Items() {
		for _, s := range []struct{ key, place string }{{"headers", "header"}, {"params", "query"}, {"cookies", "cookie"}} {
			if l := e.Get(s.key).Strs(); len(l) > 0 {
				in, names = append(in, s.place), append(names, l...)
			}
		}
	}
	return drift.Requirement{Kind: drift.KeyProof, Name: "apiKeyAuth", Origin: x.origin(k), Forward: invert(flag(x, k.Get("sanitize"), false)), Key: &drift.APIKey{In: leaf(x, drift.Sorted(in), k), Names: leaf(x, names, k)}}
}

func invert(l drift.Leaf[bool]) drift.Leaf[bool] { l.Value = !l.Value; return l }

func (r *reader) extAuth(x applied, e *source.Node) drift.Requirement {
	var url string
	for _, k := range []string{"grpc", "http"} {
		refs := e.Get(k, "backendRefs").Items()
		if b := e.Get(k, "backendRef"); b != nil {
			refs = append(refs, b)
		}
		for _, b := range refs {
			url = k + "://" + b.Get("name").Str() + e.Get(k, "path").Str()
		}
	}
	return drift.Requirement{Kind: drift.ExtAuthz, Name: "extAuth", Origin: x.origin(e), Forward: drift.ByDefault(true), External: &drift.External{URL: leaf(x, url, e), FailOpen: flag(x, e.Get("failOpen"), false),
		Timeout: millis(x, e.Get("timeout"), 10_000), TTL: drift.ByDefault(int64(0)), CacheKey: drift.ByDefault([]string(nil))}}
}

func (r *reader) cors(p *drift.Policy, x applied) {
	n := x.spec.Get("cors")
	if n == nil {
		return
	}
	p.CORS = drift.CORS{Enabled: leaf(x, true, n), Origins: list(x, n.Get("allowOrigins")), Methods: list(x, n.Get("allowMethods")), Headers: list(x, n.Get("allowHeaders")), Expose: list(x, n.Get("exposeHeaders")),
		Credentials: flag(x, n.Get("allowCredentials"), false), MaxAge: drift.ByDefault(int64(0))}
	if ms, ok := gatewayapi.Millis(n.Get("maxAge").Str()); ok {
		p.CORS.MaxAge = leaf(x, ms/1000, n.Get("maxAge"))
	}
	for _, o := range p.CORS.Origins.Value {
		r.env.Refer("cors_origin", o, p.CORS.Origins.Origin)
	}
}

// authorization: rules in order; what they do not decide the default does, which is to deny.
func (r *reader) authorization(p *drift.Policy, x applied) {
	n := x.spec.Get("authorization")
	if n == nil {
		return
	}
	p.Access.Default = drift.ByDefault("deny")
	if d := n.Get("defaultAction"); d != nil {
		p.Access.Default = leaf(x, strings.ToLower(d.Str()), d)
	}
	var rules []drift.AccessRule
	addresses := true
	var allow, deny []string
	for _, rule := range n.Get("rules").Items() {
		out := drift.AccessRule{Effect: strings.ToLower(rule.Get("action").Str()), Methods: rule.Get("operation", "methods").Strs()}
		pr := rule.Get("principal")
		cidrs := pr.Get("clientCIDRs").Strs()
		only := len(cidrs) > 0
		for _, c := range cidrs {
			out.Subjects = append(out.Subjects, "address:"+c)
		}
		if j := pr.Get("jwt"); j != nil {
			only = false
			for _, s := range j.Get("scopes").Strs() {
				out.Subjects = append(out.Subjects, "scope:"+s)
			}
			for _, c := range j.Get("claims").Items() {
				out.Subjects = append(out.Subjects, "claim:"+c.Get("name").Str()+"="+strings.Join(c.Get("values").Strs(), "|"))
			}
		}
		for _, h := range pr.Get("headers").Items() {
			only = false
			out.Subjects = append(out.Subjects, "header:"+strings.ToLower(h.Get("name").Str())+"="+strings.Join(h.Get("values").Strs(), "|"))
		}
		pr.Each(func(k string, _ *source.Node) {
			if k != "clientCIDRs" && k != "jwt" && k != "headers" {
				only = false
				out.Subjects = append(out.Subjects, k)
			}
		})
		if len(out.Subjects) == 0 {
			out.Subjects = []string{"everybody"}
		}
		addresses = addresses && only && len(out.Methods) == 0
		if only && out.Effect == "allow" {
			allow = append(allow, cidrs...)
		} else if only {
			deny = append(deny, cidrs...)
		}
		rules = append(rules, out)
	}
	// Rules over addresses alone are a filter of addresses, which other gateways have as such.
	if addresses && len(rules) > 0 {
		if len(allow) > 0 && p.Access.Default.Value == "deny" {
			p.IP.Allow = leaf(x, allow, n)
		}
		if len(deny) > 0 {
			p.IP.Deny = leaf(x, deny, n)
		}
		if len(allow) == 0 && p.Access.Default.Value == "deny" {
			rules = append(rules, drift.AccessRule{Effect: "deny", Subjects: []string{"everybody"}})
		} else {
			rules = nil
		}
	} else if p.Access.Default.Value == "deny" && len(rules) == 0 {
		rules = []drift.AccessRule{{Effect: "deny", Subjects: []string{"everybody"}}}
	}
	p.Access.Rules = leaf(x, rules, n)
}

// proxy reads what EnvoyProxy says about logs, traces and measures.
func (r *reader) proxy(p *drift.Policy, a *gatewayapi.Attachment) {
	ref := a.Listener.Gateway.Spec().Get("infrastructure", "parametersRef")
	ns := a.Listener.Gateway.Namespace
	if ref == nil {
		if class := k8s.Find(r.m.Objects, "GatewayClass", "", a.Listener.Gateway.Spec().Get("gatewayClassName").Str()); class != nil {
			ref = class.Spec().Get("parametersRef")
			ns = ref.Get("namespace").Str()
		}
	}
	var ep *k8s.Object
	if ref != nil {
		if ep = k8s.Find(r.m.Objects, "EnvoyProxy", ns, ref.Get("name").Str()); ep == nil {
			r.env.Gaps = append(r.env.Gaps, drift.Gap{What: "EnvoyProxy", Name: ref.Get("name").Str(), Origin: ref.Origin("")})
			cause := "EnvoyProxy " + ref.Get("name").Str() + " is missing"
			p.Logging.Enabled = drift.Unknown[bool](cause, ref.Origin(""))
			p.Tracing.Enabled = drift.Unknown[bool](cause, ref.Origin(""))
			return
		}
	} else if all := k8s.Kind(r.m.Objects, "EnvoyProxy"); len(all) == 1 && len(k8s.Kind(r.m.Objects, "GatewayClass")) == 0 {
		ep = all[0] // the class that refers to it is not among the files
	}
	if ep == nil {
		return
	}
	x := applied{by: ep, spec: ep.Spec()}
	t := ep.Spec().Get("telemetry")
	log := t.Get("accessLog")
	if off, _ := log.Get("disable").Bool(); off {
		p.Logging.Enabled = drift.From(false, log.Origin(ep.Label()))
	} else if settings := log.Get("settings"); settings != nil {
		var sinks, fields, headers []string
		format := "text"
		for _, s := range settings.Items() {
			for _, k := range s.Get("sinks").Items() {
				sinks = append(sinks, sinkOf(k))
			}
			f := s.Get("format", "json")
			if f != nil {
				format = "json"
				fields = append(fields, f.Keys...)
			}
			for _, text := range append([]*source.Node{s.Get("format", "text")}, values(f)...) {
				for _, m := range logged.FindAllStringSubmatch(text.Str(), -1) {
					headers = append(headers, strings.ToLower(m[1]))
				}
			}
		}
		p.Logging.Enabled, p.Logging.Sinks = drift.From(true, settings.Origin(ep.Label())), drift.From(sinks, settings.Origin(ep.Label()))
		p.Logging.Format, p.Logging.Fields = drift.From(format, settings.Origin(ep.Label())), drift.From(drift.Sorted(fields), settings.Origin(ep.Label()))
		p.Logging.Headers = drift.From(drift.Sorted(headers), settings.Origin(ep.Label()))
		for _, s := range sinks {
			r.env.Refer("sink", s, settings.Origin(ep.Label()))
		}
	}
	if tr := t.Get("tracing"); tr != nil {
		p.Tracing.Enabled = drift.From(true, tr.Origin(ep.Label()))
		rate := 1.0
		if f, ok := tr.Get("samplingRate").Float(); ok {
			rate = f / 100
		}
		if num, ok := tr.Get("samplingFraction", "numerator").Float(); ok {
			den, ok := tr.Get("samplingFraction", "denominator").Float()
			if !ok || den == 0 {
				den = 100
			}
			rate = num / den
		}
		p.Tracing.Sample = drift.From(rate, tr.Origin(ep.Label()))
		pr := tr.Get("provider")
		p.Tracing.Exporter, p.Tracing.Endpoint = drift.From(pr.Get("type").Str(), pr.Origin(ep.Label())), drift.From(endpoint(pr), pr.Origin(ep.Label()))
		p.Tracing.Propagation = drift.From([]string{strings.ToLower(pr.Get("type").Str())}, pr.Origin(ep.Label()))
		r.env.Refer("sink", endpoint(pr), pr.Origin(ep.Label()))
	}
	if off, _ := t.Get("metrics", "prometheus", "disable").Bool(); off && len(t.Get("metrics", "sinks").Items()) == 0 {
		p.Metrics.Enabled = drift.From(false, t.Get("metrics").Origin(ep.Label()))
	}
	_ = x
}

// logged are the headers that a format writes out: %REQ(AUTHORIZATION)%, and another in its place.
var logged = regexp.MustCompile(`(?i)%REQ\(([a-z0-9-]+)`)

func values(n *source.Node) []*source.Node {
	if n == nil {
		return nil
	}
	return n.Values
}

func endpoint(n *source.Node) string {
	h := n.Get("host").Str()
	for _, b := range append(n.Get("backendRefs").Items(), n.Get("backendRef")) {
		if name := b.Get("name").Str(); name != "" {
			h = name
		}
	}
	if p := n.Get("port").Str(); p != "" && h != "" {
		h += ":" + p
	}
	return h
}

func sinkOf(k *source.Node) string {
	switch k.Get("type").Str() {
	case "File":
		return k.Get("file", "path").Str()
	case "OpenTelemetry":
		return "opentelemetry " + endpoint(k.Get("openTelemetry"))
	case "ALS":
		return "als " + endpoint(k.Get("als"))
	}
	return k.Get("type").Str()
}
