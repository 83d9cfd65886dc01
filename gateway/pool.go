package gateway

import (
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse/snapshot"
)

// A pool is the connections to one upstream, which live beside the views and outlive them: a publish does not close
// what it still names.
type pool struct {
	asker   asker
	next    atomic.Uint32 // of the targets
	users   atomic.Int64
	retired atomic.Bool

	logged atomic.Int64 // when trouble was last logged, Unix nanoseconds
	silent atomic.Int64 // how often it was not since
}

// quiet is how long trouble with an upstream is not logged again: events tell of each exchange.
const quiet = time.Second

// speak reports whether trouble is to be logged now, and how often it was not.
func (p *pool) speak(now time.Time) (unsaid int64, yes bool) {
	last := p.logged.Load()
	if now.UnixNano()-last < int64(quiet) || !p.logged.CompareAndSwap(last, now.UnixNano()) {
		p.silent.Add(1)
		return 0, false
	}
	return p.silent.Swap(0), true
}

// poolKey tells upstreams apart whose connections can be shared from those whose cannot.
func poolKey(u *snapshot.Upstream) string {
	return fmt.Sprint(u.Name, " ", u.Connect, " ", u.Read, " ", u.Targets)
}

func (g *Gateway) newPool(u *snapshot.Upstream) *pool {
	if g.o.Codec == Std {
		return &pool{asker: newStdAsker(u, g.secure)}
	}
	return &pool{asker: newH1Asker(u, &g.buffers, g.secure)}
}

// turn is the target whose turn it is, or one of those after it.
func (p *pool) turn(u *snapshot.Upstream) uint32 {
	if len(u.Targets) == 1 {
		return 0
	}
	return p.next.Add(1) - 1
}

func (p *pool) enter() { p.users.Add(1) }

func (p *pool) leave() {
	if p.users.Add(-1) == 0 && p.retired.Load() {
		p.asker.close()
	}
}

// retire closes the pool once nobody uses it. Whoever still holds an older view may use it again: then it is closed again.
func (p *pool) retire() {
	if p.retired.Store(true); p.users.Load() == 0 {
		p.asker.close()
	}
}
