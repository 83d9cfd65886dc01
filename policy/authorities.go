package policy

import (
	"crypto/x509"
	"encoding/binary"
	"sync/atomic"
	"time"

	"gatehouse/authority"
	"gatehouse/secret"
)

// Revocations is what an authority has revoked, as its owner has seen it last. Requests read it, and ask about a certificate
// that the authority's responder was not asked about yet; they never wait for it.
type Revocations struct {
	lists   atomic.Pointer[ListSet]
	answers []atomic.Pointer[StatusAnswer]
	ask     chan StatusQuestion
}

// ListSet is lists that were seen at one time, each proven. Another set is another pointer.
type ListSet struct{ Lists []*authority.List }

// StatusAnswer is what a responder said of the certificate with the thumbprint. Another answer is another pointer.
type StatusAnswer struct {
	*authority.Answer
	Thumb [32]byte
	used  atomic.Bool
}

// Used reports whether somebody has read the answer since it was asked for the last time.
func (a *StatusAnswer) Used() bool { return a.used.Swap(false) }

// StatusQuestion is a certificate that somebody shows, whose path is proven.
type StatusQuestion struct {
	Thumb        [32]byte
	Leaf, Issuer *x509.Certificate
}

const (
	answerSlots   = 1 << 13 // certificates whose answers are kept
	questionsMost = 256     // that wait to be asked; more are asked when they are shown again
)

// NewRevocations knows nothing yet.
func NewRevocations() *Revocations {
	return &Revocations{answers: make([]atomic.Pointer[StatusAnswer], answerSlots), ask: make(chan StatusQuestion, questionsMost)}
}

// Lists returns the lists; nil before any was seen.
func (r *Revocations) Lists() *ListSet { return r.lists.Load() }

// SawLists notes what the authority told.
func (r *Revocations) SawLists(s *ListSet) { r.lists.Store(s) }

// Answer returns what the responder said of the certificate with the thumbprint; nil: nothing that is kept.
func (r *Revocations) Answer(thumb *[32]byte) *StatusAnswer {
	a := r.answers[binary.LittleEndian.Uint32(thumb[:])%answerSlots].Load()
	if a == nil || a.Thumb != *thumb {
		return nil
	}
	if !a.used.Load() { // read by many, written once
		a.used.Store(true)
	}
	return a
}

// SawAnswer notes what the responder said, unless something newer is known of the certificate.
func (r *Revocations) SawAnswer(a *StatusAnswer) {
	slot := &r.answers[binary.LittleEndian.Uint32(a.Thumb[:])%answerSlots]
	if was := slot.Load(); was != nil && was.Thumb == a.Thumb && !a.Newer(was.Answer) {
		return
	}
	slot.Store(a)
}

// Ask asks the owner to ask the responder soon.
func (r *Revocations) Ask(q StatusQuestion) {
	select {
	case r.ask <- q:
	default: // many are asked about already
	}
}

// Asked tells the owner.
func (r *Revocations) Asked() <-chan StatusQuestion { return r.ask }

// SeenCertificate is a client's certificate as it was found when it was looked at.
type SeenCertificate struct {
	Thumb     [32]byte
	Among     *authority.Authority // the first of those that were asked, which stands for all of a revision: with others it is looked at again
	Authority *authority.Authority // that it leads to; nil: to none of them
	Lists     *ListSet             // by which it was not revoked: with others it is looked at again
	Answer    *StatusAnswer        // likewise
	Until     int64                // Unix seconds: from then on it is looked at again
	Trouble   error                // why it counts by none of its names; nil: it does
	Marks     []secret.Hash        // of its names
}

// seenSlots is how many certificates are kept.
const seenSlots = 1 << 13

// Certificate returns what is known of the certificate with the thumbprint, if it still holds.
func (t *Tokens) Certificate(thumb *[32]byte, now time.Time) *SeenCertificate {
	s := t.certificates[binary.LittleEndian.Uint32(thumb[:])%seenSlots].Load()
	if s == nil || s.Thumb != *thumb || now.Unix() >= s.Until {
		return nil
	}
	return s
}

// PutCertificate keeps one.
func (t *Tokens) PutCertificate(s *SeenCertificate) {
	t.certificates[binary.LittleEndian.Uint32(s.Thumb[:])%seenSlots].Store(s)
}
