package adminapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/control"
	"gatehouse/grant"
	"gatehouse/manifest"
)

// Product is a product as it is offered now.
type Product struct {
	Name         string            `json:"name"`
	Title        string            `json:"title"`
	Description  string            `json:"description,omitempty"`
	Owner        string            `json:"owner,omitempty"`
	Environments []string          `json:"environments" nullable:"false"`
	Addresses    map[string]string `json:"addresses,omitempty"`
	Scopes       map[string]string `json:"scopes"`
	Plans        []Plan            `json:"plans" nullable:"false"`
	APIs         []API             `json:"apis" nullable:"false"`
}

// Plan is the terms under which a product is offered.
type Plan struct {
	Name              string        `json:"name"`
	Title             string        `json:"title"`
	Description       string        `json:"description,omitempty"`
	Limits            []Limit       `json:"limits" nullable:"false"`
	Quotas            []string      `json:"quotas" nullable:"false"`
	Automatic         bool          `json:"automatic"`
	Stages            []grant.Stage `json:"stages" nullable:"false"`
	Longest           string        `json:"longest"`
	Credentials       []string      `json:"credentials" nullable:"false"`
	CredentialLongest string        `json:"credential_longest"`
	Environments      []string      `json:"environments" nullable:"false"`
}

// Limit is how much may be called.
type Limit struct {
	Name     string `json:"name"`
	Requests int64  `json:"requests"`
	Per      string `json:"per"`
	Burst    int64  `json:"burst"`
}

// API is an API with those of its operations that the product offers.
type API struct {
	Name        string      `json:"name"`
	Title       string      `json:"title"`
	Version     string      `json:"version,omitempty"`
	Description string      `json:"description,omitempty"`
	Path        string      `json:"path"`
	Operations  []Operation `json:"operations" nullable:"false"`
}

// Operation is one operation as partners see it.
type Operation struct {
	ID         string   `json:"id"`
	Method     string   `json:"method"`
	Path       string   `json:"path"`
	Summary    string   `json:"summary,omitempty"`
	Scopes     []string `json:"scopes" nullable:"false"`
	Anonymous  bool     `json:"anonymous"`
	Deprecated bool     `json:"deprecated"`
}

func planOf(l manifest.Plan) Plan {
	out := Plan{Name: l.Name, Title: l.Title, Description: l.Description, Limits: []Limit{}, Quotas: list(l.Quotas), Automatic: l.Approval.Automatic, Stages: []grant.Stage{},
		Longest: l.Longest.String(), Credentials: list(l.Credentials), CredentialLongest: l.CredentialLongest.String(), Environments: list(l.Environments)}
	for _, w := range l.Limits {
		out.Limits = append(out.Limits, Limit{w.Name, w.Requests, w.Per.String(), w.Burst})
	}
	for _, s := range l.Approval.Stages {
		out.Stages = append(out.Stages, grant.Stage{Name: s.Name, Role: s.Role, Count: s.Count})
	}
	return out
}

func productOf(p manifest.Product) Product {
	out := Product{Name: p.Name, Title: p.Title, Description: p.Description, Owner: p.Owner, Environments: list(p.Environments),
		Scopes: p.Scopes, Plans: []Plan{}, APIs: []API{}}
	if out.Scopes == nil {
		out.Scopes = map[string]string{}
	}
	for _, l := range p.Plans {
		out.Plans = append(out.Plans, planOf(l))
	}
	return out
}

func operationOf(o control.CatalogueOperation) Operation {
	return Operation{o.ID, o.Method, o.FullPath, o.Summary, list(o.Needs), o.Anonymous, o.Deprecated}
}

func catalogueProductOf(p control.CatalogueProduct) Product {
	out := productOf(p.Product)
	out.Environments, out.Addresses = list(p.Environments), p.Addresses
	for _, api := range p.APIs {
		v := API{Name: api.Name, Title: api.Title, Version: api.Version, Description: api.Description, Path: api.Path, Operations: []Operation{}}
		for _, op := range api.Operations {
			v.Operations = append(v.Operations, operationOf(op))
		}
		out.APIs = append(out.APIs, v)
	}
	return out
}

// list is s, but never null in JSON.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// RawDocument answers with bytes that are JSON already.
type RawDocument struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Body        []byte
}

// catalogue adds what anybody may read.
func (a *api) catalogue() {
	c := a.Control
	anyone := []trait{open}
	type named struct {
		Caller
		Name string `path:"name" doc:"The name in the manifest" example:"verification"`
	}
	add(a, operation{id: "catalogue", method: http.MethodGet, path: "/api/products", tag: tagCatalogue, traits: anyone,
		summary: "List products", doc: "What is offered now in any environment, by name. Without their operations: ask for one product.",
	}, func(ctx context.Context, in *Caller) (*Page[Product], error) {
		products, err := c.Catalogue(ctx, in.actor())
		return paged(control.List[control.CatalogueProduct]{Items: products}, err, func(p control.CatalogueProduct) Product {
			p.APIs = nil
			return catalogueProductOf(p)
		})
	})
	add(a, operation{id: "product", method: http.MethodGet, path: "/api/products/{name}", tag: tagCatalogue, traits: anyone,
		summary: "Show a product", doc: "Its plans, its scopes, and every operation in it.",
	}, func(ctx context.Context, in *named) (*Got[Product], error) {
		p, err := c.Product(ctx, in.actor(), in.Name)
		return got(catalogueProductOf(p), err)
	})
	doc := operation{id: "document", method: http.MethodGet, path: "/api/apis/{name}/openapi", tag: tagCatalogue, traits: anyone,
		summary: "Read the OpenAPI document of an API",
		doc:     "As it was published, but its servers are the gateways, and operations that no gateway exposes are left out."}
	add(a, doc, func(ctx context.Context, in *named) (*RawDocument, error) {
		b, err := c.Document(ctx, in.actor(), in.Name)
		return &RawDocument{"application/openapi+json", b}, err
	})
	ok := a.huma.OpenAPI().Paths[doc.path].Get.Responses["200"]
	ok.Content = map[string]*huma.MediaType{"application/openapi+json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}}
}
