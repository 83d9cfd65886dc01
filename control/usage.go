package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
	"gatehouse/usage"
)

// usageMost is how many counts one answer has.
const usageMost = 10_000

// Usage is how often an application called, or was called by under one grant.
type Usage struct {
	Application id.ID
	Grant       id.ID // "": under all of them
	By          usage.Unit
	From, To    time.Time
	Counts      []usage.Count
	Cut         bool  // there are more counts than are told: ask for a shorter time
	Lost        int64 // calls of anybody that gateways could not count in that time: the counts may be too low by as many
}

// Usage tells how often the application or grant of that ID was used, no older than a minute. Without times it is the last
// hour by minutes, the last day by hours, the last thirty days by days.
func (c *Control) Usage(ctx context.Context, a identity.Actor, i id.ID, environment string, by usage.Unit, from, to time.Time) (Usage, error) {
	var out Usage
	err := c.view(ctx, a, "Usage", func(r read) error {
		q := usage.Query{Unit: by, Environment: environment, From: from, To: to, Limit: usageMost + 1}
		if i.Is(id.Grant) {
			g, err := r.grant(i)
			if err != nil {
				return err
			}
			q.Application, q.Grant = g.Application, g.ID
		} else {
			app, err := r.application(i)
			if err != nil {
				return err
			}
			q.Application = app.ID
		}
		q, err := q.Validate(r.now)
		if err != nil {
			return err
		}
		out = Usage{Application: q.Application, Grant: q.Grant, By: q.Unit, From: q.From, To: q.To, Counts: []usage.Count{}}
		kept := q // what is folded lies there until its stretch is too old, and is not told any more
		if oldest := q.Unit.Cut(r.now.Add(-c.Keep.Of(q.Unit))); kept.From.Before(oldest) {
			kept.From = oldest
		}
		counts, err := r.tx.Counts(ctx, kept)
		if err != nil {
			return err
		}
		if out.Cut = len(counts) > usageMost; out.Cut {
			counts = counts[:usageMost]
		}
		out.Counts = append(out.Counts, counts...)
		out.Lost, err = r.tx.Lost(ctx, environment, q.From, q.To)
		return err
	})
	return out, err
}

// forgetUsage removes counts that are older than they are kept, each unit in a transaction of its own.
func (c *Control) forgetUsage(ctx context.Context) error {
	for _, u := range usage.Units() {
		before := u.Cut(c.now().Add(-c.Keep.Of(u)))
		if err := c.Store.Update(ctx, func(tx store.Tx) error { return tx.ForgetCounts(ctx, u, before) }); err != nil {
			return err
		}
	}
	return errors.Join(c.foldTallies(ctx), c.Store.Update(ctx, func(tx store.Tx) error { return tx.ForgetTallies(ctx, c.now().Add(-usage.TalliesKept)) }))
}

// foldedAtOnce is how many counts of lives of gateways that are over are put together in one transaction.
const foldedAtOnce = 500

// foldTallies puts together what lives of gateways told that are over, so that their number does not grow with every start.
func (c *Control) foldTallies(ctx context.Context) error {
	for {
		n := 0
		err := c.Store.Update(ctx, func(tx store.Tx) (err error) { n, err = tx.FoldTallies(ctx, foldedAtOnce); return err })
		if err != nil || n < foldedAtOnce {
			return err
		}
	}
}
