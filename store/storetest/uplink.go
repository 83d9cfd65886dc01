package storetest

import (
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/store"
)

func uplinks() []promise {
	take := func(w *world, b feed.Batch, at time.Time) (fresh bool) {
		w.Helper()
		w.update(func(tx store.Tx) (err error) { fresh, err = tx.TakeBatch(w.ctx(), b, at); return err })
		return fresh
	}
	batch := func(gateway, life string, number int64) feed.Batch {
		return feed.Batch{Environment: "live", Gateway: gateway, Kind: feed.BatchUses, Life: life, Number: number}
	}
	return []promise{
		{"TakeBatchIsFreshOnce", func(w *world) {
			for _, c := range []struct {
				b     feed.Batch
				fresh bool
			}{
				{batch("a", "1", 1), true}, {batch("a", "1", 1), false}, {batch("a", "1", 2), true}, {batch("a", "1", 1), false},
				{batch("b", "1", 1), true}, {batch("a", "2", 1), true}, {batch("a", "1", 3), true}, {batch("a", "1", 3), false},
			} {
				same(w, "whether it is fresh", take(w, c.b, w.now), c.fresh)
			}
			other := batch("a", "1", 1)
			other.Kind = "another"
			same(w, "of another kind", take(w, other, w.now), true)
		}},
		{"TakeBatchLeavesNoNumberOut", func(w *world) {
			take(w, batch("a", "1", 1), w.now)
			err := w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.TakeBatch(w.ctx(), batch("a", "1", 3), w.now); return err })
			if !errors.Is(err, fault.Conflict) {
				w.Errorf("a number was left out: %v", err)
			}
			same(w, "the one that was left out", take(w, batch("a", "1", 2), w.now), true)
		}},
		{"TakeBatchOfATransactionThatFailedIsFreshAgain", func(w *world) {
			failed := errors.New("no")
			if err := w.s.Update(w.ctx(), func(tx store.Tx) error {
				_, err := tx.TakeBatch(w.ctx(), batch("a", "1", 1), w.now)
				return errors.Join(err, failed)
			}); !errors.Is(err, failed) {
				w.Fatal(err)
			}
			same(w, "whether it is fresh", take(w, batch("a", "1", 1), w.now), true)
		}},
	}
}
