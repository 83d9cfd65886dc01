package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/secret"
)

const (
	tryTake = `INSERT INTO tries (mark, empties) VALUES ($1, $2)
		ON CONFLICT (mark) DO UPDATE SET empties = CASE WHEN tries.empties > $3 THEN tries.empties ELSE $3 END + $4
		WHERE tries.empties <= $5 RETURNING empties`
	tryGet     = `SELECT empties FROM tries WHERE mark = $1`
	tryBack    = `UPDATE tries SET empties = empties - $2 WHERE mark = $1`
	triesSweep = `DELETE FROM tries WHERE empties <= $1`
)

func (t *tx) TakeTry(ctx context.Context, mark secret.Hash, each, per time.Duration, now time.Time) (time.Duration, error) {
	_, err := one(ctx, t, scanInt, tryTake, mark[:], at(now.Add(each)), at(now), each.Microseconds(), at(now.Add(per-each)))
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	full, err := one(ctx, t, scanInt, tryGet, mark[:])
	return time.Duration(full-at(now))*time.Microsecond + each - per, err
}

func (t *tx) GiveTryBack(ctx context.Context, mark secret.Hash, each time.Duration) error {
	_, err := t.exec(ctx, tryBack, mark[:], each.Microseconds())
	return err
}
