package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/audit"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/store"
)

// sequence numbers and seals what is committed until ctx ends.
func (c *Control) sequence(ctx context.Context) error { return c.sequencer.run(ctx) }

const (
	sequenceBatch = 500              // rows and entries in one transaction: it bounds how long others wait for their turn
	sequencePoll  = time.Second      // besides hints
	sequenceSlow  = 30 * time.Second // between two tries when they keep failing
	receiptsEvery = time.Second      // receipts are telemetry: written in batches
	clockEvery    = time.Second      // between two times that are stored of when the feeds are
)

// sequencer numbers the rows of the feed and seals the entries of the audit log after their commit, in batches, each in one
// transaction with one checkpoint. Of the processes that share a store one does, as its duty; the others look where it
// stands, for the gateways that follow them.
type sequencer struct {
	duty   *duty
	store  store.Store
	keys   Keys
	source *source
	now    func() time.Time
	log    *slog.Logger

	clocked time.Time // when the clock of the feeds was written last, by the processor's own

	mu      sync.Mutex
	trouble error
}

func newSequencer(st store.Store, k Keys, s *source, now func() time.Time, log *slog.Logger) *sequencer {
	return &sequencer{duty: newDuty(st, k), store: st, keys: k, source: s, now: now, log: log}
}

// run goes on until ctx ends, then writes the receipts that are not written yet.
func (q *sequencer) run(ctx context.Context) error {
	poll, slow := sequencePoll, sequenceSlow
	if !q.duty.alone {
		poll, slow = dutyBeat, dutySlow
	}
	wait := poll
	var flushing sync.WaitGroup
	defer flushing.Wait()
	flushing.Go(func() { q.flush(ctx) })
	var learned time.Time
	for {
		committed := q.store.Committed() // before the step: what is committed during it wakes us
		more, err := q.turn(ctx)
		if ctx.Err() != nil {
			break
		}
		q.note(err)
		if err == nil {
			err = q.source.begin(ctx)
		}
		if now := q.now(); !q.duty.alone && err == nil && now.Sub(learned) >= receiptsEvery {
			learned = now
			err = q.source.learn(ctx)
		}
		switch {
		case err != nil:
			wait = min(2*wait, slow)
			committed = nil
		case more:
			continue
		default:
			wait = poll
		}
		timer := time.NewTimer(wait)
		select {
		case <-committed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			break
		}
	}
	flushing.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := errors.Join(q.source.flush(last), q.source.flushRefusals(last), q.duty.drop(last, q.store)); err != nil {
		q.log.Warn("receipts were not written, or the duty was not given back", "error", err)
	}
	return nil
}

// flush writes what gateways say, until ctx ends: beside the numbering, which does not wait for it.
func (q *sequencer) flush(ctx context.Context) {
	tick := time.NewTicker(receiptsEvery)
	defer tick.Stop()
	for {
		if e := errors.Join(q.source.flush(ctx), q.source.flushSightings(ctx), q.source.flushRefusals(ctx)); e != nil && ctx.Err() == nil {
			q.log.Warn("receipts were not written", "error", e)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Failing is why changes do not reach the gateways or the audit log is not sealed; nil while all is well.
func (c *Control) Failing() error {
	if err := c.sequencer.failing(); err != nil || c.replica == nil {
		return err
	}
	return c.replica.failing()
}

// failing is why changes get no numbers or the log is not sealed, or nil.
func (q *sequencer) failing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.trouble
}

func (q *sequencer) note(err error) {
	q.mu.Lock()
	before := q.trouble
	q.trouble = err
	q.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		q.log.Error("what is committed is not numbered or sealed", "error", err)
	case err == nil && before != nil:
		q.log.Info("numbering and sealing go on")
	}
}

// turn is step for whoever has the duty or can take it. Who cannot looks where each environment stands.
func (q *sequencer) turn(ctx context.Context) (more bool, err error) {
	if q.duty.alone {
		return q.step(ctx)
	}
	had := q.duty.has()
	if !had {
		lease, err := q.look(ctx)
		if err != nil {
			return false, err
		}
		if may, err := q.duty.may(lease); !may {
			return false, err
		}
	}
	more, err = q.step(ctx)
	switch {
	case fault.KindOf(err) == fault.Stale:
		q.duty.mine.Store(false)
		q.duty.since = time.Time{}
		if had {
			q.log.Info("another process numbers and seals now")
		}
		return false, nil
	case err == nil && !had:
		q.log.Info("this process numbers and seals now", "token", q.duty.seen.Token)
	}
	return more, err
}

// look finds where each feed stands that another process numbers, and reads what is new in those that are followed here.
func (q *sequencer) look(ctx context.Context) (lease store.Lease, err error) {
	var heads []feed.Head
	var fresh []feed.Numbered
	err = q.store.View(ctx, func(tx store.Tx) (err error) {
		if lease, err = tx.Lease(ctx, dutyName); err != nil {
			return err
		}
		if heads, err = q.heads(ctx, tx); err != nil {
			return err
		}
		fresh, err = q.source.readOn(ctx, tx, heads)
		return err
	})
	if err == nil {
		q.source.numbered(heads, fresh)
	}
	return lease, err
}

// step does one batch. more: there may be another one. What it comes to is found out beside the updates of others, and holds their
// turn up only while it is written: if the feeds and the log still stand where it begins, else it is found out in that turn.
func (q *sequencer) step(ctx context.Context) (more bool, err error) {
	var b batch
	began := q.now().UTC() // before anything is read: what was committed until then is seen
	err = q.store.View(ctx, func(tx store.Tx) error {
		b, err = q.plan(ctx, tx)
		return err
	})
	if err != nil {
		return false, err
	}
	if q.duty.alone && len(b.rows) == 0 && len(b.entries) == 0 && len(b.raised()) == 0 { // the duty of others has to be told of
		q.source.numbered(b.heads, nil)
		return false, nil
	}
	var lease store.Lease
	clock := !q.duty.alone && time.Since(q.clocked) >= clockEvery // nobody can have a copy of a file that follows it
	err = q.store.Update(ctx, func(tx store.Tx) error {
		if !q.duty.alone { // the fence
			if lease, err = q.duty.take(ctx, tx); err != nil {
				return err
			}
		}
		holds, err := q.holds(ctx, tx, b)
		if err == nil && !holds {
			b, err = q.plan(ctx, tx)
		}
		if err != nil {
			return err
		}
		if err = q.write(ctx, tx, b); err == nil && clock {
			err = q.writeClock(ctx, tx, b, began)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	if clock {
		q.clocked = time.Now()
	}
	if !q.duty.alone {
		q.duty.took(lease)
	}
	q.source.numbered(b.heads, b.numbered)
	// A log that cannot be sealed stops no change on its way to the gateways: revocations go on.
	more = len(b.rows) == sequenceBatch || len(b.entries) == sequenceBatch
	return more && b.sealing == nil, b.sealing
}

// batch is what rows and entries come to.
type batch struct {
	before  []feed.Head // where it begins
	signed  string      // the checkpoint that it follows
	rows    []feed.Change
	entries []audit.Entry

	heads    []feed.Head
	numbered []feed.Numbered
	sealed   []audit.Sealed
	size     int64
	note     string // the checkpoint over all of it
	at       time.Time
	sealing  error // of the log itself: nothing is sealed then
}

// regional reports whether there are feeds of regions: which organization is in which may change at any moment.
func (b batch) regional() bool {
	return slices.ContainsFunc(b.before, func(h feed.Head) bool { return h.Region != "" })
}

// raised are the feeds whose epoch was raised, and which do not tell of it yet.
func (b batch) raised() (hs []feed.Head) {
	for _, h := range b.heads {
		if h.Seq > 0 && h.Position.Epoch < h.Epoch {
			hs = append(hs, h)
		}
	}
	return hs
}

// plan finds out what the next batch comes to. It changes nothing.
func (q *sequencer) plan(ctx context.Context, tx store.Tx) (b batch, err error) {
	if b.rows, err = tx.Unnumbered(ctx, sequenceBatch); err != nil {
		return b, err
	}
	if b.before, err = q.heads(ctx, tx); err != nil {
		return b, err
	}
	if b.numbered, b.heads, err = q.number(ctx, tx, b.before, b.rows); err != nil {
		return b, err
	}
	if b.entries, err = tx.Unsealed(ctx, sequenceBatch); err != nil || len(b.entries) == 0 {
		return b, err
	}
	if b.signed, err = tx.Checkpoint(ctx); err == nil {
		b.sealing = q.seal(ctx, tx, &b)
	}
	return b, err
}

// holds reports whether everything still stands where the batch begins.
func (q *sequencer) holds(ctx context.Context, tx store.Tx, b batch) (bool, error) {
	now, err := q.heads(ctx, tx)
	if err != nil || b.regional() || !slices.Equal(now, b.before) {
		return false, err
	}
	if len(b.entries) == 0 {
		return true, nil
	}
	signed, err := tx.Checkpoint(ctx)
	return signed == b.signed, err
}

// write writes the batch.
func (q *sequencer) write(ctx context.Context, tx store.Tx, b batch) error {
	for _, n := range b.numbered {
		if err := tx.Number(ctx, n.Row, n.Entries); err != nil {
			return err
		}
	}
	for _, h := range b.raised() { // a raised epoch begins with an entry: only by one can gateways tell
		err := tx.AppendChange(ctx, feed.Change{Environment: h.Environment, Kind: feed.KindEpoch, Key: h.Environment, Version: h.Epoch,
			Payload: json.RawMessage(`{}`), Committed: q.now().UTC()})
		if err != nil {
			return err
		}
	}
	if len(b.sealed) == 0 {
		return nil
	}
	for _, s := range b.sealed {
		if err := tx.Seal(ctx, s.ID, s.Seq, s.Hashes); err != nil {
			return err
		}
	}
	return tx.PutCheckpoint(ctx, b.size, b.note, b.at)
}

// writeClock stores of when the feeds are once the batch is written, which began then. Of a batch that leaves rows for the next one that is
// when its last row was made: each of those was written after it.
func (q *sequencer) writeClock(ctx context.Context, tx store.Tx, b batch, began time.Time) error {
	c := feed.Clock{At: began, Feeds: map[string]feed.Position{}}
	if n := len(b.rows); n == sequenceBatch && b.rows[n-1].Committed.Before(began) {
		c.At = b.rows[n-1].Committed
	}
	for _, h := range b.heads {
		c.Feeds[h.Environment] = h.Position
	}
	s, err := c.Say(q.keys.SignFeed)
	if err != nil {
		return err
	}
	return tx.PutFeedClock(ctx, s)
}

// heads is where each feed stands.
func (q *sequencer) heads(ctx context.Context, tx store.Tx) ([]feed.Head, error) {
	es, err := tx.Environments(ctx)
	if err != nil {
		return nil, err
	}
	var heads []feed.Head
	for _, e := range es {
		for _, name := range e.Feeds() {
			p, err := tx.Head(ctx, name)
			if err != nil {
				return nil, err
			}
			h := feed.Head{Environment: name, Epoch: e.Epoch, Position: p}
			if name != e.Name {
				h.Of, h.Region = env.OfFeed(name)
			}
			heads = append(heads, h)
		}
	}
	return heads, nil
}

// number gives rows their numbers after the heads, and returns what each row becomes and where each feed stands then.
func (q *sequencer) number(ctx context.Context, tx store.Tx, heads []feed.Head, rows []feed.Change) ([]feed.Numbered, []feed.Head, error) {
	if slices.ContainsFunc(heads, func(h feed.Head) bool { return h.Region != "" }) {
		regions, err := tx.Regions(ctx, rows)
		if err != nil {
			return nil, nil, err
		}
		for i, r := range regions {
			rows[i].Region = r
		}
	}
	newest, err := q.newest(ctx, tx, heads, rows)
	if err != nil {
		return nil, nil, err
	}
	return feed.Assign(heads, newest, rows, q.keys.SignFeed)
}

// newest reads which version of each changed entity its environments know, and returns how to look that up.
func (q *sequencer) newest(ctx context.Context, tx store.Tx, heads []feed.Head, rows []feed.Change) (func(string, feed.Kind, string) (feed.Known, error), error) {
	type entity struct{ environment, kind, key string }
	known := map[entity]feed.Known{}
	for _, h := range heads {
		var of []feed.Change
		for _, c := range rows {
			if h.Takes(c) {
				of = append(of, c)
			}
		}
		vs, err := tx.Versions(ctx, h.Environment, of)
		if err != nil {
			return nil, err
		}
		for i, c := range of {
			k := feed.Known{Version: vs[i]}
			if vs[i] > 0 && h.Elsewhere(c) {
				e, err := tx.EntryOf(ctx, h.Environment, c.Kind, c.Key)
				if err != nil {
					return nil, err
				}
				k.Withdrawn = e.Withdrawn()
			}
			known[entity{h.Environment, string(c.Kind), c.Key}] = k
		}
	}
	return func(environment string, k feed.Kind, key string) (feed.Known, error) {
		return known[entity{environment, string(k), key}], nil
	}, nil
}

// seal finds the places of the batch's entries in the log, and signs one checkpoint over it. Its error is one of the log itself.
func (q *sequencer) seal(ctx context.Context, tx store.Tx, b *batch) error {
	origin, _, _ := strings.Cut(q.keys.Verifier(), "+")
	var last audit.Checkpoint
	var err error
	if b.signed != "" {
		if last, err = audit.OpenCheckpoint(b.signed, q.keys.Verifier()); err != nil {
			return err
		}
	}
	sealed, size, root, err := audit.Seal(b.entries, last, func(indexes []int64) ([][32]byte, error) { return tx.TreeHashes(ctx, indexes) })
	if err != nil {
		return err
	}
	b.at = q.now()
	text := audit.Checkpoint{Origin: origin, Size: size, Root: root, At: b.at}.Text()
	if b.note, err = q.keys.SignCheckpoint(text); err == nil {
		b.sealed, b.size = sealed, size
	}
	return err
}
