package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/review"
)

// NewReview is what a campaign is started from.
type NewReview struct {
	Name      string
	Selection review.Selection
	Reviewers review.Who // "": both
	Ends      time.Time
	DryRun    bool // nothing is started: the answer says how many grants would be asked about
	Once      string
}

// StartReview begins a campaign over the grants that the selection matches and that are not over: whoever answers for them is
// asked, and what nobody has answered at its end is ended. A grant about which another campaign asks already is left out.
// Operator or admin; an API owner for their API.
func (c *Control) StartReview(ctx context.Context, a identity.Actor, n NewReview) (review.Review, error) {
	const method = "StartReview"
	var none review.Review
	if err := allow(a, method); err != nil {
		return none, err
	}
	var f form
	n.Once = f.once(n.Once)
	n.Name = f.name("/name", n.Name, longestName)
	if err := f.err(); err != nil {
		return none, err
	}
	s := n.Selection
	s.Expiring = s.Expiring.UTC().Truncate(time.Microsecond)
	if n.Selection.Expiring.IsZero() {
		s.Expiring = time.Time{}
	}
	fresh, err := review.Start(review.Review{Name: n.Name, Selection: s, Reviewers: n.Reviewers, By: a.Person, Ends: n.Ends.UTC().Truncate(time.Microsecond)}, c.now())
	if err != nil {
		return none, err
	}
	// What is asked about is found before the writing transaction, so that no other write waits for it. Facts are gathered
	// again with each answer.
	var items []review.Item
	err = c.view(ctx, a, method, func(r read) (err error) {
		if err := c.mayStart(r, s); err != nil {
			return err
		}
		items, err = c.selected(r, fresh)
		return err
	})
	if err != nil {
		return none, err
	}
	if fresh.Items = len(items); n.DryRun {
		return fresh, nil
	}
	err = c.update(ctx, a, method, func(w *write) error {
		made, err := w.once(method, n.Once)
		if err != nil {
			return err
		}
		if made != "" {
			fresh, err = w.tx.Review(ctx, made)
			return err
		}
		if len(items) == 0 {
			return fault.Of(fault.Conflict, "nothing-to-review", "no grant that stands matches the selection, or another review asks about each already")
		}
		r := fresh
		r.ID = w.fresh(id.Review)
		if r, err = w.putReview("review.start", "", review.Review{}, r, reviewedGrants(items)); err != nil {
			return err
		}
		for _, i := range items {
			i.ID, i.Review = w.fresh(id.Item), r.ID
			if _, err := w.tx.PutReviewItem(ctx, i); err != nil {
				return err
			}
		}
		fresh = r
		if err := c.tellReviewers(w, r, items, "Grants wait for your review"); err != nil {
			return err
		}
		return w.made(method, n.Once, r.ID)
	})
	if err != nil {
		return none, err
	}
	return fresh, nil
}

// mayStart checks what the selection names, and whether the actor may ask about it.
func (c *Control) mayStart(r read, s review.Selection) error {
	at := identity.Place{Organization: s.Organization}
	if s.API != "" {
		at.APIs = []string{s.API}
	}
	if err := r.within("StartReview", at); err != nil {
		return err
	}
	var f form
	if s.Organization != "" {
		if _, err := r.organization(s.Organization); err != nil {
			f.bad("/organization", "there is no such organization")
		}
	}
	envs, err := r.tx.Environments(r.ctx)
	if err != nil {
		return err
	}
	known := s.Environment == ""
	for _, e := range envs {
		known = known || e.Name == s.Environment
	}
	if !known {
		f.bad("/environment", "there is no such environment")
	}
	return f.err()
}

// selected makes an item of each grant that the campaign asks about.
func (c *Control) selected(r read, v review.Review) ([]review.Item, error) {
	g := c.gather(r)
	s, out := v.Selection, []review.Item{}
	for after := id.ID(""); ; {
		batch, err := r.tx.Grants(r.ctx, grant.Filter{Organization: s.Organization, Environment: s.Environment}, after, pageMost)
		if err != nil {
			return nil, err
		}
		for _, old := range batch {
			after = old.ID
			item, ok, err := g.item(v, old)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			if out = append(out, item); len(out) > review.ItemsMost {
				return nil, fault.Of(fault.Conflict, "review-too-large", "more than %d grants match: select fewer, for instance those of one API or environment", review.ItemsMost)
			}
		}
		if len(batch) < pageMost {
			return out, nil
		}
	}
}

// item is the question about a grant, if the campaign asks about it.
func (g *gatherer) item(v review.Review, old grant.Grant) (review.Item, bool, error) {
	var none review.Item
	s, now := v.Selection, g.now
	since := old.From
	if old.Reviewed.After(since) {
		since = old.Reviewed
	}
	switch {
	case old.Standing(now) == "ended" || old.Standing(now) == "expired",
		s.Product != "" && old.Product != s.Product,
		since.After(now.Add(-time.Duration(s.OlderThan)*time.Second)) && s.OlderThan > 0,
		!s.Expiring.IsZero() && !old.Until.Before(s.Expiring):
		return none, false, nil
	}
	at, err := g.placeOf(old)
	if err != nil || s.API != "" && !slices.Contains(at.APIs, s.API) {
		return none, false, err
	}
	facts, err := g.facts(old)
	if err != nil {
		return none, false, err
	}
	used := facts.Last
	if used.IsZero() {
		used = old.From
	}
	if s.Dormant > 0 && used.After(now.Add(-time.Duration(s.Dormant)*time.Second)) {
		return none, false, nil
	}
	asked, err := g.tx.ReviewItems(g.ctx, review.Filter{Grant: old.ID, State: review.Waiting}, "", 1)
	if err != nil || len(asked) > 0 {
		return none, false, err
	}
	i := review.Item{Name: v.Name, Ends: v.Ends, Organization: old.Organization, Application: old.Application, Environment: old.Environment,
		Product: old.Product, Grant: old.ID, Request: old.Request, Asked: v.Reviewers, Facts: facts, State: review.Waiting}
	i.Reviewers, err = g.reviewers(old, facts, at, v.Reviewers)
	return i, true, err
}

// reviewers is who is asked about a grant: whoever answers for the application, whoever owns an API of the product. So that
// somebody can confirm it, other owners of the organization stand in for one who asked for the grant, and operators and admins
// for nobody.
func (g *gatherer) reviewers(old grant.Grant, facts review.Facts, at identity.Place, who review.Who) ([]id.ID, error) {
	var out []id.ID
	add := func(p identity.Person) {
		if p.State == identity.Active && !slices.Contains(out, p.ID) && len(out) < toldMost {
			out = append(out, p.ID)
		}
	}
	app, err := g.applicationOf(old.Application)
	if err != nil {
		return nil, err
	}
	if who != review.APIOwners {
		members, err := g.peopleOf(old.Organization)
		if err != nil {
			return nil, err
		}
		for _, p := range members {
			if p.ID == app.Owner || app.Owner == facts.RequestedBy && slices.Contains(p.Roles, identity.Owner) {
				add(p)
			}
		}
	}
	staff, err := g.peopleOf("")
	if err != nil {
		return nil, err
	}
	with := func(role identity.Role) {
		for _, p := range staff {
			if p.Class == identity.Staff && slices.Contains(identity.Actor{Class: identity.Staff, Person: p.ID, Roles: p.Roles}.At(at).Roles, role) {
				add(p)
			}
		}
	}
	if who != review.Owners {
		with(identity.APIOwner)
	}
	for _, role := range []identity.Role{identity.Operator, identity.Admin} {
		if slices.ContainsFunc(out, func(p id.ID) bool { return p != facts.RequestedBy }) {
			break
		}
		with(role)
	}
	return out, nil
}

// reviewedGrants is what the audit keeps of the start of a campaign.
func reviewedGrants(items []review.Item) []id.ID {
	out := make([]id.ID, 0, len(items))
	for _, i := range items {
		out = append(out, i.Grant)
	}
	return out
}

// tellReviewers writes to everybody who is asked about items that wait, once.
func (c *Control) tellReviewers(w *write, r review.Review, items []review.Item, subject string) error {
	counts := map[id.ID]int{}
	for _, i := range items {
		for _, p := range i.Reviewers {
			counts[p]++
		}
	}
	for p, n := range counts {
		err := w.tellPeople([]id.ID{p}, subject, lines(
			fmt.Sprintf("The review “%s” asks whether grants are still needed: %d of them wait for you, until %s.", r.Name, n, when(r.Ends)),
			"What nobody answers until then ends. Confirm, narrow or end them here:", c.URL+"/reviews"))
		if err != nil {
			return err
		}
	}
	return nil
}

// CancelReview ends a campaign without any consequence for what nobody has answered. Operator or admin.
func (c *Control) CancelReview(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (review.Review, error) {
	var out review.Review
	if err := allow(a, "CancelReview"); err != nil {
		return out, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	err := c.update(ctx, a, "CancelReview", func(w *write) error {
		old, err := w.review(i)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if out, err = old.Cancel(reason, w.now); err != nil {
			return err
		}
		items, err := all(reviewItemID, func(after id.ID, n int) ([]review.Item, error) {
			return w.tx.ReviewItems(ctx, review.Filter{Review: i, State: review.Waiting}, after, n)
		})
		if err != nil {
			return err
		}
		for _, item := range items {
			if item, err = item.Drop(reason, w.now); err != nil {
				return err
			}
			if _, err := w.tx.PutReviewItem(ctx, item); err != nil {
				return err
			}
		}
		out, err = w.putReview("review.cancel", reason, old, out, nil)
		return err
	})
	return out, err
}

// ReviewView is a campaign with how its items stand.
type ReviewView struct {
	review.Review
	Standing string                   `json:"standing"` // open, closing, closed, cancelled
	Counts   map[review.ItemState]int `json:"counts"`
}

// Review returns one. Staff.
func (c *Control) Review(ctx context.Context, a identity.Actor, i id.ID) (ReviewView, error) {
	var out ReviewView
	err := c.view(ctx, a, "Review", func(r read) (err error) {
		if out.Review, err = r.review(i); err != nil {
			return err
		}
		out.Standing = out.Review.Standing(r.now)
		out.Counts, err = r.tx.ReviewCounts(ctx, i, "")
		return err
	})
	return out, err
}

// Reviews lists campaigns; a state other than "" selects. Staff.
func (c *Control) Reviews(ctx context.Context, a identity.Actor, s review.State, p Page) (List[review.Review], error) {
	var out List[review.Review]
	err := c.view(ctx, a, "Reviews", func(r read) (err error) {
		if !slices.Contains([]review.State{"", review.Open, review.Closed, review.Cancelled}, s) {
			return fault.Bad("/state", "must be one of open, closed, cancelled")
		}
		out, err = collect(p, id.Review, func(v review.Review) id.ID { return v.ID }, nil, func(after id.ID, n int) ([]review.Review, error) {
			return r.tx.Reviews(ctx, s, after, n)
		})
		return err
	})
	return out, err
}

// ItemFilter selects items of campaigns. Empty fields select all.
type ItemFilter struct {
	Review       id.ID
	Organization id.ID
	State        review.ItemState
	Mine         bool // only those that the actor can answer
}

// ReviewItems lists the questions of campaigns; members see their organization's only.
func (c *Control) ReviewItems(ctx context.Context, a identity.Actor, f ItemFilter, p Page) (List[review.Item], error) {
	var out List[review.Item]
	err := c.view(ctx, a, "ReviewItems", func(r read) error {
		if f.State != "" && !slices.Contains(review.ItemStates(), f.State) {
			return fault.Bad("/state", "must be one of waiting, confirmed, narrowed, ended, silent, renewed, over, cancelled")
		}
		of := review.Filter{Review: f.Review, State: f.State}
		if f.Review != "" {
			if _, err := id.Parse(id.Review, string(f.Review)); err != nil {
				return missing("review")
			}
		}
		var err error
		if of.Organization, err = r.organizationOr(f.Organization); err != nil {
			return err
		}
		var keep func(review.Item) bool
		if f.Mine {
			of.State = review.Waiting
			keep = func(i review.Item) bool { return c.mayAnswer(r, i) == nil }
		}
		out, err = collect(p, id.Item, reviewItemID, keep, func(after id.ID, n int) ([]review.Item, error) {
			return r.tx.ReviewItems(ctx, of, after, n)
		})
		return err
	})
	return out, err
}

// ReviewItem returns one of the actor's organization, or for staff any.
func (c *Control) ReviewItem(ctx context.Context, a identity.Actor, i id.ID) (review.Item, error) {
	var out review.Item
	err := c.view(ctx, a, "ReviewItem", func(r read) (err error) {
		out, err = r.reviewItem(i)
		return err
	})
	return out, err
}

func (r read) review(i id.ID) (review.Review, error) {
	return look(r, "review", id.Review, i, func(review.Review) id.ID { return "" }, r.tx.Review)
}

func (r read) reviewItem(i id.ID) (review.Item, error) {
	return look(r, "item of a review", id.Item, i, func(i review.Item) id.ID { return i.Organization }, r.tx.ReviewItem)
}

func reviewItemID(i review.Item) id.ID { return i.ID }
