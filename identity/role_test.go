package identity_test

import (
	"slices"
	"testing"

	"gatehouse/identity"
)

const org, other = "org_01jz0000000000000000000000", "org_01jz0000000000000000000001"

func TestABoundRoleCountsAtItsPlaceAndNowhereElse(t *testing.T) {
	pay, id := identity.Place{APIs: []string{"payments"}}, identity.Place{APIs: []string{"identity"}}
	both := identity.Place{APIs: []string{"payments", "identity"}}
	for _, c := range []struct {
		name  string
		roles []identity.Role
		at    identity.Place
		want  bool
	}{
		{"everywhere", []identity.Role{"approver"}, pay, true},
		{"everywhere, nowhere in particular", []identity.Role{"approver"}, identity.Place{}, true},
		{"at its API", []identity.Role{"approver@api:payments"}, pay, true},
		{"at another API", []identity.Role{"approver@api:payments"}, id, false},
		{"at one of two", []identity.Role{"approver@api:payments"}, both, false},
		{"at both of two", []identity.Role{"approver@api:payments", "approver@api:identity"}, both, true},
		{"at both, by two roles", []identity.Role{"approver@api:payments", "operator@api:identity"}, both, false},
		{"at no API", []identity.Role{"approver@api:payments"}, identity.Place{Organization: org}, false},
		{"at its organization", []identity.Role{"approver@org:" + org}, identity.Place{Organization: org}, true},
		{"at its organization, whatever the APIs", []identity.Role{"approver@org:" + org}, identity.Place{APIs: both.APIs, Organization: org}, true},
		{"at another organization", []identity.Role{"approver@org:" + org}, identity.Place{Organization: other}, false},
		{"bound to nothing", []identity.Role{"approver@", "approver@api:", "approver@org:", "approver@api:*"}, identity.Place{APIs: []string{""}}, false},
		{"another role", []identity.Role{"operator@api:payments"}, pay, false},
	} {
		a := identity.Actor{Class: identity.Staff, Roles: c.roles}
		if got := a.Acts(identity.Approver, c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := slices.Contains(a.At(c.at).Roles, identity.Approver); got != c.want {
			t.Errorf("%s: At says %v", c.name, a.At(c.at).Roles)
		}
	}
	if (identity.Actor{Roles: []identity.Role{"approver@api:payments"}}).Has(identity.Approver) {
		t.Error("a bound role counts everywhere")
	}
}

func TestPlaceOfARole(t *testing.T) {
	for r, ok := range map[identity.Role]bool{
		"approver": false, "approver@api:payments": true, "approver@api:Pay ments": false, "approver@api:": false, "operator@org:" + org: true,
		"operator@org:gr_01jz0000000000000000000000": false, "operator@elsewhere": false, "operator@api:a@org:" + org: false,
	} {
		if _, got := r.Place(); got != ok {
			t.Errorf("%s: its place is read: %v", r, got)
		}
	}
	if r := identity.APIOwner.AtAPI("eid"); r != "api-owner@api:eid" || r.Bare() != identity.APIOwner || !r.Bound() {
		t.Errorf("%s", r)
	}
}
