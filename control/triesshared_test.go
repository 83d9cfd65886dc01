package control_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/secret"
	"gatehouse/store/pgtest"
	"gatehouse/store/sqldb"
)

// Two control planes on one database let somebody guess no more often than one does, one after the other and at the same moment; and
// right ones are no tries.
func TestTriesAreCountedByAllReplicas(t *testing.T) {
	address := pgtest.Database(t)
	open := func() *world {
		return newWorldOn(t, must(sqldb.OpenPostgres(context.Background(), address, sqldb.PostgresOptions{}))(t))
	}
	w, other := open(), open()
	w.staffed()
	const email, right = "olga@platform.example", "a password of olga that is hers"
	if err := w.ChangePassword(w.ctx, w.operator, secret.Value{}, secret.New(right)); err != nil {
		t.Fatal(err)
	}
	replicas := []*control.Control{w.Control, other.Control}
	try := func(n int, from, password string) error {
		_, err := replicas[n%2].SignIn(w.ctx, at(from), email, secret.New(password), "test")
		return err
	}
	tally := func(errs []error) (wrong, limited int) {
		for _, err := range errs {
			switch {
			case fault.As(err).Code == "wrong-password":
				wrong++
			case errors.Is(err, fault.Limited) && fault.As(err).RetryAfter > 0:
				limited++
			default:
				t.Errorf("a try is told %v", err)
			}
		}
		return wrong, limited
	}
	for n := range 20 {
		if err := try(n, "198.51.100.9", right); err != nil {
			t.Fatalf("right password number %d: %v", n, err)
		}
	}
	var all []func() error
	for n := range 12 {
		all = append(all, func() error { return try(n, "203.0.113.50", fmt.Sprint("wrong ", n)) })
	}
	if wrong, limited := tally(atOnce(all...)); wrong != 6 || limited != 6 {
		t.Errorf("of twelve at once from one address %d were looked at and %d not: six each", wrong, limited)
	}
	var some []error
	for n := range 60 {
		some = append(some, try(n, fmt.Sprint("2001:db8:", n, "::1"), "wrong"))
	}
	if wrong, limited := tally(some); wrong != 44 || limited != 16 { // fifty an hour, of which six were made above
		t.Errorf("of sixty from anywhere %d were looked at and %d not", wrong, limited)
	}
	// Where they are signed in, nobody shuts them out.
	if err := try(0, "198.51.100.9", right); err != nil {
		t.Errorf("from where they are signed in: %v", err)
	}
}

// Letters, links and codes of devices are counted by both together too.
func TestLettersAndLinksAreCountedByAllReplicas(t *testing.T) {
	address := pgtest.Database(t)
	open := func() *world {
		return newWorldOn(t, must(sqldb.OpenPostgres(context.Background(), address, sqldb.PostgresOptions{}))(t))
	}
	w, other := open(), open()
	w.staffed()
	replicas := []*control.Control{w.Control, other.Control}
	limited := func(what string, times, want int, try func(c *control.Control) error) {
		t.Helper()
		n := 0
		for i := range times {
			if err := try(replicas[i%2]); errors.Is(err, fault.Limited) {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d of %d are refused as too many, want %d", what, n, times, want)
		}
	}
	limited("links", 64, 4, func(c *control.Control) error {
		_, err := c.SignInByLink(w.ctx, at("203.0.113.60"), secret.New("made up"), "test")
		return err
	})
	limited("device sign-ins", 33, 3, func(c *control.Control) error {
		_, err := c.StartDevice(w.ctx, at("203.0.113.61"), "test")
		return err
	})
	limited("wrong codes", 23, 3, func(c *control.Control) error {
		_, err := c.Device(w.ctx, w.operator, "BCDF-GHJK")
		return err
	})
	limited("asking for letters", 33, 3, func(c *control.Control) error {
		return c.RequestPasswordReset(w.ctx, at("203.0.113.62"), "nobody@example.org")
	})
}
