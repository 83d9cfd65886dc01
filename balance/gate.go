package balance

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Gate bounds how many requests run at an upstream at once. What comes beyond waits in a short queue, and what comes
// beyond that is refused at once: so latency does not collapse.
type Gate struct {
	o       GateOptions
	limit   atomic.Int64
	running atomic.Int64
	waiting atomic.Int64
	shed    atomic.Int64

	mu    sync.Mutex // of the queue; only those take it who wait, and whoever makes room for one
	queue []*waiter  // the first is the next

	// Of the adaptive limit.
	began  atomic.Int64 // when this measuring began, as UnixNano
	sum    atomic.Int64 // of the latencies, nanoseconds
	count  atomic.Int64
	best   atomic.Int64 // the latency without a crowd, nanoseconds
	raised atomic.Int64 // the most that ran at once in this measuring
	needed atomic.Int64 // requests that this measuring needs

	adapting sync.Mutex    // guards what follows
	calm     time.Duration // since latency was as without a crowd, or it was found out what that is
	probing  int           // measurings until it is found out: 2, 1; 0: it is not being found out
	held     float64       // the limit to go back to
}

// GateOptions is how much is let in.
type GateOptions struct {
	Most     int           // requests at once
	Queue    int           // that may wait
	Wait     time.Duration // for how long
	Adaptive bool          // the limit goes below Most while latency grows
}

type waiter struct {
	in chan struct{}
}

var waiters = sync.Pool{New: func() any { return &waiter{make(chan struct{}, 1)} }}

// Bounds of the adaptive limit.
const (
	leastLimit   = 4                      // requests at once are always let in
	measureTime  = 250 * time.Millisecond // after which the limit is set anew
	measureCount = 20                     // requests that a measuring needs
	tolerance    = 2.0                    // times the latency without a crowd is no reason to let fewer in
	forgetTime   = 60 * time.Second       // in which the latency without a crowd becomes what is measured, when that is slower
	probeTime    = 30 * time.Second       // after which, while latency is too high, it is found out anew what it is without a crowd
	probeCount   = 5                      // requests that tell
)

// NewGate makes a gate.
func NewGate(o GateOptions) *Gate {
	g := &Gate{o: o}
	g.needed.Store(measureCount)
	g.limit.Store(int64(max(1, o.Most)))
	return g
}

// Enter lets a request in: at once, or after a while in the queue. It reports false when it does not. Leave must follow
// when it does.
func (g *Gate) Enter(ctx context.Context) bool {
	return g.Try() || g.wait(ctx)
}

// Try lets a request in if that can be done at once. Leave must follow when it does.
func (g *Gate) Try() bool { return g.waiting.Load() == 0 && g.free() }

// free takes a place if there is one.
func (g *Gate) free() bool {
	for {
		n := g.running.Load()
		if n >= g.limit.Load() {
			return false
		}
		if g.running.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *Gate) wait(ctx context.Context) bool {
	g.mu.Lock()
	if len(g.queue) == 0 && g.free() {
		g.mu.Unlock()
		return true
	}
	if len(g.queue) >= g.o.Queue {
		g.mu.Unlock()
		g.shed.Add(1)
		return false
	}
	w := waiters.Get().(*waiter)
	g.queue = append(g.queue, w)
	g.waiting.Add(1)
	g.call() // somebody may have left before waiting was counted
	g.mu.Unlock()

	timer := time.NewTimer(g.o.Wait)
	defer timer.Stop()
	select {
	case <-w.in:
		waiters.Put(w)
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.queue {
		if g.queue[i] == w {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			g.waiting.Add(-1)
			waiters.Put(w)
			g.shed.Add(1)
			return false
		}
	}
	<-w.in // it was called just now
	waiters.Put(w)
	return true
}

// call lets those in who wait, as far as there is room. The queue is locked.
func (g *Gate) call() {
	for len(g.queue) > 0 && g.free() {
		w := g.queue[0]
		n := copy(g.queue, g.queue[1:])
		g.queue[n] = nil
		g.queue = g.queue[:n]
		g.waiting.Add(-1)
		w.in <- struct{}{}
	}
}

// Leave ends a request that was let in.
func (g *Gate) Leave() {
	g.running.Add(-1)
	if g.waiting.Load() > 0 {
		g.mu.Lock()
		g.call()
		g.mu.Unlock()
	}
}

// Took tells how long a request waited for the head of its answer, for the adaptive limit. A failure that comes at once says
// nothing about how long work takes, and is not to be told.
func (g *Gate) Took(d time.Duration, now time.Time) {
	if !g.o.Adaptive {
		return
	}
	g.sum.Add(int64(d))
	n, at := g.count.Add(1), now.UnixNano()
	if r := g.running.Load(); r > g.raised.Load() {
		g.raised.Store(r)
	}
	began := g.began.Load()
	if n < g.needed.Load() || at-began < int64(measureTime) || !g.began.CompareAndSwap(began, at) {
		return
	}
	mean := float64(g.sum.Swap(0)) / float64(g.count.Swap(0))
	g.adapt(mean, float64(at-began), g.raised.Swap(0))
}

// adapt sets the limit anew: in proportion to how much slower the upstream is than without a crowd, and a little more, so
// that it finds out whether more would do. most is how many ran at once; more than that may never have been asked for, so what
// is taken away is taken from that.
//
// What is slow while the limit is reached is perhaps the crowd's doing: to take it for usual would let latency double again
// and again while too much is asked. So now and then nearly nobody is let in for a moment, which tells.
func (g *Gate) adapt(mean, passed float64, most int64) {
	g.adapting.Lock()
	defer g.adapting.Unlock()
	best, limit := float64(g.best.Load()), float64(g.limit.Load())
	switch {
	case g.probing == 2: // some of those came before
		g.probing = 1
		return
	case g.probing == 1:
		best, limit, g.probing, g.calm = mean, g.held, 0, 0
		g.needed.Store(measureCount)
	case best == 0 || mean < best:
		best = mean
	case float64(most) < limit: // it may have become slower for good
		best += (mean - best) * min(1, passed/float64(forgetTime))
	}
	g.best.Store(int64(best))
	ratio := min(1, max(0.5, tolerance*best/mean))
	if g.calm += time.Duration(passed); ratio == 1 {
		g.calm = 0
	}
	if g.calm >= probeTime {
		g.held, g.probing = limit, 2
		g.needed.Store(probeCount)
		g.limit.Store(min(int64(limit), leastLimit))
		return
	}
	if ratio < 1 && most > 0 {
		limit = min(limit, float64(most))
	}
	next := limit * ratio
	if ratio == 1 && float64(most) < limit/2 {
		next = limit // nobody needs more
	} else {
		next += math.Sqrt(limit)
	}
	next = limit + (next-limit)*0.5 // one slow moment is not the truth
	g.limit.Store(int64(min(float64(g.o.Most), max(leastLimit, math.Round(next)))))
	if g.waiting.Load() > 0 {
		g.mu.Lock()
		g.call()
		g.mu.Unlock()
	}
}

// GateState is how full a gate is.
type GateState struct{ Limit, Running, Waiting, Shed int64 }

// State reads it.
func (g *Gate) State() GateState {
	return GateState{g.limit.Load(), g.running.Load(), g.waiting.Load(), g.shed.Load()}
}
