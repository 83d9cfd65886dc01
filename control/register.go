package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
)

// Registration is what a partner registers with.
type Registration struct {
	Organization string // its name
	Website      string
	Country      string // ISO 3166-1 alpha-2, or ""
	Register     string // its number in a register of companies, or ""
	Name         string // of the member, who becomes the organization's owner
	Email        string
	Password     secret.Value
}

func (r Registration) clean() (Registration, error) {
	var f form
	r.Organization = f.name("/organization", r.Organization, longestName)
	r.Website = f.website("/website", r.Website)
	r.Country = f.country("/country", r.Country)
	r.Register = f.optional("/register", r.Register, longestRegister)
	r.Name = f.name("/name", r.Name, longestName)
	r.Email = f.email("/email", r.Email)
	r.Password = f.password("/password", r.Password, r.Email, r.Organization, r.Name)
	return r, f.err()
}

// Register makes an organization with its first member, and sends a letter with a link that confirms the address. For an
// address that is already known it answers the same and sends a letter that says so: who is registered is nobody's
// business.
func (c *Control) Register(ctx context.Context, a identity.Actor, r Registration) error {
	r, err := r.clean()
	if err != nil {
		return err
	}
	if err := c.limited(ctx, registrations, network(a.Address)); err != nil {
		return err
	}
	password, err := c.hasher.hash(ctx, r.Password) // for a known address too: it takes as long
	if err != nil {
		return err
	}
	mayWrite, err := c.mayWrite(ctx, r.Email)
	if err != nil {
		return err
	}
	return c.update(ctx, a, "Register", func(w *write) error {
		p, err := w.tx.PersonByEmail(ctx, r.Email)
		switch {
		case err == nil && !mayWrite:
			return nil
		case err == nil && p.State == identity.Unconfirmed:
			return c.confirmLetter(w, p)
		case err == nil:
			return c.knownLetter(w, p)
		case !errors.Is(err, fault.NotFound):
			return err
		}
		o, err := w.putOrganization("organization.register", "", organization.Organization{}, organization.Organization{
			ID: w.fresh(id.Organization), Name: r.Organization, Website: r.Website, Country: r.Country, Register: r.Register,
			State: organization.Registered, Created: w.now,
		})
		if err != nil {
			return err
		}
		p, err = w.putPerson("person.register", "", identity.Person{}, identity.Person{
			ID: w.fresh(id.Person), Class: identity.Member, Organization: o.ID, Email: r.Email, Name: r.Name,
			Password: password, Roles: []identity.Role{identity.Owner}, State: identity.Unconfirmed, Created: w.now,
		})
		if err != nil {
			return err
		}
		return c.confirmLetter(w, p)
	})
}

// ConfirmEmail uses the link of Register. A used or expired one is fault.Gone.
func (c *Control) ConfirmEmail(ctx context.Context, a identity.Actor, token secret.Value) (identity.Person, error) {
	var p identity.Person
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return p, err
	}
	err := c.update(ctx, a, "ConfirmEmail", func(w *write) (err error) {
		p, err = w.useLink(token, identity.ConfirmEmail)
		if err != nil {
			return err
		}
		old := p
		if p.State == identity.Unconfirmed {
			p.State = identity.Active
		}
		p, err = w.putPerson("person.confirm", "", old, p)
		return err
	})
	return p, err
}

// useLink uses up a one-time link and returns whose it was. The link's holder is who acts from here on. A disabled
// person's link is as good as none.
func (w *write) useLink(token secret.Value, purpose identity.LinkPurpose) (identity.Person, error) {
	gone := fault.Of(fault.Gone, "link-over", "this link has been used or has expired: ask for another one")
	l, err := w.tx.UseLink(w.ctx, token.Hash(), purpose, w.now) // First: it is the single-use gate.
	if errors.Is(err, fault.Gone) {
		return identity.Person{}, gone
	}
	if err != nil {
		return identity.Person{}, err
	}
	w.changes++
	p, err := w.tx.Person(w.ctx, l.Person)
	if err != nil {
		return p, err
	}
	if p.Gone() {
		return identity.Person{}, gone
	}
	w.a = personActor(p, w.a.Address, w.a.RequestID)
	return p, nil
}

// ResendConfirmation sends the letter of Register again, if the address waits for one; it answers the same if not.
func (c *Control) ResendConfirmation(ctx context.Context, a identity.Actor, email string) error {
	return c.letterOnDemand(ctx, a, "ResendConfirmation", email, func(w *write, p identity.Person) error {
		if p.State != identity.Unconfirmed {
			return nil
		}
		return c.confirmLetter(w, p)
	})
}

// RequestPasswordReset sends a letter with a link, if the address is known; it answers the same if not.
func (c *Control) RequestPasswordReset(ctx context.Context, a identity.Actor, email string) error {
	return c.letterOnDemand(ctx, a, "RequestPasswordReset", email, func(w *write, p identity.Person) error {
		if p.Gone() {
			return nil
		}
		return c.resetLetter(w, p)
	})
}

// evenly is how long an answer takes that must not tell whether something was written: longer than a commit.
const evenly = 60 * time.Millisecond

// letterOnDemand writes a letter to whoever has the address, and answers the same and as late if nobody does.
func (c *Control) letterOnDemand(ctx context.Context, a identity.Actor, method, email string, letter func(*write, identity.Person) error) error {
	var f form
	email = f.email("/email", email)
	if err := f.err(); err != nil {
		return err
	}
	if err := c.limited(ctx, lettersAsked, network(a.Address)); err != nil {
		return err
	}
	mayWrite, err := c.mayWrite(ctx, email)
	if err != nil {
		return err
	}
	even := time.NewTimer(c.even)
	defer even.Stop()
	err = c.update(ctx, a, method, func(w *write) error {
		p, err := w.tx.PersonByEmail(ctx, email)
		if errors.Is(err, fault.NotFound) || err == nil && !mayWrite {
			return nil
		}
		if err != nil {
			return err
		}
		return letter(w, p)
	})
	select {
	case <-even.C:
	case <-ctx.Done():
	}
	return err
}

// personActor is the actor that a person is.
func personActor(p identity.Person, address, requestID string) identity.Actor {
	return identity.Actor{Class: p.Class, ID: p.ID, Person: p.ID, Name: p.Name, Email: p.Email,
		Organization: p.Organization, Roles: p.Roles, Address: address, RequestID: requestID}
}
