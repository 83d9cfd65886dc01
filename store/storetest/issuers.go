package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/organization"
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
					ok, err = take(w, tx, mark, now)
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
						ok, err = take(w, tx, mark, w.now)
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
		{"TakeManyTellsOfEach", func(w *world) {
			old, twice, now := w.hash(), w.hash(), w.now
			marks := []credential.Mark{{Hash: old, Expires: now.Add(time.Minute)}}
			w.update(func(tx store.Tx) error { _, err := tx.Take(w.ctx(), marks, now); return err })
			for range 150 {
				marks = append(marks, credential.Mark{Hash: w.hash(), Expires: now.Add(time.Minute)})
			}
			marks = append(marks, credential.Mark{Hash: twice, Expires: now.Add(time.Minute)}, credential.Mark{Hash: twice, Expires: now.Add(time.Hour)})
			var fresh []bool
			w.update(func(tx store.Tx) (err error) { fresh, err = tx.Take(w.ctx(), marks, now); return err })
			for i, ok := range fresh {
				if want := i > 0 && i < len(marks)-1; ok != want {
					w.Errorf("mark %d of %d: %t, want %t", i, len(marks), ok, want)
				}
			}
		}},
		{"ClientVersionsGrowWithAllThatCounts", clientVersions},
		{"TakeTryNoMoreThanFit", func(w *world) {
			mark, each, per := w.hash(), time.Minute, 3*time.Minute
			take := func(now time.Time) (wait time.Duration) {
				w.update(func(tx store.Tx) (err error) { wait, err = tx.TakeTry(w.ctx(), mark, each, per, now); return err })
				return wait
			}
			for n, want := range []time.Duration{0, 0, 0, time.Minute, time.Minute} {
				if got := take(w.now); got != want {
					w.Errorf("try %d waits %s, want %s", n, got, want)
				}
			}
			if a, b := take(w.now.Add(90*time.Second)), take(w.now.Add(90*time.Second)); a != 0 || b != 30*time.Second {
				w.Errorf("after a minute and a half one more fits: %s, %s", a, b)
			}
			w.update(func(tx store.Tx) error { return tx.GiveTryBack(w.ctx(), mark, each) })
			if got := take(w.now.Add(90 * time.Second)); got != 0 {
				w.Errorf("one that was given back still counts: %s", got)
			}
			w.update(func(tx store.Tx) error { return tx.Sweep(w.ctx(), w.now.Add(time.Hour)) })
			for n, want := range []time.Duration{0, 0, 0, time.Minute} {
				if got := take(w.now.Add(time.Hour)); got != want {
					w.Errorf("try %d an hour later waits %s, want %s", n, got, want)
				}
			}
			fresh, times := w.hash(), make(chan bool, 8)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					var wait time.Duration
					w.update(func(tx store.Tx) (err error) { wait, err = tx.TakeTry(w.ctx(), fresh, each, per, w.now); return err })
					times <- wait == 0
				})
			}
			all.Wait()
			taken := 0
			for range 8 {
				if <-times {
					taken++
				}
			}
			if taken != 3 {
				w.Errorf("of eight at once %d were counted, and three fit", taken)
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
					if _, err := take(w, tx, w.hash(), w.now); err != nil {
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

// take takes one mark for a minute.
func take(w *world, tx store.Tx, mark secret.Hash, now time.Time) (bool, error) {
	fresh, err := tx.Take(w.ctx(), []credential.Mark{{Hash: mark, Expires: now.Add(time.Minute)}}, now)
	return len(fresh) == 1 && fresh[0], err
}

func clientVersions(w *world) {
	w.environments("live")
	org := w.put(w.organization("First"))
	app := application.Application{ID: id.New(id.Application, w.now), Organization: org.ID, Name: "app", State: application.Active, Created: w.now}
	c := credential.Credential{ID: id.New(id.Credential, w.now), Organization: org.ID, Application: app.ID, Environment: "live", Kind: credential.Client, Name: "client", PublicID: "one", State: credential.Active, Created: w.now}
	g := grant.Grant{ID: id.New(id.Grant, w.now), Organization: org.ID, Application: app.ID, Environment: "live", Product: "product", Plan: "plan", State: grant.Active, From: w.now, Until: w.now.Add(time.Hour)}
	i := credential.Issuer{Environment: "live", URL: "https://a.example/oauth/live"}
	failing(w, fault.NotFound, func(tx store.Tx) (credential.Versions, error) { return tx.ClientVersions(w.ctx(), c.ID) })
	var before credential.Versions
	for _, step := range []struct {
		what string
		do   func(store.Tx) error
	}{
		{"the credential is made", func(tx store.Tx) (err error) { c, err = tx.PutCredential(w.ctx(), c); return err }},
		{"its application", func(tx store.Tx) (err error) { app, err = tx.PutApplication(w.ctx(), app); return err }},
		{"a grant", func(tx store.Tx) (err error) { g, err = tx.PutGrant(w.ctx(), g); return err }},
		{"the issuer", func(tx store.Tx) (err error) { i, err = tx.PutIssuer(w.ctx(), i); return err }},
		{"the credential", func(tx store.Tx) (err error) { c, err = tx.PutCredential(w.ctx(), c); return err }},
		{"the grant ends", func(tx store.Tx) (err error) { g.State = grant.Ended; g, err = tx.PutGrant(w.ctx(), g); return err }},
		{"another grant", func(tx store.Tx) error {
			_, err := tx.PutGrant(w.ctx(), grant.Grant{ID: id.New(id.Grant, w.now), Application: app.ID, State: grant.Active})
			return err
		}},
		{"the application closes", func(tx store.Tx) (err error) {
			app.State = application.Closed
			app, err = tx.PutApplication(w.ctx(), app)
			return err
		}},
		{"the organization is held", func(tx store.Tx) (err error) {
			org.State = organization.Suspended
			org, err = tx.PutOrganization(w.ctx(), org)
			return err
		}},
		{"the issuer again", func(tx store.Tx) (err error) { i, err = tx.PutIssuer(w.ctx(), i); return err }},
		{"a revision", func(tx store.Tx) error {
			_, err := tx.AddRevision(w.ctx(), env.Revision{Environment: "live", Digest: "d", At: w.now})
			return err
		}},
		{"an epoch", func(tx store.Tx) error { _, err := tx.RaiseEpoch(w.ctx(), "live"); return err }},
	} {
		w.update(step.do)
		now := read(w, func(tx store.Tx) (credential.Versions, error) { return tx.ClientVersions(w.ctx(), c.ID) })
		if again := read(w, func(tx store.Tx) (credential.Versions, error) { return tx.ClientVersions(w.ctx(), c.ID) }); now == before || again != now {
			w.Errorf("%s: %+v, then %+v; before %+v", step.what, now, again, before)
		}
		before = now
	}
}
