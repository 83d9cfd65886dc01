package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/feed"
)

func (t *tx) Place(ctx context.Context, environment string, seq int64) (feed.Place, error) {
	return get(ctx, t, scanPlace, "entry of the feed", of(environment, placeGet), environment, seq)
}

func scanPlace(r row) (p feed.Place, err error) {
	err = r.Scan(&p.Epoch, &p.Seq, &p.Digest, when{&p.Committed})
	return p, err
}

func (t *tx) Length(ctx context.Context, environment string) (l feed.Length, err error) {
	if l.Entries, err = one(ctx, t, scanInt, of(environment, logCount), environment); err != nil || l.Entries == 0 {
		return l, err
	}
	l.Oldest, err = one(ctx, t, func(r row) (at time.Time, err error) { return at, r.Scan(when{&at}) }, of(environment, logOldest), environment)
	return l, err
}

// forgotten is how far a feed was gone through.
type forgotten struct{ looked, through int64 }

func (t *tx) forgotten(ctx context.Context, environment string) (forgotten, error) {
	f, err := one(ctx, t, func(r row) (f forgotten, err error) {
		err = r.Scan(&f.looked, &f.through)
		return f, err
	}, forgottenGet, environment)
	if errors.Is(err, sql.ErrNoRows) {
		return forgotten{}, nil
	}
	return f, err
}

func (t *tx) Forgotten(ctx context.Context, environment string) (int64, error) {
	f, err := t.forgotten(ctx, environment)
	return f.through, err
}

func (t *tx) Forget(ctx context.Context, environment string, through int64, before time.Time, limit int) (forgot int, done bool, err error) {
	type found struct {
		feed.Place
		superseded int64
	}
	f, err := t.forgotten(ctx, environment)
	if err != nil {
		return 0, false, err
	}
	among, err := all(ctx, t, func(r row) (e found, err error) {
		err = r.Scan(&e.Epoch, &e.Seq, &e.Digest, when{&e.Committed}, &e.superseded)
		return e, err
	}, of(environment, forgetAmong), environment, f.looked, through, first(limit))
	if err != nil {
		return 0, false, err
	}
	done = len(among) < limit
	var out []found
	for _, e := range among {
		if !e.Committed.Before(before) {
			done = true
			break
		}
		f.looked = e.Seq
		if e.superseded != 0 {
			f.through = max(f.through, e.Seq)
			out = append(out, e)
		}
	}
	if done {
		f.looked = 0
	}
	err = many(ctx, t, markInsert, "", 5, out, func(args []any, e found) []any {
		return append(args, environment, e.Seq, e.Epoch, e.Digest, at(e.Committed))
	})
	for rest := out; err == nil && len(rest) > 0; {
		n := 1
		for _, rows := range t.d.rows {
			if rows <= len(rest) {
				n = rows
				break
			}
		}
		args := []any{environment}
		for _, e := range rest[:n] {
			args = append(args, e.Seq)
		}
		_, err = t.exec(ctx, of(environment, entryDrop)+list(2, n), args...)
		rest = rest[n:]
	}
	if err == nil {
		_, err = t.exec(ctx, forgottenPut, environment, f.looked, f.through)
	}
	return len(out), done, err
}
