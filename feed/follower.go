package feed

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gatehouse/fault"
)

// Options is what a Follower works with.
type Options struct {
	Source      Source
	Environment string
	Gateway     string            // its name in receipts
	Key         ed25519.PublicKey // of the control plane: every entry must carry its signature
	From        Position          // where to go on; the zero Position: from the beginning
	// Verify reports whether a signature is that of the control plane over the digest; nil: Verify with Key. Followers that share a
	// process may share the answer.
	Verify func(digest string, signature []byte) bool
	// Apply brings an entry into force. Entries come in order, each once, from one goroutine. An entry whose Apply returns an
	// error is tried again later, and nothing after it before: a revision that does not compile is no error here, it is
	// reported by Status.
	Apply func(Entry) error
	// Status tells for a receipt which revision is served now, which is the newest that arrived, and what is wrong, if
	// something is. nil: none.
	Status func() (served, desired int64, trouble string)
	// Keep puts entries that follow and are signed where they survive a restart, before they are brought into force. Entries may
	// come again. While it fails, as on a full disk, entries are brought into force all the same, so that what was revoked is
	// refused; they are not acknowledged before they are kept, and beyond some thousands nothing more is taken. nil: nothing is kept.
	Keep func([]Entry) error
	// Sync makes durable what was kept, through the position. A receipt is sent only after it. nil: nothing is kept.
	Sync   func(Position) error
	Poll   time.Duration // besides hints; default 1s
	Hinted bool          // hints say that there is something, never that there was: they are heeded while it fails too
	Retry  time.Duration // the longest time between two tries while it fails; default 30 times Poll
	Now    func() time.Time
	Log    *slog.Logger // nil: none
}

const (
	tailLimit = 512                   // entries in one answer: it bounds what is held at once
	heartbeat = 10 * time.Second      // between receipts when nothing changes: it shows that the gateway is there
	slowest   = 30                    // polls between two tries when they keep failing
	coalesce  = 10 * time.Millisecond // between two receipts: they are cumulative
	unkept    = 4096                  // entries that are in force and could not be kept: more are not taken
)

// Follower is a gateway's end of the feed: it gets the entries of one environment, checks the chain, hands each to Apply,
// and acknowledges what is in force. An entry that does not follow is refused, and so is everything after it: the gateway
// serves on with what it has, and Trouble says why.
type Follower struct {
	o      Options
	caught chan struct{}

	mu      sync.Mutex
	at      Position
	trouble error
	refused refusal // what was refused last, until the feed is followed again past it

	// Of the goroutine that runs it.
	told     Receipt
	lastTold time.Time
	late     []Entry  // in force, and not kept
	kept     Position // before them
	unkept   error    // why they are not
}

// NewFollower returns a Follower that does nothing until Run.
func NewFollower(o Options) (*Follower, error) {
	if o.Source == nil || o.Apply == nil || o.Environment == "" || o.Gateway == "" || len(o.Key) != ed25519.PublicKeySize {
		return nil, fault.New(fault.Internal, "a follower needs a source, an environment, a gateway's name, a key and Apply")
	}
	if o.Verify == nil {
		o.Verify = func(digest string, signature []byte) bool { return Verify(o.Key, digest, signature) }
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Retry <= 0 {
		o.Retry = slowest * o.Poll
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Follower{o: o, at: o.From, kept: o.From, caught: make(chan struct{})}, nil
}

// Position is the place up to which everything is in force.
func (f *Follower) Position() Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// Trouble is why the follower does not get on, or nil. What was refused stays the reason, whatever happens to the connection
// meanwhile, until the feed is followed again past it.
func (f *Follower) Trouble() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trouble
}

// CaughtUp is closed once everything that was there when the follower began is in force.
func (f *Follower) CaughtUp() <-chan struct{} { return f.caught }

// Run follows until ctx ends. It starts no goroutine.
func (f *Follower) Run(ctx context.Context) error {
	wait := f.o.Poll
	for {
		n, err := f.pull(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if trouble := err; trouble != nil || f.unkept == nil {
			f.note(trouble)
		} else {
			f.note(f.unkept)
		}
		if err == nil && n < tailLimit {
			f.settle()
		}
		due := time.Duration(0)
		if err != nil || f.settled() {
			due = f.acknowledge(ctx) // not on the way to it: a gateway that replays its log does not serve yet
		}
		var hint <-chan struct{}
		switch {
		case err != nil:
			wait = min(2*wait, f.o.Retry)
			if f.o.Hinted && len(f.late) < unkept { // else without the hint: it stays closed as long as we do not get on
				hint = f.o.Source.Changed(f.o.Environment, f.Position().Seq)
			}
		case n == tailLimit:
			continue
		default:
			wait = f.o.Poll
			hint = f.o.Source.Changed(f.o.Environment, f.Position().Seq)
		}
		pause := wait
		if due > 0 {
			pause = min(wait, due)
		}
		timer := time.NewTimer(pause)
		select {
		case <-hint:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// settle closes CaughtUp once.
func (f *Follower) settle() {
	if !f.settled() {
		close(f.caught)
	}
}

func (f *Follower) settled() bool {
	select {
	case <-f.caught:
		return true
	default:
		return false
	}
}

// pull gets one tail and brings it into force.
func (f *Follower) pull(ctx context.Context) (int, error) {
	after := f.Position()
	f.keep(nil)
	if len(f.late) >= unkept {
		return 0, f.unkept
	}
	es, err := f.o.Source.Tail(ctx, f.o.Environment, after, tailLimit)
	if err != nil {
		return 0, fmt.Errorf("tail of %s after %d: %w", f.o.Environment, after.Seq, err)
	}
	if err := checkAll(f.o.Environment, after, es, f.o.Verify); err != nil {
		return 0, untrue{err}
	}
	f.keep(es)
	for i, e := range es {
		if err := f.o.Apply(e); err != nil {
			return i, fmt.Errorf("apply entry %d of %s: %w", e.Seq, f.o.Environment, err)
		}
		after = e.Position()
		f.mu.Lock()
		f.at = after
		f.mu.Unlock()
	}
	return len(es), nil
}

// keep keeps the entries, after those that could not be kept before.
func (f *Follower) keep(es []Entry) {
	all := es
	if len(f.late) > 0 {
		all = append(f.late, es...)
	}
	if len(all) == 0 {
		return
	}
	if f.o.Keep != nil {
		if err := f.o.Keep(all); err != nil {
			f.late = append(f.late, es...)
			f.unkept = fault.Of(fault.Unavailable, "feed-not-kept", "changes after entry %d are in force and cannot be kept on the gateway's disk (%s): they are not acknowledged until they can, so make room there", f.kept.Seq, cause(err)).Because(err)
			return
		}
	}
	f.kept, f.late, f.unkept = all[len(all)-1].Position(), nil, nil
}

// cause is what the system said, without what was being done.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// note keeps why the follower does not get on, and logs when that changes.
func (f *Follower) note(err error) {
	f.mu.Lock()
	before := f.trouble
	f.refused = f.refused.after(err, f.at, f.o.Now())
	if f.refused.err != nil {
		err = f.refused.err
	}
	f.trouble = err
	f.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		f.o.Log.Error("the feed stands still", "environment", f.o.Environment, "gateway", f.o.Gateway, "seq", f.Position().Seq, "error", err)
	case err == nil && before != nil:
		f.o.Log.Info("the feed goes on", "environment", f.o.Environment, "gateway", f.o.Gateway, "seq", f.Position().Seq)
	}
}

// word is what a receipt says of the trouble: of what was refused, with the time.
func (f *Follower) word() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.trouble == nil:
		return ""
	case f.trouble == f.refused.err:
		return fault.As(f.trouble).Public + " (refused since " + f.refused.since.UTC().Format(time.RFC3339) + ")"
	}
	return fault.As(f.trouble).Public
}

// acknowledged is the place up to which everything is in force and kept.
func (f *Follower) acknowledged() Position {
	at := f.Position()
	if len(f.late) > 0 && f.kept.Seq < at.Seq {
		return f.kept
	}
	return at
}

// acknowledge sends a receipt when it says something new, or when the last one is old. due is when it is to be asked again,
// because the last one has only just been sent.
func (f *Follower) acknowledge(ctx context.Context) (due time.Duration) {
	r := Receipt{Gateway: f.o.Gateway, Environment: f.o.Environment, Position: f.acknowledged()}
	if f.o.Status != nil {
		r.Revision, r.Desired, r.Trouble = f.o.Status()
	}
	if r.Trouble == "" {
		r.Trouble = f.word()
	}
	now := f.o.Now()
	since := now.Sub(f.lastTold)
	if r == f.told && since < heartbeat && !f.lastTold.IsZero() {
		return 0
	}
	if since >= 0 && since < coalesce {
		return coalesce - since
	}
	if f.o.Sync != nil {
		if err := f.o.Sync(r.Position); err != nil {
			bad := fault.Of(fault.Unavailable, "feed-not-synced", "changes after entry %d cannot be made durable on the gateway's disk (%s): they are not acknowledged until they can", f.told.Position.Seq, cause(err)).Because(err)
			f.note(bad)
			if f.told.Gateway == "" {
				return 0
			}
			r.Position, r.Trouble = f.told.Position, bad.Public
		}
		now = f.o.Now()
	}
	told := r
	r.At = now.UTC()
	if err := f.o.Source.Acknowledge(ctx, r); err != nil {
		f.o.Log.Warn("a receipt was not taken", "environment", r.Environment, "gateway", r.Gateway, "error", err)
		return 0 // the next one says it too
	}
	f.told, f.lastTold = told, now
	return 0
}
