package control_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/identity"
	"gatehouse/review"
	"gatehouse/secret"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Tests{M: m}.Run()) }

// onBoth runs a test on SQLite, where writers queue, and on PostgreSQL, where they really meet.
func onBoth(t *testing.T, test func(*world)) {
	t.Run("sqlite", func(t *testing.T) { test(newWorld(t)) })
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs a PostgreSQL server")
		}
		st, err := sqldb.OpenPostgres(context.Background(), pgtest.Database(t), sqldb.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		test(newWorldOn(t, st))
	})
}

// atOnce starts all at the same moment and returns what each came to.
func atOnce(do ...func() error) []error {
	errs := make([]error, len(do))
	var start, done sync.WaitGroup
	start.Add(1)
	for n, f := range do {
		done.Go(func() {
			start.Wait()
			errs[n] = f()
		})
	}
	start.Done()
	done.Wait()
	return errs
}

// oneWon checks that exactly one went well, and that each other was told one of the kinds.
func oneWon(t testing.TB, what string, errs []error, kinds ...error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		told := err == nil
		if err == nil {
			won++
		}
		for _, k := range kinds {
			told = told || errors.Is(err, k)
		}
		if !told {
			t.Errorf("%s: one is told %v", what, err)
		}
	}
	if won != 1 {
		t.Errorf("%s: %d of %d went well: %v", what, won, len(errs), errs)
	}
}

// Of two decisions at the same moment one counts, and the other is told that it comes too late.
func TestTwoApproversAtTheSameMoment(t *testing.T) {
	onBoth(t, func(w *world) {
		w.published()
		second := w.staff("petra@platform.example", identity.Approver)
		a := w.verified("First", "first@example.org")
		for i := range 10 {
			app := w.application(a, "app "+string(rune('a'+i)))
			r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "standard")))(w.t)
			answer := func(who identity.Actor, version int64, x control.Answer) func() error {
				return func() error {
					_, err := w.Decide(w.ctx, who, r.ID, version, x)
					return err
				}
			}
			version := r.Version
			if i%2 == 1 {
				version = 0 // of who has not looked at it: it is as it is found
			}
			oneWon(w.t, "two decisions", atOnce(answer(w.approver, version, control.Answer{Approve: true}), answer(second, version, control.Answer{Reason: "no"})), fault.Stale, fault.Conflict)
			r = must(w.Request(w.ctx, a, r.ID))(w.t)
			gs := must(w.Grants(w.ctx, a, grant.Filter{Application: app.ID}, control.Page{}))(w.t).Items
			if len(r.Decisions) != 1 || (r.State == grant.Approved) != (len(gs) == 1) {
				w.t.Fatalf("request %s with %d decisions, and %d grants", r.State, len(r.Decisions), len(gs))
			}
		}
	})
}

// One approver who holds both roles, in two windows, is one person: two people are never one.
func TestOnePersonInTwoWindowsIsNotTwo(t *testing.T) {
	onBoth(t, func(w *world) {
		w.published()
		both := w.staff("sven@platform.example", identity.Approver, identity.Operator)
		a := w.verified("First", "first@example.org")
		for i := range 5 {
			app := w.application(a, "app "+string(rune('a'+i)))
			r := must(w.RequestAccess(w.ctx, a, ask(app, "live", "checking", "big")))(w.t)
			yes := func() error {
				_, err := w.Decide(w.ctx, both, r.ID, 0, control.Answer{Approve: true})
				return err
			}
			oneWon(w.t, "one person twice", atOnce(yes, yes), fault.Forbidden, fault.Stale, fault.Conflict)
			if r = must(w.Request(w.ctx, a, r.ID))(w.t); r.State != grant.Open || len(r.Decisions) != 1 {
				w.t.Fatalf("the request is %s with %d decisions", r.State, len(r.Decisions))
			}
		}
	})
}

// A review ends at the very moment at which people approve the grant's renewal: either the grant is renewed and goes on, or it
// has ended and the renewal has lapsed. Nothing in between, whoever comes first.
func TestReviewEndsInTheMomentOfARenewal(t *testing.T) {
	onBoth(t, func(w *world) {
		r := newReviewedIn(w)
		for i := range 6 {
			if i > 0 { // a fresh grant for each
				app := w.application(r.owner, "app "+string(rune('a'+i)))
				q := must(w.RequestAccess(w.ctx, r.developer, ask(app, "live", "checking", "standard")))(w.t)
				r.grant = w.grantOf(must(w.Decide(w.ctx, w.approver, q.ID, 0, control.Answer{Approve: true}))(w.t))
			}
			v := must(w.StartReview(w.ctx, w.operator, control.NewReview{Name: "autumn", Ends: w.clock.Now().Add(2 * day)}))(w.t)
			q := must(w.RequestAccess(w.ctx, r.developer, control.AccessRequest{Of: r.grant.ID, Purpose: "go on"}))(w.t)
			w.clock.pass(2*day + time.Second)
			errs := atOnce(
				func() error { return w.Tend(w.ctx) },
				func() error {
					_, err := w.Decide(w.ctx, w.approver, q.ID, 0, control.Answer{Approve: true})
					return err
				})
			if errs[0] != nil {
				w.t.Fatalf("the review's end: %v", errs[0])
			}
			r.tend()
			var item review.Item
			for _, one := range must(w.ReviewItems(w.ctx, w.auditor, control.ItemFilter{Review: v.ID}, control.Page{}))(w.t).Items {
				if one.Grant == r.grant.ID {
					item = one
				}
			}
			g, asked := must(w.Grant(w.ctx, w.auditor, r.grant.ID))(w.t), must(w.Request(w.ctx, w.auditor, q.ID))(w.t)
			renewed := item.State == review.Renewed && g.State == grant.Active && asked.State == grant.Approved && errs[1] == nil
			silent := item.State == review.Silent && g.State == grant.Ended && asked.State == grant.Lapsed && errs[1] != nil
			if !renewed && !silent {
				w.t.Fatalf("the item is %s, the grant %s, the renewal %s, and its approver was told %v", item.State, g.State, asked.State, errs[1])
			}
		}
	})
}

// A code of an authenticator app, a recovery code and an answer of a passkey count once, also at the same moment.
func TestSecondFactorsAtTheSameMoment(t *testing.T) {
	onBoth(t, func(w *world) {
		a := w.partner("First", "first@example.org")
		phone, codes := w.enrolled(a)
		for round := range 3 {
			for _, what := range []string{"a code", "a recovery code"} {
				code := codes[round].Reveal()
				if what == "a code" {
					code = phone.code()
				}
				one, two := w.first(a.Email, "198.51.100.1"), w.first(a.Email, "198.51.100.1")
				prove := func(pending secret.Value) func() error {
					return func() error {
						_, err := w.ProveSecondFactor(w.ctx, at("198.51.100.1"), pending, code, "test")
						return err
					}
				}
				oneWon(w.t, what, atOnce(prove(one), prove(two)), fault.Unauthenticated)
				w.clock.pass(time.Hour) // what was counted is forgotten
			}
		}
		fresh := w.actor(must(w.ProveSecondFactor(w.ctx, at("198.51.100.1"), w.first(a.Email, "198.51.100.1"), phone.code(), "test"))(w.t))
		d := newDevice(w.t, -7)
		w.passkey(fresh, d, "laptop")
		for range 3 {
			begun := must(w.BeginPasskeySignIn(w.ctx, at("192.0.2.1")))(w.t)
			answer := d.used(begun, nil)
			use := func() error {
				_, err := w.SignInByPasskey(w.ctx, at("192.0.2.1"), begun.Token, answer, "test")
				return err
			}
			oneWon(w.t, "an answer of a passkey", atOnce(use, use), fault.Gone)
		}
	})
}

// An initial access token with one use registers one client.
func TestTheLastUseOfAnInitialToken(t *testing.T) {
	onBoth(t, func(w *world) {
		r := newRealmIn(w)
		for range 4 {
			_, value, err := r.MakeInitialToken(r.ctx, r.a, control.NewInitialToken{Application: r.app.ID, Environment: "live", Name: "pipeline"})
			if err != nil {
				r.t.Fatal(err)
			}
			before := len(must(r.Credentials(r.ctx, r.a, "", r.app.ID, control.Page{}))(r.t).Items)
			register := func() error {
				n := control.NewClient{Method: credential.ClientSecret}
				n.Name = "batch"
				_, _, _, err := r.RegisterByToken(r.ctx, at("192.0.2.1"), "live", value, n)
				return err
			}
			oneWon(r.t, "registrations", atOnce(register, register, register), fault.Unauthenticated)
			if n := len(must(r.Credentials(r.ctx, r.a, "", r.app.ID, control.Page{}))(r.t).Items) - before; n != 1 {
				r.t.Errorf("%d clients were registered", n)
			}
		}
	})
}
