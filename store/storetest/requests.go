package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/store"
)

func requests() []promise {
	fresh := func(w *world, n int) grant.Request {
		return grant.Request{ID: id.New(id.Request, w.now), Organization: id.ID(fmt.Sprint("org_", n%2)), Application: id.ID(fmt.Sprint("app_", n%4)),
			Environment: "live", Product: "verification", Plan: "gold", Scopes: []string{"read"}, Purpose: "p", Duration: 90*24*time.Hour + time.Microsecond,
			By: "per_1", Created: w.now, State: grant.Open, Stages: []grant.Stage{{Name: "security", Role: "approver", Count: 2}}}
	}
	return []promise{
		{"PutRequestVersions", func(w *world) {
			r := fresh(w, 1)
			versions(w, r, func(r *grant.Request) *int64 { return &r.Version },
				func(r *grant.Request) {
					r.State, r.Grant = grant.Approved, "gr_1"
					r.Sort, r.Of, r.Since, r.Reminded, r.Escalated = grant.Renewal, "gr_1", w.now, true, true
					r.Questions = []grant.Question{{By: "per_2", At: w.now, Text: "why?", Answer: "because", AnsweredBy: "per_1", Answered: w.now}}
					r.Rule = &grant.Ruling{Rule: "small", Then: "people", Error: "no such key"}
					r.Decisions = []grant.Decision{{By: "per_2", At: w.now, Approve: true, Scopes: []string{"read"}, Until: w.now.Add(time.Hour)}, {Stage: 1, By: "per_3", At: w.now, Reason: "no „reason“ <&>"}}
				},
				func(tx store.Tx, r grant.Request) (grant.Request, error) { return tx.PutRequest(w.ctx(), r) },
				func(tx store.Tx) (grant.Request, error) { return tx.Request(w.ctx(), r.ID) })
		}},
		{"PutRequestOfTwoApproversOneDecides", func(w *world) {
			r := written(w, func(tx store.Tx) (grant.Request, error) { return tx.PutRequest(w.ctx(), fresh(w, 1)) })
			var wg sync.WaitGroup
			var won atomic.Int32
			for n := range 2 {
				wg.Go(func() {
					mine := r
					mine.Decisions = []grant.Decision{{By: id.ID(fmt.Sprint("per_", n)), At: w.now}}
					err := w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutRequest(w.ctx(), mine); return err })
					if err == nil {
						won.Add(1)
					} else {
						w.is(fault.Stale, err)
					}
				})
			}
			wg.Wait()
			same(w, "who decided", won.Load(), 1)
			got := read(w, func(tx store.Tx) (grant.Request, error) { return tx.Request(w.ctx(), r.ID) })
			same(w, "decisions", len(got.Decisions), 1)
		}},
		{"RequestsByFilter", func(w *world) {
			of := map[string][]string{}
			for n := range 8 {
				r := fresh(w, n)
				if n > 4 {
					r.State = grant.Refused
				}
				r = written(w, func(tx store.Tx) (grant.Request, error) { return tx.PutRequest(w.ctx(), r) })
				for _, k := range []string{"", string(r.Organization), string(r.Application), string(r.State)} {
					of[k] = append(of[k], string(r.ID))
				}
			}
			for k, f := range map[string]grant.Filter{"": {}, "org_1": {Organization: "org_1"}, "app_2": {Application: "app_2"}, "open": {State: "open"}, "none": {Environment: "test"}} {
				slices.Sort(of[k])
				got := paged(w, func(r grant.Request) string { return string(r.ID) }, func(tx store.Tx, after string, limit int) ([]grant.Request, error) {
					return tx.Requests(w.ctx(), f, id.ID(after), limit)
				})
				same(w, "filter "+k, got, of[k])
			}
		}},
		{"ClaimRequestsOnceForALease", func(w *world) {
			timed := func(n int, within time.Duration) grant.Request {
				r := fresh(w, n)
				r.Stages[0].Within = int64(within / time.Second)
				return written(w, func(tx store.Tx) (grant.Request, error) { return tx.PutRequest(w.ctx(), r) })
			}
			early, late, never := timed(1, time.Hour), timed(2, 4*time.Hour), timed(3, 0)
			claim := func(now time.Time) []string {
				var ids []string
				for _, r := range written(w, func(tx store.Tx) ([]grant.Request, error) {
					return tx.ClaimRequests(w.ctx(), now, time.Minute, 10)
				}) {
					ids = append(ids, string(r.ID))
				}
				return ids
			}
			same(w, "before anything is due", claim(w.now.Add(29*time.Minute)), nil)
			at := w.now.Add(30 * time.Minute)
			same(w, "what is due", claim(at), []string{string(early.ID)})
			same(w, "within the lease", claim(at.Add(59*time.Second)), nil)
			same(w, "after it", claim(at.Add(time.Minute)), []string{string(early.ID)})
			early.Reminded = true
			w.update(func(tx store.Tx) error { _, err := tx.PutRequest(w.ctx(), early); return err })
			same(w, "stored anew, due later", claim(w.now.Add(59*time.Minute)), nil)
			late.State = grant.Withdrawn
			w.update(func(tx store.Tx) error { _, err := tx.PutRequest(w.ctx(), late); return err })
			same(w, "what is not open is never due", claim(w.now.Add(100*time.Hour)), []string{string(early.ID)})
			_ = never
		}},
		{"PutAbsenceVersions", func(w *world) {
			a := grant.Absence{ID: id.New(id.Absence, w.now), Person: "per_1", StandIn: "per_2", From: w.now, Until: w.now.Add(time.Hour)}
			versions(w, a, func(a *grant.Absence) *int64 { return &a.Version }, func(a *grant.Absence) { a.Ended = w.now },
				func(tx store.Tx, a grant.Absence) (grant.Absence, error) { return tx.PutAbsence(w.ctx(), a) },
				func(tx store.Tx) (grant.Absence, error) { return tx.Absence(w.ctx(), a.ID) })
		}},
		{"AbsencesThatAreNotOver", func(w *world) {
			of := map[string][]string{}
			for n := range 8 {
				a := grant.Absence{ID: id.New(id.Absence, w.now), Person: id.ID(fmt.Sprint("per_", n%2)), StandIn: id.ID(fmt.Sprint("per_", 2+n%3)),
					From: w.now, Until: w.now.Add(time.Duration(n) * time.Hour)}
				if n == 5 {
					a.Ended = w.now
				}
				w.update(func(tx store.Tx) error { _, err := tx.PutAbsence(w.ctx(), a); return err })
				if n > 2 && n != 5 {
					for _, k := range []string{"", string(a.Person), string(a.StandIn)} {
						of[k] = append(of[k], string(a.ID))
					}
				}
			}
			for k, q := range map[string][2]id.ID{"": {}, "per_1": {"per_1", ""}, "per_3": {"", "per_3"}} {
				slices.Sort(of[k])
				got := paged(w, func(a grant.Absence) string { return string(a.ID) }, func(tx store.Tx, after string, limit int) ([]grant.Absence, error) {
					return tx.Absences(w.ctx(), q[0], q[1], w.now.Add(2*time.Hour), id.ID(after), limit)
				})
				same(w, "absences of "+k, got, of[k])
			}
		}},
	}
}
