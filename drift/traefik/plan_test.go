package traefik_test

import (
	"maps"
	"slices"
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	closed, all, reasons := drifttest.Heal(t, traefik.Read, good(), mutations())
	t.Logf("%d of %d weakenings are closed by a proven change", closed, all)
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		t.Log(r)
	}
	if closed < 10 {
		t.Errorf("%d of %d weakenings are closed, less than before", closed, all)
	}
}
