package http1

import (
	"testing"
	"time"
)

// Connections ride while exchanges follow one another fast, and not because they once did.
func TestPace(t *testing.T) {
	var p pace
	at := instant(time.Hour)
	beats := func(n int, apart time.Duration) {
		for range n {
			at = at.add(apart)
			p.beat(at)
		}
	}
	beats(2*paceOf, time.Millisecond)
	if p.fast.Load() {
		t.Error("1,000 a second are fast")
	}
	beats(2*paceOf, 100*time.Microsecond)
	if !p.fast.Load() {
		t.Error("10,000 a second are not fast")
	}
	beats(2*paceOf, 5*time.Millisecond)
	if p.fast.Load() {
		t.Error("200 a second are fast, after 10,000")
	}
	beats(2*paceOf, 100*time.Microsecond)
	if p.slow(); p.fast.Load() {
		t.Error("it is fast, and a loop said otherwise")
	}
}

// A loop is quiet when few exchanges come, however many there were, and however many of them come at once.
func TestLull(t *testing.T) {
	var l lull
	at := instant(time.Hour)
	beats := func(n, atOnce int, apart time.Duration) {
		for i := range n {
			if i%atOnce == 0 {
				at = at.add(apart)
			}
			l.beat(at, 2)
		}
	}
	beats(2*paceOf, 1, 100*time.Microsecond)
	if l.quiet {
		t.Error("10,000 a second are quiet")
	}
	beats(2*paceOf, 1, 5*time.Millisecond)
	if !l.quiet {
		t.Error("200 a second are not quiet")
	}
	beats(2*paceOf, 32, 8*time.Millisecond)
	if l.quiet {
		t.Error("4,000 a second are quiet, because they come 32 at once")
	}
}
