package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/mail"
	"gatehouse/organization"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// What SQLite says becomes a fault that a person can do something about. The errors are SQLite's own.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{`PRAGMA foreign_keys = 1`, `CREATE TABLE a (x INTEGER PRIMARY KEY, y TEXT UNIQUE)`, `CREATE TABLE b (x INTEGER REFERENCES a (x))`, `INSERT INTO a VALUES (1, 'y')`} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		do   string
		kind fault.Kind
		text string
	}{
		{`INSERT INTO a VALUES (1, 'z')`, fault.Conflict, "exists already"},
		{`INSERT INTO a VALUES (2, 'y')`, fault.Conflict, "exists already"},
		{`INSERT INTO b VALUES (7)`, fault.Conflict, "not there"},
		{`SELECT nothing`, fault.Internal, ""},
		{`SELECT zeroblob(2000000000)`, fault.TooLarge, "more than the database can hold"},
		{`ATTACH '/proc/self/none/x.db' AS x`, fault.Unavailable, "cannot be opened"},
		{`ATTACH '/proc/self/exe' AS x; SELECT * FROM x.sqlite_master`, fault.Unavailable, "is no database"},
		{`PRAGMA query_only = 1; INSERT INTO a VALUES (3, 'q')`, fault.Unavailable, "cannot be written"},
	} {
		_, err := db.Exec(c.do)
		if err == nil {
			t.Errorf("%s was done", c.do)
			continue
		}
		f := fault.As(sqldb.Fault(err))
		if f.Kind != c.kind || !strings.Contains(f.Public, c.text) || strings.Contains(f.Public, "SQLITE") || !errors.Is(f, err) {
			t.Errorf("%s: %s %q, cause %v", c.do, f.Kind, f.Public, f.Err)
		}
	}
	if f := fault.As(sqldb.Fault(errors.New("x"))); f.Kind != fault.Internal {
		t.Errorf("an error of somebody else: %v", f)
	}
}

func TestNetworkFileSystems(t *testing.T) {
	for magic, want := range map[uint32]string{0x6969: "NFS", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0xef53: "", 0x9123683e: "", 0x01021994: ""} {
		if got := sqldb.NetworkKind(magic); got != want {
			t.Errorf("%#x: got %q, want %q", magic, got, want)
		}
	}
}

// Another program that holds the write lock delays a write and does not break it.
func TestWriteWaitsForAnotherProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	s := open(t, file)
	other, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- put(s, 1) }()
	select {
	case err := <-done:
		t.Fatalf("it was written past the other's lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := c.ExecContext(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// When one update of a group makes the database undo the whole transaction, the others are run again and lose nothing.
func TestGroupSurvivesALostTransaction(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	ctx := context.Background()
	for round := range 20 {
		// While one update holds the turn, others gather behind it.
		held, release := make(chan struct{}), make(chan struct{})
		var first sync.Once // it may run again
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Update(ctx, func(store.Tx) error { first.Do(func() { close(held) }); <-release; return nil }); err != nil && !errors.Is(err, fault.Unavailable) {
				t.Error(err)
			}
		})
		<-held
		for n := range 6 {
			wg.Go(func() {
				if n == 3 {
					err := s.Update(ctx, func(tx store.Tx) error {
						if _, err := tx.PutOrganization(ctx, organization.Organization{ID: idOf(round*10 + n), Name: "lost"}); err != nil {
							return err
						}
						sqldb.Writer(s, `ROLLBACK; PRAGMA query_only = 1; SELECT 'undone'`) // as SQLite does by itself when the disk fails,
						err := tx.AddLetter(ctx, mail.Letter{To: "a@example.org"})          // and says so
						sqldb.Writer(s, `PRAGMA query_only = 0; SELECT 'as before'`)
						if !errors.Is(err, fault.Unavailable) {
							t.Errorf("a disk that fails is told as %v", err)
						}
						if err := tx.AddLetter(ctx, mail.Letter{To: "b@example.org"}); !errors.Is(err, fault.Unavailable) {
							t.Errorf("what follows is taken: %v", err)
						}
						return nil
					})
					if !errors.Is(err, fault.Unavailable) {
						t.Errorf("the one that lost it was told %v", err)
					}
					return
				}
				if err := put(s, round*10+n); err != nil {
					t.Error(err)
				}
			})
		}
		close(release)
		wg.Wait()
		for n := range 6 {
			err := s.View(ctx, func(tx store.Tx) error { _, err := tx.Organization(ctx, idOf(round*10+n)); return err })
			if (n == 3) != errors.Is(err, fault.NotFound) {
				t.Errorf("round %d, update %d: %v", round, n, err)
			}
		}
	}
}

// A view whose caller gives up ends soon, and the connection serves the next one.
func TestViewGivenUp(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	if err := put(s, 1); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.View(ctx, func(tx store.Tx) error {
			if _, err := tx.Organization(ctx, idOf(1)); err != nil {
				return err
			}
			cancel()
			_, err := tx.Organization(ctx, idOf(1))
			return err
		})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, fault.Unavailable) {
			t.Fatalf("got %v", err)
		}
		if err := s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Organization(t.Context(), idOf(1)); return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// An update whose caller gives up in its middle is undone, and what shares its commit is not.
func TestUpdateGivenUpInItsMiddle(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() {
			if n%3 != 0 {
				if err := put(s, n); err != nil {
					t.Error(err)
				}
				return
			}
			ctx, cancel := context.WithCancel(context.Background())
			err := s.Update(ctx, func(tx store.Tx) error {
				if err := tx.AddLetter(ctx, mail.Letter{To: "a@example.org"}); err != nil {
					return err
				}
				cancel()
				return tx.AddLetter(ctx, mail.Letter{To: "a@example.org"})
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		ls, err := tx.ClaimLetters(t.Context(), time.Now(), time.Minute, 100)
		if len(ls) != 0 {
			t.Errorf("%d letters of updates that were given up", len(ls))
		}
		os, e := tx.Organizations(t.Context(), "", "", "", 100)
		if len(os) != 20 {
			t.Errorf("%d of 20 others are there", len(os))
		}
		return errors.Join(err, e)
	})
	if err != nil {
		t.Error(err)
	}
}

// Every connection has the settings that the promises stand on.
func TestPragmas(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	for q, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "trusted_schema": "0"} {
		if got := sqldb.Writer(s, "PRAGMA "+q); got != want {
			t.Errorf("%s is %s, not %s", q, got, want)
		}
	}
}
