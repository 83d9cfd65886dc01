package storetest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/audit"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/store"
)

func (w *world) change(environment string, version int64) feed.Change {
	return feed.Change{Environment: environment, Kind: feed.KindOrganization, Key: "org_1", Version: version,
		Payload: json.RawMessage(fmt.Sprintf(`{"id":"org_1","version":%d}`, version)), Committed: w.now}
}

func (w *world) append(cs ...feed.Change) {
	w.Helper()
	w.update(func(tx store.Tx) error {
		for _, c := range cs {
			if err := tx.AppendChange(w.ctx(), c); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) unnumbered() []feed.Change {
	w.Helper()
	return read(w, func(tx store.Tx) ([]feed.Change, error) { return tx.Unnumbered(w.ctx(), 100) })
}

func (w *world) numbered(environment string, c feed.Change, after feed.Position) feed.Entry {
	e, err := feed.Seal(after, feed.Entry{Environment: environment, Epoch: 1, Kind: c.Kind, Key: c.Key, Version: c.Version, Payload: c.Payload, Committed: c.Committed},
		func(digest string) []byte { s := sha256.Sum256([]byte(digest)); return s[:] })
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func feeds() []promise {
	return []promise{
		{"UnnumberedInOrderOfCommits", func(w *world) {
			w.environments("live")
			w.append(w.change("live", 1), w.change("", 2))
			w.append(w.change("live", 3))
			got := w.unnumbered()
			same(w, "how many", len(got), 3)
			for n, c := range got {
				same(w, "version", c.Version, int64(n+1))
				want := w.change(c.Environment, c.Version)
				want.Row = c.Row
				same(w, "the row", c, want)
				if n > 0 && c.Row <= got[n-1].Row {
					w.Error("rows do not ascend")
				}
			}
			same(w, "limit", len(read(w, func(tx store.Tx) ([]feed.Change, error) { return tx.Unnumbered(w.ctx(), 2) })), 2)
		}},
		{"FeedClockIsTheOnePutLast", func(w *world) {
			err := w.s.View(w.ctx(), func(tx store.Tx) error { _, err := tx.FeedClock(w.ctx()); return err })
			if !errors.Is(err, fault.NotFound) {
				w.Errorf("before one was put: %v", err)
			}
			for _, c := range []feed.Signed{{Word: []byte(`{"at": 1}`), Signature: []byte{1, 2}}, {Word: []byte(`{"at":2 }`), Signature: []byte{3}}} {
				w.update(func(tx store.Tx) error { return tx.PutFeedClock(w.ctx(), c) })
				same(w, "the clock", read(w, func(tx store.Tx) (feed.Signed, error) { return tx.FeedClock(w.ctx()) }), c)
			}
		}},
		{"FeedOfARegionStandsApart", func(w *world) {
			w.environments("live")
			w.append(w.change("live", 1), w.change("live@eu", 2))
			rows := w.unnumbered()
			a, b := w.numbered("live", rows[0], feed.Position{}), w.numbered("live@eu", rows[0], feed.Position{})
			c := w.numbered("live@eu", rows[1], b.Position())
			w.update(func(tx store.Tx) error {
				return errors.Join(tx.Number(w.ctx(), rows[0].Row, []feed.Entry{a, b}), tx.Number(w.ctx(), rows[1].Row, []feed.Entry{c}))
			})
			list := func(name string) []feed.Entry {
				return read(w, func(tx store.Tx) ([]feed.Entry, error) { return tx.Entries(w.ctx(), name, 0, 10) })
			}
			same(w, "the environment's", list("live"), []feed.Entry{a})
			same(w, "the region's", list("live@eu"), []feed.Entry{b, c})
			same(w, "another region's", len(list("live@us")), 0)
			same(w, "heads", []feed.Position{
				read(w, func(tx store.Tx) (feed.Position, error) { return tx.Head(w.ctx(), "live") }),
				read(w, func(tx store.Tx) (feed.Position, error) { return tx.Head(w.ctx(), "live@eu") }),
				read(w, func(tx store.Tx) (feed.Position, error) { return tx.Head(w.ctx(), "live@us") }),
			}, []feed.Position{a.Position(), c.Position(), {Epoch: 1}})
			same(w, "one", read(w, func(tx store.Tx) (feed.Entry, error) { return tx.Entry(w.ctx(), "live@eu", 1) }), b)
			same(w, "the newest of it", read(w, func(tx store.Tx) (feed.Entry, error) {
				return tx.EntryOf(w.ctx(), "live@eu", feed.KindOrganization, "org_1")
			}), c)
			alone := c
			alone.Previous, alone.Digest, alone.Signature = "", "", nil
			same(w, "what an image is made of", read(w, func(tx store.Tx) ([]feed.Entry, error) { return tx.Newest(w.ctx(), "live@eu", 2, 0, 10) }), []feed.Entry{alone})
			same(w, "versions", read(w, func(tx store.Tx) ([]int64, error) { return tx.Versions(w.ctx(), "live@eu", rows[:1]) }), []int64{2})
			w.refused(fault.NotFound, func(tx store.Tx) error { return tx.AppendChange(w.ctx(), w.change("moon@eu", 1)) })
		}},
		{"AppendChangeUnknownEnvironmentIsNotFound", func(w *world) {
			w.refused(fault.NotFound, func(tx store.Tx) error { return tx.AppendChange(w.ctx(), w.change("live", 1)) })
		}},
		{"NumberTakesTheRowOut", func(w *world) {
			w.environments("live", "test")
			w.append(w.change("", 1), w.change("", 2))
			rows := w.unnumbered()
			a, b := w.numbered("live", rows[0], feed.Position{}), w.numbered("test", rows[0], feed.Position{})
			w.update(func(tx store.Tx) error { return tx.Number(w.ctx(), rows[0].Row, []feed.Entry{a, b}) })
			same(w, "what is left", w.unnumbered(), rows[1:])
			same(w, "live", read(w, func(tx store.Tx) (feed.Entry, error) { return tx.Entry(w.ctx(), "live", 1) }), a)
			same(w, "test", read(w, func(tx store.Tx) (feed.Entry, error) { return tx.Entry(w.ctx(), "test", 1) }), b)
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.Number(w.ctx(), rows[0].Row, nil) })
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.Number(w.ctx(), rows[1].Row, []feed.Entry{a}) })
			same(w, "after the refused ones", w.unnumbered(), rows[1:])
		}},
		{"HeadEntriesAndEntryOf", func(w *world) {
			w.environments("live", "test")
			head := func(environment string) func(store.Tx) (feed.Position, error) {
				return func(tx store.Tx) (feed.Position, error) { return tx.Head(w.ctx(), environment) }
			}
			same(w, "head of nothing", read(w, head("live")), feed.Position{Epoch: 1})
			failing(w, fault.NotFound, head("x"))
			var want []feed.Entry
			var at feed.Position
			for n := range 5 {
				w.append(w.change("live", int64(n+1)))
				c := w.unnumbered()[0]
				e := w.numbered("live", c, at)
				w.update(func(tx store.Tx) error { return tx.Number(w.ctx(), c.Row, []feed.Entry{e}) })
				want, at = append(want, e), e.Position()
			}
			same(w, "head", read(w, head("live")), at)
			same(w, "entries", read(w, func(tx store.Tx) ([]feed.Entry, error) { return tx.Entries(w.ctx(), "live", 0, 100) }), want)
			same(w, "a page", read(w, func(tx store.Tx) ([]feed.Entry, error) { return tx.Entries(w.ctx(), "live", 2, 2) }), want[2:4])
			same(w, "of another environment", len(read(w, func(tx store.Tx) ([]feed.Entry, error) { return tx.Entries(w.ctx(), "test", 0, 100) })), 0)
			same(w, "the newest of it", read(w, func(tx store.Tx) (feed.Entry, error) {
				return tx.EntryOf(w.ctx(), "live", feed.KindOrganization, "org_1")
			}), want[4])
			failing(w, fault.NotFound, func(tx store.Tx) (feed.Entry, error) { return tx.EntryOf(w.ctx(), "live", feed.KindGrant, "org_1") })
			failing(w, fault.NotFound, func(tx store.Tx) (feed.Entry, error) { return tx.Entry(w.ctx(), "live", 6) })
		}},
		{"ForgetLeavesPlaces", func(w *world) {
			w.environments("live", "test")
			var at feed.Position
			var es []feed.Entry
			for n := range 6 { // of three objects, two each
				c := w.change("live", int64(n+1))
				c.Key = fmt.Sprintf("org_%d", n%3)
				w.append(c)
				c = w.unnumbered()[0]
				e := w.numbered("live", c, at)
				w.update(func(tx store.Tx) error { return tx.Number(w.ctx(), c.Row, []feed.Entry{e}) })
				es, at = append(es, e), e.Position()
			}
			forget := func(through int64, before time.Time, limit, wantN int, wantDone bool) {
				w.Helper()
				w.update(func(tx store.Tx) error {
					n, done, err := tx.Forget(w.ctx(), "live", through, before, limit)
					same(w, "forgotten", n, wantN)
					same(w, "done", done, wantDone)
					return err
				})
			}
			through := func(environment string) int64 {
				return read(w, func(tx store.Tx) (int64, error) { return tx.Forgotten(w.ctx(), environment) })
			}
			later := w.now.Add(time.Second)
			forget(6, w.now, 10, 0, true) // none is so old
			same(w, "whole from", through("live"), int64(0))
			forget(6, later, 2, 2, false)
			same(w, "whole from", through("live"), int64(2))
			forget(6, later, 2, 1, false) // the third; the fourth is the newest of its object
			forget(6, later, 2, 0, false)
			forget(6, later, 2, 0, true)
			forget(6, later, 10, 0, true) // from the first again
			same(w, "whole from", through("live"), int64(3))
			same(w, "whole from, elsewhere", through("test"), int64(0))
			length := func(environment string) feed.Length {
				return read(w, func(tx store.Tx) (feed.Length, error) { return tx.Length(w.ctx(), environment) })
			}
			same(w, "how long what is left is", length("live"), feed.Length{Entries: int64(len(es) - 3), Oldest: es[3].Committed})
			same(w, "how long nothing is", length("test"), feed.Length{})
			same(w, "what is left", read(w, func(tx store.Tx) ([]feed.Entry, error) { return tx.Entries(w.ctx(), "live", 0, 100) }), es[3:])
			for _, e := range es {
				same(w, "place", read(w, func(tx store.Tx) (feed.Place, error) { return tx.Place(w.ctx(), "live", e.Seq) }), feed.Place{Position: e.Position(), Committed: e.Committed})
			}
			failing(w, fault.NotFound, func(tx store.Tx) (feed.Place, error) { return tx.Place(w.ctx(), "live", 7) })
			failing(w, fault.NotFound, func(tx store.Tx) (feed.Place, error) { return tx.Place(w.ctx(), "test", 1) })
		}},
		{"VersionsAreOfTheNewestEntry", func(w *world) {
			w.environments("live", "test")
			var at feed.Position
			var of []feed.Change
			var want []int64
			for n := range 75 { // more than one statement asks for
				c := w.change("live", int64(n%3)+2)
				c.Key = fmt.Sprintf("org_%d", n/2) // the second of each is the newest, whatever its version
				w.append(c)
				c = w.unnumbered()[0]
				e := w.numbered("live", c, at)
				w.update(func(tx store.Tx) error { return tx.Number(w.ctx(), c.Row, []feed.Entry{e}) })
				at = e.Position()
				if of = append(of, c); n%2 == 1 {
					want[len(want)-1] = c.Version
				}
				want = append(want, c.Version)
			}
			none := of[0]
			none.Kind = feed.KindGrant
			of, want = append(of, none), append(want, 0)
			versions := func(environment string) []int64 {
				return read(w, func(tx store.Tx) ([]int64, error) { return tx.Versions(w.ctx(), environment, of) })
			}
			same(w, "live", versions("live"), want)
			same(w, "test", versions("test"), make([]int64, len(of)))
		}},
		{"AddEnvironmentBeginsWithWhatAllKnow", func(w *world) {
			w.environments("live")
			other := w.change("", 1)
			other.Kind, other.Key, other.Committed = feed.KindApplication, "app_1", w.now.Add(time.Second)
			local := w.change("live", 1)
			local.Kind, local.Key = feed.KindGrant, "gr_1"
			w.append(w.change("", 1), w.change("", 3), w.change("", 2), other, local)
			for _, c := range w.unnumbered() {
				w.update(func(tx store.Tx) error { return tx.Number(w.ctx(), c.Row, nil) })
			}
			quiet := w.s.Committed()
			w.environments("test")
			select {
			case <-quiet:
			case <-w.ctx().Done():
			}
			got := w.unnumbered()
			newest := w.change("test", 3)
			newest.Row = got[0].Row
			other.Environment, other.Row = "test", got[1].Row
			same(w, "what the new environment begins with", got, []feed.Change{newest, other})
		}},
	}
}

func receipts() []promise {
	receipt := func(w *world, gateway string, seq int64) feed.Receipt {
		return feed.Receipt{Gateway: gateway, Environment: "live", Position: feed.Position{Epoch: 1, Seq: seq, Digest: fmt.Sprint("d", seq)}, Revision: 2, Desired: 3, Trouble: "t", At: w.now}
	}
	return []promise{
		{"PutReceiptKeepsTheNewest", func(w *world) {
			put := func(r feed.Receipt) {
				w.Helper()
				w.update(func(tx store.Tx) error { return tx.PutReceipt(w.ctx(), r) })
			}
			all := func() []feed.Receipt {
				return read(w, func(tx store.Tx) ([]feed.Receipt, error) { return tx.Receipts(w.ctx(), "live") })
			}
			b, a := receipt(w, "b", 5), receipt(w, "a", 7)
			put(b)
			put(a)
			same(w, "by name", all(), []feed.Receipt{a, b})
			put(receipt(w, "b", 4))
			same(w, "after an older one", all(), []feed.Receipt{a, b})
			b.At, b.Trouble = b.At.Add(time.Second), ""
			put(b)
			same(w, "after one at the same place", all(), []feed.Receipt{a, b})
			b.Position.Epoch, b.Position.Seq = 2, 1
			put(b)
			same(w, "after one of a later epoch", all(), []feed.Receipt{a, b})
			same(w, "of another environment", len(read(w, func(tx store.Tx) ([]feed.Receipt, error) { return tx.Receipts(w.ctx(), "test") })), 0)
		}},
	}
}

func (w *world) entry(action string) audit.Entry {
	return audit.New(w.now, audit.Entry{
		Actor: "staff:per_1", Action: action, Object: "gr_1", Organization: "org_1", Application: "app_1", Environment: "live", Reason: "why „not“", RequestID: "r1",
		Before: json.RawMessage(`{"a": 1}`), After: json.RawMessage("{\n\"a\":2}"),
		Personal: append(audit.Commit("name", "Ada Lovelace"), audit.Commit("address", "203.0.113.9")...),
	})
}

func (w *world) record(es ...audit.Entry) {
	w.Helper()
	w.update(func(tx store.Tx) error {
		for _, e := range es {
			if err := tx.AppendAudit(w.ctx(), e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) seal(e audit.Entry, seq int64) audit.Entry {
	w.Helper()
	w.update(func(tx store.Tx) error { return tx.Seal(w.ctx(), e.ID, seq, [][32]byte{{byte(seq)}}) })
	e.Seq = seq
	return e
}

func audits() []promise {
	unsealed := func(w *world) []audit.Entry {
		w.Helper()
		return read(w, func(tx store.Tx) ([]audit.Entry, error) { return tx.Unsealed(w.ctx(), 100) })
	}
	list := func(w *world, f audit.Filter, limit int) []audit.Entry {
		w.Helper()
		return read(w, func(tx store.Tx) ([]audit.Entry, error) { return tx.AuditEntries(w.ctx(), f, limit) })
	}
	return []promise{
		{"AppendAuditWithoutANumber", func(w *world) {
			a, b := w.entry("grant.end"), w.entry("grant.suspend")
			b.Before, b.After, b.Personal = nil, nil, nil
			w.record(a, b)
			same(w, "unsealed", unsealed(w), []audit.Entry{a, b})
			same(w, "one", read(w, func(tx store.Tx) (audit.Entry, error) { return tx.AuditEntry(w.ctx(), a.ID) }), a)
			failing(w, fault.NotFound, func(tx store.Tx) (audit.Entry, error) { return tx.AuditEntry(w.ctx(), "aud_x") })
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.AppendAudit(w.ctx(), a) })
			bad := w.entry("x.y")
			bad.Reason = "\xff"
			w.refused(fault.Invalid, func(tx store.Tx) error { return tx.AppendAudit(w.ctx(), bad) })
		}},
		{"SealOnce", func(w *world) {
			a, b := w.entry("a.b"), w.entry("a.c")
			w.record(a, b)
			a = w.seal(a, 0)
			same(w, "unsealed", unsealed(w), []audit.Entry{b})
			same(w, "the entry", read(w, func(tx store.Tx) (audit.Entry, error) { return tx.AuditEntry(w.ctx(), a.ID) }), a)
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.Seal(w.ctx(), a.ID, 1, nil) })
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.Seal(w.ctx(), b.ID, 0, nil) })
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.Seal(w.ctx(), "aud_x", 1, nil) })
		}},
		{"TreeHashesByIndex", func(w *world) {
			var es []audit.Entry
			for range 4 {
				es = append(es, w.entry("a.b"))
			}
			w.record(es...)
			var want [][32]byte
			for n, e := range es {
				var hs [][32]byte
				for k := range tlog.StoredHashCount(int64(n)+1) - tlog.StoredHashCount(int64(n)) {
					hs = append(hs, [32]byte{byte(n), byte(k), 9})
				}
				want = append(want, hs...)
				w.update(func(tx store.Tx) error { return tx.Seal(w.ctx(), e.ID, int64(n), hs) })
			}
			got := read(w, func(tx store.Tx) ([][32]byte, error) { return tx.TreeHashes(w.ctx(), []int64{6, 0, 3}) })
			same(w, "hashes", got, [][32]byte{want[6], want[0], want[3]})
			failing(w, fault.NotFound, func(tx store.Tx) ([][32]byte, error) { return tx.TreeHashes(w.ctx(), []int64{0, 7}) })
		}},
		{"CheckpointIsTheNewest", func(w *world) {
			newest := func(tx store.Tx) (string, error) { return tx.Checkpoint(w.ctx()) }
			same(w, "none", read(w, newest), "")
			for _, n := range []int64{1, 5, 9} {
				w.update(func(tx store.Tx) error { return tx.PutCheckpoint(w.ctx(), n, fmt.Sprint("note ", n, "\n"), w.now) })
			}
			same(w, "newest", read(w, newest), "note 9\n")
			got := read(w, func(tx store.Tx) ([]string, error) { return tx.Checkpoints(w.ctx(), 1, 10) })
			same(w, "larger than 1", got, []string{"note 5\n", "note 9\n"})
			w.refused(fault.Conflict, func(tx store.Tx) error { return tx.PutCheckpoint(w.ctx(), 9, "other", w.now) })
		}},
		{"SealedInOrder", func(w *world) {
			const n = 1203
			es := make([]audit.Entry, n)
			for i := range es {
				es[i] = w.entry("a.b")
				es[i].Personal = nil
			}
			w.record(es...)
			w.update(func(tx store.Tx) error {
				for i, e := range slices.Backward(es) { // the number counts, not the order of writing
					if err := tx.Seal(w.ctx(), e.ID, int64(i), nil); err != nil {
						return err
					}
				}
				return nil
			})
			next := int64(3)
			w.view(func(tx store.Tx) error {
				return tx.Sealed(w.ctx(), next, func(e audit.Entry) error {
					if e.Seq != next || e.ID != es[next].ID {
						return fmt.Errorf("entry %d comes when %d should", e.Seq, next)
					}
					next++
					return nil
				})
			})
			same(w, "how many", next, n)
			seen := 0
			err := w.s.View(w.ctx(), func(tx store.Tx) error {
				return tx.Sealed(w.ctx(), 0, func(audit.Entry) error { seen++; return errMine })
			})
			if err != errMine || seen != 1 {
				w.Errorf("it went on after an error: %v, %d", err, seen)
			}
		}},
		{"AuditEntriesNewestFirst", func(w *world) {
			var es []audit.Entry
			for n := range 6 {
				e := w.entry([]string{"grant.end", "grant.suspend", "credential.revoke"}[n%3])
				e.Object, e.Organization = id.ID(fmt.Sprint("gr_", n%2)), id.ID(fmt.Sprint("org_", n/3))
				es = append(es, e)
			}
			w.record(es...)
			for n := range 4 {
				es[n] = w.seal(es[n], int64(n))
			}
			pick := func(ns ...int) (out []audit.Entry) {
				for _, n := range ns {
					out = append(out, es[n])
				}
				return out
			}
			same(w, "all", list(w, audit.Filter{}, 100), pick(5, 4, 3, 2, 1, 0))
			same(w, "the newest", list(w, audit.Filter{}, 3), pick(5, 4, 3))
			same(w, "before", list(w, audit.Filter{Before: 3}, 2), pick(2, 1))
			same(w, "before the first", list(w, audit.Filter{Before: 1}, 2), pick(0))
			same(w, "action", list(w, audit.Filter{Action: "grant."}, 100), pick(4, 3, 1, 0))
			same(w, "no pattern", list(w, audit.Filter{Action: "%"}, 100), nil)
			same(w, "object", list(w, audit.Filter{Object: "gr_1"}, 100), pick(5, 3, 1))
			same(w, "organization and object", list(w, audit.Filter{Organization: "org_0", Object: "gr_0"}, 100), pick(2, 0))
			same(w, "application", len(list(w, audit.Filter{Application: "app_2"}, 100)), 0)
			same(w, "actor", len(list(w, audit.Filter{Actor: "staff:per_1"}, 100)), 6)
		}},
		{"ErasePersonalOfActorsObjectsAndValues", erasesOf},
		{"ErasePersonalLeavesCommitments", func(w *world) {
			a, b := w.entry("a.b"), w.entry("a.c")
			w.record(a, b)
			n := written(w, func(tx store.Tx) (int, error) { return tx.ErasePersonal(w.ctx(), a.ID) })
			same(w, "how many", n, 2)
			for i := range a.Personal {
				a.Personal[i].Value, a.Personal[i].Salt = "", nil
			}
			same(w, "what is left", unsealed(w), []audit.Entry{a, b})
		}},
	}
}
