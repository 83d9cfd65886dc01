package azureapim_test

import (
	"testing"

	"gatehouse/drift/azureapim"
	"gatehouse/drift/drifttest"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, azureapim.Read, good(), mutations(), drifttest.Healed{Carried: 63, Native: 46})
}
