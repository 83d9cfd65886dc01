package control

import (
	"context"
	"sync"
	"time"

	"gatehouse/env"
	"gatehouse/feed"
	"gatehouse/store"
)

// logEvery is how often the entries of the feeds are counted at most: it reads an index of all of them.
const logEvery = 5 * time.Minute

// FeedLog is how long what is kept of one feed is.
type FeedLog struct {
	Environment string
	Region      string // "": the environment's own feed
	feed.Length
}

// feedLogs is what was counted last.
type feedLogs struct {
	mu   sync.Mutex
	at   time.Time
	logs []FeedLog
}

// FeedLogs tells how long what is kept of each feed is, as it was counted within the last five minutes: for metrics, nobody asks.
func (c *Control) FeedLogs(ctx context.Context) ([]FeedLog, error) {
	c.logs.mu.Lock()
	defer c.logs.mu.Unlock()
	if now := c.now(); c.logs.at.IsZero() || now.Sub(c.logs.at) >= logEvery || now.Before(c.logs.at) {
		var out []FeedLog
		err := c.Store.View(ctx, func(tx store.Tx) error {
			out = nil
			es, err := tx.Environments(ctx)
			for _, e := range es {
				for _, name := range e.Feeds() {
					l, err := tx.Length(ctx, name)
					if err != nil {
						return err
					}
					environment, region := env.OfFeed(name)
					out = append(out, FeedLog{environment, region, l})
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		c.logs.at, c.logs.logs = now, out
	}
	return c.logs.logs, nil
}
