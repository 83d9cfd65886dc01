package control

import (
	"context"
	"strconv"
	"time"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/store"
)

const (
	letterPoll  = 5 * time.Second // besides being woken: what a failed letter waits for at most
	letterLease = 2 * time.Minute // longer than one batch can take
	letterBatch = 4               // letters of a claim, so that their deadlines together stay within the lease
	letterLimit = 25 * time.Second
	letterTries = 10 // over about a day; then it is given up and shown to staff
)

// retryAfter is the wait after so many tries: one minute, doubling up to four hours.
func retryAfter(tries int) time.Duration {
	return min(time.Minute<<min(max(tries-1, 0), 10), 4*time.Hour)
}

// sendLetters sends what waits in the outbox until ctx ends.
func (c *Control) sendLetters(ctx context.Context) {
	t := time.NewTicker(letterPoll)
	defer t.Stop()
	for ctx.Err() == nil {
		n, err := c.sendSome(ctx)
		if err != nil && ctx.Err() == nil {
			c.Log.Error("outbox", "error", err)
		}
		if n == letterBatch && err == nil {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
		case <-c.posted:
		case <-t.C:
		}
	}
}

// sendSome claims a few letters and tries each once.
func (c *Control) sendSome(ctx context.Context) (int, error) {
	var claimed []store.Posted
	err := c.Store.Update(ctx, func(tx store.Tx) (err error) {
		claimed, err = tx.ClaimLetters(ctx, c.now(), letterLease, letterBatch)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, l := range claimed {
		if err := c.sendOne(ctx, l); err != nil {
			return len(claimed), err
		}
	}
	return len(claimed), nil
}

func (c *Control) sendOne(ctx context.Context, l store.Posted) error {
	deadline, cancel := context.WithTimeout(ctx, letterLimit)
	letter, failure := c.sealer.open(l.Letter)
	if failure == nil {
		failure = c.Mail.Send(deadline, letter)
	}
	cancel()
	if ctx.Err() != nil {
		return ctx.Err() // the lease runs out and it is tried again
	}
	over := failure != nil && (l.Tries >= letterTries || fault.KindOf(failure) == fault.Invalid)
	if over {
		c.Log.Error("letter given up", "letter", l.ID, "tries", l.Tries, "error", failure)
	}
	return c.update(ctx, identity.Actor{Class: identity.System}, "sendLetters", func(w *write) error {
		switch {
		case failure == nil:
			return w.tx.LetterSent(ctx, l.ID)
		case !over:
			return w.tx.LetterFailed(ctx, l.ID, failure.Error(), w.after(retryAfter(l.Tries)))
		}
		if err := w.tx.LetterFailed(ctx, l.ID, failure.Error(), time.Time{}); err != nil {
			return err
		}
		return w.audit(change{action: "letter.give-up", reason: "letter " + strconv.FormatInt(l.ID, 10) + " after " + strconv.Itoa(l.Tries) + " tries",
			personal: audit.Commit("email", l.To)}, nil, nil)
	})
}

// GivenUpLetters lists letters that could not be delivered, oldest first, without their texts. Staff.
func (c *Control) GivenUpLetters(ctx context.Context, a identity.Actor, p Page) (List[store.Posted], error) {
	out := List[store.Posted]{Items: []store.Posted{}}
	err := c.view(ctx, a, "GivenUpLetters", func(r read) error {
		after, err := number(p.After)
		if err != nil {
			return err
		}
		ls, err := r.tx.GivenUp(ctx, after, p.limit()+1)
		if err != nil {
			return err
		}
		if len(ls) > p.limit() {
			ls = ls[:p.limit()]
			out.Next = strconv.FormatInt(ls[len(ls)-1].ID, 10)
		}
		for _, l := range ls {
			l.Text = "" // it may hold a link that only its reader may use
			out.Items = append(out.Items, l)
		}
		return nil
	})
	return out, err
}
