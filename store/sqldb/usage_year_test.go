package sqldb_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
	"gatehouse/usage"
)

// A year of days and 90 days of hours of applications, each with three operations that end in one status: every count is
// found, before those of stretches that are over are put together and after, and it tells how large that is in PostgreSQL, and how
// long the questions take that pages ask. There are few applications unless GATEHOUSE_USAGE_YEAR says how many, such as 10000, which
// takes a quarter of an hour. By "10000,folded" the year is written as it lies once it is put together, without hours, in a few minutes.
func TestUsageOfAYear(t *testing.T) {
	folded := false
	y := year{T: t, apps: 50, now: time.Now().UTC()}
	if v := os.Getenv("GATEHOUSE_USAGE_YEAR"); v != "" {
		number, how, _ := strings.Cut(v, ",")
		folded = how == "folded"
		n, err := strconv.Atoi(number)
		if err != nil || n < 50 {
			t.Fatalf("GATEHOUSE_USAGE_YEAR is %q, and must be 50 or more", v)
		}
		y.apps = n
	}
	dsn, err := pgtest.Address()
	must(t, err)
	s, err := sqldb.OpenPostgres(t.Context(), dsn, sqldb.PostgresOptions{})
	must(t, err)
	defer s.Close()
	y.store = s
	y.db, err = sql.Open("pgx", dsn.Reveal())
	must(t, err)
	defer y.db.Close()

	// Series are numbered by a hash: those of one application do not lie together.
	y.do(fmt.Sprintf(`INSERT INTO usage_series SELECT ('x' || substr(md5(n::text), 1, 16))::bit(64)::bigint, 'live', 'app_' || lpad((n / 3)::text, 26, '0'), 'gr_' || lpad((n / 3)::text, 26, '0'), 'eid', 'operation' || n %% 3
		FROM generate_series(0, %d) n`, 3*y.apps-1))
	if folded {
		y.writeFolded()
		return
	}
	y.write(usage.Day, 400, 24)
	hours := 90 * 24
	if y.apps > 2000 { // what an hour costs is known from fewer
		hours = 7 * 24
	}
	y.write(usage.Hour, hours, 1)
	y.do(`VACUUM ANALYZE`)
	y.ask("as it was counted", usage.Day, usage.Hour)
	y.fold(usage.Day)
	y.fold(usage.Hour)
	y.do(`VACUUM ANALYZE`)
	y.size("usage_days_folded")
	y.size("usage_hours_folded")
	y.fold(usage.Day) // there is nothing
	y.ask("put together", usage.Day, usage.Hour)
	began := time.Now()
	must(t, s.Update(t.Context(), func(tx store.Tx) error {
		return tx.ForgetCounts(t.Context(), usage.Day, y.now.Add(-370*24*time.Hour))
	}))
	t.Logf("what is too old forgotten in %s", time.Since(began).Round(time.Millisecond))
	y.do(`VACUUM FULL usage_days, usage_hours`)
	y.size("usage_days")
	y.size("usage_hours")
}

// year is a database that holds the usage of some applications.
type year struct {
	*testing.T
	store store.Store
	db    *sql.DB
	apps  int
	now   time.Time
}

func (y year) do(q string, args ...any) {
	y.Helper()
	if _, err := y.db.ExecContext(y.Context(), q, args...); err != nil {
		y.Fatalf("%s: %v", q, err)
	}
}

// write adds what is counted in so many units, in the order of time as it happens.
func (y year) write(u usage.Unit, units, hours int) {
	y.Helper()
	began := time.Now()
	y.do(fmt.Sprintf(`INSERT INTO usage_%ss SELECT series, (extract(epoch FROM date_trunc('%s', $1::timestamptz AT TIME ZONE 'UTC'))::bigint - u::bigint * 3600 * %d) * 1000000, 200, 17
		FROM generate_series(0, %d) u, usage_series ORDER BY 2, 1`, u, u, hours, units-1), y.now)
	y.Logf("%ss of %d applications written in %s", u, y.apps, time.Since(began).Round(time.Second))
	y.size("usage_" + string(u) + "s")
}

// writeFolded writes the days of 400 as they lie once they are put together, months application by application, and asks for them.
func (y year) writeFolded() {
	y.Helper()
	before := usage.Day.FoldBefore(y.now)
	began := time.Now()
	for from := before.AddDate(0, -12, 0); from.Before(before); {
		calls, err := usage.Unpack(nil, usage.Day, from)
		must(y, err)
		for i := range calls {
			calls[i] = 17
		}
		y.do(`INSERT INTO usage_days_folded SELECT series, $1, 200, $2 FROM usage_series ORDER BY application, series`, from.UnixMicro(), usage.Pack(calls))
		_, from = usage.Day.Stretch(from)
	}
	y.do(`INSERT INTO usage_days SELECT series, $1::bigint + u::bigint * 86400000000, 200, 17 FROM generate_series(0, $2) u, usage_series ORDER BY 2, 1`,
		before.UnixMicro(), int(usage.Day.Cut(y.now).Sub(before)/usage.Day.Span()))
	y.Logf("days of %d applications written in %s", y.apps, time.Since(began).Round(time.Second))
	y.do(`VACUUM ANALYZE usage_series, usage_days, usage_days_folded`)
	y.size("usage_days")
	y.size("usage_days_folded")
	y.ask("put together", usage.Day)
}

func (y year) size(table string) {
	y.Helper()
	var size, rows int64
	must(y, y.db.QueryRowContext(y.Context(), fmt.Sprintf(`SELECT pg_total_relation_size('%s'), count(*) FROM %s`, table, table)).Scan(&size, &rows))
	y.Logf("%s: %d rows, %d MB, %.0f bytes each", table, rows, size>>20, float64(size)/float64(max(rows, 1)))
}

// ask asks about some applications what pages ask.
func (y year) ask(what string, units ...usage.Unit) {
	y.Helper()
	each := map[usage.Unit]time.Duration{usage.Day: 24 * time.Hour, usage.Hour: time.Hour}
	for _, q := range []usage.Query{
		{Unit: usage.Day, From: y.now.Add(-365 * 24 * time.Hour), To: y.now}, {Unit: usage.Day, From: y.now.Add(-30 * 24 * time.Hour), To: y.now},
		{Unit: usage.Hour, From: y.now.Add(-24 * time.Hour), To: y.now}, {Unit: usage.Hour, From: y.now.Add(-6 * 24 * time.Hour), To: y.now},
	} {
		q.Limit = 10_001
		const asked = 50
		if !slices.Contains(units, q.Unit) {
			continue
		}
		for _, time := range []string{"first", "again"} {
			worst, mean, n := y.times(q, asked, each[q.Unit])
			y.Logf("%s, %s by %s, %s: %d counts, mean %s, worst %s", what, q.To.Sub(q.From), q.Unit, time, n, mean, worst)
		}
	}
}

func (y year) times(q usage.Query, asked int, each time.Duration) (worst, mean time.Duration, n int) {
	y.Helper()
	var sum time.Duration
	for i := range asked {
		q.Application = id.ID(fmt.Sprintf("app_%026d", i*y.apps/asked))
		began := time.Now()
		err := y.store.View(y.Context(), func(tx store.Tx) error {
			cs, err := tx.Counts(y.Context(), q)
			n = len(cs)
			return err
		})
		if whole := int(q.To.Sub(q.From) / each); err != nil || n < 3*whole || n > 3*(whole+1) {
			y.Fatalf("%s by %s of %s: %d counts of 3 operations, %v", q.To.Sub(q.From), q.Unit, q.Application, n, err)
		}
		took := time.Since(began)
		sum, worst = sum+took, max(worst, took)
	}
	return worst.Round(10 * time.Microsecond), (sum / time.Duration(asked)).Round(10 * time.Microsecond), n
}

// fold puts together what is over, as the process does that numbers, but without its pauses.
func (y year) fold(u usage.Unit) {
	y.Helper()
	began, counts, turns, looked, worst := time.Now(), 0, 0, time.Duration(0), time.Duration(0)
	for after, over := (usage.Series{}), false; !over; {
		look, n := time.Now(), 0
		var some usage.Unfolded
		must(y, y.store.View(y.Context(), func(tx store.Tx) (err error) {
			some, err = tx.Unfolded(y.Context(), u, u.FoldBefore(y.now), after, 64)
			return err
		}))
		turn := time.Now()
		looked += turn.Sub(look)
		if len(some.Series) > 0 {
			must(y, y.store.Update(y.Context(), func(tx store.Tx) (err error) {
				n, err = tx.FoldCounts(y.Context(), u, some.Stretch, some.Series)
				return err
			}))
			counts, turns, worst = counts+n, turns+1, max(worst, time.Since(turn))
			continue
		}
		after, over = some.Last, some.Last == usage.Series{}
	}
	took := time.Since(began)
	y.Logf("%d counts by %s put together in %s, %d turns, mean %s, worst %s; %s of it to find them", counts, u, took.Round(time.Millisecond), turns,
		((took - looked) / time.Duration(max(turns, 1))).Round(10*time.Microsecond), worst.Round(time.Millisecond), looked.Round(time.Millisecond))
}
