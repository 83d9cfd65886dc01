package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
)

const (
	changeInsert = `INSERT INTO feed_changes (environment, kind, entity, version, payload, committed) VALUES `
	changeAdd    = changeInsert + `($1, $2, $3, $4, $5, $6)`
	changeAll    = `INSERT INTO feed_shared (kind, entity, version, payload, committed) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (kind, entity) DO UPDATE SET version = excluded.version, payload = excluded.payload, committed = excluded.committed
		WHERE excluded.version > feed_shared.version`
	changesWaiting = `SELECT number, environment, kind, entity, version, payload, committed FROM feed_changes ORDER BY number LIMIT $1`
	changeDone     = `DELETE FROM feed_changes WHERE number = $1`

	entryColumns = `environment, seq, epoch, previous, kind, entity, version, payload, committed, digest, signature`
	entryInsert  = `INSERT INTO feed_entries (` + entryColumns + `) VALUES `
	entryAdd     = entryInsert + `($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	entryHead    = `SELECT epoch, seq, digest FROM feed_entries WHERE environment = $1 ORDER BY seq DESC LIMIT 1`
	entriesAfter = `SELECT ` + entryColumns + ` FROM feed_entries WHERE environment = $1 AND seq > $2 ORDER BY seq LIMIT $3`
	entryGet     = `SELECT ` + entryColumns + ` FROM feed_entries WHERE environment = $1 AND seq = $2`
	entryOf      = `SELECT ` + entryColumns + ` FROM feed_entries WHERE environment = $1 AND kind = $2 AND entity = $3
		ORDER BY seq DESC LIMIT 1`
	versionsOf = `SELECT COALESCE((SELECT e.version FROM feed_entries e WHERE e.environment = $1 AND e.kind = k.column2 AND e.entity = k.column3
		ORDER BY e.seq DESC LIMIT 1), 0) FROM (VALUES `
	credentialRegions = `SELECT c.id, o.region FROM credentials c JOIN organizations o ON o.id = c.organization WHERE o.region <> '' AND c.id IN `
	grantRegions      = `SELECT g.id, o.region FROM grants g JOIN organizations o ON o.id = g.organization WHERE o.region <> '' AND g.id IN `

	receiptColumns = `environment, gateway, epoch, seq, digest, revision, desired, trouble, at`
	receiptPut     = `INSERT INTO receipts (` + receiptColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (environment, gateway) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, digest = excluded.digest,
		revision = excluded.revision, desired = excluded.desired, trouble = excluded.trouble, at = excluded.at
		WHERE (excluded.epoch, excluded.seq, excluded.at) > (receipts.epoch, receipts.seq, receipts.at)`
	placeGet = `SELECT epoch, seq, digest, committed FROM feed_entries WHERE environment = $1 AND seq = $2
		UNION ALL SELECT epoch, seq, digest, committed FROM feed_marks WHERE feed = $1 AND seq = $2 LIMIT 1`
	logCount     = `SELECT COUNT(*) FROM feed_entries WHERE environment = $1`
	logOldest    = `SELECT committed FROM feed_entries WHERE environment = $1 ORDER BY seq LIMIT 1`
	forgottenGet = `SELECT looked, through FROM feed_forgotten WHERE feed = $1`
	forgottenPut = `INSERT INTO feed_forgotten (feed, looked, through) VALUES ($1, $2, $3)
		ON CONFLICT (feed) DO UPDATE SET looked = excluded.looked, through = excluded.through`
	forgetAmong = `SELECT e.epoch, e.seq, e.digest, e.committed, CASE WHEN EXISTS (SELECT 1 FROM feed_entries n WHERE n.environment = e.environment
		AND n.kind = e.kind AND n.entity = e.entity AND n.seq > e.seq) THEN 1 ELSE 0 END
		FROM feed_entries e WHERE e.environment = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq LIMIT $4`
	markInsert = `INSERT INTO feed_marks (feed, seq, epoch, digest, committed) VALUES `
	entryDrop  = `DELETE FROM feed_entries WHERE environment = $1 AND seq IN `

	receiptsOf = `SELECT ` + receiptColumns + ` FROM receipts WHERE environment = $1 ORDER BY gateway`
)

// of is the statement for the feed: the entries of those of regions stand in a table of their own.
func of(name, statement string) string {
	if _, region := env.OfFeed(name); region == "" {
		return statement
	}
	return strings.ReplaceAll(statement, `feed_entries`, `feed_region_entries`)
}

func (t *tx) AppendChange(ctx context.Context, c feed.Change) error {
	if !json.Valid(c.Payload) {
		return fault.New(fault.Internal, "the payload of a change is no JSON")
	}
	if c.Environment != "" {
		if _, err := t.epoch(ctx, c.Environment); err != nil {
			return err
		}
	}
	if t.later != nil && c.Environment != "" {
		t.fresh = true
		return t.add(ctx, &t.later.changes, c.Environment, string(c.Kind), c.Key, c.Version, string(c.Payload), at(c.Committed))
	}
	_, err := t.exec(ctx, changeAdd, c.Environment, string(c.Kind), c.Key, c.Version, string(c.Payload), at(c.Committed))
	if err == nil && c.Environment == "" {
		_, err = t.exec(ctx, changeAll, string(c.Kind), c.Key, c.Version, string(c.Payload), at(c.Committed))
	}
	t.fresh = true
	return err
}

func (t *tx) Unnumbered(ctx context.Context, limit int) ([]feed.Change, error) {
	return all(ctx, t, func(r row) (c feed.Change, err error) {
		var payload string
		err = r.Scan(&c.Row, &c.Environment, &c.Kind, &c.Key, &c.Version, &payload, when{&c.Committed})
		c.Payload = json.RawMessage(payload)
		return c, err
	}, changesWaiting, first(limit))
}

func (t *tx) Number(ctx context.Context, number int64, entries []feed.Entry) error {
	t.told = true
	if t.later != nil {
		return t.numberLater(ctx, number, entries)
	}
	n, err := t.exec(ctx, changeDone, number)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "change %d waits for no number", number)
	}
	for _, e := range entries {
		if err != nil {
			break
		}
		_, err = t.exec(ctx, of(e.Environment, entryAdd), e.Environment, e.Seq, e.Epoch, e.Previous, string(e.Kind), e.Key, e.Version, string(e.Payload),
			at(e.Committed), e.Digest, blob(e.Signature))
	}
	return err
}

// numberLater is Number in a group.
func (t *tx) numberLater(ctx context.Context, number int64, entries []feed.Entry) (err error) {
	for _, e := range entries {
		if err == nil {
			rows := &t.later.entries
			if of(e.Environment, entryInsert) != entryInsert {
				rows = &t.later.regional
			}
			err = t.add(ctx, rows, e.Environment, e.Seq, e.Epoch, e.Previous, string(e.Kind), e.Key, e.Version, string(e.Payload),
				at(e.Committed), e.Digest, blob(e.Signature))
		}
	}
	t.wrote = true
	t.later.numbered = append(t.later.numbered, number)
	return err
}

func (t *tx) Versions(ctx context.Context, environment string, rows []feed.Change) ([]int64, error) {
	out := make([]int64, 0, len(rows))
	for _, n := range together {
		for ; len(rows) >= n; rows = rows[n:] {
			args := []any{environment}
			var values strings.Builder
			for i, c := range rows[:n] {
				args = append(args, int64(i), string(c.Kind), c.Key)
				if i > 0 {
					values.WriteString(`, `)
				}
				fmt.Fprintf(&values, `(CAST($%d AS BIGINT), $%d, $%d)`, 3*i+2, 3*i+3, 3*i+4)
			}
			vs, err := all(ctx, t, scanInt, of(environment, versionsOf)+values.String()+`) AS k ORDER BY k.column1`, args...)
			if err != nil {
				return nil, err
			}
			out = append(out, vs...)
		}
	}
	return out, nil
}

func (t *tx) Regions(ctx context.Context, of []feed.Change) ([]string, error) {
	out, found := make([]string, len(of)), map[string]string{}
	for kind, q := range map[feed.Kind]string{feed.KindCredential: credentialRegions, feed.KindGrant: grantRegions} {
		var keys []any
		for _, c := range of {
			if c.Kind == kind {
				keys = append(keys, c.Key)
			}
		}
		for _, n := range together {
			for ; len(keys) >= n; keys = keys[n:] {
				_, err := all(ctx, t, func(r row) (none struct{}, err error) {
					var key, region string
					err = r.Scan(&key, &region)
					found[key] = region
					return none, err
				}, q+brackets(1, n), keys[:n]...)
				if err != nil {
					return nil, err
				}
			}
		}
	}
	for i, c := range of {
		if c.Kind == feed.KindCredential || c.Kind == feed.KindGrant {
			out[i] = found[c.Key]
		}
	}
	return out, nil
}

func (t *tx) Head(ctx context.Context, environment string) (feed.Position, error) {
	p, err := one(ctx, t, func(r row) (p feed.Position, err error) {
		err = r.Scan(&p.Epoch, &p.Seq, &p.Digest)
		return p, err
	}, of(environment, entryHead), environment)
	if errors.Is(err, sql.ErrNoRows) {
		p.Epoch, err = t.epoch(ctx, environment)
	}
	return p, err
}

func scanEntry(r row) (e feed.Entry, err error) {
	var payload string
	err = r.Scan(&e.Environment, &e.Seq, &e.Epoch, &e.Previous, &e.Kind, &e.Key, &e.Version, &payload, when{&e.Committed}, &e.Digest,
		&e.Signature)
	e.Payload = json.RawMessage(payload)
	return e, err
}

func (t *tx) Entries(ctx context.Context, environment string, after int64, limit int) ([]feed.Entry, error) {
	return all(ctx, t, scanEntry, of(environment, entriesAfter), environment, after, first(limit))
}

func (t *tx) Entry(ctx context.Context, environment string, seq int64) (feed.Entry, error) {
	return get(ctx, t, scanEntry, "entry of the feed", of(environment, entryGet), environment, seq)
}

func (t *tx) EntryOf(ctx context.Context, environment string, k feed.Kind, key string) (feed.Entry, error) {
	return get(ctx, t, scanEntry, "entry of the feed", of(environment, entryOf), environment, string(k), key)
}

func (t *tx) PutReceipt(ctx context.Context, r feed.Receipt) error {
	_, err := t.exec(ctx, receiptPut, r.Environment, r.Gateway, r.Position.Epoch, r.Position.Seq, r.Position.Digest, r.Revision,
		r.Desired, r.Trouble, at(r.At))
	return err
}

func (t *tx) Receipts(ctx context.Context, environment string) ([]feed.Receipt, error) {
	return all(ctx, t, func(r row) (v feed.Receipt, err error) {
		err = r.Scan(&v.Environment, &v.Gateway, &v.Position.Epoch, &v.Position.Seq, &v.Position.Digest, &v.Revision, &v.Desired,
			&v.Trouble, when{&v.At})
		return v, err
	}, receiptsOf, environment)
}
