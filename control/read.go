package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/store"
)

// read is one look at the store on behalf of an actor. Its methods return an object only if it is the actor's to see.
type read struct {
	tx  store.Tx
	ctx context.Context
	a   identity.Actor
	now time.Time
}

// view checks that the actor may call the method, and runs fn with a consistent state.
func (c *Control) view(ctx context.Context, a identity.Actor, method string, fn func(read) error) error {
	if err := allow(a, method); err != nil {
		return err
	}
	return c.Store.View(ctx, func(tx store.Tx) error {
		return fn(read{tx: tx, ctx: ctx, a: a, now: c.now()})
	})
}

// sees reports whether objects of the organization exist for the actor.
func (r read) sees(org id.ID) bool { return !ofPartner(r.a) || r.a.Organization == org }

// missing is the answer for what is not there and for what is not the actor's, word for word the same.
func missing(what string) error { return fault.New(fault.NotFound, "there is no such %s", what) }

// look fetches one object by its ID and hides it from those who may not see it.
func look[T any](r read, what string, k id.Kind, i id.ID, org func(T) id.ID, get func(context.Context, id.ID) (T, error)) (T, error) {
	var none T
	if _, err := id.Parse(k, string(i)); err != nil {
		return none, missing(what)
	}
	o, err := get(r.ctx, i)
	if errors.Is(err, fault.NotFound) || err == nil && !r.sees(org(o)) {
		return none, missing(what)
	}
	return o, err
}

func (r read) organization(i id.ID) (organization.Organization, error) {
	return look(r, "organization", id.Organization, i, func(o organization.Organization) id.ID { return o.ID }, r.tx.Organization)
}

func (r read) person(i id.ID) (identity.Person, error) {
	return look(r, "person", id.Person, i, func(p identity.Person) id.ID { return p.Organization }, r.tx.Person)
}

func (r read) application(i id.ID) (application.Application, error) {
	return look(r, "application", id.Application, i, func(a application.Application) id.ID { return a.Organization }, r.tx.Application)
}

func (r read) credential(i id.ID) (credential.Credential, error) {
	return look(r, "credential", id.Credential, i, func(c credential.Credential) id.ID { return c.Organization }, r.tx.Credential)
}

func (r read) request(i id.ID) (grant.Request, error) {
	return look(r, "request", id.Request, i, func(q grant.Request) id.ID { return q.Organization }, r.tx.Request)
}

func (r read) grant(i id.ID) (grant.Grant, error) {
	return look(r, "grant", id.Grant, i, func(g grant.Grant) id.ID { return g.Organization }, r.tx.Grant)
}

// organizationOr returns the organization that a list is asked for: a member's own, or for the platform the one named,
// "" being all.
func (r read) organizationOr(org id.ID) (id.ID, error) {
	if org == "" {
		return r.a.Organization, nil
	}
	_, err := r.organization(org)
	return org, err
}

// seen checks the version that the caller saw.
func seen(version, have int64) error {
	if version != 0 && version != have {
		return fault.New(fault.Stale, "it was changed in the meantime: look at it again")
	}
	return nil
}
