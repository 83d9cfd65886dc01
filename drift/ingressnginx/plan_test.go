package ingressnginx_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/ingressnginx"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, ingressnginx.Read, good(), mutations(), drifttest.Healed{Carried: 41, Native: 28})
}
