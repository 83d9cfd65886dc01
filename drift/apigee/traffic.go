package apigee

import (
	"net/url"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// apply adds what one step does, other than to authenticate.
func (r *run) apply(p *drift.Policy, s step, product *source.Node) {
	if s.advisory() && (s.kind == "Quota" || s.kind == "SpikeArrest") {
		return // a limit whose failure lets the call go on limits nothing
	}
	switch s.kind {
	case "SpikeArrest":
		if s.phase == "request" {
			add(&p.Rates, r, s, r.spike(s))
		}
	case "Quota", "LLMTokenQuota":
		if only, _ := truthful(s.policy.node.Child("CountOnly").Str()); !only {
			add(&p.Quotas, r, s, r.quota(s, product))
		}
	case "CORS":
		r.cors(p, s)
	case "AccessControl":
		r.access(p, s)
	case "OAuthV2":
		r.scopes(p, s)
	case "AssignMessage":
		r.assign(p, s)
	case "RegularExpressionProtection", "JSONThreatProtection", "XMLThreatProtection", "OASValidation", "MessageValidation", "SanitizeUserPrompt", "SanitizeModelResponse":
		if s.phase == "request" || s.kind == "SanitizeModelResponse" {
			add(&p.WAF, r, s, s.kind)
		}
	case "XMLToJSON", "JSONToXML", "XSL":
		if s.phase == "request" || s.phase == "response" {
			add(&p.Transforms, r, s, drift.Transform{Phase: s.phase, Target: "body", Op: "replace", Name: s.kind, Value: drift.Text(drift.Hash(canonical(s.policy.node))), Origin: s.origin(nil)})
		}
	case "KeyValueMapOperations":
		for _, e := range s.policy.node.Child("InitialEntries").All("Entry") {
			r.literal("entry of a key value map", s.origin(e))
		}
	}
}

// add adds to a list of the policy.
func add[T any](l *drift.Leaf[[]T], r *run, s step, v T) {
	x := at(r, s, append(l.Value, v), nil)
	switch {
	case l.State == drift.Conditional && x.Cause == "":
		x.State, x.Cause = l.State, l.Cause
	case l.State == drift.Set && x.State == drift.Inherited:
		x.State = drift.Set
	}
	*l = x
}

// canonical writes an element without differences of format.
func canonical(e *source.Element) string {
	var b strings.Builder
	e.Walk(func(c *source.Element) {
		b.WriteString("<" + c.Name)
		var attrs []string
		for _, a := range c.Attrs {
			attrs = append(attrs, a.Name.Local+"="+strconv.Quote(a.Value))
		}
		b.WriteString(" " + strings.Join(drift.Sorted(attrs), " ") + ">" + c.Text)
	})
	return b.String()
}

// counted names what a limit counts by.
func (r *run) counted(s step) drift.Leaf[string] {
	e := s.policy.node.Child("Identifier")
	ref, _ := e.Attr("ref")
	key := "global"
	switch in, name := place(ref); {
	case in != "":
		key = in + ":" + name
	case strings.Contains(ref, "client_id") || strings.Contains(ref, "developer.app") || strings.HasPrefix(ref, "verifyapikey."):
		key = "consumer"
	case strings.Contains(ref, "client.ip") || ref == "client.host":
		key = "ip"
	case strings.HasPrefix(ref, "jwt."):
		key = "claim:" + ref[strings.LastIndexByte(ref, '.')+1:]
	case ref != "":
		key = "expression"
	}
	if e == nil {
		return drift.ByDefault(key)
	}
	return at(r, s, key, e)
}

func (r *run) spike(s step) drift.Rate {
	count := value(r, s, "Rate", 0, func(t string) (int64, bool) { return whole(strings.TrimRight(t, "pms")) })
	window := value(r, s, "Rate", 1, func(t string) (int64, bool) {
		if strings.HasSuffix(t, "pm") {
			return 60, true
		}
		return 1, strings.HasSuffix(t, "ps")
	})
	how := drift.ByDefault("per_replica")
	if e := s.policy.node.Child("UseEffectiveCount"); e != nil {
		if on, ok := truthful(e.Str()); ok && on {
			how = at(r, s, "shared", e)
		}
	}
	return drift.Rate{Count: count, Window: window, Burst: drift.ByDefault(int64(0)), Algorithm: drift.ByDefault("token bucket"), Key: r.counted(s), Enforcement: how,
		Replicas: drift.Unknown[int64]("the number of message processors is not in the bundle", s.origin(nil)), FailOpen: drift.ByDefault(false), Exempt: drift.ByDefault([]string(nil)), Status: drift.ByDefault(int64(429))}
}

var periods = map[string]int64{"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400, "month": 30 * 86400, "year": 365 * 86400}

// quota reads a quota. What is taken from the caller's product is known where the product is.
func (r *run) quota(s step, product *source.Node) drift.Quota {
	n := s.policy.node
	q := drift.Quota{Unit: "calls", Key: r.counted(s)}
	settings := "quota"
	if s.kind == "LLMTokenQuota" || n.Child("MessageWeight") != nil && strings.Contains(strings.ToLower(attr(n.Child("MessageWeight"), "ref")), "token") {
		q.Unit, settings = "tokens", "llmQuota"
	}
	allow := n.Child("Allow")
	if _, ok := n.Child("UseQuotaConfigInAPIProduct").Attr("stepName"); ok {
		allow = nil
		q.Key = drift.ByDefault("consumer")
		q.Count, q.Period = drift.Unknown[int64]("the product decides it", s.origin(nil)), drift.Unknown[int64]("the product decides it", s.origin(nil))
	}
	interval := value(r, s, "Interval", 1, whole)
	unit := value(r, s, "TimeUnit", 60, func(t string) (int64, bool) { v, ok := periods[strings.ToLower(t)]; return v, ok })
	if q.Period.Cause == "" {
		q.Period = drift.Leaf[int64]{Value: interval.Value * unit.Value, State: worse(interval.State, unit.State), Origin: interval.Origin, Cause: strings.Trim(interval.Cause+", "+unit.Cause, ", ")}
	}
	if allow != nil {
		count, ok := whole(attr(allow, "count"))
		switch ref := attr(allow, "countRef"); {
		case ref != "":
			q.Count = drift.DependsOn(count, "variable "+drift.Mask(ref), s.origin(allow))
		case ok:
			q.Count = at(r, s, count, allow)
		default:
			q.Count = drift.Unknown[int64]("cannot be read: Allow", s.origin(allow))
		}
	} else if q.Count.Cause == "" {
		q.Count = drift.Unknown[int64]("the quota names no count", s.origin(nil))
	}
	if product != nil && !q.Count.Known() && product.Has(settings) {
		scope := "product " + drift.Mask(product.Get("name").Str())
		if v, ok := product.Get(settings).Int(); ok {
			q.Count = drift.From(v, product.Get(settings).Origin(scope))
		}
		i, ok := product.Get(settings + "Interval").Int()
		u, known := periods[strings.ToLower(product.Get(settings+"TimeUnit").Str())]
		if ok && known {
			q.Period = drift.From(i*u, product.Get(settings+"Interval").Origin(scope))
		}
	}
	return q
}

func attr(e *source.Element, name string) string { v, _ := e.Attr(name); return v }

// worse is the state of what two leaves make together.
func worse(a, b drift.State) drift.State {
	for _, s := range []drift.State{drift.Unresolved, drift.Conditional, drift.Set, drift.Inherited} {
		if a == s || b == s {
			return s
		}
	}
	return a
}

func (r *run) cors(p *drift.Policy, s step) {
	c := &p.CORS
	c.Enabled = at(r, s, true, nil)
	c.Origins = value(r, s, "AllowOrigins", nil, list)
	if o := s.policy.node.Child("AllowOrigins"); strings.Contains(strings.ToLower(o.Str()), "request.header.origin") {
		c.Origins = at(r, s, []string{"*"}, o) // whoever asks is named in the answer
		c.Origins.State, c.Origins.Cause = max(drift.Set, min(c.Origins.State, drift.Inherited)), ""
	}
	c.Methods, c.Headers, c.Expose = value(r, s, "AllowMethods", nil, list), value(r, s, "AllowHeaders", nil, list), value(r, s, "ExposeHeaders", nil, list)
	c.Credentials, c.MaxAge = value(r, s, "AllowCredentials", false, truthful), value(r, s, "MaxAge", 0, whole)
	for _, o := range c.Origins.Value {
		r.env.Refer("cors_origin", o, c.Origins.Origin)
	}
}

// assign reads what a step changes of a message. Headers of CORS that it writes are read as such.
func (r *run) assign(p *drift.Policy, s step) {
	if s.phase != "request" && s.phase != "response" {
		return
	}
	n := s.policy.node
	phase := s.phase
	switch to := n.Child("AssignTo"); {
	case attr(to, "type") == "response", to.Str() == "response":
		phase = "response"
	case attr(to, "type") == "request" && to.Str() == "" || to.Str() == "request":
		phase = "request"
	case to.Str() != "" && to.Str() != "message":
		return // a message of its own, for a callout
	}
	change := func(e *source.Element, target, op, name, value string) {
		add(&p.Transforms, r, s, drift.Transform{Phase: phase, Target: target, Op: op, Name: name, Value: drift.ValueOf(name, value), Origin: s.origin(e)})
	}
	for _, k := range []struct{ element, op string }{{"Remove", "remove"}, {"Copy", "copy"}, {"Set", "set"}, {"Add", "add"}} {
		at := n.Child(k.element)
		for _, g := range []struct{ group, item, target string }{{"Headers", "Header", "header"}, {"QueryParams", "QueryParam", "query"}, {"FormParams", "FormParam", "body"}} {
			list := at.Child(g.group)
			if list != nil && len(list.Children) == 0 && k.op == "remove" {
				change(list, g.target, k.op, "*", "")
			}
			for _, h := range list.All(g.item) {
				name := attr(h, "name")
				if k.op != "remove" && phase == "response" && strings.HasPrefix(strings.ToLower(name), "access-control-") {
					r.allowed(p, s, h, strings.ToLower(name))
					continue
				}
				if k.op != "copy" {
					r.inline(s, h, name)
				}
				change(h, g.target, k.op, name, h.Str())
			}
		}
		for _, g := range []struct{ name, target string }{{"Path", "path"}, {"Verb", "method"}, {"StatusCode", "status"}, {"Payload", "body"}} {
			if e := at.Child(g.name); e != nil {
				change(e, g.target, k.op, "", drift.Hash(e.Str()))
			}
		}
	}
	for _, v := range n.All("AssignVariable") {
		name := v.Child("Name").Str()
		if name == "target.url" {
			change(v, "host", "rewrite", "", v.Child("Template").Str()+v.Child("Value").Str())
		}
		if e := v.Child("Value"); (strings.HasPrefix(name, "private.") || drift.SecretName(name)) && e.Str() != "" {
			r.literal("variable "+drift.Mask(name), s.origin(e))
		}
	}
}

// inline notes a secret that is written into a header.
func (r *run) inline(s step, h *source.Element, name string) {
	if drift.SecretName(name) && h.Str() != "" && !strings.Contains(h.Str(), "{") {
		r.literal("header "+drift.Mask(name), s.origin(h))
	}
}

// allowed reads one header of CORS.
func (r *run) allowed(p *drift.Policy, s step, h *source.Element, name string) {
	c := &p.CORS
	if !c.Enabled.Value {
		c.Enabled = at(r, s, true, nil)
	}
	values, _ := list(h.Str())
	settle := func(l drift.Leaf[[]string]) drift.Leaf[[]string] {
		if strings.Contains(h.Str(), "{") {
			return drift.DependsOn(l.Value, "variable "+drift.Mask(strings.Trim(h.Str(), "{}")), l.Origin)
		}
		return l
	}
	switch l := at(r, s, values, h); name {
	case "access-control-allow-origin":
		if strings.Contains(strings.ToLower(h.Str()), "request.header.origin") {
			l.Value = []string{"*"}
			c.Origins = l
			return
		}
		c.Origins = settle(l)
		r.env.Refer("cors_origin", drift.Mask(h.Str()), l.Origin)
	case "access-control-allow-methods":
		c.Methods = settle(l)
	case "access-control-allow-headers":
		c.Headers = settle(l)
	case "access-control-expose-headers":
		c.Expose = settle(l)
	case "access-control-allow-credentials":
		c.Credentials = at(r, s, strings.EqualFold(h.Str(), "true"), h)
	case "access-control-max-age":
		if n, ok := whole(h.Str()); ok {
			c.MaxAge = at(r, s, n, h)
		}
	}
}

// upstream reads the target endpoint.
func (r *run) upstream(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	p.Upstream = drift.Upstream{URLs: drift.ByDefault([]string(nil)), Verify: drift.ByDefault(false), CAs: none, ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""), Min: drift.Unknown[string]("the platform decides it", r.route.node.Origin(r.scope()))}
	if id, ok := strings.CutPrefix(r.route.url, "missing:"); ok {
		p.Upstream.URLs = drift.Unknown[[]string]("target endpoint "+drift.Mask(id)+" is missing", r.route.node.Origin(r.scope()))
		return
	}
	if r.route.target == nil && r.route.url == "" {
		const none = "no upstream is called"
		p.Upstream.Verify, p.Upstream.Min = drift.Impossible[bool](none), drift.Impossible[string](none)
		return
	}
	conn := r.route.target.Child("HTTPTargetConnection")
	scope := r.scope()
	if name := attr(r.route.target, "name"); name != "" {
		scope = "target " + drift.Mask(name)
	}
	ssl := conn.Child("SSLInfo")
	var urls []string
	cause := ""
	take := func(u string, o drift.Origin) {
		if strings.Contains(u, "{") {
			cause = "variable in the address of the target"
			return
		}
		urls = append(urls, drift.Mask(u))
		r.env.Refer("upstream", u, o)
	}
	if u := conn.Child("URL"); u.Str() != "" {
		take(u.Str(), u.Origin(scope))
	} else if r.route.url != "" {
		take(r.route.url, r.route.node.Origin(scope))
	}
	for _, n := range conn.Child("LoadBalancer").All("Server") {
		name := attr(n, "name")
		srv := r.servers[name]
		if srv == nil {
			r.gap("target server", name, n.Origin(scope))
			cause = "target server " + drift.Mask(name) + " is missing"
			continue
		}
		scheme := "http"
		if on, _ := srv.Get("sSLInfo", "enabled").Bool(); on || attrTrue(ssl, "Enabled") {
			scheme = "https"
		}
		take((&url.URL{Scheme: scheme, Host: srv.Get("host").Str() + ":" + srv.Get("port").Str()}).String(), srv.Origin("target server "+drift.Mask(name)))
		if srv.Get("sSLInfo", "ignoreValidationErrors").Str() == "true" {
			p.Upstream.Verify = drift.From(false, srv.Get("sSLInfo").Origin("target server "+drift.Mask(name)))
		}
	}
	switch {
	case cause != "":
		p.Upstream.URLs = drift.Unknown[[]string](cause, conn.Origin(scope))
	case len(urls) > 0:
		p.Upstream.URLs = drift.From(urls, conn.Origin(scope))
	}
	r.encrypted(p, ssl, scope)
	for _, n := range conn.Child("Properties").All("Property") {
		v, ok := whole(n.Str())
		switch name := attr(n, "name"); {
		case !ok:
		case name == "connect.timeout.millis":
			p.Limits.Connect = drift.From(v, n.Origin(scope))
		case name == "io.timeout.millis":
			p.Limits.Read = drift.From(v, n.Origin(scope))
		}
	}
	if b := conn.Child("LoadBalancer", "MaxFailures"); b.Str() != "" {
		p.Limits.Breaker = drift.From("after "+drift.Mask(b.Str())+" failures", b.Origin(scope))
	}
}

func attrTrue(e *source.Element, name string) bool {
	return strings.EqualFold(e.Child(name).Str(), "true")
}

// encrypted reads how the target is called over TLS.
func (r *run) encrypted(p *drift.Policy, ssl *source.Element, scope string) {
	u := &p.Upstream
	o := ssl.Origin(scope)
	switch {
	case attrTrue(ssl, "IgnoreValidationErrors"):
		u.Verify = drift.From(false, o)
	case attrTrue(ssl, "Enforce"), ssl.Child("TrustStore").Str() != "":
		u.Verify = drift.From(true, o)
	case u.Verify.State == drift.Default:
		u.Verify = drift.Unknown[bool]("without a trust store the platform decides it", o)
	}
	if t := ssl.Child("TrustStore"); t.Str() != "" {
		u.CAs = drift.From([]string{drift.Mask(t.Str())}, t.Origin(scope))
	}
	if k := ssl.Child("KeyStore"); k.Str() != "" && attrTrue(ssl, "ClientAuthEnabled") {
		ref := drift.Mask(k.Str() + "/" + ssl.Child("KeyAlias").Str())
		u.ClientCert = drift.From(ref, k.Origin(scope))
		r.env.Refer("certificate", ref, k.Origin(scope))
	}
	if c := ssl.Child("CommonName"); c.Str() != "" {
		u.ServerName = drift.From(drift.Mask(c.Str()), c.Origin(scope))
	}
	var lowest string
	for _, v := range ssl.Child("Protocols").All("Protocol") {
		if s, err := drift.TLSVersion(v.Str()); err == nil && (lowest == "" || drift.CompareTLS(s, lowest) == drift.Weaker) {
			lowest = s
		}
	}
	if lowest != "" {
		u.Min = drift.From(lowest, ssl.Child("Protocols").Origin(scope))
	}
}
