package control

import (
	"context"
	"time"

	"gatehouse/feed"
	"gatehouse/store"
)

// What is kept of a feed one by one: every entry that nothing newer has superseded, and all that are among so many of the newest or
// not so old. Whoever was away for longer begins from an image.
const (
	keptNewest = longFeed
	keptFor    = 7 * 24 * time.Hour
	// keptMost is how many of the newest are kept however young they are.
	keptMost = 5_000_000

	forgetEvery = time.Minute
	forgetPause = 24 * time.Hour // between one time through a feed and the next
	forgetBatch = 500            // entries that one turn of the writer looks at
)

// forgetting forgets old entries of the feeds, until ctx ends. It is the work of the process that numbers.
func (c *Control) forgetting(ctx context.Context) {
	if c.Images == "" { // nobody could begin from one
		return
	}
	next := map[string]time.Time{} // of a feed that was gone through
	t := time.NewTicker(forgetEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if c.sequencer.duty.has() {
			if err := c.forget(ctx, next); err != nil && ctx.Err() == nil {
				c.Log.Warn("old entries of the feed were not forgotten", "error", err)
			}
		}
	}
}

// forget goes once through the feeds whose time has come, a batch in a transaction.
func (c *Control) forget(ctx context.Context, next map[string]time.Time) error {
	var feeds []string
	err := c.Store.View(ctx, func(tx store.Tx) error {
		feeds = nil
		es, err := tx.Environments(ctx)
		for _, e := range es {
			feeds = append(feeds, e.Feeds()...)
		}
		return err
	})
	for _, name := range feeds {
		if err != nil {
			return err
		}
		if now := c.now(); !now.Before(next[name]) {
			next[name] = now.Add(forgetPause)
			err = c.forgetIn(ctx, name)
		}
	}
	return err
}

func (c *Control) forgetIn(ctx context.Context, name string) error {
	var head feed.Position
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		head, err = tx.Head(ctx, name)
		return err
	})
	if err != nil {
		return err
	}
	gone, err := c.forgetThrough(ctx, name, head.Seq-keptNewest, c.now().Add(-keptFor))
	if err == nil && head.Seq > keptMost {
		var more int
		more, err = c.forgetThrough(ctx, name, head.Seq-keptMost, c.now())
		gone += more
	}
	if gone > 0 {
		c.Log.Info("old entries of the feed were forgotten: newer ones say what is left of them", "feed", name, "entries", gone)
	}
	return err
}

func (c *Control) forgetThrough(ctx context.Context, name string, through int64, before time.Time) (gone int, err error) {
	for done := through <= 0; !done; {
		n := 0
		err := c.Store.Update(ctx, func(tx store.Tx) (err error) {
			n, done, err = tx.Forget(ctx, name, through, before, forgetBatch)
			return err
		})
		if err != nil {
			return gone, err
		}
		gone += n
		select { // others write meanwhile
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return gone, ctx.Err()
		}
	}
	return gone, nil
}
