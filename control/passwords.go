package control

import (
	"context"
	"errors"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// errPeek undoes a transaction that only looked.
var errPeek = errors.New("control: only looked")

// ResetPassword uses the link of RequestPasswordReset, sets the password and ends the person's sessions. It confirms the
// address too. A password that cannot be taken leaves the link as it was.
func (c *Control) ResetPassword(ctx context.Context, a identity.Actor, token, password secret.Value) error {
	if err := c.limited(ctx, linkTries, network(a.Address)); err != nil {
		return err
	}
	var about []string
	err := c.update(ctx, a, "ResetPassword", func(w *write) error { // look whose link it is, before time is spent on hashing
		p, err := w.useLink(token, identity.PasswordReset)
		if err != nil {
			return err
		}
		if about, err = w.wordsOf(p); err != nil {
			return err
		}
		return errPeek
	})
	if !errors.Is(err, errPeek) {
		return err
	}
	var f form
	password = f.password("/password", password, about...)
	if err := f.err(); err != nil {
		return err
	}
	hash, err := c.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return c.update(ctx, a, "ResetPassword", func(w *write) error {
		p, err := w.useLink(token, identity.PasswordReset)
		if err != nil {
			return err
		}
		return c.setPassword(w, p, hash, "", "person.reset-password")
	})
}

// ChangePassword sets the actor's own password and ends their other sessions. old is not needed where none is set.
func (c *Control) ChangePassword(ctx context.Context, a identity.Actor, old, fresh secret.Value) error {
	var p identity.Person
	var about []string
	err := c.view(ctx, a, "ChangePassword", func(r read) (err error) {
		if p, err = r.tx.Person(ctx, a.Person); err != nil {
			return err
		}
		about, err = r.wordsOf(p)
		return err
	})
	if err != nil {
		return err
	}
	var f form
	fresh = f.password("/password", fresh, about...)
	if p.Password != "" && old.Empty() {
		f.bad("/old", "give the password that you have now")
	}
	if err := f.err(); err != nil {
		return err
	}
	if p.Password != "" {
		counts, err := c.countAll(ctx, count{passwordChanges, string(p.ID)})
		if err != nil {
			return err
		}
		ok, err := c.hasher.check(ctx, p.Password, old)
		if err != nil {
			return err
		}
		if !ok {
			return fault.Bad("/old", "is not the password that you have now")
		}
		c.giveBack(ctx, counts...)
	}
	hash, err := c.hasher.hash(ctx, fresh)
	if err != nil {
		return err
	}
	return c.update(ctx, a, "ChangePassword", func(w *write) error {
		now, err := w.tx.Person(ctx, p.ID)
		if err != nil {
			return err
		}
		if now.Password != p.Password || now.State != identity.Active {
			return fault.New(fault.Stale, "the password was changed in the meantime")
		}
		return c.setPassword(w, now, hash, a.Session, "person.change-password")
	})
}

// wordsOf is what the person's password must not be.
func (r read) wordsOf(p identity.Person) ([]string, error) {
	about := []string{p.Email, p.Name}
	if p.Organization != "" {
		o, err := r.tx.Organization(r.ctx, p.Organization)
		if err != nil {
			return nil, err
		}
		about = append(about, o.Name)
	}
	return about, nil
}

// setPassword stores a fresh hash, ends every session but the one named keep, and tells the person.
func (c *Control) setPassword(w *write, p identity.Person, hash string, keep id.ID, action string) error {
	fresh := p
	fresh.Password = hash
	if fresh.State == identity.Unconfirmed {
		fresh.State = identity.Active
	}
	p, err := w.putPerson(action, "", p, fresh)
	if err != nil {
		return err
	}
	if err := w.endSessionsOf(p, keep, "the password was changed"); err != nil {
		return err
	}
	machines, err := w.liveMachines(p)
	if err != nil {
		return err
	}
	return c.passwordChangedLetter(w, p, len(machines))
}
