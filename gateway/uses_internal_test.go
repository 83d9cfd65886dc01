package gateway

import (
	"testing"
	"time"

	"gatehouse/id"
	"gatehouse/policy"
)

// One credential that calls thousands of routes is told of at its time, not as soon as one part of the memory is full.
func TestUsesOfOneCredentialSpread(t *testing.T) {
	u := newUses()
	bits, ok := id.New(id.Credential, time.Now()).Bits(id.Credential)
	if !ok {
		t.Fatal("an ID has no bits")
	}
	x := &policy.Exchange{Now: time.Now()}
	x.Principal.Method, x.Principal.Credential = "api_key", bits
	routes := make([]policy.RouteInfo, 10_000)
	for i := range routes {
		x.Route = &routes[i]
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
	got := u.take()
	if len(got) != len(routes) || got[0].Count < 2 {
		t.Errorf("%d uses of %d routes, the first %+v", len(got), len(routes), got[0])
	}
}
