package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gatehouse/credential"
	"gatehouse/id"
	"gatehouse/store"
)

func uses() []promise {
	use := func(w *world, cr, gr, op string, n int64, ago time.Duration, address string) credential.Use {
		return credential.Use{Credential: id.ID(cr), Grant: id.ID(gr), API: "eid", Operation: op, Count: n, Last: w.now.Add(-ago), Gateway: "gw of " + address, Address: address}
	}
	add := func(w *world, us ...credential.Use) {
		w.update(func(tx store.Tx) error { return tx.AddUses(w.ctx(), us) })
	}
	return []promise{
		{"AddUsesCountsGrowAndTheNewestReplacesAnOlder", func(w *world) {
			add(w, use(w, "cr_1", "gr_1", "read", 2, time.Hour, "10.0.0.1"), use(w, "cr_1", "gr_1", "write", 1, time.Minute, "10.0.0.2"), use(w, "cr_2", "gr_1", "read", 1, 0, "10.0.0.3"))
			add(w, use(w, "cr_1", "gr_1", "read", 3, time.Second, "10.0.0.4"))
			add(w, use(w, "cr_1", "gr_1", "read", 5, 2*time.Hour, "10.0.0.5"))
			add(w, use(w, "cr_1", "", "read", 1, 2*time.Hour, "10.0.0.6"))
			want := []credential.Use{use(w, "cr_1", "", "read", 1, 2*time.Hour, "10.0.0.6"), use(w, "cr_1", "gr_1", "read", 10, time.Second, "10.0.0.4"), use(w, "cr_1", "gr_1", "write", 1, time.Minute, "10.0.0.2")}
			same(w, "the uses", read(w, func(tx store.Tx) ([]credential.Use, error) { return tx.Uses(w.ctx(), "cr_1") }), want)
		}},
		{"AddUsesOfManyRowsAndOfOneRowTwice", func(w *world) {
			var us, want []credential.Use
			for n := range 290 { // two statements of many rows, and some of few
				u := use(w, "cr_1", "gr_1", fmt.Sprintf("read%03d", n), 1, time.Duration(n)*time.Second, "10.0.0.1")
				again := use(w, "cr_1", "gr_1", u.Operation, 2, time.Duration(n)*time.Second+time.Minute, "10.0.0.2")
				us = append(us, again, u)
				u.Count = 3
				want = append(want, u)
			}
			add(w, us...)
			same(w, "the uses", read(w, func(tx store.Tx) ([]credential.Use, error) { return tx.Uses(w.ctx(), "cr_1") }), want)
		}},
		{"UsesAmongIsUsesOfEach", func(w *world) {
			var is []id.ID
			want := map[id.ID][]credential.Use{}
			for n := range 150 { // more than one statement takes
				i := id.ID(fmt.Sprintf("cr_%03d", n))
				if is, want[i] = append(is, i), nil; n%3 > 0 {
					want[i] = []credential.Use{use(w, string(i), "gr_1", "read", 1, time.Second, "10.0.0.1"), use(w, string(i), "gr_2", "read", 2, 0, "10.0.0.1")}
					add(w, want[i]...)
				}
			}
			add(w, use(w, "cr_other", "gr_1", "read", 1, 0, "10.0.0.1"))
			same(w, "the uses", read(w, func(tx store.Tx) (map[id.ID][]credential.Use, error) { return tx.UsesAmong(w.ctx(), is) }), want)
			same(w, "of none", read(w, func(tx store.Tx) (map[id.ID][]credential.Use, error) { return tx.UsesAmong(w.ctx(), nil) }), map[id.ID][]credential.Use{})
		}},
		{"UsesOfGrantsIsUsesOfGrantOfEach", func(w *world) {
			a, b, c := use(w, "cr_1", "gr_1", "read", 1, 0, "10.0.0.1"), use(w, "cr_2", "gr_1", "read", 2, 0, "10.0.0.1"), use(w, "cr_2", "gr_2", "read", 3, 0, "10.0.0.1")
			add(w, c, b, a, use(w, "cr_1", "gr_3", "read", 1, 0, "10.0.0.1"))
			same(w, "the uses", read(w, func(tx store.Tx) (map[id.ID][]credential.Use, error) {
				return tx.UsesOfGrants(w.ctx(), []id.ID{"gr_2", "gr_1", "gr_0"})
			}), map[id.ID][]credential.Use{"gr_0": nil, "gr_1": {a, b}, "gr_2": {c}})
		}},
		{"UsesOfGrantByCredential", func(w *world) {
			a, b := use(w, "cr_1", "gr_1", "read", 1, 0, "10.0.0.1"), use(w, "cr_2", "gr_1", "read", 2, 0, "10.0.0.1")
			add(w, b, a, use(w, "cr_1", "gr_2", "read", 1, 0, "10.0.0.1"))
			same(w, "the uses", read(w, func(tx store.Tx) ([]credential.Use, error) { return tx.UsesOfGrant(w.ctx(), "gr_1") }), []credential.Use{a, b})
		}},
		{"LastUsesIsTheNewestWithTheCountOfAll", func(w *world) {
			newest := use(w, "cr_1", "gr_1", "write", 2, time.Minute, "10.0.0.2")
			add(w, use(w, "cr_1", "gr_1", "read", 3, time.Hour, "10.0.0.1"), newest)
			got := read(w, func(tx store.Tx) (map[id.ID]credential.Use, error) {
				return tx.LastUses(w.ctx(), []id.ID{"cr_1", "cr_2"})
			})
			newest.Count = 5
			same(w, "the last uses", got, map[id.ID]credential.Use{"cr_1": newest})
		}},
		{"DormantByPlaceAfter", func(w *world) {
			since := w.now.Add(-24 * time.Hour)
			var want []string
			for n, c := range []struct {
				state   credential.State
				created time.Duration // ago
				used    time.Duration // ago; 0: never
				dormant bool
			}{
				{credential.Active, 48 * time.Hour, 0, true},
				{credential.Retiring, 48 * time.Hour, 36 * time.Hour, true},
				{credential.Active, time.Hour, 0, false},
				{credential.Active, 48 * time.Hour, time.Hour, false},
				{credential.Active, 48 * time.Hour, 24 * time.Hour, false},
				{credential.Revoked, 48 * time.Hour, 0, false},
				{credential.Suspended, 48 * time.Hour, 0, false},
				{credential.Active, 72 * time.Hour, 50 * time.Hour, true},
			} {
				cr := credential.Credential{ID: id.New(id.Credential, w.now), Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.APIKey,
					Name: "key", PublicID: fmt.Sprint("public ", n), Hash: w.hash(), State: c.state, Created: w.now.Add(-c.created), Expires: w.now.Add(time.Hour)}
				w.update(func(tx store.Tx) error { _, err := tx.PutCredential(w.ctx(), cr); return err })
				if c.used > 0 {
					add(w, use(w, string(cr.ID), "gr_1", "read", 1, c.used, "10.0.0.1"), use(w, string(cr.ID), "gr_1", "write", 1, c.used+time.Hour, "10.0.0.1"))
				}
				if c.dormant {
					want = append(want, string(cr.ID))
				}
			}
			slices.Sort(want[:2])
			by := read(w, func(tx store.Tx) ([]credential.Credential, error) {
				return tx.CredentialsByID(w.ctx(), []id.ID{id.ID(want[0]), "crd_x", id.ID(want[1])})
			})
			slices.SortFunc(by, func(a, b credential.Credential) int { return cmp.Compare(a.ID, b.ID) })
			if len(by) != 2 || string(by[0].ID) != want[0] || string(by[1].ID) != want[1] {
				w.Errorf("by ID there are %+v", by)
			}
			want = []string{want[2], want[0], want[1]} // the last of them was seen first
			list := func(org, app id.ID) (out []string) {
				var after credential.Place
				for {
					page := read(w, func(tx store.Tx) ([]credential.Dormant, error) { return tx.Dormant(w.ctx(), org, app, since, after, 2) })
					for _, d := range page {
						out, after = append(out, string(d.ID)), d.Place
						if d.Place.ID != d.ID || d.Place.Seen > credential.Day(since) {
							w.Errorf("%s stands at %+v", d.ID, d.Place)
						}
					}
					if len(page) == 0 {
						return out
					}
				}
			}
			same(w, "of all", list("", ""), want)
			same(w, "of the application", list("org_1", "app_1"), want)
			same(w, "of another", len(list("org_2", "")), 0)
		}},
		{"DormantWalkedInPagesWhileSomeAreUsed", func(w *world) {
			since := w.now.Add(-24 * time.Hour)
			var all []id.ID
			w.update(func(tx store.Tx) error {
				all = all[:0]
				for n := range 90 { // thirty of each of three days, in no order
					age := time.Duration(2+n*7%3)*24*time.Hour + time.Duration(n)*time.Second
					cr := credential.Credential{ID: id.New(id.Credential, w.now), Organization: "org_1", Application: "app_1", Environment: "live", Kind: credential.APIKey,
						Name: "key", PublicID: fmt.Sprint("public ", n), Hash: w.hash(), State: credential.Active, Created: w.now.Add(-age), Expires: w.now.Add(time.Hour)}
					if _, err := tx.PutCredential(w.ctx(), cr); err != nil {
						return err
					}
					all = append(all, cr.ID)
				}
				return nil
			})
			for _, limit := range []int{1, 4, 7, 30, 89} {
				used, listed := map[id.ID]bool{}, map[id.ID]int{}
				var after credential.Place
				for page := 0; ; page++ {
					ds := read(w, func(tx store.Tx) ([]credential.Dormant, error) {
						return tx.Dormant(w.ctx(), "org_1", "", since, after, limit)
					})
					if len(ds) == 0 {
						break
					}
					for _, d := range ds {
						if listed[d.ID]++; used[d.ID] || listed[d.ID] > 1 {
							w.Errorf("pages of %d: %s is listed %d times, used %t", limit, d.ID, listed[d.ID], used[d.ID])
						}
						after = d.Place
					}
					// One that was listed or is to come, and long ago: it is told of late, and stays dormant.
					now, late := all[(page*13+limit)%len(all)], all[(page*29+limit)%len(all)]
					if limit > 1 {
						used[now] = true
						add(w, use(w, string(now), "gr_1", fmt.Sprint("read", limit), 1, 0, "10.0.0.1"), use(w, string(late), "gr_1", "read", 1, 300*time.Hour, "10.0.0.1"))
					}
				}
				for _, i := range all {
					if listed[i] == 0 && !used[i] {
						w.Errorf("pages of %d: %s is not listed", limit, i)
					}
				}
				all = slices.DeleteFunc(all, func(i id.ID) bool { return used[i] })
			}
		}},
	}
}
