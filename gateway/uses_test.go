package gateway_test

import (
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/gateway"
)

func TestUsesAreReported(t *testing.T) { both(t, testUsesAreReported) }

func testUsesAreReported(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, limits: gateway.Limits{Report: 5 * time.Millisecond}})
	key, c := h.issue()
	g := h.grant("read")
	h.line.mu.Lock()
	h.line.lost = true // what cannot be reported waits
	h.line.mu.Unlock()
	for range 3 {
		h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 200, "")
	}
	time.Sleep(20 * time.Millisecond)
	h.line.mu.Lock()
	h.line.lost = false
	h.line.mu.Unlock()
	var last feed.Use
	h.wait("three uses are reported", func() bool {
		h.line.mu.Lock()
		defer h.line.mu.Unlock()
		n := int64(0)
		for _, use := range h.line.usage {
			if use.Credential == c.ID && use.Grant == g.ID {
				n += use.Count
				last = use
			}
		}
		return n == 3
	})
	h.wait("three calls are counted", func() bool {
		h.line.mu.Lock()
		defer h.line.mu.Unlock()
		n := int64(0)
		for _, c := range h.line.calls {
			if c.Grant == g.ID && c.Status == 200 && c.Operation != "" && time.Since(time.Unix(c.Minute*60, 0)) < 10*time.Minute {
				n += c.Calls
			}
		}
		return n == 3
	})
	if last.Address != "127.0.0.1" || last.Operation == "" || time.Since(last.Last) > time.Minute {
		t.Errorf("%+v", last)
	}
}

func TestSourcesAreChecked(t *testing.T) { both(t, testSourcesAreChecked) }

func testSourcesAreChecked(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	h.grant("read")
	key, c := h.issue()
	c.Sources = []string{"192.0.2.0/24"}
	h.inForce(h.put(c))
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 403, "key-source")
	c.Sources = []string{"192.0.2.0/24", "127.0.0.0/8"}
	h.inForce(h.put(c))
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 200, "")
	c.Live, c.Ended = false, "pending"
	h.inForce(h.put(c))
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 401, "key-pending")
}
