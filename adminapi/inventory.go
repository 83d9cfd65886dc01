package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/inventory"
)

// Inventory is one page of it.
type Inventory struct {
	At    time.Time         `json:"at"`
	Items []inventory.Entry `json:"items" nullable:"false"`
	Next  string            `json:"next,omitempty"`
	Risks []inventory.Risk  `json:"risks" nullable:"false"`
}

// stock adds the inventory of machine credentials.
func (a *api) stock() {
	const path = "/api/inventory"
	add(a, operation{id: "inventory", method: http.MethodGet, path: path, tag: tagCredentials,
		summary: "The inventory of machine credentials, with what is wrong with them",
		doc: `Every API key, OAuth client, client certificate and workload identity that has not ended: who answers for it, what for, how it was used, what it
can reach right now, and findings by the OWASP Non-Human Identities Top 10 (2025), each with what ends it. Of each of the ten risks it says how
much of it the records can show. A page can be shorter than asked for: it is the last one only when there is no next.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Organization string             `query:"organization" doc:"Only of this organization" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Application  string             `query:"application" doc:"Only of this application" example:"app_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Environment  string             `query:"environment" doc:"Only there" example:"live"`
		Kind         credential.Kind    `query:"kind" doc:"Only of this kind: api_key, oauth_client, client_certificate or workload_identity" example:"api_key"`
		Risk         string             `query:"risk" doc:"Only those with a finding of this risk" example:"NHI7"`
		Severity     inventory.Severity `query:"severity" doc:"Only those with a finding that is at least so severe: low, medium, high or critical" example:"high"`
		Ended        bool               `query:"ended" doc:"Expired ones too"`
	}) (*Got[Inventory], error) {
		l, err := a.Control.Inventory(ctx, in.actor(), control.InventoryFilter{Organization: id.ID(in.Organization), Application: id.ID(in.Application),
			Environment: in.Environment, Kind: in.Kind, Risk: in.Risk, Severity: in.Severity, Ended: in.Ended}, in.page())
		return got(Inventory(l), err)
	})
	add(a, operation{id: "inventoryEntry", method: http.MethodGet, path: path + "/{id}", tag: tagCredentials,
		summary: "One credential as the inventory has it", doc: "By the identifier of the credential; one that has ended, too.",
	}, func(ctx context.Context, in *Object) (*Got[inventory.Entry], error) {
		e, err := a.Control.InventoryEntry(ctx, in.actor(), in.object())
		return got(e, err)
	})
}
