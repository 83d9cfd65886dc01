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

// foldUsage puts together all that is to be by now, the oldest stretch first. Nothing hangs on who does it or how far it comes:
// each transaction leaves every answer as it was.
func (c *Control) foldUsage(ctx context.Context) error {
	for _, u := range usage.Units() {
		if !u.Folds() {
			continue
		}
		before := u.FoldBefore(c.now())
		for from := (time.Time{}); ; {
			var stretch time.Time
			err := c.Store.View(ctx, func(tx store.Tx) (err error) {
				stretch, err = tx.Unfolded(ctx, u, from, before)
				return err
			})
			if err != nil {
				return err
			}
			if stretch.IsZero() {
				break
			}
			if err := c.foldStretch(ctx, u, stretch); err != nil {
				return err
			}
			_, from = u.Stretch(stretch) // what comes behind us into this one is for the next time
		}
	}
	return nil
}

func (c *Control) foldStretch(ctx context.Context, u usage.Unit, stretch time.Time) error {
	var last usage.Series
	counts := 0
	for began := c.Now(); ; {
		at, n := last, 0
		turn := time.Now()
		err := c.Store.Update(ctx, func(tx store.Tx) (err error) {
			last, n, err = tx.FoldCounts(ctx, u, stretch, at, foldBatch)
			return err
		})
		if err != nil {
			return err
		}
		counts += n
		if last == (usage.Series{}) {
			c.Log.Info("usage of a time that is over was put together", "by", u, "from", stretch, "counts", counts, "took", c.Now().Sub(began))
			return nil
		}
		select { // others write meanwhile, at least half of the time
		case <-time.After(max(time.Millisecond, time.Since(turn))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
