package storetest

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
)

func fleets() []promise {
	gateway := func(w *world, name string) fleet.Gateway {
		return fleet.Gateway{ID: id.New(id.Gateway, w.now), Environment: "live", Name: name, State: fleet.Active, Key: "k", Created: w.now, CreatedBy: "per_1", Expires: w.now.Add(time.Hour)}
	}
	put := func(w *world, g fleet.Gateway) (out fleet.Gateway, err error) {
		err = w.s.Update(w.ctx(), func(tx store.Tx) (err error) { out, err = tx.PutGateway(w.ctx(), g); return err })
		return out, err
	}
	return []promise{
		{"PutGatewayStaleVersionIsStale", func(w *world) {
			w.environments("live")
			g, err := put(w, gateway(w, "a"))
			same(w, "the first", err, nil)
			same(w, "its version", g.Version, int64(1))
			g.State, g.Ended, g.Reason = fleet.Revoked, w.now, "stolen"
			again, err := put(w, g)
			same(w, "the second", err, nil)
			same(w, "what is stored", read(w, func(tx store.Tx) (fleet.Gateway, error) { return tx.Gateway(w.ctx(), g.ID) }), again)
			if _, err := put(w, g); !errors.Is(err, fault.Stale) {
				w.Error(err)
			}
		}},
		{"PutGatewayOneActiveOfAName", func(w *world) {
			w.environments("live", "test")
			first, err := put(w, gateway(w, "a"))
			same(w, "the first", err, nil)
			if _, err := put(w, gateway(w, "a")); !errors.Is(err, fault.Conflict) {
				w.Error(err)
			}
			elsewhere := gateway(w, "a")
			elsewhere.Environment = "test"
			_, err = put(w, elsewhere)
			same(w, "in another environment", err, nil)
			first.State = fleet.Revoked
			_, err = put(w, first)
			same(w, "its end", err, nil)
			_, err = put(w, gateway(w, "a"))
			same(w, "the next of its name", err, nil)
		}},
		{"GatewaysByIDAfter", func(w *world) {
			w.environments("live")
			var want []string
			for n := range 5 {
				w.now = w.now.Add(time.Second)
				g, err := put(w, gateway(w, fmt.Sprint("g", n)))
				same(w, "a gateway", err, nil)
				want = append(want, string(g.ID))
			}
			same(w, "all", paged(w, func(g fleet.Gateway) string { return string(g.ID) }, func(tx store.Tx, after string, limit int) ([]fleet.Gateway, error) {
				return tx.Gateways(w.ctx(), "live", id.ID(after), limit)
			}), want)
			same(w, "of another environment", len(read(w, func(tx store.Tx) ([]fleet.Gateway, error) { return tx.Gateways(w.ctx(), "test", "", 10) })), 0)
		}},
		{"EnrolmentByHash", func(w *world) {
			w.environments("live")
			e := fleet.Enrolment{ID: id.New(id.Enrolment, w.now), Environment: "live", Name: "a", Hash: secret.New("x").Hash(), Created: w.now, CreatedBy: "per_1", Expires: w.now.Add(time.Hour)}
			w.update(func(tx store.Tx) (err error) { e, err = tx.PutEnrolment(w.ctx(), e); return err })
			same(w, "by its hash", read(w, func(tx store.Tx) (fleet.Enrolment, error) { return tx.EnrolmentByHash(w.ctx(), e.Hash) }), e)
			old := e
			e.Used, e.Gateway = w.now, "gw_1"
			w.update(func(tx store.Tx) (err error) { e, err = tx.PutEnrolment(w.ctx(), e); return err })
			if err := w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutEnrolment(w.ctx(), old); return err }); !errors.Is(err, fault.Stale) {
				w.Errorf("used twice: %v", err)
			}
			if err := w.s.View(w.ctx(), func(tx store.Tx) error { _, err := tx.EnrolmentByHash(w.ctx(), secret.Hash{}); return err }); !errors.Is(err, fault.NotFound) {
				w.Error(err)
			}
		}},
		{"AnchorsByNumber", func(w *world) {
			two := fleet.Anchor{Number: 2, Made: w.now, Signs: w.now.Add(time.Hour)}
			one := fleet.Anchor{Number: 1, Made: w.now, Signs: w.now}
			for _, a := range []fleet.Anchor{two, one} {
				w.update(func(tx store.Tx) error { return tx.PutAnchor(w.ctx(), a) })
			}
			one.Ends = w.now.Add(time.Hour)
			w.update(func(tx store.Tx) error { return tx.PutAnchor(w.ctx(), one) })
			same(w, "all", read(w, func(tx store.Tx) ([]fleet.Anchor, error) { return tx.Anchors(w.ctx()) }), []fleet.Anchor{one, two})
		}},
		{"PutSightingReplaces", func(w *world) {
			s := fleet.Sighting{Environment: "live", Gateway: "b", ID: "gw_1", Version: "1", Protocol: 1, Address: "10.0.0.1", Skew: -3 * time.Millisecond, Heard: w.now, Connected: true}
			other := fleet.Sighting{Environment: "live", Gateway: "a", ID: "gw_2", Heard: w.now, Trouble: "too old"}
			for _, x := range []fleet.Sighting{s, other} {
				w.update(func(tx store.Tx) error { return tx.PutSighting(w.ctx(), x) })
			}
			s.Connected, s.Heard = false, w.now.Add(time.Minute)
			w.update(func(tx store.Tx) error { return tx.PutSighting(w.ctx(), s) })
			same(w, "by name", read(w, func(tx store.Tx) ([]fleet.Sighting, error) { return tx.Sightings(w.ctx(), "live") }), []fleet.Sighting{other, s})
		}},
		{"AddRefusalCountsAndForgetsTheOldest", func(w *world) {
			one := fleet.Refusal{Environment: "live", Gateway: "a", ID: "gw_1", Address: "10.0.0.1", Code: "gateway-old", Text: "too old", Version: "1", First: w.now, Last: w.now, Times: 1}
			again := one
			again.Text, again.Version, again.First, again.Last, again.Times = "still too old", "2", w.now.Add(time.Minute), w.now.Add(time.Minute), 3
			w.update(func(tx store.Tx) error {
				return errors.Join(tx.AddRefusal(w.ctx(), one), tx.AddRefusal(w.ctx(), again))
			})
			want := again
			want.First, want.Times = w.now, 4
			list := func(limit int) []fleet.Refusal {
				return read(w, func(tx store.Tx) ([]fleet.Refusal, error) { return tx.Refusals(w.ctx(), limit) })
			}
			same(w, "added up", list(10), []fleet.Refusal{want})
			w.update(func(tx store.Tx) error {
				for n := range fleet.KeptRefusals {
					r := fleet.Refusal{Address: fmt.Sprint("10.0.0.", n), Code: "enrolment-unknown", First: w.now, Last: w.now.Add(time.Hour + time.Duration(n)*time.Second), Times: 1}
					if err := tx.AddRefusal(w.ctx(), r); err != nil {
						return err
					}
				}
				return nil
			})
			left := list(2 * fleet.KeptRefusals)
			same(w, "how many are kept", len(left), fleet.KeptRefusals)
			same(w, "the newest", left[0].Address, fmt.Sprint("10.0.0.", fleet.KeptRefusals-1))
			same(w, "the oldest", left[len(left)-1].Address, "10.0.0.0")
		}},
		{"NewestIsOneOfEachEntity", func(w *world) {
			w.environments("live")
			var at feed.Position
			w.update(func(tx store.Tx) error {
				for n, key := range []string{"a", "b", "a", "c", "a", "b"} {
					c := w.change("live", int64(n+1))
					c.Key = key
					if err := tx.AppendChange(w.ctx(), c); err != nil {
						return err
					}
					rows, err := tx.Unnumbered(w.ctx(), 1)
					if err != nil {
						return err
					}
					e := w.numbered("live", rows[0], at)
					if err := tx.Number(w.ctx(), rows[0].Row, []feed.Entry{e}); err != nil {
						return err
					}
					at = e.Position()
				}
				return nil
			})
			list := func(through, after int64, limit int) (out []string) {
				for _, e := range read(w, func(tx store.Tx) ([]feed.Entry, error) {
					return tx.Newest(w.ctx(), "live", through, after, limit)
				}) {
					out = append(out, fmt.Sprint(e.Key, e.Seq))
				}
				return out
			}
			same(w, "all", list(6, 0, 10), []string{"c4", "a5", "b6"})
			same(w, "up to four", list(4, 0, 10), []string{"b2", "a3", "c4"})
			same(w, "a page", list(6, 4, 1), []string{"a5"})
		}},
		{"NewestIsOneOfEachEntityOnEveryPage", func(w *world) {
			w.environments("live", "test")
			const n = 300
			want := map[string]string{}
			w.update(func(tx store.Tx) error {
				var at feed.Position
				for i := range n {
					c := w.change("live", int64(i+1))
					c.Key = fmt.Sprint("key-", i*i%97)
					if i%5 == 0 {
						c.Key, c.Kind = fmt.Sprint("key-", i), feed.KindGrant
					}
					if err := tx.AppendChange(w.ctx(), c); err != nil {
						return err
					}
					rows, err := tx.Unnumbered(w.ctx(), 1)
					if err != nil {
						return err
					}
					e := w.numbered("live", rows[0], at)
					if err := tx.Number(w.ctx(), rows[0].Row, []feed.Entry{e}); err != nil {
						return err
					}
					if at = e.Position(); i < n-20 {
						want[string(c.Kind)+c.Key] = fmt.Sprint(e.Seq, " ", string(e.Payload))
					}
				}
				return nil
			})
			for _, limit := range []int{1, 7, 64, 100, n} {
				got, last := map[string]string{}, int64(0)
				w.view(func(tx store.Tx) error {
					for {
						es, err := tx.Newest(w.ctx(), "live", n-20, last, limit)
						if err != nil {
							return err
						}
						if limit == 7 { // another feed in between
							if nothing, err := tx.Newest(w.ctx(), "test", 5, 0, 10); err != nil || len(nothing) > 0 {
								return fmt.Errorf("another feed has %d: %w", len(nothing), err)
							}
						}
						for _, e := range es {
							if e.Seq <= last || got[string(e.Kind)+e.Key] != "" {
								w.Errorf("limit %d: %s comes twice, or out of order", limit, e.Key)
							}
							got[string(e.Kind)+e.Key], last = fmt.Sprint(e.Seq, " ", string(e.Payload)), e.Seq
						}
						if len(es) < limit {
							return nil
						}
					}
				})
				same(w, fmt.Sprint("pages of ", limit), got, want)
			}
		}},
	}
}
