package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/secret"
	"gatehouse/store"
)

// The bounds of a standby.
const (
	standbyPatience = 30 * time.Second // for it to replay the migrations that were just made
	standbyLook     = 250 * time.Millisecond
)

// standby is a store that is only read: a hot standby of the database that another store writes. Whatever is read of it is a state that
// the other one had, maybe long ago.
type standby struct {
	*pg
	of    *pg
	where string
	once  sync.Once
	never chan struct{}
}

// pgIdentity is what physical copies of one database have in common.
type pgIdentity struct {
	system   string // of the whole server
	database string
}

const pgIdentityGet = `SELECT (SELECT system_identifier::text FROM pg_control_system()), (SELECT oid::text FROM pg_database WHERE datname = current_database())`

// OpenStandby opens a hot standby of the PostgreSQL database that the store keeps its records in, to be read. One that is none is refused
// (of another server or another database, or that can be written), and so is one whose schema has not come to this build's. That is
// looked at again on each connection, and at each view whether it still is a standby. The password is never part of an error.
func OpenStandby(ctx context.Context, dsn secret.Value, of store.Store, o PostgresOptions) (store.Store, error) {
	primary, ok := of.(*pg)
	if !ok {
		return nil, fault.New(fault.Invalid, "the feed cannot be read of a standby: the records are not kept in PostgreSQL")
	}
	s, c, err := newPG(dsn, &o)
	if err != nil {
		return nil, err
	}
	b := &standby{pg: s, of: primary, where: c.Database + " on " + c.Host, never: make(chan struct{})}
	for deadline := time.Now().Add(standbyPatience); ; {
		behind, err := b.compare(ctx)
		if err == nil && !behind {
			return b, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = fault.New(fault.Unavailable, "the standby %s has not the schema of the database that is written, %s after that was brought up to date: look whether it still follows", b.where, standbyPatience)
		}
		if err == nil {
			select {
			case <-time.After(standbyLook):
				continue
			case <-ctx.Done():
				err = givenUp(ctx.Err())
			}
		}
		return nil, errors.Join(err, b.Close())
	}
}

// compare finds out whether it is a standby of the database that is written. behind: of an older schema yet.
func (b *standby) compare(ctx context.Context) (behind bool, err error) {
	l, err := newLine(ctx, b.db)
	if err != nil {
		return false, fault.New(fault.Unavailable, "the standby %s does not answer (%s): look at its address, the password and whether it runs", b.where, pgReason(err)).Because(err)
	}
	defer l.close()
	if err := b.same(ctx, l); err != nil {
		return false, err
	}
	theirs, err := pgVersion(ctx, l)
	if err != nil {
		return false, fault.New(fault.Unavailable, "the standby %s holds no records of Gatehouse", b.where).Because(err)
	}
	var ours int64
	if err = b.of.db.QueryRowContext(ctx, pgVersionGet).Scan(&ours); err != nil {
		return false, b.d.fault(err)
	}
	return theirs < ours, nil
}

const pgVersionGet = `SELECT MAX(version_id) FROM goose_db_version WHERE is_applied`

func pgVersion(ctx context.Context, l *line) (v int64, err error) {
	err = l.conn.QueryRowContext(ctx, pgVersionGet).Scan(&v)
	return v, err
}

// same refuses a connection that does not lead to a standby of the database that is written.
func (b *standby) same(ctx context.Context, l *line) error {
	if err := b.follows(ctx, l); err != nil {
		return err
	}
	var theirs pgIdentity
	if err := l.conn.QueryRowContext(ctx, pgIdentityGet).Scan(&theirs.system, &theirs.database); err != nil {
		return fault.New(fault.Unavailable, "the standby %s does not say of which server it is (%s): grant EXECUTE on pg_control_system() to its user", b.where, pgReason(err)).Because(err)
	}
	ours, err := b.of.identity(ctx)
	switch {
	case err != nil:
		return err
	case theirs.system != ours.system:
		return fault.New(fault.Conflict, "the standby %s follows another server than the database that is written is on (system %s, not %s): name a standby of that one", b.where, theirs.system, ours.system)
	case theirs.database != ours.database:
		return fault.New(fault.Conflict, "the standby %s is of the right server, but another database of it: name the one that records are written to", b.where)
	}
	return nil
}

// follows refuses a server that can be written: then it follows nobody, and may have another history.
func (b *standby) follows(ctx context.Context, l *line) error {
	var recovers bool
	rows, err := l.query(ctx, `SELECT pg_is_in_recovery()`)
	if err == nil {
		for rows.Next() {
			err = errors.Join(err, rows.Scan(&recovers))
		}
		err = errors.Join(err, rows.Err(), rows.Close())
	}
	if err != nil {
		return fmt.Errorf("ask %s whether it is a standby: %w", b.where, b.d.fault(err))
	}
	if !recovers {
		return fault.Of(fault.Unavailable, "standby-promoted", "the database %s, which the feed is read of, is no standby: it can be written, so its history may be another one. Name a hot standby of the database that records are written to", b.where)
	}
	return nil
}

// identity is found once: it never changes while the process runs.
func (s *pg) identity(ctx context.Context) (pgIdentity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == (pgIdentity{}) {
		var i pgIdentity
		if err := s.db.QueryRowContext(ctx, pgIdentityGet).Scan(&i.system, &i.database); err != nil {
			return i, fault.New(fault.Unavailable, "the database does not say of which server it is (%s): grant EXECUTE on pg_control_system() to its user", pgReason(err)).Because(err)
		}
		s.known = i
	}
	return s.known, nil
}

// View implements store.Store.
func (b *standby) View(ctx context.Context, fn func(store.Tx) error) error {
	return b.pg.View(ctx, func(t store.Tx) error {
		l := t.(*tx).line
		if l.compared {
			if err := b.follows(ctx, l); err != nil {
				return err
			}
			return fn(t)
		}
		if err := b.same(ctx, l); err != nil {
			return err
		}
		l.compared = true
		return fn(t)
	})
}

// Update implements store.Store: there is none.
func (b *standby) Update(context.Context, func(store.Tx) error) error {
	return fault.New(fault.Internal, "a standby is only read")
}

// Committed implements store.Store: a standby does not tell.
func (b *standby) Committed() <-chan struct{} { return b.never }

// Close implements store.Store.
func (b *standby) Close() (err error) {
	b.once.Do(func() {
		close(b.stop)
		for range cap(b.seats) {
			if l := <-b.seats; l != nil {
				err = errors.Join(err, l.close())
			}
		}
		err = errors.Join(err, b.db.Close())
	})
	if err != nil {
		return fault.New(fault.Unavailable, "the standby was not left in order").Because(err)
	}
	return nil
}
