package balance_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/balance"
)

var t0 = time.Unix(1_700_000_000, 0)

func members(weights ...int) (out []*balance.Member) {
	for i, w := range weights {
		out = append(out, balance.NewMember(fmt.Sprint("http://10.0.0.", i+1, ":80"), w))
	}
	return out
}

// shares asks n times, each with another key, and returns how often each member was chosen.
func shares(s *balance.Set, n int, now time.Time) []int {
	got := make([]int, len(s.Members))
	for i := range n {
		got[s.Pick(balance.Key(fmt.Append(nil, i)), now, &balance.Tried{})]++
	}
	return got
}

func TestSharesFollowWeights(t *testing.T) {
	for _, rule := range []balance.Rule{balance.RoundRobin, balance.LeastRequests, balance.Hash} {
		got := shares(balance.NewSet(rule, 0, members(1, 2, 5)), 8000, t0)
		for i, want := range []float64{1000, 2000, 5000} {
			if off := math.Abs(float64(got[i])-want) / want; rule == balance.RoundRobin && off > 0 || off > .35 {
				t.Errorf("%s: %v, want about 1000, 2000 and 5000", rule, got)
				break
			}
		}
	}
}

// A heavy member does not take all its turns in a row.
func TestTurnsAreSpread(t *testing.T) {
	s := balance.NewSet(balance.RoundRobin, 0, members(1, 3))
	last, row := -1, 0
	for range 40 {
		i := s.Pick(0, t0, &balance.Tried{})
		if row++; i != last {
			last, row = i, 1
		}
		if row > 3 {
			t.Fatalf("member %d had %d turns in a row", i, row)
		}
	}
}

// When a member goes, only its keys move; when it comes back, they return.
func TestHashMovesOnlyWhatItMust(t *testing.T) {
	ms := members(1, 1, 1, 1)
	s := balance.NewSet(balance.Hash, 0, ms)
	at := func() (out [1000]int) {
		for i := range out {
			out[i] = s.Pick(balance.Key(fmt.Append(nil, i)), t0, &balance.Tried{})
		}
		return out
	}
	before := at()
	ms[2].Found(false, t0)
	without := at()
	for i := range before {
		if before[i] != 2 && without[i] != before[i] || without[i] == 2 {
			t.Fatalf("key %d was at %d and is at %d", i, before[i], without[i])
		}
	}
	ms[2].Found(true, t0)
	if at() != before {
		t.Error("not all keys returned")
	}
	smaller := balance.NewSet(balance.Hash, 0, ms[:3])
	moved := 0
	for i := range before {
		if got := smaller.Pick(balance.Key(fmt.Append(nil, i)), t0, &balance.Tried{}); before[i] != 3 && got != before[i] {
			moved++
		}
	}
	if moved > 0 {
		t.Errorf("%d keys moved that were not at the member that went", moved)
	}
}

func TestLeastRequestsAvoidsTheBusy(t *testing.T) {
	ms := members(1, 1)
	s := balance.NewSet(balance.LeastRequests, 0, ms)
	for range 10 {
		ms[0].Begin()
	}
	if got := shares(s, 1000, t0); got[0] > 50 {
		t.Errorf("%v: the busy one is chosen too often", got)
	}
}

func TestPickPassesOverWhatWasTried(t *testing.T) {
	for _, rule := range []balance.Rule{balance.RoundRobin, balance.LeastRequests, balance.Hash} {
		s := balance.NewSet(rule, 0, members(1, 1, 1))
		var tried balance.Tried
		for n := range 3 {
			i := s.Pick(7, t0, &tried)
			if i < 0 || tried.Has(i) {
				t.Fatalf("%s: pick %d is %d", rule, n, i)
			}
			tried.Add(i)
		}
		if i := s.Pick(7, t0, &tried); i != -1 {
			t.Errorf("%s: %d was tried before", rule, i)
		}
	}
}

// When no member should be asked, all are asked as before.
func TestNobodyLeft(t *testing.T) {
	for _, rule := range []balance.Rule{balance.RoundRobin, balance.LeastRequests, balance.Hash} {
		ms := members(1, 1)
		s := balance.NewSet(rule, 0, ms)
		ms[0].Found(false, t0)
		if got := shares(s, 100, t0); got[0] != 0 {
			t.Errorf("%s: %v, although the first is down", rule, got)
		}
		ms[1].Found(false, t0)
		if got := shares(s, 100, t0); got[0] == 0 || got[1] == 0 {
			t.Errorf("%s: %v, although both are down", rule, got)
		}
	}
}

func TestEjection(t *testing.T) {
	p := balance.Passive{Failures: 3, Eject: 10 * time.Second, Longest: 35 * time.Second, Most: 50}
	ms := members(1, 1, 1)
	s := balance.NewSet(balance.RoundRobin, 0, ms)
	fail := func(m *balance.Member, now time.Time) (d time.Duration) {
		for range 3 {
			d = s.Failed(m, p, now)
		}
		return d
	}
	s.Failed(ms[0], p, t0)
	s.Failed(ms[0], p, t0)
	ms[0].Succeeded()
	if d := s.Failed(ms[0], p, t0); d != 0 {
		t.Fatal("failures that were not in a row ejected")
	}
	ms[0].Succeeded()
	if d := fail(ms[0], t0); d != 10*time.Second {
		t.Fatalf("ejected for %v", d)
	}
	if d := fail(ms[1], t0); d != 0 {
		t.Fatal("two of three were ejected, which is more than half")
	}
	if got := shares(s, 90, t0.Add(9*time.Second)); got[0] != 0 {
		t.Errorf("%v, although the first is ejected", got)
	}
	now := t0
	for _, want := range []time.Duration{20 * time.Second, 35 * time.Second, 35 * time.Second} {
		now = now.Add(ms[0].State(now).Ejected + time.Second)
		if got := shares(s, 90, now); got[0] == 0 {
			t.Fatal("it never came back")
		}
		if d := fail(ms[0], now); d != want {
			t.Fatalf("ejected for %v, want %v", d, want)
		}
	}
	now = now.Add(ms[0].State(now).Ejected + 36*time.Second)
	if d := fail(ms[0], now); d != 10*time.Second {
		t.Errorf("after a good while it is ejected for %v, want the first time again", d)
	}
	one := balance.NewSet(balance.RoundRobin, 0, members(1))
	for range 10 {
		if one.Failed(one.Members[0], p, t0) != 0 {
			t.Fatal("the only one was ejected")
		}
	}
}

func TestSlowReturn(t *testing.T) {
	for _, rule := range []balance.Rule{balance.RoundRobin, balance.LeastRequests, balance.Hash} {
		ms := members(1, 1)
		s := balance.NewSet(rule, 100*time.Second, ms)
		ms[0].Found(false, t0)
		ms[0].Found(true, t0)
		last := 0
		for _, c := range []struct {
			after time.Duration
			most  int
		}{{0, 300}, {50 * time.Second, 900}, {100 * time.Second, 1400}} {
			n := shares(s, 2000, t0.Add(c.after))[0]
			if n > c.most || n <= last {
				t.Errorf("%s: after %v it gets %d of 2000, before it were %d", rule, c.after, n, last)
			}
			last = n
		}
	}
}

func TestBudget(t *testing.T) {
	b := balance.NewBudget(20, 1)
	retries := func(now time.Time) (n int) {
		for b.Retry(now) {
			n++
		}
		return n
	}
	if n := retries(t0); n != 10 {
		t.Errorf("%d retries without requests, want one a second", n)
	}
	now := t0.Add(time.Minute)
	for i := range 1000 {
		b.Request(now.Add(time.Duration(i) * 5 * time.Millisecond))
	}
	if n := retries(now.Add(5 * time.Second)); n != 200 {
		t.Errorf("%d retries for 1000 requests", n)
	}
	if n := retries(now.Add(time.Minute)); n != 10 {
		t.Errorf("%d retries a minute later", n)
	}
}

func TestBreaker(t *testing.T) {
	b := balance.NewBreaker(balance.BreakerOptions{Errors: 50, Requests: 10, Window: 10 * time.Second, Open: 5 * time.Second, Probes: 2})
	for range 9 {
		if b.Done(0, balance.Failed, t0) != "" {
			t.Fatal("it opened too early")
		}
	}
	for range 20 {
		b.Done(0, balance.Good, t0)
	}
	for i := range 11 {
		if got := b.Done(0, balance.Failed, t0); (got == balance.Open) != (i == 10) {
			t.Fatalf("after %d failures of %d: %q", 10+i, 30+i, got)
		}
	}
	if _, wait, ok := b.Admit(t0.Add(time.Second)); ok || wait != 4*time.Second {
		t.Fatalf("open, it admits %v and says %v", ok, wait)
	}
	now := t0.Add(5 * time.Second)
	one, _, ok1 := b.Admit(now)
	two, _, ok2 := b.Admit(now)
	_, _, ok3 := b.Admit(now)
	if !ok1 || !ok2 || ok3 || one == 0 {
		t.Fatalf("half open, it lets in %v %v %v", ok1, ok2, ok3)
	}
	if got := b.Done(one, balance.Failed, now); got != balance.Open {
		t.Fatalf("a failed probe makes it %q", got)
	}
	if got := b.Done(two, balance.Good, now); got != "" {
		t.Fatalf("a late probe makes it %q", got)
	}
	now = now.Add(5 * time.Second)
	one, _, _ = b.Admit(now)
	b.Done(one, balance.Neither, now) // decides nothing, and gives its place back
	one, _, _ = b.Admit(now)
	two, _, _ = b.Admit(now)
	b.Done(one, balance.Good, now)
	if got := b.Done(two, balance.Good, now); got != balance.Closed {
		t.Fatalf("two good probes make it %q", got)
	}
	if _, _, ok := b.Admit(now); !ok {
		t.Error("closed, it refuses")
	}
	if s, opened, refused := b.State(now); s != balance.Closed || opened != 2 || refused != 2 {
		t.Errorf("%v, opened %d, refused %d", s, opened, refused)
	}
}

// However many come, no more than the limit run at once, and nobody is left waiting beside a free place.
func TestGate(t *testing.T) {
	g := balance.NewGate(balance.GateOptions{Most: 4, Queue: 1000, Wait: time.Minute})
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if !g.Enter(context.Background()) {
				t.Error("it was refused")
				return
			}
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(100 * time.Microsecond)
			running.Add(-1)
			g.Leave()
		})
	}
	wg.Wait()
	if most.Load() > 4 || g.State() != (balance.GateState{Limit: 4}) {
		t.Errorf("%d ran at once; %+v", most.Load(), g.State())
	}
}

func TestGateSheds(t *testing.T) {
	g := balance.NewGate(balance.GateOptions{Most: 1, Queue: 1, Wait: 20 * time.Millisecond})
	if !g.Enter(context.Background()) {
		t.Fatal("the first is refused")
	}
	queued := make(chan bool)
	go func() { queued <- g.Enter(context.Background()) }()
	for g.State().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	if g.Enter(context.Background()) {
		t.Error("a third is let in")
	}
	if <-queued {
		t.Error("the second is let in although nobody left")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if g.Enter(ctx) {
		t.Error("one that went away is let in")
	}
	g.Leave()
	if !g.Enter(context.Background()) || g.State().Shed != 3 {
		t.Errorf("%+v", g.State())
	}
}

// The limit goes down while latency grows, and up again when it is as before.
func TestAdaptiveLimit(t *testing.T) {
	g := balance.NewGate(balance.GateOptions{Most: 100, Adaptive: true})
	now := t0
	run := func(seconds int, latency time.Duration) {
		for range seconds {
			var in int
			for in < 100 && g.State().Running < g.State().Limit && g.Enter(context.Background()) {
				in++
			}
			for range 30 {
				g.Took(latency, now)
			}
			now = now.Add(1100 * time.Millisecond)
			g.Took(latency, now)
			for range in {
				g.Leave()
			}
		}
	}
	run(5, 10*time.Millisecond)
	if l := g.State().Limit; l != 100 {
		t.Fatalf("the limit is %d although nothing is slow", l)
	}
	run(6, 200*time.Millisecond)
	low := g.State().Limit
	if low > 60 {
		t.Errorf("the limit is %d although everything takes twenty times as long", low)
	}
	run(20, 10*time.Millisecond)
	if l := g.State().Limit; l != 100 {
		t.Errorf("the limit stays %d, it was %d", l, low)
	}
}

// crowded runs a gate for that long in front of an upstream that works on eight requests at once, each for the given time,
// while as many as may ask. It returns the limit at the end and the latency at it.
func crowded(g *balance.Gate, now *time.Time, asking int, each, long time.Duration) (limit int64, latency time.Duration) {
	for end := now.Add(long); now.Before(end); {
		in := 0
		for in < asking && g.State().Running < g.State().Limit && g.Enter(context.Background()) {
			in++
		}
		latency = each * time.Duration(max(in, 8)) / 8
		for range max(20, in) {
			g.Took(latency, *now)
		}
		*now = now.Add(300 * time.Millisecond)
		g.Took(latency, *now)
		for range in {
			g.Leave()
		}
	}
	return g.State().Limit, latency
}

// While far more is asked than an upstream can do, the limit comes down to what it can within seconds, from wherever it
// was, and stays there for as long as that lasts. An upstream that becomes slower for good is let have its share again.
func TestAdaptiveLimitHolds(t *testing.T) {
	g := balance.NewGate(balance.GateOptions{Most: 1000, Adaptive: true})
	now := t0
	crowded(g, &now, 4, 10*time.Millisecond, 10*time.Second)
	if limit, latency := crowded(g, &now, 128, 10*time.Millisecond, 4*time.Second); limit > 40 || limit < 8 {
		t.Errorf("four seconds into an overload the limit is %d and an answer takes %v", limit, latency)
	}
	if limit, latency := crowded(g, &now, 128, 10*time.Millisecond, 30*time.Minute); limit > 30 || limit < 8 || latency > 40*time.Millisecond {
		t.Errorf("half an hour into an overload the limit is %d and an answer takes %v", limit, latency)
	}
	if limit, latency := crowded(g, &now, 128, 500*time.Millisecond, 5*time.Minute); limit < 8 || latency > 4*time.Second {
		t.Errorf("of an upstream that is fifty times slower for good the limit is %d, and an answer takes %v", limit, latency)
	}
	if limit, _ := crowded(g, &now, 128, 10*time.Millisecond, time.Minute); limit > 40 || limit < 8 {
		t.Errorf("when it is as quick as before the limit is %d", limit)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, rule := range []balance.Rule{balance.RoundRobin, balance.LeastRequests, balance.Hash} {
		s := balance.NewSet(rule, time.Minute, members(1, 2, 3, 4))
		b := balance.NewBudget(20, 3)
		k := balance.NewBreaker(balance.BreakerOptions{Errors: 50, Requests: 10, Window: time.Second, Open: time.Second, Probes: 1})
		g := balance.NewGate(balance.GateOptions{Most: 10, Adaptive: true})
		key := []byte("client 17")
		if n := testing.AllocsPerRun(100, func() {
			p, _, _ := k.Admit(t0)
			g.Enter(context.Background())
			b.Request(t0)
			var tried balance.Tried
			m := s.Members[s.Pick(balance.Key(key), t0, &tried)]
			m.Begin()
			m.Succeeded()
			m.End()
			g.Took(time.Millisecond, t0)
			g.Leave()
			k.Done(p, balance.Good, t0)
		}); n != 0 {
			t.Errorf("%s: %v allocations", rule, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, rule := range []balance.Rule{balance.RoundRobin, balance.LeastRequests, balance.Hash} {
		b.Run(string(rule), func(b *testing.B) {
			s := balance.NewSet(rule, time.Minute, members(1, 2, 3, 4))
			key := []byte("client 17")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					var tried balance.Tried
					s.Pick(balance.Key(key), t0, &tried)
				}
			})
		})
	}
}
