package mail_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/mail"
)

func TestBoxKeepsTheNewest(t *testing.T) {
	b := mail.NewBox()
	for i := range 250 {
		if err := b.Send(context.Background(), mail.Letter{To: "a@example.org", Subject: fmt.Sprint(i), Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	ls := b.Letters()
	if len(ls) != 200 || ls[0].Subject != "249" || ls[199].Subject != "50" {
		t.Errorf("%d letters from %q to %q, want 200 from 249 to 50", len(ls), ls[0].Subject, ls[len(ls)-1].Subject)
	}
}

func TestBoxRefusesWhatSMTPWouldRefuse(t *testing.T) {
	if err := mail.NewBox().Send(context.Background(), mail.Letter{To: "a@example.org", Subject: "a\nb", Text: "x"}); err == nil {
		t.Error("a subject of two lines was kept")
	}
}

func TestLinks(t *testing.T) {
	got := mail.Links("See https://not.one here\n\nhttps://a.example/confirm?token=1\r\n  http://localhost:8001/x  \nhttps://two words\nftp://no\n")
	want := []string{"https://a.example/confirm?token=1", "http://localhost:8001/x"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
