package gatehouse_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatehouse"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, gatehouse.Read, good(), mutations(), drifttest.Healed{Carried: 17, Native: 13})
}
