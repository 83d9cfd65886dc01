package balance

import (
	"sync/atomic"
	"time"
)

// window counts two things over the last while, without a lock: in cells, each of which says which time it is of.
type window struct {
	width int64 // of a cell, nanoseconds
	cells [windowCells]atomic.Uint64
}

const (
	windowCells = 10
	countBits   = 20 // of each of the two counts in a cell; a full one counts no further
	countMask   = 1<<countBits - 1
	ageBits     = 64 - 2*countBits
)

func (w *window) span(d time.Duration) { w.width = max(1, int64(d)/windowCells) }

func (w *window) age(at int64) uint64 { return uint64(at/w.width) & (1<<ageBits - 1) }

// add counts a of the first and b of the second.
func (w *window) add(now time.Time, a, b uint64) {
	at := now.UnixNano()
	age, c := w.age(at), &w.cells[at/w.width%windowCells]
	for {
		old := c.Load()
		na, nb := a, b
		if old>>(2*countBits) == age {
			na, nb = min(countMask, old>>countBits&countMask+a), min(countMask, old&countMask+b)
		}
		if c.CompareAndSwap(old, age<<(2*countBits)|na<<countBits|nb) {
			return
		}
	}
}

// sums is the two counts of the last while.
func (w *window) sums(now time.Time) (a, b uint64) {
	age := w.age(now.UnixNano())
	for i := range w.cells {
		c := w.cells[i].Load()
		if (age-c>>(2*countBits))&(1<<ageBits-1) < windowCells {
			a, b = a+c>>countBits&countMask, b+c&countMask
		}
	}
	return a, b
}

func (w *window) clear() {
	for i := range w.cells {
		w.cells[i].Store(0)
	}
}
