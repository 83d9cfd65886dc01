package gateway

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/balance"
	"gatehouse/manifest"
	"gatehouse/snapshot"
)

// A pool is one upstream as this gateway knows it: its targets with their connections, and how they do. Pools live beside
// the views and outlive them: a publish forgets nothing of an upstream whose settings stay.
type pool struct {
	g       *Gateway
	u       *snapshot.Upstream // whose settings it has; a later view's has the same
	passive balance.Passive
	failing []int            // statuses that count as failures
	budget  *balance.Budget  // nil: no retries
	breaker *balance.Breaker // nil: none
	gate    *balance.Gate    // nil: no bound
	secure  *verified
	waits   bool // for more than plain connections of HTTP/1.1: see http1.Loops

	set atomic.Pointer[set]

	mu       sync.Mutex // guards what follows; requests do not take it
	found    [][]string // the addresses of each of the targets
	retired  bool
	watching *watch // nil while nobody follows

	resolved atomic.Int64 // looked up in vain so often
	logged   atomic.Int64 // when trouble was last logged, Unix nanoseconds
	silent   atomic.Int64 // how often it was not since
}

// set is the members of one moment, by the indexes of the rule.
type set struct {
	rule    *balance.Set
	members []*member
}

// member is one address of a target.
type member struct {
	*balance.Member
	target  snapshot.Target
	address []string // the one that is dialled, and perhaps another family's for when it is not there
	names   *names
	asker   asker
	retired atomic.Bool
}

func (g *Gateway) newPool(u *snapshot.Upstream) *pool {
	p := &pool{g: g, u: u, secure: g.verified(u), failing: []int{502, 503, 504}, found: make([][]string, len(u.Targets))}
	if h := u.Health.Passive; h != nil {
		p.passive = balance.Passive{Failures: h.Failures, Eject: time.Duration(h.Eject), Longest: time.Duration(h.Longest), Most: h.Most}
		p.failing = h.Status
	}
	if r := u.Retries; r != nil {
		p.budget = balance.NewBudget(r.Share, r.Minimum)
	}
	if b := u.Breaker; b != nil {
		p.breaker = balance.NewBreaker(balance.BreakerOptions{Errors: b.Errors, Requests: b.Requests, Window: time.Duration(b.Window),
			Open: time.Duration(b.Open), Probes: b.Probes})
	}
	if c := u.Concurrency; c != nil {
		p.gate = balance.NewGate(balance.GateOptions{Most: c.Most, Queue: c.Queue, Wait: time.Duration(c.Wait), Adaptive: c.Adaptive})
	}
	p.waits = u.Protocol != manifest.HTTP1
	for i, t := range u.Targets {
		p.waits = p.waits || t.Scheme != "http"
		p.found[i] = []string{t.Host} // a name is left to the system until it has been looked up
	}
	p.arrange()
	return p
}

// arrange makes the set from the addresses that are known. Members that stay keep what is known about them. p.mu is held,
// or nobody else has p.
func (p *pool) arrange() {
	var old []*member
	if s := p.set.Load(); s != nil {
		old = s.members
	}
	next := &set{}
	for i, t := range p.u.Targets {
		for _, a := range pairs(p.found[i]) {
			if len(next.members) == balance.MaxMembers {
				break
			}
			k := slices.IndexFunc(old, func(m *member) bool { return m.target == t && slices.Equal(m.address, a) })
			if k >= 0 {
				next.members = append(next.members, old[k])
				continue
			}
			m := &member{Member: balance.NewMember(t.Scheme+"://"+a[0], t.Weight), target: t, address: a, names: &p.g.names}
			m.asker = p.g.newAsker(p.u, m, p.secure)
			next.members = append(next.members, m)
		}
	}
	known := make([]*balance.Member, len(next.members))
	for i, m := range next.members {
		known[i] = m.Member
	}
	next.rule = balance.NewSet(balance.Rule(p.u.Rule), time.Duration(p.u.Health.SlowReturn), known)
	p.set.Store(next)
	for _, m := range old {
		if !slices.Contains(next.members, m) {
			m.retire()
		}
	}
	if p.watching != nil {
		p.watching.members(next.members)
	}
}

// leave ends a request to the member.
func (m *member) leave() {
	m.End()
	if m.retired.Load() && m.Running() == 0 {
		m.asker.close()
	}
}

// retire closes the member's connections once nobody uses them. Whoever still holds an older set may use it again: then
// they are closed again.
func (m *member) retire() {
	if m.retired.Store(true); m.Running() == 0 {
		m.asker.close()
	}
}

// retire ends what belongs to the pool; requests that run go on.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	if p.watching != nil {
		p.watching.cancel()
	}
	for _, m := range p.set.Load().members {
		m.retire()
	}
}

// idle closes the connections that nobody uses.
func (p *pool) idle() {
	for _, m := range p.set.Load().members {
		m.asker.close()
	}
}

// follow lets the pool look after its targets until ctx ends.
func (p *pool) follow(ctx context.Context, wg *sync.WaitGroup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watching == nil && !p.retired {
		p.watching = newWatch(ctx, p, wg)
	}
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
