package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gatehouse/audit"
	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/mail"
)

// away is a mail server that answers as it is told.
type away struct {
	err   error
	tries int
	taken []mail.Letter
}

func (a *away) Send(_ context.Context, l mail.Letter) error {
	a.tries++
	if a.err == nil {
		a.taken = append(a.taken, l)
	}
	return a.err
}

func TestLettersAreTriedAgainAndGivenUp(t *testing.T) {
	w := newWorld(t).staffed()
	server := &away{err: fault.New(fault.Unavailable, "the mail server is away").Because(errors.New("dial: refused"))}
	w.Mail = server
	if err := w.Register(w.ctx, at("198.51.100.1"), registration("Acme", "dana@acme.example")); err != nil {
		t.Fatal(err)
	}
	deliver := func() {
		t.Helper()
		if err := w.Deliver(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	deliver()
	deliver()
	if server.tries != 1 {
		t.Errorf("%d tries at once, want 1", server.tries)
	}
	w.clock.pass(61 * time.Second)
	deliver()
	if server.tries != 2 {
		t.Errorf("%d tries after a minute, want 2", server.tries)
	}
	w.clock.pass(61 * time.Second)
	deliver()
	if server.tries != 2 {
		t.Errorf("%d tries after another, want 2: the wait grows", server.tries)
	}
	for range 200 {
		w.clock.pass(20 * time.Minute)
		deliver()
	}
	if server.tries != 10 {
		t.Errorf("%d tries in all, want 10", server.tries)
	}
	given := must(w.GivenUpLetters(w.ctx, w.auditor, control.Page{}))(t).Items
	if len(given) != 1 || given[0].To != "dana@acme.example" || given[0].Tries != 10 || given[0].Problem == "" || given[0].Text != "" {
		t.Errorf("given up are %+v", given)
	}
	if es := w.entries(audit.Filter{Action: "letter."}); len(es) != 1 || es[0].Actor != "system" {
		t.Errorf("audit %v", actions(es))
	}
	server.err = nil
	if err := w.ResendConfirmation(w.ctx, at("198.51.100.1"), "dana@acme.example"); err != nil {
		t.Fatal(err)
	}
	deliver()
	if len(server.taken) != 1 {
		t.Errorf("%d letters went out, want 1", len(server.taken))
	}
}

func TestALetterThatNobodyTakesIsGivenUpAtOnce(t *testing.T) {
	w := newWorld(t).staffed()
	server := &away{err: fault.Bad("/to", "is not an address")}
	w.Mail = server
	if err := w.Register(w.ctx, at("198.51.100.1"), registration("Acme", "dana@acme.example")); err != nil {
		t.Fatal(err)
	}
	if err := w.Deliver(w.ctx); err != nil {
		t.Fatal(err)
	}
	if given := must(w.GivenUpLetters(w.ctx, w.auditor, control.Page{}))(t).Items; len(given) != 1 {
		t.Errorf("given up are %+v", given)
	}
}
