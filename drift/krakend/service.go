package krakend

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

const noTLS = "the gateway speaks no TLS itself"

// oldTLS is the default of the lowest version: 1.3 since version 3 of the format.
func (r *reader) oldTLS() string {
	if n, ok := r.service.Get("version").Int(); ok && n >= 3 {
		return "1.3"
	}
	return ""
}

// version reads a version of TLS; an empty default is one that is not known.
func version(v view, key, def string) drift.Leaf[string] {
	if !v.n.Has(key) && def == "" {
		return drift.Unknown[string]("the default before version 3 of the format is not documented", v.n.Origin(v.scope))
	}
	return value(v, key, def, func(n *source.Node) (string, bool) {
		s, err := drift.TLSVersion(n.Str())
		return s, err == nil
	})
}

// mutual reports whether client certificates are demanded.
func (r *reader) mutual() (*source.Node, bool) {
	n := r.service.Get("tls", "enable_mtls")
	on, _ := n.Bool()
	off, _ := r.service.Get("tls", "disabled").Bool()
	return n, on && !off
}

// anchors are the authorities of client certificates: those that are named, beside the system's unless that is switched off.
func (r *reader) anchors() drift.Leaf[[]string] {
	v := r.wide(r.service.Get("tls"))
	l := v.list("ca_certs", nil)
	if off := v.flag("disable_system_ca_pool", false); l.Known() && off.Known() && !off.Value {
		l.Value = append(append([]string(nil), l.Value...), "system")
	}
	return l
}

func (r *reader) tls(t *drift.ServerTLS, transforms drift.Leaf[[]drift.Transform]) {
	v := r.wide(r.service.Get("tls"))
	off := v.flag("disabled", false)
	t.Plain = drift.ByDefault(true)
	if v.n != nil {
		t.Plain = off
		if off.State == drift.Default {
			t.Plain = drift.From(false, v.n.Origin("service"))
		}
	}
	at := r.service.Origin("service")
	if t.Plain.Known() && t.Plain.Value {
		t.Min, t.Max = drift.Unknown[string](noTLS, at), drift.Unknown[string](noTLS, at)
		t.Ciphers, t.Curves, t.ALPN = drift.Unknown[[]string](noTLS, at), drift.Unknown[[]string](noTLS, at), drift.Unknown[[]string](noTLS, at)
	} else {
		t.Min, t.Max = version(v, "min_version", r.oldTLS()), version(v, "max_version", "1.3")
		t.Ciphers, t.Curves, t.ALPN = ciphers(v.list("cipher_suites", nil)), v.list("curve_preferences", nil), drift.ByDefault([]string{"h2", "http/1.1"})
	}
	t.ClientAuth, t.CAs, t.Pins = drift.ByDefault("none"), drift.ByDefault([]string(nil)), drift.ByDefault([]string(nil))
	if m := v.flag("enable_mtls", false); !m.Known() {
		t.ClientAuth = drift.Unknown[string](m.Cause, m.Origin)
	} else if n, on := r.mutual(); on {
		t.ClientAuth, t.CAs = drift.From("verify", n.Origin("service")), r.anchors()
	}
	s := r.component("security/http")
	t.Redirect = drift.ByDefault(int64(0))
	if redirect, dev := s.flag("ssl_redirect", false), s.flag("is_development", false); !redirect.Known() || !dev.Known() {
		t.Redirect = drift.Unknown[int64]("template that is not rendered", s.at("ssl_redirect"))
	} else if redirect.Value && !dev.Value {
		t.Redirect = drift.From(int64(301), redirect.Origin)
	}
	t.HSTS = drift.HSTSOf(transforms)
	if sts := s.num("sts_seconds", 0); sts.State != drift.Default {
		t.HSTS = sts
	}
}

// cipherNames are the numbers that suites have in Go, as far as they are weak.
var cipherNames = map[int64]string{5: "TLS_RSA_WITH_RC4_128_SHA", 10: "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 49159: "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", 49169: "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
	49170: "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"}

func ciphers(l drift.Leaf[[]string]) drift.Leaf[[]string] {
	for i, s := range l.Value {
		if n, err := strconv.ParseInt(s, 10, 32); err == nil && cipherNames[n] != "" {
			l.Value[i] = cipherNames[n]
		}
	}
	return l
}

// secure are the headers that security/http adds to answers.
func (e *endpoint) secure() []drift.Transform {
	v := e.reader.component("security/http")
	if e.extra["security/http"] != nil {
		v = e.component("security/http")
	}
	var out []drift.Transform
	for _, h := range []struct{ key, header, fixed string }{{"frame_deny", "X-Frame-Options", "DENY"}, {"custom_frame_options_value", "X-Frame-Options", ""}, {"content_type_nosniff", "X-Content-Type-Options", "nosniff"},
		{"browser_xss_filter", "X-XSS-Protection", "1; mode=block"}, {"content_security_policy", "Content-Security-Policy", ""}, {"referrer_policy", "Referrer-Policy", ""}, {"sts_seconds", "Strict-Transport-Security", ""}} {
		n := v.n.Get(h.key)
		if on, ok := n.Bool(); n.Absent() || n.Str() == "" || h.fixed != "" && ok && !on || h.key == "sts_seconds" && n.Str() == "0" {
			continue
		}
		text := h.fixed
		if text == "" {
			text = n.Str()
		}
		if h.key == "sts_seconds" {
			text = "max-age=" + text
		}
		out = append(out, drift.Transform{Phase: "response", Target: "header", Op: "set", Name: h.header, Value: drift.Shown(text), Origin: n.Origin(v.scope)})
	}
	return out
}

func (e *endpoint) cors(p *drift.Policy) {
	off, none := drift.ByDefault(false), drift.ByDefault([]string(nil))
	p.CORS = drift.CORS{Enabled: off, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: off, MaxAge: drift.ByDefault(int64(0))}
	v := e.reader.component("security/cors")
	if v.n == nil {
		return
	}
	if cause, is := unrendered(v.n.Str()); is {
		p.CORS.Enabled = drift.Unknown[bool](cause, v.n.Origin(v.scope))
		for _, l := range []*drift.Leaf[[]string]{&p.CORS.Origins, &p.CORS.Methods, &p.CORS.Headers, &p.CORS.Expose} {
			*l = drift.Unknown[[]string](cause, v.n.Origin(v.scope))
		}
		return
	}
	p.CORS = drift.CORS{Enabled: leaf(v, true, v.n.Origin(v.scope)), Origins: v.list("allow_origins", []string{"*"}), Methods: v.list("allow_methods", []string{"GET", "HEAD", "POST"}), Headers: v.list("allow_headers", nil),
		Expose: v.list("expose_headers", nil), Credentials: v.flag("allow_credentials", false), MaxAge: v.seconds("max_age", 0)}
	if l := &p.CORS.Origins; l.Known() && len(l.Value) == 0 {
		l.Value = []string{"*"} // an empty list admits all
	}
	for _, o := range p.CORS.Origins.Or(nil) {
		e.env.Refer("cors_origin", o, p.CORS.Origins.Origin)
	}
}

func (e *endpoint) filters(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	p.IP = drift.IPFilter{Allow: none, Deny: none, Hops: drift.ByDefault(int64(0)), Source: drift.ByDefault("xff")}
	router := e.reader.component("router")
	if own := router.flag("forwarded_by_client_ip", true); own.State != drift.Default {
		p.IP.Source = drift.Leaf[string]{Value: map[bool]string{true: "xff", false: "peer"}[own.Value], State: own.State, Origin: own.Origin, Cause: own.Cause}
	}
	if headers := router.list("remote_ip_headers", nil); headers.State != drift.Default {
		p.IP.Source = drift.Leaf[string]{Value: "header:" + strings.ToLower(strings.Join(headers.Value, ",")), State: headers.State, Origin: headers.Origin, Cause: headers.Cause}
	}
	for _, v := range []view{e.wide(e.reader.extra["plugin/http-server"].Get("ip-filter")), e.own(e.extra["plugin/req-resp-modifier"].Get("ip-filter"))} {
		if v.n == nil {
			continue
		}
		key := "CIDR"
		if v.n.Has("cidr") {
			key = "cidr"
		}
		list, allow := v.list(key, nil), v.flag("allow", false)
		switch {
		case !list.Known() || !allow.Known():
			p.IP.Allow, p.IP.Deny = drift.Unknown[[]string]("template that is not rendered", v.n.Origin(v.scope)), drift.Unknown[[]string]("template that is not rendered", v.n.Origin(v.scope))
		case allow.Value:
			p.IP.Allow = list
		default:
			p.IP.Deny = list
		}
	}
	p.WAF = none
	waf := func(v view, name string) {
		if v.n != nil {
			p.WAF = leaf(v, append(p.WAF.Value, name), v.n.Origin(v.scope))
		}
	}
	waf(e.reader.component("security/bot-detector"), "bot-detector")
	waf(e.component("security/bot-detector"), "bot-detector on the endpoint")
	waf(e.component("validation/json-schema"), "json-schema")
	p.Debug = drift.ByDefault([]string(nil))
	if n := e.extra["proxy"].Get("static"); n != nil {
		p.Debug = drift.Is([]string{"static answer, " + n.Get("strategy").Str()}, n.Origin(e.scope))
	}
}

// debugging is the endpoint that the gateway opens for tests of itself.
func (r *reader) debugging() {
	for _, d := range []struct{ key, path, what string }{{"debug_endpoint", "/__debug/", "debug endpoint"}, {"echo_endpoint", "/__echo/", "echo endpoint"}} {
		n := r.service.Get(d.key)
		if on, _ := n.Bool(); !on {
			continue
		}
		key, match := drift.NewKey("*", drift.Prefix, d.path)
		e := &endpoint{reader: r, node: &source.Node{Kind: source.Map, File: n.File, Line: n.Line}, extra: map[string]*source.Node{}, scope: d.what}
		p := e.policy()
		p.Debug = drift.From([]string{d.what}, n.Origin("service"))
		r.env.Operations = append(r.env.Operations, drift.Operation{Key: key, Match: match, Name: d.what, API: drift.Mask(r.service.Get("name").Str()), Origin: n.Origin("service"), Effective: []drift.Effective{{Policy: p}}})
	}
}

func (r *reader) certificates() {
	t := r.service.Get("tls")
	scope := "service"
	var servers []*source.Node
	if n := t.Get("public_key"); n.Str() != "" {
		servers = append(servers, n)
	}
	for _, k := range t.Get("keys").Items() {
		if n := k.Get("public_key"); n.Str() != "" {
			servers = append(servers, n)
		}
	}
	add := func(n *source.Node, use string) {
		const cause = "the certificate stands in a file of the gateway's machine"
		o := n.Origin(scope)
		r.env.Certificates = append(r.env.Certificates, drift.Certificate{Ref: drift.Mask(n.Str()), Kind: "file", Use: use, Ends: drift.Unknown[time.Time](cause, o), KeyAlg: drift.Unknown[string](cause, o),
			Pinned: drift.ByDefault(false), Rotates: drift.Unknown[bool](cause, o), Origin: o})
		r.env.Refer("certificate", n.Str(), o)
	}
	for _, n := range servers {
		add(n, "server")
	}
	for _, n := range t.Get("ca_certs").Items() {
		add(n, "ca")
	}
	for _, c := range r.service.Get("client_tls", "client_certs").Items() {
		if n := c.Get("certificate"); n.Str() != "" {
			add(n, "client")
		}
	}
}

// leftovers are validators where KrakenD does not look for them, and secrets that are written out.
func (r *reader) leftovers() {
	detached := func(n *source.Node, scope string) {
		if n.Has("jwk_url") || n.Has("jwk_local_path") || n.Has("alg") {
			r.env.Detached = append(r.env.Detached, drift.Detached{Kind: "jwt", Name: "auth/validator of the " + scope, Auth: true, Origin: n.Origin(scope)})
		}
	}
	detached(r.extra["auth/validator"], "service")
	for _, e := range r.service.Get("endpoints").Items() {
		for _, b := range e.Get("backend").Items() {
			detached(components(b)["auth/validator"], "backend of "+drift.Mask(e.Get("endpoint").Str()))
		}
	}
	r.secrets(r.service, "", 0)
}

func (r *reader) secrets(n *source.Node, in string, depth int) {
	if depth > 40 {
		return
	}
	n.Each(func(k string, v *source.Node) {
		switch {
		case v.Kind == source.Map || v.Kind == source.List:
			r.secrets(v, canonical(k), depth+1)
		case secretField(k, in) && v.Str() != "" || userinfo(v.Str()):
			if _, is := unrendered(v.Str()); !is && !strings.HasPrefix(v.Str(), "$") {
				r.env.Literals = append(r.env.Literals, drift.Literal{What: fmt.Sprintf("%s %s", in, k), Origin: v.Origin("")})
			}
		}
	})
	for _, v := range n.Items() {
		r.secrets(v, in, depth+1)
	}
}

func secretField(k, in string) bool {
	switch strings.ToLower(k) {
	case "password", "secret", "client_secret", "api_key", "access_key", "secret_key", "session_token", "pass":
		return true
	case "key":
		return in == "keys" // of auth/api-keys
	}
	return false
}

func userinfo(s string) bool {
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.Contains(host, "@") && strings.Contains(host, ":") && !strings.Contains(host, " ")
}
