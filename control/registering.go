package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

// Programs register OAuth clients by themselves (RFC 7591), with a token that a member has made for one application and
// environment. What is registered is a credential as any other: it opens what is granted to the application, and nothing else.

const (
	initialLives   = 24 * time.Hour      // of an initial access token, unless something else is said
	initialLongest = 30 * 24 * time.Hour // that may be said
	initialUses    = 100                 // that one may have at most
	initialMost    = 50                  // open ones of one organization
	registeredFor  = "the client was removed by its registration"
)

// NewInitialToken is what an initial access token is made from.
type NewInitialToken struct {
	Application id.ID
	Environment string
	Name        string
	Uses        int           // 0: one
	Lives       time.Duration // 0: a day
}

// MakeInitialToken makes a token (ghr_…) by which clients of the application are registered. It is returned once. It acts for
// whoever makes it, while they may register clients themselves. Owner or developer of the organization.
func (c *Control) MakeInitialToken(ctx context.Context, a identity.Actor, n NewInitialToken) (credential.InitialToken, secret.Value, error) {
	var t credential.InitialToken
	var value secret.Value
	if err := allow(a, "MakeInitialToken"); err != nil {
		return t, value, err
	}
	var f form
	n.Name = f.name("/name", n.Name, longestName)
	if n.Uses == 0 {
		n.Uses = 1
	}
	if n.Lives == 0 {
		n.Lives = initialLives
	}
	if n.Uses < 1 || n.Uses > initialUses {
		f.bad("/uses", "must be from 1 to %d", initialUses)
	}
	if n.Lives < time.Minute || n.Lives > initialLongest {
		f.bad("/lifetime", "must be from a minute to 30 days")
	}
	if err := f.err(); err != nil {
		return t, value, err
	}
	err := c.update(ctx, a, "MakeInitialToken", func(w *write) error {
		app, _, err := w.mayAsk(n.Application)
		if err != nil {
			return err
		}
		if err := w.environment(n.Environment); err != nil {
			return fault.Bad("/environment", "there is no environment %q", clip(n.Environment))
		}
		have, err := all(initialID, func(after id.ID, most int) ([]credential.InitialToken, error) {
			return w.tx.InitialTokens(ctx, app.Organization, after, most)
		})
		if err != nil {
			return err
		}
		have = slices.DeleteFunc(have, func(t credential.InitialToken) bool { return t.Standing(w.now) != credential.TokenOpen })
		if len(have) >= initialMost {
			return fault.Of(fault.Conflict, "too-many-tokens", "%d initial access tokens are open: end one first", len(have))
		}
		value = secret.Random("ghr_")
		t, err = w.putInitialToken("initial-token.make", credential.InitialToken{}, credential.InitialToken{ID: w.fresh(id.InitialToken),
			Organization: app.Organization, Application: app.ID, Environment: n.Environment, Name: n.Name, Hash: value.Hash(), Most: n.Uses,
			Created: w.now, CreatedBy: a.Person, Expires: w.after(n.Lives)})
		return err
	})
	return t, value, err
}

func initialID(t credential.InitialToken) id.ID { return t.ID }

// InitialTokens lists a member's organization's, or for the platform those of the one that is named, or with "" all.
func (c *Control) InitialTokens(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[credential.InitialToken], error) {
	var out List[credential.InitialToken]
	err := c.view(ctx, a, "InitialTokens", func(r read) error {
		org, err := r.organizationOr(org)
		if err != nil {
			return err
		}
		out, err = collect(p, id.InitialToken, initialID, nil, func(after id.ID, n int) ([]credential.InitialToken, error) {
			return r.tx.InitialTokens(ctx, org, after, n)
		})
		return err
	})
	return out, err
}

// EndInitialToken makes an open one useless. Clients that were registered with it stay. Owner or developer, or the platform's keepers.
func (c *Control) EndInitialToken(ctx context.Context, a identity.Actor, i id.ID) (credential.InitialToken, error) {
	var t credential.InitialToken
	err := c.update(ctx, a, "EndInitialToken", func(w *write) error {
		old, err := look(w.read, "initial access token", id.InitialToken, i, func(t credential.InitialToken) id.ID { return t.Organization }, w.tx.InitialToken)
		if err != nil {
			return err
		}
		if t, err = old.End(w.now); err != nil {
			return err
		}
		t, err = w.putInitialToken("initial-token.end", old, t)
		return err
	})
	return t, err
}

// invalidToken is the one answer to whoever shows a registration's token that does not count.
func invalidToken(why string, args ...any) error {
	return fault.Of(fault.Unauthenticated, "invalid_token", "this token does not count here, or not any more").Because(fault.New(fault.Unauthenticated, why, args...))
}

// RegisterByToken registers a client with an initial access token of the environment. Its application, and whose it is, is what the
// token says; the rules of grants and lifetimes are those of RegisterClient. The last value is the registration access token.
func (c *Control) RegisterByToken(ctx context.Context, a identity.Actor, environment string, value secret.Value, n NewClient) (credential.Credential, secret.Value, secret.Value, error) {
	none := credential.Credential{}
	var t credential.InitialToken
	if err := c.limited(ctx, clientsAsked, network(a.Address)); err != nil {
		return none, secret.Value{}, secret.Value{}, err
	}
	err := c.view(ctx, a, "RegisterByToken", func(r read) (err error) {
		t, err = r.tx.InitialTokenByHash(ctx, value.Hash())
		if errors.Is(err, fault.NotFound) || err == nil && (t.Environment != environment || t.Standing(r.now) != credential.TokenOpen) {
			return invalidToken("it is of another environment, or %s", t.Standing(r.now))
		}
		return err
	})
	if err != nil {
		return none, secret.Value{}, secret.Value{}, err
	}
	manage := secret.Random("ghn_")
	n.NewKey.Application, n.NewKey.Environment, n.NewKey.Once = t.Application, t.Environment, ""
	maker := identity.Actor{Class: identity.Machine, ID: t.ID, Person: t.CreatedBy, Name: t.Name, Organization: t.Organization,
		Roles: []identity.Role{identity.Developer}, Address: a.Address, RequestID: a.RequestID}
	cr, shown, err := c.registerClient(ctx, maker, n, func(w *write, cr credential.Credential) error {
		now, err := w.tx.InitialToken(w.ctx, t.ID) // again: this is what counts its uses
		if err != nil {
			return err
		}
		if err := w.mayAct(now); err != nil {
			return err
		}
		next, err := now.Use(w.now)
		if err != nil {
			return invalidToken("%v", err)
		}
		if _, err := w.putInitialToken("initial-token.use", now, next); err != nil {
			return err
		}
		return w.putRegistration(cr, manage)
	})
	if err != nil {
		return none, secret.Value{}, secret.Value{}, err
	}
	return cr, shown, manage, nil
}

// mayAct checks that whoever made the token is still there, and may register clients themselves.
func (w *write) mayAct(t credential.InitialToken) error {
	p, err := w.tx.Person(w.ctx, t.CreatedBy)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || p.State != identity.Active || p.Organization != t.Organization || !slices.ContainsFunc(p.Roles, func(r identity.Role) bool { return byRole[r]&builders != 0 }) {
		return invalidToken("who made it may not register clients any more")
	}
	return nil
}

// registered finds the client that the registration access token manages. One that is over is not managed any more.
func (r read) registered(environment string, client id.ID, value secret.Value) (credential.Credential, error) {
	cr, err := r.tx.Credential(r.ctx, client)
	if errors.Is(err, fault.NotFound) {
		return cr, invalidToken("there is no such client")
	}
	if err != nil {
		return cr, err
	}
	h, err := r.tx.Registration(r.ctx, client)
	switch {
	case err != nil && !errors.Is(err, fault.NotFound):
		return cr, err
	case err != nil, !value.Hash().Matches(h), cr.Kind != credential.Client, cr.OAuth == nil, cr.Environment != environment:
		return cr, invalidToken("it is of another client")
	case !cr.Live(r.now):
		return cr, invalidToken("the client is %s", cr.Standing(r.now))
	}
	app, err := r.tx.Application(r.ctx, cr.Application)
	if err != nil {
		return cr, err
	}
	org, err := r.tx.Organization(r.ctx, cr.Organization)
	if err != nil {
		return cr, err
	}
	if app.State != application.Active || !org.Live() {
		return cr, invalidToken("its application or organization may not call")
	}
	return cr, nil
}

// Registration shows a client to whoever has its registration access token (RFC 7592 §2.1).
func (c *Control) Registration(ctx context.Context, a identity.Actor, environment string, client id.ID, value secret.Value) (cr credential.Credential, err error) {
	err = c.view(ctx, a, "Registration", func(r read) (err error) {
		cr, err = r.registered(environment, client, value)
		return err
	})
	return cr, err
}

// UpdateRegistration replaces a client's name and keys (RFC 7592 §2.2). Its method stays, and what its tokens are bound to does not
// become less: who has stolen the token does not open a door with it that was closed.
func (c *Control) UpdateRegistration(ctx context.Context, a identity.Actor, environment string, client id.ID, value secret.Value, n NewClient) (cr credential.Credential, err error) {
	if err := allow(a, "UpdateRegistration"); err != nil {
		return cr, err
	}
	var f form
	n.Name = f.name("/name", n.Name, longestName)
	o := f.oauth(n, c.Fetch)
	if err := f.err(); err != nil {
		return cr, err
	}
	err = c.update(ctx, a, "UpdateRegistration", func(w *write) error {
		old, err := w.registered(environment, client, value)
		if err != nil {
			return err
		}
		var f form
		if o.Method != old.OAuth.Method {
			f.bad("/token_endpoint_auth_method", "stays %s: register another client", old.OAuth.Method)
		}
		if old.OAuth.Constrain != "" && o.Constrain != old.OAuth.Constrain {
			f.bad("/constrain", "its tokens stay bound (%s): register another client", old.OAuth.Constrain)
		}
		if old.OAuth.Named != nil && (o.Named == nil || o.Named.Kind != old.OAuth.Named.Kind || o.Named.Value != old.OAuth.Named.Value) {
			f.bad("/tls_client_auth", "the name in its certificate stays: register another client")
		}
		if err := f.err(); err != nil {
			return err
		}
		if o.Named != nil {
			o.Named = old.OAuth.Named
		}
		next := old
		next.Name, next.OAuth = n.Name, &o
		app, err := w.tx.Application(w.ctx, old.Application)
		if err != nil {
			return err
		}
		of, err := c.newest(w.ctx, w.tx, environment)
		if err != nil {
			return err
		}
		w.a.ID, w.a.Organization = old.ID, old.Organization
		if err := w.mayFAPI(of, app, next); err != nil {
			return err
		}
		cr, err = w.putCredential("credential.update-client", "", old, next)
		return err
	})
	return cr, err
}

// EndRegistration revokes a client for whoever has its registration access token (RFC 7592 §2.3).
func (c *Control) EndRegistration(ctx context.Context, a identity.Actor, environment string, client id.ID, value secret.Value) error {
	return c.update(ctx, a, "EndRegistration", func(w *write) error {
		old, err := w.registered(environment, client, value)
		if err != nil {
			return err
		}
		next, err := old.Revoke(registeredFor, w.now)
		if err != nil {
			return err
		}
		w.a.ID, w.a.Organization = old.ID, old.Organization
		_, err = w.putCredential("credential.revoke", registeredFor, old, next)
		return err
	})
}
