package apigee

import (
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// wide reports whether a step stands at a wider scope than the operation.
func (r *run) wide(s step) bool {
	for e := s.node; e != nil; e = e.Parent {
		if e == r.flow {
			return false
		}
	}
	return r.flow != nil || s.policy.of != r.bundle
}

func at[T any](r *run, s step, v T, e *source.Element) drift.Leaf[T] {
	if s.when != nil {
		return drift.DependsOn(v, "condition "+string(s.when.Text), s.origin(e))
	}
	if r.wide(s) {
		return drift.From(v, s.origin(e))
	}
	return drift.Is(v, s.origin(e))
}

// value reads an element's text. One that is taken from a variable is known only while it runs.
func value[T any](r *run, s step, name string, def T, read func(string) (T, bool)) drift.Leaf[T] {
	e := s.policy.node.Child(strings.Split(name, "/")...)
	if e == nil {
		return drift.ByDefault(def)
	}
	ref, refers := e.Attr("ref")
	text := e.Str()
	if strings.Contains(text, "{{") {
		return drift.Unknown[T]("template variable in "+name, s.origin(e))
	}
	v, ok := read(text)
	switch {
	case refers && text == "", strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}"):
		return drift.Unknown[T]("variable "+drift.Mask(ref+strings.Trim(text, "{}")), s.origin(e))
	case text == "":
		return drift.ByDefault(def)
	case !ok:
		return drift.Unknown[T]("cannot be read: "+name, s.origin(e))
	case refers:
		return drift.DependsOn(v, "variable "+drift.Mask(ref), s.origin(e))
	}
	l := at(r, s, v, e)
	l.State = max(drift.Set, min(l.State, drift.Inherited)) // the condition is the step's, not the value's
	l.Cause = ""
	return l
}

func list(s string) ([]string, bool) {
	var out []string
	for _, v := range strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\t' }) {
		out = append(out, drift.Mask(v))
	}
	return out, true
}

func whole(s string) (int64, bool) { n, err := strconv.ParseInt(s, 10, 64); return n, err == nil }

func truthful(s string) (bool, bool) {
	b, err := strconv.ParseBool(strings.ToLower(s))
	return b, err == nil
}

// seconds reads a duration of Apigee: 30s, 5m, 2h, 1d; without a unit it counts seconds.
func seconds(s string) (int64, bool) {
	unit := int64(1)
	for suffix, n := range map[string]int64{"s": 1, "m": 60, "h": 3600, "d": 86400} {
		if t, ok := strings.CutSuffix(s, suffix); ok && !strings.HasSuffix(t, "m") {
			s, unit = t, n
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return n * unit, err == nil && n >= 0
}

// classes are the policies that callers meet: one for general traffic, and one for each product that includes the proxy, whose quota
// counts for its subscribers.
func (r *run) classes(class string) []drift.Effective {
	out := []drift.Effective{{Class: class, Policy: r.policy(nil)}}
	const most = 64 // classes on one operation
	if !identifies(r.steps) {
		return out
	}
	for _, p := range r.products {
		if !includes(p, r.title()) {
			continue
		}
		if len(out) > most {
			r.Problem(drift.Problem{File: p.File, Line: p.Line, Text: "more products than are compared for this proxy", Partial: true})
			break
		}
		out = append(out, drift.Effective{Class: strings.TrimSpace(class + " product " + drift.Mask(p.Get("name").Str())), Policy: r.policy(p)})
	}
	return out
}

func includes(product *source.Node, proxy string) bool {
	for _, name := range product.Get("proxies").Strs() {
		if name == proxy {
			return true
		}
	}
	for _, c := range product.Get("operationGroup", "operationConfigs").Items() {
		if c.Get("apiSource").Str() == proxy {
			return true
		}
	}
	return false
}

// identifies reports whether a step finds out whose application calls.
func identifies(steps []step) bool {
	for _, s := range steps {
		if s.kind == "VerifyAPIKey" || s.kind == "OAuthV2" {
			return true
		}
	}
	return false
}

func (r *run) policy(product *source.Node) *drift.Policy {
	p := &drift.Policy{}
	r.defaults(p)
	r.auth(p)
	for _, s := range r.steps {
		r.apply(p, s, product)
	}
	r.upstream(p)
	r.observe(p)
	r.code(p)
	r.lifecycle(p, product)
	r.unseen(p)
	p.TLS.HSTS = drift.HSTSOf(p.Transforms)
	return p
}

const elsewhere = "virtual hosts and their keystores are not in the bundle"

func (r *run) defaults(p *drift.Policy) {
	none, no, zero := drift.ByDefault([]string(nil)), drift.ByDefault(false), drift.ByDefault(int64(0))
	c := r.proxy.Child("HTTPProxyConnection")
	o := c.Origin(r.scope())
	p.Access = drift.Access{Rules: drift.ByDefault([]drift.AccessRule(nil)), Default: drift.ByDefault("allow")}
	p.Rates, p.Quotas = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil))
	p.CORS = drift.CORS{Enabled: no, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: no, MaxAge: zero}
	p.IP = drift.IPFilter{Allow: none, Deny: none, Source: drift.ByDefault("xff"), Hops: drift.Impossible[int64]("addresses are compared, not counted")}
	p.WAF, p.Debug, p.Opaque = none, none, drift.ByDefault([]drift.Opaque(nil))
	p.Transforms = drift.ByDefault([]drift.Transform(nil))
	p.Limits = drift.Limits{Body: drift.ByDefault(int64(10 << 20)), Header: drift.ByDefault(int64(60 << 10)), Connect: drift.ByDefault(int64(3000)), Read: drift.ByDefault(int64(55_000)), Retries: zero, RetryOn: none, Breaker: drift.ByDefault("")}
	t := &p.TLS
	t.Min, t.Max = drift.Unknown[string](elsewhere, o), drift.Unknown[string](elsewhere, o)
	t.Ciphers, t.Curves, t.ALPN = drift.Unknown[[]string](elsewhere, o), drift.Unknown[[]string](elsewhere, o), drift.Unknown[[]string](elsewhere, o)
	t.ClientAuth, t.CAs, t.Pins = drift.Unknown[string](elsewhere, o), drift.Unknown[[]string](elsewhere, o), drift.Unknown[[]string](elsewhere, o)
	t.Plain, t.Redirect = no, drift.ByDefault(int64(0))
	for _, v := range c.All("VirtualHost") {
		if v.Str() == "default" {
			t.Plain = drift.From(true, v.Origin(r.scope()))
		} else if !t.Plain.Value {
			t.Plain = drift.From(false, v.Origin(r.scope()))
		}
	}
	for _, n := range c.Child("Properties").All("Property") {
		if name, _ := n.Attr("name"); name == "request.streaming.enabled" && n.Str() == "true" {
			p.Limits.Body = drift.From(int64(0), n.Origin(r.scope()))
		}
	}
}

func (r *run) lifecycle(p *drift.Policy, product *source.Node) {
	l := &p.Lifecycle
	l.Revision = drift.Is(r.revision, drift.Origin{File: r.proxy.File, Scope: r.scope()})
	l.Version, l.Deprecated = drift.Impossible[string]("proxies have revisions"), drift.Impossible[bool]("cannot be marked")
	l.Subscription, l.Approval = drift.ByDefault(false), drift.ByDefault(false)
	for _, s := range r.steps {
		if (s.kind == "VerifyAPIKey" || s.kind == "OAuthV2" && verifies(s.policy)) && !s.advisory() {
			l.Subscription = at(r, s, true, nil)
			l.Approval = drift.Unknown[bool]("the products are not among the files", s.origin(nil))
		}
	}
	list := r.products
	if product != nil {
		list = []*source.Node{product}
	}
	for _, n := range list {
		if l.Subscription.Value && includes(n, r.title()) {
			manual := n.Get("approvalType").Str() == "manual"
			if l.Approval.State == drift.Unresolved || !manual {
				l.Approval = drift.From(manual, n.Get("approvalType").Origin("product "+drift.Mask(n.Get("name").Str())))
			}
		}
	}
}

// unseen takes back what is said to be absent where something that could not be read may bring it.
func (r *run) unseen(p *drift.Policy) {
	causes := r.missing
	if len(r.hooks) == 0 && r.values["flowhooks"] != "none" {
		causes = append([]string{"flow hooks of the environment are not among the files"}, causes...)
		r.gap("flow hooks", "of the environment", drift.Origin{})
	}
	if len(causes) == 0 {
		return
	}
	cause, o := causes[len(causes)-1], drift.Origin{Scope: r.scope()}
	if w := &p.Auth.Ways; len(w.Value) == 0 && w.State != drift.Unresolved {
		*w = drift.Unknown[drift.Ways](cause, o)
	}
	if len(p.Rates.Value) == 0 {
		p.Rates = drift.Unknown[[]drift.Rate](cause, o)
	}
	if len(p.Quotas.Value) == 0 {
		p.Quotas = drift.Unknown[[]drift.Quota](cause, o)
	}
	if !p.Logging.Enabled.Value {
		p.Logging.Enabled = drift.Unknown[bool](cause, o)
	}
	if !p.CORS.Enabled.Value {
		p.CORS.Enabled = drift.Unknown[bool](cause, o)
	}
	if len(p.IP.Allow.Value)+len(p.IP.Deny.Value) == 0 {
		p.IP.Allow, p.IP.Deny = drift.Unknown[[]string](cause, o), drift.Unknown[[]string](cause, o)
	}
	if len(p.WAF.Value) == 0 {
		p.WAF = drift.Unknown[[]string](cause, o)
	}
	if len(r.missing) > 0 {
		p.Transforms = drift.DependsOn(p.Transforms.Value, cause, o)
	}
}
