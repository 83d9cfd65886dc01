package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/secret"
	"gatehouse/store"
)

const (
	dutyName  = "sequencer"
	dutyBeat  = 250 * time.Millisecond  // between two signs of life, and between two looks of those who wait
	dutyDead  = 1200 * time.Millisecond // without a sign of life another one takes over: within two seconds in all
	dutyFar   = 5 * time.Second         // the same for one that is far from the database: others are to have it
	dutySlow  = 2 * time.Second         // between two tries when they keep failing
	dutyOther = time.Minute             // the same for one with other keys: it would stop gateways, so a person is told first
)

// duty is what one of the processes that share a store does alone: it numbers and seals, sweeps, and begins drift reviews. What
// it writes is fenced by taking the lease again in the same transaction, so that two who believe it theirs cannot both
// write. How long another one was silent is measured by this process's own clock.
type duty struct {
	alone  bool // nobody shares the store
	far    bool // the database is elsewhere, so it has the duty only where nobody else is
	holder string
	mark   string // of the keys that all must have
	mine   atomic.Bool

	// Of the goroutine that runs the sequencer.
	seen  store.Lease
	since time.Time
}

func newDuty(st store.Store, k Keys) *duty {
	d := &duty{alone: st == nil || st.Alone()}
	host, _ := os.Hostname()
	d.holder = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), secret.Random("").Reveal()[:8])
	if k != nil && !d.alone {
		key := k.Derive("the duty of a control plane")
		sum := sha256.Sum256(append([]byte(k.Verifier()), key[:]...))
		d.mark = hex.EncodeToString(sum[:8])
	}
	d.mine.Store(d.alone)
	return d
}

// has reports whether this process has the duty, as far as it knows.
func (d *duty) has() bool { return d.mine.Load() }

// may reports whether it is worth to take the duty that stands so: it is ours, nobody's, or its holder was silent for too
// long. The error says why a person should look.
func (d *duty) may(l store.Lease) (bool, error) {
	if l.Token != d.seen.Token || l.Beat != d.seen.Beat || d.since.IsZero() {
		d.seen, d.since = l, time.Now()
	}
	silent := time.Since(d.since)
	if l.Holder == d.holder {
		return true, nil
	}
	dead := dutyDead
	if d.far {
		dead = dutyFar
	}
	if l.Holder == "" {
		return !d.far || silent > dead, nil
	}
	if l.Mark != d.mark {
		if silent > dutyOther {
			return true, nil
		}
		return false, fault.New(fault.Conflict, "%s serves this database with other keys: copy the folder keys of its data directory here, and start again", l.Holder)
	}
	return silent > dead, nil
}

// take takes the duty within the transaction of the work, or says fault.Stale. The caller tells took after the commit.
func (d *duty) take(ctx context.Context, tx store.Tx) (store.Lease, error) {
	l, err := tx.Lease(ctx, dutyName)
	if err != nil {
		return l, err
	}
	if l.Holder != "" && l.Holder != d.holder && (l.Token != d.seen.Token || l.Beat != d.seen.Beat) {
		return l, fault.New(fault.Stale, "the duty is another one's")
	}
	return tx.TakeLease(ctx, l, d.holder, d.mark)
}

func (d *duty) took(l store.Lease) {
	d.seen, d.since = l, time.Now()
	d.mine.Store(true)
}

// drop lets the next one have it at once.
func (d *duty) drop(ctx context.Context, st store.Store) error {
	if d.alone || !d.has() {
		return nil
	}
	d.mine.Store(false)
	return st.Update(ctx, func(tx store.Tx) error {
		l, err := tx.Lease(ctx, dutyName)
		if err != nil || l.Holder != d.holder {
			return err
		}
		_, err = tx.TakeLease(ctx, l, "", "")
		return err
	})
}
