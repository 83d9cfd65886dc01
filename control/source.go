package control

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"sync"
	"time"

	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/store"
)

// Source is the control plane's end of the feed.
func (c *Control) Source() feed.Source { return c.source }

const (
	// maxOffline is how long after its last word a gateway may still serve, when nothing else is set: so long it counts among
	// those that a change must reach.
	maxOffline = 24 * time.Hour
	// keptReceipts is how many receipts of a gateway are remembered with their times.
	keptReceipts = 4096
	// keptEntries is how many entries of an environment are remembered: what gateways that keep up are sent.
	keptEntries = 2048
	// freshFor is how long what the sequencer found last is believed: it looks at least once in sequencePoll.
	freshFor = 2 * sequencePoll
)

// source is the feed's end in the control plane. It knows in memory where each environment stands and what each gateway
// has said, so that a change can tell when exactly it was in force where.
type source struct {
	store store.Store
	now   func() time.Time
	log   *slog.Logger
	takes map[feed.BatchKind]take

	mu           sync.Mutex
	began        bool
	offline      time.Duration // how long after its last word a gateway may serve
	sightings    map[string]*glimpse
	refusals     map[refusalKey]fleet.Refusal // that are not written yet
	environments map[string]*outlet
}

// outlet is one environment's end.
type outlet struct {
	recent   []feed.Entry  // the newest, up to keptEntries: most gateways ask for no other
	seq      int64         // of its newest entry
	followed bool          // a gateway has asked for its tail here
	looked   time.Time     // when that was found, by the processor's own clock
	changed  chan struct{} // closed at the next one
	gateways map[string]*heard
	courses  [keptCourses]course // of the newest changes, each at its number modulo their length
}

// course is when a change went through this process.
type course struct {
	seq                             int64
	numbered, sent, sentTo, counted time.Time // by us, to the first gateway, to the last so far; when the last receipt was verified
}

// keptCourses is of how many changes that is remembered.
const keptCourses = 256

// heard is what a gateway has said.
type heard struct {
	newest feed.Receipt
	marks  []mark // ascending in both; one for each receipt that told of something new
	dirty  bool   // newest is not written yet
	left   bool   // it was drained: no change waits for it
}

// mark says that everything through seq was in force at that time.
type mark struct {
	seq int64
	at  time.Time
}

func newSource(st store.Store, now func() time.Time, log *slog.Logger) *source {
	return &source{store: st, now: now, log: log, takes: takes(now), environments: map[string]*outlet{}, offline: maxOffline, sightings: map[string]*glimpse{}, refusals: map[refusalKey]fleet.Refusal{}}
}

// outlet is called with the lock held.
func (s *source) outlet(environment string) *outlet {
	o := s.environments[environment]
	if o == nil {
		o = &outlet{changed: make(chan struct{}), gateways: map[string]*heard{}}
		s.environments[environment] = o
	}
	return o
}

// begin reads, once, what gateways had said before this process began.
func (s *source) begin(ctx context.Context) error {
	s.mu.Lock()
	began := s.began
	s.mu.Unlock()
	if began {
		return nil
	}
	return s.learn(ctx)
}

// learn reads what gateways have said: before this process began, and to other processes since. Those write it down once a
// second, so what gateways said to them is known here that much later and that much less exactly.
func (s *source) learn(ctx context.Context) error {
	var rs []feed.Receipt
	var left map[[2]string]bool // by feed and name: whether the last gateway of that name was drained
	err := s.store.View(ctx, func(tx store.Tx) error {
		rs, left = nil, map[[2]string]bool{}
		es, err := tx.Environments(ctx)
		for _, e := range es {
			if err != nil {
				break
			}
			var gs []fleet.Gateway
			if gs, err = (read{tx: tx, ctx: ctx}).fleetOf(e.Name); err != nil {
				break
			}
			for _, g := range gs {
				left[[2]string{g.Feed(), g.Name}] = g.State == fleet.Drained
			}
			for _, name := range e.Feeds() {
				var of []feed.Receipt
				if of, err = tx.Receipts(ctx, name); err != nil {
					break
				}
				rs = append(rs, of...)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = true
	for _, r := range rs {
		o := s.outlet(r.Environment)
		h := o.gateways[r.Gateway]
		if h == nil {
			h = &heard{newest: r}
			o.gateways[r.Gateway] = h
		}
		if gone, known := left[[2]string{r.Environment, r.Gateway}]; known {
			h.left = gone
		}
		switch n := len(h.marks); {
		case n == 0 || r.Position.Seq < h.marks[0].seq:
			h.marks = append([]mark{{r.Position.Seq, r.At}}, h.marks...)
		case r.Position.Seq > h.marks[n-1].seq:
			h.marks = append(h.marks, mark{r.Position.Seq, r.At})
		}
		if !h.dirty && r.At.After(h.newest.At) {
			h.newest = r
		}
	}
	return nil
}

// numbered is told after a commit where each environment stands, and what was numbered.
func (s *source) numbered(heads []feed.Head, ns []feed.Numbered) {
	now, at := time.Now(), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range ns {
		for _, e := range n.Entries {
			o := s.outlet(e.Environment)
			o.remember(e)
			o.courses[e.Seq%keptCourses] = course{seq: e.Seq, numbered: at}
		}
	}
	for _, h := range heads {
		o := s.outlet(h.Environment)
		o.looked = now
		if h.Seq > o.seq {
			o.seq = h.Seq
			close(o.changed)
			o.changed = make(chan struct{})
		}
	}
}

func (o *outlet) remember(e feed.Entry) {
	if n := len(o.recent); n > 0 && o.recent[n-1].Digest != e.Previous {
		o.recent = nil // another process has numbered some in between
	}
	if len(o.recent) >= keptEntries {
		o.recent = append([]feed.Entry(nil), o.recent[keptEntries/4:]...)
	}
	o.recent = append(o.recent, e)
}

// unread says after which entry of a feed that another process numbers there is something to remember: nothing where no gateway follows it
// here. Of what a process finds at first, or was away for, only the newest are worth it.
func (s *source) unread(h feed.Head) (after int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.environments[h.Environment]
	if o == nil || !o.followed {
		return 0, false
	}
	after = max(h.Seq-keptEntries/8, 0)
	if n := len(o.recent); n > 0 {
		after = max(after, o.recent[n-1].Seq)
	}
	return after, after < h.Seq
}

// readOn reads what is new in those of the feeds that are followed here: once, however many gateways wait for it.
func (s *source) readOn(ctx context.Context, tx store.Tx, heads []feed.Head) (fresh []feed.Numbered, err error) {
	for _, h := range heads {
		after, ok := s.unread(h)
		if !ok {
			continue
		}
		es, err := tx.Entries(ctx, h.Environment, after, keptEntries/2)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, feed.Numbered{Entries: es})
	}
	return fresh, nil
}

// Sent implements link.Plane.
func (s *source) Sent(environment string, after, through int64) {
	at := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outlet(environment).passed(after, through, func(c *course) {
		if c.sent.IsZero() {
			c.sent = at
		}
		c.sentTo = at
	})
}

// passed calls fn with what is remembered of the changes after a number, through another.
func (o *outlet) passed(after, through int64, fn func(*course)) {
	for seq := max(after, through-keptCourses) + 1; seq <= through; seq++ {
		if c := &o.courses[seq%keptCourses]; c.seq == seq {
			fn(c)
		}
	}
}

// Changed implements feed.Source.
func (s *source) Changed(environment string, seq int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlet(environment)
	if o.seq > seq {
		now := make(chan struct{})
		close(now)
		return now
	}
	return o.changed
}

// Tail implements feed.Source.
func (s *source) Tail(ctx context.Context, environment string, after feed.Position, limit int) ([]feed.Entry, error) {
	if es, ok := s.fromMemory(environment, after, limit); ok {
		return es, nil
	}
	var es []feed.Entry
	err := s.store.View(ctx, func(tx store.Tx) error {
		err := known(ctx, tx, environment, after)
		if err != nil {
			return err
		}
		gone, err := tx.Forgotten(ctx, environment)
		if err == nil && after.Seq < gone {
			return fault.Of(fault.Conflict, "feed-renewed", "entries of %s through %d are no longer kept one by one: the gateway, which is at entry %d, takes everything anew", environment, gone, after.Seq)
		}
		if err == nil {
			es, err = tx.Entries(ctx, environment, after.Seq, limit)
		}
		return err
	})
	return es, err
}

// fromMemory answers without the store, if it can: a hundred gateways ask for the same few entries at the same moment, and then
// whether there are more. That there are none is believed only of what was looked at a moment ago.
func (s *source) fromMemory(environment string, after feed.Position, limit int) ([]feed.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.environments[environment]
	if o != nil {
		o.followed = true
	}
	at := o.place(after)
	if at < 0 || o.recent[len(o.recent)-1].Seq < o.seq {
		return nil, false
	}
	es := o.recent[at+1:]
	n := min(limit, len(es))
	return es[:n:n], n > 0 || limit == 0 || time.Since(o.looked) < freshFor
}

// remembers reports whether the position is known to be in the feed without asking the store.
func (s *source) remembers(environment string, p feed.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.environments[environment].place(p) >= 0
}

// place is where in recent the entry at the position is, or -1.
func (o *outlet) place(p feed.Position) int {
	if o == nil || len(o.recent) == 0 {
		return -1
	}
	at := p.Seq - o.recent[0].Seq
	if at < 0 || at >= int64(len(o.recent)) || o.recent[at].Position() != p {
		return -1
	}
	return int(at)
}

// known refuses a position that is not in the feed.
func known(ctx context.Context, tx store.Tx, environment string, p feed.Position) error {
	if p.Seq == 0 && p.Digest == "" {
		h, err := tx.Head(ctx, environment) // the environment must be there
		if err == nil && p.Epoch > h.Epoch && h.Seq > 0 {
			return elsewhere(environment, p, h)
		}
		return err
	}
	e, err := tx.Place(ctx, environment, p.Seq)
	if errors.Is(err, fault.NotFound) || err == nil && e.Position != p {
		h, err := tx.Head(ctx, environment)
		if err != nil {
			return err
		}
		return elsewhere(environment, p, h)
	}
	return err
}

func elsewhere(environment string, p, h feed.Position) error {
	if p.Epoch > 0 && p.Epoch < h.Epoch {
		return fault.Of(fault.Conflict, "feed-renewed", "the operator has raised the epoch of %s from %d to %d: the gateway takes everything anew", environment, p.Epoch, h.Epoch)
	}
	return fault.Of(fault.Conflict, "feed-forked", "the gateway is at entry %d of epoch %d in a history of %s that this control plane does not have: one of them was restored from a backup; empty the gateway once the records here are right", p.Seq, p.Epoch, environment)
}

// Acknowledge implements feed.Source. The receipt counts at once and is written later.
func (s *source) Acknowledge(ctx context.Context, r feed.Receipt) error {
	if err := sound(r); err != nil {
		return err
	}
	if !s.remembers(r.Environment, r.Position) {
		if err := s.store.View(ctx, func(tx store.Tx) error { return known(ctx, tx, r.Environment, r.Position) }); err != nil {
			return err
		}
	}
	s.heard(r)
	return nil
}

// sound refuses a receipt of nobody or nowhere.
func sound(r feed.Receipt) error {
	if r.Gateway == "" || r.At.IsZero() {
		return fault.New(fault.Invalid, "a receipt needs a gateway and a time")
	}
	return env.CheckFeed(r.Environment)
}

// heard counts a receipt whose position is one of the feed.
func (s *source) heard(r feed.Receipt) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlet(r.Environment)
	h := o.gateways[r.Gateway]
	if h == nil {
		h = &heard{}
		o.gateways[r.Gateway] = h
	}
	before := h.newest.Position.Seq
	h.newest, h.dirty = r, true
	o.passed(before, r.Position.Seq, func(c *course) { c.counted = now })
	if n := len(h.marks); n == 0 || h.marks[n-1].seq < r.Position.Seq {
		h.marks = append(h.marks, mark{r.Position.Seq, r.At})
		if len(h.marks) > keptReceipts {
			h.marks = append([]mark(nil), h.marks[keptReceipts/4:]...)
		}
	}
}

// Head implements link.Plane.
func (s *source) Head(ctx context.Context, environment string) (p feed.Position, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		p, err = tx.Head(ctx, environment)
		return err
	})
	return p, err
}

// Said implements link.Plane.
func (s *source) Said(environment, gateway string) feed.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.environments[environment]; o != nil && o.gateways[gateway] != nil {
		return o.gateways[gateway].newest
	}
	return feed.Receipt{}
}

// keepUses writes how credentials were used.
func (s *source) keepUses(ctx context.Context, uses []credential.Use) error {
	return s.store.Update(ctx, func(tx store.Tx) error { return tx.AddUses(ctx, uses) })
}

// flush writes the receipts that are not written yet.
func (s *source) flush(ctx context.Context) error {
	var rs []feed.Receipt
	s.mu.Lock()
	for _, o := range s.environments {
		for _, h := range o.gateways {
			if h.dirty {
				rs = append(rs, h.newest)
				h.dirty = false
			}
		}
	}
	s.mu.Unlock()
	if len(rs) == 0 {
		return nil
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		for _, r := range rs {
			if err := tx.PutReceipt(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.mu.Lock()
		for _, r := range rs {
			s.outlet(r.Environment).gateways[r.Gateway].dirty = true
		}
		s.mu.Unlock()
	}
	return err
}

// receipts is the newest one of each gateway of the environment, by its name.
func (s *source) receipts(environment string) []feed.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	rs := []feed.Receipt{}
	if o := s.environments[environment]; o != nil {
		for _, h := range o.gateways {
			rs = append(rs, h.newest)
		}
	}
	sort.Slice(rs, func(i, j int) bool { return rs[i].Gateway < rs[j].Gateway })
	return rs
}

// counted lists the gateways of the environment that a change of that time must reach, as inForce counts them.
func (s *source) counted(environment string, committed time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	if o := s.environments[environment]; o != nil {
		for name, h := range o.gateways {
			if !h.left && !h.newest.At.Before(committed.Add(-s.offline)) {
				out = append(out, name)
			}
		}
	}
	sort.Strings(out)
	return out
}

// inForce tells where the change with that number is in force. The gateways that count are those that were heard of within
// maxOffline before its commit, or since. seq 0: it has no number yet. The last time is of those gateways of which it is
// known when exactly they had it in force: not of one that had it already when it was first heard of.
func (s *source) inForce(environment string, seq int64, committed time.Time) InForce {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := InForce{Seq: seq, Committed: committed}
	f.Environment, f.Region = env.OfFeed(environment)
	o := s.environments[environment]
	if o == nil {
		return f
	}
	var first time.Duration
	for name, h := range o.gateways {
		if h.left || h.newest.At.Before(committed.Add(-s.offline)) {
			continue
		}
		f.Gateways++
		i := sort.Search(len(h.marks), func(i int) bool { return h.marks[i].seq >= seq })
		if seq == 0 || i == len(h.marks) {
			f.Waiting = append(f.Waiting, name)
			continue
		}
		f.Done++
		if i > 0 {
			at := h.marks[i].at.Sub(committed)
			if f.Last = max(f.Last, at); first == 0 || at < first {
				first = at
			}
		}
	}
	sort.Strings(f.Waiting)
	f.Stages = o.stages(seq, committed, first)
	f.LastMS = milliseconds(f.Last)
	return f
}

// stages tells how far the change came when, if this process has numbered it and remembers it.
func (o *outlet) stages(seq int64, committed time.Time, first time.Duration) *Stages {
	c := o.courses[seq%keptCourses]
	if seq == 0 || c.seq != seq {
		return nil
	}
	after := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return milliseconds(t.Sub(committed))
	}
	return &Stages{Numbered: after(c.numbered), FirstSent: after(c.sent), LastSent: after(c.sentTo), FirstReceipt: milliseconds(first), Counted: after(c.counted)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// flushRefusals writes those that are not written yet.
func (s *source) flushRefusals(ctx context.Context) error {
	s.mu.Lock()
	all, some := s.refusals, len(s.refusals) > 0
	if some { // else the map is still everybody's
		s.refusals = map[refusalKey]fleet.Refusal{}
	}
	s.mu.Unlock()
	if !some {
		return nil
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		for _, r := range all {
			if err := tx.AddRefusal(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, r := range all {
			s.TurnedAway(r)
		}
	}
	return err
}
