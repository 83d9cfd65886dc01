package feed

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"

	"gatehouse/fault"
)

// Batch is something a gateway ships upwards that must count once. Batches of one life and kind are numbered from 1 without
// gaps and shipped in that order, each again until it is answered: so the control plane knows one that comes twice by its
// number alone.
type Batch struct {
	Gateway     string          `json:"gateway"`
	Environment string          `json:"environment"`
	Life        string          `json:"life"`   // of the numbering: a gateway that lost count begins another one
	Number      int64           `json:"number"` // from 1
	Kind        BatchKind       `json:"kind"`
	Body        json.RawMessage `json:"body"` // of the type that belongs to the kind
}

// BatchKind says what a batch holds.
type BatchKind string

// The kinds of batches.
const (
	BatchUses  BatchKind = "uses"  // []Use
	BatchCalls BatchKind = "calls" // Calls
)

// MaxBatch is how many bytes the body of a batch may have: it is one transaction, and one frame on a connection.
const MaxBatch = 1 << 20

// Uplink is the way up, in process or over a connection.
type Uplink interface {
	// Ship returns nil once the batch is kept, durably, or was kept before; it may be shipped again after any error. One that
	// can never be taken, because of what it holds, is fault.Invalid; a number that was left out is fault.Conflict.
	Ship(ctx context.Context, b Batch) error
}

// Check reports what is wrong with a batch, whatever its kind: fault.Invalid.
func (b Batch) Check() error {
	switch {
	case b.Gateway == "" || b.Environment == "" || b.Kind == "":
		return fault.New(fault.Invalid, "a batch needs a gateway, an environment and a kind")
	case b.Life == "" || len(b.Life) > 64 || b.Number < 1:
		return fault.New(fault.Invalid, "a batch needs a life of at most 64 bytes and a number from 1")
	case len(b.Body) > MaxBatch:
		return fault.New(fault.Invalid, "the batch has %d bytes: at most %d are taken", len(b.Body), MaxBatch)
	}
	return nil
}

// Shipper numbers one kind of batches of one gateway and ships them in order. Its methods may be called from several
// goroutines; one ships at a time.
type Shipper struct {
	to   Uplink
	like Batch

	mu   sync.Mutex
	next Batch // the one that was not answered; no Kind: none
	done int64
}

// NewShipper begins a numbering for batches of the kind.
func NewShipper(to Uplink, environment, gateway string, kind BatchKind) *Shipper {
	return &Shipper{to: to, like: Batch{Environment: environment, Gateway: gateway, Kind: kind, Life: rand.Text()}}
}

// Ship ships what it is given as one batch. After an error other than fault.Invalid the body is kept, and the next call ships
// it again before its own, so that it counts once. taken says how the caller's own body stands: false, and the caller keeps it.
func (s *Shipper) Ship(ctx context.Context, body any) (taken bool, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return false, fault.New(fault.Internal, "what is to be shipped cannot be written as JSON").Because(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.flush(ctx); err != nil {
		return false, err
	}
	s.next = s.like
	s.next.Number, s.next.Body = s.done+1, raw
	return true, s.flush(ctx)
}

// Flush ships what was taken and not answered, if there is something.
func (s *Shipper) Flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flush(ctx)
}

func (s *Shipper) flush(ctx context.Context) error {
	if s.next.Kind == "" {
		return nil
	}
	err := s.to.Ship(ctx, s.next)
	switch fault.KindOf(err) {
	case fault.Invalid: // it would be refused for ever: its number is free again
		s.next = Batch{}
		return err
	case fault.Conflict: // the control plane was restored from a backup: count anew
		s.like.Life, s.done = rand.Text(), 0
		s.next.Life, s.next.Number = s.like.Life, 1
		err = s.to.Ship(ctx, s.next)
	}
	if err == nil {
		s.done, s.next = s.next.Number, Batch{}
	}
	return err
}
