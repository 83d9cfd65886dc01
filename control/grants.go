package control

import (
	"context"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// Grant returns one of the actor's organization, or for staff any.
func (c *Control) Grant(ctx context.Context, a identity.Actor, i id.ID) (grant.Grant, error) {
	var g grant.Grant
	err := c.view(ctx, a, "Grant", func(r read) (err error) {
		g, err = r.grant(i)
		return err
	})
	return g, err
}

// stateOf is the stored state behind the word that a grant stands by at some time; "" where several can be.
func stateOf(standing string) (string, bool) {
	switch standing {
	case "upcoming", "active":
		return string(grant.Active), true
	case "suspended", "ended":
		return standing, true
	case "expired", "":
		return "", true
	}
	return "", false
}

// Grants lists grants; members see their organization's only. The filter's State is the word that grants stand by now:
// upcoming, active, suspended, expired or ended.
func (c *Control) Grants(ctx context.Context, a identity.Actor, f grant.Filter, p Page) (List[grant.Grant], error) {
	var out List[grant.Grant]
	err := c.view(ctx, a, "Grants", func(r read) error {
		word := f.State
		stored, ok := stateOf(word)
		if !ok {
			return fault.Bad("/state", "must be one of upcoming, active, suspended, expired, ended")
		}
		f, err := r.filter(f)
		if err != nil {
			return err
		}
		f.State = stored
		if !f.Ending.IsZero() {
			f.Ending = f.Ending.UTC().Truncate(time.Microsecond)
		}
		out, err = collect(p, id.Grant, grantID, func(g grant.Grant) bool { return word == "" || g.Standing(r.now) == word },
			func(after id.ID, n int) ([]grant.Grant, error) { return r.tx.Grants(ctx, f, after, n) })
		return err
	})
	return out, err
}

// SuspendGrant stops a grant. Operator, approver, owner of its APIs or admin.
func (c *Control) SuspendGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (grant.Grant, error) {
	return c.turnGrant(ctx, a, "SuspendGrant", "grant.suspend", i, version, reason, func(_ *write, g grant.Grant, reason string, now time.Time) (grant.Grant, error) {
		return g.Suspend(reason, now)
	})
}

// ResumeGrant ends a suspension.
func (c *Control) ResumeGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (grant.Grant, error) {
	return c.turnGrant(ctx, a, "ResumeGrant", "grant.resume", i, version, reason, func(_ *write, g grant.Grant, reason string, now time.Time) (grant.Grant, error) {
		return g.Resume(reason, now)
	})
}

// EndGrant ends a grant for good. Staff as for SuspendGrant, or an owner or developer of the organization.
func (c *Control) EndGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (grant.Grant, error) {
	return c.turnGrant(ctx, a, "EndGrant", "grant.end", i, version, reason, func(_ *write, g grant.Grant, reason string, now time.Time) (grant.Grant, error) {
		return g.End(reason, now)
	})
}

// NarrowGrant makes a grant smaller: fewer scopes, an earlier end. It asks nobody. nil scopes and a zero end stay as they
// are. Whoever may end the grant may narrow it.
func (c *Control) NarrowGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, scopes []string, until time.Time, reason string) (grant.Grant, error) {
	return c.turnGrant(ctx, a, "NarrowGrant", "grant.narrow", i, version, reason, func(_ *write, g grant.Grant, _ string, now time.Time) (grant.Grant, error) {
		return g.Narrow(scopes, until.Truncate(time.Microsecond), now)
	})
}

// turnGrant brings a grant into another state.
func (c *Control) turnGrant(ctx context.Context, a identity.Actor, method, action string, i id.ID, version int64, reason string,
	turn func(*write, grant.Grant, string, time.Time) (grant.Grant, error)) (grant.Grant, error) {
	var g grant.Grant
	if err := allow(a, method); err != nil {
		return g, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return g, err
	}
	err := c.update(ctx, a, method, func(w *write) error {
		old, err := w.grant(i)
		if err != nil {
			return err
		}
		at, err := c.place(w.read, old.Environment, old.Product, old.Organization)
		if err != nil {
			return err
		}
		if err := w.within(method, at); err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if g, err = turn(w, old, reason, w.now); err != nil {
			return err
		}
		if g, err = w.putGrant(action, reason, old, g); err != nil || g.State != grant.Ended {
			return err
		}
		return w.lapseOf(g, reason)
	})
	return g, err
}

// lapseOf ends the open requests about a grant that has ended: nothing can come of them any more.
func (w *write) lapseOf(g grant.Grant, reason string) error {
	open, err := all(requestID, func(after id.ID, n int) ([]grant.Request, error) {
		return w.tx.Requests(w.ctx, grant.Filter{Application: g.Application, State: string(grant.Open)}, after, n)
	})
	if err != nil {
		return err
	}
	for _, old := range open {
		if old.Of != g.ID {
			continue
		}
		r, err := old.Lapse()
		if err != nil {
			return err
		}
		if _, err := w.putRequest("request.lapse", reason, old, r); err != nil {
			return err
		}
	}
	return nil
}

// requestsOf lists the requests that made the grant what it is, or tried to.
func (r read) requestsOf(g grant.Grant) ([]grant.Request, error) {
	rs, err := all(requestID, func(after id.ID, n int) ([]grant.Request, error) {
		return r.tx.Requests(r.ctx, grant.Filter{Application: g.Application, Environment: g.Environment}, after, n)
	})
	return slices.DeleteFunc(rs, func(q grant.Request) bool { return q.Grant != g.ID && q.Of != g.ID }), err
}

// grantsFor returns the named grants, each once, which must be the application's, standing, and in the environment.
func (f *form) grantsFor(standing []grant.Grant, named []id.ID) []grant.Grant {
	var out []grant.Grant
	for n, i := range named {
		at := slices.IndexFunc(standing, func(g grant.Grant) bool { return g.ID == i })
		switch {
		case at < 0:
			f.bad(pointerOf("/grants", n), "the application has no such grant in this environment")
		case slices.Contains(named[:n], i):
			f.bad(pointerOf("/grants", n), "stands twice")
		default:
			out = append(out, standing[at])
		}
	}
	return out
}
