package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/usage"
)

// Usage is how often an application called, or was called by under one grant.
type Usage struct {
	Application id.ID        `json:"application"`
	Grant       id.ID        `json:"grant,omitempty"`
	By          string       `json:"by"`
	From        time.Time    `json:"from"`
	To          time.Time    `json:"to"`
	Counts      []UsageCount `json:"counts" nullable:"false"`
	Cut         bool         `json:"cut"`
	Lost        int64        `json:"lost"`
}

// UsageCount is how many calls ended with one status in one unit of time.
type UsageCount struct {
	At          time.Time `json:"at"`
	Environment string    `json:"environment"`
	Grant       id.ID     `json:"grant,omitempty"`
	API         string    `json:"api"`
	Operation   string    `json:"operation"`
	Status      int       `json:"status"`
	Calls       int64     `json:"calls"`
}

func usageOf(u control.Usage) Usage {
	out := Usage{u.Application, u.Grant, string(u.By), u.From, u.To, make([]UsageCount, 0, len(u.Counts)), u.Cut, u.Lost}
	for _, c := range u.Counts {
		out.Counts = append(out.Counts, UsageCount{c.At, c.Environment, c.Grant, c.API, c.Operation, c.Status, c.Calls})
	}
	return out
}

// usages adds how often applications and grants are used.
func (a *api) usages() {
	const doc = `By time, API, operation and status, no older than a minute; at most 10,000 counts. What was refused after the caller was known
counts too. Minutes, hours and days are those of UTC, and are kept for as long as the platform says.`
	type asked struct {
		Object
		Environment string    `query:"environment" doc:"Only there" example:"live"`
		By          string    `query:"by" doc:"The unit of time; day, when left out" enum:"minute,hour,day" example:"day"`
		From        time.Time `query:"from" doc:"From when; the last hour by minutes, the last day by hours, the last thirty days by days, when left out" example:"2027-01-01T00:00:00Z"`
		To          time.Time `query:"to" doc:"Until when; now, when left out" example:"2027-01-31T00:00:00Z"`
	}
	ask := func(ctx context.Context, in *asked) (*Got[Usage], error) {
		u, err := a.Control.Usage(ctx, in.actor(), in.object(), in.Environment, usage.Unit(in.By), in.From, in.To)
		return got(usageOf(u), err)
	}
	add(a, operation{id: "grantQuotas", method: http.MethodGet, path: "/api/grants/{id}/quotas", tag: tagGrants,
		summary: "How much of a grant's quotas is used",
		doc: `In the day or month that runs, in UTC, at all gateways together; they tell what they have let through each second. None for
a plan without quotas.`,
	}, func(ctx context.Context, in *Object) (*Page[control.Quota], error) {
		l, err := a.Control.GrantQuotas(ctx, in.actor(), in.object())
		return paged(control.List[control.Quota]{Items: l}, err, same)
	})
	add(a, operation{id: "usage", method: http.MethodGet, path: "/api/applications/{id}/usage", tag: tagApplications,
		summary: "How often an application called", doc: doc}, ask)
	add(a, operation{id: "grantUsage", method: http.MethodGet, path: "/api/grants/{id}/usage", tag: tagGrants,
		summary: "How often a grant was used", doc: doc}, ask)
}
