package sqldb_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
	"gatehouse/store/storetest"
)

func open(t testing.TB, file string) store.Store {
	t.Helper()
	s, err := sqldb.OpenSQLite(context.Background(), file, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "gatehouse.db")) })
}

// onBoth runs a test on an empty file of SQLite and on an empty database of PostgreSQL. By do it runs statements that the store has none for.
func onBoth(t *testing.T, test func(t *testing.T, s store.Store, do func(q string, args ...any))) {
	by := func(t *testing.T, driver, at string) func(q string, args ...any) {
		db, err := sql.Open(driver, at)
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return func(q string, args ...any) {
			t.Helper()
			_, err := db.ExecContext(t.Context(), q, args...)
			must(t, err)
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "gatehouse.db")
		test(t, open(t, file), by(t, "sqlite", file))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := pgtest.Database(t)
		test(t, openPostgres(t, dsn), by(t, "pgx", dsn.Reveal()))
	})
}
