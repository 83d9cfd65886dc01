package sqldb_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
	"gatehouse/usage"
)

// A year of days and 90 days of hours of applications, each with three operations that end in one status: every count is
// found, and it tells how large that is in PostgreSQL, and how long the questions take that pages ask. There are few
// applications unless GATEHOUSE_USAGE_YEAR says how many, such as 10000, which takes minutes.
func TestUsageOfAYear(t *testing.T) {
	apps := 50
	if v := os.Getenv("GATEHOUSE_USAGE_YEAR"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 50 {
			t.Fatalf("GATEHOUSE_USAGE_YEAR is %q, and must be 50 or more", v)
		}
		apps = n
	}
	dsn, err := pgtest.Address()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqldb.OpenPostgres(t.Context(), dsn, sqldb.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open("pgx", dsn.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().UTC()
	must := func(q string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), q, args...); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	// Series are numbered by a hash: those of one application do not lie together.
	must(fmt.Sprintf(`INSERT INTO usage_series SELECT ('x' || substr(md5(n::text), 1, 16))::bit(64)::bigint, 'live', 'app_' || lpad((n / 3)::text, 26, '0'), 'gr_' || lpad((n / 3)::text, 26, '0'), 'eid', 'operation' || n %% 3
		FROM generate_series(0, %d) n`, 3*apps-1))
	for _, u := range []usage.Unit{usage.Day, usage.Hour} {
		units, hours := 400, 24
		if u == usage.Hour {
			units, hours = 90*24, 1
			if apps > 2000 { // what an hour costs is known from fewer
				units = 7 * 24
			}
		}
		began := time.Now()
		must(fmt.Sprintf(`INSERT INTO usage_%ss SELECT series, (extract(epoch FROM date_trunc('%s', $1::timestamptz AT TIME ZONE 'UTC'))::bigint - u::bigint * 3600 * %d) * 1000000, 200, 17
			FROM generate_series(0, %d) u, usage_series ORDER BY 2, 1`, u, u, hours, units-1), now)
		var size, rows int64
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT pg_total_relation_size('usage_%ss'), count(*) FROM usage_%ss`, u, u)).Scan(&size, &rows); err != nil {
			t.Fatal(err)
		}
		t.Logf("%ss: %d rows, %d MB, %.0f bytes each, written in %s", u, rows, size>>20, float64(size)/float64(rows), time.Since(began).Round(time.Second))
	}
	must(`ANALYZE`)
	each := map[usage.Unit]time.Duration{usage.Day: 24 * time.Hour, usage.Hour: time.Hour}
	for _, q := range []usage.Query{
		{Unit: usage.Day, From: now.Add(-365 * 24 * time.Hour), To: now}, {Unit: usage.Day, From: now.Add(-30 * 24 * time.Hour), To: now}, {Unit: usage.Hour, From: now.Add(-24 * time.Hour), To: now},
	} {
		q.Limit = 10_001
		var worst, sum time.Duration
		var n int
		const asked = 50
		for i := range asked {
			q.Application = id.ID(fmt.Sprintf("app_%026d", i*apps/asked))
			began := time.Now()
			err := s.View(t.Context(), func(tx store.Tx) error {
				cs, err := tx.Counts(t.Context(), q)
				n = len(cs)
				return err
			})
			if whole := int(q.To.Sub(q.From) / each[q.Unit]); err != nil || n < 3*whole || n > 3*(whole+1) {
				t.Fatalf("%s by %s of %s: %d counts of 3 operations, %v", q.To.Sub(q.From), q.Unit, q.Application, n, err)
			}
			took := time.Since(began)
			sum, worst = sum+took, max(worst, took)
		}
		t.Logf("%s by %s: %d counts, mean %s, worst %s", q.To.Sub(q.From), q.Unit, n, (sum / asked).Round(10*time.Microsecond), worst.Round(10*time.Microsecond))
	}
	began := time.Now()
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.ForgetCounts(t.Context(), usage.Day, now.Add(-399*24*time.Hour)) }); err != nil {
		t.Fatal(err)
	}
	t.Logf("one day forgotten in %s", time.Since(began).Round(time.Millisecond))
}
