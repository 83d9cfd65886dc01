package gatehouse

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

// start is the start-up configuration of the environment's gateways: what they do for every manifest. Without one its leaves are
// not known.
type start struct {
	top      *source.Node // nil: not given
	replicas drift.Leaf[int64]
}

// began reads what the options say beside the manifest: "configuration", a file of the folder with the start-up configuration, and
// "replicas", how many gateways the environment has.
func (r *reader) began(o drift.Options) {
	r.start.replicas = drift.Unknown[int64]("how many gateways there are is not in the manifest", drift.Origin{})
	if n, err := strconv.ParseInt(o.Values["replicas"], 10, 64); err == nil && n > 0 {
		r.start.replicas = drift.Is(n, drift.Origin{Scope: "as the operator says"})
	}
	name := o.Values["configuration"]
	if name == "" {
		return
	}
	if !r.Has(name) {
		r.env.Gaps = append(r.env.Gaps, drift.Gap{What: "start-up configuration", Name: drift.Mask(name)})
		return
	}
	for _, d := range r.Folder.Documents(name) {
		r.start.top = d
	}
	if r.start.top == nil {
		return
	}
	r.certificates(name)
	r.start.top.Get("secrets").Each(func(name string, n *source.Node) {
		if v := n.Get("value"); !v.Absent() {
			r.env.Literals = append(r.env.Literals, drift.Literal{What: "secret " + drift.Mask(name), Origin: v.Origin("start-up configuration")})
		}
	})
	for _, key := range []string{"smtp", "database"} {
		n := r.start.top.Get(key)
		if key == "smtp" {
			n = n.Get("password")
		}
		if !n.Absent() {
			r.env.Literals = append(r.env.Literals, drift.Literal{What: key + " password", Origin: n.Origin("start-up configuration")})
		}
	}
}

// setting is a leaf of the start-up configuration: not known without one, the default where it does not say.
func setting[T any](s *start, def T, read func(string) (T, bool), path ...string) drift.Leaf[T] {
	const scope = "start-up configuration"
	if s.top == nil {
		return drift.Unknown[T](fromStart, drift.Origin{Scope: scope})
	}
	n := s.top.Get(path...)
	if n.Absent() {
		return drift.ByDefault(def)
	}
	v, ok := read(n.Str())
	if !ok {
		return drift.Unknown[T]("the setting cannot be read", n.Origin(scope))
	}
	return drift.From(v, n.Origin(scope))
}

func yes(v string) (bool, bool) {
	v = strings.ToLower(v)
	return v == "true" || v == "1" || v == "yes", true
}

// secure says whether the gateway's listener speaks TLS.
func (s *start) secure() drift.Leaf[bool] {
	there := func(v string) (bool, bool) { return v != "", true }
	l := setting(s, false, there, "gateway", "tls", "certificate")
	if more := setting(s, false, there, "gateway", "tls", "folder"); !l.Value && more.Value {
		return more
	}
	return l
}

// face is how the gateway speaks to callers. TLS 1.2 is the least that a listener takes, and the cipher suites are the library's
// safe ones: neither is a setting.
func (b *builder) face(p *drift.Policy) {
	none := drift.ByDefault([]string(nil))
	s := &b.start
	p.TLS = drift.ServerTLS{Min: drift.ByDefault("1.2"), Max: drift.ByDefault("1.3"), Ciphers: none, Curves: none, HSTS: drift.ByDefault(int64(0)), Redirect: drift.ByDefault(int64(0)), Pins: none,
		ClientAuth: setting(s, "none", func(v string) (string, bool) {
			m, ok := map[string]string{"none": "none", "request": "request", "verify": "request", "require": "verify"}[v] // verify lets callers in who show none
			return m, ok
		}, "gateway", "tls", "clients"),
		CAs: setting(s, []string(nil), func(v string) ([]string, bool) { return []string{drift.Mask(v)}, true }, "gateway", "tls", "client-authorities")}
	tls := s.secure()
	switch {
	case !tls.Known():
		p.TLS.Plain, p.TLS.ALPN = drift.Unknown[bool](tls.Cause, tls.Origin), drift.Unknown[[]string](tls.Cause, tls.Origin)
	case tls.Value:
		p.TLS.Plain, p.TLS.ALPN = drift.Leaf[bool]{State: tls.State, Origin: tls.Origin}, drift.ByDefault([]string{"h2", "http/1.1"})
		if h3 := setting(s, false, yes, "gateway", "http3"); h3.Value {
			p.TLS.ALPN = drift.From([]string{"h3", "h2", "http/1.1"}, h3.Origin)
		}
	case len(b.env.Exposures) > 0 && b.env.Exposures[0].Scheme == "https":
		const before = "TLS is ended in front of the gateway"
		p.TLS.Plain, p.TLS.Min, p.TLS.ClientAuth = drift.Unknown[bool](before, tls.Origin), drift.Unknown[string](before, tls.Origin), drift.Unknown[string](before, tls.Origin)
		p.TLS.ALPN = drift.Unknown[[]string](before, tls.Origin)
	default:
		p.TLS.Plain, p.TLS.ALPN = drift.ByDefault(true), none
		if h2c := setting(s, false, yes, "gateway", "h2c"); h2c.Value {
			p.TLS.ALPN = drift.From([]string{"h2c", "http/1.1"}, h2c.Origin)
		}
	}
	p.Logging.Sinks = setting(s, []string{"stdout"}, func(v string) ([]string, bool) { return []string{v}, true }, "events")
	p.Logging.Enabled = drift.ByDefault(true)
	if slices.Equal(p.Logging.Sinks.Value, []string{"none"}) {
		p.Logging.Enabled = drift.Leaf[bool]{State: p.Logging.Sinks.State, Origin: p.Logging.Sinks.Origin}
	}
}

// demanded adds the certificate that the listener itself asks for to every way in.
func (b *builder) demanded(p *drift.Policy) {
	if p.TLS.ClientAuth.Or("") != "verify" || !p.Auth.Ways.Known() {
		return
	}
	if slices.ContainsFunc(p.Auth.Ways.Value.All(), func(r drift.Requirement) bool { return r.Kind == drift.MTLSProof }) {
		return // the policy asks for more: one that an application has enrolled
	}
	o := p.TLS.ClientAuth.Origin
	p.Auth.Ways.Value = p.Auth.Ways.Value.And(drift.Requirement{Kind: drift.MTLSProof, Name: "gateway.tls.clients", Origin: o, Forward: drift.ByDefault(false),
		MTLS: &drift.MTLS{CAs: p.TLS.CAs, Pins: drift.ByDefault([]string(nil)), Header: drift.ByDefault("")}})
	if p.Auth.Ways.State == drift.Default {
		p.Auth.Ways.State, p.Auth.Ways.Origin = drift.Inherited, o
	}
}
