package sqldb_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/secret"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
)

// followed starts a server of the test's own and a standby of it.
func followed(t *testing.T) (primary, standby *pgtest.Server) {
	t.Helper()
	start := func(s *pgtest.Server, err error) *pgtest.Server {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	primary = start(pgtest.Start("-c", "fsync=off"))
	return primary, start(primary.Standby("-c", "fsync=off"))
}

func database(t *testing.T, s *pgtest.Server) secret.Value {
	t.Helper()
	dsn, err := s.Database()
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// A standby shows what its primary had, cannot be written, and is refused from the moment on in which it can.
func TestStandbyIsReadWhileItFollows(t *testing.T) {
	primary, follows := followed(t)
	dsn := database(t, primary)
	s := openPostgres(t, dsn)
	b, err := sqldb.OpenStandby(t.Context(), follows.At(dsn), s, sqldb.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	clock := feed.Signed{Word: []byte(`{}`), Signature: []byte{1}}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutFeedClock(t.Context(), clock) }); err != nil {
		t.Fatal(err)
	}
	shows := func() error {
		return b.View(t.Context(), func(tx store.Tx) error { _, err := tx.FeedClock(t.Context()); return err })
	}
	until(t, "it shows what was written", func() bool { return shows() == nil })
	if err := b.Update(t.Context(), func(store.Tx) error { return nil }); err == nil {
		t.Error("it is written")
	}
	if err := follows.Do(t.Context(), `SELECT pg_promote()`); err != nil {
		t.Fatal(err)
	}
	until(t, "the promoted one is refused", func() bool {
		return fault.KindOf(shows()) == fault.Unavailable && fault.As(shows()).Code == "standby-promoted"
	})
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// What is no standby of the database that is written is not opened, and it is said why.
func TestStandbyOfAnotherIsRefused(t *testing.T) {
	primary, follows := followed(t)
	dsn, other := database(t, primary), database(t, primary)
	s := openPostgres(t, dsn)
	openPostgres(t, other)
	elsewhere := openPostgres(t, pgtest.Database(t))
	file, err := sqldb.OpenSQLite(t.Context(), t.TempDir()+"/f.db", sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	until(t, "the other database is on the standby", func() bool { return follows.Do(t.Context(), `SELECT 1`) == nil })
	for name, c := range map[string]struct {
		dsn  secret.Value
		of   store.Store
		says string
	}{
		"the primary":                     {dsn, s, "it can be written"},
		"another database":                {follows.At(other), s, "another database"},
		"another server":                  {follows.At(dsn), elsewhere, "follows another server"},
		"a database that does not answer": {secret.New("postgres://postgres@127.0.0.1:1/x?sslmode=disable"), s, "does not answer"},
		"no address":                      {secret.New("host=h port=none"), s, "not understood"},
		"SQLite":                          {follows.At(dsn), file, "not kept in PostgreSQL"},
	} {
		b, err := sqldb.OpenStandby(t.Context(), c.dsn, c.of, sqldb.PostgresOptions{})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = b.Close()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := primary.Do(t.Context(), `SELECT 1`); err != nil {
		t.Fatal(err)
	}
	if err := follows.Do(t.Context(), `SELECT pg_wal_replay_pause()`); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	older := database(t, primary) // the paused one has not heard of it
	of := openPostgres(t, older)
	if _, err := sqldb.OpenStandby(ctx, follows.At(older), of, sqldb.PostgresOptions{}); err == nil || errors.Is(err, fault.NotFound) {
		t.Errorf("one that has not the database yet: %v", err)
	}
}
