package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/snapshot"
)

// Grant is a grant and how it stands now.
type Grant struct {
	grant.Grant
	Standing string `json:"standing"`
}

func (a *api) grantOf(g grant.Grant) Grant {
	g.Scopes, g.ApprovedBy = list(g.Scopes), list(g.ApprovedBy)
	return Grant{g, g.Standing(a.Now())}
}

// grants adds the rights.
func (a *api) grants() {
	a.narrowing()
	a.usages()
	c := a.Control
	const path = "/api/grants"
	add(a, operation{id: "grants", method: http.MethodGet, path: path, tag: tagGrants,
		summary: "List grants", doc: "Of your organization; for staff all.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Select
		Ending time.Time `query:"ending" doc:"Only active ones whose end is before this" example:"2027-01-31T00:00:00Z"`
	}) (*Page[Grant], error) {
		f := in.filter()
		f.Ending = in.Ending
		l, err := c.Grants(ctx, in.actor(), f, in.page())
		return paged(l, err, a.grantOf)
	})
	add(a, operation{id: "grant", method: http.MethodGet, path: path + "/{id}", tag: tagGrants,
		summary: "Show a grant", doc: "Who, what, where, why, from, until.",
	}, func(ctx context.Context, in *Object) (*Versioned[Grant], error) {
		g, err := c.Grant(ctx, in.actor(), in.object())
		return versioned(a.grantOf(g), g.Version, err)
	})
	type turn = func(context.Context, identity.Actor, id.ID, int64, string) (grant.Grant, error)
	turned := func(o operation, t turn) {
		o.tag = tagGrants
		deed(a, o, func(ctx context.Context, who identity.Actor, i id.ID, version int64, reason string) (Grant, int64, error) {
			g, err := t(ctx, who, i, version, reason)
			return a.grantOf(g), g.Version, err
		})
	}
	turned(operation{id: "suspendGrant", path: path + "/{id}/suspend", summary: "Stop a grant until it is resumed",
		doc: "The next call under it is refused. Its end does not move. For an operator, approver or admin."}, c.SuspendGrant)
	turned(operation{id: "resumeGrant", path: path + "/{id}/resume", summary: "End a suspension",
		doc: "For an operator, approver or admin."}, c.ResumeGrant)
	turned(operation{id: "endGrant", path: path + "/{id}/end", summary: "End a grant for good",
		doc: "For an operator, approver or admin, or an owner or developer of the organization."}, c.EndGrant)
}

// Narrowing is what a grant is made smaller to.
type Narrowing struct {
	Scopes []string  `json:"scopes,omitempty" doc:"The scopes that stay; all of them, when left out" example:"verifications:read"`
	Until  time.Time `json:"until,omitempty" required:"false" doc:"An earlier end; the one it has, when left out" example:"2027-01-31T00:00:00Z"`
	Reason string    `json:"reason" doc:"Why. It stands in the audit, and whoever is affected sees it." example:"the integration only reads"`
}

// narrowing adds how a grant is made smaller.
func (a *api) narrowing() {
	add(a, operation{id: "narrowGrant", method: http.MethodPost, path: "/api/grants/{id}/narrow", tag: tagGrants,
		summary: "Make a grant smaller",
		doc:     "Fewer scopes, or an earlier end: at once, and asking nobody. For whoever may end it.",
	}, func(ctx context.Context, in *struct {
		Change
		Body Narrowing
	}) (*Versioned[Grant], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		g, err := a.Control.NarrowGrant(ctx, in.actor(), in.object(), version, in.Body.Scopes, in.Body.Until, in.Body.Reason)
		return versioned(a.grantOf(g), g.Version, err)
	})
}

// Reach is what an application can call at one instant.
type Reach struct {
	Application application.Application `json:"application"`
	At          time.Time               `json:"at"`
	Seq         map[string]int64        `json:"seq"`
	Operations  []Reachable             `json:"operations" nullable:"false"`
}

// Reachable is one operation that it can call, and by what right.
type Reachable struct {
	Environment string    `json:"environment"`
	API         string    `json:"api"`
	Operation   string    `json:"operation"`
	Method      string    `json:"method"`
	Path        string    `json:"path"`
	Grant       id.ID     `json:"grant,omitempty"`
	Product     string    `json:"product,omitempty"`
	Plan        string    `json:"plan,omitempty"`
	Scopes      []string  `json:"scopes,omitempty" nullable:"false"`
	Until       time.Time `json:"until,omitzero"`
	Windows     []Window  `json:"windows,omitempty" nullable:"false"`
	Credentials []id.ID   `json:"credentials,omitempty" nullable:"false"`
	Closed      string    `json:"closed,omitempty"`
}

// Window is one limit that applies.
type Window struct {
	Name     string  `json:"name"`
	Requests int64   `json:"requests"`
	Seconds  float64 `json:"seconds"`
	Burst    int64   `json:"burst"`
}

func reachOf(r control.Reach) Reach {
	out := Reach{r.Application, r.At, r.Seq, make([]Reachable, 0, len(r.Operations))}
	for _, o := range r.Operations {
		out.Operations = append(out.Operations, reachableOf(o))
	}
	return out
}

func reachableOf(o snapshot.Reachable) Reachable {
	v := Reachable{Environment: o.Environment, API: o.API, Operation: o.Operation, Method: o.Method, Path: o.Path, Grant: o.Grant, Product: o.Product,
		Plan: o.Plan, Scopes: o.Scopes, Until: o.Until, Credentials: o.Credentials, Closed: o.Closed}
	for _, w := range o.Windows {
		burst := w.Burst
		if burst == 0 {
			burst = w.Requests
		}
		v.Windows = append(v.Windows, Window{w.Name, w.Requests, w.Per.Seconds(), burst})
	}
	return v
}
