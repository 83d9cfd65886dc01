package ratelimit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/ratelimit"
)

func quotas(t testing.TB, texts ...string) (out []ratelimit.Quota) {
	t.Helper()
	for _, s := range texts {
		q, err := ratelimit.ParseQuota(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, q)
	}
	return out
}

func TestParseQuota(t *testing.T) {
	for _, bad := range []string{"", "10", "10/", "/day", "0/day", "-1/day", "1.5/day", "10/week", "10/Day", "10/day/month", "99999999999999999999/day", " 1/day"} {
		if q, err := ratelimit.ParseQuota(bad); err == nil {
			t.Errorf("%q is taken as %+v", bad, q)
		}
	}
}

// Periods are the calendar's, in UTC, wherever the time was taken.
func TestPeriods(t *testing.T) {
	for _, c := range []struct {
		at, from, to string
		period       ratelimit.Period
	}{
		{"2027-02-28T23:59:59Z", "2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z", ratelimit.Day},
		{"2027-03-01T00:00:00Z", "2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z", ratelimit.Day},
		{"2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", ratelimit.Month},
		{"2027-12-31T23:59:59Z", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z", ratelimit.Month},
		{"2027-03-01T01:30:00+02:00", "2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z", ratelimit.Day},
		{"2027-03-01T01:30:00+02:00", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z", ratelimit.Month},
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		from, to, ok := c.period.Span(at)
		if !ok || from.Format(time.RFC3339) != c.from || to.Format(time.RFC3339) != c.to {
			t.Errorf("%s of %s: %s to %s", c.period, c.at, from, to)
		}
	}
}

func TestQuotaIsUsedUpAndBeginsAnew(t *testing.T) {
	now := time.Date(2027, 3, 31, 22, 0, 0, 0, time.UTC)
	qs, q, key := quotas(t, "3/day", "4/month"), ratelimit.NewQuotas(), [16]byte{1}
	for n := range 3 {
		if r, ok := q.Spend(key, qs, now, nil); !ok || r[0].Remaining != int64(2-n) || r[1].Remaining != int64(3-n) || r[0].Reset != 2*time.Hour {
			t.Fatalf("request %d: %v %+v", n, ok, r)
		}
	}
	r, ok := q.Spend(key, qs, now, nil)
	if ok || r[0].OK || r[0].Retry != 2*time.Hour || !r[1].OK || r[1].Remaining != 1 {
		t.Errorf("the fourth: %v %+v", ok, r)
	}
	if got := ratelimit.AppendPolicy(nil, r); string(got) != `"day";q=3;w=86400, "month";q=4` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := ratelimit.AppendLimit(nil, r); string(got) != `"day";r=0;t=7200, "month";r=1;t=7200` {
		t.Errorf("RateLimit: %s", got)
	}
	if _, ok := q.Spend([16]byte{2}, qs, now, nil); !ok {
		t.Error("another grant is refused too")
	}
	if r, ok := q.Spend(key, qs, now.Add(2*time.Hour), nil); !ok || r[0].Remaining != 2 || r[1].Remaining != 3 {
		t.Errorf("in the next month: %v %+v", ok, r)
	}
}

// What others let through counts as soon as it is told, and never less than that again.
func TestQuotaCountsWhatOthersTold(t *testing.T) {
	now := time.Date(2027, 3, 31, 22, 0, 0, 0, time.UTC)
	qs, q, key := quotas(t, "100/day"), ratelimit.NewQuotas(), [16]byte{1}
	q.Spend(key, qs, now, nil)
	told := q.Untold(10)
	if len(told) != 1 || told[0].Calls != 1 || told[0].Period != ratelimit.Day || !told[0].From.Equal(now.Truncate(24*time.Hour)) {
		t.Fatalf("%+v", told)
	}
	q.Spend(key, qs, now, nil)
	q.Told(told[0], 97)
	q.Told(told[0], 12) // an older answer
	if again := q.Untold(10); len(again) != 1 || again[0].Calls != 2 {
		t.Errorf("what came meanwhile: %+v", again)
	}
	if r, ok := q.Spend(key, qs, now, nil); !ok || r[0].Remaining != 0 {
		t.Errorf("the last one: %v %+v", ok, r)
	}
	if _, ok := q.Spend(key, qs, now, nil); ok {
		t.Error("more than the quota passes")
	}
	q.Forget(now.Add(24 * time.Hour))
	if left := q.Untold(10); len(left) != 1 {
		t.Error("what was not told was forgotten")
	}
	q.Told(q.Untold(10)[0], 97)
	q.Forget(now.Add(24 * time.Hour))
	q.Told(ratelimit.Tally{Key: key, Period: ratelimit.Day, From: now.Truncate(24 * time.Hour), Calls: 1}, 5)
	if _, ok := q.Spend(key, qs, now, nil); !ok {
		t.Error("the period that was over is still there")
	}
}

func TestQuotaIsExactInOneProcess(t *testing.T) {
	qs, q := quotas(t, "700/day", "1000/month"), ratelimit.NewQuotas()
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if _, ok := q.Spend([16]byte{1}, qs, start, nil); ok {
					passed.Add(1)
				}
				for _, t := range q.Untold(10) {
					q.Told(t, 0)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 700 {
		t.Errorf("%d passed of 1600, the quota is 700", passed.Load())
	}
}

func TestQuotaAllocatesNothing(t *testing.T) {
	qs, q, out := quotas(t, "1000000/day", "1000000/month"), ratelimit.NewQuotas(), make([]ratelimit.Result, 0, 4)
	q.Spend([16]byte{1}, qs, start, out)
	if n := testing.AllocsPerRun(1000, func() { q.Spend([16]byte{1}, qs, start, out) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}
