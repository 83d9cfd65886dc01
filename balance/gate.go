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
	leastLimit   = 4                // requests at once are always let in
	measureTime  = time.Second      // after which the limit is set anew
	measureCount = 20               // requests that a measuring needs
	tolerance    = 2.0              // times the latency without a crowd is no reason to let fewer in
	forgetTime   = 60 * time.Second // in which the latency without a crowd becomes what is measured, when that is slower
)

// NewGate makes a gate.
func NewGate(o GateOptions) *Gate {
	g := &Gate{o: o}
	g.limit.Store(int64(max(1, o.Most)))
	return g
}

// Enter lets a request in: at once, or after a while in the queue. It reports false when it does not. Leave must follow
// when it does.
func (g *Gate) Enter(ctx context.Context) bool {
	if g.waiting.Load() == 0 && g.free() {
		return true
	}
	return g.wait(ctx)
}

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

// Took tells how long a request waited for the head of its answer, for the adaptive limit.
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
	if n < measureCount || at-began < int64(measureTime) || !g.began.CompareAndSwap(began, at) {
		return
	}
	mean := float64(g.sum.Swap(0)) / float64(g.count.Swap(0))
	g.adapt(mean, float64(at-began), g.raised.Swap(0))
}

// adapt sets the limit anew: in proportion to how much slower the upstream is than without a crowd, and a little more, so
// that it finds out whether more would do.
func (g *Gate) adapt(mean, passed float64, most int64) {
	best := float64(g.best.Load())
	switch {
	case best == 0 || mean < best:
		best = mean
	default: // it may have become slower for good
		best += (mean - best) * min(1, passed/float64(forgetTime))
	}
	g.best.Store(int64(best))
	limit := float64(g.limit.Load())
	ratio := min(1, max(0.5, tolerance*best/mean))
	next := limit * ratio
	if ratio == 1 && float64(most) < limit/2 {
		next = limit // nobody needs more
	} else {
		next += math.Sqrt(limit)
	}
	next = limit + (next-limit)*0.5 // one slow second is not the truth
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
