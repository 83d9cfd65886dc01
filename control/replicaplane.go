package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/store"
)

// replicaPlane is the control plane as the server of the feed sees it where the feed is read of a replica.
type replicaPlane struct {
	fleetPlane
	r *replica
}

const (
	aheadPatience = 2 * time.Minute  // so long a gateway waits for the replica, then it comes again, maybe to another process
	aheadAsk      = 10 * time.Second // between two times that the database which is written is asked about one
)

// place is where a gateway is in a feed.
type place struct {
	feed string
	feed.Position
}

// waiting is a place that the replica has not come to.
type waiting struct{ since, asked time.Time }

// Tail implements feed.Source. Who is ahead of the replica, having followed another process before, waits.
func (p replicaPlane) Tail(ctx context.Context, name string, after feed.Position, limit int) ([]feed.Entry, error) {
	if err := p.r.failing(); err != nil {
		return nil, err
	}
	es, err := p.r.feed.Tail(ctx, name, after, limit)
	if p.r.lacks(name, after, err) {
		return nil, p.r.await(ctx, place{name, after})
	}
	return es, err
}

// Changed implements feed.Source.
func (p replicaPlane) Changed(name string, seq int64) <-chan struct{} {
	return p.r.feed.Changed(name, seq)
}

// Head implements link.Plane.
func (p replicaPlane) Head(ctx context.Context, name string) (feed.Position, error) {
	if err := p.r.failing(); err != nil {
		return feed.Position{}, err
	}
	return p.r.feed.Head(ctx, name)
}

// lacks reports whether the error says that the position is not in the feed only because the replica has not come that far.
func (r *replica) lacks(name string, p feed.Position, err error) bool {
	if fault.KindOf(err) != fault.Conflict || fault.As(err).Code != "feed-forked" {
		return false
	}
	h := r.sight().feeds[name]
	return p.Epoch > h.Epoch || p.Epoch == h.Epoch && p.Seq > h.Seq
}

// await says nil while a gateway may wait for the replica to come to the place where it is. Whether that is a place of this history,
// the database that is written knows.
func (r *replica) await(ctx context.Context, at place) error {
	now := time.Now()
	r.mu.Lock()
	for p, w := range r.ahead { // those that it has come to, and where nobody waits any more
		if h := r.seen.feeds[p.feed]; p.Epoch < h.Epoch || p.Epoch == h.Epoch && p.Seq <= h.Seq || now.Sub(w.since) > 2*aheadPatience {
			delete(r.ahead, p)
		}
	}
	w := r.ahead[at]
	if w == nil {
		w = &waiting{since: now}
		r.ahead[at] = w
		r.c.Log.Info("a gateway waits for the replica", "feed", at.feed, "seq", at.Seq, "replica", r.seen.feeds[at.feed].Seq)
	}
	ask := now.Sub(w.asked) >= aheadAsk
	if ask {
		w.asked = now
	}
	late := now.Sub(w.since) > aheadPatience
	if late {
		delete(r.ahead, at)
	}
	h := r.seen.feeds[at.feed]
	r.mu.Unlock()
	if late {
		return fault.Of(fault.Unavailable, "replica-behind", "the gateway is at entry %d, and the replica of the feed here has not come to it from entry %d within %s: it comes again", at.Seq, h.Seq, aheadPatience)
	}
	if !ask {
		return nil
	}
	_, err := primary(ctx, r, func(ctx context.Context, tx store.Tx) (struct{}, error) {
		return struct{}{}, known(ctx, tx, at.feed, at.Position)
	})
	if fault.KindOf(err) == fault.Conflict {
		return err
	}
	return nil
}

// Word implements link.Plane: a heartbeat is of when the replica is. None is made while that is not known.
func (p replicaPlane) Word(ctx context.Context, k feed.WordKind, g fleet.Gateway) (feed.Signed, error) {
	if k != feed.Heartbeat {
		return p.fleetPlane.Word(ctx, k, g)
	}
	if p.r.failing() != nil {
		return feed.Signed{}, nil
	}
	s := p.r.sight()
	return feed.Say(feed.Word{Kind: k, Environment: g.Environment, Gateway: g.ID, Position: s.feeds[g.Feed()], At: s.clock.At, Age: s.age(p.r.c.now()),
		MaxOffline: p.r.c.source.offline, Reason: g.Reason}, p.r.c.Keys.SignFeed)
}

// Acknowledge implements feed.Source. A receipt for an entry that the replica has not come to, from a gateway that has followed another
// process, is kept until it has, or the database that is written says that it is one of the feed.
func (p replicaPlane) Acknowledge(ctx context.Context, rc feed.Receipt) error {
	if err := sound(rc); err != nil {
		return err
	}
	if !p.r.feed.remembers(rc.Environment, rc.Position) {
		err := p.r.feed.store.View(ctx, func(tx store.Tx) error { return known(ctx, tx, rc.Environment, rc.Position) })
		if p.r.lacks(rc.Environment, rc.Position, err) {
			return p.r.judge(ctx, rc)
		}
		if err != nil {
			return err
		}
	}
	p.r.drop(rc)
	p.r.c.source.heard(rc)
	return nil
}

// judge takes a receipt for an entry that is not here if the database that is written knows that, and keeps it while that is away.
func (r *replica) judge(ctx context.Context, rc feed.Receipt) error {
	_, err := primary(ctx, r, func(ctx context.Context, tx store.Tx) (struct{}, error) {
		return struct{}{}, known(ctx, tx, rc.Environment, rc.Position)
	})
	switch {
	case err == nil:
		r.drop(rc)
		r.c.source.heard(rc)
	case fault.KindOf(err) == fault.Unavailable:
		r.mu.Lock()
		r.receipt[rc.Environment+" "+rc.Gateway] = rc
		r.mu.Unlock()
		return nil
	}
	return err
}

// drop forgets a receipt that waits and is no newer.
func (r *replica) drop(rc feed.Receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.receipt[rc.Environment+" "+rc.Gateway]; ok && !old.At.After(rc.At) {
		delete(r.receipt, rc.Environment+" "+rc.Gateway)
	}
}

// again judges the receipts that wait.
func (r *replica) again(ctx context.Context) {
	r.mu.Lock()
	all := make([]feed.Receipt, 0, len(r.receipt))
	if r.away.IsZero() || time.Since(r.away) >= primaryAgain {
		for _, rc := range r.receipt {
			all = append(all, rc)
		}
	}
	r.mu.Unlock()
	for _, rc := range all {
		if err := (replicaPlane{r: r}).Acknowledge(ctx, rc); fault.KindOf(err) == fault.Conflict {
			r.drop(rc)
			r.c.Log.Warn("a receipt was not taken", "gateway", rc.Gateway, "error", err)
		}
	}
}

// Sighted implements link.Plane: the fleet's view shows what is wrong with the replica at those that follow it.
func (p replicaPlane) Sighted(s fleet.Sighting) {
	if s.Connected && s.Trouble == "" {
		s.Trouble = p.r.behind()
		for name, h := range p.r.sight().feeds {
			of, _ := env.OfFeed(name)
			if said := p.Said(name, s.Gateway).Position; of == s.Environment && said.Epoch == h.Epoch && said.Seq > h.Seq {
				s.Trouble = strings.TrimPrefix(s.Trouble+fmt.Sprintf("; it is at entry %d, and the replica of the feed that it follows at %d: it waits", said.Seq, h.Seq), "; ")
			}
		}
	}
	p.fleetPlane.Sighted(s)
}

// least is the entry that an image goes through at the least: what a gateway has had in force is not taken back because the replica has
// not come to it. The error says that it has not.
func (r *replica) least(ctx context.Context, name string, least int64, head feed.Position) error {
	if least <= head.Seq {
		return nil
	}
	far, err := primary(ctx, r, func(ctx context.Context, tx store.Tx) (feed.Position, error) { return tx.Head(ctx, name) })
	if errors.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && far.Seq <= head.Seq { // it has had what there is not any more: as without a replica
		return nil
	}
	return fault.Of(fault.Unavailable, "replica-behind", "the gateway has had entry %d in force, and the replica of the feed here is at %d: it is given no older image; it asks again", least, head.Seq)
}
