package control

import (
	"errors"
	"slices"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
)

// bounded is the methods for which a role that is bound to a place counts. Each of them asks within, once it knows the
// place. Looking is for all staff, wherever their roles are bound.
var bounded = map[string]bool{
	"Decide": true, "AskQuestion": true, "NarrowGrant": true, "SuspendGrant": true, "ResumeGrant": true, "EndGrant": true,
	"VerifyOrganization": true, "SuspendOrganization": true, "ResumeOrganization": true, "OffboardOrganization": true, "PinOrganization": true,
	"RevokeCredential": true, "StartReview": true, "AnswerReview": true,
}

// somewhere is the actor as if it stood where all of its roles count, if the method asks later where that is, or only looks.
func somewhere(a identity.Actor, method string) identity.Actor {
	if !bounded[method] && rights[method]&staff != staff {
		return a
	}
	roles := slices.Clone(a.Roles)
	for i, r := range roles {
		if _, ok := r.Place(); ok && r.Bare().Bindable() {
			roles[i] = r.Bare()
		}
	}
	a.Roles = roles
	return a
}

// within says whether the actor may call the method at the place.
func (r read) within(method string, p identity.Place) error {
	if callers(r.a.At(p))&rights[method] == 0 && !(r.a.Class == identity.Host || r.a.Class == identity.System) {
		return fault.Of(fault.Forbidden, "elsewhere", "your role counts for other APIs or organizations, not here")
	}
	return nil
}

// place is where a request or grant belongs: the organization, and the APIs that its product reaches. A product that is no
// longer offered reaches none.
func (c *Control) place(r read, environment, product string, org id.ID) (identity.Place, error) {
	p := identity.Place{Organization: org}
	of, err := c.newest(r.ctx, r.tx, environment)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Conflict) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	i := slices.IndexFunc(of.Products, func(q manifest.Product) bool { return q.Name == product })
	if i >= 0 {
		for _, a := range of.Products[i].Operations {
			p.APIs = append(p.APIs, a.API)
		}
	}
	return p, nil
}
