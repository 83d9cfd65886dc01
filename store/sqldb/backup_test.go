package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/session"
	"gatehouse/store"
	"gatehouse/store/sqldb"
)

func idOf(n int) id.ID { return id.ID(fmt.Sprintf("org_%06d", n)) }

// put writes an organization with its audit entry.
func put(s store.Store, n int) error {
	ctx := context.Background()
	return s.Update(ctx, func(tx store.Tx) error {
		o, err := tx.PutOrganization(ctx, organization.Organization{ID: idOf(n), Name: "A"})
		if err != nil {
			return err
		}
		return tx.AppendAudit(ctx, audit.New(time.Now(), audit.Entry{Action: "organization.register", Object: o.ID}))
	})
}

// A backup taken while many write is one state of the store: every write is in it whole or not at all, and everything that
// was answered before it began is in it.
func TestBackupWhileInUse(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := put(s, k*100_000+n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	dir := t.TempDir()
	for n := range 5 {
		before := 900_000 + n
		if err := put(s, before); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, fmt.Sprint(n, ".db"))
		if err := s.Backup(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		sum, err := sqldb.Inspect(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if sum.Organizations != sum.Unsealed || sum.Organizations == 0 {
			t.Errorf("%d organizations and %d audit entries", sum.Organizations, sum.Unsealed)
		}
		b, err := sqldb.OpenSQLite(t.Context(), file, sqldb.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.View(t.Context(), func(tx store.Tx) error { _, err := tx.Organization(t.Context(), idOf(before)); return err }); err != nil {
			t.Errorf("what was answered before the backup: %v", err)
		}
		b.Close()
		if i, err := os.Stat(file); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("the backup can be read by others: %v, %v", i.Mode(), err)
		}
	}
	close(stop)
	wg.Wait()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 5 {
		t.Errorf("beside the backups there is more: %v", left)
	}
}

func TestBackupRefuses(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	file := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), file); !errors.Is(err, fault.Conflict) {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file was changed: %q, %v", b, err)
	}
	if err := s.Backup(t.Context(), "/proc/self/backup.db"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("where nobody can write: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := filepath.Join(t.TempDir(), "fresh")
	if err := s.Backup(ctx, fresh); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if left, _ := filepath.Glob(fresh + "*"); len(left) != 0 {
		t.Errorf("a backup that was given up left %v", left)
	}
}

func TestInspectDamage(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "gatehouse.db"))
	for n := range 300 {
		if err := put(s, n); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), string(idOf(123)))
	if at < 0 {
		t.Fatal("the row is not in the file")
	}
	page := at / 4096 * 4096
	copy(b[page:], make([]byte, 512)) // the head of a page
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqldb.Inspect(t.Context(), file); !errors.Is(err, fault.Unavailable) || !strings.Contains(fault.As(err).Public, "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	target := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := sqldb.Restore(t.Context(), file, target, time.Now()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("restoring a damaged file: %v", err)
	}
	if left, _ := filepath.Glob(target + "*"); len(left) > 1 || len(left) == 1 && left[0] != target+".lock" {
		t.Errorf("a restore that failed left %v", left)
	}
}

func TestRestore(t *testing.T) {
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	s, err := sqldb.OpenSQLite(ctx, file, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	link := identity.Link{Hash: [32]byte{1}, Purpose: identity.SignInLink, Person: "per_1", Expires: time.Now().Add(time.Hour)}
	err = s.Update(ctx, func(tx store.Tx) error {
		for _, e := range []string{"live", "test"} {
			if _, err := tx.AddEnvironment(ctx, e, time.Now()); err != nil {
				return err
			}
		}
		if err := tx.AddSession(ctx, session.Session{ID: "ses_1", Hash: [32]byte{1}, Person: "per_1"}); err != nil {
			return err
		}
		if _, err := tx.PutMachine(ctx, identity.MachineToken{ID: "mt_1", Hash: [32]byte{1}, Person: "per_1"}); err != nil {
			return err
		}
		return tx.AddLink(ctx, link)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(s, 1); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.Restore(ctx, backup, file, time.Now()); !errors.Is(err, fault.Conflict) || fault.As(err).Code != "in-use" {
		t.Errorf("over a database in use: %v", err)
	}
	if err := put(s, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.Restore(ctx, backup, file, time.Now()); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "move it") {
		t.Errorf("over a database that holds more: %v", err)
	}
	if err := sqldb.Restore(ctx, backup, backup, time.Now()); !errors.Is(err, fault.Invalid) {
		t.Errorf("over itself: %v", err)
	}
	if err := sqldb.Restore(ctx, backup+"x", file, time.Now()); !errors.Is(err, fault.NotFound) {
		t.Errorf("from nothing: %v", err)
	}

	fresh := filepath.Join(t.TempDir(), "new", "gatehouse.db")
	restore := func() {
		t.Helper()
		if err := sqldb.Restore(ctx, backup, fresh, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	restore()
	check := func(entries int) {
		t.Helper()
		r := open(t, fresh)
		err := r.Update(ctx, func(tx store.Tx) error {
			es, err := tx.Environments(ctx)
			if err != nil {
				return err
			}
			for _, e := range es {
				if e.Epoch != 2 {
					t.Errorf("the epoch of %s is %d", e.Name, e.Epoch)
				}
			}
			if ss, err := tx.SessionsOf(ctx, "per_1"); err != nil || len(ss) != 0 {
				t.Errorf("sessions: %v, %v", ss, err)
			}
			if m, err := tx.Machine(ctx, "mt_1"); err != nil || m.Revoked.IsZero() {
				t.Errorf("a machine token: %+v, %v", m, err)
			}
			if _, err := tx.UseLink(ctx, link.Hash, link.Purpose, time.Now()); !errors.Is(err, fault.Gone) {
				t.Errorf("a link: %v", err)
			}
			if _, err := tx.Organization(ctx, idOf(1)); err != nil {
				t.Error(err)
			}
			as, err := tx.AuditEntries(ctx, audit.Filter{}, 10)
			if err != nil || len(as) != entries || as[0].Action != "store.restore" {
				t.Errorf("audit: %v, %v", as, err)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	check(2)
	if err := sqldb.Restore(ctx, backup, fresh, time.Now()); !errors.Is(err, fault.Conflict) {
		t.Errorf("over a restored one, whose log knows of it: %v", err)
	}
	// A target that the backup holds whole is replaced: here an older backup of the same store.
	older := filepath.Join(t.TempDir(), "older.db")
	b, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(older, b, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh = older
	restore()
	check(2)
}

// A backup of an older schema is brought to the schema of this build on the way.
func TestRestoreOlderSchema(t *testing.T) {
	old := filepath.Join(t.TempDir(), "old.db")
	if err := sqldb.MakeOld(t.Context(), old, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := sqldb.Inspect(t.Context(), old); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "schema version 1") {
		t.Errorf("looking into it: %v", err)
	}
	target := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := sqldb.Restore(t.Context(), old, target, time.Now()); err != nil {
		t.Fatal(err)
	}
	s := open(t, target)
	if err := s.View(t.Context(), func(tx store.Tx) error {
		es, err := tx.Environments(t.Context())
		if len(es) != 1 || !reflect.DeepEqual(es[0], env.Environment{Name: "live", Created: time.UnixMicro(5).UTC(), Epoch: 2}) {
			t.Errorf("%+v", es)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
