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

// TestPlanOAS: the same of APIs that are described in OpenAPI.
func TestPlanOAS(t *testing.T) {
	drifttest.Heal(t, tyk.Read, goodNew(), documentMutations(), drifttest.Healed{Carried: 21, Native: 19})
}
