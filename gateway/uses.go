package gateway

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
)

const (
	useShards  = 16   // callers that meet in one wait for each other
	usesMost   = 4096 // of one shard between two reports: what is used for the first time after that is not told
	usesAtOnce = 1000 // in one report: it is one transaction, and others wait for it
)

// uses gathers how credentials are used between two reports: a request costs a look into a map, and nothing is written.
type uses struct {
	seed   maphash.Seed
	full   chan struct{} // a shard is nearly full
	shards [useShards]struct {
		mu   sync.Mutex
		seen map[useKey]useSeen
	}
}

type useKey struct {
	credential, grant id.Bits
	route             *policy.RouteInfo
}

type useSeen struct {
	count, last int64
	from        netip.Addr
}

func newUses() *uses {
	u := &uses{seed: maphash.MakeSeed(), full: make(chan struct{}, 1)}
	for i := range u.shards {
		u.shards[i].seen = map[useKey]useSeen{}
	}
	return u
}

// note counts one request of a caller who is known.
func (u *uses) note(x *policy.Exchange) {
	if !x.Principal.Known() {
		return
	}
	key := useKey{x.Principal.Credential, x.Grant.ID, x.Route}
	s := &u.shards[maphash.Comparable(u.seed, key)%useShards] // by the whole key: one credential may call thousands of routes
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, known := s.seen[key]
	if !known && len(s.seen) >= usesMost*3/4 {
		select {
		case u.full <- struct{}{}:
		default:
		}
		if len(s.seen) >= usesMost {
			return
		}
	}
	seen.count++
	seen.last, seen.from = max(seen.last, x.Now.UnixMicro()), x.Peer.Addr()
	s.seen[key] = seen
}

// take returns what was gathered and forgets it.
func (u *uses) take() (out []feed.Use) {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for k, v := range s.seen {
			use := feed.Use{Credential: k.credential.ID(id.Credential), Grant: k.grant.ID(id.Grant), Count: v.count, Last: time.UnixMicro(v.last).UTC()}
			if k.route != nil {
				use.API, use.Operation = k.route.API, k.route.Operation
			}
			if v.from.IsValid() {
				use.Address = v.from.Unmap().String()
			}
			out = append(out, use)
		}
		clear(s.seen)
		s.mu.Unlock()
	}
	return out
}

// report tells the control plane how credentials were used, until the context ends, and then once more. What it cannot
// tell waits, up to as much as can be gathered.
func (g *Gateway) report(ctx context.Context) {
	up := feed.NewShipper(g.o.Source, g.o.Environment, g.o.Name, feed.BatchUses)
	tick := time.NewTicker(g.o.Limits.Report)
	defer tick.Stop()
	var waiting []feed.Use
	for {
		select {
		case <-tick.C:
		case <-g.uses.full:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			g.tell(last, up, append(waiting, g.uses.take()...))
			cancel()
			return
		}
		waiting = g.tell(ctx, up, append(waiting, g.uses.take()...))
		if most := useShards * usesMost; len(waiting) > most {
			waiting = waiting[len(waiting)-most:]
		}
	}
}

// tell reports uses, each once, and returns those that could not be taken.
func (g *Gateway) tell(ctx context.Context, up *feed.Shipper, uses []feed.Use) []feed.Use {
	for {
		n := min(len(uses), usesAtOnce)
		taken, err := n == 0, error(nil)
		if n == 0 {
			err = up.Flush(ctx)
		} else {
			taken, err = up.Ship(ctx, uses[:n])
		}
		if taken {
			uses = uses[n:]
		}
		if err != nil && ctx.Err() == nil {
			g.o.Log.Warn("the use of credentials cannot be reported: it is tried again", "environment", g.o.Environment, "error", err)
		}
		if err != nil || len(uses) == 0 {
			return uses
		}
	}
}
