package sqldb

import (
	"context"

	"gatehouse/drift"
	"gatehouse/drift/watch"
	"gatehouse/id"
)

const (
	driftRunInsert = `INSERT INTO drift_runs (id, at, by_person, verdict, open, worst, fresh, result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	driftRunTrim   = `DELETE FROM drift_runs WHERE id NOT IN (SELECT id FROM drift_runs ORDER BY id DESC LIMIT $1)`
	driftRunGet    = `SELECT id, at, by_person, verdict, open, worst, fresh, result FROM drift_runs WHERE id = $1`
	driftRunList   = `SELECT id, at, by_person, verdict, open, worst, fresh FROM drift_runs ORDER BY id DESC LIMIT $1`

	driftBundlePut = `INSERT INTO drift_bundles (environment, at, by_person, bytes, digest, seen) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (environment) DO UPDATE SET at = excluded.at, by_person = excluded.by_person, bytes = excluded.bytes, digest = excluded.digest, seen = excluded.seen`
	driftBundleList = `SELECT environment, at, by_person, bytes, digest, seen FROM drift_bundles ORDER BY environment`

	driftWaiverColumns = `id, rule, finding, environment, owner, reason, by_person, created, ends, ended, version`
	driftWaiverGet     = `SELECT ` + driftWaiverColumns + ` FROM drift_waivers WHERE id = $1`
	driftWaiverHas     = `SELECT version FROM drift_waivers WHERE id = $1`
	driftWaiverInsert  = `INSERT INTO drift_waivers (` + driftWaiverColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 + 1) RETURNING ` + driftWaiverColumns
	driftWaiverUpdate = `UPDATE drift_waivers SET rule = $2, finding = $3, environment = $4, owner = $5, reason = $6, by_person = $7, created = $8,
		ends = $9, ended = $10, version = version + 1 WHERE id = $1 AND version = $11 RETURNING ` + driftWaiverColumns
	driftWaiverList = `SELECT ` + driftWaiverColumns + ` FROM drift_waivers`
)

func scanDriftRun(r row) (w watch.Run, err error) {
	w.Result = &drift.Result{}
	err = r.Scan(&w.ID, when{&w.At}, &w.By, &w.Verdict, &w.Open, &w.Worst, &w.Fresh, from[*drift.Result]{&w.Result})
	return w, err
}

func scanDriftRunBrief(r row) (w watch.Run, err error) {
	err = r.Scan(&w.ID, when{&w.At}, &w.By, &w.Verdict, &w.Open, &w.Worst, &w.Fresh)
	return w, err
}

func scanDriftWaiver(r row) (w watch.Waiver, err error) {
	err = r.Scan(&w.ID, &w.Rule, &w.Finding, &w.Environment, &w.Owner, &w.Reason, &w.By, when{&w.Created}, when{&w.Ends}, when{&w.Ended}, &w.Version)
	return w, err
}

func (t *tx) AddDriftRun(ctx context.Context, r watch.Run) error {
	if _, err := t.exec(ctx, driftRunInsert, string(r.ID), at(r.At), string(r.By), r.Verdict, r.Open, r.Worst, r.Fresh, doc(r.Result)); err != nil {
		return err
	}
	_, err := t.exec(ctx, driftRunTrim, watch.Kept)
	return err
}

func (t *tx) DriftRun(ctx context.Context, i id.ID) (watch.Run, error) {
	return get(ctx, t, scanDriftRun, "drift run", driftRunGet, string(i))
}

func (t *tx) DriftRuns(ctx context.Context, limit int) ([]watch.Run, error) {
	return all(ctx, t, scanDriftRunBrief, driftRunList, first(limit))
}

func scanDriftBundle(r row) (b watch.Bundle, err error) {
	b.Seen = &drift.Environment{}
	err = r.Scan(&b.Environment, when{&b.At}, &b.By, &b.Bytes, &b.Digest, from[*drift.Environment]{&b.Seen})
	return b, err
}

func (t *tx) PutDriftBundle(ctx context.Context, b watch.Bundle) error {
	_, err := t.exec(ctx, driftBundlePut, b.Environment, at(b.At), string(b.By), b.Bytes, b.Digest, doc(b.Seen))
	return err
}

func (t *tx) DriftBundles(ctx context.Context) ([]watch.Bundle, error) {
	return all(ctx, t, scanDriftBundle, driftBundleList)
}

func (t *tx) PutDriftWaiver(ctx context.Context, w watch.Waiver) (watch.Waiver, error) {
	return put(ctx, t, scanDriftWaiver, "waiver", driftWaiverInsert, driftWaiverUpdate, driftWaiverHas, string(w.ID), w.Rule, w.Finding, w.Environment,
		w.Owner, w.Reason, string(w.By), at(w.Created), at(w.Ends), at(w.Ended), w.Version)
}

func (t *tx) DriftWaiver(ctx context.Context, i id.ID) (watch.Waiver, error) {
	return get(ctx, t, scanDriftWaiver, "waiver", driftWaiverGet, string(i))
}

func (t *tx) DriftWaivers(ctx context.Context, after id.ID, limit int) ([]watch.Waiver, error) {
	var w where
	q := driftWaiverList + w.page(string(after), limit)
	return all(ctx, t, scanDriftWaiver, q, w.args...)
}
