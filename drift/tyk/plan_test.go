package tyk_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/tyk"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, tyk.Read, good(), classicMutations(), drifttest.Healed{Carried: 38, Native: 29})
}
