package gateway

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/ratelimit"
)

// One count that the control plane will never take does not keep the others from being told, nor passes for told itself before it
// was looked for; while the control plane is away nothing passes for told.
func TestOneBadTallyIsToldApart(t *testing.T) {
	day, err := ratelimit.ParseQuota("100/day")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	q := ratelimit.NewQuotas()
	var bad [16]byte
	for n := range 40 {
		key := [16]byte{byte(n + 1)}
		if n == 17 {
			bad = key
		}
		if _, ok := q.Spend(key, []ratelimit.Quota{day}, now, nil); !ok {
			t.Fatal("refused")
		}
	}
	away, taken := true, map[id.ID]int{}
	g := &Gateway{o: Options{Environment: "live", Name: "gw", Log: slog.New(slog.DiscardHandler), Tally: func(_ context.Context, ts feed.Tallies) ([]int64, error) {
		if away {
			return nil, fault.New(fault.Unavailable, "away")
		}
		for _, c := range ts.Tallies {
			if c.Grant == id.Bits(bad).ID(id.Grant) {
				return nil, fault.New(fault.Invalid, "of a period that is over")
			}
		}
		for _, c := range ts.Tallies {
			taken[c.Grant]++
		}
		return make([]int64, len(ts.Tallies)), nil
	}}, quotas: q}
	if err := g.tell(t.Context(), "life"); err == nil || len(q.Untold(100)) != 40 {
		t.Errorf("while it is away: %v, %d untold", err, len(q.Untold(100)))
	}
	away = false
	if err := g.tell(t.Context(), "life"); err != nil {
		t.Fatal(err)
	}
	if len(taken) != 39 || len(q.Untold(100)) != 0 {
		t.Errorf("%d were taken, and %d are untold", len(taken), len(q.Untold(100)))
	}
	for grant, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", grant, n)
		}
	}
}
