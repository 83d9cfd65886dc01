package feed

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Word is something the control plane says to one gateway, signed, so that it can be kept and believed later.
type Word struct {
	Kind        WordKind  `json:"kind"`
	Environment string    `json:"environment"`
	Gateway     id.ID     `json:"gateway"`
	Position    Position  `json:"position"` // where the feed stood
	At          time.Time `json:"at"`       // by the control plane's clock
	// Age is how long before it was said that At was, where the control plane reads a replica: At is of when that is. 0: At is when
	// it was said.
	Age        time.Duration `json:"age,omitempty"`
	MaxOffline time.Duration `json:"max_offline,omitempty"`
	Reason     string        `json:"reason,omitempty"`
}

// WordKind is what is said.
type WordKind string

// The words.
const (
	Heartbeat WordKind = "heartbeat" // the control plane is there: the gateway may serve for MaxOffline from now
	Revoked   WordKind = "revoked"   // the identity of the gateway is revoked: it must serve nothing, for ever
)

// Signed is a word with its signature, as it is sent and kept.
type Signed struct {
	Word      json.RawMessage `json:"word"`
	Signature []byte          `json:"signature"`
}

// digestOf is what is signed for bytes that are no feed entry: the purpose makes it good for nothing else.
func digestOf(purpose string, b []byte) string {
	h := sha256.Sum256(b)
	return purpose + " sha256:" + hex.EncodeToString(h[:])
}

// Say signs a word.
func Say(w Word, sign func(digest string) []byte) (Signed, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return Signed{}, err
	}
	return Signed{b, sign(digestOf("word", b))}, nil
}

// Hear verifies a word and reads it: fault.Conflict when the control plane did not sign it, or it is for another gateway.
func (s Signed) Hear(environment string, gateway id.ID, key ed25519.PublicKey) (Word, error) {
	var w Word
	if !Verify(key, digestOf("word", s.Word), s.Signature) {
		return w, fault.Of(fault.Conflict, "word-unsigned", "a word is not signed by the control plane")
	}
	if err := json.Unmarshal(s.Word, &w); err != nil {
		return w, fault.Of(fault.Conflict, "word-unsigned", "a word cannot be read").Because(err)
	}
	if w.Environment != environment || w.Gateway != gateway {
		return w, fault.Of(fault.Conflict, "word-elsewhere", "a word is for the gateway %s of %s", w.Gateway, w.Environment)
	}
	return w, nil
}

// Verify reports whether the control plane has signed the digest.
func Verify(key ed25519.PublicKey, digest string, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signed(digest), signature)
}

// CheckAll reports whether the entries follow the position, one after the other. The signature of the last one stands for all:
// its digest covers every entry before it.
func CheckAll(environment string, after Position, es []Entry, key ed25519.PublicKey) error {
	return checkAll(environment, after, es, func(digest string, signature []byte) bool { return Verify(key, digest, signature) })
}

func checkAll(environment string, after Position, es []Entry, verify func(digest string, signature []byte) bool) error {
	for i, e := range es {
		if err := follows(environment, after, e); err != nil {
			return err
		}
		if i == len(es)-1 && !verify(e.Digest, e.Signature) {
			return unsigned(e)
		}
		after = e.Position()
	}
	return nil
}

// CheckLinked reports whether e follows the entry before it, leaving its signature to that of a later one.
func CheckLinked(environment string, before, e Entry) error {
	return follows(environment, before.Position(), e)
}
