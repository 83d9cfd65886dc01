package app

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/feed"
	"gatehouse/feed/disk"
	"gatehouse/feed/link"
	"gatehouse/gateway"
)

// ticks reads what the clock shows, which somebody may set, and how much time has passed, which nobody can.
type ticks func() (shows time.Time, passed time.Duration)

// systemTicks reads the system's clocks.
func systemTicks() ticks {
	began := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now, now.Sub(began)
	}
}

// bond is what ties a gateway to its control plane: the last heartbeat, and how long it holds without another. It counts by a
// clock that never goes back, restarts included.
type bond struct {
	disk  *disk.Disk
	log   *slog.Logger
	ticks ticks

	began time.Duration
	base  time.Time // what the clock showed then: no earlier than it ever showed

	least atomic.Pointer[least]

	mu    sync.Mutex
	last  time.Time // by that clock, when what the heartbeat says was so: when it came, or before that by its age; zero: never
	most  time.Duration
	ended bool // revoked
}

// least is what time it was at the least when so much had passed.
type least struct {
	time   time.Time
	passed time.Duration
}

// trustedSpan is how much later than the control plane said it a heartbeat can have come: what the disk claims beyond that does
// not count.
const trustedSpan = 10 * time.Minute

func newBond(d *disk.Disk, environment string, i link.Identity, key ed25519.PublicKey, most time.Duration, ticks ticks, log *slog.Logger) *bond {
	now, passed := ticks()
	b := &bond{disk: d, log: log, ticks: ticks, began: passed, base: now.Round(0), most: most}
	st := d.State()
	if st.Clock.After(b.base) {
		log.Warn("the clock is behind what this gateway has seen before: the later one counts", "behind", st.Clock.Sub(b.base))
		b.base = st.Clock
	}
	b.least.Store(&least{st.Clock, passed})
	if i.MaxOffline > 0 {
		b.most = i.MaxOffline
	}
	if st.Revoked != nil {
		w, err := st.Revoked.Hear(environment, i.ID, key)
		b.ended = err == nil && w.Kind == feed.Revoked
	}
	if st.Heartbeat != nil {
		if w, err := st.Heartbeat.Hear(environment, i.ID, key); err == nil && w.Kind == feed.Heartbeat {
			b.last = st.Heard
			if b.last.After(w.At.Add(trustedSpan)) {
				b.last = w.At
			}
			b.most = w.MaxOffline
		}
	}
	return b
}

// now is the time by the clock that never goes back.
func (b *bond) now() time.Time {
	shows, passed := b.ticks()
	counted := b.base.Add(passed - b.began)
	if shows = shows.Round(0); shows.After(counted) {
		return shows
	}
	return counted
}

// time is what grants, credentials and tokens begin and end by: what the clock shows, but never earlier than the control plane said it
// is, and without that never earlier than this gateway has seen. So a clock that is set back revives nothing, and one that was ahead
// for a while does no harm once the control plane is heard again.
func (b *bond) time() time.Time {
	shows, passed := b.ticks()
	l := b.least.Load()
	if at := l.time.Add(passed - l.passed); at.After(shows) {
		return at
	}
	return shows
}

// begins counts from an image where there was no heartbeat: the control plane was there when it was made.
func (b *bond) begins(made time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if made.After(b.last) {
		b.last = made
	}
}

// heard takes a word of the control plane, which is verified.
func (b *bond) heard(w feed.Word, s feed.Signed) {
	now := b.now()
	b.mu.Lock()
	heard, newer := b.last, false // maybe of another process that knew more
	switch w.Kind {
	case feed.Heartbeat:
		if of := now.Add(-max(w.Age, 0)); of.After(heard) || heard.After(now) { // the clock was ahead then
			heard, newer = of, true
		}
		b.last, b.most = heard, w.MaxOffline
		_, passed := b.ticks()
		b.least.Store(&least{w.At.Add(max(w.Age, 0)), passed})
	case feed.Revoked:
		b.ended = true
	}
	b.mu.Unlock()
	err := b.disk.Change(true, func(st *disk.State) {
		switch w.Kind {
		case feed.Heartbeat:
			if st.Clock = now; newer {
				st.Heartbeat, st.Heard = &s, heard
			}
		case feed.Revoked:
			st.Revoked = &s
		}
	})
	if err != nil {
		b.log.Error("a word of the control plane cannot be kept", "error", err)
	}
	if w.Kind == feed.Revoked {
		b.log.Error("the identity of this gateway was revoked: it serves nothing from now on", "at", w.At, "reason", w.Reason)
	}
}

func (b *bond) revoked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// standing is how the gateway stands now.
func (b *bond) standing() gateway.Standing {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	return gateway.Standing{Offline: now.Sub(b.last), Most: b.most, Revoked: b.ended}
}

// keepTime notes now and then what the clock shows, so that setting it back gains nothing.
func (b *bond) keepTime(ctx context.Context) error {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			b.note()
		case <-ctx.Done():
			b.note()
			return nil
		}
	}
}

// note keeps what time it is.
func (b *bond) note() {
	now := b.now()
	if err := b.disk.Change(true, func(st *disk.State) { st.Clock = now }); err != nil {
		b.log.Error("the time cannot be kept", "error", err)
	}
}
