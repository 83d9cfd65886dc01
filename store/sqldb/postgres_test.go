package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/audit"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
	"gatehouse/store/storetest"
	"gatehouse/usage"
)

func openPostgres(t testing.TB, dsn secret.Value) store.Store {
	t.Helper()
	s, err := sqldb.OpenPostgres(context.Background(), dsn, sqldb.PostgresOptions{})
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

func TestStoreOnPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openPostgres(t, pgtest.Database(t)) })
}

// Both databases have the same tables with the same columns and keys: a migration for one is never forgotten for the other.
func TestSchemasAgree(t *testing.T) {
	lite, pg := open(t, filepath.Join(t.TempDir(), "gatehouse.db")), openPostgres(t, pgtest.Database(t))
	if d := sqldb.Differ(t.Context(), lite, pg); d != "" {
		t.Errorf("every migration stands in migrations/sqlite and in migrations/postgres: %s", d)
	}
}

// fill writes something of most kinds.
func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	now := time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC)
	must(t, s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.AddEnvironment(t.Context(), "live", now); err != nil {
			return err
		}
		for i := range n {
			if _, err := tx.PutOrganization(t.Context(), organization.Organization{ID: id.New(id.Organization, now), Name: fmt.Sprintf("Ömer %d", i), State: organization.Registered, Created: now}); err != nil {
				return err
			}
			if err := tx.AppendAudit(t.Context(), audit.New(now, audit.Entry{Actor: "host", Action: "test", Reason: "because"})); err != nil {
				return err
			}
		}
		if _, err := tx.PutPerson(t.Context(), identity.Person{ID: id.New(id.Person, now), Class: identity.Staff, Email: "a@b.example", State: identity.Active, Created: now}); err != nil {
			return err
		}
		if err := tx.AddCounts(t.Context(), []usage.Count{{Environment: "live", Application: "app_1", API: "eid", Operation: "read", Status: 200, At: now, Calls: 300}}); err != nil {
			return err
		}
		some, err := tx.Unfolded(t.Context(), usage.Day, now, usage.Series{}, 10)
		if err != nil {
			return err
		}
		if _, err := tx.FoldCounts(t.Context(), usage.Day, some.Stretch, some.Series); err != nil {
			return err
		}
		if _, err := tx.AddRevision(t.Context(), env.Revision{Environment: "live", Bundle: []byte{0, 1, 255}, At: now}); err != nil {
			return err
		}
		return tx.AppendChange(t.Context(), feed.Change{Environment: "live", Kind: feed.KindGrant, Key: "o", Version: 1, Payload: []byte(`{"a":1}`), Committed: now})
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Moving to PostgreSQL and back loses nothing.
func TestMove(t *testing.T) {
	dir := t.TempDir()
	lite, pg, back := open(t, filepath.Join(dir, "one.db")), openPostgres(t, pgtest.Database(t)), open(t, filepath.Join(dir, "two.db"))
	fill(t, lite, 1203)
	there, err := sqldb.Move(t.Context(), lite, pg)
	must(t, err)
	again, err := sqldb.Move(t.Context(), pg, back)
	must(t, err)
	by := cmp.Transformer("ByName", func(m sqldb.Moved) map[string]sqldb.Table {
		out := map[string]sqldb.Table{}
		for _, t := range m.Tables {
			out[t.Name] = t
		}
		return out
	})
	if d := cmp.Diff(there, again, by); d != "" {
		t.Error(d)
	}
	rows := map[string]int64{}
	for _, m := range there.Tables {
		rows[m.Name] = m.Rows
	}
	if rows["organizations"] != 1203 || rows["audit_entries"] != 1203 || rows["revisions"] != 1 || rows["feed_changes"] != 1 || rows["usage_hours"] != 1 || rows["usage_days_folded"] != 1 {
		t.Error(rows)
	}
	err = pg.Update(t.Context(), func(tx store.Tx) error { // numbers go on after those that were moved
		return tx.AppendAudit(t.Context(), audit.New(time.Now(), audit.Entry{Actor: "host", Action: "test"}))
	})
	must(t, err)
	if _, err := sqldb.Move(t.Context(), lite, pg); !errors.Is(err, fault.Conflict) {
		t.Errorf("into one that is not empty: %v", err)
	}
}

// A backup of PostgreSQL is a file that this build reads as any other.
func TestPostgresBackup(t *testing.T) {
	pg := openPostgres(t, pgtest.Database(t))
	fill(t, pg, 30)
	file := filepath.Join(t.TempDir(), "backup.db")
	must(t, pg.Backup(t.Context(), file))
	sum, err := sqldb.Inspect(t.Context(), file)
	must(t, err)
	if sum.Organizations != 30 || sum.Unsealed != 30 || len(sum.Environments) != 1 {
		t.Errorf("%+v", sum)
	}
	if err := pg.Backup(t.Context(), file); !errors.Is(err, fault.Conflict) {
		t.Errorf("over one that is there: %v", err)
	}
}

// A commit of one process wakes another one.
func TestPostgresWakesOthers(t *testing.T) {
	dsn := pgtest.Database(t)
	a, b := openPostgres(t, dsn), openPostgres(t, dsn)
	heard := b.Committed()
	must(t, a.Update(t.Context(), func(tx store.Tx) error {
		return tx.AppendAudit(t.Context(), audit.New(time.Now(), audit.Entry{Actor: "host", Action: "test"}))
	}))
	select {
	case <-heard:
	case <-time.After(30 * time.Second):
		t.Error("it did not hear of it")
	}
}

// Of two who read and then write what follows from it, both do as if one came after the other.
func TestPostgresUpdatesAreAsIfAlone(t *testing.T) {
	dsn := pgtest.Database(t)
	stores := []store.Store{openPostgres(t, dsn), openPostgres(t, dsn)}
	const each = 25
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			for range each {
				if err := stores[w%2].Update(context.Background(), func(tx store.Tx) error {
					all, err := tx.Organizations(t.Context(), "", "", "", 1000)
					if err != nil {
						return err
					}
					_, err = tx.PutOrganization(t.Context(), organization.Organization{ID: id.New(id.Organization, time.Now()), Name: fmt.Sprint(len(all)), State: organization.Registered})
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	names, n := map[string]int{}, 0
	must(t, stores[0].View(t.Context(), func(tx store.Tx) error {
		all, err := tx.Organizations(t.Context(), "", "", "", 1000)
		n = len(all)
		for _, o := range all {
			names[o.Name]++
		}
		return err
	}))
	if len(names) != 8*each {
		t.Errorf("%d updates made %d rows and saw %d different states", 8*each, n, len(names))
	}
}

// What cannot serve says why, without the password.
// Updates that are committed together are answered each for itself: one that is refused before it wrote, after it wrote, or by the
// database takes nothing of the others with it, and nothing of its own stays.
func TestPostgresGroups(t *testing.T) {
	dsn := pgtest.Database(t)
	stores := []store.Store{openPostgres(t, dsn), openPostgres(t, dsn)}
	now := time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)
	taken := organization.Organization{ID: id.New(id.Organization, now), Name: "taken", State: organization.Registered, Created: now}
	must(t, stores[0].Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.AddEnvironment(t.Context(), "live", now); err != nil {
			return err
		}
		_, err := tx.PutOrganization(t.Context(), taken)
		return err
	}))
	const callers, each = 24, 8
	errMine := errors.New("mine")
	write := func(tx store.Tx, name string) error {
		o := organization.Organization{ID: id.New(id.Organization, now), Name: name, State: organization.Registered, Created: now}
		if _, err := tx.PutOrganization(t.Context(), o); err != nil {
			return err
		}
		if err := tx.AppendAudit(t.Context(), audit.New(now, audit.Entry{Actor: "host", Action: "test", Reason: name, Personal: audit.Commit("name", name)})); err != nil {
			return err
		}
		return tx.AppendChange(t.Context(), feed.Change{Environment: "live", Kind: feed.KindGrant, Key: name, Version: 1, Payload: []byte(`{}`), Committed: now})
	}
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d-%d", n, i)
				err := stores[n%2].Update(t.Context(), func(tx store.Tx) error {
					switch i % 8 {
					case 1: // before it wrote
						return errMine
					case 3: // after it wrote
						return errors.Join(write(tx, name), errMine)
					case 5: // by the database
						if err := write(tx, name); err != nil {
							return err
						}
						again := taken
						again.Version = 0
						_, err := tx.PutOrganization(t.Context(), again)
						return err
					case 7: // by a row that is not there
						if err := write(tx, name); err != nil {
							return err
						}
						return tx.Number(t.Context(), 1<<40, nil)
					}
					return write(tx, name)
				})
				switch {
				case i%4 == 1 && i != 5 || i == 3:
					if !errors.Is(err, errMine) {
						t.Errorf("%s: %v, want its own error", name, err)
					}
				case i%2 == 1:
					if !errors.Is(err, fault.Conflict) {
						t.Errorf("%s: %v, want a conflict", name, err)
					}
				case err != nil:
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
	must(t, stores[1].View(t.Context(), func(tx store.Tx) error {
		os, err := tx.Organizations(t.Context(), "", "", "", 1000)
		if err != nil {
			return err
		}
		cs, err := tx.Unnumbered(t.Context(), 1000)
		if err != nil {
			return err
		}
		es, err := tx.Unsealed(t.Context(), 1000)
		if err != nil {
			return err
		}
		const want = callers * each / 2
		if len(os) != want+1 || len(cs) != want || len(es) != want {
			t.Errorf("%d organizations, %d changes and %d audit entries, want %d of each and one organization more", len(os), len(cs), len(es), want)
		}
		for _, e := range es {
			if len(e.Personal) != 1 || e.Personal[0].Value != e.Reason {
				t.Errorf("entry %s has the personal values %v", e.Reason, e.Personal)
			}
		}
		return nil
	}))
}

// Updates of rows wait for the end of their group, and whoever reads one of those rows, or a list in which it is, sees them.
func TestPostgresUpdatesThatWaitAreSeen(t *testing.T) {
	dsn := pgtest.Database(t)
	stores := []store.Store{openPostgres(t, dsn), openPostgres(t, dsn)}
	now := time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)
	var gs [3]grant.Grant
	for i := range gs {
		must(t, stores[0].Update(t.Context(), func(tx store.Tx) (err error) {
			gs[i], err = tx.PutGrant(t.Context(), grant.Grant{ID: id.New(id.Grant, now), Organization: "org_1", Application: "app_1", State: grant.Active, From: now, Until: now})
			return err
		}))
	}
	const callers, each = 12, 10
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for i := range each {
				g := gs[(n+i)%len(gs)]
				err := stores[n%2].Update(t.Context(), func(tx store.Tx) error {
					old, err := tx.Grant(t.Context(), g.ID)
					if err != nil {
						return err
					}
					next := old
					next.Reason, next.Organization = fmt.Sprint(n, i), id.ID(fmt.Sprint("org_", i/5+1)) // it moves once
					if next, err = tx.PutGrant(t.Context(), next); err != nil {
						return err
					}
					if i == 3 {
						if _, err := tx.PutGrant(t.Context(), old); !errors.Is(err, fault.Stale) {
							t.Errorf("an old version is put: %v", err)
						}
					}
					if next.Purpose = "twice"; i%2 == 0 {
						if next, err = tx.PutGrant(t.Context(), next); err != nil {
							return err
						}
					}
					of, err := tx.Grants(t.Context(), grant.Filter{Organization: next.Organization}, "", 10)
					if err != nil || i%3 == 0 {
						return err
					}
					at := slices.IndexFunc(of, func(o grant.Grant) bool { return o.ID == g.ID })
					if at < 0 || of[at].Reason != next.Reason || of[at].Version != next.Version {
						t.Errorf("the list does not show what was put: %+v, want %+v", of, next)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var versions int64
	must(t, stores[1].View(t.Context(), func(tx store.Tx) error {
		for _, g := range gs {
			v, err := tx.Grant(t.Context(), g.ID)
			if err != nil {
				return err
			}
			versions += v.Version
		}
		return nil
	}))
	if want := int64(len(gs) + callers*(each+each/2)); versions != want {
		t.Errorf("the versions come to %d, want %d: an update was lost, or done twice", versions, want)
	}
}

// A process that stands still with the turn holds the others up for a moment once, and not each of their updates.
func TestPostgresTurnThatIsKept(t *testing.T) {
	dsn := pgtest.Database(t)
	st := openPostgres(t, dsn)
	db, err := sql.Open("pgx", dsn.Reveal())
	must(t, err)
	defer db.Close()
	still, err := db.Conn(t.Context())
	must(t, err)
	defer still.Close()
	_, err = still.ExecContext(t.Context(), `SELECT pg_advisory_lock($1)`, sqldb.PostgresTurn)
	must(t, err)
	now := time.Date(2026, 3, 29, 1, 59, 59, 0, time.UTC)
	const updates = 15 // at two seconds each half a minute
	began := time.Now()
	for i := range updates {
		must(t, st.Update(t.Context(), func(tx store.Tx) error {
			_, err := tx.PutOrganization(t.Context(), organization.Organization{ID: id.New(id.Organization, now), Name: fmt.Sprint(i), State: organization.Registered, Created: now})
			return err
		}))
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%d updates took %v", updates, took)
	}
	_, err = still.ExecContext(t.Context(), `SELECT pg_advisory_unlock($1)`, sqldb.PostgresTurn)
	must(t, err)
}

func TestPostgresTrouble(t *testing.T) {
	for name, dsn := range map[string]string{
		"not an address": "postgres://u:hush@[::1",
		"nobody there":   "postgres://u:hush@127.0.0.1:1/x?sslmode=disable&connect_timeout=5",
	} {
		_, err := sqldb.OpenPostgres(t.Context(), secret.New(dsn), sqldb.PostgresOptions{})
		if err == nil {
			t.Fatal(name)
		}
		f := fault.As(err)
		if f.Kind != fault.Unavailable && f.Kind != fault.Invalid {
			t.Errorf("%s: %v", name, f)
		}
		t.Log(f.Public)
		if s := fmt.Sprint(f.Public, err); strings.Contains(s, "hush") {
			t.Errorf("%s tells the password: %s", name, s)
		}
	}
}
