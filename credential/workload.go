package credential

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strings"

	"gatehouse/secret"
)

// Workload is whom a Federated credential is bound to: what an issuer elsewhere says of a workload. There is no secret in it,
// neither here nor there.
type Workload struct {
	Issuer   string  `json:"issuer"`           // the iss of its tokens
	Subject  string  `json:"subject"`          // as the form of the issuer has it: mostly the sub
	Audience string  `json:"audience"`         // that its tokens are for
	Claims   []Claim `json:"claims,omitempty"` // that its tokens must have beside those
}

// Claim is what a token must say under a name: this text, or a list in which it stands.
type Claim struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// The bounds of claims that are asked for.
const (
	ClaimsMost   = 10
	ClaimLongest = 256 // bytes of a name and of a value
)

// Mark is the mark of the workload: the same for nobody else, in no environment.
func (w Workload) Mark() secret.Hash { return WorkloadMark(w.Issuer, w.Audience, w.Subject) }

// WorkloadMark is the mark under which gateways know a workload.
func WorkloadMark(issuer, audience, subject string) secret.Hash {
	return markOf("workload_identity", issuer, audience, subject)
}

// CertName is the name by which a client's certificate of an authority of the operator's is known: any certificate that the
// authority has signed and in which the name stands.
type CertName struct {
	Authority string `json:"authority"` // by its name in the manifest
	Kind      string `json:"kind"`      // dns, uri, ip, email, or subject: all of it
	Value     string `json:"value"`
}

// Mark is the mark of the name: the same for nobody else.
func (n CertName) Mark() secret.Hash { return NameMark(n.Authority, n.Kind, n.Value) }

// NameMark is the mark under which gateways know a name in certificates of an authority.
func NameMark(authority, kind, value string) secret.Hash {
	return markOf("certificate_name", authority, kind, value)
}

// markOf joins the parts, each behind its length, so that no two lists read the same.
func markOf(what string, parts ...string) secret.Hash {
	b := []byte(what)
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return sha256.Sum256(b)
}

// NameKind is the kind of a name by its form, for people who write one.
func NameKind(value string) string {
	_, err := netip.ParseAddr(value)
	switch {
	case err == nil:
		return "ip"
	case strings.Contains(value, "://"), strings.HasPrefix(value, "urn:"):
		return "uri"
	case strings.Contains(value, "="):
		return "subject"
	case strings.Contains(value, "@"):
		return "email"
	case strings.Contains(value, ":"):
		return "uri"
	}
	return "dns"
}
