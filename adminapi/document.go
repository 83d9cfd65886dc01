package adminapi

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/audit"
	"gatehouse/feed"
	"gatehouse/identity"
	"gatehouse/inventory"
	"gatehouse/review"
)

// The chapters of the document.
const (
	tagSignIn        = "Signing in"
	tagTokens        = "Machine tokens"
	tagStaff         = "Staff"
	tagWebhooks      = "Webhooks"
	tagOrganizations = "Organizations"
	tagApplications  = "Applications"
	tagCatalogue     = "Catalogue"
	tagRequests      = "Access requests"
	tagGrants        = "Grants"
	tagCredentials   = "Credentials"
	tagReviews       = "Reviews"
	tagGateways      = "Environments and gateways"
	tagAudit         = "Audit"
	tagDrift         = "Drift"
)

const introduction = `Everything that the portal does can be done here: both call the same rules.

**Who asks.** Send a token with each request: ` + "`Authorization: Bearer …`" + `. A *session* token (ghs_…) comes from signing in, a
*machine token* (ghm_…) is made by a person with some of their own roles and acts for them. Cookies are never read.

**Objects.** What belongs to another organization is not there: 404, word for word as for what never was. Each object's answer
has an ETag; send it as If-Match with a change, and a change that somebody else made meanwhile is not overwritten (412).

**Lists** answer with items and next: ask again with after set to next; the last page has no next.

**Problems** have the form of RFC 9457. Their type is stable, and is also the address of a page at the portal that explains
it. The request_id finds the request in the logs and, if it changed something, in the audit.

**Times** are RFC 3339 in UTC, time spans are written like 30d, 12h or 1m30s.`

// config is how huma is set up: one media type, no pages that fetch scripts from elsewhere, unknown parameters refused.
func (a *api) config() huma.Config {
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	format := huma.DefaultJSONFormat
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Gatehouse admin API", Version: first(a.Version, "dev"), Description: introduction,
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
			Servers: []*huma.Server{{URL: a.Control.URL}},
			Tags: []*huma.Tag{
				{Name: tagSignIn, Description: "How people register, prove who they are, and get a session."},
				{Name: tagTokens, Description: "What programs sign in with, and how the command line gets its own."},
				{Name: tagStaff, Description: "The people of the platform."},
				{Name: tagWebhooks, Description: "Endpoints that are told of what happens, by Standard Webhooks."},
				{Name: tagOrganizations, Description: "Partners: legal parties with members and an end of trust."},
				{Name: tagApplications, Description: "The non-human identities of partners, each with an owner who answers for it."},
				{Name: tagCatalogue, Description: "What is offered: products, their plans, the operations in them. Open to anybody."},
				{Name: tagRequests, Description: "An application asks for a product on a plan, for a purpose; approvers answer."},
				{Name: tagGrants, Description: "The rights that result. A grant is the unit of truth: who, what, where, why, from, until."},
				{Name: tagReviews, Description: "Campaigns that ask whether grants are still needed. Silence ends them."},
				{Name: tagCredentials, Description: "What applications prove themselves with. Keys are shown once and stored as hashes."},
				{Name: tagGateways, Description: "Where APIs are exposed, which revision is served there, and where a change is in force."},
				{Name: tagAudit, Description: "Who changed what, when, why, from what to what: a log that proves itself."},
				{Name: tagDrift, Description: "What the gateways of watched environments enforce, compared: the newest review, and what is accepted for a while."},
			},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer",
					Description: "A session token (ghs_…) or a machine token (ghm_…)."}},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{a.ours},
	}
}

// schemaName names a type in the document; packages have types of the same name.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[audit.Problem]():
		return "AuditProblem"
	case reflect.TypeFor[audit.Report]():
		return "AuditReport"
	case reflect.TypeFor[audit.Entry]():
		return "AuditEntry"
	case reflect.TypeFor[identity.Invitation](): // without how it stands now
		return "SentInvitation"
	case reflect.TypeFor[review.Item]():
		return "ReviewItem"
	case reflect.TypeFor[review.Facts]():
		return "ReviewFacts"
	case reflect.TypeFor[review.Selection]():
		return "ReviewSelection"
	case reflect.TypeFor[inventory.Finding]():
		return "CredentialFinding"
	case reflect.TypeFor[inventory.Entry]():
		return "InventoryEntry"
	case reflect.TypeFor[feed.Position]():
		return "FeedPosition"
	case reflect.TypeFor[feed.Receipt]():
		return "GatewayReceipt"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// describe gives every property the words of words.go. It reports what has none, and words for what is not there: the
// document cannot fall behind.
func describe(schemas map[string]*huma.Schema) error {
	for _, own := range []string{"ErrorModel", "ErrorDetail"} { // huma's: its errors leave in our form
		delete(schemas, own)
	}
	words, said := words(), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		for property, s := range schemas[name].Properties {
			if s.Description != "" { // beside its type
				continue
			}
			key := name + "." + property
			w, ok := words[key]
			if !ok {
				key = "." + property
				w, ok = words[key]
			}
			if !ok {
				return fmt.Errorf("the document has no words for %s.%s", name, property)
			}
			said[key] = true
			s.Description, s.Enum = w.text, w.enum
			if w.example != nil {
				s.Examples = []any{w.example}
			}
		}
	}
	for key := range words {
		if !said[key] {
			return fmt.Errorf("the document has words for %s, which is not in it", key)
		}
	}
	return nil
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
