package grant

import (
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Granted is the grant that an approved request becomes.
func (r Request) Granted(i id.ID, now time.Time) (Grant, error) {
	if r.State != Approved || len(r.Decisions) == 0 || r.Grant != "" || r.Of != "" {
		return Grant{}, fault.New(fault.Conflict, "request %s is not one that becomes a grant", r.ID)
	}
	g := Grant{ID: i, Request: r.ID, Organization: r.Organization, Application: r.Application, Environment: r.Environment,
		Product: r.Product, Purpose: r.Purpose, From: now, State: Active, Emergency: r.Sort == Emergency}
	return r.onto(g), nil
}

// Amended is the grant that an approved renewal or growth makes of the one it is about. It keeps its identifier, so that
// credentials that are bound to it go on.
func (r Request) Amended(g Grant, now time.Time) (Grant, error) {
	if r.State != Approved || len(r.Decisions) == 0 || r.Grant != "" || r.Of != g.ID {
		return g, fault.New(fault.Conflict, "request %s is not one that changes grant %s", r.ID, g.ID)
	}
	if g.State == Ended || !now.Before(g.Until) {
		return g, fault.Of(fault.Conflict, "grant-over", "grant %s is %s: it cannot be renewed or grown any more, ask for a new one", g.ID, g.Standing(now))
	}
	before := g
	g.Request, g.Purpose = r.ID, r.Purpose
	return r.onto(g).holdsSince(before, now), nil
}

// onto puts what was approved onto a grant.
func (r Request) onto(g Grant) Grant {
	last := r.Decisions[len(r.Decisions)-1]
	g.Plan, g.Scopes, g.Until, g.ApprovedBy = r.AllowedPlan(), slices.Clone(last.Scopes), last.Until, nil
	for _, d := range r.Decisions {
		if d.Approve && d.By != ByPlan {
			g.ApprovedBy = append(g.ApprovedBy, d.By)
		}
	}
	return g
}

// Narrow makes a grant smaller: fewer scopes, an earlier end. It asks nobody. nil scopes and a zero end stay as they are.
func (g Grant) Narrow(scopes []string, until, now time.Time) (Grant, error) {
	if g.State == Ended || !now.Before(g.Until) {
		return g, fault.New(fault.Conflict, "grant %s is already %s", g.ID, g.Standing(now))
	}
	fresh := g
	if scopes != nil {
		if len(scopes) == 0 && len(g.Scopes) > 0 {
			return g, fault.Bad("/scopes", "keep at least one scope, or end the grant")
		}
		if !g.Covers(scopes) {
			return g, fault.Bad("/scopes", "the grant does not hold all of these: growing it is a new request")
		}
		fresh.Scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
		fresh = fresh.holdsSince(g, now)
	}
	if !until.IsZero() {
		switch {
		case until.After(g.Until):
			return g, fault.Bad("/until", "is after the end of the grant: renewing it is a new request")
		case !until.After(now):
			return g, fault.Bad("/until", "must be in the future; to end the grant now, end it")
		}
		fresh.Until = until
	}
	if len(fresh.Scopes) == len(g.Scopes) && fresh.Until.Equal(g.Until) {
		return g, fault.Bad("/scopes", "nothing would change")
	}
	return fresh, nil
}
