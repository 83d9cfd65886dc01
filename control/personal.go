package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/application"
	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/session"
)

// exportMost is how many audit entries an export holds: it is one document, made in memory.
const exportMost = 50_000

// PersonalData is everything that is kept of one person.
type PersonalData struct {
	At            time.Time                  `json:"at"`
	Person        identity.Person            `json:"person"`
	HasPassword   bool                       `json:"has_password"`
	Organization  *organization.Organization `json:"organization,omitempty"`
	SecondFactors SecondFactors              `json:"second_factors"`
	SignOns       []identity.Subject         `json:"sign_ons"`
	Passkeys      []identity.Passkey         `json:"passkeys"`
	Sessions      []session.Session          `json:"sessions"`
	MachineTokens []identity.MachineToken    `json:"machine_tokens"`
	Invitations   []identity.Invitation      `json:"invitations"`  // to their address
	Applications  []application.Application  `json:"applications"` // that they answer for
	Absences      []grant.Absence            `json:"absences"`     // theirs, and those in which they stand in
	Audit         []audit.Entry              `json:"audit"`        // what they did and what was done about them, newest first
	More          bool                       `json:"more"`         // there are more audit entries than an export holds
}

// ExportPerson returns what is kept of a person: of the actor without one named, of anybody for an admin and the host's owner.
func (c *Control) ExportPerson(ctx context.Context, a identity.Actor, person id.ID) (PersonalData, error) {
	out := PersonalData{SignOns: []identity.Subject{}, Passkeys: []identity.Passkey{}, Sessions: []session.Session{}, MachineTokens: []identity.MachineToken{}, Invitations: []identity.Invitation{},
		Applications: []application.Application{}, Absences: []grant.Absence{}, Audit: []audit.Entry{}}
	if person == "" {
		person = a.Person
	}
	err := c.view(ctx, a, "ExportPerson", func(r read) error {
		p, err := r.person(person)
		if err != nil {
			return err
		}
		if p.ID != a.Person && callers(a)&(admin|host) == 0 {
			return fault.New(fault.Forbidden, "your role does not allow this: only the person, and an administrator of the platform")
		}
		out.At, out.Person, out.HasPassword = r.now, p, p.Password != ""
		return errors.Join(c.exportOwn(r, p, &out), r.exportOf(p, &out))
	})
	return out, err
}

// exportOwn gathers how the person signs in.
func (c *Control) exportOwn(r read, p identity.Person, out *PersonalData) (err error) {
	if out.SecondFactors, err = c.factorsOf(r, p); err != nil {
		return err
	}
	subjects, err := r.tx.SubjectsOf(r.ctx, p.ID)
	if err != nil {
		return err
	}
	out.SignOns = append(out.SignOns, subjects...)
	keys, err := r.tx.PasskeysOf(r.ctx, p.ID)
	if err != nil {
		return err
	}
	out.Passkeys = append(out.Passkeys, keys...)
	sessions, err := r.tx.SessionsOf(r.ctx, p.ID)
	if err != nil {
		return err
	}
	out.Sessions = append(out.Sessions, sessions...)
	machines, err := all(machineID, func(after id.ID, n int) ([]identity.MachineToken, error) { return r.tx.Machines(r.ctx, p.ID, after, n) })
	out.MachineTokens = append(out.MachineTokens, machines...)
	return err
}

// exportOf gathers what else names the person.
func (r read) exportOf(p identity.Person, out *PersonalData) error {
	if p.Organization != "" {
		o, err := r.tx.Organization(r.ctx, p.Organization)
		if err != nil {
			return err
		}
		out.Organization = &o
		apps, err := all(applicationID, func(after id.ID, n int) ([]application.Application, error) {
			return r.tx.Applications(r.ctx, p.Organization, after, n)
		})
		if err != nil {
			return err
		}
		out.Applications = append(out.Applications, slices.DeleteFunc(apps, func(a application.Application) bool { return a.Owner != p.ID })...)
	}
	invitations, err := all(invitationID, func(after id.ID, n int) ([]identity.Invitation, error) {
		return r.tx.InvitationsTo(r.ctx, p.Email, after, n)
	})
	if err != nil {
		return err
	}
	out.Invitations = append(out.Invitations, invitations...)
	for _, of := range [][2]id.ID{{p.ID, ""}, {"", p.ID}} {
		absences, err := all(func(a grant.Absence) id.ID { return a.ID }, func(after id.ID, n int) ([]grant.Absence, error) {
			return r.tx.Absences(r.ctx, of[0], of[1], time.Time{}, after, n)
		})
		if err != nil {
			return err
		}
		out.Absences = append(out.Absences, absences...)
	}
	return r.exportAudit(p, out)
}

// exportAudit gathers audit entries of what the person did, and of what was done about them. Who else did it is named without
// personal values of theirs.
func (r read) exportAudit(p identity.Person, out *PersonalData) error {
	filters := []audit.Filter{{Object: p.ID}}
	actors := map[string]bool{}
	for _, actor := range actorsOf(p, out.MachineTokens) {
		actors[actor] = true
		filters = append(filters, audit.Filter{Actor: actor})
	}
	seen := map[id.ID]bool{}
	for _, f := range filters {
		es, err := r.tx.AuditEntries(r.ctx, f, exportMost+1)
		if err != nil {
			return err
		}
		for _, e := range es {
			if seen[e.ID] {
				continue
			}
			seen[e.ID] = true
			own := actors[e.Actor]
			e.Personal = slices.DeleteFunc(slices.Clone(e.Personal), func(v audit.Personal) bool {
				return strings.HasPrefix(v.Name, "actor.") != own && e.Object != p.ID || strings.HasPrefix(v.Name, "actor.") && !own
			})
			out.Audit = append(out.Audit, e)
		}
	}
	slices.SortFunc(out.Audit, func(a, b audit.Entry) int { return strings.Compare(string(b.ID), string(a.ID)) })
	if len(out.Audit) > exportMost {
		out.Audit, out.More = out.Audit[:exportMost], true
	}
	return nil
}

// actorsOf is how the audit names the person, and the machine tokens that act for them.
func actorsOf(p identity.Person, machines []identity.MachineToken) []string {
	out := []string{actorName(identity.Actor{Class: p.Class, ID: p.ID})}
	for _, m := range machines {
		out = append(out, actorName(identity.Actor{Class: identity.Machine, ID: m.ID}))
	}
	return out
}

// Erasure is whose data is erased.
type Erasure struct {
	Person    id.ID // "": the actor's own
	Successor id.ID // who takes over what they answer for
	Reason    string
}

// erasedName stands where a name stood.
const erasedName = "Erased person"

// ErasePerson takes a person out for good: name, address and password, sessions, tokens, factors, sign-ons, invitations and
// letters to their address, and the personal values of the audit that are theirs. Their identifier stays wherever something refers
// to it, and so does every audit entry, which verifies as before. What they own goes to the successor first: nothing is ever without
// an owner. Of oneself; of a member of theirs, for an owner; of anybody, for an admin and the host's owner.
func (c *Control) ErasePerson(ctx context.Context, a identity.Actor, e Erasure) (identity.Person, error) {
	var p identity.Person
	if err := allow(a, "ErasePerson"); err != nil {
		return p, err
	}
	if e.Person == "" {
		e.Person = a.Person
	}
	var f form
	e.Reason = f.optionalText("/reason", e.Reason, longestReason)
	if err := f.err(); err != nil {
		return p, err
	}
	err := c.update(ctx, a, "ErasePerson", func(w *write) error {
		old, err := w.person(e.Person)
		if err != nil {
			return err
		}
		if err := mayErase(a, old); err != nil {
			return err
		}
		if old.ID == a.Person {
			w.a.Name, w.a.Email, w.a.Address = "", "", "" // what is written from here on holds nothing to erase
		}
		p = old
		p.Email, p.Name, p.Password, p.Roles, p.State = string(p.ID)+"@erased.invalid", erasedName, "", []identity.Role{}, identity.Erased
		if p, err = w.putPerson("person.erase", e.Reason, old, p); err != nil {
			return err
		}
		if err := c.succeedErased(w, old, e.Successor); err != nil {
			return err
		}
		return w.forget(old, p)
	})
	return p, err
}

func mayErase(a identity.Actor, p identity.Person) error {
	switch {
	case p.State == identity.Erased:
		return fault.Of(fault.Conflict, "erased", "this person is erased already")
	case p.ID == a.Person, callers(a)&(admin|host) != 0, p.Class == identity.Member && callers(a)&owner != 0:
		return nil
	}
	return fault.New(fault.Forbidden, "your role does not allow this")
}

// succeedErased hands over what the person owned, and ends what acts for them.
func (c *Control) succeedErased(w *write, old identity.Person, successor id.ID) error {
	if old.Class == identity.Staff {
		if err := c.staffLeft(w, old, identity.Person{}); err != nil {
			return err
		}
		if err := w.revokeMachinesOf(old); err != nil {
			return err
		}
		return w.endSessionsOf(old, "", "erased")
	}
	if err := w.succeed(old, successor); err != nil {
		return err
	}
	if err := w.handOver(old, successor); err != nil {
		return err
	}
	if old.State == identity.Active && slices.Contains(old.Roles, identity.Owner) {
		return w.ownerLeft(old.Organization)
	}
	return nil
}

// forget removes what only served the person, and the personal values of the audit that are theirs.
func (w *write) forget(old, erased identity.Person) error {
	if err := w.tx.DropAuthenticator(w.ctx, old.ID); err != nil {
		return err
	}
	if err := w.tx.PutRecoveryCodes(w.ctx, old.ID, nil); err != nil {
		return err
	}
	if err := w.tx.DropPasskeys(w.ctx, old.ID); err != nil {
		return err
	}
	if err := w.tx.DropSubjects(w.ctx, old.ID); err != nil {
		return err
	}
	if err := w.tx.ForgetPerson(w.ctx, old.ID, old.Email, erased.Email); err != nil {
		return err
	}
	machines, err := all(machineID, func(after id.ID, n int) ([]identity.MachineToken, error) {
		return w.tx.Machines(w.ctx, old.ID, after, n)
	})
	if err != nil {
		return err
	}
	_, err = w.tx.ErasePersonalOf(w.ctx, audit.Erasure{Object: old.ID, Actors: actorsOf(old, machines), Values: []string{old.Email}}) // Last: it also takes what was just written.
	return err
}

// staffLeft checks that the platform keeps an administrator, and every API that is offered an owner if it had one.
func (c *Control) staffLeft(w *write, old, now identity.Person) error {
	admins, err := w.tx.CountStaff(w.ctx, identity.Admin)
	if err != nil {
		return err
	}
	if admins == 0 {
		return fault.Of(fault.Conflict, "last-admin", "this is the last active admin: make another one first")
	}
	offers, err := c.offersNow(w.ctx, w.tx)
	if err != nil || old.State != identity.Active {
		return err
	}
	staff, err := all(personID, func(after id.ID, n int) ([]identity.Person, error) { return w.tx.People(w.ctx, "", after, n) })
	if err != nil {
		return err
	}
	for _, o := range offers {
		for _, api := range o.APIs {
			owns := func(p identity.Person) bool {
				return p.State == identity.Active && (slices.Contains(p.Roles, identity.APIOwner) || slices.Contains(p.Roles, identity.APIOwner.AtAPI(api.Name)))
			}
			if owns(old) && !owns(now) && !slices.ContainsFunc(staff, func(p identity.Person) bool { return p.ID != old.ID && owns(p) }) {
				return fault.Of(fault.Conflict, "last-api-owner", "nobody else is an api-owner of %s: give somebody the role first", api.Name)
			}
		}
	}
	return nil
}
