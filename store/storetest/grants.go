package storetest

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/store"
)

func grants() []promise {
	fresh := func(w *world, n int) grant.Grant {
		return grant.Grant{ID: id.New(id.Grant, w.now), Request: "req_1", Organization: id.ID(fmt.Sprint("org_", n%2)), Application: id.ID(fmt.Sprint("app_", n%4)),
			Environment: []string{"live", "test"}[n%2], Product: "verification", Plan: "gold", Scopes: []string{"read", "write"}, Purpose: "p",
			ApprovedBy: []id.ID{"per_2", "per_1"}, From: w.now, Until: w.now.Add(time.Duration(n) * time.Hour), State: grant.Active}
	}
	return []promise{
		{"PutGrantVersions", func(w *world) {
			g := fresh(w, 1)
			versions(w, g, func(g *grant.Grant) *int64 { return &g.Version },
				func(g *grant.Grant) {
					g.State, g.Reason, g.Ended, g.Scopes, g.ApprovedBy, g.Plan = grant.Ended, "over", w.now, []string{}, nil, "silver"
					g.Emergency, g.Reviewed, g.ReviewedBy = true, w.now, "per_9"
					g.ScopesSince = map[string]time.Time{"write": w.now}
				},
				func(tx store.Tx, g grant.Grant) (grant.Grant, error) { return tx.PutGrant(w.ctx(), g) },
				func(tx store.Tx) (grant.Grant, error) { return tx.Grant(w.ctx(), g.ID) })
		}},
		{"GrantsByFilter", func(w *world) {
			var every []grant.Grant
			for n := range 12 {
				g := fresh(w, n)
				if n%3 == 0 {
					g.State = grant.Suspended
				}
				every = append(every, written(w, func(tx store.Tx) (grant.Grant, error) { return tx.PutGrant(w.ctx(), g) }))
			}
			among := map[id.ID]int{}
			for _, g := range read(w, func(tx store.Tx) ([]grant.Grant, error) {
				return tx.GrantsAmong(w.ctx(), []id.ID{"app_1", "app_x", "app_3", "app_1"})
			}) {
				among[g.Application]++
			}
			same(w, "among applications", among, map[id.ID]int{"app_1": 3, "app_3": 3})
			ending := w.now.Add(5 * time.Hour)
			for name, c := range map[string]struct {
				f    grant.Filter
				want func(g grant.Grant) bool
			}{
				"all":          {grant.Filter{}, func(grant.Grant) bool { return true }},
				"organization": {grant.Filter{Organization: "org_1"}, func(g grant.Grant) bool { return g.Organization == "org_1" }},
				"application":  {grant.Filter{Application: "app_3"}, func(g grant.Grant) bool { return g.Application == "app_3" }},
				"environment":  {grant.Filter{Environment: "test"}, func(g grant.Grant) bool { return g.Environment == "test" }},
				"state":        {grant.Filter{State: "suspended"}, func(g grant.Grant) bool { return g.State == grant.Suspended }},
				"ending":       {grant.Filter{Ending: ending}, func(g grant.Grant) bool { return g.State == grant.Active && g.Until.Before(ending) }},
				"several": {grant.Filter{Organization: "org_1", Environment: "test", State: "active", Ending: ending},
					func(g grant.Grant) bool {
						return g.Organization == "org_1" && g.State == grant.Active && g.Until.Before(ending)
					}},
				"none": {grant.Filter{Organization: "org_0", Environment: "test"}, func(grant.Grant) bool { return false }},
			} {
				var want []string
				for _, g := range every {
					if c.want(g) {
						want = append(want, string(g.ID))
					}
				}
				slices.Sort(want)
				got := paged(w, func(g grant.Grant) string { return string(g.ID) }, func(tx store.Tx, after string, limit int) ([]grant.Grant, error) {
					return tx.Grants(w.ctx(), c.f, id.ID(after), limit)
				})
				same(w, name, got, want)
			}
		}},
	}
}
