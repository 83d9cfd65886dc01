package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
)

const (
	longestFound = 64 << 10       // bytes of what somebody found a key in
	leakQuiet    = 24 * time.Hour // in which a second report of the same key tells nobody again
)

// leakReports is how many reports are taken from one address: scanners send many, but not all at once.
var leakReports = limit{"leak", 60, 10 * time.Minute}

// Leak is what somebody reports who has found a key where none should be.
type Leak struct {
	Found  string // the key, or a text with it: the first key in it counts
	Where  string // where it was found, for its owner
	Revoke bool   // end it at once; whoever has the whole key can ask for that
}

// ReportLeak takes a report about a key that was found. Anybody may send one, and everybody gets the same answer as late,
// whether the key is known or not. A key is known by its form and checksum; it counts only if the whole of it is right. Its
// owner is told, and it is revoked if the report asks for it.
func (c *Control) ReportLeak(ctx context.Context, a identity.Actor, l Leak) error {
	const method = "ReportLeak"
	var f form
	if l.Found == "" || len(l.Found) > longestFound {
		f.bad("/found", "must have from 1 to %d bytes", longestFound)
	}
	l.Where = f.optionalText("/where", l.Where, longestReason)
	if err := f.err(); err != nil {
		return err
	}
	if err := c.limited(ctx, leakReports, network(a.Address)); err != nil {
		return err
	}
	even := time.NewTimer(c.even)
	defer even.Stop()
	err := c.update(ctx, a, method, func(w *write) error {
		key, ok := credential.FindKey(l.Found)
		if !ok {
			return nil
		}
		old, err := w.tx.CredentialByPublicID(ctx, string(key.Public))
		if errors.Is(err, fault.NotFound) || err == nil && !old.Knows(key.Hash(), w.now) {
			return nil
		}
		if err != nil {
			return err
		}
		return c.leaked(w, old, l)
	})
	select {
	case <-even.C:
	case <-ctx.Done():
	}
	return err
}

// leaked notes that a credential was found, ends it if it is to be ended, and tells its owner.
func (c *Control) leaked(w *write, old credential.Credential, l Leak) error {
	ends := l.Revoke && old.State != credential.Revoked
	if !ends && !old.Leaked.IsZero() && w.now.Sub(old.Leaked) < leakQuiet {
		return nil
	}
	cr, action, reason := old, "credential.report-leak", l.Where
	if ends {
		var err error
		if reason == "" {
			reason = "it was reported as found"
		}
		if cr, err = old.Revoke(reason, w.now); err != nil {
			return err
		}
		action = "credential.revoke-leaked"
	}
	cr.Leaked = w.now
	cr, err := w.putCredential(action, reason, old, cr)
	if err != nil {
		return err
	}
	return c.leakLetters(w, cr, ends)
}

// leakLetters tells whoever answers for the application, and the owners of its organization. What the reporter wrote stands
// in the audit, not in a letter of ours: nobody knows who that is.
func (c *Control) leakLetters(w *write, cr credential.Credential, ended bool) error {
	app, err := w.tx.Application(w.ctx, cr.Application)
	if err != nil {
		return err
	}
	people, err := all(func(p identity.Person) id.ID { return p.ID }, func(after id.ID, n int) ([]identity.Person, error) {
		return w.tx.People(w.ctx, cr.Organization, after, n)
	})
	if err != nil {
		return err
	}
	parts := []string{"Somebody reported to have found the " + cr.Kind.Title() + " “" + cr.Name + "” (" + cr.Hint() + ") of the application " + app.Name +
		" in the environment " + cr.Environment + ". They sent the whole of it, so it is out."}
	switch cr.Standing(w.now) {
	case string(credential.Revoked):
		if ended {
			parts = append(parts, "It has been revoked at once, as the report asked. Issue another one here:", c.URL+"/applications/"+string(app.ID))
		} else {
			parts = append(parts, "It had been revoked before, so nothing has to be done.")
		}
	case credential.Expired:
		parts = append(parts, "It has expired, so nothing has to be done.")
	default:
		parts = append(parts, "It still works. Replace it, and revoke it here:", c.URL+"/credentials/"+string(cr.ID))
	}
	for _, p := range people {
		if p.State != identity.Active || p.ID != app.Owner && !covers(p.Roles, identity.Owner) {
			continue
		}
		if err := w.letter(p.Email, "A key of "+app.Name+" was found", lines(parts...)); err != nil {
			return err
		}
	}
	return nil
}
