package control_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/store"
)

// A copy of the database holds no link that anybody could use, and who can write to it cannot have a link go elsewhere.
func TestLettersWaitSealed(t *testing.T) {
	w := newWorld(t)
	server := &away{}
	w.Mail = server
	if err := w.Register(w.ctx, at("198.51.100.1"), registration("Acme", "dana@acme.example")); err != nil {
		t.Fatal(err)
	}
	err := w.store.Update(w.ctx, func(tx store.Tx) error {
		ls, err := tx.ClaimLetters(w.ctx, w.clock.Now(), time.Second, 10)
		if err != nil || len(ls) != 1 {
			t.Fatalf("%d letters wait: %v", len(ls), err)
		}
		l := ls[0].Letter
		if strings.Contains(l.Text, "ghl_") || strings.Contains(l.Text, "token") {
			t.Errorf("the store holds a link: %s", l.Text)
		}
		l.To = "thief@evil.example"
		if err := tx.AddLetter(w.ctx, l); err != nil {
			return err
		}
		l.To, l.Text = "dana@acme.example", "Pay here: https://evil.example"
		return tx.AddLetter(w.ctx, l)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(2 * time.Second)
	if err := w.Deliver(w.ctx); err != nil {
		t.Fatal(err)
	}
	if len(server.taken) != 1 || server.taken[0].To != "dana@acme.example" || !strings.Contains(server.taken[0].Text, "/confirm?token=ghl_") {
		t.Errorf("sent: %+v", server.taken)
	}
}
