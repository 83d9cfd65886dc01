package storetest

import (
	"slices"
	"strconv"
	"time"

	"gatehouse/drift"
	"gatehouse/drift/watch"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/store"
)

func (w *world) driftRun(n int) watch.Run {
	r := &drift.Result{Findings: []drift.Finding{{ID: "dr_" + strconv.Itoa(n), Rule: "DR-AUT-01", Severity: drift.High, Operations: []drift.Key{{Method: "GET", Path: "/a"}}}}}
	return watch.Run{ID: id.New(id.DriftRun, w.now.Add(time.Duration(n)*time.Second)), At: w.now, By: "per_1", Verdict: "drift found", Open: 1, Worst: "high", Fresh: n, Result: r}
}

func drifts() []promise {
	add := func(w *world, r watch.Run) {
		w.Helper()
		written(w, func(tx store.Tx) (int, error) { return 0, tx.AddDriftRun(w.ctx(), r) })
	}
	return []promise{
		{"DriftRunWithItsResult", func(w *world) {
			r := w.driftRun(1)
			add(w, r)
			got := read(w, func(tx store.Tx) (watch.Run, error) { return tx.DriftRun(w.ctx(), r.ID) })
			same(w, "the finding", got.Result.Findings[0].ID, "dr_1")
			same(w, "its severity", got.Result.Findings[0].Severity, drift.High)
			same(w, "the verdict", got.Verdict, r.Verdict)
			failing(w, fault.NotFound, func(tx store.Tx) (watch.Run, error) { return tx.DriftRun(w.ctx(), "drn_1") })
		}},
		{"DriftRunsNewestFirstAndTheNewestKept", func(w *world) {
			var want []string
			for n := range watch.Kept + 3 {
				r := w.driftRun(n)
				r.Result = nil
				add(w, r)
				want = append(want, string(r.ID))
			}
			slices.Reverse(want)
			list := read(w, func(tx store.Tx) ([]watch.Run, error) { return tx.DriftRuns(w.ctx(), 500) })
			var got []string
			for _, r := range list {
				got = append(got, string(r.ID))
			}
			same(w, "the runs", got, want[:watch.Kept])
		}},
		{"DriftBundlesTheNewestOfEachEnvironment", func(w *world) {
			put := func(env, digest string, ops int) {
				e := &drift.Environment{Name: env, Gateway: "kong"}
				for n := range ops {
					e.Operations = append(e.Operations, drift.Operation{Key: drift.Key{Method: "GET", Path: "/" + strconv.Itoa(n)}, Effective: []drift.Effective{{Policy: &drift.Policy{}}}})
				}
				written(w, func(tx store.Tx) (int, error) {
					return 0, tx.PutDriftBundle(w.ctx(), watch.Bundle{Environment: env, At: w.now, By: "per_1", Bytes: 3 << 30, Digest: digest, Seen: e})
				})
			}
			put("south", "a", 1)
			put("north", "b", 2)
			put("south", "c", 3)
			got := read(w, func(tx store.Tx) ([]watch.Bundle, error) { return tx.DriftBundles(w.ctx()) })
			same(w, "how many", len(got), 2)
			same(w, "the first", got[0].Environment+got[0].Digest, "northb")
			same(w, "the newest", got[1].Environment+got[1].Digest, "southc")
			same(w, "what was read of it", len(got[1].Seen.Operations), 3)
			same(w, "an operation", got[1].Seen.Operations[2].Key.String(), "GET /2")
			same(w, "its size", got[1].Bytes, int64(3<<30))
			same(w, "whose", string(got[1].By), "per_1")
			same(w, "when", got[1].At, w.now)
		}},
		{"PutDriftWaiverVersions", func(w *world) {
			i := watch.Waiver{ID: id.New(id.DriftWaiver, w.now), Rule: "DR-AUT-01", Owner: "o", Reason: "r", By: "per_1", Created: w.now, Ends: w.now.Add(time.Hour)}
			versions(w, i, func(i *watch.Waiver) *int64 { return &i.Version },
				func(i *watch.Waiver) {
					i.Rule, i.Finding, i.Environment, i.Owner, i.Reason, i.By = "DR-AUT-02", "dr_1", "prod", "p", "s", "per_2"
					i.Created, i.Ends, i.Ended = w.now.Add(1e6), w.now.Add(2e6), w.now.Add(3e6)
				},
				func(tx store.Tx, i watch.Waiver) (watch.Waiver, error) { return tx.PutDriftWaiver(w.ctx(), i) },
				func(tx store.Tx) (watch.Waiver, error) { return tx.DriftWaiver(w.ctx(), i.ID) })
		}},
		{"DriftWaiversByIDAfter", func(w *world) {
			var ids []string
			for range 5 {
				i := watch.Waiver{ID: id.New(id.DriftWaiver, w.now), Rule: "DR-AUT-01", Created: w.now, Ends: w.now}
				written(w, func(tx store.Tx) (watch.Waiver, error) { return tx.PutDriftWaiver(w.ctx(), i) })
				ids = append(ids, string(i.ID))
			}
			slices.Sort(ids)
			got := paged(w, func(i watch.Waiver) string { return string(i.ID) }, func(tx store.Tx, after string, limit int) ([]watch.Waiver, error) {
				return tx.DriftWaivers(w.ctx(), id.ID(after), limit)
			})
			same(w, "the waivers", got, ids)
		}},
	}
}
