package ratelimit

import (
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Period is what a quota is counted over: a day or a month of the calendar, in UTC.
type Period string

// The periods.
const (
	Day   Period = "day"   // from 00:00 UTC
	Month Period = "month" // from the first of the month, 00:00 UTC
)

// Span is the period that the time is in: from its first moment to that of the next one. A period of another name has none.
func (p Period) Span(at time.Time) (from, to time.Time, ok bool) {
	y, m, d := at.UTC().Date()
	switch p {
	case Day:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC), true
	case Month:
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC), true
	}
	return from, to, false
}

// Quota is how many requests a period of the calendar has. Unlike a window it does not refill: it begins anew.
type Quota struct {
	Period Period
	Window Window // as callers are shown it: its name is the period's; a month has no Per, as months differ
}

// ParseQuota reads how manifests write one: 10000/day, 200000/month.
func ParseQuota(s string) (Quota, error) {
	number, period, ok := strings.Cut(s, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || n < 1 || Period(period) != Day && Period(period) != Month {
		return Quota{}, fmt.Errorf("must be a number of requests a day or a month, such as 10000/day or 200000/month, not %q", s)
	}
	q := Quota{Period(period), Window{Name: period, Requests: n}}
	if q.Period == Day {
		q.Window.Per = 24 * time.Hour
	}
	return q, nil
}

// Tally is how many requests of a key were let through here in one period, since this process began.
type Tally struct {
	Key    [16]byte
	Period Period
	From   time.Time
	Calls  int64
}

// Quotas counts keys against quotas: what this process let through, and what it was told that others have. It may be used by
// many at once, and allocates when a key comes for the first time in a period. Its memory is that of the keys of the periods
// that run: they are grants that let somebody in, so nobody makes it grow.
type Quotas struct {
	seed   maphash.Seed
	shards [shards]struct {
		mu     sync.Mutex
		counts map[quotaKey]quotaCount
	}
}

type quotaKey struct {
	key  [16]byte
	from int64 // seconds since 1970
	day  bool
}

type quotaCount struct {
	own    int64
	told   int64 // how much of own was told to who keeps the counts
	others int64 // what others have let through, as far as is known: it only grows
}

// NewQuotas returns one that has counted nothing.
func NewQuotas() *Quotas {
	q := &Quotas{seed: maphash.MakeSeed()}
	for i := range q.shards {
		q.shards[i].counts = map[quotaKey]quotaCount{}
	}
	return q
}

// Spend counts one request of the key against all quotas: either all take it or none. It appends a Result for each quota to
// out, in their order, and reports whether the request may pass. More than MaxWindows are refused.
func (q *Quotas) Spend(key [16]byte, quotas []Quota, now time.Time, out []Result) ([]Result, bool) {
	if len(quotas) > MaxWindows {
		return out, false
	}
	s := &q.shards[maphash.Comparable(q.seed, key)%shards]
	var keys [MaxWindows]quotaKey
	var left [MaxWindows]time.Duration
	for i := range quotas {
		from, to, _ := quotas[i].Period.Span(now)
		keys[i], left[i] = quotaKey{key, from.Unix(), quotas[i].Period == Day}, to.Sub(now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := true
	var counts [MaxWindows]quotaCount
	for i := range quotas {
		counts[i] = s.counts[keys[i]]
		ok = ok && counts[i].own+counts[i].others < quotas[i].Window.Requests
	}
	for i := range quotas {
		fits := counts[i].own+counts[i].others < quotas[i].Window.Requests
		if ok {
			counts[i].own++
			s.counts[keys[i]] = counts[i]
		}
		r := Result{Window: &quotas[i].Window, OK: fits, Remaining: max(quotas[i].Window.Requests-counts[i].own-counts[i].others, 0), Reset: left[i]}
		if !fits {
			r.Retry = left[i]
		}
		out = append(out, r)
	}
	return out, ok
}

// Untold returns counts that have grown since they were told, at most so many: in no order.
func (q *Quotas) Untold(most int) (out []Tally) {
	for i := range q.shards {
		s := &q.shards[i]
		s.mu.Lock()
		for k, c := range s.counts {
			if len(out) >= most {
				break
			}
			if c.own > c.told {
				t := Tally{Key: k.key, Period: Month, From: time.Unix(k.from, 0).UTC(), Calls: c.own}
				if k.day {
					t.Period = Day
				}
				out = append(out, t)
			}
		}
		s.mu.Unlock()
	}
	return out
}

// Told notes that a count was told, and how many requests others have let through.
func (q *Quotas) Told(t Tally, others int64) {
	s := &q.shards[maphash.Comparable(q.seed, t.Key)%shards]
	k := quotaKey{t.Key, t.From.Unix(), t.Period == Day}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.counts[k]
	if !ok {
		return
	}
	c.told, c.others = max(c.told, t.Calls), max(c.others, others)
	s.counts[k] = c
}

// Anew makes what was told a part of what others have let through: from here on only what is untold is this process's own.
func (q *Quotas) Anew() {
	for i := range q.shards {
		s := &q.shards[i]
		s.mu.Lock()
		for k, c := range s.counts {
			s.counts[k] = quotaCount{own: c.own - c.told, others: c.others + c.told}
		}
		s.mu.Unlock()
	}
}

// Forget drops the counts of periods that are over and were told; untold ones when they are too old to be taken by anybody.
func (q *Quotas) Forget(now time.Time) {
	day, _, _ := Day.Span(now)
	month, _, _ := Month.Span(now)
	for i := range q.shards {
		s := &q.shards[i]
		s.mu.Lock()
		for k, c := range s.counts {
			begins := month
			if k.day {
				begins = day
			}
			over := k.from < begins.Unix()
			if over && (c.own == c.told || k.from < begins.AddDate(0, 0, -40).Unix()) {
				delete(s.counts, k)
			}
		}
		s.mu.Unlock()
	}
}
