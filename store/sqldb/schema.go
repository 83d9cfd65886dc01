package sqldb

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"

	"gatehouse/fault"
)

// applicationID marks the file as ours (SQLite's application_id): "GATE".
const applicationID = 0x47415445

// migrate makes or checks the schema and brings it up to date.
func (s *db) migrate(ctx context.Context) error {
	fresh, err := s.check(ctx, s.writing)
	if err != nil {
		return err
	}
	if fresh {
		if _, err := s.writing.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)); err != nil {
			return s.d.fault(err)
		}
	}
	p, err := s.goose(s.writing)
	if err != nil {
		return err
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return s.d.fault(err)
	}
	if current > newest {
		if serves(ctx, s.writing, newest) {
			return nil
		}
		return s.newer(current, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fault.New(fault.Unavailable, "the schema of %s cannot be brought from version %d to %d: restore a backup, or go back to the version of Gatehouse that wrote it", s.file, current, newest).Because(err)
	}
	return nil
}

// serves reports whether a program that knows the schema up to newest can serve with one that is further: then what came
// later was only added.
func serves(ctx context.Context, d *sql.DB, newest int64) bool {
	var floor int64
	err := d.QueryRowContext(ctx, `SELECT MAX(floor) FROM schema_floor`).Scan(&floor)
	return err == nil && floor > 0 && floor <= newest
}

func (s *db) newer(current, newest int64) error {
	return fault.New(fault.Unavailable, "%s has schema version %d, this build of Gatehouse knows up to %d: run the version that wrote it, or restore an older backup", s.file, current, newest)
}

func (s *db) goose(d *sql.DB) (*goose.Provider, error) {
	p, err := goose.NewProvider(s.d.goose, d, s.d.migrations, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fault.New(fault.Internal, "the migrations of this build are broken").Because(err)
	}
	return p, nil
}

// check finds out whose file it is. fresh: nobody's, it is empty.
func (s *db) check(ctx context.Context, d *sql.DB) (fresh bool, err error) {
	var mark, tables int64
	err = d.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&mark)
	if err == nil {
		err = d.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_master`).Scan(&tables)
	}
	switch {
	case err != nil:
		e := fault.As(s.d.fault(err))
		return false, fault.New(fault.Unavailable, "%s: %s", s.file, e.Public).Because(err)
	case mark != applicationID && (mark != 0 || tables > 0):
		return false, fault.New(fault.Unavailable, "%s is a database of another program: name another file", s.file)
	}
	return tables == 0, nil
}

// version is that of the schema, read without changing anything.
func (s *db) version(ctx context.Context, d *sql.DB) (int64, error) {
	var v int64
	err := d.QueryRowContext(ctx, `SELECT MAX(version_id) FROM goose_db_version WHERE is_applied`).Scan(&v)
	if err != nil {
		return 0, s.d.fault(err)
	}
	return v, nil
}

// known refuses a file that is read as it is, unless its schema is the one of this build.
func (s *db) known(ctx context.Context, d *sql.DB, older bool) error {
	fresh, err := s.check(ctx, d)
	if err != nil {
		return err
	}
	if fresh {
		return fault.New(fault.Unavailable, "%s is empty: it holds no records of Gatehouse", s.file)
	}
	v, err := s.version(ctx, d)
	if err != nil {
		return err
	}
	p, err := s.goose(d)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	switch {
	case v > newest:
		return s.newer(v, newest)
	case v < newest && !older:
		return fault.New(fault.Unavailable, "%s has schema version %d, this build reads %d: look at it with the version of Gatehouse that wrote it, or restore it first", s.file, v, newest)
	}
	return nil
}
