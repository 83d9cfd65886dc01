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
type Tally func(ctx context.Context, t feed.Tallies) (feed.Tallied, error)

const (
	tallyEvery = time.Second     // what is lost with a gateway, and how late it hears of others, is that much at most
	tallyTime  = 5 * time.Second // for the answer

	// aloneAfter is how long after it began a gateway that succeeded another one takes that to be over: one that hands over takes no
	// more requests within seconds, and tells of them each second.
	aloneAfter = time.Hour
)

// life is one life of this gateway's counts. Those of earlier ones are put together once it is alone.
type life struct {
	name  string
	begun int64 // in microseconds since 1970
	told  bool  // something was taken under it
	again bool  // it is not the first one of this process, which another one of the same name has ended
}

// anew is a life that begins now, and after the other one.
func (g *Gateway) anew(after int64) *life {
	return &life{name: rand.Text(), begun: max(g.o.Now().UnixMicro(), after+1)}
}

// alone says whether no earlier life of this gateway lets anything through any more.
func (g *Gateway) alone(l *life) bool {
	return !l.again && (!g.o.Succeeds || g.o.Now().Sub(time.UnixMicro(l.begun)) > aloneAfter)
}

// tally tells what quotas have counted until ctx ends, and then once more. While the control plane is away the gateway goes on
// with what it knows: its own calls count at once, those of others as far as they were told.
func (g *Gateway) tally(ctx context.Context) {
	if g.o.Tally == nil {
		return
	}
	life, away := g.anew(0), false
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
func (g *Gateway) tell(ctx context.Context, life *life) error {
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
func (g *Gateway) tellThese(ctx context.Context, life *life, untold []ratelimit.Tally) error {
	ts := feed.Tallies{Environment: g.o.Environment, Gateway: g.o.Name, Life: life.name, Begun: life.begun, Alone: g.alone(life), Tallies: make([]feed.Tally, len(untold))}
	for i, t := range untold {
		ts.Tallies[i] = feed.Tally{Grant: id.Bits(t.Key).ID(id.Grant), Period: string(t.Period), From: t.From.Unix(), Calls: t.Calls}
	}
	asked, cancel := context.WithTimeout(ctx, tallyTime)
	got, err := g.o.Tally(asked, ts)
	cancel()
	others := got.Others
	switch {
	case err == nil && got.Over > life.begun:
		return g.over(life, got.Over)
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
	life.told = true
	for i, t := range untold {
		g.quotas.Told(t, others[i])
	}
	return nil
}

// over begins another life after one that counts no more: a later one has said that it is alone. What was told stays what it is, and
// what was not is told under the new life. Where nothing was taken it is only that this machine's clock was set back.
func (g *Gateway) over(l *life, by int64) error {
	next := g.anew(by)
	next.again = l.again || l.told
	if l.told {
		g.o.Log.Warn("another process counts quotas under this gateway's name: each gateway needs an identity of its own", "environment", g.o.Environment, "gateway", g.o.Name)
		g.quotas.Anew()
	}
	*l = *next
	return fault.New(fault.Unavailable, "counts of this life of the gateway are not taken any more: they are told again under another one")
}
