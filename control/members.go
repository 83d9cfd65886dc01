package control

import (
	"context"
	"slices"

	"gatehouse/application"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

// ChangeMember sets the roles and state of a member. Whoever is disabled hands what they own to the successor, an active
// member, in the same transaction: without one it is fault.Conflict "successor-needed". The last active owner stays one
// until there is another. Nobody gives or takes a role above their own. Owner of the organization, operator or admin.
func (c *Control) ChangeMember(ctx context.Context, a identity.Actor, i id.ID, version int64, roles []identity.Role, s identity.State, successor id.ID) (identity.Person, error) {
	var p identity.Person
	if err := allow(a, "ChangeMember"); err != nil {
		return p, err
	}
	var f form
	roles = f.memberRoles(roles)
	if s != identity.Active && s != identity.Disabled {
		f.bad("/state", "must be active or disabled")
	}
	if err := f.err(); err != nil {
		return p, err
	}
	err := c.update(ctx, a, "ChangeMember", func(w *write) (err error) {
		if p, err = w.person(i); err != nil {
			return err
		}
		if p.Class != identity.Member {
			return missing("person")
		}
		if err := still(p); err != nil {
			return err
		}
		if err := seen(version, p.Version); err != nil {
			return err
		}
		old := p
		p.Roles, p.State = roles, s
		if p, err = w.putPerson("person.change-member", "", old, p); err != nil {
			return err
		}
		if s == identity.Disabled {
			if err := w.handOver(p, successor); err != nil {
				return err
			}
		}
		if err := w.ownerLeft(p.Organization); err != nil {
			return err
		}
		return c.memberLetter(w, old, p)
	})
	return p, err
}

// still refuses to change somebody of whom nothing is left.
func still(p identity.Person) error {
	if p.State == identity.Erased {
		return fault.Of(fault.Conflict, "erased", "this person is erased, and never comes back")
	}
	return nil
}

// there reports whether somebody is to be listed.
func there(p identity.Person) bool { return p.State != identity.Erased }

// Leave ends the actor's own membership for good. What they own goes to the successor, an active member; the last owner's
// successor becomes owner. Sessions and machine tokens end.
func (c *Control) Leave(ctx context.Context, a identity.Actor, successor id.ID) error {
	if err := allow(a, "Leave"); err != nil {
		return err
	}
	return c.update(ctx, a, "Leave", func(w *write) error {
		p, err := w.person(a.Person)
		if err != nil {
			return err
		}
		old := p
		p.State = identity.Disabled
		if p, err = w.putPerson("person.leave", "", old, p); err != nil {
			return err
		}
		if err := w.succeed(old, successor); err != nil {
			return err
		}
		if err := w.handOver(p, successor); err != nil {
			return err
		}
		if err := w.ownerLeft(p.Organization); err != nil {
			return err
		}
		return c.memberLetter(w, old, p)
	})
}

// succeed makes the successor an owner if the person who leaves was the last one.
func (w *write) succeed(left identity.Person, successor id.ID) error {
	if successor == "" || !slices.Contains(left.Roles, identity.Owner) || w.ownerLeft(left.Organization) == nil {
		return nil
	}
	next, err := w.successor(left, successor)
	if err != nil {
		return err
	}
	old := next
	next.Roles = append(slices.Clone(next.Roles), identity.Owner)
	_, err = w.putPerson("person.succeed", "the last owner has left", old, next)
	return err
}

// successor returns who takes over from the person: another active member of the same organization.
func (w *write) successor(left identity.Person, successor id.ID) (identity.Person, error) {
	next, err := w.person(successor)
	if err != nil || next.ID == left.ID || next.Organization != left.Organization || next.State != identity.Active {
		return next, fault.Bad("/successor", "must be another active member of the organization")
	}
	return next, nil
}

// handOver moves every application that the person owns to the successor, and ends what acts for them.
func (w *write) handOver(left identity.Person, successor id.ID) error {
	apps, err := all(applicationID, func(after id.ID, n int) ([]application.Application, error) {
		return w.tx.Applications(w.ctx, left.Organization, after, n)
	})
	if err != nil {
		return err
	}
	apps = slices.DeleteFunc(apps, func(a application.Application) bool { return a.Owner != left.ID || a.State != application.Active })
	if len(apps) > 0 {
		if successor == "" {
			return fault.Of(fault.Conflict, "successor-needed", "%s answers for %d applications: say who takes them over", left.Name, len(apps))
		}
		next, err := w.successor(left, successor)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(next.Roles, func(r identity.Role) bool { return byRole[r]&builders != 0 }) {
			return fault.Bad("/successor", "must be an owner or developer, who can answer for an application")
		}
		for _, app := range apps {
			old := app
			app.Owner = next.ID
			if _, err := w.putApplication("application.hand-over", "its owner has left", old, app); err != nil {
				return err
			}
		}
		if err := handOverLetter(w, next, len(apps)); err != nil {
			return err
		}
	}
	if err := w.revokeMachinesOf(left); err != nil {
		return err
	}
	return w.endSessionsOf(left, "", "disabled")
}

// ownerLeft checks that the organization still has an active owner.
func (w *write) ownerLeft(org id.ID) error {
	left := 0
	err := w.eachMember(org, func(p identity.Person) error {
		if p.State == identity.Active && slices.Contains(p.Roles, identity.Owner) {
			left++
		}
		return nil
	})
	if err == nil && left == 0 {
		return fault.Of(fault.Conflict, "last-owner", "this is the last active owner: name another one first")
	}
	return err
}
