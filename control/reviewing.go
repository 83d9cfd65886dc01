package control

import (
	"context"
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/review"
	"gatehouse/store"
)

// ReviewAnswer is what a reviewer says about a grant.
type ReviewAnswer struct {
	Answer review.Answer
	Scopes []string  // to narrow: those that stay; nil: all
	Until  time.Time // to narrow: an earlier end; zero: no change
	Reason string    // needed to narrow and to end
}

// AnswerReview confirms, narrows or ends a grant that a campaign asks about, in the same transaction. Those who were asked may, or
// somebody in their place. Nobody confirms a grant that they asked for themselves. Of two who answer at the same moment one is told
// fault.Stale.
func (c *Control) AnswerReview(ctx context.Context, a identity.Actor, i id.ID, version int64, n ReviewAnswer) (review.Item, error) {
	const method = "AnswerReview"
	var out review.Item
	if err := allow(a, method); err != nil {
		return out, err
	}
	var f form
	switch n.Answer {
	case review.Confirm:
		n.Reason = f.optionalText("/reason", n.Reason, longestReason)
		if n.Scopes != nil || !n.Until.IsZero() {
			f.bad("/answer", "to confirm changes nothing: narrow it instead")
		}
	case review.Narrow, review.End:
		n.Reason = f.text("/reason", n.Reason, longestReason)
		if n.Answer == review.End && (n.Scopes != nil || !n.Until.IsZero()) {
			f.bad("/answer", "to end a grant keeps nothing of it: narrow it instead")
		}
	default:
		f.bad("/answer", "must be one of confirm, narrow, end")
	}
	if err := f.err(); err != nil {
		return out, err
	}
	if err := c.warm(ctx); err != nil {
		return out, err
	}
	err := c.update(ctx, a, method, func(w *write) error {
		old, err := w.reviewItem(i)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		v, err := w.tx.Review(ctx, old.Review)
		if err != nil {
			return err
		}
		g, err := w.grant(old.Grant)
		if err != nil {
			return err
		}
		by, facts, err := c.reviewer(w.read, old, g)
		if err != nil {
			return err
		}
		place, err := old.MayAnswer(by, n.Answer)
		if err != nil {
			return err
		}
		if moot, ok := old.Settle(grantNow(g, w.now), w.now); ok {
			return fault.Of(fault.Conflict, "review-settled", "there is nothing to answer any more: the grant is %s", moot.State)
		}
		if out, err = c.answered(w, v, old, g, place, n); err != nil {
			return err
		}
		out.Facts = facts
		out, err = w.putReviewItem("review."+string(n.Answer), n.Reason, old, out)
		return err
	})
	return out, err
}

// grantNow is what an item asks of the grant.
func grantNow(g grant.Grant, now time.Time) review.Grant {
	return review.Grant{Over: g.State == grant.Ended || !now.Before(g.Until), Request: g.Request, ByPeople: len(g.ApprovedBy) > 0}
}

// answered does to the grant what was answered.
func (c *Control) answered(w *write, v review.Review, old review.Item, g grant.Grant, place id.ID, n ReviewAnswer) (review.Item, error) {
	reason := "review " + string(v.ID)
	if n.Reason != "" {
		reason += ": " + n.Reason
	}
	action, fresh := "grant.confirm", g
	out, err := old, error(nil)
	switch n.Answer {
	case review.Narrow:
		action = "grant.narrow"
		if fresh, err = g.Narrow(n.Scopes, n.Until.Truncate(time.Microsecond), w.now); err != nil {
			return old, err
		}
		out, err = old.Narrow(v, w.a.Person, place, n.Reason, fresh.Scopes, fresh.Until, w.now)
	case review.End:
		action = "grant.end"
		if fresh, err = g.End(reason, w.now); err != nil {
			return old, err
		}
		out, err = old.End(v, w.a.Person, place, n.Reason, w.now)
	default:
		out, err = old.Confirm(v, w.a.Person, place, n.Reason, w.now)
	}
	if err != nil {
		return old, err
	}
	if n.Answer != review.End {
		fresh.Reviewed, fresh.ReviewedBy = w.now, w.a.Person
	}
	if fresh, err = w.putGrant(action, reason, g, fresh); err != nil || fresh.State != grant.Ended {
		return out, err
	}
	return out, w.lapseOf(fresh, reason)
}

// reviewer is the actor as one who may answer, and the facts of the grant as of now.
func (c *Control) reviewer(r read, i review.Item, g grant.Grant) (review.Reviewer, review.Facts, error) {
	by := review.Reviewer{Person: r.a.Person}
	of := c.gather(r)
	facts, err := of.facts(g)
	if err != nil {
		return by, facts, err
	}
	app, err := of.applicationOf(i.Application)
	if err != nil {
		return by, facts, err
	}
	at, err := of.placeOf(g)
	if err != nil {
		return by, facts, err
	}
	by.Owner, by.Maker, by.Requester = app.Owner, app.CreatedBy, facts.RequestedBy
	if ofPartner(r.a) {
		return by, facts, nil
	}
	if err := r.within("AnswerReview", at); err != nil {
		return by, facts, err
	}
	want := identity.APIOwner
	if i.Asked == review.Owners {
		want = identity.Admin
	}
	by.Any = covers(r.a.At(at).Roles, want)
	d, err := r.decider(at)
	for _, absent := range d.For {
		by.For = append(by.For, absent.Person)
	}
	return by, facts, err
}

// mayAnswer says whether the actor can end the grant that the item asks about, which is the least that a reviewer can.
func (c *Control) mayAnswer(r read, i review.Item) error { return c.may(r, i, review.End) }

func (c *Control) may(r read, i review.Item, a review.Answer) error {
	if i.State != review.Waiting || !r.now.Before(i.Ends) {
		return fault.Of(fault.Conflict, "review-answered", "it takes no answer any more")
	}
	g, err := r.grant(i.Grant)
	if err != nil {
		return err
	}
	by, _, err := c.reviewer(r, i, g)
	if err != nil {
		return err
	}
	_, err = i.MayAnswer(by, a)
	return err
}

// ReviewChoices is what the actor can answer, and why not what they cannot: nil errors are choices.
type ReviewChoices struct {
	Confirm, Narrow, End error
	Facts                review.Facts // as of now
}

// ReviewChoices tells which answers to an item the actor can give.
func (c *Control) ReviewChoices(ctx context.Context, a identity.Actor, i id.ID) (ReviewChoices, error) {
	var out ReviewChoices
	err := c.view(ctx, a, "ReviewChoices", func(r read) error {
		item, err := r.reviewItem(i)
		if err != nil {
			return err
		}
		g, err := r.grant(item.Grant)
		if err != nil {
			return err
		}
		out.Facts, err = c.gather(r).facts(g)
		out.Confirm, out.Narrow, out.End = c.may(r, item, review.Confirm), c.may(r, item, review.Narrow), c.may(r, item, review.End)
		return err
	})
	return out, err
}

// tendReviews reminds those who have not answered, and closes campaigns whose time is over. Of several control planes that do it
// at once, one does: the others are told fault.Stale.
func (c *Control) tendReviews(ctx context.Context) error {
	var open []review.Review
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		open, err = all(func(v review.Review) id.ID { return v.ID }, func(after id.ID, n int) ([]review.Review, error) {
			return tx.Reviews(ctx, review.Open, after, n)
		})
		return err
	})
	for _, v := range open {
		var e error
		if v.Over(c.now()) {
			e = c.closeReview(ctx, v.ID)
		} else if _, due := v.Remind(c.now()); due {
			e = c.remindReview(ctx, v.ID)
		}
		if !errors.Is(e, fault.Stale) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (c *Control) remindReview(ctx context.Context, i id.ID) error {
	return c.update(ctx, identity.Actor{Class: identity.System}, "tend", func(w *write) error {
		old, err := w.tx.Review(ctx, i)
		if err != nil {
			return err
		}
		v, due := old.Remind(w.now)
		if !due {
			return nil
		}
		waiting, err := all(reviewItemID, func(after id.ID, n int) ([]review.Item, error) {
			return w.tx.ReviewItems(ctx, review.Filter{Review: i, State: review.Waiting}, after, n)
		})
		if err != nil {
			return err
		}
		if v, err = w.putReview("review.remind", "", old, v, nil); err != nil {
			return err
		}
		return c.tellReviewers(w, v, waiting, "Grants still wait for your review")
	})
}

// closeReview ends what nobody has answered, some grants at a time, and then seals the report.
func (c *Control) closeReview(ctx context.Context, i id.ID) error {
	system := identity.Actor{Class: identity.System}
	for more := true; more; {
		err := c.update(ctx, system, "tend", func(w *write) error {
			more = false // fn may run again
			v, err := w.tx.Review(ctx, i)
			if err != nil || v.State != review.Open || !v.Over(w.now) {
				return err
			}
			waiting, err := w.tx.ReviewItems(ctx, review.Filter{Review: i, State: review.Waiting}, "", tendBatch)
			if err != nil {
				return err
			}
			for _, item := range waiting {
				if err := c.silence(w, v, item); err != nil {
					return err
				}
			}
			if len(waiting) > 0 {
				more = true
				return nil
			}
			return c.sealReview(w, v)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// silence ends the grant of an item that nobody has answered, unless there is nothing to ask any more.
func (c *Control) silence(w *write, v review.Review, old review.Item) error {
	g, err := w.grant(old.Grant)
	if err != nil {
		return err
	}
	facts, err := c.gather(w.read).facts(g)
	if err != nil {
		return err
	}
	if settled, ok := old.Settle(grantNow(g, w.now), w.now); ok {
		settled.Facts = facts
		_, err := w.putReviewItem("review.settle", "", old, settled)
		return err
	}
	item, err := old.Silence(v, w.now)
	if err != nil {
		return err
	}
	reason := "review " + string(v.ID) + ": nobody confirmed that it is still needed"
	fresh, err := g.End(reason, w.now)
	if err != nil {
		return err
	}
	if fresh, err = w.putGrant("grant.end", reason, g, fresh); err != nil {
		return err
	}
	if err := w.lapseOf(fresh, reason); err != nil {
		return err
	}
	item.Facts = facts
	if _, err := w.putReviewItem("review.silence", "", old, item); err != nil {
		return err
	}
	app, err := w.application(item.Application)
	if err != nil {
		return err
	}
	return w.tellPeople([]id.ID{app.Owner}, "A grant has ended: nobody confirmed it", lines(
		"The grant of "+g.Product+" in "+g.Environment+" for the application "+app.Name+" has ended: the review “"+v.Name+"” asked whether it is still needed, and nobody answered until "+when(v.Ends)+".",
		"If it is needed, ask for access again:", c.URL+"/grants/"+string(g.ID)))
}

// ReviewReport is what the audit keeps of a campaign that is over: it is the evidence.
type ReviewReport struct {
	Review review.Review            `json:"review"`
	Counts map[review.ItemState]int `json:"counts"`
	Items  []ReviewedGrant          `json:"reviewed"`
}

// ReviewedGrant is what came of the question about one grant, and on which facts.
type ReviewedGrant struct {
	Item         id.ID            `json:"item"`
	Grant        id.ID            `json:"grant"`
	Organization id.ID            `json:"organization"`
	Application  id.ID            `json:"application"`
	Environment  string           `json:"environment"`
	Product      string           `json:"product"`
	State        review.ItemState `json:"state"`
	By           id.ID            `json:"by,omitempty"`
	For          id.ID            `json:"for,omitempty"`
	At           time.Time        `json:"at,omitzero"`
	Reason       string           `json:"reason,omitempty"`
	Calls        int64            `json:"calls"`
	Last         time.Time        `json:"last,omitzero"`
	Scopes       []string         `json:"scopes"`
	Used         []string         `json:"used"`
}

// sealReview closes a campaign in which nothing waits, with the report.
func (c *Control) sealReview(w *write, old review.Review) error {
	v, err := old.Close(w.now)
	if err != nil {
		return err
	}
	out := ReviewReport{Items: []ReviewedGrant{}}
	items, err := all(reviewItemID, func(after id.ID, n int) ([]review.Item, error) {
		return w.tx.ReviewItems(w.ctx, review.Filter{Review: v.ID}, after, n)
	})
	if err != nil {
		return err
	}
	for _, i := range items {
		out.Items = append(out.Items, ReviewedGrant{i.ID, i.Grant, i.Organization, i.Application, i.Environment, i.Product, i.State, i.By, i.For, i.At,
			i.Reason, i.Facts.Calls, i.Facts.Last, i.Facts.Scopes, i.Facts.Used})
	}
	if out.Counts, err = w.tx.ReviewCounts(w.ctx, v.ID, ""); err != nil {
		return err
	}
	if v, err = w.putReview("review.close", "", old, v, nil); err != nil {
		return err
	}
	out.Review = v
	if err := w.audit(change{action: "review.report", object: v.ID, quiet: true}, nil, state(out)); err != nil {
		return err
	}
	return w.tellPeople([]id.ID{v.By}, "A review is over: "+v.Name, lines("Every grant that the review asked about was answered, or has ended. The report is sealed in the audit log:", c.URL+"/reviews/"+string(v.ID)))
}

// putReview tells no gateway: a question opens nothing. grants is what it asks about, told once.
func (w *write) putReview(action, reason string, old, v review.Review, grants []id.ID) (review.Review, error) {
	v.Version = old.Version
	v, err := w.tx.PutReview(w.ctx, v)
	if err != nil {
		return v, err
	}
	w.changes++
	return v, w.audit(change{action: action, object: v.ID, reason: reason}, before(old.Version, old), state(struct {
		review.Review
		Grants []id.ID `json:"grants,omitempty"`
	}{v, grants}))
}

func (w *write) putReviewItem(action, reason string, old, i review.Item) (review.Item, error) {
	i.Version = old.Version
	i, err := w.tx.PutReviewItem(w.ctx, i)
	if err != nil {
		return i, err
	}
	w.changes++
	return i, w.audit(change{action: action, object: i.ID, organization: i.Organization, application: i.Application, environment: i.Environment, reason: reason},
		before(old.Version, old), state(i))
}
