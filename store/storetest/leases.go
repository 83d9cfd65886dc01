package storetest

import (
	"errors"
	"sync"
	"sync/atomic"

	"gatehouse/fault"
	"gatehouse/store"
)

func leases() []promise {
	lease := func(w *world) store.Lease {
		return read(w, func(tx store.Tx) (store.Lease, error) { return tx.Lease(w.ctx(), "duty") })
	}
	take := func(w *world, seen store.Lease, holder string) (l store.Lease, err error) {
		err = w.s.Update(w.ctx(), func(tx store.Tx) (err error) {
			l, err = tx.TakeLease(w.ctx(), seen, holder, "keys")
			return err
		})
		return l, err
	}
	return []promise{
		{"LeaseThatNobodyHad", func(w *world) { same(w, "the lease", lease(w), store.Lease{Name: "duty"}) }},
		{"TakeLeaseTokenGrowsWithTheHolderBeatAlways", func(w *world) {
			for _, want := range []store.Lease{
				{Name: "duty", Holder: "a", Mark: "keys", Token: 1, Beat: 1},
				{Name: "duty", Holder: "a", Mark: "keys", Token: 1, Beat: 2},
				{Name: "duty", Holder: "b", Mark: "keys", Token: 2, Beat: 3},
				{Name: "duty", Holder: "", Mark: "keys", Token: 3, Beat: 4},
				{Name: "duty", Holder: "b", Mark: "keys", Token: 4, Beat: 5},
			} {
				got, err := take(w, lease(w), want.Holder)
				if err != nil {
					w.Fatal(err)
				}
				same(w, "taken", got, want)
				same(w, "stored", lease(w), want)
			}
		}},
		{"TakeLeaseThatStandsOtherwiseIsStale", func(w *world) {
			first, err := take(w, lease(w), "a")
			if err != nil {
				w.Fatal(err)
			}
			if _, err := take(w, first, "b"); err != nil {
				w.Fatal(err)
			}
			for _, seen := range []store.Lease{{Name: "duty"}, first} {
				if _, err := take(w, seen, "a"); !errors.Is(err, fault.Stale) {
					w.Errorf("%+v: %v", seen, err)
				}
			}
			same(w, "the holder", lease(w).Holder, "b")
		}},
		{"TakeLeaseOfManyOneGetsIt", func(w *world) {
			for range 5 {
				seen := lease(w)
				var got atomic.Int32
				var wg sync.WaitGroup
				for _, holder := range []string{"a", "b", "c", "d"} {
					wg.Go(func() {
						switch _, err := take(w, seen, holder); {
						case err == nil:
							got.Add(1)
						case !errors.Is(err, fault.Stale):
							w.Error(err)
						}
					})
				}
				wg.Wait()
				same(w, "who got it", got.Load(), int32(1))
			}
		}},
	}
}
