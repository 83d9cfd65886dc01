package control

import (
	"context"
	"sync"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
)

// What proves a client once is remembered in the store, so that no other control plane behind the same address takes it again,
// nor this one after a restart.

const (
	markMargin = time.Minute // longer than it is taken: for clocks of control planes that are apart
	marksEvery = time.Minute // between two looks for marks that have expired
	marksAtOne = 5000        // that one transaction removes
	takenAtOne = 256         // clients whose marks one transaction writes
)

// spent is the mark of what proves a client once, until it ends.
type spent struct {
	hash    secret.Hash
	until   time.Time
	refusal error // for whoever shows it again
}

// takeMarks takes all of them, or refuses the first that was taken before.
func takeMarks(ctx context.Context, tx store.Tx, marks []spent, now time.Time) error {
	fresh, err := tx.Take(ctx, asMarks(nil, marks), now)
	if err != nil {
		return err
	}
	return unspent(marks, fresh)
}

func asMarks(out []credential.Mark, marks []spent) []credential.Mark {
	for _, m := range marks {
		out = append(out, credential.Mark{Hash: m.hash, Expires: m.until.Add(markMargin)})
	}
	return out
}

func unspent(marks []spent, fresh []bool) error {
	for i, m := range marks {
		if !fresh[i] {
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

// taking is those whose marks wait to be taken. One of them at a time writes the marks of all that wait, in one transaction:
// so what a token costs is a row, and not a commit.
type taking struct {
	mu      sync.Mutex
	busy    bool
	waiting []*taker
}

// taker is one client's marks on their way.
type taker struct {
	marks []spent
	turn  chan bool // true: write what waits; false: err says what came of it
	err   error
}

// take is takeMarks in a transaction that it shares: it is telemetry, and nothing else waits for it. What has begun is seen
// through, whether the caller waits or not: a mark may be taken for an answer that nobody hears.
func (c *Control) take(ctx context.Context, client id.ID, marks []spent) error {
	if len(marks) == 0 {
		return nil
	}
	if err := c.roomFor(client, marks); err != nil {
		return err
	}
	me := &taker{marks: marks, turn: make(chan bool, 1)}
	if c.taking.joins(me) && !<-me.turn {
		return me.err
	}
	c.takeAll(context.WithoutCancel(ctx), me)
	return me.err
}

// takeAll writes the marks of me, whose turn it is, and of all that wait, and tells each what came of it.
func (c *Control) takeAll(ctx context.Context, me *taker) {
	all, now := c.taking.next(me), c.now()
	err := error(fault.New(fault.Unavailable, "what proves the client could not be noted"))
	var list []credential.Mark
	var fresh []bool
	defer func() { // whatever happens: others wait for it
		c.taking.passOn()
		for _, t := range all {
			if t.err = err; err == nil {
				t.err, fresh = unspent(t.marks, fresh), fresh[len(t.marks):]
			}
			if t != me {
				t.turn <- false
			}
		}
	}()
	for _, t := range all {
		list = asMarks(list, t.marks)
	}
	err = c.Store.Update(ctx, func(tx store.Tx) (err error) {
		fresh, err = tx.Take(ctx, list, now)
		return err
	})
}

// joins lets the taker wait while another one writes; false: nobody does, and it is its turn.
func (t *taking) joins(me *taker) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		t.waiting = append(t.waiting, me)
		return true
	}
	t.busy = true
	return false
}

// next is whose marks are written now: those of me, whose turn it is, and of those that wait.
func (t *taking) next(me *taker) []*taker {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.waiting), takenAtOne)
	all := append([]*taker{me}, t.waiting[:n]...)
	t.waiting = append([]*taker(nil), t.waiting[n:]...)
	return all
}

// passOn gives the turn to the first that waits.
func (t *taking) passOn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy = len(t.waiting) > 0; t.busy {
		t.waiting[0].turn <- true
		t.waiting = t.waiting[1:]
	}
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
