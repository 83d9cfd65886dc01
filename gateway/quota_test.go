package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/feed"
	"gatehouse/gateway"
)

// keeping is what keeps the counts of quotas, in the place of a control plane.
type keeping struct {
	mu     sync.Mutex
	away   bool
	told   map[feed.Tally]int64 // by all but the calls
	others int64
}

func (k *keeping) tally(_ context.Context, t feed.Tallies) (feed.Tallied, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away || t.Life == "" {
		return feed.Tallied{}, errors.New("away")
	}
	out := make([]int64, len(t.Tallies))
	for i, c := range t.Tallies {
		calls := c.Calls
		c.Calls = 0
		k.told[c], out[i] = max(k.told[c], calls), k.others
	}
	return feed.Tallied{Others: out}, nil
}

func (k *keeping) calls() (n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.told {
		n += c
	}
	return n
}

// A quota holds with what other gateways have let through, goes on while nobody can be told, and is told afterwards.
func TestQuota(t *testing.T) { both(t, testQuota) }

func testQuota(t *testing.T, codec gateway.Codec) {
	k := &keeping{told: map[feed.Tally]int64{}, others: 4, away: true}
	h := start(t, setup{codec: codec, tally: k.tally})
	b := files(h.upstream.URL, "")
	b["gatehouse.yaml"] = bytes.Replace(b["gatehouse.yaml"], []byte("limits: [{name: burst, requests: 5, per: 10s}, {name: day, requests: 1000, per: 24h}]"), []byte("quotas: [8/day]"), 1)
	h.revise(b)
	h.line.receipt(t, func(r feed.Receipt) bool { return r.Revision == 2 })
	key, _ := h.issue()
	g := h.grant("read")
	a := h.do(call{path: "/eid/v1/whoami", key: key})
	a.want(t, 200, "")
	if got := a.header.Get("RateLimit"); !strings.HasPrefix(got, `"day";r=7;t=`) || a.header.Get("RateLimit-Policy") != `"day";q=8;w=86400` {
		t.Errorf("RateLimit %s, RateLimit-Policy %s", got, a.header.Get("RateLimit-Policy"))
	}
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 200, "") // nobody can be told
	k.mu.Lock()
	k.away = false
	k.mu.Unlock()
	h.wait("it is told", func() bool { return k.calls() == 2 })
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 200, "")
	h.wait("the answer to what was told first has come", func() bool { return k.calls() == 3 })
	h.do(call{path: "/eid/v1/whoami", key: key}).want(t, 200, "")
	a = h.do(call{path: "/eid/v1/whoami", key: key})
	a.want(t, 429, "quota-used-up")
	if left, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || left < 1 || left > 86400 || !strings.HasPrefix(a.header.Get("RateLimit"), `"day";r=0;t=`) || a.problem.Rule != "rate_limit" {
		t.Errorf("Retry-After %q, RateLimit %q, rule %q", a.header.Get("Retry-After"), a.header.Get("RateLimit"), a.problem.Rule)
	}
	h.wait("it is told", func() bool { return k.calls() == 4 })
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.told {
		if c.Grant != g.ID || c.Period != "day" {
			t.Errorf("%+v", c)
		}
	}
}
