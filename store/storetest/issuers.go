package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/store"
)

func issuers() []promise {
	denied := func(w *world, environment string, mark secret.Hash) bool {
		return read(w, func(tx store.Tx) (bool, error) { return tx.Denied(w.ctx(), environment, mark) })
	}
	return []promise{
		{"PutIssuerVersions", func(w *world) {
			i := credential.Issuer{Environment: "live", URL: "https://a.example/oauth/live", Audience: "https://api.example",
				Keys: []credential.SigningKey{{ID: "k1", Number: 1, Public: []byte(`{"kty":"EC"}`), From: w.now}}}
			read := func(tx store.Tx) (credential.Issuer, error) { return tx.Issuer(w.ctx(), "live") }
			versions(w, i, func(i *credential.Issuer) *int64 { return &i.Version },
				func(i *credential.Issuer) { i.Audience, i.Keys = "https://b.example", append(i.Keys, i.Keys[0]) },
				func(tx store.Tx, i credential.Issuer) (credential.Issuer, error) { return tx.PutIssuer(w.ctx(), i) }, read)
		}},
		{"BindWorkloadToOneAtATime", func(w *world) {
			mark, other := w.hash(), w.hash()
			bind := func(m secret.Hash, was, next id.ID) error {
				return w.s.Update(w.ctx(), func(tx store.Tx) error { return tx.BindWorkload(w.ctx(), m, was, next) })
			}
			of := func(m secret.Hash) (i id.ID, err error) {
				err = w.s.View(w.ctx(), func(tx store.Tx) (err error) { i, err = tx.WorkloadOf(w.ctx(), m); return err })
				return i, err
			}
			if _, err := of(mark); !errors.Is(err, fault.NotFound) {
				w.Errorf("before it is bound: %v", err)
			}
			for n, step := range []struct {
				mark      secret.Hash
				was, next id.ID
				taken     bool
				now       id.ID
			}{
				{mark, "", "crd_1", false, "crd_1"},
				{mark, "", "crd_2", true, "crd_1"},
				{mark, "crd_3", "crd_2", true, "crd_1"},
				{mark, "crd_1", "crd_2", false, "crd_2"},
				{mark, "crd_1", "crd_3", true, "crd_2"},
				{other, "", "crd_1", false, "crd_1"},
			} {
				if err := bind(step.mark, step.was, step.next); errors.Is(err, fault.Conflict) != step.taken || err != nil && !step.taken {
					w.Errorf("step %d: %v", n, err)
				}
				if now, err := of(step.mark); now != step.now || err != nil {
					w.Errorf("step %d: it stands for %s, want %s (%v)", n, now, step.now, err)
				}
			}
		}},
		{"DenyUntilItEnds", func(w *world) {
			mark := w.hash()
			d := credential.Denial{Environment: "live", Mark: mark, Expires: w.now.Add(time.Minute)}
			w.update(func(tx store.Tx) error { return tx.Deny(w.ctx(), d) })
			w.update(func(tx store.Tx) error { return tx.Deny(w.ctx(), d) })
			if !denied(w, "live", mark) || denied(w, "test", mark) || denied(w, "live", w.hash()) {
				w.Error("the wrong tokens are denied")
			}
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), w.now) })
			if !denied(w, "live", mark) {
				w.Error("it is forgotten before the token ends")
			}
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), w.now.Add(time.Minute)) })
			if denied(w, "live", mark) {
				w.Error("it is never forgotten")
			}
		}},
		{"TakeEachMarkOnce", func(w *world) {
			mark := w.hash()
			take := func(mark secret.Hash, now time.Time) (ok bool) {
				w.update(func(tx store.Tx) (err error) {
					ok, err = tx.Take(w.ctx(), mark, now.Add(time.Minute), now)
					return err
				})
				return ok
			}
			if !take(mark, w.now) || take(mark, w.now) || take(mark, w.now.Add(59*time.Second)) || !take(w.hash(), w.now) {
				w.Error("a mark is taken twice, or another one not")
			}
			if !take(mark, w.now.Add(time.Minute)) || take(mark, w.now.Add(61*time.Second)) {
				w.Error("a mark that has expired is not taken, or twice")
			}
		}},
		{"TakeAtOneTimeTellsOne", func(w *world) {
			mark := w.hash()
			var first atomic.Int64
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					ok := false
					err := w.s.Update(w.ctx(), func(tx store.Tx) (err error) {
						ok, err = tx.Take(w.ctx(), mark, w.now.Add(time.Minute), w.now)
						return err
					})
					if err != nil {
						w.Error(err)
					}
					if ok {
						first.Add(1)
					}
				})
			}
			wg.Wait()
			if n := first.Load(); n != 1 {
				w.Errorf("%d were told that they took it, want 1", n)
			}
		}},
		{"SweepMarksThatExpired", func(w *world) {
			sweep := func(now time.Time, limit int) (n int) {
				w.update(func(tx store.Tx) (err error) {
					n, err = tx.SweepMarks(w.ctx(), now, limit)
					return err
				})
				return n
			}
			w.update(func(tx store.Tx) error {
				for range 5 {
					if _, err := tx.Take(w.ctx(), w.hash(), w.now.Add(time.Minute), w.now); err != nil {
						return err
					}
				}
				return nil
			})
			soon := w.now.Add(time.Minute)
			if n := sweep(w.now, 10); n != 0 {
				w.Errorf("%d are forgotten before they expire", n)
			}
			if a, b, c := sweep(soon, 3), sweep(soon, 3), sweep(soon, 3); a != 3 || b != 2 || c != 0 {
				w.Errorf("%d, %d and %d are forgotten, want 3, 2 and 0", a, b, c)
			}
		}},
	}
}
