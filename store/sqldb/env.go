package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/env"
	"gatehouse/fault"
)

const (
	environmentColumns = `name, place, created, epoch, revision, regions`
	environmentsAll    = `SELECT ` + environmentColumns + ` FROM environments ORDER BY place`
	environmentAdd     = `INSERT INTO environments (` + environmentColumns + `)
		VALUES ($1, (SELECT COUNT(*) FROM environments), $2, 1, 0, '[]') RETURNING ` + environmentColumns
	environmentBegins = `INSERT INTO feed_changes (environment, kind, entity, version, payload, committed)
		SELECT $1, kind, entity, version, payload, committed FROM feed_shared ORDER BY committed, kind DESC, entity`
	environmentRegions = `UPDATE environments SET regions = $2 WHERE name = $1`
	environmentRaise   = `UPDATE environments SET epoch = epoch + 1 WHERE name = $1 RETURNING epoch`
	environmentPublish = `UPDATE environments SET revision = revision + 1 WHERE name = $1 RETURNING revision`
	environmentEpoch   = `SELECT epoch FROM environments WHERE name = $1`

	// Once there is a region, a program that does not know of them must not number: it would leave its feed out. From this floor on
	// it does not start, and the fence of migration 163 stops one that runs.
	regionFloor  = `UPDATE schema_floor SET floor = $1 WHERE floor < $1`
	regionsSince = 163

	revisionColumns = `environment, number, digest, bundle, by_person, at, note`
	revisionAdd     = `INSERT INTO revisions (` + revisionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ` + revisionColumns
	revisionGet     = `SELECT ` + revisionColumns + ` FROM revisions WHERE environment = $1 AND number = $2`
	revisionNewest  = `SELECT ` + revisionColumns + ` FROM revisions WHERE environment = $1 ORDER BY number DESC LIMIT 1`
	revisionsOf     = `SELECT environment, number, digest, by_person, at, note FROM revisions`
)

func scanEnvironment(r row) (e env.Environment, err error) {
	err = r.Scan(&e.Name, &e.Order, when{&e.Created}, &e.Epoch, &e.Revision, from[[]env.Region]{&e.Regions})
	if len(e.Regions) == 0 {
		e.Regions = nil
	}
	return e, err
}

func (t *tx) Environments(ctx context.Context) ([]env.Environment, error) {
	return all(ctx, t, scanEnvironment, environmentsAll)
}

func (t *tx) AddEnvironment(ctx context.Context, name string, now time.Time) (env.Environment, error) {
	if err := env.CheckName(name); err != nil {
		return env.Environment{}, err
	}
	if !t.write {
		return env.Environment{}, fault.New(fault.Internal, "a view changes nothing")
	}
	e, err := one(ctx, t, scanEnvironment, environmentAdd, name, at(now))
	if err != nil {
		return e, err
	}
	n, err := t.exec(ctx, environmentBegins, name)
	t.fresh = t.fresh || n > 0
	return e, err
}

func (t *tx) SetRegions(ctx context.Context, name string, regions []env.Region) error {
	if regions == nil {
		regions = []env.Region{}
	}
	n, err := t.exec(ctx, environmentRegions, name, doc(regions))
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "there is no environment %q", name)
	}
	if err == nil && len(regions) > 0 {
		_, err = t.exec(ctx, regionFloor, int64(regionsSince))
	}
	return err
}

func (t *tx) RaiseEpoch(ctx context.Context, name string) (int64, error) {
	if !t.write {
		return 0, fault.New(fault.Internal, "a view changes nothing")
	}
	return get(ctx, t, scanInt, "environment", environmentRaise, name)
}

func scanRevision(r row) (v env.Revision, err error) {
	err = r.Scan(&v.Environment, &v.Number, &v.Digest, &v.Bundle, &v.By, when{&v.At}, &v.Note)
	return v, err
}

func (t *tx) AddRevision(ctx context.Context, r env.Revision) (env.Revision, error) {
	if !t.write {
		return r, fault.New(fault.Internal, "a view changes nothing")
	}
	n, err := get(ctx, t, scanInt, "environment", environmentPublish, r.Environment)
	if err != nil {
		return r, err
	}
	return one(ctx, t, scanRevision, revisionAdd, r.Environment, n, r.Digest, blob(r.Bundle), string(r.By), at(r.At), r.Note)
}

func (t *tx) Revision(ctx context.Context, environment string, number int64) (env.Revision, error) {
	if number == 0 {
		return get(ctx, t, scanRevision, "revision", revisionNewest, environment)
	}
	return get(ctx, t, scanRevision, "revision", revisionGet, environment, number)
}

func (t *tx) Revisions(ctx context.Context, environment string, before int64, limit int) ([]env.Revision, error) {
	var w where
	w.must(`environment = $`, environment)
	if before > 0 {
		w.must(`number < $`, before)
	}
	q := revisionsOf + w.text + ` ORDER BY number DESC LIMIT ` + w.add(first(limit))
	return all(ctx, t, func(r row) (v env.Revision, err error) {
		err = r.Scan(&v.Environment, &v.Number, &v.Digest, &v.By, when{&v.At}, &v.Note)
		return v, err
	}, q, w.args...)
}

// epoch is that of the environment whose feed it is, or fault.NotFound.
func (t *tx) epoch(ctx context.Context, feed string) (int64, error) {
	environment, _ := env.OfFeed(feed)
	if t.shared != nil {
		if n, known := t.shared.epochs[environment]; known {
			return n, nil
		}
	}
	n, err := one(ctx, t, scanInt, environmentEpoch, environment)
	if err == nil && t.shared != nil {
		if t.shared.epochs == nil {
			t.shared.epochs = map[string]int64{}
		}
		t.shared.epochs[environment] = n
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fault.New(fault.NotFound, "there is no environment %q", environment)
	}
	return n, err
}
