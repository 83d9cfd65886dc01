package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/usage"
)

// counted is what a store of counts must answer: everything that was added, one by one.
type counted map[usage.Unit][]usage.Count

func (m counted) add(cs []usage.Count) {
	for _, u := range usage.Units() {
		for _, c := range cs {
			c.At = u.Cut(c.At)
			i := slices.IndexFunc(m[u], func(o usage.Count) bool { o.Calls = c.Calls; return o == c })
			if i < 0 {
				m[u] = append(m[u], c)
			} else {
				m[u][i].Calls += c.Calls
			}
		}
	}
}

func (m counted) counts(q usage.Query) (out []usage.Count) {
	for _, c := range m[q.Unit] {
		if (q.Application == "" || q.Application == c.Application) && (q.Grant == "" || q.Grant == c.Grant) &&
			(q.Environment == "" || q.Environment == c.Environment) && !c.At.Before(q.From) && c.At.Before(q.To) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b usage.Count) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.API, b.API), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Grant, b.Grant),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Status, b.Status))
	})
	return out[:min(len(out), q.Limit)]
}

// chance makes counts and queries of a few applications in a hundred days.
type chance struct {
	*rand.Rand
	now time.Time
}

func (r chance) time() time.Time {
	return r.now.Add(-time.Duration(r.IntN(100*24*60)) * time.Minute).Truncate(time.Minute).UTC()
}

func (r chance) count() usage.Count {
	n := r.IntN(3)
	return usage.Count{Environment: []string{"live", "test"}[r.IntN(2)], Application: id.ID(fmt.Sprint("app_", n)), Grant: id.ID([]string{"", fmt.Sprint("gr_", n)}[r.IntN(2)]),
		API: "eid", Operation: []string{"Read", "read", "ändern"}[r.IntN(3)], Status: 200 + r.IntN(2), At: r.time(), Calls: 1 + r.Int64N(1<<r.IntN(40))}
}

func (r chance) query() usage.Query {
	q := usage.Query{Unit: usage.Units()[r.IntN(3)], Environment: []string{"", "", "live"}[r.IntN(3)], Limit: 1 + r.IntN(40), To: r.time()}
	q.From = q.Unit.Cut(q.To.Add(-time.Duration(r.IntN(60*24)) * time.Hour))
	if r.IntN(4) == 0 {
		q.Grant = id.ID(fmt.Sprint("gr_", r.IntN(3)))
	} else {
		q.Application = id.ID(fmt.Sprint("app_", r.IntN(3)))
	}
	if r.IntN(2) == 0 {
		q.Limit = 100_000
	}
	return q
}

// fold folds all that is from before, and returns how many counts that were.
func (w *world) fold(u usage.Unit, before time.Time, most int) (counts int) {
	w.Helper()
	for after := (usage.Series{}); ; {
		some := w.unfolded(u, before, after, most)
		n := 0
		if len(some.Series) > 0 {
			if !some.Stretch.Before(before) {
				w.Fatalf("the stretch of %s does not begin before %s", some.Stretch, before)
			}
			n = written(w, func(tx store.Tx) (int, error) { return tx.FoldCounts(w.ctx(), u, some.Stretch, some.Series) })
			if n == 0 {
				w.Fatalf("there is nothing to fold of %+v", some)
			}
		}
		counts += n
		switch {
		case n > 0:
		case some.Last == usage.Series{}:
			return counts
		default:
			after = some.Last
		}
	}
}

func (w *world) unfolded(u usage.Unit, before time.Time, after usage.Series, most int) usage.Unfolded {
	w.Helper()
	return read(w, func(tx store.Tx) (usage.Unfolded, error) { return tx.Unfolded(w.ctx(), u, before, after, most) })
}

// foldCounts: whatever is added, folded, added late and folded again, in whatever order, every answer is that of what was added.
func foldCounts(w *world) {
	r := chance{rand.New(rand.NewPCG(16, 4)), w.now}
	model := counted{}
	folded := 0
	for step := range 40 {
		cs := make([]usage.Count, r.IntN(20))
		for i := range cs {
			cs[i] = r.count()
		}
		w.update(func(tx store.Tx) error { return tx.AddCounts(w.ctx(), cs) })
		model.add(cs)
		if u := []usage.Unit{usage.Hour, usage.Day, ""}[r.IntN(3)]; u != "" {
			before, _ := u.Stretch(r.time())
			folded += w.fold(u, before, 1+r.IntN(5))
			same(w, "to be folded then", w.unfolded(u, before, usage.Series{}, 1000), usage.Unfolded{})
		}
		for range 10 {
			q := r.query()
			got := read(w, func(tx store.Tx) ([]usage.Count, error) { return tx.Counts(w.ctx(), q) })
			same(w, fmt.Sprintf("step %d, %+v", step, q), got, model.counts(q))
			if w.Failed() {
				return
			}
		}
	}
	if folded < 100 {
		w.Errorf("only %d counts were folded", folded)
	}
}

// some adds counts of two applications on three days of January and one of February, and asks for those of the first.
func (w *world) some() (january time.Time, ask func(u usage.Unit) []usage.Count) {
	january = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var cs []usage.Count
	for _, day := range []int{0, 1, 30, 31} {
		for _, app := range []id.ID{"app_1", "app_2"} {
			cs = append(cs, usage.Count{Environment: "live", Application: app, API: "eid", Operation: "read", Status: 200, At: january.AddDate(0, 0, day), Calls: int64(day + 1)})
		}
	}
	w.update(func(tx store.Tx) error { return tx.AddCounts(w.ctx(), cs) })
	return january, func(u usage.Unit) []usage.Count {
		w.Helper()
		return read(w, func(tx store.Tx) ([]usage.Count, error) {
			return tx.Counts(w.ctx(), usage.Query{Unit: u, Application: "app_1", From: january, To: w.now, Limit: 100})
		})
	}
}

// foldWhole: a fold that is given up in the middle has changed nothing.
func foldWhole(w *world) {
	january, ask := w.some()
	before := ask(usage.Day)
	some := w.unfolded(usage.Day, january.AddDate(0, 1, 0), usage.Series{}, 10)
	stop := errors.New("stopped")
	err := w.s.Update(w.ctx(), func(tx store.Tx) error {
		if n, err := tx.FoldCounts(w.ctx(), usage.Day, january, some.Series); err != nil || n != 6 {
			w.Errorf("%d counts were folded, %v", n, err)
		}
		return stop
	})
	if !errors.Is(err, stop) {
		w.Fatal(err)
	}
	same(w, "after it was given up", ask(usage.Day), before)
	same(w, "what is to be folded", w.unfolded(usage.Day, january.AddDate(0, 1, 0), usage.Series{}, 10), some)
	same(w, "what was folded", w.fold(usage.Day, january.AddDate(0, 1, 0), 10), 6)
	same(w, "after it was folded", ask(usage.Day), before)
	same(w, "by hour, which was not", len(ask(usage.Hour)), 4)
}

// foldBeside: calls that are added to a stretch at the moment when it is folded are counted once.
func foldBeside(w *world) {
	january, ask := w.some()
	const late = 20
	some := w.unfolded(usage.Day, january.AddDate(0, 1, 0), usage.Series{}, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range late {
			c := usage.Count{Environment: "live", Application: "app_1", API: "eid", Operation: "read", Status: 200, At: january.Add(25 * time.Hour), Calls: 3}
			if err := w.s.Update(w.ctx(), func(tx store.Tx) error { return tx.AddCounts(w.ctx(), []usage.Count{c}) }); err != nil {
				w.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range late {
			err := w.s.Update(w.ctx(), func(tx store.Tx) error {
				_, err := tx.FoldCounts(w.ctx(), usage.Day, january, some.Series)
				return err
			})
			if err != nil {
				w.Error(err)
			}
		}
	})
	wg.Wait()
	got := ask(usage.Day)
	same(w, "days", len(got), 4)
	same(w, "of the second day", got[1].Calls, int64(2+3*late))
}

// unfoldedInOrder: series are looked at a few at a time, application by application, and told are those of the oldest stretch.
func unfoldedInOrder(w *world) {
	january, _ := w.some()
	first := w.unfolded(usage.Day, w.now, usage.Series{}, 1)
	if len(first.Series) != 1 || first.Series[0] != first.Last || first.Last.Application != "app_1" || !first.Stretch.Equal(january) {
		w.Errorf("the first: %+v", first)
	}
	second := w.unfolded(usage.Day, w.now, first.Last, 1)
	if len(second.Series) != 1 || second.Last.Application != "app_2" || !second.Stretch.Equal(january) {
		w.Errorf("the second: %+v", second)
	}
	same(w, "behind them", w.unfolded(usage.Day, w.now, second.Last, 1), usage.Unfolded{})
	same(w, "from before all", w.unfolded(usage.Day, january, usage.Series{}, 10), usage.Unfolded{})
	w.update(func(tx store.Tx) error {
		_, err := tx.FoldCounts(w.ctx(), usage.Day, january, first.Series)
		return err
	})
	same(w, "with some of January", w.unfolded(usage.Day, w.now, usage.Series{}, 10), usage.Unfolded{Series: second.Series, Stretch: january})
	w.update(func(tx store.Tx) error {
		_, err := tx.FoldCounts(w.ctx(), usage.Day, january, second.Series)
		return err
	})
	left := w.unfolded(usage.Day, w.now, usage.Series{}, 10)
	same(w, "of February", left, usage.Unfolded{Series: []usage.Series{first.Last, second.Last}, Stretch: january.AddDate(0, 1, 0)})
}

// forgetFolded: a stretch is forgotten when nothing of it is to be kept, and other units stay.
func forgetFolded(w *world) {
	january, ask := w.some()
	february := january.AddDate(0, 1, 0)
	w.fold(usage.Day, february, 10)
	w.fold(usage.Hour, february, 10)
	forget := func(u usage.Unit, before time.Time) {
		w.update(func(tx store.Tx) error { return tx.ForgetCounts(w.ctx(), u, before) })
	}
	forget(usage.Day, february.Add(-24*time.Hour))
	same(w, "while one day is kept", len(ask(usage.Day)), 4)
	forget(usage.Day, february)
	same(w, "days of February", len(ask(usage.Day)), 1)
	same(w, "hours of all", len(ask(usage.Hour)), 4)
	forget(usage.Hour, february)
	same(w, "hours of February", len(ask(usage.Hour)), 1)
}
