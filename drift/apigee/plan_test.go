package apigee_test

import (
	"testing"

	"gatehouse/drift/apigee"
	"gatehouse/drift/drifttest"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, apigee.Read, good(), mutations(), drifttest.Healed{Carried: 56, Native: 27})
}
