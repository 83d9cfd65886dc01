package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"gatehouse/fault"
)

func postgresDialect() *dialect {
	dir, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return &dialect{
		name:       "PostgreSQL",
		goose:      goose.DialectPostgres,
		migrations: dir,
		begin:      `BEGIN ISOLATION LEVEL SERIALIZABLE`,
		contains:   func(column, value string) string { return `strpos(` + column + `, ` + value + `) > 0` },
		fault:      postgresFault,
		rows:       []int{128, 64, 32, 16, 8, 4, 2, 1},
		aborts:     true,
		tables: `SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
			AND relname NOT IN (` + notMoved + `) ORDER BY oid`,
		columns: `SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
		keys: `SELECT a.attname::text FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
			WHERE i.indrelid = $1::text::regclass AND i.indisprimary ORDER BY k.place`,
		numbers: `SELECT c.relname::text || '.' || a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attidentity <> '' AND c.relname NOT IN (` + notMoved + `)`,
	}
}

// postgresFault says what an error of PostgreSQL means to a caller.
func postgresFault(err error) error {
	unavailable := func(text string) error { return fault.New(fault.Unavailable, "%s", text).Because(err) }
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		if pgLost(err) {
			return unavailable("the database does not answer: try again")
		}
		return fault.New(fault.Internal, "the database did not understand us").Because(err)
	}
	switch e.Code {
	case "23505":
		return fault.New(fault.Conflict, "something with this name or number exists already").Because(err)
	case "23503":
		return fault.New(fault.Conflict, "this names something that is not there").Because(err)
	case "40001", "40P01":
		return unavailable("too many changes at the same moment: nothing was changed; try again")
	case "53100":
		return unavailable("the database's disk is full: nothing was changed; make room, and try again")
	case "25006", "42501":
		return unavailable("the database cannot be written: give its user the right to write, and name the primary server")
	case "54000", "54001", "22001":
		return fault.New(fault.TooLarge, "this is more than the database can hold in one place").Because(err)
	case "57014":
		return unavailable("the database took too long: nothing was changed; try again")
	}
	switch e.Code[:2] {
	case "08", "53", "57", "58":
		return unavailable("the database cannot serve now (" + e.Message + "): nothing was changed; try again")
	case "XX":
		return unavailable("the database is damaged or has met an error of its own: look at its log")
	case "28":
		return unavailable("the database does not let us in: look at its user and password")
	}
	return fault.New(fault.Internal, "the database did not understand us").Because(err)
}

// pgAgain reports whether the transaction got into another's way: run again, it may pass.
func pgAgain(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// pgLost reports whether the connection is gone.
func pgLost(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return strings.HasPrefix(e.Code, "57P")
	}
	return err != nil && !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, sql.ErrNoRows) && (errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		pgconn.SafeToRetry(err) || errors.As(err, new(*pgconn.ConnectError)) || strings.Contains(err.Error(), "conn closed") ||
		strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "broken pipe"))
}

// pgReason is an error in one line, without the address that it repeats and never with a password.
func pgReason(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Message
	}
	var c *pgconn.ConnectError
	if errors.As(err, &c) {
		if u := errors.Unwrap(c); u != nil {
			text, _, _ := strings.Cut(u.Error(), "\n")
			return text
		}
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
