package adminapi

import (
	"context"
	"net/http"

	"gatehouse/control"
	"gatehouse/credential"
)

// NewWorkload is what a workload identity is made from.
type NewWorkload struct {
	NewKey
	Issuer   string             `json:"issuer" doc:"By the name that the manifest gives it" example:"ci"`
	Subject  string             `json:"subject" doc:"Who the workload is there: the client id of an application of Entra ID, system:serviceaccount:NAMESPACE:NAME of Kubernetes, else mostly the sub" example:"repo:example/service:ref:refs/heads/main"`
	Audience string             `json:"audience,omitempty" doc:"One of the issuer's; its only one, when left out" example:"https://api.platform.example"`
	Claims   []credential.Claim `json:"claims,omitempty" doc:"What its tokens must say beside, 10 at most"`
}

// TrustedIssuer is an issuer elsewhere by whose tokens workloads prove themselves.
type TrustedIssuer struct {
	Name      string   `json:"name" doc:"By which it is named" example:"ci"`
	Title     string   `json:"title" doc:"For people" example:"GitHub Actions"`
	Kind      string   `json:"kind" doc:"How its tokens say who calls" enum:"oidc,entra,kubernetes" example:"oidc"`
	Issuer    string   `json:"issuer" doc:"The iss of its tokens" example:"https://token.actions.githubusercontent.com"`
	Audiences []string `json:"audiences" doc:"What its tokens must be for" nullable:"false" example:"https://api.platform.example"`
}

// TrustedIssuers is those of an environment.
type TrustedIssuers struct {
	Items []TrustedIssuer `json:"items" doc:"In the order of the manifest" nullable:"false"`
}

// workloads adds workload identities.
func (a *api) workloads() {
	c := a.Control
	add(a, operation{id: "bindWorkload", method: http.MethodPost, path: "/api/workload-identities", tag: tagCredentials, status: http.StatusCreated,
		summary: "Bind a workload elsewhere to an application",
		doc: `Whoever shows a token of the issuer for the audience and of the subject is the application: there is no secret. A workload is
one application's alone. The rules of grants and lifetimes are those of an API key. For an owner or developer.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewWorkload
	}) (*Made[Credential], error) {
		n := in.Body
		lifetime, err := span("/lifetime", n.Lifetime)
		if err != nil {
			return nil, err
		}
		v, err := c.BindWorkload(ctx, in.actor(), control.NewWorkload{NewKey: control.NewKey{Application: n.Application, Environment: n.Environment, Name: n.Name,
			Lifetime: lifetime, Grants: n.Grants, Sources: n.Sources, Pending: n.Pending, Once: in.Key}, Issuer: n.Issuer, Subject: n.Subject, Audience: n.Audience, Claims: n.Claims})
		return made("/api/credentials", v.ID, a.credentialOf(v), v.Version, err)
	})
	add(a, operation{id: "trustedIssuers", method: http.MethodGet, path: "/api/environments/{environment}/trusted-issuers", tag: tagGateways,
		summary: "List the issuers elsewhere that an environment trusts", doc: "Those of its manifest, by whose tokens workloads prove themselves.",
	}, func(ctx context.Context, in *struct {
		Caller
		Environment string `path:"environment" doc:"Where" example:"live"`
	}) (*Got[TrustedIssuers], error) {
		list, err := c.TrustedIssuers(ctx, in.actor(), in.Environment)
		out := TrustedIssuers{Items: []TrustedIssuer{}}
		for _, t := range list {
			out.Items = append(out.Items, TrustedIssuer{t.Name, t.Title, t.Kind, t.Issuer, t.Audiences})
		}
		return got(out, err)
	})
}
