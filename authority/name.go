package authority

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is a name in a certificate (RFC 5280 §4.2.1.6).
type Name struct{ Kind, Value string }

// The kinds of names that clients are known by.
const (
	DNS     = "dns"
	URI     = "uri"
	IP      = "ip"
	Email   = "email"
	Subject = "subject" // the whole subject, as RFC 4514 writes it
)

// Names are those that a client can be known by. A certificate with too many has none.
func Names(c *x509.Certificate) []Name {
	if len(c.DNSNames)+len(c.URIs)+len(c.IPAddresses)+len(c.EmailAddresses) > namesMost {
		return nil
	}
	var out []Name
	for _, n := range c.DNSNames {
		if n = strings.ToLower(n); CheckName(Name{DNS, n}) == "" {
			out = append(out, Name{DNS, n})
		}
	}
	for _, u := range c.URIs {
		if n := (Name{URI, u.String()}); CheckName(n) == "" {
			out = append(out, n)
		}
	}
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, Name{IP, a.String()})
		}
	}
	for _, e := range c.EmailAddresses {
		if n := (Name{Email, e}); CheckName(n) == "" {
			out = append(out, n)
		}
	}
	if s := SubjectOf(c); s != "" {
		out = append(out, Name{Subject, s})
	}
	return out
}

// SubjectOf is the certificate's subject as RFC 4514 writes it: what stands last in it comes first. "": it has none, or one that
// nobody is known by.
func SubjectOf(c *x509.Certificate) string {
	var parts pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &parts); err != nil || len(rest) > 0 {
		return ""
	}
	if s := parts.String(); CheckName(Name{Subject, s}) == "" {
		return s
	}
	return ""
}

var host = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// CheckName says why nobody can be known by a name; "" when somebody can. One with a wildcard stands for many.
func CheckName(n Name) string {
	switch n.Kind {
	case DNS:
		_, number := netip.ParseAddr(n.Value)
		if len(n.Value) > 253 || !host.MatchString(n.Value) || number == nil {
			return "must be a host name in lower case, without a wildcard, such as client.example.org"
		}
	case URI:
		u, err := url.Parse(n.Value)
		if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" || u.String() != n.Value || len(n.Value) > 512 {
			return "must be a whole URI, such as spiffe://example.org/service"
		}
	case IP:
		if a, err := netip.ParseAddr(n.Value); err != nil || a.Zone() != "" || a.String() != n.Value {
			return "must be one IP address in its short form, such as 192.0.2.7 or 2001:db8::7"
		}
	case Email:
		at := strings.LastIndexByte(n.Value, '@')
		if at < 1 || len(n.Value) > 254 || !host.MatchString(n.Value[at+1:]) || strings.ContainsFunc(n.Value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "must be an e-mail address with its domain in lower case, such as client@example.org"
		}
	case Subject:
		if !strings.Contains(n.Value, "=") || len(n.Value) > 512 || !utf8.ValidString(n.Value) || strings.ContainsFunc(n.Value, unicode.IsControl) ||
			strings.Contains(strings.ReplaceAll(n.Value, `\,`, ""), ", ") {
			return "must be the whole subject as RFC 4514 writes it, without spaces after commas, such as CN=client,O=Partner,C=EE (openssl x509 -noout -subject -nameopt RFC2253)"
		}
	default:
		return "must be of the kind dns, uri, ip, email or subject"
	}
	return ""
}
