package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/mail"
	"gatehouse/organization"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

// raw does to a file what another program could.
func raw(t *testing.T, file string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func made(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	s, err := sqldb.OpenSQLite(t.Context(), file, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file func(t *testing.T) string
		mend string
	}{
		"a file that is no database": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "gatehouse.db")
			if err := os.WriteFile(file, []byte(strings.Repeat("this is a letter, not a database\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}, "is no database: name another file"},
		"a database of another program": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "gatehouse.db")
			raw(t, file, `CREATE TABLE people (name TEXT)`)
			return file
		}, "is a database of another program: name another file"},
		"a marked database of another program": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "gatehouse.db")
			raw(t, file, `PRAGMA application_id = 77`)
			return file
		}, "is a database of another program: name another file"},
		"a newer schema": {func(t *testing.T) string {
			file := made(t)
			raw(t, file, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
			raw(t, file, `UPDATE schema_floor SET floor = 9999`)
			return file
		}, "schema version 9999, this build of Gatehouse knows up to " + newest(t) + ": run the version that wrote it"},
		"a folder": {func(t *testing.T) string { return t.TempDir() }, "is no regular file: name another one"},
		"a folder that is a file": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(file, "gatehouse.db")
		}, "cannot write to"},
		"a folder where nobody can write": {func(*testing.T) string { return "/proc/self/gatehouse/gatehouse.db" }, "give the user that runs Gatehouse write access, or name another folder"},
		"a file in use": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "gatehouse.db")
			open(t, file)
			return file
		}, "is in use by another process of Gatehouse: stop that one first, or ask it"},
		"a damaged file": {func(t *testing.T) string {
			file := made(t)
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(strings.Repeat("damage", 3000)), 100); err != nil {
				t.Fatal(err)
			}
			return file
		}, "the database is damaged: restore a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sqldb.OpenSQLite(t.Context(), c.file(t), sqldb.Options{})
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			f := fault.As(err)
			if f.Kind != fault.Unavailable || !strings.Contains(f.Public, c.mend) || strings.Contains(f.Public, "\n") {
				t.Errorf("got %s: %q\nwant %q (cause: %v)", f.Kind, f.Public, c.mend, err)
			}
		})
	}
}

// A file whose name holds what has a meaning in an address is a file all the same.
func TestOpenAnyName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "a?mode=memory.db", "a#b.db", "100%41.db", "日本.db", "a&b;c.db"} {
		file := filepath.Join(dir, "deep", name)
		open(t, file)
		i, err := os.Stat(file)
		if err != nil || i.Size() == 0 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if i.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v", name, i.Mode())
		}
	}
}

// What the file holds is there after opening it again, and a schema that is up to date is left alone.
func TestOpenAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	for n := range 3 {
		s, err := sqldb.OpenSQLite(t.Context(), file, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var os []organization.Organization
		err = s.Update(t.Context(), func(tx store.Tx) (err error) {
			if os, err = tx.Organizations(t.Context(), "", "", "", 10); err != nil {
				return err
			}
			_, err = tx.PutOrganization(t.Context(), organization.Organization{ID: idOf(n), Name: "A"})
			return err
		})
		if err != nil || len(os) != n {
			t.Errorf("round %d: %d organizations, %v", n, len(os), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	file := made(t)
	s, err := sqldb.OpenSQLite(t.Context(), file, sqldb.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Update(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, fault.Unavailable) {
		t.Errorf("an update of a store that is read only: %v", err)
	}
	if _, err := sqldb.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "none.db"), sqldb.Options{ReadOnly: true}); !errors.Is(err, fault.NotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// When the disk is full, what does not fit is refused and told so, what was in front of it is kept, and once there is room
// all goes on.
func TestDiskFull(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	s := open(t, file)
	limit, done := sqldb.LimitPages(s)
	letter := func(size int) error {
		return s.Update(context.Background(), func(tx store.Tx) error {
			return tx.AddLetter(context.Background(), mail.Letter{To: "a@example.org", Text: strings.Repeat("x", size), At: time.Now()})
		})
	}
	if err := letter(10); err != nil {
		t.Fatal(err)
	}
	limit()
	err := letter(4 << 20)
	if f := fault.As(err); f.Kind != fault.Unavailable || !strings.Contains(f.Public, "the disk is full: nothing was changed") {
		t.Errorf("got %v", err)
	}
	if err := letter(10); err != nil {
		t.Errorf("what fits is refused too: %v", err)
	}
	done()
	if err := letter(4 << 20); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	var ls []store.Posted
	if err := s.Update(context.Background(), func(tx store.Tx) (err error) {
		ls, err = tx.ClaimLetters(context.Background(), time.Now(), time.Minute, 10)
		return err
	}); err != nil || len(ls) != 3 {
		t.Errorf("%d letters, %v", len(ls), err)
	}
}

// newest is the number of the newest migration, as the folder has it.
func newest(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	name, _, _ := strings.Cut(filepath.Base(slices.Max(files)), "_")
	return strings.TrimLeft(name, "0")
}

// A program serves with a schema that is further than it knows, as long as nothing it uses was taken away.
func TestNewerSchemaThatOnlyAddedIsServed(t *testing.T) {
	file := made(t)
	raw(t, file, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`, `ALTER TABLE people ADD COLUMN later TEXT NOT NULL DEFAULT ''`)
	s := open(t, file)
	if err := s.Update(t.Context(), func(tx store.Tx) error { _, err := tx.AddEnvironment(t.Context(), "live", time.Now()); return err }); err != nil {
		t.Error(err)
	}
}

// Migrations from here on run while the release before still serves: they only add, or say from which schema on a program can
// serve with them.
func TestMigrationsOnlyAddOrRaiseTheFloor(t *testing.T) {
	takes := regexp.MustCompile(`(?i)\b(DROP (?:TABLE|COLUMN|VIEW|CONSTRAINT|DEFAULT)|RENAME|ALTER COLUMN)\b|\bADD COLUMN\b[^;]*\bNOT NULL\b(?:[^;]*)`)
	for _, folder := range []string{"sqlite", "postgres"} {
		files, err := filepath.Glob("migrations/" + folder + "/*.sql")
		if err != nil || len(files) == 0 {
			t.Fatal("no migrations", err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			number, _, _ := strings.Cut(filepath.Base(file), "_")
			if number <= "0095" || strings.Contains(string(b), "UPDATE schema_floor") {
				continue
			}
			for _, what := range takes.FindAllString(string(b), -1) {
				if !strings.Contains(strings.ToUpper(what), "DEFAULT") {
					t.Errorf("%s: %q breaks the release before: give a default, or raise the floor with UPDATE schema_floor", file, what)
				}
			}
		}
	}
}
