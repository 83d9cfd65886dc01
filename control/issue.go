package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
)

// What is the same for every kind of credential when one is made. The kinds are in keys.go, clients.go, certificates.go and workloads.go.

// issuing is what a kind adds to what all have in common.
type issuing struct {
	method string // of Control
	action string // in the audit
	kind   credential.Kind
	check  func(*form)                                // reads what is of this kind alone; nil: nothing is
	again  string                                     // what is told to a form that is sent twice; %s is what it made
	make   func(*write, *credential.Credential) error // gives it what it proves; it may run more than once
	taken  error                                      // what is told when there is one with that public part; nil: there cannot be
}

// issue makes a credential. The application needs a grant in that environment.
func (c *Control) issue(ctx context.Context, a identity.Actor, n NewKey, i issuing) (credential.Credential, error) {
	none := credential.Credential{}
	if err := allow(a, i.method); err != nil {
		return none, err
	}
	var f form
	f.newCredential(&n)
	if i.check != nil {
		i.check(&f)
	}
	if err := f.err(); err != nil {
		return none, err
	}
	if err := c.warm(ctx); err != nil {
		return none, err
	}
	var cr credential.Credential
	err := c.update(ctx, a, i.method, func(w *write) error {
		if err := w.notAgain(i.method, n.Once, i.again); err != nil {
			return err
		}
		app, _, err := w.mayAsk(n.Application)
		if err != nil {
			return err
		}
		of, err := c.newest(ctx, w.tx, n.Environment)
		if errors.Is(err, fault.NotFound) {
			return fault.Bad("/environment", "there is no environment %q", clip(n.Environment))
		}
		if err != nil {
			return err
		}
		lifetime, err := w.mayIssue(of, app, i.kind, n.Lifetime, n.Grants)
		if err != nil {
			return err
		}
		fresh := credential.Credential{
			ID: w.fresh(id.Credential), Organization: app.Organization, Application: app.ID, Environment: n.Environment,
			Kind: i.kind, Name: n.Name, Grants: n.Grants, Sources: n.Sources,
			State: credential.Active, Created: w.now, CreatedBy: a.Person, Expires: w.after(lifetime),
		}
		if n.Pending {
			fresh.State = credential.Pending
		}
		if err := i.make(w, &fresh); err != nil {
			return err
		}
		if err := w.mayFAPI(of, app, fresh); err != nil {
			return err
		}
		cr, err = w.putCredential(i.action, "", none, fresh)
		if i.taken != nil && errors.Is(err, fault.Conflict) {
			return fault.As(i.taken).Because(err)
		}
		if err != nil {
			return err
		}
		return w.made(i.method, n.Once, cr.ID)
	})
	if err != nil {
		return none, err
	}
	return cr, nil
}

// mayFAPI refuses a credential that would stand for a grant whose plan asks for the client profile of FAPI 2.0, and does not keep
// it.
func (w *write) mayFAPI(of offer, app application.Application, cr credential.Credential) error {
	if cr.OAuth != nil && cr.OAuth.FAPI() {
		return nil
	}
	grants, err := w.standing(app, of.Name)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if l, ok := of.planOf(g); ok && l.FAPI && (len(cr.Grants) == 0 || slices.Contains(cr.Grants, g.ID)) {
			return fault.Of(fault.Conflict, "not-fapi", "the plan %s of grant %s takes only clients in the client profile of FAPI 2.0: private_key_jwt or a certificate, and tokens that are always bound (constrain); or bind this one to other grants", g.Plan, g.ID)
		}
	}
	return nil
}

// newCredential reads what every new credential has.
func (f *form) newCredential(n *NewKey) {
	n.Name, n.Once = f.name("/name", n.Name, longestName), f.once(n.Once)
	n.Sources = f.sources("/sources", n.Sources)
	f.lifetime(n.Lifetime)
	if len(n.Grants) > boundMost {
		f.bad("/grants", "must be at most %d", boundMost)
	}
}

// lifetime refuses one that is too short to be meant; 0 is none said.
func (f *form) lifetime(d time.Duration) {
	if d < 0 || d > 0 && d < shortestKey {
		f.bad("/lifetime", "must be at least %s", manifest.Duration(shortestKey))
	}
}

// notAgain refuses the form that has made something already: what was shown once cannot be shown again.
func (w *write) notAgain(method, key, again string) error {
	made, err := w.once(method, key)
	if err == nil && made != "" {
		err = fault.Of(fault.Conflict, "already-issued", again, made)
	}
	return err
}

// mayIssue checks the grants that a credential would stand for, and returns how long it may live: as long as was asked for,
// or for 0 the longest that the plans allow.
func (w *write) mayIssue(of offer, app application.Application, kind credential.Kind, lifetime time.Duration, bind []id.ID) (time.Duration, error) {
	have, err := w.credentialsOf(app)
	if err != nil {
		return 0, err
	}
	live := 0
	for _, cr := range have {
		if s := cr.Standing(w.now); s != string(credential.Revoked) && s != credential.Expired {
			live++
		}
	}
	if live >= keysMost {
		return 0, fault.Of(fault.Conflict, "too-many-credentials", "the application has %d live credentials: revoke one first", live)
	}
	grants, err := w.standing(app, of.Name)
	if err != nil {
		return 0, err
	}
	var f form
	if len(bind) > 0 {
		grants = f.grantsFor(grants, bind)
		if err := f.err(); err != nil {
			return 0, err
		}
	}
	usable := func(g grant.Grant) bool { return g.State == grant.Active && of.allows(g, kind) }
	if !slices.ContainsFunc(grants, usable) {
		return 0, fault.Of(fault.Conflict, "no-grant", "the application has no grant in the environment %s that %s could be used for: request access first", of.Name, a(kind.Title()))
	}
	longest := time.Duration(-1)
	for i, g := range grants {
		if !of.allows(g, kind) {
			return 0, fault.Of(fault.Conflict, "credential-kind", "the plan %s of grant %s does not allow %s: bind it to other grants", g.Plan, g.ID, a(kind.Title()))
		}
		l, _ := of.planOf(g)
		if longest < 0 || time.Duration(l.CredentialLongest) < longest {
			longest = time.Duration(l.CredentialLongest)
		}
		for _, h := range grants[:i] {
			if op, twice := of.overlap(g, h); twice {
				return 0, fault.Of(fault.Conflict, "covered-twice", "grants %s and %s both cover %s: bind the key to one of them", h.ID, g.ID, op)
			}
		}
	}
	if lifetime > longest {
		return 0, fault.Bad("/lifetime", "is longer than %s, the longest that the plans allow", manifest.Duration(longest))
	}
	if lifetime > 0 {
		return lifetime, nil
	}
	return longest, nil
}
