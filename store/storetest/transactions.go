package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/store"
)

func (w *world) organization(name string) organization.Organization {
	return organization.Organization{ID: id.New(id.Organization, w.now), Name: name, State: organization.Registered, Created: w.now}
}

func (w *world) put(o organization.Organization) organization.Organization {
	w.Helper()
	return written(w, func(tx store.Tx) (organization.Organization, error) { return tx.PutOrganization(w.ctx(), o) })
}

func (w *world) has(i id.ID) bool {
	w.Helper()
	err := w.s.View(w.ctx(), func(tx store.Tx) error { _, err := tx.Organization(w.ctx(), i); return err })
	if err != nil && !errors.Is(err, fault.NotFound) {
		w.Fatal(err)
	}
	return err == nil
}

var errMine = errors.New("mine")

func transactions() []promise {
	return []promise{
		{"IdentitiesIsAnotherAfterWhatChangesThem", func(w *world) {
			before := w.s.Identities()
			person := func(tx store.Tx) (identity.Person, error) {
				return tx.PutPerson(w.ctx(), identity.Person{ID: id.New(id.Person, w.now), Class: identity.Staff, Email: "ada@example.org", Name: "Ada", State: identity.Active, Created: w.now})
			}
			p := written(w, person)
			after := w.s.Identities()
			if before == 0 && after == 0 && !w.s.Alone() {
				return // others may change them
			}
			if before == 0 || after == before {
				w.Errorf("it is %d after a person was put, and was %d", after, before)
			}
			w.put(w.organization("A"))
			same(w, "after an organization was put", w.s.Identities(), after)
			w.update(func(tx store.Tx) error { _, err := tx.EndSessionsOf(w.ctx(), p.ID, ""); return err })
			if w.s.Identities() == after {
				w.Errorf("it is %d still after the end of sessions", after)
			}
		}},
		{"UpdateErrorUndoesAll", func(w *world) {
			a, b := w.organization("A"), w.organization("B")
			err := w.s.Update(w.ctx(), func(tx store.Tx) error {
				for _, o := range []organization.Organization{a, b} {
					if _, err := tx.PutOrganization(w.ctx(), o); err != nil {
						return err
					}
				}
				return fmt.Errorf("no: %w", errMine)
			})
			if !errors.Is(err, errMine) {
				w.Fatalf("got %v, want the error of fn", err)
			}
			if w.has(a.ID) || w.has(b.ID) {
				w.Error("what a failed update wrote is there")
			}
		}},
		{"UpdateSeesItself", func(w *world) {
			o := w.organization("A")
			w.update(func(tx store.Tx) error {
				if _, err := tx.PutOrganization(w.ctx(), o); err != nil {
					return err
				}
				_, err := tx.Organization(w.ctx(), o.ID)
				return err
			})
		}},
		{"UpdateGoesOnAfterARefusedStatement", func(w *world) {
			a, b := w.put(w.organization("A")), w.organization("B")
			w.update(func(tx store.Tx) error {
				again := a
				again.Version = 0
				if _, err := tx.PutOrganization(w.ctx(), again); !errors.Is(err, fault.Conflict) {
					return fmt.Errorf("inserting twice: %v", err)
				}
				_, err := tx.PutOrganization(w.ctx(), b)
				return err
			})
			if !w.has(b.ID) {
				w.Error("what came after a refused statement is lost")
			}
		}},
		{"UpdatePanicUndoesAllAndGoesUp", func(w *world) {
			o := w.organization("A")
			func() {
				defer func() {
					if recover() != "mine" {
						w.Error("the panic of fn did not come up")
					}
				}()
				_ = w.s.Update(w.ctx(), func(tx store.Tx) error {
					_, _ = tx.PutOrganization(w.ctx(), o)
					panic("mine")
				})
			}()
			if w.has(o.ID) {
				w.Error("what a panicking update wrote is there")
			}
			w.put(o) // and the store works on
		}},
		{"UpdateEndedGoroutineUndoesAll", func(w *world) {
			o := w.organization("A")
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = w.s.Update(w.ctx(), func(tx store.Tx) error {
					_, _ = tx.PutOrganization(w.ctx(), o)
					ended()
					return nil
				})
			}()
			<-done
			if w.has(o.ID) {
				w.Error("what an update wrote whose goroutine ended is there")
			}
			w.put(o)
		}},
		{"UpdateSavepointIsolation", savepointIsolation},
		{"UpdateAloneAmongUpdates", aloneAmongUpdates},
		{"UpdateGivenUpBeforeItBegan", func(w *world) {
			ctx, cancel := context.WithCancel(w.ctx())
			cancel()
			err := w.s.Update(ctx, func(store.Tx) error { w.Error("fn ran"); return nil })
			if !errors.Is(err, context.Canceled) {
				w.Errorf("got %v, want the context's error", err)
			}
		}},
		{"UpdateGivenUpWhileItWaits", givenUpWhileItWaits},
		{"ViewIsReadOnly", func(w *world) {
			o := w.organization("A")
			err := w.s.View(w.ctx(), func(tx store.Tx) error { _, err := tx.PutOrganization(w.ctx(), o); return err })
			if err == nil || w.has(o.ID) {
				w.Errorf("a view could write (error %v)", err)
			}
		}},
		{"ViewIsConsistent", func(w *world) {
			a := w.put(w.organization("A"))
			var b organization.Organization
			w.view(func(tx store.Tx) error {
				if _, err := tx.Organization(w.ctx(), a.ID); err != nil {
					return err
				}
				b = w.put(w.organization("B")) // committed while the view is open
				if _, err := tx.Organization(w.ctx(), b.ID); !errors.Is(err, fault.NotFound) {
					return fmt.Errorf("the view sees what was committed after it began: %v", err)
				}
				return nil
			})
			if !w.has(b.ID) {
				w.Error("the next view does not see it")
			}
		}},
		{"ViewSeesWhatUpdateAnswered", func(w *world) {
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					for k := range 10 {
						o := w.organization(fmt.Sprint(n, k))
						if err := w.s.Update(w.ctx(), func(tx store.Tx) error { _, err := tx.PutOrganization(w.ctx(), o); return err }); err != nil {
							w.Error(err)
							return
						}
						if err := w.s.View(w.ctx(), func(tx store.Tx) error { _, err := tx.Organization(w.ctx(), o.ID); return err }); err != nil {
							w.Errorf("after the answer: %v", err)
							return
						}
					}
				})
			}
			wg.Wait()
		}},
		{"TxIsOverAfterFn", func(w *world) {
			o := w.organization("A")
			var late store.Tx
			w.update(func(tx store.Tx) error { late = tx; return nil })
			if _, err := late.PutOrganization(w.ctx(), o); err == nil {
				w.Error("a transaction can be used after fn has returned")
			}
			w.view(func(tx store.Tx) error { late = tx; return nil })
			if _, err := late.Organization(w.ctx(), o.ID); err == nil || errors.Is(err, fault.NotFound) {
				w.Error("a view can be used after fn has returned")
			}
		}},
		{"CommittedWakes", func(w *world) {
			quiet := w.s.Committed()
			w.put(w.organization("A"))
			select {
			case <-quiet:
				w.Error("it woke after a commit that left nothing to number or seal")
			default:
			}
			err := w.s.Update(w.ctx(), func(tx store.Tx) error {
				if err := tx.AppendAudit(w.ctx(), w.entry("a.b")); err != nil {
					return err
				}
				return errMine
			})
			if !errors.Is(err, errMine) {
				w.Fatal(err)
			}
			select {
			case <-quiet:
				w.Error("it woke after an update that was undone")
			default:
			}
			w.update(func(tx store.Tx) error { return tx.AppendAudit(w.ctx(), w.entry("a.b")) })
			select {
			case <-quiet:
			case <-w.ctx().Done():
				w.Error("it did not wake after an audit entry was committed")
			}
			next := w.s.Committed()
			w.update(func(tx store.Tx) error { return tx.AppendChange(w.ctx(), w.change("", 1)) })
			select {
			case <-next:
			case <-w.ctx().Done():
				w.Error("it did not wake after a change was committed")
			}
		}},
		{"CloseAnswersLaterCalls", func(w *world) {
			if err := w.s.Close(); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Unavailable, w.s.Update(w.ctx(), func(store.Tx) error { return nil }))
			w.is(fault.Unavailable, w.s.View(w.ctx(), func(store.Tx) error { return nil }))
			if err := w.s.Close(); err != nil {
				w.Errorf("closing again: %v", err)
			}
		}},
		{"BackupRefusesAFileThatIsThere", func(w *world) {
			file := w.TempDir() + "/copy.db"
			if err := w.s.Backup(w.ctx(), file); err != nil {
				w.Fatal(err)
			}
			w.is(fault.Conflict, w.s.Backup(w.ctx(), file))
		}},
	}
}

// Updates that wait at the same time may share a commit: one that fails takes nothing of the others with it.
func savepointIsolation(w *world) {
	const writers, each = 12, 10
	var wg sync.WaitGroup
	var mu sync.Mutex
	kept, undone := []id.ID{}, []id.ID{}
	for n := range writers {
		wg.Go(func() {
			for k := range each {
				o := w.organization(fmt.Sprint(n, "/", k))
				fails := (n+k)%3 == 0
				err := w.s.Update(w.ctx(), func(tx store.Tx) error {
					if _, err := tx.PutOrganization(w.ctx(), o); err != nil {
						return err
					}
					if fails {
						return errMine
					}
					return nil
				})
				mu.Lock()
				switch {
				case fails && errors.Is(err, errMine):
					undone = append(undone, o.ID)
				case !fails && err == nil:
					kept = append(kept, o.ID)
				default:
					w.Errorf("fails=%v: %v", fails, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, i := range kept {
		if !w.has(i) {
			w.Errorf("%s was answered as committed and is not there", i)
		}
	}
	for _, i := range undone {
		if w.has(i) {
			w.Errorf("%s was undone and is there", i)
		}
	}
}

// Every one of many parallel updates that read, add one and write back counts.
func aloneAmongUpdates(w *world) {
	o := w.organization("0")
	o.Reason = ""
	o = w.put(o)
	const writers, each = 8, 15
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := w.s.Update(w.ctx(), func(tx store.Tx) error {
					v, err := tx.Organization(w.ctx(), o.ID)
					if err != nil {
						return err
					}
					v.Reason += "x"
					_, err = tx.PutOrganization(w.ctx(), v)
					return err
				})
				if err != nil {
					w.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := read(w, func(tx store.Tx) (organization.Organization, error) { return tx.Organization(w.ctx(), o.ID) })
	same(w, "the count", got.Reason, strings.Repeat("x", writers*each))
	same(w, "the version", got.Version, 1+writers*each)
}

// An update whose caller gives up before its turn never runs, and the one in front of it is not disturbed.
func givenUpWhileItWaits(w *world) {
	ctx, cancel := context.WithCancel(w.ctx())
	answered := make(chan error, 1)
	w.update(func(store.Tx) error {
		waits := make(chan struct{})
		go func() {
			close(waits)
			answered <- w.s.Update(ctx, func(store.Tx) error { w.Error("fn ran after its caller had given up"); return nil })
		}()
		<-waits
		cancel()
		if err := <-answered; !errors.Is(err, context.Canceled) {
			w.Errorf("got %v, want the context's error", err)
		}
		return nil
	})
	w.put(w.organization("A"))
}
