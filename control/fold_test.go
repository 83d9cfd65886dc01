package control_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/control"
	"gatehouse/feed"
	"gatehouse/store"
	"gatehouse/usage"
)

// What is over is put together, and nobody sees it by the answers: neither when a gateway tells late of calls, nor at the end of
// the time for which counts are kept, though a month lies there until its last day is too old.
func TestUsageOfAYearStaysTheSame(t *testing.T) {
	w := newWorld(t).published()
	a, cr, _ := w.keyed("First", "first@example.org")
	first := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	w.clock.set(first)
	ships := int64(0)
	ship := func(at time.Time, calls int64) {
		t.Helper()
		ships++
		c := feed.Calls{Counts: []feed.Count{{Minute: at.Unix() / 60, Application: cr.Application, API: "ident", Operation: "listChecks", Status: 200, Calls: calls}}}
		b := feed.Batch{Gateway: "gw-1", Environment: "live", Life: "a", Number: ships, Kind: feed.BatchCalls, Body: must(json.Marshal(c))(t)}
		for range 2 { // the answer was lost
			if err := w.Source().Ship(w.ctx, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask := func(by usage.Unit, from, to time.Time) []usage.Count {
		t.Helper()
		return must(w.Usage(w.ctx, a, cr.Application, "", by, from, to))(t).Counts
	}
	const days = 400
	for day := range days {
		at := first.AddDate(0, 0, day)
		w.clock.set(at)
		ship(at, int64(day+1))
	}
	end := first.AddDate(0, 0, days)
	year, hours := ask("day", end.AddDate(-1, 0, 0), end), ask("hour", end.AddDate(0, 0, -20), end)
	if len(year) != 365 || len(hours) != 20 {
		t.Fatalf("%d days and %d hours", len(year), len(hours))
	}
	fold := func() {
		t.Helper()
		if err := control.FoldUsage(w.ctx, w.Control); err != nil {
			t.Fatal(err)
		}
		for _, u := range []usage.Unit{usage.Hour, usage.Day} {
			err := w.Store.View(w.ctx, func(tx store.Tx) error {
				left, err := tx.Unfolded(w.ctx, u, u.FoldBefore(w.clock.Now()), usage.Series{}, 10)
				if len(left.Series) > 0 {
					t.Errorf("by %s that of %s was left", u, left.Stretch)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	same := func(what string) {
		t.Helper()
		if d := cmp.Diff(year, ask("day", end.AddDate(-1, 0, 0), end)); d != "" {
			t.Errorf("%s, by day (-want +got):\n%s", what, d)
		}
		if d := cmp.Diff(hours, ask("hour", end.AddDate(0, 0, -20), end)); d != "" {
			t.Errorf("%s, by hour (-want +got):\n%s", what, d)
		}
	}
	fold()
	same("put together")
	ship(first.AddDate(0, 0, days-10), 1000) // of an hour that was put together
	year[len(year)-10].Calls += 1000
	hours[len(hours)-10].Calls += 1000
	same("told late")
	w.clock.set(end.AddDate(0, 0, 31)) // January is over for as long as gateways may tell of it
	fold()
	same("put together again")

	w.clock.set(end.AddDate(0, 0, 390)) // the first 390 days of the 400 and more are too old
	for _, what := range []string{"before", "after"} {
		left := ask("day", first.AddDate(0, 0, 300), end)
		if len(left) != 10 || !left[0].At.Equal(usage.Day.Cut(end.AddDate(0, 0, -10))) {
			t.Errorf("%s it was forgotten: %d days, from %v", what, len(left), left)
		}
		if err := control.ForgetUsage(w.ctx, w.Control); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(ask("hour", end.AddDate(0, 0, -20), end)); n != 0 {
		t.Errorf("%d hours are kept", n)
	}
}
