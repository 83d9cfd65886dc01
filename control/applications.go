package control

import (
	"context"
	"errors"
	"slices"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// NewApplication is what an application is made from.
type NewApplication struct {
	Organization id.ID // for staff; a member's own otherwise
	Name         string
	Purpose      string
	Owner        id.ID  // default: the actor
	Once         string // of the form, so that sending it twice makes one
}

// CreateApplication makes an application. Owner or developer of the organization. A repeated Once returns the one that
// was made.
func (c *Control) CreateApplication(ctx context.Context, a identity.Actor, n NewApplication) (application.Application, error) {
	var app application.Application
	const method = "CreateApplication"
	if err := allow(a, method); err != nil {
		return app, err
	}
	var f form
	n.Name, n.Purpose = f.name("/name", n.Name, longestName), f.text("/purpose", n.Purpose, longestPurpose)
	n.Once = f.once(n.Once)
	if n.Owner == "" && ofPartner(a) {
		n.Owner = a.Person
	}
	if n.Owner == "" {
		f.bad("/owner", "say which member answers for it")
	}
	if err := f.err(); err != nil {
		return app, err
	}
	err := c.update(ctx, a, method, func(w *write) error {
		made, err := w.once(method, n.Once)
		if err != nil {
			return err
		}
		if made != "" {
			app, err = w.application(made)
			return err
		}
		org, err := w.organizationOr(n.Organization)
		if err != nil {
			return err
		}
		if org == "" {
			return fault.Bad("/organization", "say which organization it is for")
		}
		o, err := w.organization(org)
		if err != nil {
			return err
		}
		if o.State != organization.Registered && o.State != organization.Verified {
			return mayBeGranted(o)
		}
		if err := w.ownerOf(o.ID, n.Owner); err != nil {
			return err
		}
		if err := w.roomFor(o.ID); err != nil {
			return err
		}
		app, err = w.putApplication("application.create", "", application.Application{}, application.Application{
			ID: w.fresh(id.Application), Organization: o.ID, Name: n.Name, Purpose: n.Purpose, Owner: n.Owner,
			State: application.Active, Created: w.now, CreatedBy: a.Person,
		})
		if err != nil {
			return nameTaken(err)
		}
		return w.made(method, n.Once, app.ID)
	})
	return app, err
}

// applicationsMost is how many active applications an organization may have: more than anybody needs, few enough to look through.
const applicationsMost = 500

// roomFor checks that the organization may have one more application.
func (w *write) roomFor(org id.ID) error {
	have, err := all(applicationID, func(after id.ID, n int) ([]application.Application, error) {
		return w.tx.Applications(w.ctx, org, after, n)
	})
	if err != nil {
		return err
	}
	have = slices.DeleteFunc(have, func(a application.Application) bool { return a.State != application.Active })
	if len(have) >= applicationsMost {
		return fault.Of(fault.Conflict, "too-many-applications", "the organization has %d applications: close one first", len(have))
	}
	return nil
}

// ownerOf checks that the person can answer for an application of the organization.
func (r read) ownerOf(org, i id.ID) error {
	p, err := r.person(i)
	if errors.Is(err, fault.NotFound) || err == nil && (p.Organization != org || p.Gone()) {
		return fault.Bad("/owner", "must be a member of the organization")
	}
	return err
}

func nameTaken(err error) error {
	if errors.Is(err, fault.Conflict) {
		return fault.Of(fault.Conflict, "name-taken", "the organization has an application of this name already").Because(err)
	}
	return err
}

// UpdateApplication changes name, purpose and owner; empty ones stay.
func (c *Control) UpdateApplication(ctx context.Context, a identity.Actor, i id.ID, version int64, n NewApplication) (application.Application, error) {
	var app application.Application
	if err := allow(a, "UpdateApplication"); err != nil {
		return app, err
	}
	var f form
	if n.Name != "" {
		n.Name = f.name("/name", n.Name, longestName)
	}
	if n.Purpose != "" {
		n.Purpose = f.text("/purpose", n.Purpose, longestPurpose)
	}
	if err := f.err(); err != nil {
		return app, err
	}
	err := c.update(ctx, a, "UpdateApplication", func(w *write) (err error) {
		old, err := w.activeApplication(i, version)
		if err != nil {
			return err
		}
		app = old
		if n.Name != "" {
			app.Name = n.Name
		}
		if n.Purpose != "" {
			app.Purpose = n.Purpose
		}
		if n.Owner != "" {
			if err := w.ownerOf(app.Organization, n.Owner); err != nil {
				return err
			}
			app.Owner = n.Owner
		}
		app, err = w.putApplication("application.update", "", old, app)
		return nameTaken(err)
	})
	return app, err
}

// activeApplication returns an application that can still be changed.
func (w *write) activeApplication(i id.ID, version int64) (application.Application, error) {
	app, err := w.application(i)
	if err != nil {
		return app, err
	}
	if err := seen(version, app.Version); err != nil {
		return app, err
	}
	if app.State != application.Active {
		return app, fault.Of(fault.Conflict, "application-closed", "the application is closed")
	}
	return app, nil
}

// CloseApplication ends the application, its open requests, its grants and its credentials, in one transaction.
func (c *Control) CloseApplication(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (application.Application, error) {
	var app application.Application
	if err := allow(a, "CloseApplication"); err != nil {
		return app, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return app, err
	}
	err := c.update(ctx, a, "CloseApplication", func(w *write) error {
		old, err := w.activeApplication(i, version)
		if err != nil {
			return err
		}
		if app, err = old.Close(reason, w.now); err != nil {
			return err
		}
		if app, err = w.putApplication("application.close", reason, old, app); err != nil {
			return err
		}
		return w.endAllOf(app, reason)
	})
	return app, err
}

// endAllOf ends what an application has: requests, grants, credentials.
func (w *write) endAllOf(app application.Application, reason string) error {
	of := grant.Filter{Organization: app.Organization, Application: app.ID}
	requests, err := all(requestID, func(after id.ID, n int) ([]grant.Request, error) { return w.tx.Requests(w.ctx, of, after, n) })
	if err != nil {
		return err
	}
	for _, old := range requests {
		if r, err := old.Withdraw(); err == nil {
			if _, err := w.putRequest("request.withdraw", reason, old, r); err != nil {
				return err
			}
		}
	}
	grants, err := all(grantID, func(after id.ID, n int) ([]grant.Grant, error) { return w.tx.Grants(w.ctx, of, after, n) })
	if err != nil {
		return err
	}
	for _, old := range grants {
		if g, err := old.End(reason, w.now); err == nil {
			if _, err := w.putGrant("grant.end", reason, old, g); err != nil {
				return err
			}
		}
	}
	credentials, err := w.credentialsOf(app)
	if err != nil {
		return err
	}
	for _, old := range credentials {
		if cr, err := old.Revoke(reason, w.now); err == nil {
			if _, err := w.putCredential("credential.revoke", reason, old, cr); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r read) credentialsOf(app application.Application) ([]credential.Credential, error) {
	return all(credentialID, func(after id.ID, n int) ([]credential.Credential, error) {
		return r.tx.Credentials(r.ctx, app.Organization, app.ID, after, n)
	})
}

func applicationID(a application.Application) id.ID { return a.ID }
func requestID(r grant.Request) id.ID               { return r.ID }
func grantID(g grant.Grant) id.ID                   { return g.ID }
func credentialID(c credential.Credential) id.ID    { return c.ID }

// Application returns one of the actor's organization, or for staff any.
func (c *Control) Application(ctx context.Context, a identity.Actor, i id.ID) (application.Application, error) {
	var app application.Application
	err := c.view(ctx, a, "Application", func(r read) (err error) {
		app, err = r.application(i)
		return err
	})
	return app, err
}

// Applications lists those of an organization; for staff, "" lists all.
func (c *Control) Applications(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[application.Application], error) {
	var out List[application.Application]
	err := c.view(ctx, a, "Applications", func(r read) error {
		org, err := r.organizationOr(org)
		if err != nil {
			return err
		}
		out, err = collect(p, id.Application, applicationID, nil, func(after id.ID, n int) ([]application.Application, error) {
			return r.tx.Applications(ctx, org, after, n)
		})
		return err
	})
	return out, err
}
