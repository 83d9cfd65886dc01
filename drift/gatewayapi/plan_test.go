package gatewayapi_test

import (
	"testing"

	"gatehouse/drift/drifttest"
	"gatehouse/drift/gatewayapi"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	f, list := further(t)
	drifttest.Heal(t, gatewayapi.Read, f, list, drifttest.Healed{Carried: 6, Native: 1})
}
