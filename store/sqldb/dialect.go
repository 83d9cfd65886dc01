package sqldb

import (
	"embed"
	"errors"
	"io/fs"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gatehouse/fault"
)

// dialect is what differs between databases; every statement is the same text for all.
type dialect struct {
	name       string
	goose      goose.Dialect
	migrations fs.FS
	begin      string                            // of an Update
	contains   func(column, value string) string // the condition that a text is part of another
	fault      func(error) error                 // what an error of the driver means

	// rows are the numbers of rows that one statement writes, the largest first and 1 last: each is a text of its own that a
	// line prepares once. In process a statement costs no way there: SQLite takes rows one by one in 9 µs each, and in 15 to
	// 30 when several are in one statement.
	rows []int

	aborts  bool   // a refused statement ends its transaction
	tables  string // lists the tables, but for those of notMoved
	columns string // lists the columns of table $1 in their order
	keys    string // lists those of its primary key
	numbers string // lists the columns whose values the database gives by itself, as table.column; "": none need care
}

// notMoved are the tables that belong to one database and not to what is kept in it: what its schema is, and which process
// has which duty.
const notMoved = `'goose_db_version', 'schema_floor', 'leases', 'feed_clock'`

//go:embed migrations
var migrations embed.FS

func sqliteDialect() *dialect {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return &dialect{
		name:       "SQLite",
		goose:      goose.DialectSQLite3,
		migrations: dir,
		begin:      `BEGIN IMMEDIATE`,
		contains:   func(column, value string) string { return `instr(` + column + `, ` + value + `) > 0` },
		fault:      sqliteFault,
		rows:       []int{1},
		tables: `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT IN (` + notMoved + `)
			ORDER BY name`,
		columns: `SELECT name FROM pragma_table_info($1) ORDER BY cid`,
		keys:    `SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk`,
	}
}

// sqliteFault says what an error of SQLite means to a caller.
func sqliteFault(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fault.New(fault.Internal, "the database did not understand us").Because(err)
	}
	unavailable := func(text string) error { return fault.New(fault.Unavailable, "%s", text).Because(err) }
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fault.New(fault.Conflict, "something with this name or number exists already").Because(err)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fault.New(fault.Conflict, "this names something that is not there").Because(err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return unavailable("the disk is full: nothing was changed; make room, and try again")
	case sqlite3.SQLITE_READONLY:
		return unavailable("the database cannot be written: give the user that runs Gatehouse write access to its file and folder")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return unavailable("another program holds the database: try again")
	case sqlite3.SQLITE_NOTADB:
		return unavailable("the file is no database: name another file, or restore a backup")
	case sqlite3.SQLITE_CORRUPT:
		return unavailable("the database is damaged: restore a backup")
	case sqlite3.SQLITE_IOERR:
		return unavailable("the disk answers with an error: nothing was changed; look at the system's log")
	case sqlite3.SQLITE_CANTOPEN:
		return unavailable("the database cannot be opened: look at its path, its permissions and the number of open files")
	case sqlite3.SQLITE_NOMEM:
		return unavailable("there is no memory left: nothing was changed")
	case sqlite3.SQLITE_TOOBIG:
		return fault.New(fault.TooLarge, "this is more than the database can hold in one place").Because(err)
	}
	return fault.New(fault.Internal, "the database did not understand us").Because(err)
}
