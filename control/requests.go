package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/organization"
	"gatehouse/rule"
)

// AccessRequest is what a member asks for.
type AccessRequest struct {
	Application id.ID
	Environment string
	Product     string
	Plan        string
	Scopes      []string // none: all of the product's
	Purpose     string
	Duration    time.Duration // at most the plan's longest; 0: that
	Once        string

	// Of is the grant to renew or to grow: application, environment and product are its own, and so are plan, scopes and
	// purpose where they are left out. Asking for no more than it holds, but longer, is a renewal, else growth.
	Of        id.ID
	Emergency bool // short, at once, decided by two: as the plan's approval says
}

// shortestGrant is the shortest time that can be asked for.
const shortestGrant = time.Minute

// RequestAccess asks for access. The organization must be verified. A plan that approves automatically answers with an
// approved request and its grant. An open request for the same application, product and environment is fault.Conflict.
func (c *Control) RequestAccess(ctx context.Context, a identity.Actor, q AccessRequest) (grant.Request, error) {
	var r grant.Request
	const method = "RequestAccess"
	if err := allow(a, method); err != nil {
		return r, err
	}
	var f form
	q.Once = f.once(q.Once)
	if q.Of == "" || q.Purpose != "" {
		q.Purpose = f.text("/purpose", q.Purpose, longestPurpose)
	}
	if q.Of != "" && q.Emergency {
		f.bad("/emergency", "emergency access is a grant of its own: leave out which grant it is of")
	}
	if q.Duration < 0 || q.Duration > 0 && q.Duration < shortestGrant {
		f.bad("/duration", "must be at least %s", manifest.Duration(shortestGrant))
	}
	if err := c.warm(ctx); err != nil {
		return r, err
	}
	asked := q
	err := c.update(ctx, a, method, func(w *write) error {
		q, f := asked, form{slices.Clip(f.wrong)} // fn may run again
		made, err := w.once(method, q.Once)
		if err != nil {
			return err
		}
		if made != "" {
			r, err = w.request(made)
			return err
		}
		var of grant.Grant
		if q.Of != "" {
			if of, err = w.asked(&q); err != nil {
				return err
			}
		}
		app, o, err := w.mayAsk(q.Application)
		if err != nil {
			return err
		}
		offers, err := c.newest(ctx, w.tx, q.Environment)
		if errors.Is(err, fault.NotFound) {
			f.bad("/environment", "there is no environment %q", clip(q.Environment))
			return f.err()
		}
		if err != nil {
			return err
		}
		plan, err := offers.ask(&f, &q)
		if err != nil {
			return err
		}
		if err := w.noneOpen(app, q); err != nil {
			return err
		}
		sort, err := sortOf(q, of, w.now)
		if err != nil {
			return err
		}
		r = grant.Request{ID: w.fresh(id.Request), Organization: o.ID, Application: app.ID, Environment: q.Environment,
			Product: q.Product, Plan: q.Plan, Scopes: q.Scopes, Purpose: q.Purpose, Duration: q.Duration,
			By: a.Person, Created: w.now, State: grant.Open, Stages: stagesOf(plan, sort), Decisions: []grant.Decision{},
			Sort: sort, Of: q.Of, Since: w.now}
		if err := w.ruled(&r, plan, offers, o); err != nil {
			return err
		}
		action := "request.create"
		if sort == grant.Emergency {
			action = "request.emergency"
		}
		if r, err = w.putRequest(action, "", grant.Request{}, r); err != nil {
			return err
		}
		old := r
		if r.Rule != nil && r.Rule.Then == rule.Refuse {
			if r, err = r.ByRule(w.now); err != nil {
				return err
			}
			if r, err = w.putRequest("request.refuse", r.Decisions[0].Reason, old, r); err != nil {
				return err
			}
			if err := c.tellDecision(w, r, app); err != nil {
				return err
			}
			return w.made(method, q.Once, r.ID)
		}
		if len(r.Stages) == 0 || r.Rule != nil && r.Rule.Then == rule.Approve {
			if r, err = r.Automatic(w.now); err != nil {
				return err
			}
			if r.Decisions[0].Basis, err = c.basis(w, r, r.Scopes); err != nil {
				return err
			}
			if r, err = c.grantIt(w, offers, old, r, app, "request.approve"); err != nil {
				return err
			}
		} else if err := c.tellDeciders(w, r, app, o); err != nil {
			return err
		}
		return w.made(method, q.Once, r.ID)
	})
	return r, err
}

// mayAsk returns the application and its organization if it may be given anything.
func (w *write) mayAsk(i id.ID) (application.Application, organization.Organization, error) {
	app, err := w.activeApplication(i, 0)
	if err != nil {
		return app, organization.Organization{}, err
	}
	o, err := w.organization(app.Organization)
	if err != nil {
		return app, o, err
	}
	return app, o, mayBeGranted(o)
}

// ask checks what is asked for against what is offered, fills in what was left out, and returns the plan.
func (o offer) ask(f *form, q *AccessRequest) (*manifest.Plan, error) {
	p, plan, err := o.plan(q.Product, q.Plan)
	if err != nil {
		f.wrong = append(f.wrong, fault.As(err).Fields...)
	}
	if p != nil {
		q.Scopes = f.scopes(q.Scopes, p)
	}
	if plan != nil {
		longest := time.Duration(plan.Longest)
		if u := plan.Approval.Emergency; q.Emergency {
			if u == nil {
				f.bad("/emergency", "the plan %s knows no emergency access", plan.Name)
				return plan, f.err()
			}
			longest = min(longest, time.Duration(u.Longest))
		}
		if q.Duration == 0 {
			q.Duration = longest
		}
		if q.Duration > longest {
			f.bad("/duration", "is longer than %s, the longest that the plan allows", plan.Longest)
		}
	}
	return plan, f.err()
}

// scopes takes scopes of the product; none means all.
func (f *form) scopes(scopes []string, p *manifest.Product) []string {
	if len(scopes) == 0 {
		return slices.Sorted(maps.Keys(p.Scopes))
	}
	for i, s := range scopes {
		switch _, ok := p.Scopes[s]; {
		case !ok:
			f.bad(fmt.Sprintf("/scopes/%d", i), "the product has no scope %q", clip(s))
		case slices.Contains(scopes[:i], s):
			f.bad(fmt.Sprintf("/scopes/%d", i), "%s stands twice", s)
		}
		if len(f.wrong) > 100 {
			break // enough said
		}
	}
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	return scopes
}

// asked fills in what a request about a grant leaves out, and returns the grant.
func (w *write) asked(q *AccessRequest) (grant.Grant, error) {
	g, err := w.grant(q.Of)
	if err != nil {
		return g, err
	}
	if s := g.Standing(w.now); s == "ended" || s == "expired" {
		return g, fault.Of(fault.Conflict, "grant-over", "grant %s is %s: it cannot be renewed or grown any more, ask for a new one", g.ID, s)
	}
	if g.Emergency {
		return g, fault.Of(fault.Conflict, "grant-emergency", "grant %s is emergency access, which ends when it ends: ask for a grant in the usual way", g.ID)
	}
	q.Application, q.Environment, q.Product = g.Application, g.Environment, g.Product
	if q.Plan == "" {
		q.Plan = g.Plan
	}
	if len(q.Scopes) == 0 {
		q.Scopes = g.Scopes
	}
	if q.Purpose == "" {
		q.Purpose = g.Purpose
	}
	return g, nil
}

// sortOf says what is asked for.
func sortOf(q AccessRequest, of grant.Grant, now time.Time) (grant.Sort, error) {
	switch {
	case q.Emergency:
		return grant.Emergency, nil
	case q.Of == "":
		return grant.Fresh, nil
	case q.Plan != of.Plan || !of.Covers(q.Scopes):
		return grant.Growth, nil
	case !now.Add(q.Duration).After(of.Until):
		return "", fault.Bad("/duration", "would end before the grant does, on %s: nothing would be renewed", of.Until.Format(time.RFC3339))
	}
	return grant.Renewal, nil
}

// noneOpen checks that the application does not wait for an answer to the same question.
func (w *write) noneOpen(app application.Application, q AccessRequest) error {
	open, err := all(requestID, func(after id.ID, n int) ([]grant.Request, error) {
		return w.tx.Requests(w.ctx, grant.Filter{Organization: app.Organization, Application: app.ID, Environment: q.Environment, State: string(grant.Open)}, after, n)
	})
	if err != nil {
		return err
	}
	for _, r := range open {
		if r.Product == q.Product {
			return fault.Of(fault.Conflict, "request-open", "the application waits for an answer to request %s for the same product already", r.ID)
		}
	}
	return nil
}

// ruled asks the plan's rules, and keeps in the request what they say.
func (w *write) ruled(r *grant.Request, plan *manifest.Plan, of offer, o organization.Organization) error {
	if len(plan.Approval.Rules) == 0 || r.Sort == grant.Emergency {
		return nil
	}
	standing, err := w.standing(application.Application{ID: r.Application, Organization: r.Organization}, r.Environment)
	if err != nil {
		return err
	}
	p, _ := of.Product(r.Product)
	name, then, reason, err := plan.Approval.Ruled(rule.Facts{Scopes: r.Scopes, Product: r.Product, Plan: r.Plan, Environment: r.Environment,
		Sort: string(r.Sort), DataClass: p.DataClass, Duration: r.Duration, Country: o.Country, VerifiedFor: w.now.Sub(o.Verified), Standing: int64(len(standing))})
	r.Rule = &grant.Ruling{Rule: name, Then: then, Reason: reason}
	if err != nil { // fail closed: people decide
		r.Rule.Error = err.Error()
	}
	return nil
}

// stagesOf copies the plan's approval route for that sort of request. A plan that says nothing is decided by one approver.
func stagesOf(l *manifest.Plan, sort grant.Sort) []grant.Stage {
	out := []grant.Stage{}
	if u := l.Approval.Emergency; sort == grant.Emergency {
		return append(out, grant.Stage{Name: "emergency", Role: u.Role, Count: max(u.Count, 2), Within: seconds(u.Within)})
	}
	stages, automatic := l.Approval.Stages, l.Approval.Automatic
	if r := l.Approval.Renewal; sort == grant.Renewal && r != nil {
		stages, automatic = r.Stages, r.Automatic
	}
	for _, s := range stages {
		out = append(out, grant.Stage{Name: s.Name, Role: s.Role, Count: max(s.Count, 1), Within: seconds(s.Within), StandIn: s.StandIn})
	}
	if len(out) == 0 && !automatic {
		out = append(out, grant.Stage{Name: string(identity.Approver), Role: string(identity.Approver), Count: 1})
	}
	return out
}

func seconds(d manifest.Duration) int64 { return int64(time.Duration(d) / time.Second) }

// grantIt stores an approved request with the grant that it becomes.
func (c *Control) grantIt(w *write, of offer, old, r grant.Request, app application.Application, action string) (grant.Request, error) {
	var was grant.Grant
	var g grant.Grant
	var err error
	told := "grant.create"
	if r.Of == "" {
		g, err = r.Granted(w.fresh(id.Grant), w.now)
	} else if was, err = w.grant(r.Of); err == nil {
		g, err = r.Amended(was, w.now)
		told = "grant.renew"
		if r.Sort == grant.Growth {
			told = "grant.grow"
		}
	}
	if err != nil {
		return r, err
	}
	if err := w.coversNothingTwice(of, g, app); err != nil {
		return r, err
	}
	r.Grant = g.ID
	if r, err = w.putRequest(action, r.Decisions[len(r.Decisions)-1].Reason, old, r); err != nil {
		return r, err
	}
	if g.Emergency {
		told = "grant.emergency"
	}
	if _, err = w.putGrant(told, r.Purpose, was, g); err != nil {
		return r, err
	}
	if g.Emergency {
		if err := c.tellEmergency(w, r, g, app); err != nil {
			return r, err
		}
	}
	return r, c.tellDecision(w, r, app)
}

// standing lists the grants of the application in the environment that hold or may hold again: upcoming, active, suspended.
func (r read) standing(app application.Application, environment string) ([]grant.Grant, error) {
	gs, err := all(grantID, func(after id.ID, n int) ([]grant.Grant, error) {
		return r.tx.Grants(r.ctx, grant.Filter{Organization: app.Organization, Application: app.ID, Environment: environment}, after, n)
	})
	return slices.DeleteFunc(gs, func(g grant.Grant) bool {
		s := g.Standing(r.now)
		return s == "ended" || s == "expired"
	}), err
}

// coversNothingTwice checks that the fresh grant leaves no doubt about which grant a call is for.
func (w *write) coversNothingTwice(of offer, g grant.Grant, app application.Application) error {
	have, err := w.standing(app, g.Environment)
	if err != nil {
		return err
	}
	unbound, err := w.unbound(app, g.Environment)
	if err != nil {
		return err
	}
	for _, h := range have {
		if h.ID == g.ID {
			continue // it is made anew
		}
		if h.Product == g.Product {
			return fault.Of(fault.Conflict, "grant-standing", "the application has grant %s for this product in this environment already, until %s: renew or grow it, or end it first", h.ID, h.Until.Format(time.RFC3339))
		}
		if op, twice := of.overlap(h, g); twice && unbound != "" {
			return fault.Of(fault.Conflict, "covered-twice", "grant %s covers %s as well, and credential %s is not bound to named grants: bind or revoke it first", h.ID, op, unbound)
		}
	}
	if unbound != "" && !of.allows(g, credential.APIKey) {
		return fault.Of(fault.Conflict, "credential-kind", "credential %s stands for all grants of the application, and the plan %s does not allow its kind: bind or revoke it first", unbound, g.Plan)
	}
	return nil
}

// overlap returns an operation that both grants open.
func (o offer) overlap(g, h grant.Grant) (string, bool) {
	a, b := o.opened(g.Product, g.Scopes), o.opened(h.Product, h.Scopes)
	var both []string
	for op := range a {
		if b[op] {
			both = append(both, op[0]+"/"+op[1])
		}
	}
	if len(both) == 0 {
		return "", false
	}
	return slices.Min(both), true
}

// unbound returns a live credential of the application that stands for all its grants there, or "".
func (r read) unbound(app application.Application, environment string) (id.ID, error) {
	cs, err := r.credentialsOf(app)
	for _, cr := range cs {
		if cr.Environment == environment && cr.State != credential.Revoked && r.now.Before(cr.Expires) && len(cr.Grants) == 0 {
			return cr.ID, err
		}
	}
	return "", err
}

// tellDecision writes to the person who asked, and to the application's owner if that is another.
func (c *Control) tellDecision(w *write, r grant.Request, app application.Application) error {
	told := map[id.ID]bool{}
	for _, i := range []id.ID{r.By, app.Owner} {
		if told[i] || i == "" {
			continue
		}
		told[i] = true
		p, err := w.tx.Person(w.ctx, i)
		if errors.Is(err, fault.NotFound) || err == nil && p.State != identity.Active {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.decisionLetter(w, p, r, app.Name); err != nil {
			return err
		}
	}
	return nil
}

// Request returns one of the actor's organization, or for staff any.
func (c *Control) Request(ctx context.Context, a identity.Actor, i id.ID) (grant.Request, error) {
	var q grant.Request
	err := c.view(ctx, a, "Request", func(r read) (err error) {
		q, err = r.request(i)
		return err
	})
	return q, err
}

// Requests lists requests; members see their organization's only.
func (c *Control) Requests(ctx context.Context, a identity.Actor, f grant.Filter, p Page) (List[grant.Request], error) {
	var out List[grant.Request]
	err := c.view(ctx, a, "Requests", func(r read) error {
		states := []string{"", string(grant.Open), string(grant.Approved), string(grant.Refused), string(grant.Withdrawn), string(grant.Lapsed)}
		if !slices.Contains(states, f.State) {
			return fault.Bad("/state", "must be one of open, approved, refused, withdrawn, lapsed")
		}
		f, err := r.filter(f)
		if err != nil {
			return err
		}
		out, err = collect(p, id.Request, requestID, nil, func(after id.ID, n int) ([]grant.Request, error) {
			return r.tx.Requests(ctx, f, after, n)
		})
		return err
	})
	return out, err
}

// filter narrows a filter to what is the actor's to see.
func (r read) filter(f grant.Filter) (_ grant.Filter, err error) {
	if f.Organization, err = r.organizationOr(f.Organization); err != nil {
		return f, err
	}
	if f.Application != "" {
		_, err = r.application(f.Application)
	}
	return f, err
}

// WithdrawRequest takes an open request back.
func (c *Control) WithdrawRequest(ctx context.Context, a identity.Actor, i id.ID, version int64) (grant.Request, error) {
	var r grant.Request
	err := c.update(ctx, a, "WithdrawRequest", func(w *write) error {
		old, err := w.request(i)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if r, err = old.Withdraw(); err != nil {
			return err
		}
		r, err = w.putRequest("request.withdraw", "", old, r)
		return err
	})
	return r, err
}
