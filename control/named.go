package control

import (
	"context"
	"slices"

	"gatehouse/application"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// Named are records that others refer to: by ID those that are there and the actor's to see.
type Named struct {
	Applications  map[id.ID]application.Application
	Organizations map[id.ID]organization.Organization
	People        map[id.ID]identity.Person
}

// Named reads the applications, organizations and people that a page of a list names, in one look. Other IDs are passed over, and so is
// what a page cannot hold (500 of each).
func (c *Control) Named(ctx context.Context, a identity.Actor, is []id.ID) (Named, error) {
	out := Named{map[id.ID]application.Application{}, map[id.ID]organization.Organization{}, map[id.ID]identity.Person{}}
	err := c.view(ctx, a, "Named", func(r read) error {
		if err := named(r, out.Applications, id.Application, is, func(a application.Application) (id.ID, id.ID) { return a.ID, a.Organization }, r.tx.ApplicationsByID); err != nil {
			return err
		}
		if err := named(r, out.Organizations, id.Organization, is, func(o organization.Organization) (id.ID, id.ID) { return o.ID, o.ID }, r.tx.OrganizationsByID); err != nil {
			return err
		}
		return named(r, out.People, id.Person, is, func(p identity.Person) (id.ID, id.ID) { return p.ID, p.Organization }, r.tx.PeopleByID)
	})
	return out, err
}

// named reads those of one kind into out. of tells the ID of one, and whose it is.
func named[T any](r read, out map[id.ID]T, k id.Kind, is []id.ID, of func(T) (i, org id.ID), get func(context.Context, []id.ID) ([]T, error)) error {
	var mine []id.ID
	for _, i := range slices.Compact(slices.Sorted(slices.Values(is))) {
		if _, err := id.Parse(k, string(i)); err == nil && len(mine) < pageMost {
			mine = append(mine, i)
		}
	}
	found, err := get(r.ctx, mine)
	for _, o := range found {
		if i, org := of(o); r.sees(org) {
			out[i] = o
		}
	}
	return err
}
