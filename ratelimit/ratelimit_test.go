package ratelimit_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/ratelimit"
)

var start = time.Unix(1_800_000_000, 0)

func TestSpendRule(t *testing.T) {
	w := ratelimit.Window{Name: "w", Requests: 10, Per: time.Second, Burst: 3}
	now, tat := start.UnixNano(), int64(0)
	for i, want := range []struct {
		after     time.Duration
		ok        bool
		remaining int64
		retry     time.Duration
	}{
		{0, true, 2, 0}, {0, true, 1, 0}, {0, true, 0, 0},
		{0, false, 0, 100 * time.Millisecond},
		{60 * time.Millisecond, false, 0, 40 * time.Millisecond},
		{40 * time.Millisecond, true, 0, 0},
		{time.Second, true, 2, 0}, // full again, not fuller
	} {
		now += int64(want.after)
		next, ok := w.Spend(tat, now)
		r := w.Result(next, now, ok)
		if ok != want.ok || r.Remaining != want.remaining || r.Retry != want.retry {
			t.Errorf("step %d: ok %v, remaining %d, retry %v; want %+v", i, ok, r.Remaining, r.Retry, want)
		}
		tat = next
	}
}

// However the calls fall, no window lets through more than its burst and what it refills.
func TestNeverMoreThanAllowed(t *testing.T) {
	for _, w := range []ratelimit.Window{
		{Name: "thirds", Requests: 3, Per: time.Second},
		{Name: "odd", Requests: 7, Per: 3 * time.Second, Burst: 2},
		{Name: "one", Requests: 1, Per: time.Minute},
	} {
		l, passed := ratelimit.NewLimiter(0), int64(0)
		const span = 10 * time.Minute
		for at := time.Duration(0); at < span; at += 97 * time.Millisecond {
			if _, ok := l.Spend([]byte("k"), []ratelimit.Window{w}, start.Add(at), nil); ok {
				passed++
			}
		}
		burst := w.Burst
		if burst == 0 {
			burst = w.Requests
		}
		most := burst + w.Requests*int64(span)/int64(w.Per)
		if passed > most || passed < most-burst-1 {
			t.Errorf("%s: %d passed in %v, the limit allows %d", w.Name, passed, span, most)
		}
	}
}

func TestAllOrNothing(t *testing.T) {
	l := ratelimit.NewLimiter(0)
	windows := []ratelimit.Window{
		{Name: "minute", Requests: 100, Per: time.Minute},
		{Name: "second", Requests: 2, Per: time.Second},
	}
	key := []byte("gr_1")
	for i := range 2 {
		if _, ok := l.Spend(key, windows, start, nil); !ok {
			t.Fatalf("call %d is refused", i)
		}
	}
	var r []ratelimit.Result
	for range 50 {
		var ok bool
		if r, ok = l.Spend(key, windows, start, nil); ok {
			t.Fatal("the third call in a second passes")
		}
	}
	if !r[0].OK || r[0].Remaining != 98 {
		t.Errorf("refused calls were charged to the minute: %+v", r[0])
	}
	if r[1].OK || r[1].Remaining != 0 || r[1].Retry != 500*time.Millisecond {
		t.Errorf("the second says %+v", r[1])
	}
}

// A window that a publish made smaller does not refuse for as long as the larger one would have.
func TestShrunkWindow(t *testing.T) {
	l := ratelimit.NewLimiter(0)
	day := []ratelimit.Window{{Name: "w", Requests: 1000, Per: 24 * time.Hour}}
	for range 1000 {
		l.Spend([]byte("k"), day, start, nil)
	}
	minute := []ratelimit.Window{{Name: "w", Requests: 60, Per: time.Minute}}
	r, ok := l.Spend([]byte("k"), minute, start, nil)
	if ok || r[0].Retry > time.Second {
		t.Errorf("after the window became a minute: ok %v, retry %v", ok, r[0].Retry)
	}
}

func TestLimiterIsBoundedAndForgetsNobody(t *testing.T) {
	const most = 64 * 64 // the smallest there is
	l := ratelimit.NewLimiter(0)
	w := []ratelimit.Window{{Name: "w", Requests: 5, Per: time.Hour}}
	partner := []byte("partner")
	for range 5 {
		if _, ok := l.Spend(partner, w, start, nil); !ok {
			t.Fatal("the partner is refused too early")
		}
	}
	passed := 0
	for i := range 200_000 {
		if _, ok := l.Spend(strconv.AppendInt(nil, int64(i), 10), w, start.Add(time.Second), nil); ok {
			passed++
		}
	}
	if n := l.Len(start.Add(time.Second)); n > most {
		t.Errorf("it holds %d windows, more than %d", n, most)
	}
	if passed > most+64*5 {
		t.Errorf("%d strangers passed although there was place for %d", passed, most)
	}
	if _, ok := l.Spend(partner, w, start.Add(2*time.Second), nil); ok {
		t.Error("the strangers reset the partner's limit")
	}
	if _, ok := l.Spend([]byte("late"), w, start.Add(3*time.Hour), nil); !ok {
		t.Error("once all windows are full again a new key is refused")
	}
	if n := l.Len(start.Add(4*time.Hour + time.Second)); n != 0 {
		t.Errorf("%d windows are left after all of them are full again", n)
	}
}

func TestParallelSpendIsExact(t *testing.T) {
	l := ratelimit.NewLimiter(1 << 16)
	w := []ratelimit.Window{{Name: "a", Requests: 1000, Per: time.Hour}, {Name: "b", Requests: 700, Per: time.Hour}}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if _, ok := l.Spend([]byte("k"), w, start, nil); ok {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 700 {
		t.Errorf("%d passed of 4000, the limit is 700", passed.Load())
	}
}

func TestSpendAllocatesNothing(t *testing.T) {
	l := ratelimit.NewLimiter(1 << 16)
	w := []ratelimit.Window{{Name: "a", Requests: 1e6, Per: time.Second}, {Name: "b", Requests: 1e6, Per: time.Minute}}
	out, key := make([]ratelimit.Result, 0, 4), []byte("gr_01kas0v2m8c4y6n0q3r5t7w9xz")
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(1000, func() {
		r, _ := l.Spend(key, w, start, out)
		buf = ratelimit.AppendLimit(ratelimit.AppendPolicy(buf[:0], r), r)
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func TestFields(t *testing.T) {
	w := []ratelimit.Window{
		{Name: "per-minute", Requests: 100, Per: time.Minute, Burst: 20},
		{Name: `a"b\é`, Requests: 1, Per: 90 * time.Second},
	}
	r := []ratelimit.Result{
		{Window: &w[0], OK: true, Remaining: 19, Reset: 600 * time.Millisecond},
		{Window: &w[1], Remaining: 0, Reset: 90 * time.Second, Retry: 1500 * time.Millisecond},
	}
	if got, want := string(ratelimit.AppendPolicy(nil, r)), `"per-minute";q=100;w=60, "a\"b\\??";q=1;w=90`; got != want {
		t.Errorf("RateLimit-Policy: %s, want %s", got, want)
	}
	if got, want := string(ratelimit.AppendLimit(nil, r)), `"per-minute";r=19;t=1, "a\"b\\??";r=0;t=90`; got != want {
		t.Errorf("RateLimit: %s, want %s", got, want)
	}
	if got := ratelimit.Retry(r); got != 1500*time.Millisecond {
		t.Errorf("Retry is %v", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		w  ratelimit.Window
		ok bool
	}{
		{ratelimit.Window{Requests: 1, Per: time.Second}, true},
		{ratelimit.Window{Requests: 1e9, Per: time.Second}, true},
		{ratelimit.Window{Requests: 1, Per: 365 * 24 * time.Hour}, true},
		{ratelimit.Window{Requests: 0, Per: time.Second}, false},
		{ratelimit.Window{Requests: -1, Per: time.Second}, false},
		{ratelimit.Window{Requests: 1, Per: time.Second - 1}, false},
		{ratelimit.Window{Requests: 1, Per: time.Second, Burst: -1}, false},
		{ratelimit.Window{Requests: 2e9, Per: time.Second}, false},
		{ratelimit.Window{Requests: 1, Per: 365 * 24 * time.Hour, Burst: 1e6}, false},
	} {
		if err := c.w.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.w, err)
		}
	}
}

func BenchmarkSpend(b *testing.B) {
	w := []ratelimit.Window{
		{Name: "second", Requests: 1e6, Per: time.Second}, {Name: "minute", Requests: 1e7, Per: time.Minute}, {Name: "day", Requests: 1e9, Per: 24 * time.Hour},
	}
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("windows=%d", n), func(b *testing.B) {
			l, out, key := ratelimit.NewLimiter(1<<20), make([]ratelimit.Result, 0, 4), []byte("0123456789abcdef")
			now := start
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Microsecond)
				l.Spend(key, w[:n], now, out)
			}
		})
	}
	b.Run("keys=1e6", func(b *testing.B) {
		l, out := ratelimit.NewLimiter(4<<20), make([]ratelimit.Result, 0, 4)
		key := make([]byte, 0, 16)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range 1_000_000 {
			l.Spend(strconv.AppendInt(key, int64(i), 10), w[2:], start, out)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		i := 0
		for b.Loop() {
			i++
			l.Spend(strconv.AppendInt(key, int64(i%1_000_000), 10), w[2:], start, out)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "B/key")
		runtime.KeepAlive(l)
	})
}
