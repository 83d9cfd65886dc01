package sqldb

import (
	"context"
	"database/sql"
	"fmt"

	"gatehouse/store"
)

// LimitPages lets tests fill the disk: after limit the file grows no more, until done.
func LimitPages(st store.Store) (limit, done func()) {
	s := st.(*db)
	set := func(q string) func() {
		return func() {
			l := s.w.line
			if _, err := l.conn.ExecContext(context.Background(), q); err != nil {
				panic(err)
			}
		}
	}
	return set(`PRAGMA max_page_count = 1`), set(`PRAGMA max_page_count = 1000000`)
}

// NetworkKind and Fault are tested from outside.
var (
	NetworkKind = networkKind
	Fault       = sqliteFault
)

// Writer runs a query on the connection that writes.
func Writer(st store.Store, q string) (v string) {
	if err := st.(*db).w.line.conn.QueryRowContext(context.Background(), q).Scan(&v); err != nil {
		panic(err)
	}
	return v
}

// MakeOld makes a file with the schema of an earlier version, and one environment in it.
func MakeOld(ctx context.Context, file string, version int64) error {
	d, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer d.Close()
	s := &db{file: file, d: sqliteDialect()}
	if _, err := d.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)); err != nil {
		return err
	}
	p, err := s.goose(d)
	if err != nil {
		return err
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return err
	}
	_, err = d.ExecContext(ctx, `INSERT INTO environments (name, place, created, epoch, revision) VALUES ('live', 0, 5, 1, 0)`)
	return err
}

// Differ says in what the schemas of two stores differ.
func Differ(ctx context.Context, a, b store.Store) (d string) {
	of := func(s store.Store) (list []table) {
		if err := s.View(ctx, func(t store.Tx) (err error) { list, err = t.(*tx).tables(ctx); return err }); err != nil {
			panic(err)
		}
		return list
	}
	return differ(of(a), of(b))
}

// PostgresTurn is the lock by which the processes that share a PostgreSQL database take turns.
const PostgresTurn = pgTurn
