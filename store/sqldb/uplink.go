package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
)

const (
	batchNewest = `SELECT number FROM uplink_batches WHERE environment = $1 AND gateway = $2 AND kind = $3 AND life = $4`
	batchTake   = `INSERT INTO uplink_batches (environment, gateway, kind, life, number, at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (environment, gateway, kind, life) DO UPDATE SET number = excluded.number, at = excluded.at
		WHERE uplink_batches.number = excluded.number - 1`
	batchSweep = `DELETE FROM uplink_batches WHERE at < $1`
)

// batchesKept is how long the count of a numbering is known after its newest batch: a gateway that ships an older one again
// has been away for longer than any may be.
const batchesKept = 30 * 24 * time.Hour

func (t *tx) TakeBatch(ctx context.Context, b feed.Batch, now time.Time) (fresh bool, err error) {
	newest, err := one(ctx, t, scanInt, batchNewest, b.Environment, b.Gateway, string(b.Kind), b.Life)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	switch {
	case b.Number <= newest:
		return false, nil
	case b.Number > newest+1:
		return false, fault.Of(fault.Conflict, "batch-gap", "batch %d comes after %d: those between were never taken here", b.Number, newest)
	}
	n, err := t.exec(ctx, batchTake, b.Environment, b.Gateway, string(b.Kind), b.Life, b.Number, at(now))
	return n == 1, err
}
