package h2

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever was sent before, a value is sent as what it is; and what comes again takes no new memory.
func TestTextsAreWhatTheyWere(t *testing.T) {
	var x texts
	b := make([]byte, 0, 300)
	for round := range 3 {
		for i := range 500 {
			b = append(b[:0], fmt.Sprint("value-", i%(100*(round+1)), strings.Repeat("y", i%200))...)
			if got := x.of(b); got != string(b) {
				t.Fatalf("%q became %q", b, got)
			}
		}
	}
	kept := x.of([]byte("application/json"))
	again := append(b[:0], "application/json"...)
	if n := testing.AllocsPerRun(100, func() { _ = x.of(again) }); n != 0 {
		t.Errorf("%v allocations for a value that was sent before", n)
	}
	again[0] = 'X'
	if kept != "application/json" || x.of([]byte("application/json")) != kept {
		t.Error("what is kept is somebody else's memory")
	}
}
