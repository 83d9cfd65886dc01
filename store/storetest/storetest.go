// Package storetest has a test for each promise of the nouns' stores. Whatever keeps records must pass Run.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/store"
)

// Run tests a store. open gives a fresh, empty one, which it closes at the end of the test.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	groups := []struct {
		name  string
		tests []promise
	}{
		{"Transactions", transactions()},
		{"People", people()},
		{"Links", links()},
		{"Factors", factors()},
		{"Ceremonies", ceremonies()},
		{"Subjects", subjects()},
		{"Passkeys", passkeys()},
		{"Invitations", invitations()},
		{"Registrations", registrations()},
		{"Webhooks", webhooks()},
		{"Notices", notices()},
		{"Drift", drifts()},
		{"Reviews", reviews()},
		{"Probings", probings()},
		{"Machines", machines()},
		{"Devices", devices()},
		{"Sessions", sessions()},
		{"Organizations", organizations()},
		{"Applications", applications()},
		{"Credentials", credentials()},
		{"Uses", uses()},
		{"Issuers", issuers()},
		{"Grants", grants()},
		{"Requests", requests()},
		{"Environments", environments()},
		{"Revisions", revisions()},
		{"Outbox", outbox()},
		{"Once", once()},
		{"Sweep", sweep()},
		{"Leases", leases()},
		{"Usage", usages()},
		{"Feed", feeds()},
		{"Receipts", receipts()},
		{"Uplink", uplinks()},
		{"Fleet", fleets()},
		{"Audit", audits()},
		{"Texts", texts()},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, p := range g.tests {
				t.Run(p.name, func(t *testing.T) {
					p.test(&world{T: t, s: open(t), now: time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC)})
				})
			}
		})
	}
}

// promise is one promise and its test.
type promise struct {
	name string
	test func(w *world)
}

// world is what a test has: a fresh store, and a time.
type world struct {
	*testing.T
	s   store.Store
	now time.Time
}

func (w *world) ctx() context.Context { return w.Context() }

// update changes, and must succeed.
func (w *world) update(fn func(tx store.Tx) error) {
	w.Helper()
	if err := w.s.Update(w.ctx(), fn); err != nil {
		w.Fatalf("update: %v", err)
	}
}

// view reads, and must succeed.
func (w *world) view(fn func(tx store.Tx) error) {
	w.Helper()
	if err := w.s.View(w.ctx(), fn); err != nil {
		w.Fatalf("view: %v", err)
	}
}

// refused changes, and must be refused with the kind.
func (w *world) refused(k fault.Kind, fn func(tx store.Tx) error) {
	w.Helper()
	w.is(k, w.s.Update(w.ctx(), fn))
}

func (w *world) is(k fault.Kind, err error) {
	w.Helper()
	if !errors.Is(err, k) {
		w.Fatalf("got the error %v, want one of kind %s", err, k)
	}
}

// same fails unless both are equal.
func same[T any](w *world, what string, got, want T) {
	w.Helper()
	if d := cmp.Diff(want, got); d != "" {
		w.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// written does one change in an update of its own and returns what it made.
func written[T any](w *world, fn func(tx store.Tx) (T, error)) (out T) {
	w.Helper()
	w.update(func(tx store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out
}

// read does one look-up in a view of its own.
func read[T any](w *world, fn func(tx store.Tx) (T, error)) (out T) {
	w.Helper()
	w.view(func(tx store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out
}

// failing does one look-up in a view of its own that must be refused.
func failing[T any](w *world, k fault.Kind, fn func(tx store.Tx) (T, error)) {
	w.Helper()
	w.is(k, w.s.View(w.ctx(), func(tx store.Tx) error {
		_, err := fn(tx)
		return err
	}))
}

// versions tests the promises that every Put with a version makes: insert at 0, replace at its version, Stale at another
// one, NotFound when it is gone, Conflict when it is there already; and that what comes back is what is stored.
func versions[T any](w *world, fresh T, version func(*T) *int64, change func(*T), put func(store.Tx, T) (T, error), get func(store.Tx) (T, error)) {
	w.Helper()
	failing(w, fault.NotFound, get)
	first := written(w, func(tx store.Tx) (T, error) { return put(tx, fresh) })
	want := fresh
	*version(&want) = 1
	same(w, "what Put returned", first, want)
	same(w, "what was stored", read(w, get), want)

	w.refused(fault.Conflict, func(tx store.Tx) error { _, err := put(tx, fresh); return err })

	next := first
	change(&next)
	second := written(w, func(tx store.Tx) (T, error) { return put(tx, next) })
	want = next
	*version(&want) = 2
	same(w, "what the second Put returned", second, want)
	same(w, "what was stored then", read(w, get), want)

	w.refused(fault.Stale, func(tx store.Tx) error { _, err := put(tx, first); return err })
	ahead := second
	*version(&ahead) = 7
	w.refused(fault.Stale, func(tx store.Tx) error { _, err := put(tx, ahead); return err })
	same(w, "after the refused ones", read(w, get), want)
}

// paged reads a list in pages of two and returns the keys in their order.
func paged[T any](w *world, k func(T) string, list func(tx store.Tx, after string, limit int) ([]T, error)) (keys []string) {
	w.Helper()
	after := ""
	for {
		page := read(w, func(tx store.Tx) ([]T, error) { return list(tx, after, 2) })
		if len(page) > 2 {
			w.Fatalf("a page of 2 has %d", len(page))
		}
		for _, v := range page {
			after = k(v)
			keys = append(keys, after)
		}
		if len(page) < 2 {
			break
		}
	}
	if none := read(w, func(tx store.Tx) ([]T, error) { return list(tx, "", 0) }); len(none) != 0 {
		w.Errorf("a page of 0 has %d", len(none))
	}
	return keys
}
