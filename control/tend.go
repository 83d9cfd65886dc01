package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/application"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
)

const (
	tendPoll   = 5 * time.Second        // how late a reminder, an escalation or a lapse may be
	tendEnding = 200 * time.Millisecond // between two looks at an organization that was ended a moment ago
	tendLease  = time.Minute            // longer than one batch can take
	tendBatch  = 50
)

// tend does what happens by itself, until ctx ends. What cannot be done is tried again after its lease.
func (c *Control) tend(ctx context.Context) {
	t := time.NewTicker(tendPoll)
	defer t.Stop()
	for {
		if err := c.tendAll(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("what happens by itself", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-c.ended:
			c.tendEnd(ctx)
		}
	}
}

// tendEnd looks often for a while: gateways answer within moments of an organization's end, and whoever ended it waits for the proof.
func (c *Control) tendEnd(ctx context.Context) {
	t := time.NewTicker(tendEnding)
	defer t.Stop()
	for until := time.Now().Add(tendPoll); time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := c.tendOffboardings(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("the end of an organization", "error", err)
			return // it is looked at again at the usual pace
		}
	}
}

// tendAll does everything that is due now.
func (c *Control) tendAll(ctx context.Context) error {
	return errors.Join(c.tendRequests(ctx), c.tendReviews(ctx), c.tendOffboardings(ctx))
}

func (c *Control) tendRequests(ctx context.Context) error {
	for {
		var due []grant.Request
		err := c.Store.Update(ctx, func(tx store.Tx) (err error) {
			due, err = tx.ClaimRequests(ctx, c.now(), tendLease, tendBatch)
			return err
		})
		if err != nil {
			return err
		}
		var failed error
		for _, r := range due {
			if err := c.tendRequest(ctx, r.ID); err != nil {
				failed = errors.Join(failed, err)
			}
		}
		if failed != nil || len(due) < tendBatch {
			return failed
		}
	}
}

// tendRequest reminds, escalates or lapses. It reads the request anew: a decision may have come first.
func (c *Control) tendRequest(ctx context.Context, i id.ID) error {
	return c.update(ctx, identity.Actor{Class: identity.System}, "tend", func(w *write) error {
		old, err := w.request(i)
		if err != nil {
			return err
		}
		r, what := old.Tick(w.now)
		if what == grant.Nothing {
			return nil
		}
		app, err := w.application(r.Application)
		if err != nil {
			return err
		}
		o, err := w.organization(r.Organization)
		if err != nil {
			return err
		}
		if r, err = w.putRequest("request."+string(what), "", old, r); err != nil {
			return err
		}
		q, asks := old.Waiting()
		switch {
		case what == grant.LapseTime:
			return c.tellAsker(w, r, app, "Your access request has lapsed", func(name string) []string {
				why := "Nobody decided on it in time. Ask again if you still need it:"
				if asks {
					why = "The question “" + q.Text + "” was not answered in time. Ask again if you still need it:"
				}
				return []string{"Your request for " + name + " has lapsed.", why}
			})
		case asks:
			return c.tellAsker(w, r, app, "A question still waits for your answer", func(name string) []string {
				return []string{"The question about your request for " + name + " still waits:", q.Text, "Without an answer the request lapses on " + when(r.Deadline()) + ". Answer here:"}
			})
		}
		return c.tellDeciders(w, r, app, o)
	})
}

// tellAsker writes to whoever asked and to the application's owner; the last line is where the request is.
func (c *Control) tellAsker(w *write, r grant.Request, app application.Application, subject string, text func(name string) []string) error {
	name := r.Product + " in " + r.Environment + " for the application " + app.Name
	return w.tellPeople([]id.ID{r.By, app.Owner}, subject, lines(append(text(name), c.URL+"/requests/"+string(r.ID))...))
}

// tellPeople writes the same letter to each of the people who are active, once.
func (w *write) tellPeople(to []id.ID, subject, text string) error {
	told := map[id.ID]bool{"": true}
	for _, i := range to {
		if told[i] {
			continue
		}
		told[i] = true
		p, err := w.tx.Person(w.ctx, i)
		if errors.Is(err, fault.NotFound) || err == nil && p.State != identity.Active {
			continue
		}
		if err != nil {
			return err
		}
		if err := w.letter(p.Email, subject, text); err != nil {
			return err
		}
	}
	return nil
}
