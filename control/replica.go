package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/store"
)

const (
	replicaQuick = 5 * time.Millisecond   // between two looks after something was numbered: a standby follows a moment later
	replicaPoll  = 250 * time.Millisecond // between two looks when nothing happens
	replicaCheck = time.Second            // between two comparisons with the database that is written
	replicaOld   = 10 * time.Second       // of a state so old it is said that the replica is behind
	primaryTime  = 2 * time.Second        // for the database that is written to answer
	primaryAgain = 5 * time.Second        // it is not asked for so long after it did not
)

// replica is the feeds as a standby of the database shows them, for gateways near it. It is trusted with reading alone: entries are
// chained and signed, and of when they are says a clock that the process which numbers signs. Everything is written to the database that
// the standby follows; who a gateway is, is asked there too, and of the standby while it is away.
type replica struct {
	c    *Control
	feed *source // what is read of the standby: no receipts

	mu      sync.Mutex
	seen    sight
	trouble error // why nothing is served
	told    error // what the log says of it
	late    bool  // the log says that it is behind
	checked time.Time
	asked   map[string]feed.Position // of each feed what was compared last
	away    time.Time                // when the database that is written did not answer
	ahead   map[place]*waiting
	receipt map[string]feed.Receipt // by feed and gateway: of an entry that is not here yet
}

// sight is one state of the standby.
type sight struct {
	clock feed.Clock
	feeds map[string]feed.Position
	first time.Time // when this clock was seen first, by the processor's own clock; zero: none was
}

// age is how old the state is: by the clocks of both processes, and no less than has passed since it came.
func (s sight) age(now time.Time) time.Duration {
	return max(now.Sub(s.clock.At), time.Since(s.first), 0)
}

func newReplica(c *Control) *replica {
	return &replica{c: c, feed: newSource(c.Replica, c.Now, c.Log), asked: map[string]feed.Position{}, ahead: map[place]*waiting{}, receipt: map[string]feed.Receipt{}}
}

// run looks at the standby until ctx ends: soon after something was numbered, as the database that is written tells, and now and then.
func (r *replica) run(ctx context.Context) {
	wait := replicaQuick
	for {
		committed := r.c.Store.Committed()
		fresh, err := r.look(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = r.compare(ctx)
		}
		r.note(err)
		r.again(ctx)
		if fresh {
			wait = replicaQuick
		}
		timer := time.NewTimer(wait)
		select {
		case <-committed:
			wait = replicaQuick
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		case <-timer.C:
			wait = min(2*wait, replicaPoll)
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// look finds where each feed stands on the standby and of when that is, and reads what is new in those that are followed here.
func (r *replica) look(ctx context.Context) (moved bool, err error) {
	var heads []feed.Head
	var fresh []feed.Numbered
	var clock feed.Clock
	before := r.sight()
	err = r.feed.store.View(ctx, func(tx store.Tx) (err error) {
		if heads, err = r.c.sequencer.heads(ctx, tx); err != nil {
			return err
		}
		if clock, err = r.clock(ctx, tx, before, heads); err != nil {
			return err
		}
		fresh, err = r.feed.readOn(ctx, tx, heads)
		return err
	})
	if err != nil {
		return false, err
	}
	s := sight{clock: clock, feeds: map[string]feed.Position{}, first: before.first}
	if s.first.IsZero() || !clock.At.Equal(before.clock.At) {
		s.first = time.Now()
	}
	for _, h := range heads {
		s.feeds[h.Environment] = h.Position
		moved = moved || before.feeds[h.Environment] != h.Position
	}
	r.mu.Lock()
	r.seen = s
	r.mu.Unlock()
	r.feed.numbered(heads, fresh)
	return moved, nil
}

// clock reads of when the standby is. It is believed if it is signed and the feeds are no shorter than it says, nor others.
func (r *replica) clock(ctx context.Context, tx store.Tx, before sight, heads []feed.Head) (feed.Clock, error) {
	signed, err := tx.FeedClock(ctx)
	if errors.Is(err, fault.NotFound) {
		return feed.Clock{}, fault.Of(fault.Unavailable, "replica-timeless", "the replica does not say of when it is: no process of this release numbers the feed yet, or the standby has not come that far")
	}
	if err != nil {
		return feed.Clock{}, err
	}
	c, err := signed.Clock(r.c.FeedKey)
	if err != nil || c.At.Equal(before.clock.At) {
		return c, err
	}
	for _, h := range heads {
		p, told := c.Feeds[h.Environment]
		if !told || p.Seq == 0 {
			continue
		}
		if e, err := tx.Place(ctx, h.Environment, p.Seq); errors.Is(err, fault.NotFound) || err == nil && e.Position != p {
			return c, fault.Of(fault.Conflict, "feed-forked", "the replica says to be of %s, and lacks entry %d of %s that was there then: it is no copy of the database that is written", c.At.Format(time.RFC3339), p.Seq, h.Environment)
		} else if err != nil {
			return c, err
		}
	}
	return c, nil
}

// compare asks the database that is written, while it answers, whether it has what the standby shows: else that follows another one.
func (r *replica) compare(ctx context.Context) error {
	r.mu.Lock()
	due := time.Since(r.checked) >= replicaCheck
	of, trouble := map[string]feed.Position{}, r.trouble
	for name, p := range r.seen.feeds {
		if p.Seq > 0 && r.asked[name] != p || trouble != nil {
			of[name] = p
		}
	}
	if due {
		r.checked = time.Now()
	}
	r.mu.Unlock()
	if !due || len(of) == 0 {
		if fault.KindOf(trouble) == fault.Conflict { // it is not over before it was looked at again
			return trouble
		}
		return nil
	}
	_, err := primary(ctx, r, func(ctx context.Context, tx store.Tx) (struct{}, error) {
		for name, p := range of {
			if err := known(ctx, tx, name, p); err != nil {
				if code := fault.As(err).Code; code == "feed-forked" {
					err = fault.Of(fault.Conflict, code, "the replica is at entry %d of epoch %d in a history of %s that the database which is written does not have: the standby follows another one, or was promoted and has been written", p.Seq, p.Epoch, name)
				} else if code == "feed-renewed" { // the standby has not heard of it yet
					continue
				}
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	switch {
	case fault.KindOf(err) == fault.Unavailable && fault.KindOf(trouble) == fault.Conflict:
		return trouble
	case fault.KindOf(err) == fault.Unavailable: // away: entries are signed, and the clock says of when they are
		return nil
	case err != nil:
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range of {
		r.asked[name] = p
	}
	return nil
}

// note keeps why nothing is served, and tells the log when that changes, or when the replica falls behind.
func (r *replica) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.trouble = err
		if r.told == nil || r.told.Error() != err.Error() {
			r.told = err
			r.c.Log.Error("the feed is not served of the replica", "error", err)
		}
		return
	}
	if r.told != nil {
		r.c.Log.Info("the feed is served of the replica again")
	}
	r.trouble, r.told = nil, nil
	age := r.seen.age(r.c.now())
	switch late := age > replicaOld; {
	case late && !r.late:
		r.c.Log.Warn("the replica that gateways follow is behind: what is revoked does not reach them", "behind", age.Round(time.Second), "of", r.seen.clock.At)
	case !late && r.late:
		r.c.Log.Info("the replica that gateways follow has caught up", "of", r.seen.clock.At)
	}
	r.late = age > replicaOld
}

func (r *replica) sight() sight {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// ready is failing for who comes before the first look: who follows a long feed in this process begins from an image.
func (r *replica) ready(ctx context.Context) error {
	if r.sight().first.IsZero() {
		_, err := r.look(ctx)
		return err
	}
	return r.failing()
}

// failing is why nothing is served, or nil.
func (r *replica) failing() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil && r.seen.first.IsZero() {
		return fault.New(fault.Unavailable, "the replica was not looked at yet")
	}
	return r.trouble
}

// primary asks the database that is written, which may be away: then it is not asked for a while, and nobody waits for it.
func primary[T any](ctx context.Context, r *replica, ask func(context.Context, store.Tx) (T, error)) (out T, err error) {
	r.mu.Lock()
	silent := !r.away.IsZero() && time.Since(r.away) < primaryAgain
	r.mu.Unlock()
	if silent {
		return out, fault.New(fault.Unavailable, "the database that is written did not answer a moment ago")
	}
	type answer struct {
		out T
		err error
	}
	come := make(chan answer, 1)
	asking, cancel := context.WithTimeout(ctx, primaryTime)
	go func() { // a connection that nothing comes through any more would hold it up for longer
		defer cancel()
		var a answer
		a.err = r.c.Store.View(asking, func(tx store.Tx) (err error) { a.out, err = ask(asking, tx); return err })
		come <- a
	}()
	select {
	case a := <-come:
		out, err = a.out, a.err
	case <-time.After(primaryTime):
		err = fault.New(fault.Unavailable, "the database that is written does not answer within %s", primaryTime)
	case <-ctx.Done():
		return out, ctx.Err()
	}
	if fault.KindOf(err) == fault.Unavailable && ctx.Err() == nil {
		r.mu.Lock()
		r.away = time.Now()
		r.mu.Unlock()
	}
	return out, err
}

// asked asks the database that is written; with a replica, that one while the other is away.
func asked[T any](ctx context.Context, c *Control, ask func(context.Context, store.Tx) (T, error)) (out T, err error) {
	if c.replica == nil {
		err = c.Store.View(ctx, func(tx store.Tx) (err error) { out, err = ask(ctx, tx); return err })
		return out, err
	}
	if out, err = primary(ctx, c.replica, ask); fault.KindOf(err) != fault.Unavailable {
		return out, err
	}
	err = c.Replica.View(ctx, func(tx store.Tx) (err error) { out, err = ask(ctx, tx); return err })
	return out, err
}

// ReplicaStanding is how the replica stands that the feed is served of.
type ReplicaStanding struct {
	Of     time.Time        // of when it is; zero: nothing is known of it yet
	Age    time.Duration    // how long ago that was
	Behind map[string]int64 // of each feed, entries that the database which is written is known to have, and it has not
	Err    error            // why nothing is served of it
}

// ReplicaStanding tells how the replica stands: for metrics, nobody asks. false: there is none.
func (c *Control) ReplicaStanding() (ReplicaStanding, bool) {
	if c.replica == nil {
		return ReplicaStanding{}, false
	}
	s := c.replica.sight()
	out := ReplicaStanding{Of: s.clock.At, Behind: map[string]int64{}, Err: c.replica.failing()}
	if !s.first.IsZero() {
		out.Age = s.age(c.now())
	}
	for name, p := range s.feeds {
		out.Behind[name] = max(c.source.head(name).Seq-p.Seq, 0)
	}
	return out, true
}

// behind says so of a replica that is; "" of one that is not.
func (r *replica) behind() string {
	if err := r.failing(); err != nil {
		return fmt.Sprintf("the replica of the feed that it follows is not served: %s", fault.As(err).Public)
	}
	s := r.sight()
	if age := s.age(r.c.now()); age > replicaOld {
		return fmt.Sprintf("the replica of the feed that it follows is %s behind, of %s: what is revoked since does not reach it", age.Round(time.Second), s.clock.At.UTC().Format(time.RFC3339))
	}
	return ""
}
