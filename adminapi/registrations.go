package adminapi

import (
	"context"
	"net/http"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/id"
)

// InitialToken is an initial access token with how it stands now.
type InitialToken struct {
	credential.InitialToken
	Standing string `json:"standing"`
}

// FreshInitialToken is one with its secret, told once.
type FreshInitialToken struct {
	Token    string       `json:"token"`
	Initial  InitialToken `json:"initial_token"`
	Endpoint string       `json:"registration_endpoint"`
}

// registrations adds the tokens by which programs register OAuth clients.
func (a *api) registrations() {
	c := a.Control
	view := func(t credential.InitialToken) InitialToken { return InitialToken{t, t.Standing(a.Now())} }
	type newInitialToken struct {
		Application id.ID  `json:"application" doc:"Whose clients are registered" example:"app_01jz0000000000000000000000"`
		Environment string `json:"environment" doc:"Where" example:"live"`
		Name        string `json:"name" doc:"To know it again" example:"deploy pipeline"`
		Uses        int    `json:"uses,omitempty" doc:"How many clients it registers at most, up to 100; left out, one" example:"1"`
		Lifetime    string `json:"lifetime,omitempty" doc:"How long it may be used, 30 days at most; left out, a day" example:"1d"`
	}
	add(a, operation{id: "makeInitialToken", method: http.MethodPost, path: "/api/initial-tokens", tag: tagCredentials, status: http.StatusCreated,
		summary: "Make an initial access token",
		doc: `By which a program registers OAuth clients of the application by itself (RFC 7591), at the registration endpoint of the
environment. It gives no access: what is registered opens what is granted to the application. The token is in this answer and in none after it. For an
owner or developer, with a session.`,
	}, func(ctx context.Context, in *With[newInitialToken]) (*Made[FreshInitialToken], error) {
		n := in.Body
		lives, err := span("/lifetime", n.Lifetime)
		if err != nil {
			return nil, err
		}
		t, value, err := c.MakeInitialToken(ctx, in.actor(), control.NewInitialToken{Application: n.Application, Environment: n.Environment, Name: n.Name, Uses: n.Uses, Lives: lives})
		return made("/api/initial-tokens", t.ID, FreshInitialToken{value.Reveal(), view(t), c.URL + "/oauth/" + n.Environment + "/register"}, t.Version, err)
	})
	add(a, operation{id: "initialTokens", method: http.MethodGet, path: "/api/initial-tokens", tag: tagCredentials,
		summary: "List initial access tokens", doc: "Your organization's; for staff those of the organization that is named, or all. No secret is in it.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Organization string `query:"organization" doc:"Only of this organization"`
	}) (*Page[InitialToken], error) {
		l, err := c.InitialTokens(ctx, in.actor(), id.ID(in.Organization), in.page())
		return paged(l, err, view)
	})
	add(a, operation{id: "endInitialToken", method: http.MethodPost, path: "/api/initial-tokens/{id}/end", tag: tagCredentials,
		summary: "End an initial access token", doc: "At once. Clients that were registered with it stay.",
	}, func(ctx context.Context, in *Object) (*Versioned[InitialToken], error) {
		t, err := c.EndInitialToken(ctx, in.actor(), in.object())
		return versioned(view(t), t.Version, err)
	})
}
