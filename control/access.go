package control

import (
	"context"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/manifest"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/snapshot"
)

// NewApplication is what an application is made from.
type NewApplication struct {
	Organization id.ID // for staff; a member's own otherwise
	Name         string
	Purpose      string
	Owner        id.ID  // default: the actor
	Once         string // of the form, so that sending it twice makes one
}

// CreateApplication makes an application. Owner or developer of the organization. A repeated Once returns the one that
// was made.
func (c *Control) CreateApplication(ctx context.Context, a identity.Actor, n NewApplication) (application.Application, error) {
	panic("control: to be written")
}

// UpdateApplication changes name, purpose and owner; empty ones stay.
func (c *Control) UpdateApplication(ctx context.Context, a identity.Actor, i id.ID, version int64, n NewApplication) (application.Application, error) {
	panic("control: to be written")
}

// CloseApplication ends the application, its open requests, its grants and its credentials, in one transaction.
func (c *Control) CloseApplication(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (application.Application, error) {
	panic("control: to be written")
}

// Application returns one of the actor's organization, or for staff any.
func (c *Control) Application(ctx context.Context, a identity.Actor, i id.ID) (application.Application, error) {
	panic("control: to be written")
}

// Applications lists those of an organization; for staff, "" lists all.
func (c *Control) Applications(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[application.Application], error) {
	panic("control: to be written")
}

// CatalogueProduct is a product as the newest revision of an environment offers it.
type CatalogueProduct struct {
	manifest.Product
	Environments []string // where it is offered now
	APIs         []CatalogueAPI
}

// CatalogueAPI is an API of a product with those of its operations that the product offers.
type CatalogueAPI struct {
	Name, Title, Version, Description string
	Path                              string // where gateways expose it
	Operations                        []CatalogueOperation
}

// CatalogueOperation is one operation as partners see it.
type CatalogueOperation struct {
	manifest.DocOperation
	FullPath  string   // Path of the API and of the operation
	Needs     []string // scopes
	Anonymous bool     // open to anybody
}

// Catalogue lists the products that are offered anywhere, by name. For anybody.
func (c *Control) Catalogue(ctx context.Context, a identity.Actor) ([]CatalogueProduct, error) {
	panic("control: to be written")
}

// Product returns one of the catalogue.
func (c *Control) Product(ctx context.Context, a identity.Actor, name string) (CatalogueProduct, error) {
	panic("control: to be written")
}

// Document returns the OpenAPI document of an API as it was published, with the server addresses of the gateways. For anybody.
func (c *Control) Document(ctx context.Context, a identity.Actor, api string) ([]byte, error) {
	panic("control: to be written")
}

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
}

// RequestAccess asks for access. The organization must be verified. A plan that approves automatically answers with an
// approved request and its grant. An open request for the same application, product and environment is fault.Conflict.
func (c *Control) RequestAccess(ctx context.Context, a identity.Actor, r AccessRequest) (grant.Request, error) {
	panic("control: to be written")
}

// Request returns one of the actor's organization, or for staff any.
func (c *Control) Request(ctx context.Context, a identity.Actor, i id.ID) (grant.Request, error) {
	panic("control: to be written")
}

// Requests lists requests; members see their organization's only.
func (c *Control) Requests(ctx context.Context, a identity.Actor, f grant.Filter, p Page) (List[grant.Request], error) {
	panic("control: to be written")
}

// WithdrawRequest takes an open request back.
func (c *Control) WithdrawRequest(ctx context.Context, a identity.Actor, i id.ID, version int64) (grant.Request, error) {
	panic("control: to be written")
}

// Facts is what an approver decides on.
type Facts struct {
	Request      grant.Request
	Organization organization.Organization
	Application  application.Application
	Requester    identity.Person
	Owner        identity.Person
	Product      manifest.Product
	Plan         manifest.Plan
	Operations   []CatalogueOperation // that the requested scopes would open
	Standing     []grant.Grant        // what the application holds in that environment already
	History      []grant.Request      // earlier requests of the organization, newest first, at most 10
	LatestEnd    time.Time            // the latest end that may be approved now
	MayDecide    error                // nil, or why this actor may not
}

// Facts gathers what there is to know about a request. Staff.
func (c *Control) Facts(ctx context.Context, a identity.Actor, request id.ID) (Facts, error) {
	panic("control: to be written")
}

// Answer is an approver's decision.
type Answer struct {
	Approve bool
	Scopes  []string  // fewer than asked, or nil for what is still allowed
	Until   time.Time // earlier than asked, or zero for the latest allowed
	Reason  string    // needed to refuse; the partner sees it
}

// Decide answers one stage of a request. When the last stage is through, the grant stands in the same transaction. Nobody
// decides on their own request or twice on one; of two who decide at the same moment one is told fault.Stale. An
// application has at most one active grant per product and environment, and no operation is covered twice unless its
// credentials are bound to named grants: else fault.Conflict.
func (c *Control) Decide(ctx context.Context, a identity.Actor, i id.ID, version int64, d Answer) (grant.Request, error) {
	panic("control: to be written")
}

// Grant returns one of the actor's organization, or for staff any.
func (c *Control) Grant(ctx context.Context, a identity.Actor, i id.ID) (grant.Grant, error) {
	panic("control: to be written")
}

// Grants lists grants; members see their organization's only.
func (c *Control) Grants(ctx context.Context, a identity.Actor, f grant.Filter, p Page) (List[grant.Grant], error) {
	panic("control: to be written")
}

// SuspendGrant stops a grant. Operator, approver or admin.
func (c *Control) SuspendGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (grant.Grant, error) {
	panic("control: to be written")
}

// ResumeGrant ends a suspension.
func (c *Control) ResumeGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (grant.Grant, error) {
	panic("control: to be written")
}

// EndGrant ends a grant for good. Staff as for SuspendGrant, or an owner or developer of the organization.
func (c *Control) EndGrant(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (grant.Grant, error) {
	panic("control: to be written")
}

// NewKey is what an API key is made from.
type NewKey struct {
	Application id.ID
	Environment string
	Name        string
	Lifetime    time.Duration // at most what the plans of the application's grants there allow; 0: that
	Grants      []id.ID       // to bind it to; none: all of the application's in the environment
	Once        string
}

// IssueKey makes an API key. The key is returned once and never again: a repeated Once is fault.Conflict with the code
// "already-issued". The application needs a grant in that environment.
func (c *Control) IssueKey(ctx context.Context, a identity.Actor, n NewKey) (credential.Credential, secret.Value, error) {
	panic("control: to be written")
}

// Credential returns one of the actor's organization, or for staff any.
func (c *Control) Credential(ctx context.Context, a identity.Actor, i id.ID) (credential.Credential, error) {
	panic("control: to be written")
}

// Credentials lists those of an application; application "" lists the organization's, and for staff org "" all.
func (c *Control) Credentials(ctx context.Context, a identity.Actor, org, app id.ID, p Page) (List[credential.Credential], error) {
	panic("control: to be written")
}

// RevokeCredential ends a credential at once. Owner or developer of the organization, operator or admin.
func (c *Control) RevokeCredential(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (credential.Credential, error) {
	panic("control: to be written")
}

// Reach is what an application can reach right now, computed from the view that the gateways enforce. environment "" means
// every one. At is the instant it was computed for; Seq is what each view had in force.
type Reach struct {
	Application application.Application `json:"application"`
	At          time.Time               `json:"at"`
	Seq         map[string]int64        `json:"seq"` // by environment
	Operations  []snapshot.Reachable    `json:"operations"`
}

// Reach answers "what can this application reach right now".
func (c *Control) Reach(ctx context.Context, a identity.Actor, app id.ID, environment string) (Reach, error) {
	panic("control: to be written")
}
