package traefik

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"gatehouse/drift"
	"gatehouse/drift/k8s"
	"gatehouse/drift/source"
)

// conflicts are hosts whose routers name different options of TLS: then Traefik takes the default ones for all of them.
func (r *reader) conflicts() map[string]bool {
	named := map[string]string{}
	out := map[string]bool{}
	for _, t := range r.routers {
		if t.tls == nil {
			continue
		}
		for _, m := range t.matches {
			for _, h := range m.hosts {
				if old, ok := named[h]; ok && old != t.options && !out[h] {
					out[h] = true
					r.Doubt(t.node.Origin(t.scope), "routers of the host %s name different options of TLS, so that the default ones count", drift.Mask(h))
				}
				named[h] = t.options
			}
		}
	}
	return out
}

var clientAuth = map[string]string{"NoClientCert": "none", "RequestClientCert": "request", "RequireAnyClientCert": "require_any", "VerifyClientCertIfGiven": "request", "RequireAndVerifyClientCert": "verify"}

func (r *reader) tls(p *drift.Policy, t *router, e *entry, conflicts map[string]bool) {
	none := drift.ByDefault([]string(nil))
	x := &p.TLS
	x.Min, x.Max, x.Ciphers, x.Curves, x.ALPN = drift.ByDefault("1.2"), drift.ByDefault("1.3"), none, none, drift.ByDefault([]string{"h2", "http/1.1"})
	x.ClientAuth, x.CAs, x.Pins = drift.ByDefault("none"), none, none
	node, options, wide := t.tls, t.options, false
	if node == nil {
		node, options, wide = e.tls, e.options, true
	}
	switch {
	case node != nil:
		x.Plain = leaf(view{node, t.scope, wide}, false, node)
	case !r.known:
		x.Plain = drift.Unknown[bool](noStatic, drift.Origin{Scope: e.scope()})
	default:
		x.Plain = drift.ByDefault(true)
	}
	if x.Redirect.Value > 0 && node == nil {
		x.Plain = drift.Leaf[bool]{State: x.Redirect.State, Origin: x.Redirect.Origin}
	}
	if node == nil {
		return
	}
	for _, m := range t.matches {
		for _, h := range m.hosts {
			if conflicts[h] {
				options = ""
			}
		}
	}
	if options == "" {
		options = "default"
	}
	o := r.options[options]
	if o == nil && options == "default" {
		o = r.options["default@file"]
	}
	if o == nil {
		if options != "default" && options != "default@file" {
			r.env.Gaps = append(r.env.Gaps, drift.Gap{What: "TLS options", Name: drift.Mask(options), Origin: node.Origin(t.scope)})
			cause := "TLS options " + drift.Mask(options) + " are missing"
			x.Min, x.ClientAuth = drift.Unknown[string](cause, node.Origin(t.scope)), drift.Unknown[string](cause, node.Origin(t.scope))
		}
		return
	}
	v := view{o.node, o.scope, true}
	version := func(def string, key string) drift.Leaf[string] {
		return value(v, def, func(n *source.Node) (string, bool) {
			if n.Str() == "" {
				return def, true
			}
			s, err := drift.TLSVersion(strings.TrimPrefix(n.Str(), "Version"))
			return s, err == nil
		}, key)
	}
	x.Min, x.Max = version("1.2", "minVersion"), version("1.3", "maxVersion")
	x.Ciphers, x.Curves, x.ALPN = v.list(nil, "cipherSuites"), v.list(nil, "curvePreferences"), v.list([]string{"h2", "http/1.1"}, "alpnProtocols")
	c := keyIn(o.node, "clientAuth")
	if c == nil {
		return
	}
	x.ClientAuth = value(v, "none", func(n *source.Node) (string, bool) { s, ok := clientAuth[n.Str()]; return s, ok }, "clientAuth", "clientAuthType")
	if l := v.list(nil, "clientAuth", "caFiles"); l.State != drift.Default {
		x.CAs = l
	}
	if l := v.list(nil, "clientAuth", "secretNames"); l.State != drift.Default {
		x.CAs = l
	}
	if x.ClientAuth.Value == "verify" || x.ClientAuth.Value == "require_any" {
		w := &p.Auth.Ways
		q := drift.Requirement{Kind: drift.MTLSProof, Name: "clientAuth", Origin: c.Origin(o.scope), Forward: drift.ByDefault(false), MTLS: &drift.MTLS{CAs: x.CAs, Pins: none, Header: drift.ByDefault("")}}
		w.Value = w.Value.And(q)
		if w.State == drift.Default {
			w.State, w.Origin = drift.Inherited, c.Origin(o.scope)
		}
	}
}

// upstream reads the service behind the router.
func (r *reader) upstream(p *drift.Policy, t *router) {
	none := drift.ByDefault([]string(nil))
	p.Upstream = drift.Upstream{URLs: drift.ByDefault([]string(nil)), Verify: drift.ByDefault(true), CAs: none, ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""), Min: drift.ByDefault("1.2")}
	u := &ups{r: r, t: t, p: p, seen: map[*thing]bool{}}
	switch {
	case t.provider == "file":
		u.named(qualified(t.service.Str(), "file"), t.service)
	case t.provider == "kubernetes":
		s := t.service.Get("service")
		u.kubernetes(s.Get("name").Str(), or(s.Get("port", "number").Str(), s.Get("port", "name").Str()), t.ns, "", t.service)
	default:
		for _, s := range t.service.Items() {
			u.reference(s, t.ns)
		}
	}
	if len(u.urls) > 0 {
		p.Upstream.URLs = drift.Is(u.urls, t.service.Origin(t.scope))
	}
	if u.cause != "" {
		p.Upstream.URLs = drift.Unknown[[]string](u.cause, t.service.Origin(t.scope))
	}
	if p.Limits.Connect.State == drift.Default {
		r.transport(p, &thing{node: r.setting("serversTransport"), scope: "static configuration"})
	}
}

// ups gathers the addresses behind a router.
type ups struct {
	r     *reader
	t     *router
	p     *drift.Policy
	urls  []string
	cause string
	seen  map[*thing]bool
}

func (u *ups) add(address string, at *source.Node) {
	if strings.Contains(address, "{{") {
		u.cause = "template that is not rendered"
		return
	}
	address = drift.Mask(address)
	u.urls = append(u.urls, address)
	u.r.env.Refer("upstream", address, at.Origin(u.t.scope))
}

func (u *ups) named(name string, at *source.Node) {
	if strings.HasSuffix(name, "@internal") {
		u.p.Debug = drift.Is(append(u.p.Debug.Value, name), at.Origin(u.t.scope))
		return
	}
	s := u.r.services[name]
	if s == nil {
		u.cause = "service " + drift.Mask(name) + " is missing"
		return
	}
	if u.seen[s] {
		return
	}
	u.seen[s] = true
	lb := keyIn(s.node, "loadBalancer")
	for _, n := range keyIn(lb, "servers").Items() {
		u.add(keyIn(n, "url").Str(), n)
	}
	u.transport(keyIn(lb, "serversTransport").Str(), "file", s.ns)
	for _, k := range [][]string{{"weighted", "services"}, {"mirroring", "mirrors"}} {
		for _, n := range keyIn(s.node, k...).Items() {
			if u.t.provider == "file" || n.Get("port") == nil && strings.Contains(keyIn(n, "name").Str(), "@") {
				u.named(qualified(keyIn(n, "name").Str(), "file"), n)
			} else {
				u.reference(n, s.ns)
			}
		}
	}
	for _, k := range [][]string{{"mirroring", "service"}, {"failover", "service"}, {"failover", "fallback"}} {
		if n := keyIn(s.node, k...); n.Str() != "" {
			u.named(qualified(n.Str(), "file"), n)
		}
	}
	if m := s.node.Get("mirroring"); m.Get("name") != nil {
		u.reference(m, s.ns)
	}
}

// reference is a service as Traefik's own objects name it.
func (u *ups) reference(n *source.Node, ns string) {
	ns = or(n.Get("namespace").Str(), ns)
	name := n.Get("name").Str()
	if n.Get("kind").Str() == "TraefikService" || strings.Contains(name, "@") {
		full := name
		if !strings.Contains(name, "@") {
			full = or(ns, "default") + "-" + name + "@kubernetescrd"
		}
		u.named(full, n)
		return
	}
	u.kubernetes(name, n.Get("port").Str(), ns, n.Get("scheme").Str(), n)
	u.transport(n.Get("serversTransport").Str(), "kubernetescrd", ns)
}

func (u *ups) kubernetes(name, port, ns, scheme string, at *source.Node) {
	if name == "" {
		return
	}
	if scheme == "" {
		scheme = "http"
		if s := k8s.Find(u.r.objects, "Service", ns, name); port == "443" || port == "https" || s.Encrypts(port) {
			scheme = "https"
		}
	}
	address := scheme + "://" + name + "." + or(ns, "default")
	if port != "" {
		address += ":" + port
	}
	u.add(address, at)
}

func (u *ups) transport(name, provider, ns string) {
	if name == "" {
		return
	}
	full := qualified(name, provider)
	if provider == "kubernetescrd" && !strings.Contains(name, "@") {
		full = or(ns, "default") + "-" + full
	}
	if t := u.r.transports[full]; t != nil {
		u.r.transport(u.p, t)
		return
	}
	cause := "transport " + drift.Mask(name) + " is missing"
	u.p.Upstream.Verify = drift.Unknown[bool](cause, u.t.service.Origin(u.t.scope))
}

// transport reads how upstreams are called.
func (r *reader) transport(p *drift.Policy, t *thing) {
	if t.node == nil {
		if !r.known {
			o := drift.Origin{Scope: t.scope}
			if p.Upstream.Verify.State == drift.Default {
				p.Upstream.Verify, p.Upstream.CAs = drift.Unknown[bool](noStatic, o), drift.Unknown[[]string](noStatic, o)
			}
			p.Limits.Connect, p.Limits.Read = drift.Unknown[int64](noStatic, o), drift.Unknown[int64](noStatic, o)
		}
		return
	}
	v := view{t.node, t.scope, true}
	p.Upstream.Verify = not(v.flag(false, "insecureSkipVerify"))
	for _, k := range []string{"rootCAs", "rootCAsSecrets"} {
		if l := v.list(nil, k); l.State != drift.Default {
			for i, s := range l.Value {
				if strings.Contains(s, "BEGIN") {
					l.Value[i] = "inline " + drift.Hash(s)
				}
			}
			p.Upstream.CAs = l
		}
	}
	p.Upstream.ServerName = v.str("", "serverName")
	if n := keyIn(t.node, "certificates"); len(n.Items()) > 0 {
		p.Upstream.ClientCert = leaf(v, drift.Mask(keyIn(n.Items()[0], "certFile").Str()), n)
	}
	if l := v.list(nil, "certificatesSecrets"); len(l.Value) > 0 {
		p.Upstream.ClientCert = leaf(v, l.Value[0], keyIn(t.node, "certificatesSecrets"))
	}
	p.Limits.Connect, p.Limits.Read = v.millis(30_000, "forwardingTimeouts", "dialTimeout"), v.millis(0, "forwardingTimeouts", "responseHeaderTimeout")
}

// certificates lists what is presented, and on which hosts.
func (r *reader) certificates() {
	seen := map[string]bool{}
	for _, n := range r.certs {
		file := keyIn(n, "certFile")
		if file.Str() == "" {
			continue
		}
		ref := drift.Mask(file.Str())
		if strings.Contains(ref, "BEGIN") {
			ref = "inline " + drift.Hash(ref)
		}
		c, ok := drift.CertificateOf(ref, "server", file.Str(), file.Origin(""))
		for _, name := range r.Names() {
			if !ok && (name == path.Clean(file.Str()) || strings.HasSuffix(file.Str(), "/"+name)) {
				if b, read := r.Text(name); read {
					c, ok = drift.CertificateOf(ref, "server", string(b), file.Origin(""))
					c.Kind = "file"
				}
			}
		}
		if !ok {
			c = drift.Certificate{Ref: ref, Kind: "file", Use: "server", Origin: file.Origin("")}
			c.Ends.Cause, c.KeyAlg.Cause = "the file is not among the files", "the file is not among the files"
		}
		r.env.Refer("certificate", ref, file.Origin(""))
		r.env.Certificates = append(r.env.Certificates, c)
		if key := keyIn(n, "keyFile").Str(); strings.Contains(key, "PRIVATE KEY") {
			r.literal("private key", keyIn(n, "keyFile").Origin(""))
		}
	}
	for _, t := range r.routers {
		for _, m := range t.matches {
			for _, h := range m.hosts {
				x := drift.Exposure{Host: drift.Mask(h), Scheme: "http", Proof: drift.Impossible[bool]("Traefik cannot ask for it"), Origin: t.node.Origin(t.scope)}
				if t.tls != nil {
					x.Scheme = "https"
				}
				for _, e := range r.listens(t) {
					a := keyIn(e.node, "address").Str()
					if i := strings.LastIndexByte(a, ':'); i >= 0 {
						x.Port, _ = strconv.Atoi(strings.TrimSuffix(a[i+1:], "/tcp"))
					}
					if e.tls != nil {
						x.Scheme = "https"
					}
				}
				if t.secret != "" {
					x.Certs = []string{t.secret}
					if !seen[t.secret] {
						seen[t.secret] = true
						r.env.Refer("certificate", t.secret, t.node.Origin(t.scope))
						r.env.Certificates = append(r.env.Certificates, k8s.Certificate(r.objects, t.secret, t.node.Origin(t.scope)))
					}
				}
				if id := t.acme; id != "" && !seen["acme "+id+" "+h] {
					seen["acme "+id+" "+h] = true
					c := drift.Certificate{Ref: id + " " + drift.Mask(h), Kind: "acme", Use: "server", Hosts: []string{drift.Mask(h)}, Rotates: drift.Is(true, t.node.Origin(t.scope)), Origin: t.node.Origin(t.scope)}
					c.Ends.Cause, c.KeyAlg.Cause = "issued while it runs", "issued while it runs"
					r.env.Certificates = append(r.env.Certificates, c)
				}
				if i := slices.IndexFunc(r.env.Exposures, func(o drift.Exposure) bool { return o.Scheme == x.Scheme && o.Host == x.Host }); i < 0 {
					r.env.Exposures = append(r.env.Exposures, x)
				} else if len(x.Certs) > 0 && !slices.Contains(r.env.Exposures[i].Certs, x.Certs[0]) {
					r.env.Exposures[i].Certs = append(r.env.Exposures[i].Certs, x.Certs[0])
				}
			}
		}
	}
}
