package control

import (
	"context"
	"slices"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// Organizations lists partners. Staff.
func (c *Control) Organizations(ctx context.Context, a identity.Actor, s organization.State, search string, p Page) (List[organization.Organization], error) {
	var out List[organization.Organization]
	err := c.view(ctx, a, "Organizations", func(r read) (err error) {
		var f form
		search = f.optional("/search", search, longestName)
		states := []organization.State{"", organization.Registered, organization.Verified, organization.Suspended, organization.Offboarding, organization.Offboarded}
		if !slices.Contains(states, s) {
			f.bad("/state", "must be one of registered, verified, suspended, offboarded")
		}
		if err := f.err(); err != nil {
			return err
		}
		out, err = collect(p, id.Organization, func(o organization.Organization) id.ID { return o.ID }, nil,
			func(after id.ID, n int) ([]organization.Organization, error) {
				return r.tx.Organizations(ctx, s, search, after, n)
			})
		return err
	})
	return out, err
}

// Organization returns the actor's own, or for staff any.
func (c *Control) Organization(ctx context.Context, a identity.Actor, i id.ID) (organization.Organization, error) {
	var o organization.Organization
	err := c.view(ctx, a, "Organization", func(r read) (err error) {
		o, err = r.organization(i)
		return err
	})
	return o, err
}

// VerifyOrganization says that staff have checked who it is. Operator or admin.
func (c *Control) VerifyOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, note string) (organization.Organization, error) {
	var f form
	note = f.optionalText("/note", note, longestReason)
	return c.turnOrganization(ctx, a, "VerifyOrganization", "verified", i, version, note, &f,
		func(w *write, o organization.Organization) (organization.Organization, error) {
			return o.Verify(a.Person, note, w.now)
		})
}

// SuspendOrganization stops everything it has at every gateway, by one change. Operator or admin.
func (c *Control) SuspendOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (organization.Organization, error) {
	var f form
	reason = f.text("/reason", reason, longestReason)
	return c.turnOrganization(ctx, a, "SuspendOrganization", "suspended", i, version, reason, &f,
		func(_ *write, o organization.Organization) (organization.Organization, error) {
			return o.Suspend(reason)
		})
}

// ResumeOrganization ends a suspension. Operator or admin.
func (c *Control) ResumeOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (organization.Organization, error) {
	var f form
	reason = f.text("/reason", reason, longestReason)
	return c.turnOrganization(ctx, a, "ResumeOrganization", "resumed", i, version, reason, &f,
		func(_ *write, o organization.Organization) (organization.Organization, error) {
			return o.Resume(reason)
		})
}

// turnOrganization brings an organization into another state and tells its owners.
func (c *Control) turnOrganization(ctx context.Context, a identity.Actor, method, word string, i id.ID, version int64, reason string, f *form,
	turn func(*write, organization.Organization) (organization.Organization, error)) (organization.Organization, error) {
	var o organization.Organization
	if err := allow(a, method); err != nil {
		return o, err
	}
	if err := f.err(); err != nil {
		return o, err
	}
	err := c.update(ctx, a, method, func(w *write) error {
		old, err := w.organization(i)
		if err != nil {
			return err
		}
		if err := w.within(method, identity.Place{Organization: i}); err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if o, err = turn(w, old); err != nil {
			return err
		}
		action := map[string]string{"verified": "organization.verify", "suspended": "organization.suspend", "resumed": "organization.resume", "offboarded": "organization.offboard"}[word]
		if o, err = w.putOrganization(action, reason, old, o); err != nil {
			return err
		}
		return w.eachMember(o.ID, func(p identity.Person) error {
			if p.State != identity.Active || !slices.Contains(p.Roles, identity.Owner) {
				return nil
			}
			return c.organizationLetter(w, p, o, word)
		})
	})
	return o, err
}

// eachMember calls fn with each person of the organization.
func (w *write) eachMember(org id.ID, fn func(identity.Person) error) error {
	for after := id.ID(""); ; {
		people, err := w.tx.People(w.ctx, org, after, pageMost)
		if err != nil {
			return err
		}
		for _, p := range people {
			if err := fn(p); err != nil {
				return err
			}
			after = p.ID
		}
		if len(people) < pageMost {
			return nil
		}
	}
}

// mayBeGranted says whether the organization may be given anything now.
func mayBeGranted(o organization.Organization) error {
	switch o.State {
	case organization.Verified:
		return nil
	case organization.Registered:
		return fault.Of(fault.Conflict, "organization-not-verified", "your organization has not been verified yet")
	}
	return fault.Of(fault.Conflict, "organization-not-live", "the organization is %s", o.State)
}
