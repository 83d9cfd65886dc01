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
	g := &Gateway{o: Options{Environment: "live", Name: "gw", Log: slog.New(slog.DiscardHandler), Now: time.Now, Tally: func(_ context.Context, ts feed.Tallies) (feed.Tallied, error) {
		if away {
			return feed.Tallied{}, fault.New(fault.Unavailable, "away")
		}
		for _, c := range ts.Tallies {
			if c.Grant == id.Bits(bad).ID(id.Grant) {
				return feed.Tallied{}, fault.New(fault.Invalid, "of a period that is over")
			}
		}
		for _, c := range ts.Tallies {
			taken[c.Grant]++
		}
		return feed.Tallied{Others: make([]int64, len(ts.Tallies))}, nil
	}}, quotas: q}
	if err := g.tell(t.Context(), g.anew(0)); err == nil || len(q.Untold(100)) != 40 {
		t.Errorf("while it is away: %v, %d untold", err, len(q.Untold(100)))
	}
	away = false
	if err := g.tell(t.Context(), g.anew(0)); err != nil {
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

// A life that is over by another's word goes on as another one: what was told is not told again, and what was not is. When nothing was
// told yet, as after a clock was set back, it is alone as before.
func TestCountsGoOnInAnotherLife(t *testing.T) {
	day, err := ratelimit.ParseQuota("100/day")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	q := ratelimit.NewQuotas()
	var fence int64
	told, alone := map[string]int64{}, map[string]bool{}
	g := &Gateway{o: Options{Environment: "live", Name: "gw", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Tally: func(_ context.Context, ts feed.Tallies) (feed.Tallied, error) {
		if ts.Begun < fence {
			return feed.Tallied{Over: fence}, nil
		}
		told[ts.Life], alone[ts.Life] = ts.Tallies[0].Calls, ts.Alone
		return feed.Tallied{Others: []int64{0}}, nil
	}}, quotas: q}
	spend := func(times int) (left int64) {
		for range times {
			rs, _ := q.Spend([16]byte{1}, []ratelimit.Quota{day}, now, nil)
			left = rs[0].Remaining
		}
		return left
	}
	l := g.anew(0)
	fence = now.Add(time.Hour).UnixMicro()
	spend(3)
	if err := g.tell(t.Context(), l); err == nil || l.begun <= fence || len(told) != 0 {
		t.Fatalf("%v, begun %d, told %v", err, l.begun, told)
	}
	if err := g.tell(t.Context(), l); err != nil || told[l.name] != 3 || !alone[l.name] {
		t.Fatalf("%v, told %v, alone %v", err, told, alone)
	}
	first := l.name
	fence = now.Add(2 * time.Hour).UnixMicro()
	spend(4)
	if err := g.tell(t.Context(), l); err == nil {
		t.Fatal("it was taken")
	}
	if err := g.tell(t.Context(), l); err != nil || told[first] != 3 || told[l.name] != 4 || alone[l.name] {
		t.Fatalf("%v, told %v, alone %v", err, told, alone)
	}
	if left := spend(1); left != 92 {
		t.Errorf("%d are left after 8 of 100", left)
	}
}

// A gateway to which another one hands over is alone only when that one is long over.
func TestASuccessorIsNotAlone(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	g := &Gateway{o: Options{Succeeds: true, Now: func() time.Time { return now }}}
	l := g.anew(0)
	if g.alone(l) {
		t.Error("alone at once")
	}
	if now = now.Add(aloneAfter + time.Second); !g.alone(l) {
		t.Error("not alone in the end")
	}
}
