package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
)

const (
	invitationLives = 7 * 24 * time.Hour
	invitationsMost = 100 // open ones of one organization, or of the platform
)

// NewInvitation is what an invitation is made from.
type NewInvitation struct {
	Organization id.ID // of a member's own; for the platform: the partner, or "" for staff
	Email        string
	Roles        []identity.Role
}

// memberRoles takes roles of members, at least one.
func (f *form) memberRoles(roles []identity.Role) []identity.Role {
	for _, r := range roles {
		if byRole[r]&members == 0 {
			f.bad("/roles", "%q is not a role of members: there are owner, developer and viewer", clip(string(r)))
		}
	}
	if len(roles) == 0 {
		f.bad("/roles", "choose at least one role")
	}
	roles = slices.Clone(roles)
	slices.Sort(roles)
	return slices.Compact(roles)
}

// Invite sends somebody a letter with a link by which they become a member, or one of the staff, with the roles. Nobody
// gives a role above their own: an owner or developer invites to their organization, operator and admin to any, and an
// admin to the staff. An organization that is no longer live takes nobody.
func (c *Control) Invite(ctx context.Context, a identity.Actor, n NewInvitation) (identity.Invitation, error) {
	var i identity.Invitation
	if err := allow(a, "Invite"); err != nil {
		return i, err
	}
	if n.Organization == "" {
		n.Organization = a.Organization
	}
	var f form
	n.Email = f.email("/email", n.Email)
	if n.Organization == "" {
		n.Roles = f.staffRoles(n.Roles)
	} else {
		n.Roles = f.memberRoles(n.Roles)
	}
	if err := f.err(); err != nil {
		return i, err
	}
	if err := mayGive(a, n.Organization, n.Roles); err != nil {
		return i, err
	}
	if err := c.limited(ctx, lettersAsked, network(a.Address)); err != nil {
		return i, err
	}
	if err := c.limited(ctx, lettersPerEmail, n.Email); err != nil {
		return i, err
	}
	err := c.update(ctx, a, "Invite", func(w *write) error {
		var o organization.Organization
		if n.Organization != "" {
			var err error
			if o, err = w.organization(n.Organization); err != nil {
				return err
			}
			if o.State == organization.Suspended || o.State == organization.Offboarding || o.State == organization.Offboarded {
				return mayBeGranted(o)
			}
		}
		p, err := w.tx.PersonByEmail(ctx, n.Email)
		switch {
		case err == nil && p.Organization == n.Organization && !p.Gone():
			return fault.Of(fault.Conflict, "email-taken", "somebody with this e-mail address is there already")
		case err != nil && !errors.Is(err, fault.NotFound):
			return err
		}
		known := err == nil
		if err := w.roomForInvitation(n); err != nil {
			return err
		}
		token := secret.Random("ghi_")
		i, err = w.putInvitation("invitation.send", identity.Invitation{}, identity.Invitation{ID: w.fresh(id.Invitation),
			Organization: n.Organization, Email: n.Email, Roles: n.Roles, By: a.Person, Hash: token.Hash(),
			Created: w.now, Expires: w.after(invitationLives)})
		if err != nil {
			return err
		}
		if known { // it cannot be used: one address is one person
			return c.knownInvitationLetter(w, i, o)
		}
		return c.invitationLetter(w, i, o, token)
	})
	return i, err
}

// mayGive says whether the actor may give the roles in the organization, or with "" among the staff.
func mayGive(a identity.Actor, org id.ID, roles []identity.Role) error {
	if a.Class == identity.Host {
		return nil
	}
	if !ofPartner(a) && org != "" {
		if callers(a)&keepers != 0 {
			return nil // whoever runs the platform stands above a partner's members
		}
		return fault.New(fault.Forbidden, "your role does not allow this")
	}
	if org == "" && callers(a)&admin == 0 {
		return fault.New(fault.Forbidden, "your role does not allow this")
	}
	for _, r := range roles {
		if !covers(a.Roles, r) {
			return fault.Of(fault.Forbidden, "above-own-role", "the role %s is above your own: ask somebody who has it", r)
		}
	}
	return nil
}

// roomForInvitation withdraws an open invitation of the same address, and checks that there are not too many.
func (w *write) roomForInvitation(n NewInvitation) error {
	open, err := w.openInvitations(n.Organization)
	if err != nil {
		return err
	}
	left := 0
	for _, o := range open {
		if o.Email != n.Email {
			left++
			continue
		}
		old := o
		o.Withdrawn = w.now
		if _, err := w.putInvitation("invitation.withdraw", old, o); err != nil {
			return err
		}
	}
	if left >= invitationsMost {
		return fault.Of(fault.Conflict, "too-many-invitations", "%d invitations are open: withdraw one first", left)
	}
	return nil
}

func (r read) openInvitations(org id.ID) ([]identity.Invitation, error) {
	is, err := all(invitationID, func(after id.ID, n int) ([]identity.Invitation, error) {
		return r.tx.InvitationsOf(r.ctx, org, after, n)
	})
	return slices.DeleteFunc(is, func(i identity.Invitation) bool { return i.Standing(r.now) != "open" }), err
}

func invitationID(i identity.Invitation) id.ID { return i.ID }

func (r read) invitation(i id.ID) (identity.Invitation, error) {
	return look(r, "invitation", id.Invitation, i, func(i identity.Invitation) id.ID { return i.Organization }, r.tx.Invitation)
}

// Invitations lists those of an organization: a member's own, for the platform the one named, or with "" those to staff.
func (c *Control) Invitations(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[identity.Invitation], error) {
	var out List[identity.Invitation]
	err := c.view(ctx, a, "Invitations", func(r read) error {
		org, err := r.organizationOr(org)
		if err != nil {
			return err
		}
		out, err = collect(p, id.Invitation, invitationID, nil, func(after id.ID, n int) ([]identity.Invitation, error) {
			return r.tx.InvitationsOf(ctx, org, after, n)
		})
		return err
	})
	return out, err
}

// WithdrawInvitation makes the link of an open invitation useless.
func (c *Control) WithdrawInvitation(ctx context.Context, a identity.Actor, i id.ID) (identity.Invitation, error) {
	var out identity.Invitation
	err := c.update(ctx, a, "WithdrawInvitation", func(w *write) error {
		old, err := w.invitation(i)
		if err != nil {
			return err
		}
		if old.Organization == "" && callers(a)&(admin|host) == 0 || old.Organization != "" && callers(a)&(members|keepers|host) == 0 {
			return fault.New(fault.Forbidden, "your role does not allow this")
		}
		if s := old.Standing(w.now); s != "open" {
			return fault.New(fault.Conflict, "this invitation is %s", s)
		}
		out = old
		out.Withdrawn = w.now
		out, err = w.putInvitation("invitation.withdraw", old, out)
		return err
	})
	return out, err
}

// Invited is an invitation as whoever holds its link sees it.
type Invited struct {
	identity.Invitation
	To string // the organization's name; "" is the platform
}

// SeeInvitation shows an open invitation to whoever holds its link; any other is fault.Gone.
func (c *Control) SeeInvitation(ctx context.Context, a identity.Actor, token secret.Value) (Invited, error) {
	var out Invited
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return out, err
	}
	err := c.view(ctx, a, "SeeInvitation", func(r read) (err error) {
		out, err = c.opened(r, token)
		return err
	})
	return out, err
}

// opened returns the invitation of the token if it still counts: open, its inviter still there and still allowed to give
// its roles, and its organization live.
func (c *Control) opened(r read, token secret.Value) (Invited, error) {
	gone := fault.Of(fault.Gone, "link-over", "this invitation has been used, was withdrawn or has expired: ask for another one")
	i, err := r.tx.InvitationByHash(r.ctx, token.Hash())
	if errors.Is(err, fault.NotFound) || err == nil && i.Standing(r.now) != "open" {
		return Invited{}, gone
	}
	if err != nil {
		return Invited{}, err
	}
	if i.By != "" {
		by, err := r.tx.Person(r.ctx, i.By)
		if err != nil {
			return Invited{}, err
		}
		if by.State != identity.Active || mayGive(personActor(by, "", ""), i.Organization, i.Roles) != nil {
			return Invited{}, gone
		}
	}
	out := Invited{Invitation: i}
	if i.Organization != "" {
		o, err := r.tx.Organization(r.ctx, i.Organization)
		if err != nil {
			return Invited{}, err
		}
		if o.State != organization.Registered && o.State != organization.Verified {
			return Invited{}, gone
		}
		out.To = o.Name
	}
	return out, nil
}

// AcceptInvitation makes the person that the invitation is for, with a name and password of their own. The letter has
// reached them, so the address is confirmed. It works once: of two who use it at the same moment one is told fault.Gone.
func (c *Control) AcceptInvitation(ctx context.Context, a identity.Actor, token secret.Value, name string, password secret.Value) (identity.Person, error) {
	var p identity.Person
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return p, err
	}
	var i Invited
	err := c.view(ctx, a, "AcceptInvitation", func(r read) (err error) { // before the password is hashed, which costs
		i, err = c.opened(r, token)
		return err
	})
	if err != nil {
		return p, err
	}
	var f form
	name, password = f.name("/name", name, longestName), f.password("/password", password, i.Email, i.To, name)
	if err := f.err(); err != nil {
		return p, err
	}
	hashed, err := c.hasher.hash(ctx, password)
	if err != nil {
		return p, err
	}
	err = c.update(ctx, a, "AcceptInvitation", func(w *write) error {
		i, err := c.opened(w.read, token) // Again, alone among updates: it is the single-use gate.
		if err != nil {
			return err
		}
		p = identity.Person{ID: w.fresh(id.Person), Class: i.Class(), Organization: i.Organization, Email: i.Email, Name: name,
			Password: hashed, Roles: i.Roles, State: identity.Active, Created: w.now}
		w.a = personActor(p, a.Address, a.RequestID)
		if p, err = w.putPerson("person.accept-invitation", "", identity.Person{}, p); err != nil {
			if errors.Is(err, fault.Conflict) {
				return fault.Of(fault.Conflict, "email-taken", "somebody with this e-mail address is there already").Because(err)
			}
			return err
		}
		done := i.Invitation
		done.Accepted, done.Person = w.now, p.ID
		if _, err = w.putInvitation("invitation.accept", i.Invitation, done); err != nil {
			return err
		}
		return c.acceptedLetter(w, p, i)
	})
	return p, err
}

// auditedInvitation is an invitation without its address.
type auditedInvitation struct {
	ID           id.ID           `json:"id"`
	Organization id.ID           `json:"organization,omitempty"`
	Roles        []identity.Role `json:"roles"`
	By           id.ID           `json:"by,omitempty"`
	Expires      time.Time       `json:"expires"`
	Standing     string          `json:"standing"`
	Person       id.ID           `json:"person,omitempty"`
	Version      int64           `json:"version"`
}

func (w *write) putInvitation(action string, old, i identity.Invitation) (identity.Invitation, error) {
	i.Version = old.Version
	i, err := w.tx.PutInvitation(w.ctx, i)
	if err != nil {
		return i, err
	}
	w.changes++
	of := func(i identity.Invitation) auditedInvitation {
		return auditedInvitation{i.ID, i.Organization, i.Roles, i.By, i.Expires, i.Standing(w.now), i.Person, i.Version}
	}
	var told []audit.Personal
	if old.Version == 0 {
		told = audit.Commit("email", i.Email)
	}
	return i, w.audit(change{action: action, object: i.ID, organization: i.Organization, personal: told},
		before(old.Version, of(old)), state(of(i)))
}
