package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// Proof is a DPoP proof (RFC 9449 §4.2).
type Proof struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Issued int64  `json:"iat"`
	Nonce  string `json:"nonce"`
	Token  string `json:"ath"`
	Key    string `json:"-"` // the thumbprint of the key that signed it
}

// What is wrong with a proof.
var (
	ErrProof  = errors.New("the DPoP proof is not valid")
	ErrNonce  = errors.New("the DPoP proof needs the nonce of this answer")
	ErrReplay = errors.New("the DPoP proof was used before")
	ErrFull   = errors.New("too many DPoP proofs at once")
	ErrMany   = errors.New("too many DPoP proofs of one client at once")
)

const (
	nonceSlot  = 15 * time.Second // a nonce is taken in its own slot and the next: at most 30 s
	proofsMost = 1 << 18          // remembered in each slot; past it no proof is taken
	proofsOne  = proofsMost / 4   // of one client: so that none fills the memory for all others
)

// Prover checks DPoP proofs: it gives out nonces that only it could make, and Check takes each proof once. What it remembers is
// in this process: the same proof could be shown to another one within the life of a nonce, if that one takes the same nonces.
type Prover struct {
	key [32]byte

	mu   sync.Mutex
	slot int64
	seen [2]map[[32]byte]struct{} // of this slot and the one before
	of   map[[32]byte]int         // how many of this slot each client has shown
}

// NewProver makes a prover whose nonces nobody else takes.
func NewProver() *Prover {
	p := &Prover{seen: [2]map[[32]byte]struct{}{{}, {}}, of: map[[32]byte]int{}}
	rand.Read(p.key[:])
	return p
}

// NewProverOf makes a prover that takes the nonces of every other one of the same key, which is random and secret: for
// processes that stand behind one address. They must remember proofs together: see Read.
func NewProverOf(key [32]byte) *Prover {
	return &Prover{key: key, seen: [2]map[[32]byte]struct{}{{}, {}}, of: map[[32]byte]int{}}
}

func slotOf(now time.Time) int64 { return now.UnixNano() / int64(nonceSlot) }

func (p *Prover) nonce(slot int64) string {
	m := hmac.New(sha256.New, p.key[:])
	_ = binary.Write(m, binary.BigEndian, slot)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

// Nonce is the nonce to use now.
func (p *Prover) Nonce(now time.Time) string { return p.nonce(slotOf(now)) }

// Check verifies a proof for a request, and takes it once. access is the access token that is sent with it; "" at the token
// endpoint. Proofs are signed by the algorithms of Strong.
func (p *Prover) Check(compact, method, url, access string, now time.Time) (Proof, error) {
	proof, err := p.Read(compact, method, url, access, now)
	if err != nil {
		return proof, err
	}
	return proof, p.Take(proof, [32]byte{}, now)
}

// Take takes a proof that was read, once. It is counted as one of the client's: more than a quarter of all that can be remembered
// is ErrMany for it alone.
func (p *Prover) Take(proof Proof, client [32]byte, now time.Time) error {
	return p.once(proof.Mark(), client, slotOf(now))
}

// Mark is what the proof is remembered by.
func (p Proof) Mark() [32]byte { return sha256.Sum256([]byte(p.Key + "\x00" + p.ID)) }

// NonceLives is how long a nonce is taken at most: so long the proof that holds it is remembered.
const NonceLives = 2 * nonceSlot

// Read is Check without taking the proof: that it was not seen before is for the caller to see to, by its Mark.
func (p *Prover) Read(compact, method, url, access string, now time.Time) (Proof, error) {
	var proof Proof
	s, err := Parse(compact, Strong())
	if err != nil || !Is(s.Header.Typ, "dpop+jwt") || s.Header.JWK == nil {
		return proof, ErrProof
	}
	key, err := ParseKey(s.Header.JWK)
	if err != nil {
		return proof, ErrProof
	}
	key.ID = "" // it is named by itself
	payload, err := s.Verify([]Key{key})
	if err != nil || Strict(payload, &proof) != nil {
		return proof, ErrProof
	}
	proof.Key = key.thumb
	if proof.ID == "" || len(proof.ID) > 256 || proof.Method != method || proof.URL != url {
		return proof, ErrProof
	}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		if proof.Token != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return proof, ErrProof
		}
	}
	slot := slotOf(now)
	if !hmac.Equal([]byte(proof.Nonce), []byte(p.nonce(slot))) && !hmac.Equal([]byte(proof.Nonce), []byte(p.nonce(slot-1))) {
		return proof, ErrNonce
	}
	if d := now.Sub(time.Unix(proof.Issued, 0)); d > 5*time.Minute || d < -5*time.Minute { // the nonce says when; iat catches broken clocks
		return proof, ErrProof
	}
	return proof, nil
}

// once takes each mark once. It is remembered for as long as the nonce of its proof is taken.
func (p *Prover) once(mark, client [32]byte, slot int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case slot == p.slot+1:
		p.seen[0], p.seen[1] = map[[32]byte]struct{}{}, p.seen[0]
		p.slot, p.of = slot, map[[32]byte]int{}
	case slot > p.slot+1:
		p.seen = [2]map[[32]byte]struct{}{{}, {}}
		p.slot, p.of = slot, map[[32]byte]int{}
	}
	for _, s := range p.seen {
		if _, again := s[mark]; again {
			return ErrReplay
		}
	}
	if len(p.seen[0]) >= proofsMost {
		return ErrFull
	}
	if client != ([32]byte{}) {
		if p.of[client] >= proofsOne {
			return ErrMany
		}
		p.of[client]++
	}
	p.seen[0][mark] = struct{}{}
	return nil
}
