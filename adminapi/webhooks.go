package adminapi

import (
	"context"
	"net/http"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/webhook"
)

// FreshWebhook is an endpoint with its secret, told once.
type FreshWebhook struct {
	Secret  string           `json:"secret"`
	Webhook webhook.Endpoint `json:"webhook"`
}

// webhooks adds the endpoints that are told of what happens.
func (a *api) webhooks() {
	c := a.Control
	type newWebhook struct {
		Organization id.ID    `json:"organization,omitempty" doc:"For the platform: which partner's. Left out, it is your own organization's, or the platform's, which is told everything." example:"org_01jz0000000000000000000000"`
		URL          string   `json:"url" doc:"Where events are posted: https, and a public address unless the operator allowed it" example:"https://fjord-bank.example/hooks/gatehouse"`
		Kinds        []string `json:"kinds,omitempty" nullable:"false" doc:"What it is told of: application, credential, grant, invitation, offboarding, organization, request, review; left out, everything" example:"grant"`
	}
	add(a, operation{id: "addWebhook", method: http.MethodPost, path: "/api/webhooks", tag: tagWebhooks, status: http.StatusCreated,
		summary: "Add a webhook",
		doc: `Events are posted by Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature. The secret is in this answer and in
none after it. An event's type is the action in the audit, such as grant.suspend or credential.ending.`,
	}, func(ctx context.Context, in *With[newWebhook]) (*Made[FreshWebhook], error) {
		e, s, err := c.AddWebhook(ctx, in.actor(), control.NewWebhook{Organization: in.Body.Organization, URL: in.Body.URL, Kinds: in.Body.Kinds})
		return made("/api/webhooks", e.ID, FreshWebhook{s.Reveal(), e}, e.Version, err)
	})
	add(a, operation{id: "webhooks", method: http.MethodGet, path: "/api/webhooks", tag: tagWebhooks,
		summary: "List webhooks", doc: "Your organization's; for staff those of the organization that is named, or the platform's.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Organization string `query:"organization" doc:"Only of this organization"`
	}) (*Page[webhook.Endpoint], error) {
		l, err := c.Webhooks(ctx, in.actor(), id.ID(in.Organization), in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "webhook", method: http.MethodGet, path: "/api/webhooks/{id}", tag: tagWebhooks,
		summary: "Show a webhook", doc: "Without its secret.",
	}, func(ctx context.Context, in *Object) (*Versioned[webhook.Endpoint], error) {
		e, err := c.Webhook(ctx, in.actor(), in.object())
		return versioned(e, e.Version, err)
	})
	type change struct {
		State webhook.State `json:"state" doc:"active, paused, or ended for good" example:"paused"`
	}
	add(a, operation{id: "changeWebhook", method: http.MethodPatch, path: "/api/webhooks/{id}", tag: tagWebhooks,
		summary: "Pause a webhook, let it go on, or end it", doc: "What waits for a webhook that is not active is given up.",
	}, func(ctx context.Context, in *struct {
		Change
		Body change
	}) (*Versioned[webhook.Endpoint], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		e, err := c.ChangeWebhook(ctx, in.actor(), in.object(), version, in.Body.State)
		return versioned(e, e.Version, err)
	})
	add(a, operation{id: "rotateWebhookSecret", method: http.MethodPost, path: "/api/webhooks/{id}/secret", tag: tagWebhooks,
		summary: "Make a fresh secret", doc: "It is in this answer alone. The old one signs too for 24 hours, so that no delivery is refused.",
	}, func(ctx context.Context, in *Object) (*Versioned[FreshWebhook], error) {
		e, s, err := c.RotateWebhookSecret(ctx, in.actor(), in.object())
		return versioned(FreshWebhook{s.Reveal(), e}, e.Version, err)
	})
	add(a, operation{id: "deadDeliveries", method: http.MethodGet, path: "/api/webhooks/{id}/dead", tag: tagWebhooks,
		summary: "List what could not be delivered", doc: "Oldest first, with what came of the last of ten tries over about three days.",
	}, func(ctx context.Context, in *struct {
		Object
		Paging
	}) (*Page[webhook.Delivery], error) {
		l, err := c.DeadDeliveries(ctx, in.actor(), in.object(), in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "resendDelivery", method: http.MethodPost, path: "/api/webhooks/{id}/dead/{delivery}/resend", tag: tagWebhooks,
		summary: "Send again what was given up", doc: "With the same webhook-id, so that a receiver knows it again.",
	}, func(ctx context.Context, in *struct {
		Object
		Delivery int64 `path:"delivery" doc:"Its number" example:"17"`
	}) (*None, error) {
		return &None{}, c.ResendDelivery(ctx, in.actor(), in.object(), in.Delivery)
	})
}
