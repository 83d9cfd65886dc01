package portal

import (
	"strconv"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/webhook"
)

// webhooksPage lists the endpoints that are told of what happens.
type webhooksPage struct {
	frame
	Rows    []webhook.Endpoint
	Manages bool
}

func (*webhooksPage) template() string { return "webhooks" }

// managesWebhooks decides which buttons stand on the pages.
func (v *visit) managesWebhooks() bool {
	return v.actor.Class == identity.Member && v.actor.Has(identity.Owner, identity.Developer) || v.actor.Class == identity.Staff && v.actor.Has(identity.Admin, identity.Operator)
}

func listWebhooks(v *visit) error {
	list, err := v.Control.Webhooks(v.r.Context(), v.actor, "", control.Page{})
	if err != nil {
		return err
	}
	p := &webhooksPage{Rows: list.Items, Manages: v.managesWebhooks()}
	p.Title, p.Lead = "Webhooks", "Addresses of yours that are told of what happens to requests, grants and keys: signed, and tried again when they do not answer."
	return v.ok(p)
}

func webhookForm() form {
	f := newForm("/webhooks",
		field{Name: "url", Label: "Address", Kind: urlField, Required: true, Max: 500, Autocomplete: "off", Hint: "Such as https://example.org/hooks/gatehouse"},
		field{Name: "kinds", Label: "Told of", Kind: checkField})
	for _, n := range webhook.Nouns() {
		f.at("kinds").Options = append(f.at("kinds").Options, option{Value: n, Label: sentence(n)})
	}
	f.at("kinds").Hint = "Nothing chosen is everything"
	return f
}

func (v *visit) webhookForm(f form) error {
	p := &formPage{Form: f, Button: "Add the webhook", Back: "/webhooks"}
	p.Title, p.Lead, p.Trail = "Add a webhook", "Its secret is shown once, right after this.", []crumb{{"Webhooks", "/webhooks"}}
	return v.show(statusOfForm(f), p)
}

func askWebhook(v *visit) error { return v.webhookForm(webhookForm()) }

// newWebhookPage shows the secret of a webhook, once.
type newWebhookPage struct {
	frame
	Webhook webhook.Endpoint
	Secret  string
}

func (*newWebhookPage) template() string { return "newwebhook" }

func (v *visit) newWebhook(e webhook.Endpoint, secret string) error {
	p := &newWebhookPage{Webhook: e, Secret: secret}
	p.Title, p.Lead = "The secret of your webhook", "Copy it now: it is shown this once. Check each event's signature with it."
	return v.ok(p)
}

func addWebhook(v *visit) error {
	f := webhookForm()
	if !f.read(v.r.PostForm) {
		return v.webhookForm(f)
	}
	e, s, err := v.Control.AddWebhook(v.r.Context(), v.actor, control.NewWebhook{URL: f.value("url"), Kinds: f.Field("kinds").Values})
	if err != nil {
		if f.refuse(err) {
			return v.webhookForm(f)
		}
		return err
	}
	return v.newWebhook(e, s.Reveal()) // the one place where it is shown
}

// webhookPage is one endpoint, with what could not be delivered to it.
type webhookPage struct {
	frame
	Webhook webhook.Endpoint
	Dead    []webhook.Delivery
	Pager   pager
	Manages bool
}

func (*webhookPage) template() string { return "webhook" }

func showWebhook(v *visit) error {
	i, err := v.object(id.Webhook)
	if err != nil {
		return err
	}
	e, err := v.Control.Webhook(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	dead, err := v.Control.DeadDeliveries(v.r.Context(), v.actor, i, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &webhookPage{Webhook: e, Dead: dead.Items, Pager: v.pager(dead.Next), Manages: v.managesWebhooks()}
	p.Title, p.Trail = "Webhook", []crumb{{"Webhooks", "/webhooks"}}
	return v.ok(p)
}

func changeWebhook(v *visit) error {
	i, err := v.object(id.Webhook)
	if err != nil {
		return err
	}
	version, _ := strconv.ParseInt(v.r.PostForm.Get("version"), 10, 64)
	s := webhook.State(v.r.PostForm.Get("state"))
	if _, err := v.Control.ChangeWebhook(v.r.Context(), v.actor, i, version, s); err != nil {
		return err
	}
	if s == webhook.Ended {
		return v.done("webhook-ended", "/webhooks")
	}
	return v.done("webhook-saved", "/webhooks/"+string(i))
}

func rotateWebhook(v *visit) error {
	i, err := v.object(id.Webhook)
	if err != nil {
		return err
	}
	e, s, err := v.Control.RotateWebhookSecret(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	return v.newWebhook(e, s.Reveal())
}

func resendDelivery(v *visit) error {
	i, err := v.object(id.Webhook)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(v.r.PostForm.Get("delivery"), 10, 64)
	if err != nil {
		return fault.New(fault.NotFound, "there is no such delivery")
	}
	if err := v.Control.ResendDelivery(v.r.Context(), v.actor, i, n); err != nil {
		return err
	}
	return v.done("resent", "/webhooks/"+string(i))
}
