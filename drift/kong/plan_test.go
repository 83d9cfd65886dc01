package kong_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/kong"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, kong.Read, good(), mutations(), drifttest.Healed{Carried: 60, Native: 44})
}
