package sqldb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"gatehouse/usage"
)

const (
	seriesAdd     = `INSERT INTO usage_series (series, environment, application, grant_id, api, operation) VALUES `
	seriesKnown   = ` ON CONFLICT (series) DO NOTHING`
	countsColumns = `s.environment, s.application, s.grant_id, s.api, s.operation, c.status, c.at, c.calls`
	lostAdd       = `INSERT INTO usage_lost (environment, gateway, at, calls) VALUES ($1, $2, $3, $4)
		ON CONFLICT (environment, gateway, at) DO UPDATE SET calls = usage_lost.calls + excluded.calls`
	lostSum = `SELECT COALESCE(SUM(calls), 0) FROM usage_lost`
)

// usageTable is where counts of a unit stand.
func usageTable(u usage.Unit) string { return "usage_" + string(u) + "s" }

// seriesOf is the number under which an environment, application, grant and operation are counted: 64 bits of a hash of
// them, so that nobody has to look it up. That two of ten million have the same one has a chance of 1 in 370,000.
func seriesOf(c usage.Count) int64 {
	sum := sha256.Sum256([]byte(strings.Join([]string{c.Environment, string(c.Application), string(c.Grant), c.API, c.Operation}, "\x00")))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// countKey is what a row of counts is known by.
type countKey struct {
	series, at int64
	status     int
}

func (t *tx) AddCounts(ctx context.Context, counts []usage.Count) error {
	numbers := make([]int64, len(counts))
	series := map[int64]usage.Count{}
	for i, c := range counts {
		numbers[i] = seriesOf(c)
		series[numbers[i]] = c
	}
	err := many(ctx, t, seriesAdd, seriesKnown, 6, sorted(series, cmp.Compare), func(args []any, n int64) []any {
		c := series[n]
		return append(args, n, c.Environment, string(c.Application), string(c.Grant), c.API, c.Operation)
	})
	for _, u := range usage.Units() {
		if err != nil {
			break
		}
		sums := map[countKey]int64{}
		for i, c := range counts {
			sums[countKey{numbers[i], at(u.Cut(c.At)), c.Status}] += c.Calls
		}
		table := usageTable(u)
		err = many(ctx, t, `INSERT INTO `+table+` (series, at, status, calls) VALUES `,
			` ON CONFLICT (series, at, status) DO UPDATE SET calls = `+table+`.calls + excluded.calls`, 4,
			sorted(sums, func(a, b countKey) int {
				return cmp.Or(cmp.Compare(a.series, b.series), cmp.Compare(a.at, b.at), cmp.Compare(a.status, b.status))
			}),
			func(args []any, k countKey) []any { return append(args, k.series, k.at, int64(k.status), sums[k]) })
	}
	return err
}

// sorted is the keys of a map in order: two who write at once lock rows in the same one.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func (t *tx) AddLost(ctx context.Context, environment, gateway string, when time.Time, calls int64) error {
	_, err := t.exec(ctx, lostAdd, environment, gateway, at(usage.Hour.Cut(when)), calls)
	return err
}

func (t *tx) Counts(ctx context.Context, q usage.Query) ([]usage.Count, error) {
	w := countsOf(q)
	w.must(`c.at >= $`, at(q.From))
	w.must(`c.at < $`, at(q.To))
	text := `SELECT ` + countsColumns + ` FROM usage_series s JOIN ` + usageTable(q.Unit) + ` c ON c.series = s.series` + w.text +
		` ORDER BY c.at, s.api, s.operation, s.grant_id, s.environment, c.status LIMIT ` + w.add(first(q.Limit))
	counts, err := all(ctx, t, func(r row) (c usage.Count, err error) {
		err = r.Scan(&c.Environment, &c.Application, &c.Grant, &c.API, &c.Operation, &c.Status, when{&c.At}, &c.Calls)
		return c, err
	}, text, w.args...)
	if err != nil || !q.Unit.Folds() {
		return counts, err
	}
	folded, err := t.folded(ctx, q)
	if err != nil || len(folded) == 0 {
		return counts, err
	}
	return summed(counts, folded, max(q.Limit, 0)), nil
}

// countsOf is whose counts a query is about.
func countsOf(q usage.Query) (w where) {
	w.and(`s.application = $`, string(q.Application))
	w.and(`s.grant_id = $`, string(q.Grant))
	w.and(`s.environment = $`, q.Environment)
	return w
}

func (t *tx) Lost(ctx context.Context, environment string, from, to time.Time) (int64, error) {
	var w where
	w.and(`environment = $`, environment)
	w.must(`at >= $`, at(usage.Hour.Cut(from)))
	w.must(`at < $`, at(to))
	return one(ctx, t, scanInt, lostSum+w.text, w.args...)
}

func (t *tx) ForgetCounts(ctx context.Context, u usage.Unit, before time.Time) error {
	_, err := t.exec(ctx, `DELETE FROM `+usageTable(u)+` WHERE at < $1`, at(before))
	if err == nil && u.Folds() {
		from, _ := u.Stretch(before)
		_, err = t.exec(ctx, `DELETE FROM `+foldedTable(u)+` WHERE at < $1`, at(from))
	}
	if err == nil && u == usage.Day {
		_, err = t.exec(ctx, `DELETE FROM usage_lost WHERE at < $1`, at(before))
	}
	return err
}
