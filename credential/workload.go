package credential

import (
	"crypto/sha256"
	"encoding/binary"

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

// WorkloadMark is the mark under which gateways know a workload. Each part stands behind its length, so that no two triples
// read the same.
func WorkloadMark(issuer, audience, subject string) secret.Hash {
	b := []byte("workload_identity")
	for _, part := range [...]string{issuer, audience, subject} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return sha256.Sum256(b)
}
