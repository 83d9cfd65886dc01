package sqldb_test

import (
	"context"
	"path/filepath"
	"testing"

	"gatehouse/store"
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
