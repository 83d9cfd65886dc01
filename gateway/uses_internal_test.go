package gateway

import (
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/snapshot"
)

// One credential that calls thousands of routes is told of at its time, not as soon as one part of the memory is full.
func TestUsesOfOneCredentialSpread(t *testing.T) {
	u := newUses()
	bits, ok := id.New(id.Credential, time.Now()).Bits(id.Credential)
	if !ok {
		t.Fatal("an ID has no bits")
	}
	x := &note{at: time.Now(), known: true, credential: bits}
	routes := make([]snapshot.Route, 10_000)
	for i := range routes {
		x.route = &routes[i]
		u.note(x)
		u.note(x)
	}
	select {
	case <-u.full:
		t.Error("10,000 routes of one credential fill the memory of 65,536")
	default:
	}
	if n := testing.AllocsPerRun(100, func() { u.note(x) }); n != 0 {
		t.Errorf("%v allocations for a request", n)
	}
	got, calls := u.take()
	if len(calls.Counts) != len(routes) || calls.Lost != 0 {
		t.Errorf("%d counts, %d lost", len(calls.Counts), calls.Lost)
	}
	if len(got) != len(routes) || got[0].Count < 2 {
		t.Errorf("%d uses of %d routes, the first %+v", len(got), len(routes), got[0])
	}
}

// What there is no room for is counted as lost.
func TestUsesAreBounded(t *testing.T) {
	u := newUses()
	x := &note{at: time.Unix(1_800_000_000, 0), known: true, status: 200}
	const n = useShards*usesMost + 5000
	routes := make([]snapshot.Route, n)
	for i := range routes {
		x.route = &routes[i]
		u.note(x)
	}
	_, calls := u.take()
	counted := int64(0)
	for _, c := range calls.Counts {
		counted += c.Calls
	}
	if calls.Lost < 5000 || counted+calls.Lost != n || u.gone.Load() != calls.Lost {
		t.Errorf("%d counted and %d lost of %d", counted, calls.Lost, n)
	}
	if _, calls = u.take(); calls.Lost != 0 || len(calls.Counts) != 0 {
		t.Errorf("%+v is told twice", calls)
	}
}
