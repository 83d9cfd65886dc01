package krakend_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/krakend"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, krakend.Read, good(), mutations(), drifttest.Healed{Carried: 58, Native: 46})
}
