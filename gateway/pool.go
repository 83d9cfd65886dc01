package gateway

import (
	"fmt"
	"sync"
	"sync/atomic"

	"gatehouse/snapshot"
)

// A pool is the connections to one upstream, which live beside the views and outlive them: a publish does not close
// what it still names.
type pool struct {
	asker asker
	next  atomic.Uint32 // of the targets

	mu      sync.Mutex
	users   int
	retired bool
}

// poolKey tells upstreams apart whose connections can be shared from those whose cannot.
func poolKey(u *snapshot.Upstream) string {
	return fmt.Sprint(u.Name, " ", u.Connect, " ", u.Read, " ", u.Targets)
}

func newPool(u *snapshot.Upstream) *pool { return &pool{asker: newStdAsker(u)} }

// turn is the target whose turn it is.
func (p *pool) turn(u *snapshot.Upstream) snapshot.Target {
	if len(u.Targets) == 1 {
		return u.Targets[0]
	}
	return u.Targets[int(p.next.Add(1)-1)%len(u.Targets)]
}

func (p *pool) enter() {
	p.mu.Lock()
	p.users++
	p.mu.Unlock()
}

func (p *pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users == 0 && p.retired {
		p.asker.close()
	}
}

// retire closes the pool once nobody uses it. Who still holds an older view may use it again: then it is closed again.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	if p.users == 0 {
		p.asker.close()
	}
}
