package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	locker "github.com/pressly/goose/v3/lock"

	"gatehouse/fault"
	"gatehouse/secret"
	"gatehouse/store"
)

// PostgresOptions is how a PostgreSQL store is opened. Zero fields take the defaults.
type PostgresOptions struct {
	Connections int // at most so many; half of them, rounded up, may be writing (default 16)
	Log         *slog.Logger
}

// The bounds of one call. A statement that takes longer is broken off by the server, so that a lost network cannot leave
// locks behind.
const (
	pgConnections = 16
	pgStatement   = 30 * time.Second
	pgIdle        = 15 * time.Second // within a transaction
	pgTries       = 40               // of an Update that others got in the way of
	pgQueue       = 3                // from this try on they go one after another
	pgPause       = 2 * time.Millisecond
	pgLongest     = 100 * time.Millisecond // between two tries
)

// pgTurn is the number of the lock that those wait for who were in others' way several times.
const pgTurn = int64(0x47415445)

// pg is the store in a PostgreSQL database, which any number of processes share.
type pg struct {
	d      *dialect
	db     *sql.DB
	seats  chan *line // a connection's seat: nil until it has one
	writ   chan struct{}
	groups *pgGroups
	ear    *ear
	stop   chan struct{}
	once   sync.Once

	mu    sync.Mutex
	known pgIdentity
}

// OpenPostgres opens the store in the database that the connection string names (a URL or keywords, as libpq takes them),
// and brings its schema up to date; of several processes that start together one does. A database that cannot serve (not
// reachable, older than PostgreSQL 14, of a newer version of Gatehouse, without the right to make tables) is one fault with
// the mend in its text. The password is never part of it.
func OpenPostgres(ctx context.Context, dsn secret.Value, o PostgresOptions) (_ store.Store, err error) {
	s, c, err := newPG(dsn, &o)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, c); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.ear = listen(c, o.Log)
	s.groups = newPGGroups(s)
	return s, nil
}

// newPG makes a store that has not met its database.
func newPG(dsn secret.Value, o *PostgresOptions) (*pg, *pgx.ConnConfig, error) {
	if o.Connections < 2 {
		o.Connections = pgConnections
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c, err := pgx.ParseConfig(dsn.Reveal())
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "the address of the database is not understood: it has the form postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	c.RuntimeParams["application_name"] = "gatehouse"
	c.RuntimeParams["timezone"] = "UTC"
	c.RuntimeParams["statement_timeout"] = milliseconds(pgStatement)
	c.RuntimeParams["idle_in_transaction_session_timeout"] = milliseconds(pgIdle)
	c.RuntimeParams["synchronous_commit"] = "on" // an answer comes after the sync, whatever the server's default is
	s := &pg{d: postgresDialect(), db: stdlib.OpenDB(*c), seats: make(chan *line, o.Connections), writ: make(chan struct{}, (o.Connections+1)/2), stop: make(chan struct{})}
	s.db.SetMaxOpenConns(o.Connections + 2) // one more for groups, and one for migrations and copies
	s.db.SetMaxIdleConns(o.Connections)
	for range o.Connections {
		s.seats <- nil
	}
	return s, c, nil
}

// migrate brings the schema up to date.
func (s *pg) migrate(ctx context.Context, c *pgx.ConnConfig) error {
	where := c.Database + " on " + c.Host
	var version int64
	var encoding string
	err := s.db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding')`).Scan(&version, &encoding)
	switch {
	case err != nil:
		return fault.New(fault.Unavailable, "the database %s does not answer (%s): look at its address, the password and whether it runs", where, pgReason(err)).Because(err)
	case version < 140000:
		return fault.New(fault.Unavailable, "the database %s is PostgreSQL %d: version 14 or newer is needed", where, version/10000)
	case encoding != "UTF8":
		return fault.New(fault.Unavailable, "the database %s keeps texts as %s: make one with the encoding UTF8", where, encoding)
	}
	one, err := locker.NewPostgresSessionLocker()
	if err != nil {
		return fault.New(fault.Internal, "the lock of migrations is not to be had").Because(err)
	}
	p, err := goose.NewProvider(s.d.goose, s.db, s.d.migrations, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithSessionLocker(one))
	if err != nil {
		return fault.New(fault.Internal, "the migrations of this build are broken").Because(err)
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return s.d.fault(err)
	}
	if current > newest {
		if serves(ctx, s.db, newest) {
			return nil
		}
		return fault.New(fault.Unavailable, "the database %s has schema version %d, this build of Gatehouse knows up to %d: run the version that wrote it, or a newer one", where, current, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fault.New(fault.Unavailable, "the schema of %s cannot be brought from version %d to %d (%s): nothing was changed by the step that failed", where, current, newest, pgReason(err)).Because(err)
	}
	return nil
}

// seat takes a connection. done gives it back; a connection in doubt is closed first.
func (s *pg) seat(ctx context.Context) (l *line, done func(*line), err error) {
	select {
	case <-s.stop:
		return nil, nil, closed()
	default:
	}
	select {
	case l = <-s.seats:
	case <-ctx.Done():
		return nil, nil, givenUp(ctx.Err())
	case <-s.stop:
		return nil, nil, closed()
	}
	done = func(l *line) { s.seats <- l }
	if l == nil {
		if l, err = newLine(ctx, s.db); err != nil {
			done(nil)
			if ctx.Err() != nil {
				return nil, nil, givenUp(ctx.Err())
			}
			return nil, nil, s.d.fault(err)
		}
	}
	return l, done, nil
}

// news is what a commit leaves to say.
type news struct {
	fresh bool // rows to number or seal
	told  bool // what others wait for, and the caller knows
}

// within runs fn between begin and end on one connection.
func (s *pg) within(ctx context.Context, begin string, write, careful, queue bool, fn func(*tx) error) (_ news, err error) {
	l, done, err := s.seat(ctx)
	if err != nil {
		return news{}, err
	}
	t := &tx{line: l, d: s.d, write: write, careful: careful}
	finished, locked := true, false
	end := func(q string, args ...any) {
		if l == nil {
			return
		}
		if _, e := l.exec(context.Background(), q, args...); e != nil {
			_ = l.close()
			l = nil
		}
	}
	defer func() {
		t.over = true
		if !finished {
			end(`ROLLBACK`)
		}
		if locked {
			end(`SELECT pg_advisory_unlock($1)`, pgTurn)
		}
		done(l)
	}()
	if queue {
		if _, err := l.exec(context.Background(), `SELECT pg_advisory_lock($1)`, pgTurn); err != nil {
			_ = l.close()
			l = nil
			return news{}, errRetry{s.d.fault(err), pgLost(err)}
		}
		locked = true
	}
	if _, err := l.exec(context.Background(), begin); err != nil {
		_ = l.close() // the server may have gone: a fresh connection next time
		l = nil
		return news{}, errRetry{s.d.fault(err), pgLost(err)}
	}
	finished = false
	err = fn(t)
	switch {
	case t.again || err == nil && write && t.failed != nil && !careful && !pgAgain(t.failed):
		return news{}, errCareful
	case t.failed != nil && (pgAgain(t.failed) || pgLost(t.failed)):
		return news{}, errRetry{errors.Join(err, s.d.fault(t.failed)), true}
	case err != nil || !write:
		return news{}, err
	}
	if _, err := l.exec(context.Background(), `COMMIT`); err != nil {
		if pgLost(err) {
			_ = l.close()
			l = nil
			return news{}, fault.New(fault.Unavailable, "the database went away while it committed: whether the change was made is to be seen when it is back").Because(err)
		}
		return news{}, errRetry{s.d.fault(err), pgAgain(err)}
	}
	finished = true
	return news{t.fresh, t.told}, nil
}

// errCareful asks for another run, with savepoints: fn went on after a statement that was refused.
var errCareful = errors.New("run it carefully")

// errRetry is an error of the database's own, and whether another try may help.
type errRetry struct {
	error
	again bool
}

func (e errRetry) Unwrap() error { return e.error }

// View implements store.Store. What fn reads is the state after the last commit before its first read.
func (s *pg) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return givenUp(err)
	}
	for try := 1; ; try++ {
		began := false
		_, err := s.within(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`, false, false, false, func(t *tx) error { began = true; return fn(t) })
		var r errRetry
		if errors.As(err, &r) {
			if !began && r.again && try < 3 { // a connection that had died while it waited
				continue
			}
			return r.error
		}
		return err
	}
}

// alone runs an update in a transaction of its own, from that try on in its turn. Such updates run side by side: where two got into each
// other's way, one of them runs again.
func (s *pg) alone(ctx context.Context, queue int, fn func(store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return givenUp(err)
	}
	select {
	case s.writ <- struct{}{}:
		defer func() { <-s.writ }()
	case <-ctx.Done():
		return givenUp(ctx.Err())
	case <-s.stop:
		return closed()
	}
	pause, careful := pgPause, false
	for try := 1; ; try++ {
		left, err := s.within(ctx, s.d.begin, true, careful, try >= queue, func(t *tx) error { return fn(t) })
		if err == nil {
			if left.fresh {
				s.ear.tell()
			} else if left.told {
				s.ear.say()
			}
			return nil
		}
		if errors.Is(err, errCareful) && !careful {
			careful = true
			continue
		}
		var r errRetry
		if !errors.As(err, &r) {
			return err
		}
		if !r.again || try >= pgTries {
			return r.error
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return givenUp(ctx.Err())
		case <-s.stop:
			timer.Stop()
			return closed()
		}
		pause = min(2*pause, pgLongest)
	}
}

// Committed implements store.Store: it hears of commits of other processes too, as long as the database is reached.
func (s *pg) Committed() <-chan struct{} { return s.ear.fresh.next() }

// Backup implements store.Store: it writes a SQLite file, which Inspect reads and Restore takes, from one state of the
// database.
func (s *pg) Backup(ctx context.Context, file string) (err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return fault.New(fault.Unavailable, "the path of the backup is not to be found").Because(err)
	}
	if _, err := os.Lstat(file); err == nil {
		return there(file)
	}
	dir := filepath.Dir(file)
	part := file + "." + secret.Random("part-").Reveal()
	defer func() {
		for _, rest := range []string{"", "-wal", "-shm", ".lock"} {
			if e := os.Remove(part + rest); e != nil && !errors.Is(e, fs.ErrNotExist) && err == nil {
				err = unwritable(dir, e)
			}
		}
	}()
	to, err := open(ctx, part, Options{})
	if err != nil {
		return err
	}
	err = s.View(ctx, func(from store.Tx) error {
		return to.Update(ctx, func(into store.Tx) error { _, err := transfer(ctx, from.(*tx), into.(*tx)); return err })
	})
	if e := to.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return unwritable(dir, err)
	}
	if err := syncFile(part); err != nil {
		return unwritable(dir, err)
	}
	if err := os.Link(part, file); errors.Is(err, fs.ErrExist) {
		return there(file)
	} else if err != nil {
		return unwritable(dir, err)
	}
	if err := syncDir(dir); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

// Close ends the store: calls that have begun are seen through, others are answered fault.Unavailable.
func (s *pg) Close() (err error) {
	s.once.Do(func() {
		close(s.stop)
		<-s.groups.done
		s.ear.close()
		for range cap(s.seats) {
			if l := <-s.seats; l != nil {
				err = errors.Join(err, l.close())
			}
		}
		err = errors.Join(err, s.db.Close())
	})
	if err != nil {
		return fault.New(fault.Unavailable, "the store did not close in order").Because(err)
	}
	return nil
}
