package control

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/fetch"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/webhook"
)

// Fetcher reaches addresses that others have named. *fetch.Client is one.
type Fetcher interface {
	// Check says what is wrong with a URL before anything is sent.
	Check(url string) error
	// Direct fetches the URL, and follows it nowhere else.
	Direct(ctx context.Context, url, accept string) (fetch.Answer, error)
	// Post sends the body. Whatever status comes back is an answer.
	Post(ctx context.Context, url string, header http.Header, body []byte) (fetch.Answer, error)
}

const (
	deliveryPoll  = 5 * time.Second
	deliveryLease = 2 * time.Minute // longer than one try takes
	deliveryBatch = 8               // tried at the same time, so that one slow receiver holds up few others
)

// deliver sends what waits for webhooks until ctx ends.
func (c *Control) deliver(ctx context.Context) {
	t := time.NewTicker(deliveryPoll)
	defer t.Stop()
	for ctx.Err() == nil {
		n, err := c.deliverSome(ctx)
		if err != nil && ctx.Err() == nil {
			c.Log.Error("webhooks", "error", err)
		}
		if n == deliveryBatch && err == nil {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
		case <-c.told:
		case <-t.C:
		}
	}
}

// deliverSome claims a few deliveries and tries each once.
func (c *Control) deliverSome(ctx context.Context) (int, error) {
	var claimed []webhook.Delivery
	endpoints := make([]webhook.Endpoint, deliveryBatch)
	err := c.update(ctx, identity.Actor{Class: identity.System}, "deliver", func(w *write) (err error) {
		if claimed, err = w.tx.ClaimDeliveries(ctx, c.now(), deliveryLease, deliveryBatch); err != nil {
			return err
		}
		for i, d := range claimed {
			if endpoints[i], err = w.tx.Endpoint(ctx, d.Endpoint); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(claimed) == 0 {
		return 0, err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(claimed))
	for i, d := range claimed {
		wg.Go(func() { errs[i] = c.deliverOne(ctx, endpoints[i], d) })
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			return len(claimed), e
		}
	}
	return len(claimed), nil
}

func (c *Control) deliverOne(ctx context.Context, e webhook.Endpoint, d webhook.Delivery) error {
	problem, gone := c.post(ctx, e, d)
	if ctx.Err() != nil {
		return ctx.Err() // the lease runs out and it is tried again
	}
	return c.update(ctx, identity.Actor{Class: identity.System}, "deliver", func(w *write) error {
		if problem == "" {
			return w.tx.DeliveryDone(ctx, d.ID)
		}
		again, more := webhook.Again(d.Tries, w.now)
		if more && !gone && e.Takes() {
			return w.tx.DeliveryFailed(ctx, d.ID, problem, again)
		}
		if err := w.tx.DeliveryFailed(ctx, d.ID, problem, time.Time{}); err != nil {
			return err
		}
		if gone { // the receiver says that it wants nothing more
			now, err := w.tx.Endpoint(ctx, e.ID)
			if err != nil || now.State != webhook.Active {
				return err
			}
			old := now
			now.State, now.Reason = webhook.Paused, "the receiver answered 410 Gone"
			_, err = w.putEndpoint("webhook.pause", now.Reason, old, now)
			return err
		}
		return w.audit(change{action: "webhook.give-up", object: e.ID, organization: e.Organization,
			reason: fmt.Sprintf("%s %s after %d tries: %s", d.Type, d.Message, d.Tries, problem)}, nil, nil)
	})
}

// post sends one delivery and says what went wrong; "" is nothing. gone: the receiver wants no more.
func (c *Control) post(ctx context.Context, e webhook.Endpoint, d webhook.Delivery) (problem string, gone bool) {
	if !e.Takes() {
		return "the webhook is " + string(e.State), false
	}
	now := c.now()
	s, err := c.openSecret(e.ID, e.Secret)
	if err != nil {
		return err.Error(), false
	}
	secrets := []secret.Value{s}
	if now.Before(e.OldUntil) {
		old, err := c.openSecret(e.ID, e.Old)
		if err != nil {
			return err.Error(), false
		}
		secrets = append(secrets, old)
	}
	signature, err := webhook.Sign(d.Message, now, d.Body, secrets...)
	if err != nil {
		return err.Error(), false
	}
	h := http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {d.Message},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {signature}}
	answer, err := c.Fetch.Post(ctx, e.URL, h, d.Body)
	switch {
	case err != nil:
		return fault.As(err).Public, false
	case answer.Status >= 200 && answer.Status < 300:
		return "", false
	}
	return fmt.Sprintf("the receiver answered %d", answer.Status), answer.Status == http.StatusGone
}
