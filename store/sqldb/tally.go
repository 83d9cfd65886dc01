package sqldb

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/usage"
)

const (
	tallyPut = `INSERT INTO quota_tallies (environment, grant_id, period, begins, gateway, life, calls, at, begun) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (grant_id, period, begins, environment, gateway, life) DO UPDATE SET calls = excluded.calls, at = excluded.at
		WHERE quota_tallies.calls < excluded.calls`
	tallyOthers = `SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM quota_tallies
		WHERE grant_id = $1 AND period = $2 AND begins = $3 AND environment = $4 AND NOT (gateway = $5 AND life = $6)`
	tallyAll = `SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) FROM quota_tallies
		WHERE grant_id = $1 AND period = $2 AND begins = $3 AND environment = $4`
	talliesForget = `DELETE FROM quota_tallies WHERE begins < $1`

	// The row is written by whatever is told, so that two words of one gateway are taken one after the other.
	tallyLife = `INSERT INTO quota_lives (environment, gateway, alone, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (environment, gateway) DO UPDATE SET at = excluded.at,
			alone = CASE WHEN excluded.alone > quota_lives.alone THEN excluded.alone ELSE quota_lives.alone END
		RETURNING alone`
	livesForget = `DELETE FROM quota_lives WHERE at < $1`
	talliesOver = `DELETE FROM quota_tallies WHERE (grant_id, period, begins, environment, gateway, life) IN (
			SELECT t.grant_id, t.period, t.begins, t.environment, t.gateway, t.life FROM quota_lives l
			JOIN quota_tallies t ON t.environment = l.environment AND t.gateway = l.gateway AND t.begun > 0 AND t.begun < l.alone LIMIT $1)
		RETURNING environment, grant_id, period, begins, gateway, calls, at`
	tallyFold = `INSERT INTO quota_tallies (environment, grant_id, period, begins, gateway, life, calls, at, begun) VALUES ($1, $2, $3, $4, $5, '', $6, $7, 0)
		ON CONFLICT (grant_id, period, begins, environment, gateway, life) DO UPDATE SET calls = quota_tallies.calls + excluded.calls, at = excluded.at`
)

func (t *tx) TallyLife(ctx context.Context, l usage.Life, now time.Time) (int64, error) {
	alone := int64(0)
	if l.Alone {
		alone = l.Begun
	}
	return one(ctx, t, scanInt, tallyLife, l.Environment, l.Gateway, alone, at(now))
}

func (t *tx) PutTally(ctx context.Context, c usage.Tally, now time.Time) (int64, error) {
	if _, err := t.exec(ctx, tallyPut, c.Environment, string(c.Grant), c.Period, at(c.From), c.Gateway, c.Life, c.Calls, at(now), c.Begun); err != nil {
		return 0, err
	}
	return one(ctx, t, scanInt, tallyOthers, string(c.Grant), c.Period, at(c.From), c.Environment, c.Gateway, c.Life)
}

func (t *tx) Tallied(ctx context.Context, environment string, grant id.ID, period string, from time.Time) (int64, error) {
	return one(ctx, t, scanInt, tallyAll, string(grant), period, at(from), environment)
}

func (t *tx) FoldTallies(ctx context.Context, most int) (int, error) {
	type over struct {
		environment, grant, period, gateway string
		begins, calls, at                   int64
	}
	scan := func(s row) (o over, err error) {
		return o, s.Scan(&o.environment, &o.grant, &o.period, &o.begins, &o.gateway, &o.calls, &o.at)
	}
	rows, err := all(ctx, t, scan, talliesOver, most)
	if err != nil {
		return 0, err
	}
	for _, o := range rows {
		if _, err := t.exec(ctx, tallyFold, o.environment, o.grant, o.period, o.begins, o.gateway, o.calls, o.at); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

func (t *tx) ForgetTallies(ctx context.Context, before time.Time) error {
	for _, q := range []string{talliesForget, livesForget} {
		if _, err := t.exec(ctx, q, at(before)); err != nil {
			return err
		}
	}
	return nil
}
