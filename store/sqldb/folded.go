package sqldb

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gatehouse/usage"
)

// foldedTable is where counts of a unit stand that are put together.
func foldedTable(u usage.Unit) string { return usageTable(u) + "_folded" }

// stretch is a row of counts that are put together, with whose they are.
type stretch struct {
	usage.Count // but for the calls
	calls       []int64
}

// folded returns those of the counts that a query is about which are put together: at least the first Limit, in any order.
func (t *tx) folded(ctx context.Context, q usage.Query) (out []usage.Count, err error) {
	w := countsOf(q)
	from, _ := q.Unit.Stretch(q.From)
	w.must(`c.at >= $`, at(from))
	w.must(`c.at < $`, at(q.To))
	scan := func(r row) (s stretch, err error) {
		var b []byte
		if err = r.Scan(&s.Environment, &s.Application, &s.Grant, &s.API, &s.Operation, &s.Status, when{&s.At}, &b); err == nil {
			s.calls, err = usage.Unpack(b, q.Unit, s.At)
		}
		return s, err
	}
	var reached time.Time // rows of one stretch come in any order, so a stretch is read whole or not at all
	_, err = until(ctx, t, func(s stretch) bool {
		if s.At.After(reached) && len(out) >= q.Limit {
			return true
		}
		reached = s.At
		out = s.within(out, q)
		return false
	}, scan, `SELECT `+countsColumns+` FROM usage_series s JOIN `+foldedTable(q.Unit)+` c ON c.series = s.series`+w.text+` ORDER BY c.at`, w.args...)
	return out, err
}

// within appends the counts of a stretch that are in the time of the query.
func (s stretch) within(counts []usage.Count, q usage.Query) []usage.Count {
	for i, calls := range s.calls {
		c := s.Count
		c.At, c.Calls = c.At.Add(time.Duration(i)*q.Unit.Span()), calls
		if calls > 0 && !c.At.Before(q.From) && c.At.Before(q.To) {
			counts = append(counts, c)
		}
	}
	return counts
}

// summed is the counts of both in the order of Counts, the first most of them. What both know of is added up.
func summed(a, b []usage.Count, most int) []usage.Count {
	both := append(a, b...)
	order := func(a, b usage.Count) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.API, b.API), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Grant, b.Grant),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Application, b.Application))
	}
	slices.SortFunc(both, order)
	out := both[:0]
	for _, c := range both {
		if n := len(out); n > 0 && order(out[n-1], c) == 0 {
			out[n-1].Calls += c.Calls
			continue
		}
		out = append(out, c)
	}
	return out[:min(len(out), most)]
}

// Unfolded finds the oldest count of each series by the key of the table. The order of series makes rows of one application come to lie
// side by side.
func (t *tx) Unfolded(ctx context.Context, u usage.Unit, before time.Time, after usage.Series, most int) (out usage.Unfolded, err error) {
	var w where
	oldest := `SELECT s.application, s.series, COALESCE((SELECT MIN(c.at) FROM ` + usageTable(u) + ` c WHERE c.series = s.series AND c.at < ` + w.add(at(before)) + `), -1) FROM usage_series s`
	if after != (usage.Series{}) {
		w.has(`(s.application, s.series) > (` + w.add(string(after.Application)) + `, ` + w.add(after.Number) + `)`)
	}
	type found struct {
		usage.Series
		at int64
	}
	looked, err := all(ctx, t, func(r row) (f found, err error) { return f, r.Scan(&f.Application, &f.Number, &f.at) },
		oldest+w.text+` ORDER BY s.application, s.series LIMIT `+w.add(first(most)), w.args...)
	if err != nil {
		return out, err
	}
	if len(looked) == most {
		out.Last = looked[most-1].Series
	}
	for _, f := range looked {
		if f.at < 0 {
			continue
		}
		begins, _ := u.Stretch(time.UnixMicro(f.at))
		if len(out.Series) == 0 || begins.Before(out.Stretch) {
			out.Stretch, out.Series = begins, nil
		}
		if begins.Equal(out.Stretch) {
			out.Series = append(out.Series, f.Series)
		}
	}
	return out, nil
}

func (t *tx) FoldCounts(ctx context.Context, u usage.Unit, begins time.Time, series []usage.Series) (int, error) {
	rows, err := t.takeCounts(ctx, u, begins, series)
	if err == nil && len(rows) > 0 {
		err = t.putFolded(ctx, u, begins, series, rows)
	}
	return len(rows), err
}

// taken is a row of counts that is to be put together with others.
type taken struct {
	countKey
	calls int64
}

// takeCounts removes the rows of some series in a stretch, and returns them.
func (t *tx) takeCounts(ctx context.Context, u usage.Unit, begins time.Time, series []usage.Series) (out []taken, err error) {
	_, ends := u.Stretch(begins)
	err = t.bySeries(series, func(some []any) error {
		rows, err := all(ctx, t, func(r row) (c taken, err error) {
			return c, r.Scan(&c.series, &c.at, &c.status, &c.calls)
		}, `DELETE FROM `+usageTable(u)+` WHERE at >= $1 AND at < $2 AND series IN `+list(3, len(some))+` RETURNING series, at, status, calls`,
			append([]any{at(begins), at(ends)}, some...)...)
		out = append(out, rows...)
		return err
	})
	return out, err
}

// putFolded adds rows to what is put together of their series in the stretch, in the order of the series.
func (t *tx) putFolded(ctx context.Context, u usage.Unit, begins time.Time, series []usage.Series, rows []taken) error {
	folded, err := t.foldedOf(ctx, u, begins, series)
	if err != nil {
		return err
	}
	for _, r := range rows {
		k := countKey{r.series, at(begins), r.status}
		if folded[k] == nil {
			folded[k], _ = usage.Unpack(nil, u, begins)
		}
		folded[k][(r.at-k.at)/u.Span().Microseconds()] += r.calls
	}
	place := map[int64]int{}
	for i, s := range series {
		place[s.Number] = i
	}
	return many(ctx, t, `INSERT INTO `+foldedTable(u)+` (series, at, status, calls) VALUES `, ` ON CONFLICT (series, at, status) DO UPDATE SET calls = excluded.calls`, 4,
		sorted(folded, func(a, b countKey) int { return cmp.Or(place[a.series]-place[b.series], a.status-b.status) }),
		func(args []any, k countKey) []any {
			return append(args, k.series, k.at, int64(k.status), usage.Pack(folded[k]))
		})
}

// foldedOf is what is put together already.
func (t *tx) foldedOf(ctx context.Context, u usage.Unit, begins time.Time, series []usage.Series) (map[countKey][]int64, error) {
	out := map[countKey][]int64{}
	err := t.bySeries(series, func(some []any) error {
		_, err := all(ctx, t, func(r row) (k countKey, err error) {
			var b []byte
			if err = r.Scan(&k.series, &k.at, &k.status, &b); err == nil {
				out[k], err = usage.Unpack(b, u, begins)
			}
			return k, err
		}, `SELECT series, at, status, calls FROM `+foldedTable(u)+` WHERE at = $1 AND series IN `+list(2, len(some)), append([]any{at(begins)}, some...)...)
		return err
	})
	return out, err
}

// bySeries hands the numbers of series on by so many as one statement takes.
func (t *tx) bySeries(series []usage.Series, each func(some []any) error) error {
	numbers := make([]any, len(series))
	for i, s := range series {
		numbers[i] = s.Number
	}
	return t.portions(numbers, each)
}
