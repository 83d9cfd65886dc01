package storetest

import (
	"time"

	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/usage"
)

func usages() []promise {
	count := func(w *world, app, gr, op string, status int, ago time.Duration, calls int64) usage.Count {
		return usage.Count{Environment: "live", Application: id.ID(app), Grant: id.ID(gr), API: "eid", Operation: op, Status: status, At: w.now.Add(-ago), Calls: calls}
	}
	add := func(w *world, cs ...usage.Count) {
		w.update(func(tx store.Tx) error { return tx.AddCounts(w.ctx(), cs) })
	}
	ask := func(w *world, q usage.Query) []usage.Count {
		if q.To.IsZero() {
			q.To = w.now.Add(time.Hour)
		}
		if q.Limit == 0 {
			q.Limit = 100
		}
		return read(w, func(tx store.Tx) ([]usage.Count, error) { return tx.Counts(w.ctx(), q) })
	}
	return []promise{
		{"PutTallyKeepsTheHighestOfEachLife", func(w *world) {
			day := w.now.UTC().Truncate(24 * time.Hour)
			tally := func(gateway, life string, calls int64) usage.Tally {
				return usage.Tally{Environment: "live", Grant: "gr_1", Period: "day", From: day, Gateway: gateway, Life: life, Calls: calls}
			}
			put := func(t usage.Tally) (others int64) {
				w.update(func(tx store.Tx) (err error) { others, err = tx.PutTally(w.ctx(), t, w.now); return err })
				return others
			}
			used := func(environment, grant, period string, from time.Time) int64 {
				return read(w, func(tx store.Tx) (int64, error) {
					return tx.Tallied(w.ctx(), environment, id.ID(grant), period, from)
				})
			}
			same(w, "the first", put(tally("a", "1", 5)), int64(0))
			same(w, "of another gateway", put(tally("b", "1", 7)), int64(5))
			same(w, "of another life", put(tally("a", "2", 1)), int64(12))
			same(w, "told again", put(tally("a", "1", 5)), int64(8))
			same(w, "an older word", put(tally("a", "1", 3)), int64(8))
			same(w, "more", put(tally("a", "1", 9)), int64(8))
			elsewhere, before := tally("a", "1", 100), tally("a", "1", 40)
			elsewhere.Environment, before.From = "test", day.AddDate(0, 0, -1)
			put(elsewhere)
			put(before)
			same(w, "in all", used("live", "gr_1", "day", day), int64(17))
			same(w, "of another grant", used("live", "gr_2", "day", day), int64(0))
			same(w, "in the month", used("live", "gr_1", "month", day), int64(0))
			w.update(func(tx store.Tx) error { return tx.ForgetTallies(w.ctx(), day) })
			same(w, "what is too old", used("live", "gr_1", "day", before.From), int64(0))
			same(w, "what is not", used("live", "gr_1", "day", day), int64(17))
		}},
		{"FoldTalliesOfLivesThatAreOver", foldTallies},
		{"FoldCountsLeavesEveryAnswer", foldCounts},
		{"FoldCountsWholeOrNotAtAll", foldWhole},
		{"FoldCountsWhileCallsAreAdded", foldBeside},
		{"UnfoldedInTheOrderOfSeries", unfoldedInOrder},
		{"ForgetCountsThatAreFolded", forgetFolded},
		{"AddCountsToAllUnits", func(w *world) {
			add(w, count(w, "app_1", "gr_1", "read", 200, 0, 2), count(w, "app_1", "gr_1", "read", 200, 10*time.Second, 3), count(w, "app_2", "gr_2", "read", 200, 0, 7))
			add(w, count(w, "app_1", "gr_1", "read", 429, 0, 1), count(w, "app_1", "gr_1", "read", 200, 30*time.Minute, 4), count(w, "app_1", "", "open", 200, 2*time.Hour, 1))
			for _, u := range usage.Units() {
				sums := map[string]int64{}
				for _, c := range ask(w, usage.Query{Unit: u, Application: "app_1"}) {
					if !c.At.Equal(u.Cut(c.At)) {
						w.Errorf("%s is no beginning of a %s", c.At, u)
					}
					sums[c.Operation] += c.Calls
				}
				same(w, "the sums by "+string(u), sums, map[string]int64{"read": 10, "open": 1})
			}
			want := count(w, "app_1", "gr_1", "read", 200, 0, 9) // 01:59: the hour before is half an hour old
			want.At = usage.Hour.Cut(w.now)
			same(w, "by hour", ask(w, usage.Query{Unit: usage.Hour, Grant: "gr_1", From: want.At}),
				[]usage.Count{want, func() usage.Count { c := count(w, "app_1", "gr_1", "read", 429, 0, 1); c.At = want.At; return c }()})
		}},
		{"CountsOfTheTimeAtMostLimit", func(w *world) {
			for n := range 10 {
				add(w, count(w, "app_1", "gr_1", "read", 200, time.Duration(n)*time.Minute, int64(n+1)))
			}
			q := usage.Query{Unit: usage.Minute, Application: "app_1", Environment: "live", From: usage.Minute.Cut(w.now.Add(-4 * time.Minute)), To: w.now.Add(-2 * time.Minute)}
			got := ask(w, q)
			if len(got) != 3 || got[0].Calls != 5 || got[2].Calls != 3 {
				w.Errorf("%+v", got)
			}
			q.Limit = 1
			same(w, "at most", len(ask(w, q)), 1)
			q.Environment = "test"
			same(w, "elsewhere", len(ask(w, q)), 0)
		}},
		{"ForgetCountsFromBefore", func(w *world) {
			add(w, count(w, "app_1", "gr_1", "read", 200, 0, 1), count(w, "app_1", "gr_1", "read", 200, 10*time.Minute, 1))
			w.update(func(tx store.Tx) error { return tx.ForgetCounts(w.ctx(), usage.Minute, w.now.Add(-5*time.Minute)) })
			same(w, "minutes", len(ask(w, usage.Query{Unit: usage.Minute, Application: "app_1"})), 1)
			same(w, "days", ask(w, usage.Query{Unit: usage.Day, Application: "app_1"})[0].Calls, int64(2))
		}},
		{"LostAddsUp", func(w *world) {
			for _, e := range []string{"live", "live", "test"} {
				w.update(func(tx store.Tx) error { return tx.AddLost(w.ctx(), e, "gw", w.now, 3) })
			}
			lost := func(e string, from time.Time) int64 {
				return read(w, func(tx store.Tx) (int64, error) { return tx.Lost(w.ctx(), e, from, w.now.Add(time.Second)) })
			}
			same(w, "in one", lost("live", w.now), int64(6))
			same(w, "in all", lost("", w.now), int64(9))
			same(w, "later", lost("", w.now.Add(time.Hour)), int64(0))
		}},
	}
}

// foldTallies: lives that are over become one row of their gateway, sums stay, and what cannot be told apart stays by itself.
func foldTallies(w *world) {
	day := w.now.UTC().Truncate(24 * time.Hour)
	put := func(gateway, life string, begun, calls int64) (others int64) {
		t := usage.Tally{Environment: "live", Grant: "gr_1", Period: "day", From: day, Gateway: gateway, Life: life, Begun: begun, Calls: calls}
		w.update(func(tx store.Tx) (err error) { others, err = tx.PutTally(w.ctx(), t, w.now); return err })
		return others
	}
	life := func(gateway string, begun int64, alone bool) (newest int64) {
		w.update(func(tx store.Tx) (err error) {
			newest, err = tx.TallyLife(w.ctx(), usage.Life{Environment: "live", Gateway: gateway, Begun: begun, Alone: alone}, w.now)
			return err
		})
		return newest
	}
	fold := func(most int) (n int) {
		w.update(func(tx store.Tx) (err error) { n, err = tx.FoldTallies(w.ctx(), most); return err })
		return n
	}
	used := func() int64 {
		return read(w, func(tx store.Tx) (int64, error) { return tx.Tallied(w.ctx(), "live", "gr_1", "day", day) })
	}
	for begun := range int64(5) {
		put("a", string(rune('a'+begun)), begun+1, 10)
	}
	put("a", "older release", 0, 7)
	put("b", "x", 1, 100)
	same(w, "nobody is alone", life("a", 5, false), int64(0))
	same(w, "folded then", fold(10), 0)
	same(w, "the newest is alone", life("a", 5, true), int64(5))
	same(w, "an earlier one is told so", life("a", 3, true), int64(5))
	same(w, "folded at most", fold(3), 3)
	same(w, "folded", fold(3), 1)
	same(w, "folded again", fold(3), 0)
	same(w, "the sum", used(), int64(157))
	same(w, "what others than the newest let through", put("a", "e", 5, 11), int64(147))
	same(w, "a later one beside it", life("a", 9, false), int64(5))
	put("a", "i", 9, 1)
	same(w, "which is alone", life("a", 9, true), int64(9))
	same(w, "folded with those before", fold(10), 1)
	same(w, "the sum", used(), int64(159))
	w.update(func(tx store.Tx) error { return tx.ForgetTallies(w.ctx(), day) })
	same(w, "what is not too old stays", used(), int64(159))
	same(w, "and that it is alone", life("a", 9, false), int64(9))
	w.update(func(tx store.Tx) error { return tx.ForgetTallies(w.ctx(), w.now.Add(time.Hour)) })
	same(w, "what is too old", used(), int64(0))
	same(w, "of a life that was forgotten", life("a", 9, false), int64(0))
}
