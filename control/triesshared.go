package control

import (
	"context"
	"errors"

	"gatehouse/secret"
	"gatehouse/store"
)

// Tries that guess at a secret, and what costs a letter or begins something, are counted in this process first, so that many of them cost the database nothing, and then, where other
// processes share the database, for all of them together: else whoever calls each of them has so many times the tries. While the database
// does not count, nobody is let in: it could not let them in either.

// mark is what a count is known by in the database, where nobody can read whose it is from it.
func (n count) mark() secret.Hash { return secret.New(n.limit.name + "\x00" + n.key).Hash() }

// errShut undoes what was counted beside a count that is full.
var errShut = errors.New("too many tries")

// countAll counts one try of each, or none and says that there were too many. It is not for use in a transaction.
func (c *Control) countAll(ctx context.Context, all ...count) ([]count, error) {
	for i, n := range all {
		if wait := c.tries.take(n.limit, n.key, c.now()); wait > 0 {
			c.giveBackHere(all[:i])
			return nil, tooMany(wait)
		}
	}
	if c.Store.Alone() {
		return all, nil
	}
	now := c.now()
	shut := error(nil)
	err := c.Store.Update(ctx, func(tx store.Tx) error {
		shut = nil
		for _, n := range all { // always in this order: two that count the same do not wait for each other
			wait, err := tx.TakeTry(ctx, n.mark(), n.limit.each(), n.limit.per, now)
			if err != nil {
				return err
			}
			if wait > 0 {
				shut = tooMany(wait)
				return errShut
			}
		}
		return nil
	})
	if shut != nil {
		err = shut
	}
	if err != nil {
		c.giveBackHere(all)
		return nil, err
	}
	return all, nil
}

// mayWriteIn is mayWrite in a transaction.
func (c *Control) mayWriteIn(w *write, email string) (bool, error) {
	n := count{lettersPerEmail, email}
	if c.tries.take(n.limit, n.key, w.now) > 0 {
		return false, nil
	}
	if c.Store.Alone() {
		return true, nil
	}
	wait, err := w.tx.TakeTry(w.ctx, n.mark(), n.limit.each(), n.limit.per, w.now)
	return err == nil && wait == 0, err
}

// giveBack takes counts back: what was tried was right. Where that cannot be noted they stay counted, and are forgotten with time.
func (c *Control) giveBack(ctx context.Context, counts ...count) {
	c.giveBackHere(counts)
	if c.Store.Alone() || len(counts) == 0 {
		return
	}
	err := c.Store.Update(ctx, func(tx store.Tx) error {
		for _, n := range counts {
			if err := tx.GiveTryBack(ctx, n.mark(), n.limit.each()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		c.Log.Error("tries are not given back", "error", err)
	}
}

func (c *Control) giveBackHere(counts []count) {
	for _, n := range counts {
		c.tries.giveBack(n.limit, n.key)
	}
}
