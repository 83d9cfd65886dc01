package control

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/ratelimit"
	"gatehouse/store"
	"gatehouse/usage"
)

// take stores what a batch of one kind holds, in the transaction in which its number is taken.
type take func(ctx context.Context, tx store.Tx, b feed.Batch) error

// takes says what becomes of each kind of batch.
func takes(now func() time.Time) map[feed.BatchKind]take {
	return map[feed.BatchKind]take{
		feed.BatchUses:  takeUses,
		feed.BatchCalls: func(ctx context.Context, tx store.Tx, b feed.Batch) error { return takeCalls(ctx, tx, b, now().UTC()) },
	}
}

// Ship implements feed.Uplink: what a batch holds counts once, however often it comes.
func (s *source) Ship(ctx context.Context, b feed.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	if err := env.CheckName(b.Environment); err != nil {
		return err
	}
	keep := s.takes[b.Kind]
	if keep == nil {
		return fault.Of(fault.Invalid, "batch-unknown", "this control plane does not know batches of the kind %q: it is older than the gateway", b.Kind)
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		fresh, err := tx.TakeBatch(ctx, b, s.now().UTC())
		if err != nil || !fresh {
			return err
		}
		return keep(ctx, tx, b)
	})
}

// body reads what a batch holds. Fields of a later release are passed over.
func body[T any](b feed.Batch) (v T, err error) {
	if err := json.Unmarshal(b.Body, &v); err != nil {
		return v, fault.New(fault.Invalid, "batch %d of kind %s cannot be read", b.Number, b.Kind).Because(err)
	}
	return v, nil
}

// takeUses adds how credentials were used.
func takeUses(ctx context.Context, tx store.Tx, b feed.Batch) error {
	told, err := body[[]feed.Use](b)
	if err != nil {
		return err
	}
	uses := make([]credential.Use, 0, len(told))
	for _, r := range told {
		if !r.Credential.Is(id.Credential) || r.Grant != "" && !r.Grant.Is(id.Grant) || r.Count < 1 || r.Last.IsZero() {
			return fault.New(fault.Invalid, "a use needs a credential, a count and a time")
		}
		uses = append(uses, credential.Use{Credential: r.Credential, Grant: r.Grant, API: r.API, Operation: r.Operation,
			Count: r.Count, Last: r.Last, Gateway: b.Gateway, Address: r.Address})
	}
	return tx.AddUses(ctx, uses)
}

// oldestCalls and newestCalls are how far from now calls may be that a gateway tells of: its clock may be off, and it may have
// been without us for a while.
const (
	oldestCalls = 31 * 24 * time.Hour
	newestCalls = 10 * time.Minute
)

// takeCalls adds what a gateway has counted.
func takeCalls(ctx context.Context, tx store.Tx, b feed.Batch, now time.Time) error {
	told, err := body[feed.Calls](b)
	if err != nil {
		return err
	}
	counts := make([]usage.Count, 0, len(told.Counts))
	for _, c := range told.Counts {
		at := time.Unix(0, 0).Add(time.Duration(c.Minute) * time.Minute)
		if !c.Application.Is(id.Application) || c.Grant != "" && !c.Grant.Is(id.Grant) || c.Calls < 1 || c.Status < 0 || c.Status > 999 || c.Minute < 0 || c.Minute > 1<<32 {
			return fault.New(fault.Invalid, "a count needs an application, calls, a status and a minute")
		}
		if at.Before(now.Add(-oldestCalls)) || at.After(now.Add(newestCalls)) {
			told.Lost += c.Calls // a clock that is wrong must not make rows that nobody ever removes
			continue
		}
		counts = append(counts, usage.Count{Environment: b.Environment, Application: c.Application, Grant: c.Grant, API: c.API, Operation: c.Operation,
			Status: c.Status, At: at, Calls: c.Calls})
	}
	if told.Lost < 0 {
		return fault.New(fault.Invalid, "less than no calls cannot be lost")
	}
	if told.Lost > 0 {
		if err := tx.AddLost(ctx, b.Environment, b.Gateway, now, told.Lost); err != nil {
			return err
		}
	}
	return tx.AddCounts(ctx, counts)
}

// Tally keeps what a gateway has let through in periods, and returns for each how much all others have: the other end of quotas.
// Nothing is taken of a life of a gateway that a later one has declared over: its counts may be part of a sum by now.
func (s *source) Tally(ctx context.Context, told feed.Tallies) (out feed.Tallied, err error) {
	now := s.now().UTC()
	if err := env.CheckName(told.Environment); err != nil {
		return out, err
	}
	if told.Gateway == "" || told.Life == "" || told.Begun < 0 || len(told.Life) > 64 || len(told.Tallies) > feed.MaxTallies {
		return out, fault.New(fault.Invalid, "tallies need a gateway and a life of at most 64 bytes, and are at most %d", feed.MaxTallies)
	}
	counts := make([]usage.Tally, len(told.Tallies))
	for i, t := range told.Tallies {
		from := time.Unix(t.From, 0).UTC()
		begins, _, ok := ratelimit.Period(t.Period).Span(from)
		if !ok || !begins.Equal(from) || !t.Grant.Is(id.Grant) || t.Calls < 1 || from.After(now.Add(newestCalls)) || from.Before(now.Add(-usage.TalliesKept)) {
			return out, fault.New(fault.Invalid, "a tally needs a grant, calls, and a day or month that runs or is over not long ago")
		}
		counts[i] = usage.Tally{Environment: told.Environment, Grant: t.Grant, Period: t.Period, From: from, Gateway: told.Gateway, Life: told.Life, Begun: told.Begun, Calls: t.Calls}
	}
	life := usage.Life{Environment: told.Environment, Gateway: told.Gateway, Begun: told.Begun, Alone: told.Alone && told.Begun > 0}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		out = feed.Tallied{Others: make([]int64, len(counts))}
		alone, err := tx.TallyLife(ctx, life, now)
		if err != nil {
			return err
		}
		if told.Begun > 0 && told.Begun < alone {
			out = feed.Tallied{Over: alone}
			return nil
		}
		for i, c := range counts {
			if out.Others[i], err = tx.PutTally(ctx, c, now); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}
