package gateway

import (
	"context"
	"crypto/rand"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/ratelimit"
)

// Tally tells the control plane what this gateway has let through in periods, and returns for each what all others have.
type Tally func(ctx context.Context, t feed.Tallies) (others []int64, err error)

const (
	tallyEvery = time.Second     // what is lost with a gateway, and how late it hears of others, is that much at most
	tallyTime  = 5 * time.Second // for the answer
)

// tally tells what quotas have counted until ctx ends, and then once more. While the control plane is away the gateway goes on
// with what it knows: its own calls count at once, those of others as far as they were told.
func (g *Gateway) tally(ctx context.Context) {
	if g.o.Tally == nil {
		return
	}
	life, away := rand.Text(), false
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := g.tell(last, life); err != nil {
				g.o.Log.Warn("the last second of what quotas have counted is lost: the control plane did not take it", "environment", g.o.Environment, "error", err)
			}
			return
		}
		err := g.tell(ctx, life)
		if away != (err != nil) && ctx.Err() == nil {
			if away = err != nil; away {
				g.o.Log.Warn("what others use of quotas is not known: this gateway counts on with what it knows", "environment", g.o.Environment, "error", err)
			} else {
				g.o.Log.Info("what others use of quotas is known again", "environment", g.o.Environment)
			}
		}
		if n%60 == 0 {
			g.quotas.Forget(g.o.Now())
		}
	}
}

// tell tells what has grown.
func (g *Gateway) tell(ctx context.Context, life string) error {
	for {
		untold := g.quotas.Untold(feed.MaxTallies)
		if len(untold) == 0 {
			return nil
		}
		if err := g.tellThese(ctx, life, untold); err != nil {
			return err
		}
		if len(untold) < feed.MaxTallies {
			return nil
		}
	}
}

// tellThese tells some. One that will never be taken (of a period that is over for too long, by a clock that is wrong) is looked for,
// said and let go, and the others beside it are told.
func (g *Gateway) tellThese(ctx context.Context, life string, untold []ratelimit.Tally) error {
	ts := feed.Tallies{Environment: g.o.Environment, Gateway: g.o.Name, Life: life, Tallies: make([]feed.Tally, len(untold))}
	for i, t := range untold {
		ts.Tallies[i] = feed.Tally{Grant: id.Bits(t.Key).ID(id.Grant), Period: string(t.Period), From: t.From.Unix(), Calls: t.Calls}
	}
	asked, cancel := context.WithTimeout(ctx, tallyTime)
	others, err := g.o.Tally(asked, ts)
	cancel()
	switch {
	case fault.KindOf(err) == fault.Invalid && len(untold) > 1:
		half := len(untold) / 2
		if err := g.tellThese(ctx, life, untold[:half]); err != nil {
			return err
		}
		return g.tellThese(ctx, life, untold[half:])
	case fault.KindOf(err) == fault.Invalid:
		g.o.Log.Warn("a count of a quota is not taken by the control plane and is let go", "environment", g.o.Environment,
			"grant", ts.Tallies[0].Grant, "period", ts.Tallies[0].Period, "from", untold[0].From, "calls", untold[0].Calls, "error", err)
		others = []int64{0}
	case err != nil:
		return err
	case len(others) != len(untold):
		return fault.New(fault.Unavailable, "the control plane answers %d of %d tallies", len(others), len(untold))
	}
	for i, t := range untold {
		g.quotas.Told(t, others[i])
	}
	return nil
}
