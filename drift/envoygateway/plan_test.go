package envoygateway_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/envoygateway"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, envoygateway.Read, good(), mutations(), drifttest.Healed{Carried: 43, Native: 27})
}
