package control

import (
	"context"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/organization"
)

// Facts is what an approver decides on.
type Facts struct {
	Request      grant.Request
	Organization organization.Organization
	Application  application.Application
	Requester    identity.Person
	Owner        identity.Person
	Product      manifest.Product
	Plan         manifest.Plan
	Operations   []CatalogueOperation // that the requested scopes would open
	Standing     []grant.Grant        // what the application holds in that environment already
	History      []grant.Request      // earlier requests of the organization, newest first, at most 10
	LatestEnd    time.Time            // the latest end that may be approved now
	MayDecide    error                // nil, or why this actor may not
}

// historyMost is how many earlier requests an approver is shown.
const historyMost = 10

// Facts gathers what there is to know about a request. Staff.
func (c *Control) Facts(ctx context.Context, a identity.Actor, request id.ID) (Facts, error) {
	var f Facts
	err := c.view(ctx, a, "Facts", func(r read) (err error) {
		if f.Request, err = r.request(request); err != nil {
			return err
		}
		if f.Organization, err = r.organization(f.Request.Organization); err != nil {
			return err
		}
		if f.Application, err = r.application(f.Request.Application); err != nil {
			return err
		}
		if f.Requester, err = r.person(f.Request.By); err != nil {
			return err
		}
		if f.Owner, err = r.person(f.Application.Owner); err != nil {
			return err
		}
		if f.Standing, err = r.standing(f.Application, f.Request.Environment); err != nil {
			return err
		}
		if f.History, err = r.history(f.Request); err != nil {
			return err
		}
		at, err := c.place(r, f.Request.Environment, f.Request.Product, f.Request.Organization)
		if err != nil {
			return err
		}
		if f.MayDecide = r.within("Decide", at); f.MayDecide == nil {
			f.MayDecide = f.Request.MayDecide(a.Person, stageRoles(a.At(at)))
		}
		_, f.LatestEnd = f.Request.Allowed(r.now)
		of, err := c.newest(ctx, r.tx, f.Request.Environment)
		if err != nil {
			return err
		}
		p, l, err := of.plan(f.Request.Product, f.Request.Plan)
		if err != nil { // no longer offered: it can still be refused
			if f.MayDecide == nil {
				f.MayDecide = notOffered(f.Request)
			}
			return nil
		}
		f.Product, f.Plan = *p, *l
		f.LatestEnd = earlier(f.LatestEnd, r.now.Add(time.Duration(l.Longest)))
		scopes, _ := f.Request.Allowed(r.now)
		opened := of.opened(p.Name, scopes)
		for _, api := range of.operations(p) {
			for _, op := range api.Operations {
				if opened[[2]string{api.Name, op.ID}] {
					f.Operations = append(f.Operations, op)
				}
			}
		}
		return nil
	})
	return f, err
}

// history lists the organization's other requests, newest first.
func (r read) history(q grant.Request) ([]grant.Request, error) {
	rs, err := all(requestID, func(after id.ID, n int) ([]grant.Request, error) {
		return r.tx.Requests(r.ctx, grant.Filter{Organization: q.Organization}, after, n)
	})
	rs = slices.DeleteFunc(rs, func(o grant.Request) bool { return o.ID >= q.ID })
	slices.Reverse(rs)
	return rs[:min(len(rs), historyMost)], err
}

// Answer is an approver's decision.
type Answer struct {
	Approve bool
	Scopes  []string  // fewer than asked, or nil for what is still allowed
	Until   time.Time // earlier than asked, or zero for the latest allowed
	Reason  string    // needed to refuse; the partner sees it
}

// Decide answers one stage of a request. When the last stage is through, the grant stands in the same transaction. Nobody
// decides on their own request or twice on one; of two who decide at the same moment one is told fault.Stale. An
// application has at most one active grant per product and environment, and no operation is covered twice unless its
// credentials are bound to named grants: else fault.Conflict.
func (c *Control) Decide(ctx context.Context, a identity.Actor, i id.ID, version int64, d Answer) (grant.Request, error) {
	var r grant.Request
	if err := allow(a, "Decide"); err != nil {
		return r, err
	}
	var f form
	d.Reason = f.optionalText("/reason", d.Reason, longestReason)
	if err := f.err(); err != nil {
		return r, err
	}
	if err := c.warm(ctx); err != nil {
		return r, err
	}
	err := c.update(ctx, a, "Decide", func(w *write) error {
		old, err := w.request(i)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		at, err := c.place(w.read, old.Environment, old.Product, old.Organization)
		if err != nil {
			return err
		}
		if err := w.within("Decide", at); err != nil {
			return err
		}
		roles := stageRoles(a.At(at))
		if err := old.MayDecide(a.Person, roles); err != nil {
			return err
		}
		answer := grant.Decision{By: a.Person, Approve: d.Approve, Scopes: d.Scopes, Until: d.Until.UTC().Truncate(time.Microsecond), Reason: d.Reason}
		if d.Until.IsZero() {
			answer.Until = time.Time{}
		}
		app, err := w.application(old.Application)
		if err != nil {
			return err
		}
		if !d.Approve {
			if r, _, err = old.Decide(answer, roles, w.now); err != nil {
				return err
			}
			if r, err = w.putRequest("request.refuse", d.Reason, old, r); err != nil {
				return err
			}
			return c.tellDecision(w, r, app)
		}
		r, err = c.approve(w, old, answer, roles)
		return err
	})
	return r, err
}

// approve takes one stage of a request, and makes the grant when it was the last one.
func (c *Control) approve(w *write, old grant.Request, answer grant.Decision, roles []string) (grant.Request, error) {
	app, _, err := w.mayAsk(old.Application) // what was true at the request may not be any more
	if err != nil {
		return old, err
	}
	of, err := c.newest(w.ctx, w.tx, old.Environment)
	if err != nil {
		return old, err
	}
	p, plan, err := of.plan(old.Product, old.Plan)
	if err != nil {
		return old, notOffered(old)
	}
	latest := w.now.Add(time.Duration(plan.Longest))
	if answer.Until.After(latest) {
		return old, fault.Bad("/until", "is after %s, the latest end that the plan allows now", latest.Format(time.RFC3339))
	}
	r, done, err := old.Decide(answer, roles, w.now)
	if err != nil {
		return old, err
	}
	last := &r.Decisions[len(r.Decisions)-1]
	for _, s := range last.Scopes {
		if _, ok := p.Scopes[s]; !ok {
			return old, fault.Bad("/scopes", "the product no longer has the scope %s: approve the others", s)
		}
	}
	if !done {
		return w.putRequest("request.approve-stage", answer.Reason, old, r)
	}
	last.Until = earlier(last.Until, latest)
	return c.grantIt(w, of, old, r, app, "request.approve")
}

func notOffered(r grant.Request) error {
	return fault.Of(fault.Conflict, "not-offered", "the environment %s no longer offers the product %s on the plan %s: refuse the request", r.Environment, r.Product, r.Plan)
}

// stageRoles is the roles with which the actor, as it stands at the request's place, may take stages: an admin every one.
func stageRoles(a identity.Actor) []string {
	var out []string
	for _, want := range []identity.Role{identity.Admin, identity.Approver, identity.APIOwner, identity.Operator} {
		if covers(a.Roles, want) {
			out = append(out, string(want))
		}
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
