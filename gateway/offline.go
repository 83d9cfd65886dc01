package gateway

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/snapshot"
)

// Standing is how the gateway stands to its control plane.
type Standing struct {
	Offline time.Duration // since the last heartbeat; 0 where control plane and gateway are one process
	Most    time.Duration // so long it may serve without one; 0: for ever
	Revoked bool          // its identity is: it serves nothing, for ever
}

// standEvery is how often it is asked how the gateway stands: bounds are honoured to the second.
const standEvery = 250 * time.Millisecond

// Stands makes everything that is served from now on follow the standing. It is for who holds the connection.
func (g *Gateway) Stands(s Standing) {
	var halt *fault.Error
	switch {
	case s.Revoked:
		halt = fault.Of(fault.Unavailable, "gateway-revoked", "this gateway may not serve any more")
	case s.Most > 0 && s.Offline > s.Most:
		halt = fault.Of(fault.Unavailable, "gateway-offline", "this gateway has not heard from its control plane for %s, and may serve for %s without: it cannot know what was revoked since", s.Offline.Round(time.Second), s.Most)
	}
	g.offline.Store(int64(s.Offline))
	if old := g.halted.Swap(halt); (old == nil) != (halt == nil) {
		g.tunnels.published()
		if halt != nil {
			g.o.Log.Error("the gateway serves nothing", "environment", g.o.Environment, "reason", halt.Public)
		}
	}
}

// stand asks how the gateway stands until ctx ends.
func (g *Gateway) stand(ctx context.Context) {
	t := time.NewTicker(standEvery)
	defer t.Stop()
	looked := int64(0)
	for {
		g.Stands(g.o.Standing())
		if s := g.offline.Load() / int64(time.Second); s != looked { // a product's own bound may have run out
			looked = s
			g.tunnels.published()
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// load is apply for what is known before anything is served: of the revisions only the newest is compiled.
func (g *Gateway) load(access func(feed.Entry) error) func(feed.Entry) error {
	return func(e feed.Entry) error {
		if e.Kind != feed.KindRevision {
			return access(e)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.desired, g.pending = e.Version, e.Payload
		return nil
	}
}

// begin loads what is on disk and makes the follower that goes on from there.
func (g *Gateway) begin() error {
	var from feed.Position
	if g.o.Load != nil {
		if err := g.access.Load(func(add func(feed.Entry) error) (err error) { from, err = g.o.Load(g.load(add)); return err }); err != nil {
			return err
		}
		g.mu.Lock()
		g.compile()
		g.mu.Unlock()
	}
	g.loaded = from.Seq > 0
	return g.follow(from)
}

// feed is the name of the feed that is followed.
func (o Options) feed() string { return cmp.Or(o.Feed, o.Environment) }

func (g *Gateway) follow(from feed.Position) error {
	f, err := feed.NewFollower(feed.Options{Source: g.o.Source, Environment: g.o.feed(), Gateway: g.o.Name, Key: g.o.Key, From: from,
		Apply: g.apply, Status: g.status, Keep: g.o.Keep, Sync: g.o.Sync, Poll: g.o.Limits.Poll, Retry: g.o.Limits.Retry, Hinted: g.o.Hinted,
		Now: g.o.Now, Log: g.o.Log})
	if err != nil {
		return fmt.Errorf("gateway %s: %w", g.o.Name, err)
	}
	g.follower.Store(f)
	return nil
}

// renewEvery is how often it is looked whether everything must be taken anew.
const renewEvery = 200 * time.Millisecond

// pursue follows until ctx ends. When the control plane has begun another history (the code feed-renewed), it takes everything
// anew, beside what is served, and goes on from there.
func (g *Gateway) pursue(ctx context.Context) error {
	for {
		renewed, err := g.pursueOnce(ctx)
		if !renewed || err != nil {
			return err
		}
		if err := g.renew(ctx); err != nil {
			g.o.Log.Error("everything cannot be taken anew: the gateway serves on with what it has", "environment", g.o.Environment, "error", err)
			select {
			case <-time.After(5 * time.Second):
			case <-ctx.Done():
				return nil
			}
			if err := g.follow(g.Position()); err != nil {
				return err
			}
		}
	}
}

// pursueOnce follows until ctx ends, or until another history has begun.
func (g *Gateway) pursueOnce(ctx context.Context) (renewed bool, err error) {
	f := g.follower.Load()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if t := f.Trouble(); g.o.Renew != nil && t != nil && fault.As(t).Code == "feed-renewed" {
				renewed = true
				stop()
			}
		case err := <-done:
			return renewed, err
		}
	}
}

// renew swaps in what another history says.
func (g *Gateway) renew(ctx context.Context) error {
	fresh := snapshot.NewAccess(g.o.feed())
	var from feed.Position
	err := fresh.Load(func(add func(feed.Entry) error) (err error) { from, err = g.o.Renew(ctx, g.load(add)); return err })
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.access = fresh
	now := g.current.Load()
	g.current.Store(&current{view: &snapshot.View{Routes: now.view.Routes, Access: fresh}, pools: now.pools})
	g.compile()
	g.mu.Unlock()
	g.tunnels.published()
	g.o.Log.Warn("everything was taken anew", "environment", g.o.Environment, "epoch", from.Epoch, "seq", from.Seq)
	return g.follow(from)
}

// Position is the place in the feed up to which everything is in force.
func (g *Gateway) Position() feed.Position { return g.follower.Load().Position() }

// Trouble is why the gateway does not get on with its feed, or nil.
func (g *Gateway) Trouble() error { return g.follower.Load().Trouble() }

// CaughtUp is closed once everything that the control plane had at the start is in force.
func (g *Gateway) CaughtUp() <-chan struct{} { return g.caught }
