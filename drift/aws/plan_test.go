package aws_test

import (
	"testing"

	"gatehouse/drift/aws"
	"gatehouse/drift/drifttest"
)

// TestPlan: the seeded weakenings are planned away, or it is said why not.
func TestPlan(t *testing.T) {
	drifttest.Heal(t, aws.Read, good(), mutations(), drifttest.Healed{Carried: 45, Native: 28})
}
