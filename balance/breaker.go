package balance

import (
	"sync/atomic"
	"time"
)

// A Breaker stops asking an upstream of which most requests fail, and tries it again with a few after a pause.
type Breaker struct {
	errors, requests uint64
	pause            time.Duration
	probes           int64
	w                window

	until   atomic.Int64 // open until then, as UnixNano, then half open; 0: closed
	probing atomic.Int64 // probes that were let in
	good    atomic.Int64 // of them went well
	opened  atomic.Int64 // how often
	refused atomic.Int64
}

// BreakerState says whether an upstream is asked.
type BreakerState string

// The states of a breaker.
const (
	Closed   BreakerState = "closed"    // it is asked
	Open     BreakerState = "open"      // it is not
	HalfOpen BreakerState = "half_open" // a few requests find out whether it can be
)

// BreakerOptions is when a breaker opens and closes.
type BreakerOptions struct {
	Errors   int           // percent of the requests of the Window that fail
	Requests int           // so many there must be
	Window   time.Duration //
	Open     time.Duration // how long nobody asks then
	Probes   int           // so many must go well in a row before it closes
}

// NewBreaker makes a closed one.
func NewBreaker(o BreakerOptions) *Breaker {
	b := &Breaker{errors: uint64(max(1, o.Errors)), requests: uint64(max(1, o.Requests)), pause: o.Open, probes: int64(max(1, o.Probes))}
	b.w.span(o.Window)
	return b
}

// A Probe is the half-open time that a request is a probe of; 0: it is none.
type Probe int64

// Admit reports whether a request may ask. One that is a probe decides about the others. When it may not, wait is after
// which time it is worth to try again.
func (b *Breaker) Admit(now time.Time) (p Probe, wait time.Duration, ok bool) {
	until := b.until.Load()
	if until == 0 {
		return 0, 0, true
	}
	if left := time.Duration(until - now.UnixNano()); left > 0 {
		b.refused.Add(1)
		return 0, left, false
	}
	if b.probing.Add(1) <= b.probes {
		return Probe(until), 0, true
	}
	b.probing.Add(-1)
	b.refused.Add(1)
	return 0, time.Second, false
}

// Outcome is how a request ended.
type Outcome uint8

// The outcomes.
const (
	Neither Outcome = iota // nobody knows: the caller went away
	Good
	Failed
)

// Done tells how a request that was admitted ended. It reports a change of state, or "".
func (b *Breaker) Done(p Probe, o Outcome, now time.Time) BreakerState {
	switch {
	case p == 0:
		return b.count(o, now)
	case b.until.Load() != int64(p): // others have decided
	case o == Neither:
		b.probing.Add(-1)
	case o == Failed:
		if b.until.CompareAndSwap(int64(p), now.UnixNano()+int64(b.pause)) {
			b.rearm()
			b.opened.Add(1)
			return Open
		}
	case b.good.Add(1) >= b.probes:
		b.w.clear()
		if b.until.CompareAndSwap(int64(p), 0) {
			b.rearm()
			return Closed
		}
	}
	return ""
}

func (b *Breaker) rearm() { b.probing.Store(0); b.good.Store(0) }

// count counts a request that was let in while the breaker was closed.
func (b *Breaker) count(o Outcome, now time.Time) BreakerState {
	switch o {
	case Neither:
		return ""
	case Good:
		b.w.add(now, 1, 0)
		return ""
	}
	b.w.add(now, 1, 1)
	all, bad := b.w.sums(now)
	if all < b.requests || bad*100 < all*b.errors || !b.until.CompareAndSwap(0, now.UnixNano()+int64(b.pause)) {
		return ""
	}
	b.rearm()
	b.opened.Add(1)
	return Open
}

// State is the state now, how often it has opened and how many requests it refused.
func (b *Breaker) State(now time.Time) (s BreakerState, opened, refused int64) {
	switch until := b.until.Load(); {
	case until == 0:
		s = Closed
	case now.UnixNano() < until:
		s = Open
	default:
		s = HalfOpen
	}
	return s, b.opened.Load(), b.refused.Load()
}
