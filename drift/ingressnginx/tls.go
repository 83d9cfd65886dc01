package ingressnginx

import (
	"strings"

	"gatehouse/drift"
)

func (l *location) tls(p *drift.Policy) {
	t := &p.TLS
	none := drift.ByDefault([]string(nil))
	versions := func(pick func([]string) string) func(string) (string, bool) {
		return func(s string) (string, bool) {
			var all []string
			for _, w := range strings.Fields(s) {
				v, err := drift.TLSVersion(w)
				if err != nil {
					return "", false
				}
				all = append(all, v)
			}
			return pick(all), len(all) > 0
		}
	}
	f := l.get("", "ssl-protocols")
	t.Min, t.Max = read(f, "1.2", versions(lowest)), read(f, "1.3", versions(highest))
	t.Ciphers = read(l.get("ssl-ciphers", "ssl-ciphers"), nil, func(s string) ([]string, bool) { return drift.Sorted(strings.Split(s, ":")), s != "" })
	t.Curves = read(l.get("", "ssl-ecdh-curve"), nil, func(s string) ([]string, bool) {
		if s == "auto" {
			return nil, true
		}
		return drift.Sorted(strings.Split(s, ":")), true
	})
	h2 := flag(l.get("", "use-http2"), true)
	t.ALPN = drift.Leaf[[]string]{Value: []string{"h2", "http/1.1"}, State: h2.State, Origin: h2.Origin, Cause: h2.Cause}
	if h2.Known() && !h2.Value {
		t.ALPN.Value = []string{"http/1.1"}
	}
	l.plain(p)
	t.ClientAuth, t.CAs, t.Pins = drift.ByDefault("none"), none, none
	if f := l.get("auth-tls-secret", ""); f.n != nil {
		how := l.get("auth-tls-verify-client", "")
		t.ClientAuth = read(how, "verify", func(s string) (string, bool) {
			v, ok := map[string]string{"on": "verify", "off": "none", "optional": "request", "optional_no_ca": "request"}[s]
			return v, ok
		})
		if how.n == nil {
			t.ClientAuth = leaf(f, "verify")
		}
		t.CAs = leaf(f, []string{drift.Mask(f.n.Str())})
		t.Pins = read(l.get("auth-tls-match-cn", ""), nil, func(s string) ([]string, bool) { return []string{drift.Mask(s)}, true })
	}
}

func lowest(v []string) string {
	out := ""
	for _, s := range v {
		if out == "" || drift.CompareTLS(s, out) == drift.Weaker {
			out = s
		}
	}
	return out
}

func highest(v []string) string {
	out := ""
	for _, s := range v {
		if out == "" || drift.CompareTLS(s, out) == drift.Stronger {
			out = s
		}
	}
	return out
}

// plain: a server without a certificate answers plain calls, one with a certificate sends them to HTTPS, unless that is switched off.
func (l *location) plain(p *drift.Policy) {
	t := &p.TLS
	forced := flag(l.get("force-ssl-redirect", "force-ssl-redirect"), false)
	sent := flag(l.get("ssl-redirect", "ssl-redirect"), true)
	code := number(l.get("", "http-redirect-code"), 308)
	state, o := sent.State, sent.Origin
	on := sent.Value && l.host.tls
	if forced.Known() && forced.Value {
		on, state, o = true, forced.State, forced.Origin
	}
	for _, path := range split(l.get("", "no-tls-redirect-locations").n.Str()) {
		on = on && !strings.HasPrefix(l.path, path)
	}
	switch {
	case !forced.Known() && !on, l.host.tls && !sent.Known() && (!forced.Known() || !forced.Value):
		why := forced
		if forced.Known() {
			why = sent
		}
		t.Plain, t.Redirect = drift.Unknown[bool](why.Cause, why.Origin), drift.Unknown[int64](why.Cause, why.Origin)
	case on:
		t.Plain, t.Redirect = drift.Leaf[bool]{Value: false, State: state, Origin: o}, code
	case l.host.tls:
		t.Plain, t.Redirect = drift.Leaf[bool]{Value: true, State: state, Origin: o}, drift.Leaf[int64]{State: state, Origin: o}
	default:
		t.Plain, t.Redirect = drift.Is(true, l.host.origin), drift.ByDefault(int64(0))
	}
	hsts, age := flag(l.get("", "hsts"), true), number(l.get("", "hsts-max-age"), 31536000)
	switch {
	case !hsts.Known():
		t.HSTS = drift.Unknown[int64](hsts.Cause, hsts.Origin)
	case !l.host.tls, !hsts.Value:
		t.HSTS = drift.Leaf[int64]{State: hsts.State, Origin: hsts.Origin}
	default:
		t.HSTS = age
	}
	if own := drift.HSTSOf(p.Transforms); own.State != drift.Default && own.State != drift.Unresolved {
		t.HSTS = own
	}
}

func (l *location) upstream(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	proto := read(l.get("backend-protocol", "backend-protocol"), "http", func(s string) (string, bool) {
		v, ok := map[string]string{"HTTP": "http", "HTTPS": "https", "GRPC": "grpc", "GRPCS": "https", "AUTO_HTTP": "http", "FCGI": "fcgi", "AJP": "ajp"}[strings.ToUpper(s)]
		return v, ok
	})
	var urls []string
	at := drift.Origin{}
	for _, b := range l.backends {
		s := b.Get("service")
		name, port := s.Get("name").Str(), s.Get("port", "number").Str()
		if port == "" {
			port = s.Get("port", "name").Str()
		}
		if s == nil { // before version 1 of the API
			name, port = b.Get("serviceName").Str(), b.Get("servicePort").Str()
		}
		if name == "" {
			continue
		}
		u := proto.Value + "://" + drift.Mask(name) + "." + l.ing.Namespace
		if port != "" {
			u += ":" + port
		}
		urls, at = append(urls, u), b.Origin(l.ing.Label())
		l.env.Refer("upstream", u, at)
	}
	p.Upstream = drift.Upstream{URLs: drift.Is(urls, at), CAs: none, ClientCert: drift.ByDefault(""), ServerName: text(either(l.get("proxy-ssl-name", ""), l.get("upstream-vhost", "")), ""),
		Verify: flag(l.get("proxy-ssl-verify", ""), false), Min: read(l.get("proxy-ssl-protocols", ""), "1.0", func(s string) (string, bool) {
			var all []string
			for _, w := range strings.Fields(s) {
				v, err := drift.TLSVersion(w)
				if err != nil {
					return "", false
				}
				all = append(all, v)
			}
			return lowest(all), len(all) > 0
		})}
	if !proto.Known() {
		p.Upstream.URLs = drift.Unknown[[]string](proto.Cause, proto.Origin)
	}
	if proto.Value == "http" && proto.Known() {
		p.Upstream.Min = drift.Impossible[string]("the upstream is called without TLS")
	}
	if f := l.get("proxy-ssl-secret", ""); f.n != nil {
		ref := drift.Mask(f.n.Str())
		p.Upstream.CAs, p.Upstream.ClientCert = leaf(f, []string{ref}), leaf(f, ref)
		l.literal(f.n.Str(), "private key")
	} else if p.Upstream.Verify.Value {
		p.Upstream.Verify = drift.Leaf[bool]{State: p.Upstream.Verify.State, Origin: p.Upstream.Verify.Origin} // without a secret nothing is verified
	}
}
