// Package sqldb keeps everything in a SQL database: today in one SQLite file, with texts that PostgreSQL runs as well.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"sync"

	"gatehouse/fault"
	"gatehouse/store"
)

// Options is how a store is opened. The zero value opens for reading and writing, and makes the file when it is not there.
type Options struct {
	// ReadOnly opens a file that exists, changes nothing and takes no lock: to look into a backup.
	ReadOnly bool
	older    bool // a file of an older schema will do: it is only copied
}

// readers is how many views can run at once; more wait for their turn.
const readers = 16

// db is the store: one connection that writes, and some that read.
type db struct {
	file    string
	d       *dialect
	writing *sql.DB // nil when the store is read-only
	reading *sql.DB
	w       *writer
	seats   chan *line // a reader's seat: nil until it has a connection
	lock    *fileLock
	stop    chan struct{}
	once    sync.Once
}

// OpenSQLite opens the store in the file, makes it when it is not there, and brings its schema up to date. A file that
// cannot serve (of another program, of a newer version, on a network file system, in use, not writable) is one fault with
// the mend in its text.
func OpenSQLite(ctx context.Context, file string, o Options) (store.Store, error) {
	return open(ctx, file, o)
}

func open(ctx context.Context, file string, o Options) (_ *db, err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the path of the database is not to be found").Because(err)
	}
	s := &db{file: file, d: sqliteDialect(), seats: make(chan *line, readers), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if o.ReadOnly {
		if err := exists(file); err != nil {
			return nil, err
		}
	} else {
		if s.lock, err = prepare(file); err != nil {
			return nil, err
		}
		s.writing, err = sql.Open("sqlite", dsn(file, "rw"))
		if err != nil {
			return nil, s.d.fault(err)
		}
		s.writing.SetMaxOpenConns(1)
		if err := s.migrate(ctx); err != nil {
			return nil, err
		}
	}
	s.reading, err = sql.Open("sqlite", dsn(file, "ro"))
	if err != nil {
		return nil, s.d.fault(err)
	}
	s.reading.SetMaxOpenConns(readers)
	s.reading.SetMaxIdleConns(readers)
	for range readers {
		s.seats <- nil
	}
	if o.ReadOnly {
		return s, s.known(ctx, s.reading, o.older)
	}
	l, err := newLine(ctx, s.writing)
	if err != nil {
		return nil, s.d.fault(err)
	}
	s.w = newWriter(l, s.d)
	return s, nil
}

// dsn names the file with every pragma: a connection that is opened later has them too. The wait for a lock comes first, as
// setting the others may need one. The modes: rw writes, ro reads, copy reads and may write a copy elsewhere, fold opens a
// file only to end its write-ahead log.
func dsn(file, mode string) string {
	access := mode
	switch mode {
	case "copy":
		access = "ro"
	case "fold":
		access = "rw"
	}
	q := "mode=" + access +
		"&_pragma=busy_timeout(5000)" +
		"&_pragma=foreign_keys(1)" +
		"&_pragma=trusted_schema(0)" +
		"&_pragma=cell_size_check(1)" +
		"&_pragma=temp_store(memory)" +
		"&_dqs=0&_error_rc=1"
	cache := "-8000"
	if mode == "rw" {
		cache = "-32000" // KiB: the one that writes touches a dozen indexes
	}
	q += "&_pragma=cache_size(" + cache + ")"
	switch mode {
	case "rw":
		q += "&_pragma=wal_autocheckpoint(4000)" + // pages: the less often, the more commits share the writing of a page
			"&_pragma=journal_mode(wal)" +
			"&_pragma=synchronous(full)" +
			"&_pragma=journal_size_limit(67108864)" +
			"&_txlock=immediate"
	case "ro":
		q += "&_pragma=query_only(1)"
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(file), RawQuery: q}
	return u.String()
}

// View implements store.Store. What fn reads is the state after the last commit before its first read.
func (s *db) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return givenUp(err)
	}
	var l *line
	select {
	case <-s.stop:
		return closed()
	default:
	}
	select {
	case l = <-s.seats:
	case <-ctx.Done():
		return givenUp(ctx.Err())
	case <-s.stop:
		return closed()
	}
	t := &tx{line: l, d: s.d}
	defer func() { t.over = true; s.seats <- l }()
	if l == nil {
		var err error
		if l, err = newLine(ctx, s.reading); err != nil {
			l = nil
			return t.fault(ctx, err)
		}
		t.line = l
	}
	if _, err := l.exec(context.Background(), `BEGIN`); err != nil {
		_ = l.close()
		l = nil // a fresh one next time
		return t.fault(ctx, err)
	}
	defer func() {
		if _, err := l.exec(context.Background(), `ROLLBACK`); err != nil {
			_ = l.close()
			l = nil
		}
	}()
	return fn(t)
}

// Update implements store.Store.
func (s *db) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.w == nil {
		return fault.New(fault.Unavailable, "the store was opened to be read only")
	}
	return s.w.update(ctx, fn)
}

// Committed implements store.Store.
func (s *db) Committed() <-chan struct{} {
	if s.w == nil {
		return s.stop
	}
	return s.w.fresh.next()
}

// Close ends the store: calls that have begun are seen through, others are answered fault.Unavailable.
func (s *db) Close() (err error) {
	s.once.Do(func() {
		close(s.stop)
		if s.w != nil {
			err = s.w.close()
		}
		for range cap(s.seats) {
			if s.reading == nil {
				break
			}
			if l := <-s.seats; l != nil {
				err = errors.Join(err, l.close())
			}
		}
		for _, d := range []*sql.DB{s.reading, s.writing} { // the one that writes last: it folds the log into the file
			if d != nil {
				err = errors.Join(err, d.Close())
			}
		}
		err = errors.Join(err, s.lock.release())
	})
	if err != nil {
		return fault.New(fault.Unavailable, "the store did not close in order").Because(err)
	}
	return nil
}
