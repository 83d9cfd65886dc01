package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

func factors() []promise {
	count := func(w *world) int {
		w.Helper()
		return read(w, func(tx store.Tx) (int, error) { return tx.CountRecoveryCodes(w.ctx(), "per_1") })
	}
	put := func(w *world, hashes ...secret.Hash) {
		w.Helper()
		w.update(func(tx store.Tx) error { return tx.PutRecoveryCodes(w.ctx(), "per_1", hashes) })
	}
	use := func(w *world, h secret.Hash) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { return tx.UseRecoveryCode(w.ctx(), "per_1", h) })
	}
	return []promise{
		{"PutAuthenticatorReplaces", func(w *world) {
			of := func(tx store.Tx) (identity.Authenticator, error) { return tx.Authenticator(w.ctx(), "per_1") }
			failing(w, fault.NotFound, of)
			a := identity.Authenticator{Person: "per_1", Secret: "sealed:x", Created: w.now}
			b := identity.Authenticator{Person: "per_1", Secret: "sealed:y", Created: w.now.Add(time.Second), Confirmed: w.now.Add(time.Minute), Step: 58_000_000}
			for _, one := range []identity.Authenticator{a, b} {
				w.update(func(tx store.Tx) error { return tx.PutAuthenticator(w.ctx(), one) })
				same(w, "the app", read(w, of), one)
			}
			w.update(func(tx store.Tx) error { return tx.DropAuthenticator(w.ctx(), "per_2") })
			same(w, "after another's was dropped", read(w, of), b)
			w.update(func(tx store.Tx) error { return tx.DropAuthenticator(w.ctx(), "per_1") })
			failing(w, fault.NotFound, of)
		}},
		{"UseRecoveryCodeOnce", func(w *world) {
			a, b := w.hash(), w.hash()
			put(w, a, b)
			w.update(func(tx store.Tx) error { return tx.PutRecoveryCodes(w.ctx(), "per_2", []secret.Hash{w.hash()}) })
			if err := use(w, a); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Gone, use(w, a))
			w.is(fault.Gone, use(w, w.hash()))
			same(w, "left", count(w), 1)
		}},
		{"PutRecoveryCodesReplacesAll", func(w *world) {
			a, b := w.hash(), w.hash()
			put(w, a)
			put(w, b)
			w.is(fault.Gone, use(w, a))
			same(w, "left", count(w), 1)
			put(w)
			same(w, "after none were set", count(w), 0)
		}},
	}
}

func ceremonies() []promise {
	add := func(w *world) identity.Ceremony {
		w.Helper()
		c := identity.Ceremony{Hash: w.hash(), Purpose: "second-factor", Person: "per_1", Data: `{"a":1}`, Created: w.now, Expires: w.now.Add(time.Minute)}
		w.update(func(tx store.Tx) error { return tx.AddCeremony(w.ctx(), c) })
		return c
	}
	take := func(w *world, h secret.Hash, p identity.CeremonyPurpose, now time.Time) error {
		return w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.TakeCeremony(w.ctx(), h, p, now); return err })
	}
	return []promise{
		{"CeremonyIsThereUntilItIsTaken", func(w *world) {
			c := add(w)
			of := func(tx store.Tx) (identity.Ceremony, error) { return tx.Ceremony(w.ctx(), c.Hash, c.Purpose, w.now) }
			same(w, "the ceremony", read(w, of), c)
			same(w, "what was taken", written(w, func(tx store.Tx) (identity.Ceremony, error) {
				return tx.TakeCeremony(w.ctx(), c.Hash, c.Purpose, w.now)
			}), c)
			failing(w, fault.Gone, of)
			w.is(fault.Gone, take(w, c.Hash, c.Purpose, w.now))
		}},
		{"TakeCeremonyOfItsPurposeAndTime", func(w *world) {
			c := add(w)
			w.is(fault.Gone, take(w, c.Hash, "another", w.now))
			w.is(fault.Gone, take(w, c.Hash, c.Purpose, c.Expires))
			w.is(fault.Gone, take(w, w.hash(), c.Purpose, w.now))
			if err := take(w, c.Hash, c.Purpose, c.Expires.Add(-time.Microsecond)); err != nil {
				w.Error(err)
			}
		}},
		{"TakeCeremonyAtMostOnceInParallel", func(w *world) {
			c := add(w)
			var won atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if take(w, c.Hash, c.Purpose, w.now) == nil {
						won.Add(1)
					}
				})
			}
			wg.Wait()
			same(w, "how many took it", won.Load(), 1)
		}},
		{"SweepRemovesCeremoniesThatAreOver", func(w *world) {
			c := add(w)
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), c.Expires) })
			failing(w, fault.Gone, func(tx store.Tx) (identity.Ceremony, error) { return tx.Ceremony(w.ctx(), c.Hash, c.Purpose, w.now) })
		}},
	}
}
