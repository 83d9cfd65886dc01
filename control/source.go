package control

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"sync"
	"time"

	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/store"
)

// Source is the control plane's end of the feed.
func (c *Control) Source() feed.Source { return c.source }

const (
	// maxOffline is how long after its last word a gateway may still serve: so long it counts among those that a change must
	// reach.
	maxOffline = 24 * time.Hour
	// keptReceipts is how many receipts of a gateway are remembered with their times.
	keptReceipts = 4096
)

// source is the feed's end in the control plane. It knows in memory where each environment stands and what each gateway
// has said, so that a change can tell when exactly it was in force where.
type source struct {
	store store.Store
	now   func() time.Time
	log   *slog.Logger
	takes map[feed.BatchKind]take

	mu           sync.Mutex
	began        bool
	environments map[string]*outlet
}

// outlet is one environment's end.
type outlet struct {
	seq      int64         // of its newest entry
	changed  chan struct{} // closed at the next one
	gateways map[string]*heard
}

// heard is what a gateway has said.
type heard struct {
	newest feed.Receipt
	marks  []mark // ascending in both; one for each receipt that told of something new
	dirty  bool   // newest is not written yet
}

// mark says that everything through seq was in force at that time.
type mark struct {
	seq int64
	at  time.Time
}

func newSource(st store.Store, now func() time.Time, log *slog.Logger) *source {
	return &source{store: st, now: now, log: log, takes: takes(now), environments: map[string]*outlet{}}
}

// outlet is called with the lock held.
func (s *source) outlet(environment string) *outlet {
	o := s.environments[environment]
	if o == nil {
		o = &outlet{changed: make(chan struct{}), gateways: map[string]*heard{}}
		s.environments[environment] = o
	}
	return o
}

// begin reads, once, what gateways had said before this process began.
func (s *source) begin(ctx context.Context) error {
	s.mu.Lock()
	began := s.began
	s.mu.Unlock()
	if began {
		return nil
	}
	return s.learn(ctx)
}

// learn reads what gateways have said: before this process began, and to other processes since. Those write it down once a
// second, so what gateways said to them is known here that much later and that much less exactly.
func (s *source) learn(ctx context.Context) error {
	var rs []feed.Receipt
	err := s.store.View(ctx, func(tx store.Tx) error {
		rs = nil
		es, err := tx.Environments(ctx)
		for _, e := range es {
			if err != nil {
				break
			}
			var of []feed.Receipt
			of, err = tx.Receipts(ctx, e.Name)
			rs = append(rs, of...)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = true
	for _, r := range rs {
		o := s.outlet(r.Environment)
		h := o.gateways[r.Gateway]
		if h == nil {
			h = &heard{newest: r}
			o.gateways[r.Gateway] = h
		}
		switch n := len(h.marks); {
		case n == 0 || r.Position.Seq < h.marks[0].seq:
			h.marks = append([]mark{{r.Position.Seq, r.At}}, h.marks...)
		case r.Position.Seq > h.marks[n-1].seq:
			h.marks = append(h.marks, mark{r.Position.Seq, r.At})
		}
		if !h.dirty && r.At.After(h.newest.At) {
			h.newest = r
		}
	}
	return nil
}

// numbered is told after a commit where each environment stands.
func (s *source) numbered(heads []feed.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range heads {
		if o := s.outlet(h.Environment); h.Seq > o.seq {
			o.seq = h.Seq
			close(o.changed)
			o.changed = make(chan struct{})
		}
	}
}

// Changed implements feed.Source.
func (s *source) Changed(environment string, seq int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlet(environment)
	if o.seq > seq {
		now := make(chan struct{})
		close(now)
		return now
	}
	return o.changed
}

// Tail implements feed.Source.
func (s *source) Tail(ctx context.Context, environment string, after feed.Position, limit int) ([]feed.Entry, error) {
	var es []feed.Entry
	err := s.store.View(ctx, func(tx store.Tx) error {
		err := known(ctx, tx, environment, after)
		if err == nil {
			es, err = tx.Entries(ctx, environment, after.Seq, limit)
		}
		return err
	})
	return es, err
}

// known refuses a position that is not in the feed.
func known(ctx context.Context, tx store.Tx, environment string, p feed.Position) error {
	if p.Seq == 0 && p.Digest == "" {
		h, err := tx.Head(ctx, environment) // the environment must be there
		if err == nil && p.Epoch > h.Epoch && h.Seq > 0 {
			return elsewhere(environment, p)
		}
		return err
	}
	e, err := tx.Entry(ctx, environment, p.Seq)
	if errors.Is(err, fault.NotFound) || err == nil && e.Position() != p {
		if _, err := tx.Head(ctx, environment); err != nil {
			return err
		}
		return elsewhere(environment, p)
	}
	return err
}

func elsewhere(environment string, p feed.Position) error {
	return fault.Of(fault.Conflict, "feed-forked", "the gateway is at entry %d of epoch %d in a history of %s that this control plane does not have: one of them was restored from a backup; empty the gateway once the records here are right", p.Seq, p.Epoch, environment)
}

// Acknowledge implements feed.Source. The receipt counts at once and is written later.
func (s *source) Acknowledge(ctx context.Context, r feed.Receipt) error {
	if r.Gateway == "" || r.At.IsZero() {
		return fault.New(fault.Invalid, "a receipt needs a gateway and a time")
	}
	if err := env.CheckName(r.Environment); err != nil {
		return err
	}
	if err := s.store.View(ctx, func(tx store.Tx) error { return known(ctx, tx, r.Environment, r.Position) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlet(r.Environment)
	h := o.gateways[r.Gateway]
	if h == nil {
		h = &heard{}
		o.gateways[r.Gateway] = h
	}
	h.newest, h.dirty = r, true
	if n := len(h.marks); n == 0 || h.marks[n-1].seq < r.Position.Seq {
		h.marks = append(h.marks, mark{r.Position.Seq, r.At})
		if len(h.marks) > keptReceipts {
			h.marks = append([]mark(nil), h.marks[keptReceipts/4:]...)
		}
	}
	return nil
}

// keepUses writes how credentials were used.
func (s *source) keepUses(ctx context.Context, uses []credential.Use) error {
	return s.store.Update(ctx, func(tx store.Tx) error { return tx.AddUses(ctx, uses) })
}

// flush writes the receipts that are not written yet.
func (s *source) flush(ctx context.Context) error {
	var rs []feed.Receipt
	s.mu.Lock()
	for _, o := range s.environments {
		for _, h := range o.gateways {
			if h.dirty {
				rs = append(rs, h.newest)
				h.dirty = false
			}
		}
	}
	s.mu.Unlock()
	if len(rs) == 0 {
		return nil
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		for _, r := range rs {
			if err := tx.PutReceipt(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.mu.Lock()
		for _, r := range rs {
			s.outlet(r.Environment).gateways[r.Gateway].dirty = true
		}
		s.mu.Unlock()
	}
	return err
}

// receipts is the newest one of each gateway of the environment, by its name.
func (s *source) receipts(environment string) []feed.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := []feed.Receipt{}
	if o := s.environments[environment]; o != nil {
		for _, h := range o.gateways {
			rs = append(rs, h.newest)
		}
	}
	sort.Slice(rs, func(i, j int) bool { return rs[i].Gateway < rs[j].Gateway })
	return rs
}

// inForce tells where the change with that number is in force. The gateways that count are those that were heard of within
// maxOffline before its commit, or since. seq 0: it has no number yet. The last time is of those gateways of which it is
// known when exactly they had it in force: not of one that had it already when it was first heard of.
func (s *source) inForce(environment string, seq int64, committed time.Time) InForce {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := InForce{Environment: environment, Seq: seq, Committed: committed}
	o := s.environments[environment]
	if o == nil {
		return f
	}
	for name, h := range o.gateways {
		if h.newest.At.Before(committed.Add(-maxOffline)) {
			continue
		}
		f.Gateways++
		i := sort.Search(len(h.marks), func(i int) bool { return h.marks[i].seq >= seq })
		if seq == 0 || i == len(h.marks) {
			f.Waiting = append(f.Waiting, name)
			continue
		}
		f.Done++
		if i > 0 {
			f.Last = max(f.Last, h.marks[i].at.Sub(committed))
		}
	}
	sort.Strings(f.Waiting)
	f.LastMS = float64(f.Last) / float64(time.Millisecond)
	return f
}
