package sqldb_test

import (
	"testing"
	"time"

	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/store"
)

// A walk over more grants that end by a time than are sorted by ID yields each once, in their order, also where only few are left.
func TestManyGrantsEnd(t *testing.T) {
	const many = 20_100
	onBoth(t, func(t *testing.T, s store.Store, do func(q string, args ...any)) {
		do(`INSERT INTO grants (id, request, organization, application, environment, product, plan, scopes, purpose, approved_by, starts, ends, state, reason, ended, more, version)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			SELECT 'gr_0000000000000000000' || (1000000 + i), '', 'org_1', 'app_1', CASE WHEN i % 3 = 0 THEN 'test' ELSE 'live' END, 'p', 'q', '[]', '', '[]', 0, 1000000 - i, 'active', '', 0, '{}', 1 FROM n`, many)
		for environment, want := range map[string]int{"": many, "test": many / 3} {
			n, after := 0, id.ID("")
			if err := s.View(t.Context(), func(tx store.Tx) error {
				for {
					gs, err := tx.Grants(t.Context(), grant.Filter{Environment: environment, Ending: time.UnixMicro(2_000_000)}, after, 5000)
					if err != nil || len(gs) == 0 {
						return err
					}
					for _, g := range gs {
						if g.ID <= after {
							t.Fatalf("%s after %s", g.ID, after)
						}
						n, after = n+1, g.ID
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			if n != want {
				t.Errorf("a walk of %q finds %d grants of %d", environment, n, want)
			}
		}
	})
}
