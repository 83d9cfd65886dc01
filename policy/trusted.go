package policy

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"gatehouse/secret"
	"gatehouse/token"
)

// TrustedIssuer is an issuer elsewhere whose tokens prove workloads here, as one revision has it. Nobody changes it.
type TrustedIssuer struct {
	token.Trusted
	Name    string
	KeysURL string        // where its keys are; "": where its discovery document says
	Stale   time.Duration // for how long keys count after they were last seen
}

// TrustedKeys is the keys of an issuer elsewhere, as their owner has seen them last. Requests read them, and ask for them anew
// when a token names a key that is not among them; they never wait for it.
type TrustedKeys struct {
	set  atomic.Pointer[KeySet]
	seen atomic.Int64 // when the issuer last told them, in Unix seconds
	ask  chan struct{}
}

// KeySet is keys that an issuer told at one time. Another set is another pointer.
type KeySet struct{ Keys []token.Key }

// NewTrustedKeys has none yet.
func NewTrustedKeys() *TrustedKeys { return &TrustedKeys{ask: make(chan struct{}, 1)} }

// Load returns the keys that count at that time; nil when none do, because the issuer was never reached, or not for too long.
func (t *TrustedKeys) Load(now time.Time, stale time.Duration) *KeySet {
	if now.Unix()-t.seen.Load() > int64(stale/time.Second) {
		return nil
	}
	return t.set.Load()
}

// Saw notes that the issuer told these keys. The same set as before is passed again, so that what was verified stays so.
func (t *TrustedKeys) Saw(s *KeySet, now time.Time) {
	t.set.Store(s)
	t.seen.Store(now.Unix())
}

// Ask asks the owner to look for new keys soon.
func (t *TrustedKeys) Ask() {
	select {
	case t.ask <- struct{}{}:
	default: // it was asked already
	}
}

// Asked tells the owner.
func (t *TrustedKeys) Asked() <-chan struct{} { return t.ask }

// WorkloadToken is a token of a trusted issuer that was verified.
type WorkloadToken struct {
	Print     Print          // of the whole token
	Issuer    *TrustedIssuer // of the revision by which it was verified: with another one it is verified again
	Keys      *KeySet        // likewise
	Met       *Conditions    // those of the credential, whose claims the token has: with others it is verified again
	Mark      secret.Hash    // of the credential
	Expires   int64          // Unix seconds; it is refused from then on
	ByCert    bool           // it is bound to the certificate with the thumbprint
	CertThumb [32]byte
}

// workloadSlots is how many tokens of workloads are kept verified: each lives for an hour or so, and serves many requests.
const workloadSlots = 1 << 14

// Workload returns the token of the fingerprint if it is kept.
func (t *Tokens) Workload(p Print) *WorkloadToken {
	a := t.workloads[binary.LittleEndian.Uint32(p[:])%workloadSlots].Load()
	if a == nil || a.Print != p {
		return nil
	}
	return a
}

// PutWorkload keeps a token.
func (t *Tokens) PutWorkload(a *WorkloadToken) {
	t.workloads[binary.LittleEndian.Uint32(a.Print[:])%workloadSlots].Store(a)
}
