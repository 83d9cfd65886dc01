package sqldb_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/env"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/organization"
	"gatehouse/store"
	"gatehouse/store/pgtest"
)

// What a process of the last release without regions sends to the database when it numbers, and when a gateway joins by it.
const (
	oldTake = `INSERT INTO leases (name, holder, mark, token, beat) VALUES ($1, $2, $3, 1, 1)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, mark = excluded.mark, beat = leases.beat + 1,
		token = CASE WHEN leases.holder = excluded.holder THEN leases.token ELSE leases.token + 1 END
		WHERE leases.token = $4 AND leases.beat = $5 RETURNING name, holder, mark, token, beat`
	oldDone  = `DELETE FROM feed_changes WHERE number = $1`
	oldEntry = `INSERT INTO feed_entries (environment, seq, epoch, previous, kind, entity, version, payload, committed, digest, signature)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	oldGateway = `INSERT INTO gateways (id, environment, name, state, key_digest, created, created_by, expires, ended, reason, version)
		VALUES ($1, 'live', $2, $3, 'k', 1, 'host', 5, 0, '', 1)`
)

// old is a process of the release without regions, as far as the database can tell.
type old struct {
	db *sql.DB
	t  *testing.T
}

// number does what its sequencer does in one transaction: it takes the duty, and gives the oldest row that waits a number in the
// feed of the environment. What waits is gone from the database then, for every other feed too.
func (o old) number(ctx context.Context) error {
	o.t.Helper()
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	defer tx.Rollback()
	var token, beat, row, seq int64
	err = tx.QueryRowContext(ctx, `SELECT token, beat FROM leases WHERE name = 'sequencer'`).Scan(&token, &beat)
	if err != nil && err != sql.ErrNoRows {
		o.t.Fatal(err)
	}
	var name, holder, mark string
	if err := tx.QueryRowContext(ctx, oldTake, "sequencer", "old/1", "keys", token, beat).Scan(&name, &holder, &mark, &token, &beat); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, `SELECT MIN(number), (SELECT COALESCE(MAX(seq), 0) + 1 FROM feed_entries) FROM feed_changes`).Scan(&row, &seq); err != nil {
		o.t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, oldEntry, "live", seq, 1, "", "credential", "cr_1", seq, "{}", 1, "d", []byte("s")); err != nil {
		o.t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, oldDone, row); err != nil {
		o.t.Fatal(err)
	}
	return tx.Commit()
}

func (o old) join(ctx context.Context, name string, state fleet.State) error {
	_, err := o.db.ExecContext(ctx, oldGateway, string(id.New(id.Gateway, time.Now())), name, string(state))
	return err
}

// A process of the release before, which knows no regions and runs on, numbers nothing from the first region on, and lets no
// gateway in that would know what is pinned. What it wants to number waits for one that knows them.
func TestReleaseWithoutRegionsIsFenced(t *testing.T) {
	dsn, file := pgtest.Database(t), filepath.Join(t.TempDir(), "gatehouse.db")
	pg, lite := openPostgres(t, dsn), open(t, file)
	for _, c := range []struct {
		driver, at string
		s          store.Store
	}{{"pgx", dsn.Reveal(), pg}, {"sqlite", "file:" + file + "?_pragma=busy_timeout(20000)", lite}} {
		t.Run(c.driver, func(t *testing.T) {
			ctx := t.Context()
			db, err := sql.Open(c.driver, c.at)
			must(t, err)
			defer db.Close()
			before := old{db, t}
			change := func() {
				t.Helper()
				must(t, c.s.Update(ctx, func(tx store.Tx) error {
					return tx.AppendChange(ctx, feed.Change{Environment: "live", Kind: feed.KindCredential, Key: "cr_1", Version: 1, Payload: []byte(`{}`), Committed: time.Now()})
				}))
			}
			waiting := func() (n int) {
				t.Helper()
				must(t, c.s.View(ctx, func(tx store.Tx) error {
					rows, err := tx.Unnumbered(ctx, 10)
					n = len(rows)
					return err
				}))
				return n
			}
			take := func() error {
				return c.s.Update(ctx, func(tx store.Tx) error {
					l, err := tx.Lease(ctx, "sequencer")
					if err == nil {
						_, err = tx.TakeLease(ctx, l, "new/1", "keys")
					}
					return err
				})
			}
			regions := func(rs ...env.Region) {
				t.Helper()
				must(t, c.s.Update(ctx, func(tx store.Tx) error { return tx.SetRegions(ctx, "live", rs) }))
			}
			must(t, c.s.Update(ctx, func(tx store.Tx) error { _, err := tx.AddEnvironment(ctx, "live", time.Now()); return err }))

			// While there is no region the two releases take the duty in turns.
			change()
			must(t, before.number(ctx))
			must(t, take())
			change()
			must(t, before.number(ctx))
			must(t, before.join(ctx, "fra-0", fleet.Active))

			regions(env.Region{Name: "eu", Added: time.Now()})
			change()
			for range 2 { // it tries again and again
				if err := before.number(ctx); err == nil || !strings.Contains(err.Error(), "knows no regions, and there are some: stop this process") {
					t.Fatalf("the release before numbers where there is a region: %v", err)
				}
			}
			if n := waiting(); n != 1 {
				t.Errorf("%d changes wait, want the one that it was refused", n)
			}
			must(t, take())

			// It lets no gateway in while something is pinned; one that is in a region, or has ended, is another matter.
			must(t, before.join(ctx, "fra-1", fleet.Active))
			_, err = db.ExecContext(ctx, `UPDATE gateways SET state = 'drained'`)
			must(t, err)
			must(t, c.s.Update(ctx, func(tx store.Tx) error {
				_, err := tx.PutOrganization(ctx, organization.Organization{ID: id.New(id.Organization, time.Now()), Name: "Nordlicht", State: organization.Verified, Region: "eu"})
				return err
			}))
			if err := before.join(ctx, "fra-2", fleet.Active); err == nil || !strings.Contains(err.Error(), "no gateway joins without one") {
				t.Errorf("it lets a gateway in that would know everything: %v", err)
			}
			must(t, before.join(ctx, "fra-2", fleet.Revoked))
			must(t, c.s.Update(ctx, func(tx store.Tx) error {
				_, err := tx.PutGateway(ctx, fleet.Gateway{ID: id.New(id.Gateway, time.Now()), Environment: "live", Region: "eu", Name: "fra-2", State: fleet.Active, Created: time.Now()})
				return err
			}))

			// It stays so when the last region goes: what was numbered without it is the same chain.
			regions()
			if err := before.number(ctx); err == nil {
				t.Error("the release before numbers again once the region is gone")
			}
			must(t, take())
		})
	}
}

// A duty that nobody had is not for the release before either.
func TestFenceOfAFirstDuty(t *testing.T) {
	dsn := pgtest.Database(t)
	s := openPostgres(t, dsn)
	ctx := t.Context()
	must(t, s.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.AddEnvironment(ctx, "live", time.Now()); err != nil {
			return err
		}
		return tx.SetRegions(ctx, "live", []env.Region{{Name: "eu", Added: time.Now()}})
	}))
	db, err := sql.Open("pgx", dsn.Reveal())
	must(t, err)
	defer db.Close()
	if err := (old{db, t}).number(ctx); err == nil || !strings.Contains(err.Error(), "knows no regions") {
		t.Errorf("it takes the duty: %v", err)
	}
}
