package control

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

func personID(p identity.Person) id.ID { return p.ID }

// Person returns the actor's own person, one of their organization, or for staff anybody.
func (c *Control) Person(ctx context.Context, a identity.Actor, i id.ID) (identity.Person, error) {
	var p identity.Person
	err := c.view(ctx, a, "Person", func(r read) (err error) {
		p, err = r.person(i)
		return err
	})
	return p, err
}

// Members lists the people of an organization.
func (c *Control) Members(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[identity.Person], error) {
	var out List[identity.Person]
	err := c.view(ctx, a, "Members", func(r read) error {
		org, err := r.organizationOr(org)
		if err != nil {
			return err
		}
		if org == "" {
			return missing("organization")
		}
		out, err = collect(p, id.Person, personID, there, func(after id.ID, n int) ([]identity.Person, error) {
			return r.tx.People(ctx, org, after, n)
		})
		return err
	})
	return out, err
}

// StaffList lists the platform's people.
func (c *Control) StaffList(ctx context.Context, a identity.Actor, p Page) (List[identity.Person], error) {
	var out List[identity.Person]
	err := c.view(ctx, a, "StaffList", func(r read) (err error) {
		out, err = collect(p, id.Person, personID, there, func(after id.ID, n int) ([]identity.Person, error) {
			return r.tx.People(ctx, "", after, n)
		})
		return err
	})
	return out, err
}

// staffRoles takes roles of staff, at least one. Those that decide and operate may be bound to an API or an organization.
func (f *form) staffRoles(roles []identity.Role) []identity.Role {
	for _, r := range roles {
		switch kind := byRole[r.Bare()]; {
		case kind&staff == 0:
			f.bad("/roles", "%q is not a role of staff: there are admin, approver, api-owner, operator and auditor", clip(string(r)))
		case r.Bound() && !r.Bare().Bindable():
			f.bad("/roles", "%q: %s counts everywhere, it cannot be bound", clip(string(r)), r.Bare())
		case r.Bound():
			if _, ok := r.Place(); !ok {
				f.bad("/roles", "%q: bind a role as in approver@api:payments or operator@org:org_…", clip(string(r)))
			}
		}
	}
	if len(roles) == 0 {
		f.bad("/roles", "choose at least one role")
	}
	if len(roles) > rolesMost {
		f.bad("/roles", "must be at most %d", rolesMost)
	}
	roles = slices.Clone(roles)
	slices.Sort(roles)
	return slices.Compact(roles)
}

// rolesMost is how many roles one person can have: enough to bind some to many APIs.
const rolesMost = 50

// AddStaff makes a person of the platform and sends them a sign-in link. Admin or Host.
func (c *Control) AddStaff(ctx context.Context, a identity.Actor, email, name string, roles []identity.Role) (identity.Person, error) {
	var p identity.Person
	if err := allow(a, "AddStaff"); err != nil {
		return p, err
	}
	var f form
	email, name, roles = f.email("/email", email), f.name("/name", name, longestName), f.staffRoles(roles)
	if err := f.err(); err != nil {
		return p, err
	}
	err := c.update(ctx, a, "AddStaff", func(w *write) (err error) {
		if p, err = w.addStaff(email, name, roles); err != nil {
			return err
		}
		return c.staffLetter(w, p)
	})
	return p, err
}

func (w *write) addStaff(email, name string, roles []identity.Role) (identity.Person, error) {
	p, err := w.putPerson("person.add-staff", "", identity.Person{}, identity.Person{ID: w.fresh(id.Person),
		Class: identity.Staff, Email: email, Name: name, Roles: roles, State: identity.Active, Created: w.now})
	if errors.Is(err, fault.Conflict) {
		return p, fault.Of(fault.Conflict, "email-taken", "somebody with this e-mail address is there already").Because(err)
	}
	return p, err
}

// ChangeStaff sets the roles and state of a person of the platform. The last active admin cannot be taken away, nor the last
// api-owner of an API that is offered. With a person
// who is disabled, their sessions and machine tokens end for good. Admin.
func (c *Control) ChangeStaff(ctx context.Context, a identity.Actor, i id.ID, version int64, roles []identity.Role, s identity.State) (identity.Person, error) {
	var p identity.Person
	if err := allow(a, "ChangeStaff"); err != nil {
		return p, err
	}
	var f form
	roles = f.staffRoles(roles)
	if s != identity.Active && s != identity.Disabled {
		f.bad("/state", "must be active or disabled")
	}
	if err := f.err(); err != nil {
		return p, err
	}
	err := c.update(ctx, a, "ChangeStaff", func(w *write) (err error) {
		if p, err = w.person(i); err != nil {
			return err
		}
		if p.Class != identity.Staff {
			return missing("person of the platform")
		}
		if err := still(p); err != nil {
			return err
		}
		if err := seen(version, p.Version); err != nil {
			return err
		}
		old := p
		p.Roles, p.State = roles, s
		if p, err = w.putPerson("person.change-staff", "", old, p); err != nil {
			return err
		}
		if err := c.staffLeft(w, old, p); err != nil {
			return err
		}
		if s == identity.Disabled {
			if err := w.revokeMachinesOf(p); err != nil {
				return err
			}
			return w.endSessionsOf(p, "", "disabled")
		}
		return nil
	})
	return p, err
}

// RecoverAdmin makes sure that the address belongs to an active admin, and returns a one-time sign-in link for them (the
// whole address of the page), valid 15 minutes. An address that nobody has becomes a further admin's only with a name: without one it
// is more likely mistyped, and whoever owns it could sign in by it ever after. Only for Host: it is how the first and a last
// administrator get in.
func (c *Control) RecoverAdmin(ctx context.Context, a identity.Actor, email, name string) (link secret.Value, err error) {
	if err := allow(a, "RecoverAdmin"); err != nil {
		return link, err
	}
	var f form
	email = f.email("/email", email)
	if name != "" {
		name = f.name("/name", name, longestName)
	}
	if err := f.err(); err != nil {
		return link, err
	}
	err = c.update(ctx, a, "RecoverAdmin", func(w *write) error {
		p, err := w.tx.PersonByEmail(ctx, email)
		switch {
		case errors.Is(err, fault.NotFound):
			p, err = w.furtherAdmin(email, name)
		case err == nil && p.Class != identity.Staff:
			return fault.Of(fault.Conflict, "email-taken", "this is the e-mail address of a partner's member: take another one")
		case err == nil && (p.State != identity.Active || !slices.Contains(p.Roles, identity.Admin)):
			old := p
			p.State = identity.Active
			if !slices.Contains(p.Roles, identity.Admin) {
				p.Roles = append(slices.Clone(p.Roles), identity.Admin)
			}
			p, err = w.putPerson("person.recover-admin", "", old, p)
		}
		if err != nil {
			return err
		}
		token, err := w.addLink(p, identity.SignInLink, signInLives)
		if err != nil {
			return err
		}
		link = secret.New(c.link(signInPage, token))
		return nil
	})
	return link, err
}

// furtherAdmin makes an admin of an address that nobody has.
func (w *write) furtherAdmin(email, name string) (identity.Person, error) {
	n, err := w.tx.CountStaff(w.ctx, identity.Admin)
	if err != nil {
		return identity.Person{}, err
	}
	if n > 0 && name == "" {
		return identity.Person{}, fault.Bad("/name", "must be given: nobody here has the address %s, and with a name it becomes another administrator's", clip(email))
	}
	return w.addStaff(email, cmp.Or(name, email), []identity.Role{identity.Admin})
}
