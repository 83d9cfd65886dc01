package control_test

import (
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
)

// A client that floods assertions is told to wait, and others go on.
func TestOneClientDoesNotFillTheMarks(t *testing.T) {
	w := newWorld(t)
	n := 0
	for control.RoomFor(w.Control, "crd_1") == nil {
		if n++; n > 100_000 {
			t.Fatal("there is no end of it")
		}
	}
	err := control.RoomFor(w.Control, "crd_1")
	wants(t, "one more", err, fault.Limited, "slow_down")
	if f := fault.As(err); f.RetryAfter <= 0 {
		t.Error("it is not said when")
	}
	if err := control.RoomFor(w.Control, "crd_2"); err != nil {
		t.Errorf("another client: %v", err)
	}
	w.clock.pass(time.Minute)
	if err := control.RoomFor(w.Control, "crd_1"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
