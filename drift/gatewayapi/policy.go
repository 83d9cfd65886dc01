package gatewayapi

import (
	"fmt"
	"io/fs"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// Read reads a folder of Gateway API objects without knowing the implementation: what only policies of implementations decide is
// unresolved.
func Read(fsys fs.FS, o drift.Options) (*drift.Environment, []drift.Problem) {
	f := source.Open(fsys)
	env := drift.NewEnvironment("gatewayapi", o)
	m := Load(f)
	m.Describe(env)
	m.Operations(env, func(a *Attachment) *drift.Policy {
		return m.Policy(env, a, "a policy of the implementation decides it")
	})
	env.ProveEdge()
	return env, f.Finish(env)
}

// Operations makes an operation of every attachment.
func (m *Model) Operations(env *drift.Environment, policy func(*Attachment) *drift.Policy) {
	for _, a := range m.Attachments {
		p := policy(a)
		for i, k := range a.Keys {
			at := a.Rule
			if a.Node != nil {
				at = a.Node
			}
			env.Operations = append(env.Operations, drift.Operation{Key: k, Match: a.Matches[i], Name: a.Name(), API: a.Listener.Scope(), Origin: at.Origin(a.Route.Label()),
				Effective: []drift.Effective{{Policy: p}}})
		}
	}
}

// Describe reads hosts and certificates.
func (m *Model) Describe(env *drift.Environment) {
	env.Literals = append(env.Literals, k8s.Literals(m.Objects)...)
	for _, g := range m.Gateways {
		for _, l := range g.Listeners {
			x := drift.Exposure{Host: l.Hostname, Port: int(l.Port), Scheme: strings.ToLower(l.Protocol), Proof: drift.Impossible[bool]("the Gateway API cannot ask for it"), Origin: l.Node.Origin(l.Scope())}
			for _, ref := range l.Node.Get("tls", "certificateRefs").Items() {
				ns, name := or(ref.Get("namespace").Str(), g.Namespace), ref.Get("name").Str()
				id := ns + "/" + name
				x.Certs = append(x.Certs, id)
				env.Refer("certificate", id, ref.Origin(l.Scope()))
				env.Certificates = append(env.Certificates, k8s.Certificate(m.Objects, id, ref.Origin("")))
			}
			env.Exposures = append(env.Exposures, x)
		}
	}
}

// Policy is what the core objects say about an attachment. later is the cause of what they leave to others.
func (m *Model) Policy(env *drift.Environment, a *Attachment, later string) *drift.Policy {
	none, no := drift.ByDefault([]string(nil)), drift.ByDefault(false)
	at := a.Route.Origin()
	open := func() drift.Origin { return drift.Origin{Scope: a.Route.Label()} }
	p := &drift.Policy{}
	p.Auth = drift.Auth{Ways: drift.Unknown[drift.Ways](later, open()), Fallback: no, Optional: no, Exempt: no}
	p.Access = drift.Access{Rules: drift.Unknown[[]drift.AccessRule](later, open()), Default: drift.Unknown[string](later, open())}
	p.Rates, p.Quotas = drift.Unknown[[]drift.Rate](later, open()), drift.Impossible[[]drift.Quota]("there are no quotas")
	p.IP = drift.IPFilter{Allow: drift.Unknown[[]string](later, open()), Deny: drift.Unknown[[]string](later, open()), Source: drift.Unknown[string](later, open()), Hops: drift.Unknown[int64](later, open())}
	p.WAF, p.Debug = drift.Unknown[[]string](later, open()), none
	p.Opaque = drift.ByDefault([]drift.Opaque(nil))
	unread := func() drift.Leaf[int64] { return drift.Unknown[int64](later, open()) }
	p.Limits = drift.Limits{Body: unread(), Header: unread(), Connect: unread(), Read: unread(), Retries: unread(), RetryOn: drift.Unknown[[]string](later, open()), Breaker: drift.Unknown[string](later, open())}
	p.Logging.Enabled, p.Metrics.Enabled, p.Tracing.Enabled = drift.Unknown[bool](later, open()), drift.Unknown[bool](later, open()), drift.Unknown[bool](later, open())
	fillCause(p, later)
	p.Diag = drift.Diagnostics{Verbosity: drift.Impossible[string]("there is none"), Errors: drift.Impossible[bool]("there is none"), Correlation: drift.Unknown[string](later, open()), FaultLogged: drift.Impossible[bool]("there is no error path"), FaultLeaks: no}
	p.Lifecycle = drift.Lifecycle{Revision: drift.Impossible[string]("there are no revisions"), Version: drift.Impossible[string]("there are no versions"), Deprecated: drift.Impossible[bool]("cannot be marked"),
		Subscription: drift.Impossible[bool]("there are no subscriptions"), Approval: drift.Impossible[bool]("there is no approval")}
	m.tls(p, a, later)
	m.filters(p, a)
	m.timeouts(p, a)
	m.upstream(env, p, a)
	p.TLS.HSTS = drift.HSTSOf(p.Transforms)
	_ = at
	return p
}

func fillCause(p *drift.Policy, cause string) {
	l, t := &p.Logging, &p.Tracing
	l.Sinks.Cause, l.Format.Cause, l.Fields.Cause, l.Sample.Cause, l.Body.Cause = cause, cause, cause, cause, cause
	l.Headers.Cause, l.Redactions.Cause, l.Retention.Cause = cause, cause, cause
	p.Metrics.Labels.Cause, p.Metrics.Sink.Cause = cause, cause
	t.Exporter.Cause, t.Endpoint.Cause, t.Sample.Cause, t.Propagation.Cause = cause, cause, cause, cause
}

func (m *Model) tls(p *drift.Policy, a *Attachment, later string) {
	l := a.Listener
	o := l.Node.Origin(l.Scope())
	wait := func() drift.Leaf[[]string] { return drift.Unknown[[]string](later, o) }
	p.TLS = drift.ServerTLS{Min: drift.Unknown[string](later, o), Max: drift.Unknown[string](later, o), Ciphers: wait(), Curves: wait(), ALPN: wait(), HSTS: drift.ByDefault(int64(0)),
		Plain: drift.From(l.Protocol == "HTTP", o), Redirect: drift.ByDefault(int64(0)), ClientAuth: drift.ByDefault("none"), CAs: drift.ByDefault([]string(nil)), Pins: drift.ByDefault([]string(nil))}
	v := l.Gateway.Spec().Get("tls", "frontend", "default", "validation")
	if v == nil {
		v = l.Node.Get("tls", "frontendValidation")
	}
	if v != nil {
		var refs []string
		for _, r := range v.Get("caCertificateRefs").Items() {
			refs = append(refs, or(r.Get("namespace").Str(), l.Gateway.Namespace)+"/"+r.Get("name").Str())
		}
		how := "verify"
		if v.Get("mode").Str() == "AllowInsecureFallback" {
			how = "request"
		}
		p.TLS.ClientAuth, p.TLS.CAs = drift.From(how, v.Origin(l.Scope())), drift.From(refs, v.Origin(l.Scope()))
	}
}

// filters reads the transformations, redirects and CORS of a rule and of its backends.
func (m *Model) filters(p *drift.Policy, a *Attachment) {
	scope := a.Route.Label()
	none, no := drift.ByDefault([]string(nil)), drift.ByDefault(false)
	p.CORS = drift.CORS{Enabled: no, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: no, MaxAge: drift.ByDefault(int64(0))}
	var out []drift.Transform
	var at *source.Node
	add := func(n *source.Node, phase, target, op, name, value string) {
		out = append(out, drift.Transform{Phase: phase, Target: target, Op: op, Name: name, Value: drift.ValueOf(name, value), Origin: n.Origin(scope)})
		at = n
	}
	list := a.Rule.Get("filters").Items()
	for _, b := range a.Rule.Get("backendRefs").Items() {
		list = append(list, b.Get("filters").Items()...)
	}
	for _, f := range list {
		switch f.Get("type").Str() {
		case "RequestHeaderModifier", "ResponseHeaderModifier":
			phase, n := "request", f.Get("requestHeaderModifier")
			if f.Get("type").Str() == "ResponseHeaderModifier" {
				phase, n = "response", f.Get("responseHeaderModifier")
			}
			for _, op := range []string{"set", "add"} {
				for _, h := range n.Get(op).Items() {
					add(h, phase, "header", op, h.Get("name").Str(), h.Get("value").Str())
				}
			}
			for _, h := range n.Get("remove").Items() {
				add(h, phase, "header", "remove", h.Str(), "")
			}
		case "URLRewrite":
			n := f.Get("urlRewrite")
			if h := n.Get("hostname"); h != nil {
				add(h, "request", "host", "rewrite", "", h.Str())
			}
			if x := n.Get("path"); x != nil {
				name := ""
				if x.Has("replacePrefixMatch") {
					name = "prefix"
				}
				add(x, "request", "path", "rewrite", name, or(x.Get("replaceFullPath").Str(), x.Get("replacePrefixMatch").Str()))
			}
		case "RequestRedirect":
			n := f.Get("requestRedirect")
			code, ok := n.Get("statusCode").Int()
			if !ok {
				code = 302
			}
			if n.Get("scheme").Str() == "https" {
				p.TLS.Plain, p.TLS.Redirect = drift.Is(false, n.Origin(scope)), drift.Is(code, n.Origin(scope))
			} else {
				add(n, "response", "status", "set", "", fmt.Sprint(code))
			}
		case "ExternalAuth": // it must refuse while the service is away, and must authenticate
			n := f.Get("externalAuth")
			b := n.Get("backendRef")
			url := drift.Is(or(b.Get("namespace").Str(), a.Route.Namespace)+"/"+b.Get("name").Str(), b.Origin(scope))
			q := drift.Requirement{Kind: drift.ExtAuthz, Name: "externalAuth", Origin: n.Origin(scope), Forward: drift.ByDefault(true),
				External: &drift.External{URL: url, FailOpen: drift.ByDefault(false), Timeout: drift.ByDefault(int64(0)), TTL: drift.ByDefault(int64(0)), CacheKey: none}}
			p.Auth.Ways = drift.Is(drift.Ways{{Needs: []drift.Requirement{q}}}, n.Origin(scope))
		case "CORS":
			n := f.Get("cors")
			p.CORS.Enabled = drift.Is(true, n.Origin(scope))
			for _, x := range []struct {
				key string
				to  *drift.Leaf[[]string]
			}{{"allowOrigins", &p.CORS.Origins}, {"allowMethods", &p.CORS.Methods}, {"allowHeaders", &p.CORS.Headers}, {"exposeHeaders", &p.CORS.Expose}} {
				if l := n.Get(x.key); l != nil {
					*x.to = drift.Is(l.Strs(), l.Origin(scope))
				}
			}
			if b, ok := n.Get("allowCredentials").Bool(); ok {
				p.CORS.Credentials = drift.Is(b, n.Get("allowCredentials").Origin(scope))
			}
			if i, ok := n.Get("maxAge").Int(); ok {
				p.CORS.MaxAge = drift.Is(i, n.Get("maxAge").Origin(scope))
			}
		}
	}
	p.Transforms = drift.ByDefault(out)
	if len(out) > 0 {
		p.Transforms = drift.Is(out, at.Origin(scope))
	}
}

func (m *Model) timeouts(p *drift.Policy, a *Attachment) {
	if n := a.Rule.Get("timeouts", "request"); n != nil {
		if ms, ok := Millis(n.Str()); ok {
			p.Limits.Read = drift.Is(ms, n.Origin(a.Route.Label()))
		}
	}
	if n := a.Rule.Get("retry", "attempts"); n != nil {
		if i, ok := n.Int(); ok {
			p.Limits.Retries = drift.Is(i, n.Origin(a.Route.Label()))
		}
	}
}

// upstream reads the backends, and BackendTLSPolicy for how they are called.
func (m *Model) upstream(env *drift.Environment, p *drift.Policy, a *Attachment) {
	scope := a.Route.Label()
	p.Upstream = drift.Upstream{URLs: drift.ByDefault([]string(nil)), Verify: drift.ByDefault(false), CAs: drift.ByDefault([]string(nil)), ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""),
		Min: drift.Unknown[string]("a policy of the implementation decides it", drift.Origin{Scope: scope})}
	var urls []string
	for _, b := range a.Rule.Get("backendRefs").Items() {
		ns, name := or(b.Get("namespace").Str(), a.Route.Namespace), b.Get("name").Str()
		scheme := "http://"
		if t := m.backendTLS(ns, name, b); t != nil {
			scheme = "https://"
			v := t.Spec().Get("validation")
			p.Upstream.Verify = drift.From(true, t.Origin())
			p.Upstream.ServerName = drift.From(v.Get("hostname").Str(), v.Origin(t.Label()))
			var refs []string
			for _, r := range v.Get("caCertificateRefs").Items() {
				refs = append(refs, t.Namespace+"/"+r.Get("name").Str())
			}
			if w := v.Get("wellKnownCACertificates").Str(); w != "" {
				refs = append(refs, w)
			}
			p.Upstream.CAs = drift.From(refs, v.Origin(t.Label()))
		}
		u := scheme + name + "." + ns
		if port := b.Get("port").Str(); port != "" {
			u += ":" + port
		}
		urls = append(urls, u)
		env.Refer("upstream", u, b.Origin(scope))
	}
	if len(urls) > 0 {
		p.Upstream.URLs = drift.Is(urls, a.Rule.Get("backendRefs").Origin(scope))
	}
}

func (m *Model) backendTLS(ns, name string, ref *source.Node) *k8s.Object {
	for _, o := range k8s.Oldest(k8s.Kind(m.Objects, "BackendTLSPolicy")) {
		if o.Namespace != ns && o.Namespace != "" {
			continue
		}
		for _, t := range o.Spec().Get("targetRefs").Items() {
			if t.Get("name").Str() == name && or(t.Get("kind").Str(), "Service") == or(ref.Get("kind").Str(), "Service") {
				return o
			}
		}
	}
	return nil
}

// Millis reads a duration of the Gateway API: 1h2m3s4ms.
func Millis(s string) (int64, bool) {
	units := []struct {
		name string
		ms   int64
	}{{"h", 3_600_000}, {"ms", 1}, {"m", 60_000}, {"s", 1000}}
	total, any := int64(0), false
	for s != "" {
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == 0 || i > 9 {
			return 0, false
		}
		n := int64(0)
		for _, c := range s[:i] {
			n = n*10 + int64(c-'0')
		}
		s = s[i:]
		found := false
		for _, u := range units {
			if strings.HasPrefix(s, u.name) && !(u.name == "m" && strings.HasPrefix(s, "ms")) {
				total, s, found, any = total+n*u.ms, s[len(u.name):], true, true
				break
			}
		}
		if !found {
			return 0, false
		}
	}
	return total, any
}
