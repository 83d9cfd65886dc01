package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"gatehouse/feed"
)

// A gateway of its own hands over in the same steps as 'gatehouse serve' (succession.go), with its folder in the place of the database:
//
//	successor: prepared   its configuration is good
//	we:        yours      the folder is free; we go on serving, and follow the feed in memory alone
//	successor: ready      it serves what the control plane has by now, and takes connections beside us
//	we:        quiet      we take no more requests; those that run may end
//	successor             acknowledges changes, and swears: from here on no request meets one of us that may not know them
//
// So while both take requests, both get to know what is revoked, and no receipt says so before both do.

// receipts is a gateway's way to the control plane, on which receipts can be held back.
type receipts struct {
	feed.Source
	mu     sync.Mutex
	held   bool
	newest *feed.Receipt // of those that were held back
}

// Acknowledge is feed.Source's.
func (r *receipts) Acknowledge(ctx context.Context, said feed.Receipt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held {
		r.newest = &said
		return nil
	}
	return r.Source.Acknowledge(ctx, said)
}

// hold holds receipts back from now on.
func (r *receipts) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = true
}

// release lets the newest one go, and those to come.
func (r *receipts) release(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held && r.newest != nil {
		_ = r.Source.Acknowledge(ctx, *r.newest) // the next one says it too
	}
	r.held, r.newest = false, nil
}

// handOver hands everything to a successor. broken says that this process cannot go on either.
func (r *remote) handOver(ctx context.Context, quiet func() <-chan struct{}) (err error, broken bool) {
	next, err := r.sockets.succeed()
	if err != nil {
		return err, false
	}
	r.Log.Info("a successor was started", "process", next.pid)
	defer context.AfterFunc(ctx, func() { _ = next.f.SetReadDeadline(time.Unix(1, 0)) })() // we are to stop
	if _, err := next.hear("prepared", prepareTime); err != nil {
		next.end()
		return fmt.Errorf("the successor is not ready to take over: %w", err), false
	}
	r.sockets.keeping.Store(true)
	if r.told != nil {
		r.told.hold()
	}
	if err = r.disk.Lend(); err == nil {
		if err = next.say("yours"); err == nil {
			_, err = next.hear("ready", takeTime)
		}
	}
	if err != nil {
		next.end()
		err = fmt.Errorf("the successor did not take over: %w", err)
		if again := r.disk.Return(); again != nil {
			return errors.Join(err, fmt.Errorf("and the gateway's folder cannot be used here either: %w", again)), true
		}
		if r.told != nil {
			r.told.release(ctx)
		}
		r.sockets.keeping.Store(false)
		return err, false
	}
	select {
	case <-quiet():
	case <-time.After(quietTime):
	}
	if err := next.say("quiet"); err != nil {
		r.Log.Warn("the successor does not listen any more", "error", err)
	}
	_ = next.f.Close()
	return nil, false
}

// lent waits until the predecessor, if there is one, has let go of what it keeps on disk.
func (in *Inherited) lent() error {
	if in.with == nil {
		return nil
	}
	if err := in.with.say("prepared"); err != nil {
		return fmt.Errorf("the process that was to hand over is gone: %w", err)
	}
	if _, err := in.with.hear("yours", takeTime); err != nil {
		return fmt.Errorf("the process that was to hand over did not: %w", err)
	}
	return nil
}

// taken tells the predecessor that we serve, and waits until it takes no more requests. One that is gone takes none either.
func (in *Inherited) taken(log *slog.Logger) error {
	if in.with == nil {
		return nil
	}
	defer in.with.f.Close()
	if err := in.with.say("ready"); err != nil {
		log.Warn("the process that handed over is gone", "error", err)
		return nil
	}
	if _, err := in.with.hear("quiet", takeTime); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the process that handed over does not end: %w", err)
	}
	return nil
}
