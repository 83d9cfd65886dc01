package identity

import (
	"slices"
	"strings"

	"gatehouse/id"
)

// Role is what a person may do. A role of staff may be bound to a place, and is then written with it:
// "approver@api:payments" or "operator@org:org_01…". Bound, it counts there and nowhere else: Has does not see it, Acts does.
type Role string

// Roles of members and of staff.
const (
	Owner     Role = "owner"     // member: everything in the organization
	Developer Role = "developer" // member: applications, requests, credentials
	Viewer    Role = "viewer"    // member: look

	Admin    Role = "admin"     // staff: everything, and who else is staff
	Approver Role = "approver"  // staff: decides access requests
	APIOwner Role = "api-owner" // staff: answers for an API: decides at stages that ask for its owner, suspends and ends grants of it
	Operator Role = "operator"  // staff: publishes, verifies organizations, suspends and ends
	Auditor  Role = "auditor"   // staff: reads everything, changes nothing
)

// Place is what a deed touches: the APIs that it reaches, and the organization whose it is. As the bound of a role it names
// one of them.
type Place struct {
	APIs         []string
	Organization id.ID
}

const (
	atAPI = "@api:"
	atOrg = "@org:"
)

// AtAPI binds the role to one API.
func (r Role) AtAPI(name string) Role { return r.Bare() + Role(atAPI+name) }

// AtOrganization binds the role to one organization.
func (r Role) AtOrganization(i id.ID) Role { return r.Bare() + Role(atOrg+string(i)) }

// Bare is the role without its place.
func (r Role) Bare() Role {
	bare, _, _ := strings.Cut(string(r), "@")
	return Role(bare)
}

// Bindable reports whether the role, without its place, is one that can be bound: what decides and operates. An admin and an
// auditor are so everywhere or not at all.
func (r Role) Bindable() bool { return r == Approver || r == APIOwner || r == Operator }

// Bound reports whether the role counts at one place only.
func (r Role) Bound() bool { return strings.Contains(string(r), "@") }

// Place is where a bound role counts. ok is false for a role that is not bound, and for one whose place cannot be read:
// that one counts nowhere.
func (r Role) Place() (p Place, ok bool) {
	bound := strings.TrimPrefix(string(r), string(r.Bare()))
	if name, found := strings.CutPrefix(bound, atAPI); found {
		return Place{APIs: []string{name}}, goodName(name)
	}
	if org, found := strings.CutPrefix(bound, atOrg); found {
		i, err := id.Parse(id.Organization, org)
		return Place{Organization: i}, err == nil
	}
	return Place{}, false
}

// goodName reports whether the text can be the name of an API.
func goodName(s string) bool {
	const longest = 64
	return s != "" && len(s) <= longest && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// Has reports whether the actor has any of the roles everywhere.
func (a Actor) Has(roles ...Role) bool {
	return slices.ContainsFunc(a.Roles, func(have Role) bool { return slices.Contains(roles, have) })
}

// Acts reports whether the actor has the role at the place: everywhere, for the organization, or for every one of the APIs.
func (a Actor) Acts(want Role, at Place) bool {
	if a.Has(want) {
		return true
	}
	if !want.Bindable() {
		return false
	}
	apis := 0
	for _, api := range at.APIs {
		if goodName(api) && slices.Contains(a.Roles, want.AtAPI(api)) {
			apis++
		}
	}
	return at.Organization != "" && slices.Contains(a.Roles, want.AtOrganization(at.Organization)) ||
		len(at.APIs) > 0 && apis == len(at.APIs)
}

// At is the actor as it stands at the place: with the roles that count there, none of them bound.
func (a Actor) At(p Place) Actor {
	var roles []Role
	for _, r := range a.Roles {
		if bare := r.Bare(); !slices.Contains(roles, bare) && a.Acts(bare, p) {
			roles = append(roles, bare)
		}
	}
	a.Roles = roles
	return a
}
