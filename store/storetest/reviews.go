package storetest

import (
	"slices"
	"time"

	"gatehouse/id"
	"gatehouse/review"
	"gatehouse/store"
)

func (w *world) review() review.Review {
	return review.Review{ID: id.New(id.Review, w.now), Name: "spring", By: "per_1", Reviewers: review.Both, Created: w.now, Ends: w.now.Add(time.Hour), State: review.Open, Items: 2}
}

func (w *world) reviewItem(r review.Review) review.Item {
	return review.Item{ID: id.New(id.Item, w.now), Review: r.ID, Name: r.Name, Ends: r.Ends, Organization: "org_1", Application: "app_1", Environment: "live", Product: "p",
		Grant: "gr_1", Request: "req_1", Asked: review.Owners, Reviewers: []id.ID{"per_1"}, State: review.Waiting,
		Facts: review.Facts{At: w.now, From: w.now, Until: w.now.Add(time.Hour), Scopes: []string{"a", "b"}, Used: []string{}, Operations: []string{"p/o"}, Credentials: []id.ID{"crd_1"}, Calls: 7, Last: w.now}}
}

func reviews() []promise {
	add := func(w *world, r review.Review) review.Review {
		w.Helper()
		return written(w, func(tx store.Tx) (review.Review, error) { return tx.PutReview(w.ctx(), r) })
	}
	item := func(w *world, i review.Item) review.Item {
		w.Helper()
		return written(w, func(tx store.Tx) (review.Item, error) { return tx.PutReviewItem(w.ctx(), i) })
	}
	return []promise{
		{"PutReviewVersions", func(w *world) {
			r := w.review()
			versions(w, r, func(r *review.Review) *int64 { return &r.Version },
				func(r *review.Review) {
					r.Name, r.Reviewers, r.By, r.State, r.Reason, r.Reminded, r.Items = "autumn", review.Owners, "per_2", review.Cancelled, "by mistake", 1, 3
					r.Created, r.Ends, r.Closed = w.now.Add(1e6), w.now.Add(2e6), w.now.Add(3e6)
					r.Selection = review.Selection{API: "a", Product: "p", Organization: "org_1", Environment: "live", OlderThan: 1, Dormant: 2, Expiring: w.now}
				},
				func(tx store.Tx, r review.Review) (review.Review, error) { return tx.PutReview(w.ctx(), r) },
				func(tx store.Tx) (review.Review, error) { return tx.Review(w.ctx(), r.ID) })
		}},
		{"ReviewsByIDAfterAndState", func(w *world) {
			var open, every []string
			for n := range 5 {
				r := w.review()
				if r.State = review.Closed; n%2 == 0 {
					r.State = review.Open
					open = append(open, string(r.ID))
				}
				add(w, r)
				every = append(every, string(r.ID))
			}
			slices.Sort(open)
			slices.Sort(every)
			of := func(s review.State) []string {
				return paged(w, func(r review.Review) string { return string(r.ID) }, func(tx store.Tx, after string, limit int) ([]review.Review, error) {
					return tx.Reviews(w.ctx(), s, id.ID(after), limit)
				})
			}
			same(w, "all", of(""), every)
			same(w, "open ones", of(review.Open), open)
		}},
		{"PutReviewItemVersions", func(w *world) {
			i, other := w.reviewItem(add(w, w.review())), add(w, w.review())
			versions(w, i, func(i *review.Item) *int64 { return &i.Version },
				func(i *review.Item) {
					i.Review, i.Name, i.Organization, i.Application, i.Environment, i.Product, i.Grant, i.Request = other.ID, "b", "org_2", "app_2", "test", "q", "gr_2", "req_2"
					i.Asked, i.Reviewers, i.State, i.By, i.For, i.Reason, i.Scopes = review.APIOwners, []id.ID{"per_2", "per_3"}, review.Narrowed, "per_2", "per_3", "less", []string{"a"}
					i.At, i.Until, i.Ends = w.now.Add(1e6), w.now.Add(2e6), w.now.Add(3e6)
					i.Facts.Calls, i.Facts.Last, i.Facts.Used, i.Facts.UsedKnown, i.Facts.Renewal = 9, w.now.Add(4e6), []string{"a"}, true, "req_3"
				},
				func(tx store.Tx, i review.Item) (review.Item, error) { return tx.PutReviewItem(w.ctx(), i) },
				func(tx store.Tx) (review.Item, error) { return tx.ReviewItem(w.ctx(), i.ID) })
		}},
		{"ReviewItemsByIDAfterAndFilter", func(w *world) {
			one, two := add(w, w.review()), add(w, w.review())
			var all, ofTwo, waiting, ofGrant []string
			for n := range 8 {
				i := w.reviewItem(one)
				if n%2 == 1 {
					i.Review, i.Organization = two.ID, "org_2"
					ofTwo = append(ofTwo, string(i.ID))
				}
				if n%4 > 1 {
					i.State = review.Silent
				} else {
					waiting = append(waiting, string(i.ID))
				}
				if n > 5 {
					i.Grant = "gr_2"
					ofGrant = append(ofGrant, string(i.ID))
				}
				item(w, i)
				all = append(all, string(i.ID))
			}
			of := func(f review.Filter) []string {
				return paged(w, func(i review.Item) string { return string(i.ID) }, func(tx store.Tx, after string, limit int) ([]review.Item, error) {
					return tx.ReviewItems(w.ctx(), f, id.ID(after), limit)
				})
			}
			for _, l := range [][]string{all, ofTwo, waiting, ofGrant} {
				slices.Sort(l)
			}
			same(w, "all", of(review.Filter{}), all)
			same(w, "of one review", of(review.Filter{Review: two.ID}), ofTwo)
			same(w, "of one organization", of(review.Filter{Organization: "org_2"}), ofTwo)
			same(w, "waiting", of(review.Filter{State: review.Waiting}), waiting)
			same(w, "of one grant", of(review.Filter{Grant: "gr_2"}), ofGrant)
			counts := func(org id.ID) map[review.ItemState]int {
				return read(w, func(tx store.Tx) (map[review.ItemState]int, error) { return tx.ReviewCounts(w.ctx(), two.ID, org) })
			}
			same(w, "the counts", counts(""), map[review.ItemState]int{review.Waiting: 2, review.Silent: 2})
			same(w, "those of another organization", counts("org_1"), map[review.ItemState]int{})
		}},
	}
}
