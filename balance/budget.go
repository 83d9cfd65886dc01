package balance

import (
	"sync/atomic"
	"time"
)

// A Budget bounds retries to a share of the requests, so that an upstream in trouble does not get more of them. The zero
// value allows none.
type Budget struct {
	share, minimum uint64
	w              window

	retries, refused atomic.Int64
}

// budgetTime is over which time requests and retries are compared.
const budgetTime = 10 * time.Second

// NewBudget allows retries for share percent of the requests of the last ten seconds, and in any case for minimum a second.
func NewBudget(share, minimum int) *Budget {
	b := &Budget{share: uint64(max(0, share)), minimum: uint64(max(0, minimum))}
	b.w.span(budgetTime)
	return b
}

// Request counts a request, of which retries are a share.
func (b *Budget) Request(now time.Time) { b.w.add(now, 1, 0) }

// Retry reports whether one more retry may be made now, and counts it.
func (b *Budget) Retry(now time.Time) bool {
	requests, retries := b.w.sums(now)
	if retries >= max(b.minimum*uint64(budgetTime/time.Second), requests*b.share/100) {
		b.refused.Add(1)
		return false
	}
	b.w.add(now, 0, 1)
	b.retries.Add(1)
	return true
}

// Counts is how many retries were made, and how many the budget refused.
func (b *Budget) Counts() (made, refused int64) { return b.retries.Load(), b.refused.Load() }
