package app

import (
	"context"
	"time"
)

// The log on disk is read at every start, entry by entry: when it is longer than logMost, a newer image takes the place of most
// of it. An image that does not help, since the control plane has no newer one yet, is not asked for again soon.
const (
	logMost       = 16 << 20
	logLookEvery  = 30 * time.Second
	logAgainAfter = 10 * time.Minute
)

// keepLogShort does that while the gateway serves, until ctx ends.
func (r *remote) keepLogShort(ctx context.Context) error {
	wait := logLookEvery
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = logLookEvery
		before := r.disk.LogSize()
		if before <= logMost {
			continue
		}
		in, err := r.client.Image(ctx, r.disk.State().Position.Seq)
		if err != nil {
			continue // the control plane is away
		}
		done, err := r.disk.Shrink(in)
		_ = in.Close()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.Log.Error("the log on disk cannot be shortened: it goes on as it is", "bytes", before, "error", err)
		case done:
			r.Log.Info("the log on disk was shortened", "bytes", r.disk.LogSize(), "before", before)
		}
		if !done {
			wait = logAgainAfter
		}
	}
}
