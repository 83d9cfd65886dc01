package gateway

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"gatehouse/authority"
	"gatehouse/feed"
	"gatehouse/policy"
	"gatehouse/ratelimit"
	"gatehouse/snapshot"
)

// Follow applies the feed until the context ends: entries in their order, revisions compiled beside the running one. It
// answers changes with receipts, and reports how credentials are used. It returns nil when the context has ended.
func (g *Gateway) Follow(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.mu.Lock()
	g.following, g.watches = ctx, &wg
	for _, p := range g.pools {
		p.follow(ctx, &wg)
	}
	g.mu.Unlock()
	first := g.follower.Load()
	wg.Go(func() { // of the revisions that are there at the start only the newest is compiled
		select {
		case <-first.CaughtUp():
			close(g.caught)
			g.mu.Lock()
			defer g.mu.Unlock()
			g.compile()
		case <-ctx.Done():
		}
	})
	wg.Go(func() { g.report(ctx) })
	wg.Go(func() { g.tally(ctx) })
	if g.trust != nil {
		wg.Go(func() { g.trust.Run(ctx) })
	}
	if g.o.Standing != nil {
		wg.Go(func() { g.stand(ctx) })
	}
	return g.pursue(ctx)
}

// apply brings one entry into force. The follower calls it in order, from one goroutine.
func (g *Gateway) apply(e feed.Entry) error {
	if e.Kind != feed.KindRevision {
		if err := g.access.Apply(e); err != nil {
			return err
		}
		g.tunnels.changed(e)
		g.meters.applied(e, g.o.Now())
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.desired, g.pending = e.Version, e.Payload
	select {
	case <-g.caught:
		g.compile()
	default:
	}
	g.meters.applied(e, g.o.Now())
	return nil
}

// compile builds the pending revision and serves it. One that does not compile changes nothing: the last good one goes
// on, and receipts say so. g is locked.
func (g *Gateway) compile() {
	if g.pending == nil {
		return
	}
	began, raw := time.Now(), g.pending
	g.pending = nil
	var r feed.Revision
	if err := json.Unmarshal(raw, &r); err != nil {
		g.refuseRevision(r.Number, "its entry cannot be read: "+err.Error())
		return
	}
	named := map[string]bool{}
	d := policy.Deps{
		Limiter: func(name string) *ratelimit.Limiter { named[name] = true; return g.limiter(name) },
		Secret:  g.o.Secrets, Shared: g.o.Shared, Quotas: g.quotas,
		Tokens: g.tokens, Proofs: g.proofs,
	}
	trusted, revoked := map[*policy.TrustedKeys]bool{}, map[*policy.Revocations]bool{}
	if g.trust != nil {
		d.Trusted = func(t *policy.TrustedIssuer) *policy.TrustedKeys {
			keys := g.trust.Keys(t)
			trusted[keys] = true
			return keys
		}
		d.Revoked = func(a *authority.Authority) *policy.Revocations {
			r := g.trust.Revoked(a)
			revoked[r] = true
			return r
		}
	}
	routes, ds := snapshot.Open(r, g.o.Environment, g.o.Kinds, d)
	if routes == nil {
		g.refuseRevision(r.Number, snapshot.Summary(ds))
		return
	}
	for _, d := range ds {
		g.o.Log.Warn("revision", "environment", g.o.Environment, "revision", r.Number, "warning", d.String())
	}
	g.use(routes)
	for name := range g.limiters {
		if !named[name] {
			delete(g.limiters, name)
		}
	}
	if g.trust != nil {
		g.trust.Only(trusted, revoked)
	}
	g.desired, g.trouble = r.Number, ""
	g.o.Log.Info("serving", "environment", g.o.Environment, "revision", r.Number, "routes", len(routes.All), "took", time.Since(began))
}

// use makes the routes what the next request is served from. Requests that run go on with theirs; connections to
// upstreams that are not named any more are closed when the last of them has ended.
func (g *Gateway) use(routes *snapshot.Routes) {
	next := &current{view: &snapshot.View{Routes: routes, Access: g.access}, pools: map[*snapshot.Upstream]*pool{}}
	named := map[string]bool{}
	for _, u := range routes.Upstreams {
		key := u.Identity
		named[key] = true
		if g.pools[key] == nil {
			g.pools[key] = g.newPool(u)
			if g.following != nil {
				g.pools[key].follow(g.following, g.watches)
			}
		}
		next.pools[u] = g.pools[key]
	}
	old := g.View().Routes
	g.current.Store(next)
	for key, p := range g.pools {
		if !named[key] {
			delete(g.pools, key)
			p.retire()
		}
	}
	g.meters.served(routes, old)
	g.tunnels.published()
}

// idle closes connections to upstreams that nobody uses now.
func (g *Gateway) idle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.pools {
		p.idle()
	}
}

func (g *Gateway) refuseRevision(n int64, why string) {
	g.trouble = why
	g.o.Log.Error("a revision cannot be served: the last good one goes on",
		"environment", g.o.Environment, "revision", n, "serving", g.View().Revision, "error", why)
}

// limiter returns the limiter of that name, which outlives revisions. g is locked.
func (g *Gateway) limiter(name string) *ratelimit.Limiter {
	l := g.limiters[name]
	if l == nil {
		l = ratelimit.NewLimiter(g.o.Limits.Keys)
		g.limiters[name] = l
	}
	return l
}

// status is what receipts say.
func (g *Gateway) status() (served, desired int64, trouble string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.View().Revision, g.desired, g.trouble
}
