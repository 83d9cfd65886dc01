package control

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/secret"
	"gatehouse/webhook"
)

const (
	webhooksMost  = 10             // endpoints of one organization
	secretOverlap = 24 * time.Hour // how long the old secret of a webhook signs too
	longestURL    = 500
)

// NewWebhook is what an endpoint is made from.
type NewWebhook struct {
	Organization id.ID // a member's own; for the platform the one named, or "" for its own
	URL          string
	Kinds        []string // of webhook.Nouns; none: everything
}

func (c *Control) cleanWebhook(n NewWebhook) (NewWebhook, error) {
	var f form
	if u, err := url.Parse(n.URL); err != nil || len(n.URL) > longestURL || u.Host == "" {
		f.bad("/url", "must be a whole URL, such as https://example.org/hook, of at most %d characters", longestURL)
	} else if err := c.Fetch.Check(n.URL); err != nil {
		f.bad("/url", "%s", fault.As(err).Public)
	}
	for i, k := range n.Kinds {
		if !slices.Contains(webhook.Nouns(), k) {
			f.bad(pointerOf("/kinds", i), "%q is not one of %s", clip(k), strings.Join(webhook.Nouns(), ", "))
		}
	}
	n.Kinds = slices.Clone(n.Kinds)
	slices.Sort(n.Kinds)
	if n.Kinds = slices.Compact(n.Kinds); n.Kinds == nil {
		n.Kinds = []string{}
	}
	return n, f.err()
}

// AddWebhook makes an endpoint and returns its secret, which is told once. Owner or developer of the organization; operator
// or admin for the platform's own.
func (c *Control) AddWebhook(ctx context.Context, a identity.Actor, n NewWebhook) (webhook.Endpoint, secret.Value, error) {
	var e webhook.Endpoint
	s := webhook.NewSecret()
	if err := allow(a, "AddWebhook"); err != nil {
		return e, s, err
	}
	n, err := c.cleanWebhook(n)
	if err != nil {
		return e, s, err
	}
	err = c.update(ctx, a, "AddWebhook", func(w *write) error {
		org, err := w.organizationOr(n.Organization)
		if err != nil {
			return err
		}
		have, err := w.tx.EndpointsOf(ctx, org, "", webhooksMost)
		if err != nil {
			return err
		}
		if len(have) >= webhooksMost {
			return fault.Of(fault.Conflict, "too-many-webhooks", "there are %d webhooks: end one first", len(have))
		}
		e = webhook.Endpoint{ID: w.fresh(id.Webhook), Organization: org, URL: n.URL, Kinds: n.Kinds, State: webhook.Active, Created: w.now, By: a.Person}
		e.Secret = c.sealSecret(e.ID, s)
		e, err = w.putEndpoint("webhook.add", "", webhook.Endpoint{}, e)
		return err
	})
	return e, s, err
}

// Webhooks lists the endpoints of an organization; for the platform, of the one named or its own.
func (c *Control) Webhooks(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[webhook.Endpoint], error) {
	var out List[webhook.Endpoint]
	err := c.view(ctx, a, "Webhooks", func(r read) error {
		org, err := r.organizationOr(org)
		if err != nil {
			return err
		}
		out, err = collect(p, id.Webhook, func(e webhook.Endpoint) id.ID { return e.ID }, nil, func(after id.ID, n int) ([]webhook.Endpoint, error) {
			return r.tx.EndpointsOf(ctx, org, after, n)
		})
		return err
	})
	return out, err
}

func (r read) endpoint(i id.ID) (webhook.Endpoint, error) {
	e, err := look(r, "webhook", id.Webhook, i, func(e webhook.Endpoint) id.ID { return e.Organization }, r.tx.Endpoint)
	if err == nil && e.State == webhook.Ended {
		return webhook.Endpoint{}, missing("webhook")
	}
	return e, err
}

// Webhook returns one of the actor's organization, or for staff any.
func (c *Control) Webhook(ctx context.Context, a identity.Actor, i id.ID) (webhook.Endpoint, error) {
	var e webhook.Endpoint
	err := c.view(ctx, a, "Webhook", func(r read) (err error) {
		e, err = r.endpoint(i)
		return err
	})
	return e, err
}

// ChangeWebhook pauses an endpoint, lets it go on, or ends it for good.
func (c *Control) ChangeWebhook(ctx context.Context, a identity.Actor, i id.ID, version int64, s webhook.State) (webhook.Endpoint, error) {
	var e webhook.Endpoint
	if err := allow(a, "ChangeWebhook"); err != nil {
		return e, err
	}
	if s != webhook.Active && s != webhook.Paused && s != webhook.Ended {
		return e, fault.Bad("/state", "must be active, paused or ended")
	}
	err := c.update(ctx, a, "ChangeWebhook", func(w *write) error {
		old, err := w.endpoint(i)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		e = old
		e.State, e.Reason = s, ""
		e, err = w.putEndpoint("webhook.change", string(s), old, e)
		return err
	})
	return e, err
}

// RotateWebhookSecret makes a fresh secret, told once. The old one signs too for a day, so that no delivery is refused.
func (c *Control) RotateWebhookSecret(ctx context.Context, a identity.Actor, i id.ID) (webhook.Endpoint, secret.Value, error) {
	var e webhook.Endpoint
	s := webhook.NewSecret()
	err := c.update(ctx, a, "RotateWebhookSecret", func(w *write) error {
		old, err := w.endpoint(i)
		if err != nil {
			return err
		}
		e = old
		e.Old, e.OldUntil, e.Secret = old.Secret, w.after(secretOverlap), c.sealSecret(e.ID, s)
		e, err = w.putEndpoint("webhook.rotate", "", old, e)
		return err
	})
	return e, s, err
}

// DeadDeliveries lists what could not be delivered to an endpoint, oldest first.
func (c *Control) DeadDeliveries(ctx context.Context, a identity.Actor, i id.ID, p Page) (List[webhook.Delivery], error) {
	out := List[webhook.Delivery]{Items: []webhook.Delivery{}}
	err := c.view(ctx, a, "DeadDeliveries", func(r read) error {
		if _, err := r.endpoint(i); err != nil {
			return err
		}
		after, err := number(p.After)
		if err != nil {
			return err
		}
		ds, err := r.tx.GivenUpDeliveries(ctx, i, after, p.limit()+1)
		if err != nil {
			return err
		}
		if len(ds) > p.limit() {
			ds = ds[:p.limit()]
			out.Next = strconv.FormatInt(ds[len(ds)-1].ID, 10)
		}
		out.Items = append(out.Items, ds...)
		return nil
	})
	return out, err
}

// ResendDelivery sends again what was given up, with the same webhook-id.
func (c *Control) ResendDelivery(ctx context.Context, a identity.Actor, endpoint id.ID, delivery int64) error {
	return c.update(ctx, a, "ResendDelivery", func(w *write) error {
		e, err := w.endpoint(endpoint)
		if err != nil {
			return err
		}
		d, err := w.tx.Delivery(ctx, delivery)
		if err != nil || d.Endpoint != e.ID {
			return missing("delivery that was given up")
		}
		if e.State != webhook.Active {
			return fault.New(fault.Conflict, "the webhook is %s: let it go on first", e.State)
		}
		if err := w.tx.DeliverAgain(ctx, d.ID, w.now); err != nil {
			return err
		}
		w.changes++
		w.told++
		return w.audit(change{action: "webhook.resend", object: e.ID, organization: e.Organization, reason: d.Type + " " + d.Message}, nil, nil)
	})
}

// putEndpoint stores an endpoint. Its JSON leaves the secrets out.
func (w *write) putEndpoint(action, reason string, old, e webhook.Endpoint) (webhook.Endpoint, error) {
	e.Version = old.Version
	e, err := w.tx.PutEndpoint(w.ctx, e)
	if err != nil {
		return e, err
	}
	w.changes++
	return e, w.audit(change{action: action, object: e.ID, organization: e.Organization, reason: reason}, before(old.Version, old), state(e))
}

// endEndpoints ends what an organization is told by: what has happened until now is still delivered, and nothing after it.
func (w *write) endEndpoints(org id.ID) error {
	all, err := w.tx.EndpointsOf(w.ctx, org, "", webhooksMost)
	if err != nil {
		return err
	}
	for _, old := range all {
		if old.State == webhook.Ended {
			continue
		}
		e := old
		e.State, e.Reason = webhook.Ended, webhook.Offboarded
		if _, err := w.putEndpoint("webhook.end", e.Reason, old, e); err != nil {
			return err
		}
	}
	return nil
}

// Secrets of endpoints wait in the store sealed, to the endpoint that they belong to.

func (c *Control) sealSecret(i id.ID, s secret.Value) string {
	return c.hooks.close(s.Reveal(), []byte(i))
}

// openSecret also opens what was sealed before webhooks had a key of their own: to the letters' one.
func (c *Control) openSecret(i id.ID, sealed string) (secret.Value, error) {
	text, err := c.hooks.unseal(sealed, []byte(i))
	if err == nil {
		return secret.New(text), nil
	}
	l, old := c.sealer.open(mail.Letter{To: string(i), Subject: "webhook", Text: sealed})
	if old != nil {
		return secret.Value{}, err
	}
	return secret.New(l.Text), nil
}

// tell puts an event on its way to whoever is told of it: the endpoints of its organization, and the platform's.
func (w *write) tell(ch change, after json.RawMessage) error {
	noun, _, _ := strings.Cut(ch.action, ".")
	if !slices.Contains(webhook.Nouns(), noun) {
		return nil
	}
	to, err := w.tx.EndpointsOf(w.ctx, "", "", webhooksMost)
	if err != nil {
		return err
	}
	if ch.organization != "" {
		theirs, err := w.tx.EndpointsOf(w.ctx, ch.organization, "", webhooksMost)
		if err != nil {
			return err
		}
		to = append(to, theirs...)
	}
	message := ""
	for _, e := range to {
		if !e.Wants(ch.action) {
			continue
		}
		if message == "" {
			message = "msg_" + secret.Random("").Reveal()
		}
		body := state(webhook.Event{Type: ch.action, Timestamp: w.now, Data: webhook.Data{Object: ch.object, Organization: ch.organization,
			Application: ch.application, Environment: ch.environment, Reason: ch.reason, State: after}})
		w.told++
		if err := w.tx.AddDelivery(w.ctx, webhook.Delivery{Message: message, Endpoint: e.ID, Organization: e.Organization, Type: ch.action, Body: body, At: w.now}); err != nil {
			return err
		}
	}
	return nil
}
