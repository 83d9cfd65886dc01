package control

import (
	"context"
	"errors"
	"math"
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
			f.MayDecide = r.mayDecide(f.Request, f.Application, at)
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
	Plan    string    // a lower plan than asked; "": no change
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
		app, err := w.application(old.Application)
		if err != nil {
			return err
		}
		if err := w.mayDecide(old, app, at); err != nil {
			return err
		}
		by, err := w.decider(at)
		if err != nil {
			return err
		}
		answer := grant.Decision{By: a.Person, Approve: d.Approve, Scopes: d.Scopes, Plan: d.Plan, Until: d.Until.UTC().Truncate(time.Microsecond), Reason: d.Reason}
		if d.Until.IsZero() {
			answer.Until = time.Time{}
		}
		if !d.Approve {
			if answer.Basis, err = c.basis(w, old, nil); err != nil {
				return err
			}
			if r, _, err = old.Decide(answer, by, w.now); err != nil {
				return err
			}
			if r, err = w.putRequest("request.refuse", d.Reason, old, r); err != nil {
				return err
			}
			return c.tellDecision(w, r, app)
		}
		r, err = c.approve(w, old, answer, by)
		return err
	})
	return r, err
}

// approve takes one stage of a request, and makes the grant when it was the last one.
func (c *Control) approve(w *write, old grant.Request, answer grant.Decision, by grant.Decider) (grant.Request, error) {
	app, o, err := w.mayAsk(old.Application) // what was true at the request may not be any more
	if err != nil {
		return old, err
	}
	of, err := c.newest(w.ctx, w.tx, old.Environment)
	if err != nil {
		return old, err
	}
	p, plan, err := of.plan(old.Product, old.AllowedPlan())
	if err != nil {
		return old, notOffered(old)
	}
	if answer.Plan != "" && answer.Plan != plan.Name {
		if plan, err = of.lower(p, plan, answer.Plan); err != nil {
			return old, err
		}
	}
	latest := w.now.Add(time.Duration(plan.Longest))
	if u := plan.Approval.Emergency; old.Sort == grant.Emergency && u != nil {
		latest = earlier(latest, w.now.Add(time.Duration(u.Longest)))
	}
	if answer.Until.After(latest) {
		return old, fault.Bad("/until", "is after %s, the latest end that the plan allows now", latest.Format(time.RFC3339))
	}
	r, done, err := old.Decide(answer, by, w.now)
	if err != nil {
		return old, err
	}
	last := &r.Decisions[len(r.Decisions)-1]
	for _, s := range last.Scopes {
		if _, ok := p.Scopes[s]; !ok {
			return old, fault.Bad("/scopes", "the product no longer has the scope %s: approve the others", s)
		}
	}
	if last.Basis, err = c.basis(w, old, last.Scopes); err != nil {
		return old, err
	}
	if !done {
		if r, err = w.putRequest("request.approve-stage", answer.Reason, old, r); err != nil {
			return r, err
		}
		if r.Stage() == last.Stage {
			return r, nil // the others of the stage know already
		}
		return r, c.tellDeciders(w, r, app, o)
	}
	last.Until = earlier(last.Until, latest)
	return c.grantIt(w, of, old, r, app, "request.approve")
}

// lower returns the named plan of the product, if it allows no more than the one that was asked for.
func (o offer) lower(p *manifest.Product, asked *manifest.Plan, name string) (*manifest.Plan, error) {
	l, ok := p.Plan(name)
	if !ok || !slices.Contains(l.Environments, o.Name) {
		return nil, fault.Bad("/plan", "the product %s has no plan %q in the environment %s", p.Name, clip(name), o.Name)
	}
	if rate(l) > rate(asked) {
		return nil, fault.Bad("/plan", "the plan %s allows more than %s: growing is a new request", l.Name, asked.Name)
	}
	return l, nil
}

// rate is how many requests a second the plan allows in the long run.
func rate(l *manifest.Plan) float64 {
	least := math.Inf(1)
	for _, m := range l.Limits {
		least = min(least, float64(m.Requests)/time.Duration(m.Per).Seconds())
	}
	return least
}

// basis is the facts on which a decision about those scopes is taken. What the environment no longer offers opens nothing.
func (c *Control) basis(w *write, r grant.Request, scopes []string) (*grant.Basis, error) {
	o, err := w.organization(r.Organization)
	if err != nil {
		return nil, err
	}
	b := &grant.Basis{Organization: string(o.State), Verified: o.Verified, Operations: []string{}}
	standing, err := w.standing(application.Application{ID: r.Application, Organization: r.Organization}, r.Environment)
	if err != nil {
		return nil, err
	}
	for _, g := range standing {
		b.Standing = append(b.Standing, g.ID)
	}
	of, err := c.newest(w.ctx, w.tx, r.Environment)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Conflict) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	b.Revision = of.Revision
	if p, ok := of.Product(r.Product); ok {
		b.DataClass = p.DataClass
	}
	for op := range of.opened(r.Product, scopes) {
		b.Operations = append(b.Operations, op[0]+"/"+op[1])
	}
	slices.Sort(b.Operations)
	return b, nil
}

// mayDecide says whether the actor may take the next decision: nil, or why not. Beside what the request itself says, nobody
// decides for an application that they made.
func (r read) mayDecide(q grant.Request, app application.Application, at identity.Place) error {
	by, err := r.decider(at)
	if err != nil {
		return err
	}
	if err := q.MayDecide(by); err != nil {
		return err
	}
	if app.CreatedBy == r.a.Person {
		return fault.Of(fault.Forbidden, "own-application", "nobody decides for an application that they made")
	}
	return nil
}

// decider is the actor, with the roles that count at the place and those of whoever is absent.
func (r read) decider(at identity.Place) (grant.Decider, error) {
	d := grant.Decider{Person: r.a.Person, Organization: r.a.Organization, Roles: stageRoles(r.a.At(at))}
	if r.a.Person == "" {
		return d, nil
	}
	absences, err := all(absenceID, func(after id.ID, n int) ([]grant.Absence, error) {
		return r.tx.Absences(r.ctx, "", r.a.Person, r.now, after, n)
	})
	if err != nil {
		return d, err
	}
	for _, a := range absences {
		if !a.Holds(r.now) {
			continue
		}
		p, err := r.tx.Person(r.ctx, a.Person)
		if errors.Is(err, fault.NotFound) || err == nil && (p.State != identity.Active || p.Class != identity.Staff) {
			continue // whoever is gone has no roles to lend
		}
		if err != nil {
			return d, err
		}
		d.For = append(d.For, grant.Absent{Person: p.ID, Roles: stageRoles(identity.Actor{Class: identity.Staff, Person: p.ID, Roles: p.Roles}.At(at))})
	}
	return d, nil
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
