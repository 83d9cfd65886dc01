package control

import (
	"context"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
)

// What proves a client once is remembered in the store, so that no other control plane behind the same address takes it again.

const (
	markMargin = time.Minute // longer than it is taken: for clocks of control planes that are apart
	marksEvery = time.Minute // between two looks for marks that have expired
	marksAtOne = 5000        // that one transaction removes
)

// spent is the mark of what proves a client once, until it ends.
type spent struct {
	hash    secret.Hash
	until   time.Time
	refusal error // for whoever shows it again
}

// takeMarks takes all of them, or refuses the first that was taken before.
func takeMarks(ctx context.Context, tx store.Tx, marks []spent, now time.Time) error {
	for _, m := range marks {
		fresh, err := tx.Take(ctx, m.hash, m.until.Add(markMargin), now)
		if err != nil {
			return err
		}
		if !fresh {
			return m.refusal
		}
	}
	return nil
}

// roomFor counts the marks as the client's: none fills the store for all others.
func (c *Control) roomFor(client id.ID, marks []spent) error {
	for range marks {
		if wait := c.tries.take(marksOfOne, string(client), c.now()); wait > 0 {
			return &fault.Error{Kind: fault.Limited, Code: "slow_down", Public: "this client has used more assertions and proofs than are remembered of one: wait, and use a token until it ends", RetryAfter: wait}
		}
	}
	return nil
}

// take is takeMarks in a transaction of its own: it is telemetry, and nothing else waits for it.
func (c *Control) take(ctx context.Context, client id.ID, marks []spent) error {
	if len(marks) == 0 {
		return nil
	}
	if err := c.roomFor(client, marks); err != nil {
		return err
	}
	now := c.now()
	return c.Store.Update(ctx, func(tx store.Tx) error { return takeMarks(ctx, tx, marks, now) })
}

// sweepMarks forgets marks that have expired, a few thousand at a time: others write in between.
func (c *Control) sweepMarks(ctx context.Context) {
	for {
		n := 0
		err := c.Store.Update(ctx, func(tx store.Tx) (err error) {
			n, err = tx.SweepMarks(ctx, c.now(), marksAtOne)
			return err
		})
		if err != nil && ctx.Err() == nil {
			c.Log.Error("sweep of marks", "error", err)
		}
		if err != nil || n < marksAtOne {
			return
		}
	}
}
