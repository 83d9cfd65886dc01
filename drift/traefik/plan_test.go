package traefik_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/traefik"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, traefik.Read, good(), mutations(), drifttest.Healed{Carried: 48, Native: 31})
}
