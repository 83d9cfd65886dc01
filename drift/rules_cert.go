package drift

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// expiryNotice is how long before its end a certificate is reported.
const expiryNotice = 30 * 24 * time.Hour

func certificateRules() []Rule {
	const area = AreaCertificates
	return []Rule{
		{ID: "DR-CRT-01", Title: "Minimum version of TLS is lower", Area: area, Severity: High, Pair: true, Self: true, Why: "downgrade",
			Refs: []string{"checkov:CKV_AZURE_173", "checkov:CKV_AZURE_218", "checkov:CKV_AWS_206", "psrule:Azure.APIM.Protocols", "owasp:API8:2023"}, self: selfTLSMin, pair: pairTLSMin},
		{ID: "DR-CRT-02", Title: "Ciphers or curves are weaker", Area: area, Severity: Medium, Pair: true, Self: true, Why: "weaker protection of the connection",
			Refs: []string{"psrule:Azure.APIM.Ciphers"}, self: selfCiphers, pair: pairCiphers},
		{ID: "DR-CRT-03", Title: "Client certificates are required in one environment and optional or unknown in the other", Area: area, Severity: Critical, Pair: true,
			Why: "a door without the second lock", Refs: []string{"checkov:CKV2_AWS_51", "checkov:CKV_AZURE_152"}, pair: pairClientAuth},
		{ID: "DR-CRT-04", Title: "Trust anchors differ", Area: area, Severity: High, Pair: true, Why: "certificates of another authority are accepted", pair: pairAnchors},
		{ID: "DR-CRT-05", Title: "Client certificate accepted without a test of thumbprint, issuer or subject", Area: area, Severity: High, Pair: true, Self: true,
			Why: "any certificate of any authority", self: selfAnyCert, pair: pairPins},
		{ID: "DR-CRT-06", Title: "Upstream is called without TLS or without verification", Area: area, Severity: High, Pair: true, Self: true, Why: "the last step can be read and changed",
			Refs: []string{"checkov:CKV_AZURE_215", "psrule:Azure.APIM.HTTPBackend", "owasp:API8:2023"}, self: selfUpstreamTLS, pair: pairUpstreamTLS},
		{ID: "DR-CRT-07", Title: "Certificate is expired, expires soon, or earlier than its sibling", Area: area, Severity: High, Pair: true, Self: true, Why: "outage",
			Refs: []string{"psrule:Azure.APIM.CertificateExpiry"}, env: envExpiry, two: twoExpiry},
		{ID: "DR-CRT-08", Title: "Certificate does not cover the exposed host", Area: area, Severity: High, Self: true, Why: "clients refuse, or stop verifying", env: envCovers},
		{ID: "DR-CRT-09", Title: "Certificate, vault or key of another environment is used", Area: area, Severity: High, Pair: true, Self: true, Why: "shared blast radius", env: envForeignKeys, two: twoSharedKeys},
		{ID: "DR-CRT-10", Title: "Reference to a vault is pinned to a version", Area: area, Severity: Medium, Pair: true, Why: "rotation silently stops", two: twoPinned},
		{ID: "DR-CRT-11", Title: "Key algorithm or size is weaker", Area: area, Severity: Medium, Pair: true, Self: true, Why: "weaker proof of identity", env: envKeyAlg, two: twoKeyAlg},
		{ID: "DR-CRT-12", Title: "Plain HTTP answers, is not redirected, or HSTS differs", Area: area, Severity: High, Pair: true, Self: true, Why: "credentials over plain connections",
			Refs: []string{"checkov:CKV_AZURE_217", "psrule:Azure.APIM.HTTPEndpoint", "owasp:API8:2023"}, self: selfPlain, pair: pairPlain},
		{ID: "DR-CRT-13", Title: "Client certificate is taken from a header without proof of the edge", Area: area, Severity: Critical, Pair: true, Self: true, Why: "spoofed identity", self: selfHeaderCert},
	}
}

func selfTLSMin(p *probe, q *Policy) {
	if q.TLS.Min.Known() && CompareTLS(q.TLS.Min.Value, "1.2") == Weaker {
		p.found("tls.min", q.TLS.Min, "versions of TLS before 1.2 are accepted")
	}
	if q.Upstream.Min.Known() && CompareTLS(q.Upstream.Min.Value, "1.2") == Weaker {
		p.found("tls.upstream.min", q.Upstream.Min, "the upstream may be called with versions of TLS before 1.2")
	}
}

func pairTLSMin(v *pairing, a, b *Policy) {
	differ(v, "tls.min", a.TLS.Min, b.TLS.Min, "ssl3", CompareTLS, "one side accepts an older version of TLS")
	differ(v, "tls.upstream.min", a.Upstream.Min, b.Upstream.Min, "ssl3", CompareTLS, "one side calls its upstream with an older version of TLS")
}

// weakCipher reports a cipher suite that should not be offered any more.
func weakCipher(c string) bool {
	u := strings.ToUpper(c)
	for _, w := range []string{"RC4", "3DES", "DES-CBC", "DES_", "TRIPLEDES", "NULL", "EXPORT", "_MD5", "-MD5", "ANON", "ADH", "AECDH"} {
		if strings.Contains(u, w) {
			return true
		}
	}
	return false
}

func selfCiphers(p *probe, q *Policy) {
	if q.TLS.Ciphers.Known() && slices.ContainsFunc(q.TLS.Ciphers.Value, weakCipher) {
		p.found("tls.ciphers", q.TLS.Ciphers, "a cipher suite that is known to be broken is offered")
	}
}

func pairCiphers(v *pairing, a, b *Policy) {
	// An empty list is the library's own, which has no order against a written one.
	own := func(cmp func(a, b []string) Order) func(a, b []string) Order {
		return func(a, b []string) Order {
			if len(a) == 0 || len(b) == 0 {
				return Same
			}
			return cmp(a, b)
		}
	}
	differ(v, "tls.ciphers", a.TLS.Ciphers, b.TLS.Ciphers, nil, own(CompareAllowed), "one side offers cipher suites that the other does not")
	differ(v, "tls.curves", a.TLS.Curves, b.TLS.Curves, nil, own(CompareAllowed), "one side offers curves that the other does not")
}

func pairClientAuth(v *pairing, a, b *Policy) {
	differ(v, "tls.client_auth", a.TLS.ClientAuth, b.TLS.ClientAuth, "none", CompareClientAuth, "one side does not insist on a client certificate")
}

// anchors are the authorities that client and upstream certificates may come from.
func pairAnchors(v *pairing, a, b *Policy) {
	differ(v, "tls.ca_refs", a.TLS.CAs, b.TLS.CAs, nil, v.shaped(CompareChecked), "the authorities whose client certificates are accepted differ")
	differ(v, "tls.upstream.ca_refs", a.Upstream.CAs, b.Upstream.CAs, nil, v.shaped(CompareChecked), "the authorities that the upstream's certificate may come from differ")
	for _, p := range pairs(a.Auth.Ways.Value, b.Auth.Ways.Value, MTLSProof) {
		if p[0].MTLS != nil && p[1].MTLS != nil {
			differ(v, "auth.mtls.ca_refs", p[0].MTLS.CAs, p[1].MTLS.CAs, nil, v.shaped(CompareChecked), "the authorities whose client certificates are accepted differ")
		}
	}
}

func selfAnyCert(p *probe, q *Policy) {
	for _, r := range ofKind(q.Auth.Ways.Value, MTLSProof) {
		if m := r.MTLS; m != nil && m.Pins.Known() && len(m.Pins.Value) == 0 && m.CAs.Definite() && len(m.CAs.Value) == 0 {
			p.found("auth.mtls.pins", m.Pins, "any client certificate passes: neither thumbprint nor issuer nor subject is tested")
		}
	}
	if c := q.TLS.ClientAuth; c.Known() && c.Value == "require_any" && q.TLS.Pins.Definite() && len(q.TLS.Pins.Value) == 0 {
		p.found("tls.client_auth", c, "any client certificate passes: it is demanded and not verified")
	}
}

func pairPins(v *pairing, a, b *Policy) {
	counted := func(x, y []string) Order { return orderOf(len(x) > 0 || len(y) == 0, len(y) > 0 || len(x) == 0) }
	for _, p := range pairs(a.Auth.Ways.Value, b.Auth.Ways.Value, MTLSProof) {
		if p[0].MTLS != nil && p[1].MTLS != nil {
			differ(v, "auth.mtls.pins", p[0].MTLS.Pins, p[1].MTLS.Pins, nil, counted, "one side does not test whose client certificate it is")
		}
	}
}

// plainly reports whether an upstream is called over plain HTTP somewhere else than on its own machine.
func plainly(urls []string) bool {
	return slices.ContainsFunc(urls, func(u string) bool {
		l := strings.ToLower(u)
		h := hostOf(u)
		return (strings.HasPrefix(l, "http://") || strings.HasPrefix(l, "grpc://") || strings.HasPrefix(l, "tcp://") || strings.HasPrefix(l, "h2c://")) &&
			h != "localhost" && h != "127.0.0.1" && h != "::1"
	})
}

func selfUpstreamTLS(p *probe, q *Policy) {
	if q.Upstream.Verify.Known() && !q.Upstream.Verify.Value && !allPlain(q.Upstream.URLs) {
		p.found("tls.upstream.verify", q.Upstream.Verify, "the upstream's certificate is not verified")
	}
	if q.Upstream.URLs.Known() && plainly(q.Upstream.URLs.Value) {
		p.found("upstream.urls", q.Upstream.URLs, "the upstream is called over plain HTTP")
	}
}

func allPlain(l Leaf[[]string]) bool {
	return l.Known() && len(l.Value) > 0 && !slices.ContainsFunc(l.Value, func(u string) bool { return !strings.HasPrefix(strings.ToLower(u), "http://") })
}

func pairUpstreamTLS(v *pairing, a, b *Policy) {
	if !allPlain(a.Upstream.URLs) && !allPlain(b.Upstream.URLs) {
		differ(v, "tls.upstream.verify", a.Upstream.Verify, b.Upstream.Verify, true, CompareTrue, "one side does not verify its upstream's certificate")
	}
	differ(v, "upstream.urls", a.Upstream.URLs, b.Upstream.URLs, nil, func(x, y []string) Order {
		if len(x) == 0 || len(y) == 0 {
			return Same
		}
		return CompareFalse(plainly(x), plainly(y))
	}, "one side calls its upstream over plain HTTP")
}

func envExpiry(p *probe) {
	if p.now.IsZero() {
		return
	}
	for _, c := range p.env.Certificates {
		if c.Ends.Known() && c.Ends.Value.Before(p.now.Add(expiryNotice)) {
			note := "it ends within 30 days"
			if c.Ends.Value.Before(p.now) {
				note = "it has ended"
			}
			p.at("cert.not_after", c.Ref+" ends "+c.Ends.Value.UTC().Format(time.DateOnly), c.Origin, note)
		}
	}
}

// siblings are certificates that stand for the same thing on both sides: by the binding class of their names.
func (v *pairing) siblings(f func(a, b *Certificate)) {
	for i := range v.a.env.Certificates {
		for j := range v.b.env.Certificates {
			a, b := &v.a.env.Certificates[i], &v.b.env.Certificates[j]
			if a.Use == b.Use && v.a.shape(a.Ref) == v.b.shape(b.Ref) {
				f(a, b)
				break
			}
		}
	}
}

func (v *pairing) certs(field string, a, b *Certificate, x, y string, o Order, note string) {
	v.add(field, Side{Environment: v.a.env.Name, Value: x, State: Set, Origin: a.Origin}, Side{Environment: v.b.env.Name, Value: y, State: Set, Origin: b.Origin}, o, note)
}

func twoExpiry(v *pairing) {
	const apart = 30 * 24 * time.Hour
	v.siblings(func(a, b *Certificate) {
		if !a.Ends.Known() || !b.Ends.Known() || a.SHA256 != "" && a.SHA256 == b.SHA256 {
			return
		}
		if d := a.Ends.Value.Sub(b.Ends.Value); d > apart || d < -apart {
			v.certs("cert.not_after", a, b, a.Ref+" ends "+a.Ends.Value.UTC().Format(time.DateOnly), b.Ref+" ends "+b.Ends.Value.UTC().Format(time.DateOnly),
				orderOf(d > 0, d < 0), "one of two certificates that stand for the same ends more than 30 days earlier")
		}
	})
}

func envCovers(p *probe) {
	for _, x := range p.env.Exposures {
		if x.Host == "" || len(x.Certs) == 0 {
			continue
		}
		covered, known := false, true
		for _, ref := range x.Certs {
			named := false
			for _, c := range p.env.Certificates {
				if c.Ref == ref && len(c.Hosts) > 0 {
					named = true
					covered = covered || slices.ContainsFunc(c.Hosts, func(h string) bool { return covers(h, x.Host) })
				}
			}
			known = known && named
		}
		if known && !covered {
			p.at("cert.hosts", fmt.Sprintf("%s with %v", x.Host, x.Certs), x.Origin, "no name in the certificate matches the host")
		}
	}
}

func covers(name, host string) bool {
	name, host = strings.ToLower(name), strings.ToLower(host)
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		_, parent, dot := strings.Cut(host, ".")
		return dot && (parent == rest || host == name)
	}
	return name == host
}

func envForeignKeys(p *probe) {
	for _, r := range p.env.References {
		if r.Kind != "vault" && r.Kind != "certificate" {
			continue
		}
		if t, ok := foreign(r.Value, p.env); ok {
			p.at("reference."+r.Kind, r.Value, r.Origin, "the name says that it belongs to "+string(t))
		}
	}
}

func twoSharedKeys(v *pairing) {
	if (v.a.env.Tier == Prod) == (v.b.env.Tier == Prod) {
		return
	}
	for i := range v.a.env.Certificates {
		for j := range v.b.env.Certificates {
			a, b := &v.a.env.Certificates[i], &v.b.env.Certificates[j]
			if a.SHA256 != "" && a.SHA256 == b.SHA256 && a.Use != "ca" {
				o := Stronger
				if v.b.env.Tier == Prod {
					o = Weaker
				}
				v.certs("cert.sha256", a, b, a.Ref, b.Ref, o, "production and another tier use the same certificate and key")
			}
		}
	}
}

func twoPinned(v *pairing) {
	v.siblings(func(a, b *Certificate) {
		if a.Pinned.Known() && b.Pinned.Known() && a.Pinned.Value != b.Pinned.Value {
			v.certs("cert.version_pinned", a, b, a.Ref+" "+pinText(a), b.Ref+" "+pinText(b), CompareFalse(a.Pinned.Value, b.Pinned.Value), "the pinned one is not renewed with the vault")
		}
	})
}

func pinText(c *Certificate) string {
	if c.Pinned.Value {
		return "pinned to a version"
	}
	return "follows the vault"
}

// keyRank orders key algorithms; rank -1 cannot be compared.
func keyRank(alg string) int {
	switch strings.ToLower(alg) {
	case "rsa512", "rsa768", "rsa1024", "dsa":
		return 0
	case "rsa2048":
		return 1
	case "rsa3072", "rsa4096", "ecdsap256", "ecdsap384", "ecdsap521", "ed25519":
		return 2
	}
	return -1
}

func envKeyAlg(p *probe) {
	for _, c := range p.env.Certificates {
		if c.KeyAlg.Known() && keyRank(c.KeyAlg.Value) == 0 {
			p.at("cert.key_alg", c.Ref+" "+c.KeyAlg.Value, c.Origin, "keys of this kind can be broken")
		}
	}
}

func twoKeyAlg(v *pairing) {
	v.siblings(func(a, b *Certificate) {
		x, y := keyRank(a.KeyAlg.Or("")), keyRank(b.KeyAlg.Or(""))
		if x >= 0 && y >= 0 && x != y {
			v.certs("cert.key_alg", a, b, a.KeyAlg.Value, b.KeyAlg.Value, orderOf(x > y, y > x), "one of two certificates that stand for the same has a weaker key")
		}
	})
}

func selfPlain(p *probe, q *Policy) {
	if q.TLS.Plain.Known() && q.TLS.Plain.Value && p.public() {
		p.found("tls.plain", q.TLS.Plain, "the operation answers over plain HTTP")
	}
}

func pairPlain(v *pairing, a, b *Policy) {
	differ(v, "tls.plain", a.TLS.Plain, b.TLS.Plain, false, CompareFalse, "one side answers over plain HTTP")
	differ(v, "tls.http_redirect_code", a.TLS.Redirect, b.TLS.Redirect, 0, func(x, y int64) Order { return orderOf(x > 0 || y == 0, y > 0 || x == 0) }, "one side does not send plain calls to HTTPS")
	differ(v, "tls.hsts_max_age_s", a.TLS.HSTS, b.TLS.HSTS, 0, func(x, y int64) Order { return orderOf(x >= y, y >= x) }, "browsers are told for less long to insist on HTTPS")
}

func selfHeaderCert(p *probe, q *Policy) {
	for _, r := range ofKind(q.Auth.Ways.Value, MTLSProof) {
		if m := r.MTLS; m != nil && m.Header.Known() && m.Header.Value != "" && !p.proven() {
			p.found("auth.mtls.header", m.Header, "whoever reaches the gateway beside the edge can write this header")
		}
	}
}

// proven reports whether every exposure shows that calls came through its edge.
func (p *probe) proven() bool {
	for _, x := range p.env.Exposures {
		if !x.Proof.Or(false) {
			return false
		}
	}
	return len(p.env.Exposures) > 0
}
