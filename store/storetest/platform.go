package storetest

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/session"
	"gatehouse/store"
)

func (w *world) environments(names ...string) {
	w.Helper()
	for _, n := range names {
		w.update(func(tx store.Tx) error { _, err := tx.AddEnvironment(w.ctx(), n, w.now); return err })
	}
}

func environments() []promise {
	return []promise{
		{"AddEnvironmentAfterAllOthers", func(w *world) {
			w.environments("live", "test", "a-b-1")
			got := read(w, func(tx store.Tx) ([]env.Environment, error) { return tx.Environments(w.ctx()) })
			same(w, "environments", got, []env.Environment{
				{Name: "live", Order: 0, Created: w.now, Epoch: 1}, {Name: "test", Order: 1, Created: w.now, Epoch: 1}, {Name: "a-b-1", Order: 2, Created: w.now, Epoch: 1},
			})
			w.refused(fault.Conflict, func(tx store.Tx) error { _, err := tx.AddEnvironment(w.ctx(), "test", w.now); return err })
			w.refused(fault.Invalid, func(tx store.Tx) error { _, err := tx.AddEnvironment(w.ctx(), "Live", w.now); return err })
		}},
		{"SetRegionsReplaces", func(w *world) {
			w.environments("live", "test")
			want := []env.Region{{Name: "eu", Added: w.now, Ready: true}, {Name: "us", Added: w.now}}
			w.update(func(tx store.Tx) error { return tx.SetRegions(w.ctx(), "live", want) })
			got := read(w, func(tx store.Tx) ([]env.Environment, error) { return tx.Environments(w.ctx()) })
			same(w, "regions", got[0].Regions, want)
			same(w, "of another one", len(got[1].Regions), 0)
			w.update(func(tx store.Tx) error { return tx.SetRegions(w.ctx(), "live", nil) })
			same(w, "none", len(read(w, func(tx store.Tx) ([]env.Environment, error) { return tx.Environments(w.ctx()) })[0].Regions), 0)
			w.refused(fault.NotFound, func(tx store.Tx) error { return tx.SetRegions(w.ctx(), "x", want) })
		}},
		{"RaiseEpochByOne", func(w *world) {
			w.environments("live", "test")
			same(w, "epoch", written(w, func(tx store.Tx) (int64, error) { return tx.RaiseEpoch(w.ctx(), "live") }), 2)
			same(w, "epoch", written(w, func(tx store.Tx) (int64, error) { return tx.RaiseEpoch(w.ctx(), "live") }), 3)
			got := read(w, func(tx store.Tx) ([]env.Environment, error) { return tx.Environments(w.ctx()) })
			same(w, "epochs", []int64{got[0].Epoch, got[1].Epoch}, []int64{3, 1})
			w.refused(fault.NotFound, func(tx store.Tx) error { _, err := tx.RaiseEpoch(w.ctx(), "x"); return err })
		}},
	}
}

func revisions() []promise {
	add := func(w *world, environment string) env.Revision {
		w.Helper()
		return written(w, func(tx store.Tx) (env.Revision, error) {
			return tx.AddRevision(w.ctx(), env.Revision{Environment: environment, Digest: "sha256:…", Bundle: []byte{0, 1, 0xff}, By: "per_1", At: w.now, Note: "n"})
		})
	}
	return []promise{
		{"AddRevisionNumbersFromOne", func(w *world) {
			w.environments("live", "test")
			for n := range 3 {
				same(w, "number", add(w, "live").Number, int64(n+1))
			}
			same(w, "number in another environment", add(w, "test").Number, 1)
			got := read(w, func(tx store.Tx) ([]env.Environment, error) { return tx.Environments(w.ctx()) })
			same(w, "newest", []int64{got[0].Revision, got[1].Revision}, []int64{3, 1})
			w.refused(fault.NotFound, func(tx store.Tx) error { _, err := tx.AddRevision(w.ctx(), env.Revision{Environment: "x"}); return err })
		}},
		{"AddRevisionInParallelWithoutGaps", func(w *world) {
			w.environments("live")
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { add(w, "live") })
			}
			wg.Wait()
			got := read(w, func(tx store.Tx) ([]env.Revision, error) { return tx.Revisions(w.ctx(), "live", 0, 100) })
			for n, r := range got {
				same(w, "number", r.Number, int64(20-n))
			}
			same(w, "how many", len(got), 20)
		}},
		{"RevisionNewestByZero", func(w *world) {
			w.environments("live")
			get := func(n int64) func(store.Tx) (env.Revision, error) {
				return func(tx store.Tx) (env.Revision, error) { return tx.Revision(w.ctx(), "live", n) }
			}
			failing(w, fault.NotFound, get(0))
			first, second := add(w, "live"), add(w, "live")
			same(w, "newest", read(w, get(0)), second)
			same(w, "first", read(w, get(1)), first)
			if !bytes.Equal(read(w, get(1)).Bundle, []byte{0, 1, 0xff}) {
				w.Error("the bundle is another one")
			}
			failing(w, fault.NotFound, get(3))
			failing(w, fault.NotFound, get(-1))
		}},
		{"RevisionsNewestFirstWithoutBundles", func(w *world) {
			w.environments("live")
			for range 5 {
				add(w, "live")
			}
			var numbers []int64
			before := int64(0)
			for {
				page := read(w, func(tx store.Tx) ([]env.Revision, error) { return tx.Revisions(w.ctx(), "live", before, 2) })
				for _, r := range page {
					numbers = append(numbers, r.Number)
					before = r.Number
					if r.Bundle != nil {
						w.Error("a list has bundles")
					}
				}
				if len(page) < 2 {
					break
				}
			}
			same(w, "numbers", numbers, []int64{5, 4, 3, 2, 1})
		}},
	}
}

func outbox() []promise {
	add := func(w *world, n int) mail.Letter {
		w.Helper()
		l := mail.Letter{To: "a@example.org", Subject: fmt.Sprint("letter ", n), Text: "line\nline\n", At: w.now}
		w.update(func(tx store.Tx) error { return tx.AddLetter(w.ctx(), l) })
		return l
	}
	claim := func(w *world, now time.Time, limit int) []store.Posted {
		w.Helper()
		return written(w, func(tx store.Tx) ([]store.Posted, error) { return tx.ClaimLetters(w.ctx(), now, time.Minute, limit) })
	}
	return []promise{
		{"ClaimLettersOldestFirst", func(w *world) {
			a, b := add(w, 1), add(w, 2)
			add(w, 3)
			got := claim(w, w.now, 2)
			same(w, "letters", []mail.Letter{got[0].Letter, got[1].Letter}, []mail.Letter{a, b})
			same(w, "tries", got[0].Tries, 1)
		}},
		{"ClaimLettersForALease", func(w *world) {
			add(w, 1)
			first := claim(w, w.now, 10)
			same(w, "how many", len(first), 1)
			same(w, "within the lease", len(claim(w, w.now.Add(time.Minute-time.Microsecond), 10)), 0)
			again := claim(w, w.now.Add(time.Minute), 10)
			same(w, "after the lease", len(again), 1)
			same(w, "the same one", again[0].ID, first[0].ID)
			same(w, "tries", again[0].Tries, 2)
		}},
		{"ClaimLettersToOneOfMany", func(w *world) {
			const letters = 40
			for n := range letters {
				add(w, n)
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			taken := map[int64]int{}
			for range 8 {
				wg.Go(func() {
					for {
						got := claim(w, w.now, 3)
						mu.Lock()
						for _, p := range got {
							taken[p.ID]++
						}
						mu.Unlock()
						if len(got) == 0 {
							return
						}
					}
				})
			}
			wg.Wait()
			same(w, "how many", len(taken), letters)
			for i, n := range taken {
				if n != 1 {
					w.Errorf("letter %d was taken %d times", i, n)
				}
			}
		}},
		{"LetterSentRemovesIt", func(w *world) {
			add(w, 1)
			p := claim(w, w.now, 1)[0]
			for range 2 {
				w.update(func(tx store.Tx) error { return tx.LetterSent(w.ctx(), p.ID) })
			}
			same(w, "what is left", len(claim(w, w.now.Add(time.Hour), 1)), 0)
		}},
		{"LetterFailedTriesAgainThen", func(w *world) {
			add(w, 1)
			p := claim(w, w.now, 1)[0]
			again := w.now.Add(time.Hour)
			w.update(func(tx store.Tx) error { return tx.LetterFailed(w.ctx(), p.ID, "connection refused", again) })
			same(w, "before", len(claim(w, again.Add(-time.Microsecond), 1)), 0)
			same(w, "then", len(claim(w, again, 1)), 1)
		}},
		{"LetterFailedForGood", func(w *world) {
			add(w, 1)
			p := claim(w, w.now, 1)[0]
			w.update(func(tx store.Tx) error { return tx.LetterFailed(w.ctx(), p.ID, "no such address", time.Time{}) })
			same(w, "ever", len(claim(w, w.now.Add(1000*time.Hour), 1)), 0)
		}},
		{"GivenUpByIDAfter", func(w *world) {
			for n := range 5 {
				add(w, n)
			}
			var want []int64
			for _, p := range claim(w, w.now, 4) {
				again := w.now.Add(time.Hour)
				if p.ID%2 == 0 {
					again = time.Time{}
					want = append(want, p.ID)
				}
				w.update(func(tx store.Tx) error { return tx.LetterFailed(w.ctx(), p.ID, "no such address", again) })
			}
			list := func(after int64, limit int) []store.Posted {
				return read(w, func(tx store.Tx) ([]store.Posted, error) { return tx.GivenUp(w.ctx(), after, limit) })
			}
			var got []int64
			for _, p := range list(0, 10) {
				got = append(got, p.ID)
				same(w, "why", p.Problem, "no such address")
			}
			same(w, "letters", got, want)
			same(w, "after the first", len(list(want[0], 10)), len(want)-1)
			same(w, "a page", len(list(0, 1)), 1)
		}},
		{"AddLetterUndoneIsNotSent", func(w *world) {
			err := w.s.Update(w.ctx(), func(tx store.Tx) error {
				if err := tx.AddLetter(w.ctx(), mail.Letter{To: "a@example.org", At: w.now}); err != nil {
					return err
				}
				return errMine
			})
			if err != errMine {
				w.Fatal(err)
			}
			same(w, "letters", len(claim(w, w.now, 1)), 0)
		}},
	}
}

func once() []promise {
	do := func(w *world, person id.ID, form string, object id.ID) id.ID {
		w.Helper()
		return written(w, func(tx store.Tx) (id.ID, error) { return tx.Once(w.ctx(), person, form, object, w.now) })
	}
	return []promise{
		{"OnceTellsWhatTheFirstMade", func(w *world) {
			same(w, "first", do(w, "per_1", "k", "app_1"), "")
			same(w, "again", do(w, "per_1", "k", "app_2"), "app_1")
			same(w, "another person", do(w, "per_2", "k", "app_3"), "")
			same(w, "another form", do(w, "per_1", "l", "app_4"), "")
		}},
		{"OnceObjectSetLater", func(w *world) {
			w.update(func(tx store.Tx) error {
				for _, o := range []id.ID{"", "app_1"} {
					made, err := tx.Once(w.ctx(), "per_1", "k", o, w.now)
					if err != nil || made != "" {
						return fmt.Errorf("got %q, %v", made, err)
					}
				}
				return nil
			})
			same(w, "again", do(w, "per_1", "k", ""), "app_1")
		}},
		{"OnceWithoutAKeyIsAlwaysTheFirst", func(w *world) {
			same(w, "first", do(w, "per_1", "", "app_1"), "")
			same(w, "second", do(w, "per_1", "", "app_1"), "")
		}},
		{"OnceInParallelMakesOne", func(w *world) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			made := map[id.ID]int{}
			for n := range 12 {
				wg.Go(func() {
					mine := id.ID(fmt.Sprint("app_", n))
					err := w.s.Update(w.ctx(), func(tx store.Tx) error {
						had, err := tx.Once(w.ctx(), "per_1", "k", "", w.now)
						if err != nil {
							return err
						}
						if had == "" {
							if _, err = tx.Once(w.ctx(), "per_1", "k", mine, w.now); err != nil {
								return err
							}
							had = mine
						}
						mu.Lock()
						made[had]++
						mu.Unlock()
						return nil
					})
					if err != nil {
						w.Error(err)
					}
				})
			}
			wg.Wait()
			same(w, "objects", len(made), 1)
		}},
	}
}

func sweep() []promise {
	return []promise{
		{"SweepRemovesWhatIsOver", func(w *world) {
			live := session.Session{ID: "ses_1", Hash: w.hash(), Person: "per_1", Created: w.now, LastSeen: w.now, Expires: w.now.Add(time.Hour)}
			over, idle := live, live
			over.ID, over.Hash, over.Expires = "ses_2", w.hash(), w.now
			idle.ID, idle.Hash, idle.LastSeen = "ses_3", w.hash(), w.now.Add(-session.Idle)
			link := identity.Link{Hash: w.hash(), Purpose: identity.SignInLink, Person: "per_1", Created: w.now, Expires: w.now.Add(time.Hour)}
			device := identity.Device{Hash: w.hash(), UserCode: "A", Created: w.now, Expires: w.now.Add(time.Hour)}
			gone := identity.Device{Hash: w.hash(), UserCode: "B", Created: w.now, Expires: w.now}
			w.update(func(tx store.Tx) error {
				for _, s := range []session.Session{live, over, idle} {
					if err := tx.AddSession(w.ctx(), s); err != nil {
						return err
					}
				}
				for _, d := range []identity.Device{device, gone} {
					if err := tx.AddDevice(w.ctx(), d); err != nil {
						return err
					}
				}
				if _, err := tx.Once(w.ctx(), "per_1", "old", "app_1", w.now.Add(-30*24*time.Hour)); err != nil {
					return err
				}
				if _, err := tx.Once(w.ctx(), "per_1", "new", "app_1", w.now); err != nil {
					return err
				}
				return tx.AddLink(w.ctx(), link)
			})
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), w.now) })
			same(w, "sessions", read(w, func(tx store.Tx) ([]session.Session, error) { return tx.SessionsOf(w.ctx(), "per_1") }), []session.Session{live})
			same(w, "the device", read(w, func(tx store.Tx) (identity.Device, error) { return tx.DeviceByHash(w.ctx(), device.Hash) }), device)
			failing(w, fault.NotFound, func(tx store.Tx) (identity.Device, error) { return tx.DeviceByHash(w.ctx(), gone.Hash) })
			w.update(func(tx store.Tx) error { _, err := tx.UseLink(w.ctx(), link.Hash, link.Purpose, w.now); return err })
			same(w, "an old form", written(w, func(tx store.Tx) (id.ID, error) { return tx.Once(w.ctx(), "per_1", "old", "app_2", w.now) }), "")
			same(w, "a new form", written(w, func(tx store.Tx) (id.ID, error) { return tx.Once(w.ctx(), "per_1", "new", "app_2", w.now) }), "app_1")
		}},
	}
}
