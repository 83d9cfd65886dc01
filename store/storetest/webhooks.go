package storetest

import (
	"slices"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/notice"
	"gatehouse/store"
	"gatehouse/webhook"
)

func (w *world) endpoint(org id.ID) webhook.Endpoint {
	return webhook.Endpoint{ID: id.New(id.Webhook, w.now), Organization: org, URL: "https://example.org/hook", Kinds: []string{"grant"},
		State: webhook.Active, Created: w.now, By: "per_1", Secret: "sealed:a"}
}

func webhooks() []promise {
	put := func(w *world, e webhook.Endpoint) webhook.Endpoint {
		w.Helper()
		return written(w, func(tx store.Tx) (webhook.Endpoint, error) { return tx.PutEndpoint(w.ctx(), e) })
	}
	add := func(w *world, message string) {
		w.Helper()
		w.update(func(tx store.Tx) error {
			return tx.AddDelivery(w.ctx(), webhook.Delivery{Message: message, Endpoint: "wh_1", Organization: "org_1", Type: "grant.end", Body: []byte("{}"), At: w.now})
		})
	}
	claim := func(w *world, now time.Time, limit int) []string {
		w.Helper()
		ds := written(w, func(tx store.Tx) ([]webhook.Delivery, error) {
			return tx.ClaimDeliveries(w.ctx(), now, time.Minute, limit)
		})
		out := []string{}
		for _, d := range ds {
			out = append(out, d.Message)
		}
		return out
	}
	return []promise{
		{"PutEndpointVersions", func(w *world) {
			e := w.endpoint("org_1")
			versions(w, e, func(e *webhook.Endpoint) *int64 { return &e.Version },
				func(e *webhook.Endpoint) {
					e.Organization, e.URL, e.Kinds, e.State, e.Reason = "", "https://example.org/2", []string{}, webhook.Paused, "410"
					e.Created, e.By, e.Secret, e.Old, e.OldUntil = w.now.Add(1e6), "per_2", "sealed:b", "sealed:a", w.now.Add(2e6)
				},
				func(tx store.Tx, e webhook.Endpoint) (webhook.Endpoint, error) { return tx.PutEndpoint(w.ctx(), e) },
				func(tx store.Tx) (webhook.Endpoint, error) { return tx.Endpoint(w.ctx(), e.ID) })
		}},
		{"EndpointsOfByIDAfterWithoutEnded", func(w *world) {
			var want []string
			for range 4 {
				want = append(want, string(put(w, w.endpoint("org_1")).ID))
			}
			over := w.endpoint("org_1")
			over.State = webhook.Ended
			put(w, over)
			put(w, w.endpoint(""))
			slices.Sort(want)
			same(w, "endpoints", paged(w, func(e webhook.Endpoint) string { return string(e.ID) }, func(tx store.Tx, after string, limit int) ([]webhook.Endpoint, error) {
				return tx.EndpointsOf(w.ctx(), "org_1", id.ID(after), limit)
			}), want)
		}},
		{"ClaimDeliveriesForALease", func(w *world) {
			add(w, "m1")
			add(w, "m2")
			same(w, "first", claim(w, w.now, 1), []string{"m1"})
			same(w, "others", claim(w, w.now, 5), []string{"m2"})
			same(w, "within the lease", claim(w, w.now.Add(time.Minute-time.Microsecond), 5), []string{})
			same(w, "after it", claim(w, w.now.Add(time.Minute), 5), []string{"m1", "m2"})
		}},
		{"DeliveryFailedWaitsOrIsGivenUp", func(w *world) {
			add(w, "m1")
			d := written(w, func(tx store.Tx) ([]webhook.Delivery, error) {
				return tx.ClaimDeliveries(w.ctx(), w.now, time.Minute, 5)
			})[0]
			if d.Tries != 1 || string(d.Body) != "{}" || d.Type != "grant.end" || !d.At.Equal(w.now) {
				w.Errorf("claimed %+v", d)
			}
			w.update(func(tx store.Tx) error { return tx.DeliveryFailed(w.ctx(), d.ID, "500", w.now.Add(time.Hour)) })
			same(w, "before its time", claim(w, w.now.Add(time.Minute*59), 5), []string{})
			same(w, "at its time", claim(w, w.now.Add(time.Hour), 5), []string{"m1"})
			w.refused(fault.NotFound, func(tx store.Tx) error { return tx.DeliverAgain(w.ctx(), d.ID, w.now) })
			w.update(func(tx store.Tx) error { return tx.DeliveryFailed(w.ctx(), d.ID, "500", time.Time{}) })
			same(w, "given up", claim(w, w.now.Add(24*time.Hour), 5), []string{})
			list := read(w, func(tx store.Tx) ([]webhook.Delivery, error) { return tx.GivenUpDeliveries(w.ctx(), "wh_1", 0, 5) })
			if len(list) != 1 || list[0].Problem != "500" || !list[0].GivenUp {
				w.Errorf("given up: %+v", list)
			}
			same(w, "after it", len(read(w, func(tx store.Tx) ([]webhook.Delivery, error) { return tx.GivenUpDeliveries(w.ctx(), "wh_1", d.ID, 5) })), 0)
			w.update(func(tx store.Tx) error { return tx.DeliverAgain(w.ctx(), d.ID, w.now) })
			again := written(w, func(tx store.Tx) ([]webhook.Delivery, error) {
				return tx.ClaimDeliveries(w.ctx(), w.now, time.Minute, 5)
			})
			if len(again) != 1 || again[0].Tries != 1 || again[0].Message != "m1" {
				w.Errorf("sent again: %+v", again)
			}
			w.update(func(tx store.Tx) error { return tx.DeliveryDone(w.ctx(), d.ID) })
			failing(w, fault.NotFound, func(tx store.Tx) (webhook.Delivery, error) { return tx.Delivery(w.ctx(), d.ID) })
		}},
	}
}

func notices() []promise {
	return []promise{
		{"MarkNotFoundThenSet", func(w *world) {
			failing(w, fault.NotFound, func(tx store.Tx) (notice.Mark, error) { return tx.Mark(w.ctx(), notice.Grant, 7) })
			for _, m := range []notice.Mark{{Kind: notice.Grant, Days: 7, End: w.now, Object: "gr_1"}, {Kind: notice.Grant, Days: 7, End: w.now.Add(1e6), Object: ""}} {
				w.update(func(tx store.Tx) error { return tx.PutMark(w.ctx(), m) })
				same(w, "the mark", read(w, func(tx store.Tx) (notice.Mark, error) { return tx.Mark(w.ctx(), notice.Grant, 7) }), m)
			}
			failing(w, fault.NotFound, func(tx store.Tx) (notice.Mark, error) { return tx.Mark(w.ctx(), notice.Credential, 7) })
		}},
		{"EndingByEndAndIDAfterTheMark", func(w *world) {
			ends := []time.Duration{time.Hour, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour}
			want := map[notice.Kind][]string{}
			for n, d := range ends {
				g := grant.Grant{ID: id.New(id.Grant, w.now), Request: "req_1", Organization: "org_1", Application: "app_1", Environment: "live",
					Product: "p", Plan: "a", Scopes: []string{}, ApprovedBy: []id.ID{}, State: grant.Active, From: w.now, Until: w.now.Add(d)}
				c := credential.Credential{ID: id.New(id.Credential, w.now), Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.APIKey,
					Name: "key", State: credential.Active, Created: w.now, Expires: w.now.Add(d)}
				c.PublicID, c.Hash = string(c.ID), w.hash()
				if n == 3 { // over already
					g.State, c.State = grant.Ended, credential.Revoked
				}
				g = written(w, func(tx store.Tx) (grant.Grant, error) { return tx.PutGrant(w.ctx(), g) })
				c = written(w, func(tx store.Tx) (credential.Credential, error) { return tx.PutCredential(w.ctx(), c) })
				if n < 3 {
					want[notice.Grant] = append(want[notice.Grant], string(g.ID))
					want[notice.Credential] = append(want[notice.Credential], string(c.ID))
				}
			}
			for _, k := range notice.Kinds() {
				slices.Sort(want[k][:2]) // the same end: by ID
				var got []string
				m := notice.Mark{Kind: k, Days: 1, End: w.now}
				for {
					list := read(w, func(tx store.Tx) ([]notice.Ending, error) { return tx.Ending(w.ctx(), m, w.now.Add(3*time.Hour), 1) })
					if len(list) == 0 {
						break
					}
					got = append(got, string(list[0].Object))
					m.End, m.Object = list[0].End, list[0].Object
				}
				same(w, string(k), got, want[k])
			}
		}},
	}
}
