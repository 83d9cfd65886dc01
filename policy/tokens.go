package policy

import (
	"encoding/binary"
	"sync/atomic"

	"gatehouse/secret"
)

// AccessToken is an access token that was verified: what it said, in the form in which requests are checked against it.
type AccessToken struct {
	Hash      secret.Hash // of the whole token
	Issuer    *Issuer     // by whose keys it was verified: with another one it is verified again
	Expires   int64       // Unix seconds; it is refused from then on
	Client    secret.Hash // the mark of its client
	Mark      secret.Hash // its own, by which it can be denied
	Audience  []string
	Scopes    *Scopes
	Strong    bool // its client proved itself by a key or certificate of its own
	ByCert    bool // it is bound to the certificate with the thumbprint
	CertThumb [32]byte
	ByKey     string // the thumbprint of the key that it is bound to (DPoP); "": none
}

// tokenSlots is how many verified tokens are kept: the next one of the same place takes its place. Nobody can fill it with what
// does not verify.
const tokenSlots = 1 << 16

// Tokens keeps verified access tokens, so that a signature is checked once. Credential, grant and denials are looked up on
// every request all the same.
type Tokens struct {
	slots     []atomic.Pointer[AccessToken]
	workloads []atomic.Pointer[WorkloadToken]

	certificates []atomic.Pointer[SeenCertificate]
}

// NewTokens keeps none yet.
func NewTokens() *Tokens {
	return &Tokens{make([]atomic.Pointer[AccessToken], tokenSlots), make([]atomic.Pointer[WorkloadToken], workloadSlots), make([]atomic.Pointer[SeenCertificate], seenSlots)}
}

// Get returns the token of the hash if it is kept and was verified by the issuer.
func (t *Tokens) Get(h secret.Hash, by *Issuer) *AccessToken {
	a := t.slots[binary.LittleEndian.Uint32(h[:])%tokenSlots].Load()
	if a == nil || a.Hash != h || a.Issuer != by {
		return nil
	}
	return a
}

// Put keeps a token.
func (t *Tokens) Put(a *AccessToken) {
	t.slots[binary.LittleEndian.Uint32(a.Hash[:])%tokenSlots].Store(a)
}
