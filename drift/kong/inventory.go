package kong

import (
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/source"
)

func (r *reader) certificates() {
	add := func(n *source.Node, use string) {
		ref := n.Get("id").Str()
		if s := n.Get("snis").Items(); len(s) > 0 && s[0].Get("name").Str() != "" {
			ref = s[0].Get("name").Str()
		} else if t := n.Get("tags").Strs(); ref == "" && len(t) > 0 {
			ref = t[0]
		}
		text := r.text(n.Get("cert").Str())
		c, ok := drift.CertificateOf(ref, use, text, n.Origin(use+" certificate"))
		if !ok {
			cause, is := open(text)
			if !is {
				cause = "the certificate cannot be read"
				r.Doubt(n.Get("cert").Origin(""), "the certificate cannot be read")
			}
			c.Ends, c.KeyAlg = unknownEnd(cause, n), drift.Unknown[string](cause, n.Origin(""))
			if strings.HasPrefix(text, "{vault://") { // its version, where there is one, stands behind a #
				pinned := strings.Contains(text, "#")
				c.Pinned, c.Rotates = drift.Is(pinned, n.Get("cert").Origin("")), drift.Is(!pinned, n.Get("cert").Origin(""))
			}
		}
		for _, s := range n.Get("snis").Items() {
			if name := s.Get("name").Str(); name != "" && c.Hosts == nil {
				c.Hosts = append(c.Hosts, name)
			}
		}
		r.env.Certificates = append(r.env.Certificates, c)
		for _, s := range n.Get("snis").Items() {
			if name := s.Get("name"); use == "server" && name.Str() != "" {
				r.env.Exposures = append(r.env.Exposures, drift.Exposure{Host: drift.Mask(name.Str()), Scheme: "https", Certs: []string{ref}, Proof: drift.Impossible[bool]("Kong cannot ask for it"), Origin: name.Origin("certificate")})
			}
		}
		r.literal(n.Get("key"), "private key of a certificate", use+" certificate")
	}
	for _, n := range r.certs {
		add(n, "server")
	}
	for _, n := range r.cas {
		add(n, "ca")
	}
}

// references are certificates that services call their upstreams with.
func (r *reader) references() {
	for _, s := range r.services {
		if n := field(s.node, s.defaults, "client_certificate"); ref(n) != "" {
			r.env.Refer("certificate", ref(n), n.Origin("service "+s.label()))
		}
	}
}

// leftovers are what is defined and does nothing, and secrets that are written out.
func (r *reader) leftovers() {
	for _, p := range r.plugins {
		if p.enabled() && !p.used && !p.lost && len(r.routes) > 0 && p.consumer == nil && p.group == nil || !p.enabled() && isAuth(p.name) && p.consumer == nil {
			r.env.Detached = append(r.env.Detached, drift.Detached{Kind: "plugin", Name: p.name + p.off(), Auth: isAuth(p.name), Origin: p.node.Origin(p.scope)})
		}
		for _, c := range p.config {
			r.secrets(c, p.name, p.scope, 0)
		}
	}
	for _, c := range r.consumers {
		scope := "consumer " + c.name
		for _, cred := range []struct{ list, field, what string }{
			{"keyauth_credentials", "key", "API key"}, {"keyauth_enc_credentials", "key", "API key"}, {"jwt_secrets", "secret", "JWT secret"}, {"basicauth_credentials", "password", "password"},
			{"hmacauth_credentials", "secret", "HMAC secret"}, {"oauth2_credentials", "client_secret", "client secret"},
		} {
			for _, n := range c.node.Get(cred.list).Items() {
				r.literal(n.Get(cred.field), cred.what, scope)
			}
		}
	}
}

func (p *plugin) off() string {
	if !p.enabled() {
		return ", which is switched off"
	}
	return ""
}

func isAuth(name string) bool {
	for _, a := range authPlugins {
		if a == name {
			return true
		}
	}
	return name == "acl" || name == "opa"
}

// secrets looks for fields of a plugin that hold secrets.
func (r *reader) secrets(n *source.Node, plugin, scope string, depth int) {
	if n == nil || depth > 8 {
		return
	}
	n.Each(func(k string, v *source.Node) {
		switch {
		case v.Kind == source.Map || v.Kind == source.List:
			r.secrets(v, plugin, scope, depth+1)
		case secretField(k):
			r.literal(v, plugin+" "+k, scope)
		}
	})
	for _, v := range n.Items() {
		r.secrets(v, plugin, scope, depth+1)
	}
}

func secretField(k string) bool {
	k = strings.ToLower(k)
	switch k {
	case "password", "secret", "client_secret", "api_key", "private_key", "redis_password", "sentinel_password", "aws_secret", "aws_secret_access_key", "secret_access_key", "access_token", "header_value", "client_jwk", "session_secret", "master_secret":
		return true
	}
	return false
}

// literal notes a secret that is written out, and never the secret.
func (r *reader) literal(n *source.Node, what, scope string) {
	s := n.Str()
	if s == "" {
		return
	}
	if _, is := open(s); is || strings.Contains(s, "${{") {
		return
	}
	r.env.Literals = append(r.env.Literals, drift.Literal{What: what, Origin: n.Origin(scope)})
}

func unknownEnd(cause string, n *source.Node) drift.Leaf[time.Time] {
	return drift.Unknown[time.Time](cause, n.Origin(""))
}
