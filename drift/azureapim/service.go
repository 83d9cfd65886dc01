package azureapim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

const noService = "the service resource is not among the files"

// defaults fills everything that no statement needs to say.
func (b *builder) defaults(p *product) {
	none, no, zero := drift.ByDefault([]string(nil)), drift.ByDefault(false), drift.ByDefault(int64(0))
	q := b.p
	q.Rates, q.Quotas, q.Transforms, q.Opaque = drift.ByDefault([]drift.Rate(nil)), drift.ByDefault([]drift.Quota(nil)), drift.ByDefault([]drift.Transform(nil)), drift.ByDefault([]drift.Opaque(nil))
	q.WAF, q.Debug = none, none
	q.Limits = drift.Limits{Body: zero, Header: drift.Impossible[int64]("fixed by the service"), Connect: drift.Impossible[int64]("fixed by the service"), Read: drift.ByDefault(int64(300_000)),
		Retries: zero, RetryOn: none, Breaker: drift.ByDefault("")}
	q.CORS = drift.CORS{Enabled: no, Origins: none, Methods: none, Headers: none, Expose: none, Credentials: no, MaxAge: zero}
	q.IP = drift.IPFilter{Allow: none, Deny: none, Source: drift.ByDefault("peer"), Hops: zero}
	q.Upstream = drift.Upstream{URLs: none, Verify: drift.ByDefault(true), CAs: none, ClientCert: drift.ByDefault(""), ServerName: drift.ByDefault(""), Min: b.r.tlsMin("Backend.Protocols")}
	info, scope := b.a.props, "api "+b.a.name
	if u := info.Get("serviceUrl"); u.Str() != "" {
		q.Upstream.URLs = drift.From([]string{drift.Mask(u.Str())}, u.Origin(scope))
		if strings.Contains(u.Str(), "{#") || strings.HasPrefix(u.Str(), "[") {
			q.Upstream.URLs = drift.Unknown[[]string]("only known when it is deployed", u.Origin(scope))
		} else {
			b.r.env.Refer("upstream", u.Str(), u.Origin(scope))
		}
	}
	q.TLS = b.r.tls(info, scope)
	q.Lifecycle = drift.Lifecycle{Revision: leafText(info.Get("apiRevision"), scope), Version: leafText(info.Get("apiVersion"), scope), Deprecated: no, Subscription: no, Approval: no}
	if p != nil {
		n := p.props.Get("approvalRequired")
		q.Lifecycle.Approval = drift.ByDefault(false)
		if v, ok := n.Bool(); ok {
			q.Lifecycle.Approval = drift.Is(v, n.Origin("product "+p.name))
		}
	}
	b.diagnostics()
}

func leafText(n *source.Node, scope string) drift.Leaf[string] {
	if n.Absent() {
		return drift.ByDefault("")
	}
	return drift.Is(drift.Mask(n.Str()), n.Origin(scope))
}

func (r *reader) tls(info *source.Node, scope string) drift.ServerTLS {
	t := drift.ServerTLS{
		Min: r.tlsMin("Protocols"), Max: drift.ByDefault("1.3"), Ciphers: r.ciphers(), Curves: drift.Impossible[[]string]("fixed by the service"), ALPN: r.alpn(), HSTS: drift.ByDefault(int64(0)),
		Plain: drift.ByDefault(false), Redirect: drift.Impossible[int64]("the service refuses plain calls and does not redirect them"), ClientAuth: r.clientAuth(), CAs: drift.ByDefault([]string(nil)), Pins: drift.ByDefault([]string(nil)),
	}
	if n := info.Get("protocols"); n != nil {
		plain := false
		for _, s := range n.Strs() {
			plain = plain || strings.EqualFold(s, "http") || strings.EqualFold(s, "ws")
		}
		t.Plain = drift.Is(plain, n.Origin(scope))
	}
	return t
}

const security = "Microsoft.WindowsAzure.ApiManagement.Gateway.Security."

// custom reads a custom property of the service: "True" and "False" as text, or truth values.
func (r *reader) custom(name string) (value, set bool, n *source.Node) {
	r.svc.node.Get("properties", "customProperties").Each(func(k string, v *source.Node) {
		if strings.EqualFold(k, name) {
			value, set = v.Bool()
			n = v
		}
	})
	return value, set, n
}

func (r *reader) tlsMin(kind string) drift.Leaf[string] {
	if r.svc.node == nil {
		return drift.Unknown[string](noService, drift.Origin{Scope: "service"})
	}
	out := drift.ByDefault("1.2")
	for _, v := range []struct{ key, version string }{{"Tls11", "1.1"}, {"Tls10", "1.0"}, {"Ssl30", "ssl3"}} {
		on, set, n := r.custom(security + kind + "." + v.key)
		if set && on {
			out = drift.From(v.version, n.Origin("service"))
		} else if set && out.State == drift.Default {
			out = drift.From("1.2", n.Origin("service"))
		}
	}
	return out
}

func (r *reader) ciphers() drift.Leaf[[]string] {
	if r.svc.node == nil {
		return drift.Unknown[[]string](noService, drift.Origin{Scope: "service"})
	}
	var on []string
	var at *source.Node
	r.svc.node.Get("properties", "customProperties").Each(func(k string, v *source.Node) {
		if name, ok := strings.CutPrefix(k, security+"Ciphers."); ok {
			at = v
			if b, _ := v.Bool(); b {
				on = append(on, name)
			}
		}
	})
	if at == nil {
		return drift.ByDefault([]string(nil))
	}
	return drift.From(drift.Sorted(on), at.Origin("service"))
}

func (r *reader) alpn() drift.Leaf[[]string] {
	if r.svc.node == nil {
		return drift.Unknown[[]string](noService, drift.Origin{Scope: "service"})
	}
	if on, set, n := r.custom("Microsoft.WindowsAzure.ApiManagement.Gateway.Protocols.Server.Http2"); set && on {
		return drift.From([]string{"h2", "http/1.1"}, n.Origin("service"))
	}
	return drift.ByDefault([]string{"http/1.1"})
}

// clientAuth: the service asks for a certificate and leaves the judgement to validate-client-certificate.
func (r *reader) clientAuth() drift.Leaf[string] {
	if r.svc.node == nil {
		return drift.Unknown[string](noService, drift.Origin{Scope: "service"})
	}
	p := r.svc.node.Get("properties")
	if b, ok := p.Get("enableClientCertificate").Bool(); ok && b {
		return drift.From("request", p.Get("enableClientCertificate").Origin("service"))
	}
	for _, h := range p.Get("hostnameConfigurations").Items() {
		if b, ok := h.Get("negotiateClientCertificate").Bool(); ok && b {
			return drift.From("request", h.Get("negotiateClientCertificate").Origin("service"))
		}
	}
	return drift.ByDefault("none")
}

// finish derives what follows from several statements together.
func (b *builder) finish() {
	b.p.TLS.HSTS = drift.HSTSOf(b.p.Transforms)
	for i := range b.p.Auth.Ways.Value {
		for j := range b.p.Auth.Ways.Value[i].Needs {
			n := &b.p.Auth.Ways.Value[i].Needs[j]
			for _, t := range b.p.Transforms.Value {
				if t.Phase != "request" || t.Target != "header" && t.Target != "query" || t.Op != "remove" && t.Op != "set" {
					continue
				}
				if n.Kind == drift.KeyProof && n.Key != nil && containsFold(n.Key.Names.Value, t.Name) || n.Kind == drift.JWTProof && strings.EqualFold(t.Name, "authorization") {
					n.Forward = drift.Leaf[bool]{Value: false, State: b.p.Transforms.State, Origin: t.Origin}
				}
			}
		}
	}
}

func containsFold(list []string, s string) bool {
	for _, v := range list {
		if strings.EqualFold(v, s) {
			return true
		}
	}
	return false
}

// service reads hosts, certificates and reachability of the service resource.
func (r *reader) service() {
	p := r.svc.node.Get("properties")
	vis := drift.Public
	if strings.EqualFold(p.Get("publicNetworkAccess").Str(), "Disabled") {
		vis = drift.Private
	} else if strings.EqualFold(p.Get("virtualNetworkType").Str(), "Internal") {
		vis = drift.Internal
	}
	for _, h := range p.Get("hostnameConfigurations").Items() {
		if t := h.Get("type").Str(); t != "" && !strings.EqualFold(t, "Proxy") {
			continue
		}
		x := drift.Exposure{Host: h.Get("hostName").Str(), Port: 443, Scheme: "https", Visibility: vis, Origin: h.Origin("service")}
		if kv := h.Get("keyVaultId"); kv.Str() != "" {
			x.Certs = append(x.Certs, kv.Str())
			r.vaultCert(kv.Str(), []string{x.Host}, kv, h.Get("certificate", "expiry"))
		}
		if r.svc.name != "" && vis == drift.Public && !strings.HasSuffix(x.Host, ".azure-api.net") {
			x.Bypass = append(x.Bypass, r.svc.name+".azure-api.net")
		}
		r.env.Exposures = append(r.env.Exposures, x)
	}
	if len(p.Get("hostnameConfigurations").Items()) == 0 && r.svc.node != nil && r.svc.name != "" {
		r.env.Exposures = append(r.env.Exposures, drift.Exposure{Host: r.svc.name + ".azure-api.net", Port: 443, Scheme: "https", Visibility: vis, Origin: r.svc.node.Origin("service")})
	}
	for _, c := range r.svc.certs {
		if kv := c.props.Get("keyVault", "secretIdentifier"); kv.Str() != "" {
			r.vaultCert(kv.Str(), nil, kv, c.props.Get("expirationDate"))
		} else if e := c.props.Get("expirationDate"); e.Str() != "" {
			x := drift.Certificate{Ref: c.name, Kind: "inline", Use: "client", Ends: ending(e), KeyAlg: drift.Unknown[string]("the certificate is in the service", e.Origin("")), Origin: e.Origin("certificate " + c.name)}
			r.env.Certificates = append(r.env.Certificates, x)
		}
		if pw := c.props.Get("password"); literalText(pw) {
			r.literal("password of a certificate", pw.Origin("certificate "+c.name))
		}
	}
}

// literalText reports whether a property holds something written out, not a parameter or a token.
func literalText(n *source.Node) bool {
	s := n.Str()
	return s != "" && !strings.HasPrefix(s, "[") && !strings.Contains(s, "{#") && !strings.Contains(s, "{{") && !isExpr(s)
}

// ending is when a certificate ends, which the service itself says and templates do not.
func ending(n *source.Node) drift.Leaf[time.Time] {
	if t, err := time.Parse(time.RFC3339, n.Str()); err == nil {
		return drift.Is(t.UTC(), n.Origin("service"))
	}
	return drift.Unknown[time.Time]("in the key vault", n.Origin("service"))
}

// vaultCert is a certificate in a key vault. With a version in its address the service never takes up a renewed one.
func (r *reader) vaultCert(id string, hosts []string, n, end *source.Node) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(id, "https://"), "http://"), "/")
	pinned := len(parts) >= 4 && parts[3] != ""
	name := id
	if len(parts) >= 3 {
		name = strings.Join(parts[:3], "/")
	}
	o := n.Origin("service")
	r.env.Certificates = append(r.env.Certificates, drift.Certificate{Ref: name, Kind: "keyvault", Use: "server", Hosts: hosts, Vault: parts[0],
		Ends: ending(end), KeyAlg: drift.Unknown[string]("in the key vault", o), Pinned: drift.Is(pinned, o), Rotates: drift.Is(!pinned, o), Origin: o})
	r.env.Refer("vault", parts[0], o)
}

// leftovers are named values with secrets in them or in vaults, fragments that authenticate and are included nowhere, and the edge's proof.
func (r *reader) leftovers() {
	for _, nv := range r.svc.namedValues {
		if kv := nv.props.Get("keyVault", "secretIdentifier"); kv.Str() != "" {
			r.vaultSecret(kv)
		}
		secret, _ := nv.props.Get("secret").Bool()
		v := nv.props.Get("value")
		if literalText(v) && (secret || drift.SecretName(nv.name) || drift.SecretName(nv.props.Get("displayName").Str())) {
			r.literal("named value "+nv.name, v.Origin("named value "+nv.name))
		}
	}
	for _, l := range r.svc.loggers {
		l.props.Get("credentials").Each(func(k string, v *source.Node) {
			if literalText(v) {
				r.literal("logger credential "+k, v.Origin("logger "+l.name))
			}
		})
	}
	included := map[string]bool{}
	for _, d := range r.documents() {
		d.root.Walk(func(e *source.Element) {
			if id, ok := e.Attr("fragment-id"); ok && e.Name == "include-fragment" {
				included[id] = true
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(r.svc.fragments)) {
		d := r.svc.fragments[name]
		if d == nil || included[name] || len(r.svc.apis) == 0 {
			continue
		}
		auth := false
		d.root.Walk(func(e *source.Element) {
			auth = auth || strings.HasPrefix(e.Name, "validate-") && e.Name != "validate-content"
		})
		r.env.Detached = append(r.env.Detached, drift.Detached{Kind: "policy fragment", Name: name, Auth: auth, Origin: d.root.Origin("fragment " + name)})
	}
	for i := range r.env.Exposures {
		x := &r.env.Exposures[i]
		if x.Proof.State == drift.Unresolved && x.Proof.Cause == "" {
			x.Proof = drift.ByDefault(false)
			if r.edge.State != drift.Unresolved {
				x.Proof = r.edge
			}
		}
	}
}

func (r *reader) vaultSecret(kv *source.Node) {
	host, _, _ := strings.Cut(strings.TrimPrefix(kv.Str(), "https://"), "/")
	r.env.Refer("vault", host, kv.Origin("named value"))
}

// documents are all policy documents that are attached to something, and the fragments.
func (r *reader) documents() []*document {
	var out []*document
	add := func(d *document) {
		if d != nil && d.root != nil {
			out = append(out, d)
		}
	}
	add(r.svc.policy)
	for _, d := range r.svc.workspaces {
		add(d)
	}
	for _, d := range r.svc.fragments {
		add(d)
	}
	for _, p := range r.svc.products {
		add(p.policy)
	}
	for _, a := range r.svc.apis {
		add(a.policy)
		for _, o := range a.ops {
			add(o.policy)
		}
	}
	return out
}
