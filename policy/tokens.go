package policy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"gatehouse/secret"
)

// AccessToken is an access token that was verified: what it said, in the form in which requests are checked against it.
type AccessToken struct {
	Print     Print       // of the whole token
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

// Print is a fingerprint of a whole token, by a key of this process: it means nothing elsewhere, and no token can be had from it.
type Print [16]byte

// Tokens keeps verified access tokens, so that a signature is checked once. Credential, grant and denials are looked up on
// every request all the same.
type Tokens struct {
	code      cipher.AEAD // GMAC (NIST SP 800-38D) by a key that nobody knows
	scratch   sync.Pool   // of *printing: what is handed to an interface would be allocated
	slots     []atomic.Pointer[AccessToken]
	workloads []atomic.Pointer[WorkloadToken]

	certificates []atomic.Pointer[SeenCertificate]
}

// NewTokens keeps none yet.
func NewTokens() *Tokens {
	var key [16]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	code, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return &Tokens{code: code, scratch: sync.Pool{New: func() any { return new(printing) }},
		slots: make([]atomic.Pointer[AccessToken], tokenSlots), workloads: make([]atomic.Pointer[WorkloadToken], workloadSlots), certificates: make([]atomic.Pointer[SeenCertificate], seenSlots)}
}

// printing is what one fingerprint is made with.
type printing struct {
	nonce [12]byte
	tag   [16]byte
}

// Print is the fingerprint of a token. Two tokens have the same one with a chance below 2^-100, whoever chose them: for that the
// key and all fingerprints stay in here, which is also why the nonce can be the same one each time. SHA-256 takes three times as long.
func (t *Tokens) Print(raw []byte) (p Print) {
	s := t.scratch.Get().(*printing)
	copy(p[:], t.code.Seal(s.tag[:0], s.nonce[:], nil, raw))
	t.scratch.Put(s)
	return p
}

// Get returns the token of the fingerprint if it is kept and was verified by the issuer.
func (t *Tokens) Get(p Print, by *Issuer) *AccessToken {
	a := t.slots[binary.LittleEndian.Uint32(p[:])%tokenSlots].Load()
	if a == nil || a.Print != p || a.Issuer != by {
		return nil
	}
	return a
}

// Put keeps a token.
func (t *Tokens) Put(a *AccessToken) {
	t.slots[binary.LittleEndian.Uint32(a.Print[:])%tokenSlots].Store(a)
}
