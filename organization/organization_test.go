package organization_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/organization"
)

func TestTurns(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	type turn = func(organization.Organization) (organization.Organization, error)
	turns := map[string]turn{
		"verify": func(o organization.Organization) (organization.Organization, error) {
			return o.Verify("per_1", "why", now)
		},
		"suspend":  func(o organization.Organization) (organization.Organization, error) { return o.Suspend("why") },
		"resume":   func(o organization.Organization) (organization.Organization, error) { return o.Resume("why") },
		"offboard": func(o organization.Organization) (organization.Organization, error) { return o.Offboard("why") },
		"complete": func(o organization.Organization) (organization.Organization, error) {
			n, err := o.Complete()
			if err == nil {
				n.Reason = "why"
			}
			return n, err
		},
	}
	may := map[organization.State]map[string]organization.State{
		organization.Registered:  {"verify": organization.Verified, "offboard": organization.Offboarding},
		organization.Verified:    {"suspend": organization.Suspended, "offboard": organization.Offboarding},
		organization.Suspended:   {"resume": organization.Verified, "offboard": organization.Offboarding},
		organization.Offboarding: {"complete": organization.Offboarded},
		organization.Offboarded:  {},
		"":                       {"offboard": organization.Offboarding},
	}
	for from, allowed := range may {
		for name, turn := range turns {
			before := organization.Organization{ID: "org_1", State: from}
			got, err := turn(before)
			want, ok := allowed[name]
			switch {
			case ok && (err != nil || got.State != want || got.Reason != "why"):
				t.Errorf("%s of %s: %+v, %v", name, from, got, err)
			case !ok && !errors.Is(err, fault.Conflict):
				t.Errorf("%s of %q: error %v, want a conflict", name, from, err)
			case !ok && cmp.Diff(before, got) != "":
				t.Errorf("a refused %s changed the organization", name)
			}
			if name == "verify" && ok && (!got.Verified.Equal(now) || got.VerifiedBy != "per_1") {
				t.Errorf("it does not say who verified it, and when: %+v", got)
			}
		}
		if live := (organization.Organization{State: from}).Live(); live != (from == organization.Verified) {
			t.Errorf("live while %q: %v", from, live)
		}
	}
}
