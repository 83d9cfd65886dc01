package control

import (
	"context"
	"time"

	"gatehouse/store"
	"gatehouse/usage"
)

const (
	foldLook  = time.Minute // how often it is seen whether this process has the duty
	foldEvery = time.Hour
	foldBatch = 64 // series whose counts of a stretch are put together in one transaction: some 2,000 rows
)

// folding puts the counts of days and months that are over together, until ctx ends. It is the work of the process that numbers.
func (c *Control) folding(ctx context.Context) {
	t := time.NewTicker(foldLook)
	defer t.Stop()
	for next := (time.Time{}); ; {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if now := c.now(); c.sequencer.duty.has() && !now.Before(next) {
			next = now.Add(foldEvery)
			if err := c.foldUsage(ctx); err != nil && ctx.Err() == nil {
				c.Log.Warn("the usage of days and months that are over was not put together", "error", err)
			}
		}
	}
}

// foldUsage puts together all that is to be by now. Nothing hangs on who does it or how far it comes: each transaction leaves
// every answer as it was.
func (c *Control) foldUsage(ctx context.Context) error {
	for _, u := range usage.Units() {
		if u.Folds() {
			if err := c.foldUnit(ctx, u, u.FoldBefore(c.now())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Control) foldUnit(ctx context.Context, u usage.Unit, before time.Time) error {
	began, counts := time.Now(), 0
	for after := (usage.Series{}); ; {
		var some usage.Unfolded
		err := c.Store.View(ctx, func(tx store.Tx) (err error) {
			some, err = tx.Unfolded(ctx, u, before, after, foldBatch)
			return err
		})
		if err != nil {
			return err
		}
		turn, n := time.Now(), 0
		if len(some.Series) > 0 {
			err = c.Store.Update(ctx, func(tx store.Tx) (err error) {
				n, err = tx.FoldCounts(ctx, u, some.Stretch, some.Series)
				return err
			})
			if err != nil {
				return err
			}
			counts += n
			select { // others write meanwhile, at least half of the time
			case <-time.After(max(time.Millisecond, time.Since(turn))):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		switch {
		case n > 0: // of the same series again, the next stretch
		case some.Last != usage.Series{}:
			after = some.Last
		default:
			if counts > 0 {
				c.Log.Info("usage of days or months that are over was put together", "by", u, "counts", counts, "took", time.Since(began))
			}
			return nil
		}
	}
}
