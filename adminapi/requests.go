package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/application"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/organization"
)

// Request is an access request with the duration that was asked for.
type Request struct {
	grant.Request
	Duration string `json:"duration"`
}

func requestOf(r grant.Request) Request {
	r.Scopes, r.Stages, r.Decisions = list(r.Scopes), list(r.Stages), list(r.Decisions)
	return Request{r, manifest.Duration(r.Duration).String()}
}

// NewRequest is what is asked for.
type NewRequest struct {
	Application id.ID    `json:"application,omitempty" doc:"Which application; left out when of names a grant" example:"app_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Environment string   `json:"environment,omitempty" doc:"Where; left out when of names a grant" example:"live"`
	Product     string   `json:"product,omitempty" doc:"What; left out when of names a grant" example:"verification"`
	Plan        string   `json:"plan,omitempty" doc:"On which terms; that of the grant, when of names one and this is left out" example:"standard"`
	Scopes      []string `json:"scopes,omitempty" doc:"Which of the product's scopes; all of them, when left out" example:"verifications:read"`
	Purpose     string   `json:"purpose,omitempty" doc:"What for: approvers decide on it, and it becomes part of the grant. Needed, unless of names a grant whose purpose stays" example:"Verify new customers when they open an account"`
	Duration    string   `json:"duration,omitempty" doc:"For how long, such as 90d or 720h; the longest of the plan, when left out" example:"90d"`
	Of          id.ID    `json:"of,omitempty" doc:"The grant to renew, when no more than it holds is asked for, or else to grow" example:"gr_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Emergency   bool     `json:"emergency,omitempty" doc:"Short and at once, where the plan knows it: two people approve, and everybody concerned is told" example:"false"`
}

// NewDecision is an approver's answer.
type NewDecision struct {
	Approve bool      `json:"approve" doc:"true approves this stage, false refuses the request" example:"true"`
	Scopes  []string  `json:"scopes,omitempty" doc:"Fewer scopes than were asked for; all that are still allowed, when left out" example:"verifications:read"`
	Plan    string    `json:"plan,omitempty" doc:"A plan of the product that allows less; the one asked for, when left out" example:"standard"`
	Until   time.Time `json:"until,omitempty" required:"false" doc:"An earlier end; the latest that is allowed, when left out" example:"2027-01-31T00:00:00Z"`
	Reason  string    `json:"reason,omitempty" doc:"A word to the partner; needed to refuse" example:"the evidence scope needs a data protection review first"`
}

// Facts is what an approver decides on.
type Facts struct {
	Request      Request                   `json:"request"`
	Organization organization.Organization `json:"organization"`
	Application  application.Application   `json:"application"`
	Requester    identity.Person           `json:"requester"`
	Owner        identity.Person           `json:"owner"`
	Product      Product                   `json:"product"`
	Plan         Plan                      `json:"plan"`
	Operations   []Operation               `json:"operations" nullable:"false"`
	Standing     []Grant                   `json:"standing" nullable:"false"`
	History      []Request                 `json:"history" nullable:"false"`
	LatestEnd    time.Time                 `json:"latest_end"`
	MayDecide    bool                      `json:"may_decide"`
	WhyNot       string                    `json:"why_not,omitempty"`
}

func (a *api) factsOf(f control.Facts) Facts {
	out := Facts{Request: requestOf(f.Request), Organization: f.Organization, Application: f.Application, Requester: f.Requester, Owner: f.Owner,
		Product: productOf(f.Product), Plan: planOf(f.Plan), Operations: []Operation{}, Standing: []Grant{}, History: []Request{},
		LatestEnd: f.LatestEnd, MayDecide: f.MayDecide == nil}
	for _, o := range f.Operations {
		out.Operations = append(out.Operations, operationOf(o))
	}
	for _, g := range f.Standing {
		out.Standing = append(out.Standing, a.grantOf(g))
	}
	for _, r := range f.History {
		out.History = append(out.History, requestOf(r))
	}
	if f.MayDecide != nil {
		out.WhyNot = fault.As(f.MayDecide).Public
	}
	return out
}

// Select is what lists of requests and grants select by.
type Select struct {
	Organization string `query:"organization" doc:"Only of this organization" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Application  string `query:"application" doc:"Only of this application" example:"app_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Environment  string `query:"environment" doc:"Only in this environment" example:"live"`
	State        string `query:"state" doc:"Only in this state. Requests: open, approved, refused, withdrawn, lapsed. Grants, as they stand now: upcoming, active, suspended, expired, ended." example:"open"`
}

func (s Select) filter() grant.Filter {
	return grant.Filter{Organization: id.ID(s.Organization), Application: id.ID(s.Application), Environment: s.Environment, State: s.State}
}

// requests adds how access is asked for and decided.
func (a *api) requests() {
	c := a.Control
	const path = "/api/requests"
	add(a, operation{id: "requestAccess", method: http.MethodPost, path: path, tag: tagRequests, status: http.StatusCreated,
		summary: "Ask for access",
		doc: `For an owner or developer. The organization must be verified. A plan that approves by itself answers with an approved request
and its grant. With of it is about a grant that stands: to renew it, or to grow it; the grant keeps its identifier, and
credentials that are bound to it go on. Shrinking asks nobody: see narrowGrant.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewRequest
	}) (*Made[Request], error) {
		n := in.Body
		d, err := span("/duration", n.Duration)
		if err != nil {
			return nil, err
		}
		r, err := c.RequestAccess(ctx, in.actor(), control.AccessRequest{Application: n.Application, Environment: n.Environment, Product: n.Product,
			Plan: n.Plan, Scopes: n.Scopes, Purpose: n.Purpose, Duration: d, Once: in.Key,
			Of: n.Of, Emergency: n.Emergency})
		return made(path, r.ID, requestOf(r), r.Version, err)
	})
	add(a, operation{id: "requests", method: http.MethodGet, path: path, tag: tagRequests,
		summary: "List access requests", doc: "Of your organization; for staff all. Those that wait for a decision have the state open.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Select
	}) (*Page[Request], error) {
		l, err := c.Requests(ctx, in.actor(), in.filter(), in.page())
		return paged(l, err, requestOf)
	})
	add(a, operation{id: "request", method: http.MethodGet, path: path + "/{id}", tag: tagRequests,
		summary: "Show an access request", doc: "With the decisions so far.",
	}, func(ctx context.Context, in *Object) (*Versioned[Request], error) {
		r, err := c.Request(ctx, in.actor(), in.object())
		return versioned(requestOf(r), r.Version, err)
	})
	add(a, operation{id: "facts", method: http.MethodGet, path: path + "/{id}/facts", tag: tagRequests,
		summary: "Gather what there is to know for a decision",
		doc:     "Who asks and for whom, what the scopes would open, what the application holds already, and whether you may decide. For staff.",
	}, func(ctx context.Context, in *Object) (*Versioned[Facts], error) {
		f, err := c.Facts(ctx, in.actor(), in.object())
		if err != nil {
			return nil, err
		}
		return versioned(a.factsOf(f), f.Request.Version, nil)
	})
	add(a, operation{id: "decide", method: http.MethodPost, path: path + "/{id}/decisions", tag: tagRequests,
		summary: "Approve or refuse",
		doc: `Answers the stage that waits; approve less if that is enough. Nobody decides on their own request, or twice on one. When the
last stage is through, the grant stands in the same transaction. Send If-Match, so that you decide on what you have seen.`,
	}, func(ctx context.Context, in *struct {
		Change
		Body NewDecision
	}) (*Versioned[Request], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		d := in.Body
		r, err := c.Decide(ctx, in.actor(), in.object(), version, control.Answer{Approve: d.Approve, Scopes: d.Scopes, Plan: d.Plan, Until: d.Until, Reason: d.Reason})
		return versioned(requestOf(r), r.Version, err)
	})
	add(a, operation{id: "withdrawRequest", method: http.MethodPost, path: path + "/{id}/withdraw", tag: tagRequests,
		summary: "Take an open request back", doc: "For an owner or developer. Takes no body.",
	}, func(ctx context.Context, in *Change) (*Versioned[Request], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		r, err := c.WithdrawRequest(ctx, in.actor(), in.object(), version)
		return versioned(requestOf(r), r.Version, err)
	})
}
