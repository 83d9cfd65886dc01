package sqldb

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/usage"
)

const (
	tallyPut = `INSERT INTO quota_tallies (environment, grant_id, period, begins, gateway, life, calls, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (grant_id, period, begins, environment, gateway, life) DO UPDATE SET calls = excluded.calls, at = excluded.at
		WHERE quota_tallies.calls < excluded.calls`
	tallyOthers = `SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM quota_tallies
		WHERE grant_id = $1 AND period = $2 AND begins = $3 AND environment = $4 AND NOT (gateway = $5 AND life = $6)`
	tallyAll = `SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM quota_tallies
		WHERE grant_id = $1 AND period = $2 AND begins = $3 AND environment = $4`
	talliesForget = `DELETE FROM quota_tallies WHERE begins < $1`
)

func (t *tx) PutTally(ctx context.Context, c usage.Tally, now time.Time) (int64, error) {
	if _, err := t.exec(ctx, tallyPut, c.Environment, string(c.Grant), c.Period, at(c.From), c.Gateway, c.Life, c.Calls, at(now)); err != nil {
		return 0, err
	}
	return one(ctx, t, scanInt, tallyOthers, string(c.Grant), c.Period, at(c.From), c.Environment, c.Gateway, c.Life)
}

func (t *tx) Tallied(ctx context.Context, environment string, grant id.ID, period string, from time.Time) (int64, error) {
	return one(ctx, t, scanInt, tallyAll, string(grant), period, at(from), environment)
}

func (t *tx) ForgetTallies(ctx context.Context, before time.Time) error {
	_, err := t.exec(ctx, talliesForget, at(before))
	return err
}
