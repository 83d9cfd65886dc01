package control_test

import (
	"testing"
	"time"

	"gatehouse/secret"
)

func BenchmarkBySession(b *testing.B) {
	w := newWorld(b)
	w.partner("First", "first@example.org")
	in := must(w.SignIn(w.ctx, at("1.2.3.4"), "first@example.org", secret.New(password), ""))(b)
	for b.Loop() {
		must(w.BySession(w.ctx, in.Token, "", ""))(b)
		w.clock.pass(-2 * time.Millisecond) // stay within the minute
	}
}

func BenchmarkSuspendAndResume(b *testing.B) {
	w := newWorld(b).published()
	a := w.verified("First", "first@example.org")
	g := w.grantOf(must(w.RequestAccess(w.ctx, a, ask(w.application(a, "app"), "live", "reading", "free")))(b))
	for b.Loop() {
		must(w.SuspendGrant(w.ctx, w.operator, g.ID, 0, "r"))(b)
		must(w.ResumeGrant(w.ctx, w.operator, g.ID, 0, "r"))(b)
	}
}
