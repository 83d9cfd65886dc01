// Package sqldb keeps everything in a SQL database: today in one SQLite file, with texts that PostgreSQL runs as well.
package sqldb

import (
	"context"

	"gatehouse/store"
)

// Options is how a store is opened. The zero value opens for reading and writing, and makes the file when it is not there.
type Options struct {
	// ReadOnly opens a file that exists, changes nothing and takes no lock: to look into a backup.
	ReadOnly bool
}

// OpenSQLite opens the store in the file, makes it when it is not there, and brings its schema up to date. A file that
// cannot serve (of another program, of a newer version, on a network file system, in use, not writable) is one fault with
// the mend in its text.
func OpenSQLite(ctx context.Context, file string, o Options) (store.Store, error) {
	panic("sqldb: to be written")
}
