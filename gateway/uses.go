package gateway

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
)

const (
	useShards  = 16   // callers that meet in one wait for each other
	usesMost   = 4096 // of one shard between two reports: what comes for the first time after that is lost, and counted as that
	usesAtOnce = 1000 // in one batch: it is one transaction, and others wait for it
)

// uses gathers between two reports how often applications call and how credentials are used: a request costs a look into a
// map, and nothing is written. While the control plane is away it goes on gathering, up to its bound.
type uses struct {
	seed   maphash.Seed
	full   chan struct{} // a shard is nearly full
	lost   atomic.Int64  // calls that there was no room for, since the last take
	gone   atomic.Int64  // in all
	shards [useShards]struct {
		mu   sync.Mutex
		seen map[useKey]useSeen
	}
}

type useKey struct {
	credential, grant id.Bits
	route             *policy.RouteInfo
	minute            uint32 // since 1970
	status            uint16
}

type useSeen struct {
	application id.Bits
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
func (u *uses) note(k *note) {
	if !k.known {
		return
	}
	now := k.at.UnixMicro()
	key := useKey{k.credential, k.grant, k.info(), uint32(now / time.Minute.Microseconds()), k.status}
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
			u.lost.Add(1)
			u.gone.Add(1)
			return
		}
	}
	seen.application = k.application
	seen.count++
	seen.last, seen.from = max(seen.last, now), k.peer
	s.seen[key] = seen
}

// take returns what was gathered and forgets it: uses by credential, grant and operation, counts by application, grant,
// operation, status and minute.
func (u *uses) take() (out []feed.Use, calls feed.Calls) {
	type used struct {
		credential, grant id.Bits
		route             *policy.RouteInfo
	}
	type counted struct {
		application, grant id.Bits
		route              *policy.RouteInfo
		minute             uint32
		status             uint16
	}
	uses, counts := map[used]useSeen{}, map[counted]int64{}
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for k, v := range s.seen {
			old := uses[used{k.credential, k.grant, k.route}]
			if old.last > v.last {
				old.count += v.count
			} else {
				old.count, old.last, old.from = old.count+v.count, v.last, v.from
			}
			uses[used{k.credential, k.grant, k.route}] = old
			counts[counted{v.application, k.grant, k.route, k.minute, k.status}] += v.count
		}
		clear(s.seen)
		s.mu.Unlock()
	}
	for k, v := range uses {
		use := feed.Use{Credential: k.credential.ID(id.Credential), Grant: k.grant.ID(id.Grant), Count: v.count, Last: time.UnixMicro(v.last).UTC()}
		if k.route != nil {
			use.API, use.Operation = k.route.API, k.route.Operation
		}
		if v.from.IsValid() {
			use.Address = v.from.Unmap().String()
		}
		out = append(out, use)
	}
	for k, n := range counts {
		c := feed.Count{Minute: int64(k.minute), Application: k.application.ID(id.Application), Grant: k.grant.ID(id.Grant), Status: int(k.status), Calls: n}
		if k.route != nil {
			c.API, c.Operation = k.route.API, k.route.Operation
		}
		calls.Counts = append(calls.Counts, c)
	}
	calls.Lost = u.lost.Swap(0)
	return out, calls
}

// report tells the control plane what was gathered, until the context ends, and then once more. While something waits that
// it could not tell, nothing more is taken: what comes meanwhile is added up where it is gathered.
func (g *Gateway) report(ctx context.Context) {
	r := &reporting{g: g, used: feed.NewShipper(g.o.Source, g.o.Environment, g.o.Name, feed.BatchUses),
		called: feed.NewShipper(g.o.Source, g.o.Environment, g.o.Name, feed.BatchCalls)}
	tick := time.NewTicker(g.o.Limits.Report)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-g.uses.full:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if r.tell(last) {
				r.take()
				r.tell(last)
			}
			return
		}
		if r.tell(ctx) {
			r.take()
			r.tell(ctx)
		}
	}
}

// reporting is what was taken and not told yet.
type reporting struct {
	g            *Gateway
	used, called *feed.Shipper
	uses         []feed.Use
	calls        feed.Calls
}

func (r *reporting) take() {
	r.g.notes.settle()
	r.uses, r.calls = r.g.uses.take()
}

// tell ships what waits, each part once, and reports whether nothing waits any more.
func (r *reporting) tell(ctx context.Context) bool {
	var failed error
	for {
		n := min(len(r.uses), usesAtOnce)
		taken, err := ship(ctx, r.used, n > 0, r.uses[:n])
		if taken {
			r.uses = r.uses[n:]
		}
		if failed = err; err != nil || len(r.uses) == 0 {
			break
		}
	}
	for {
		n := min(len(r.calls.Counts), usesAtOnce)
		taken, err := ship(ctx, r.called, n > 0 || r.calls.Lost > 0, feed.Calls{Counts: r.calls.Counts[:n], Lost: r.calls.Lost})
		if taken {
			r.calls = feed.Calls{Counts: r.calls.Counts[n:]}
		}
		if err != nil {
			failed = err
		}
		if err != nil || len(r.calls.Counts) == 0 {
			break
		}
	}
	if failed != nil && ctx.Err() == nil {
		r.g.o.Log.Warn("what was called cannot be reported: it is tried again", "environment", r.g.o.Environment, "error", failed)
	}
	return failed == nil
}

// ship ships a part, or what an earlier call left when there is none.
func ship(ctx context.Context, up *feed.Shipper, some bool, part any) (taken bool, err error) {
	if !some {
		return false, up.Flush(ctx)
	}
	return up.Ship(ctx, part)
}
