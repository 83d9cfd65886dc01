package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	shards = 64 // each with its own lock, held for some tens of nanoseconds
	probe  = 16 // slots that are looked at for one key: 256 bytes
	first  = 64 // slots that a shard begins with
	spills = 64 // windows that are counted apart when a shard is full
)

// Limiter counts keys against windows in this process. Its memory is bounded: keys whose windows are full again are
// forgotten, which changes nothing, and when every place is taken by keys that are not, further keys share one count
// for each shard and window. So nobody makes it grow, and nobody makes it forget what another has spent.
type Limiter struct {
	seed   maphash.Seed
	most   int // slots of a shard
	shards [shards]shard
}

type shard struct {
	mu    sync.Mutex
	slots []slot
	spill []slot
	_     [8]byte // a shard is one cache line
}

// A slot is one window of one key, known by 64 bits of a seeded hash. hash 0: nobody's yet.
type slot struct {
	hash uint64
	tat  int64 // see Window.Spend
}

// NewLimiter returns an empty limiter that holds at most max windows of keys, sixteen bytes each.
func NewLimiter(max int) *Limiter {
	most := first
	for most*2*shards <= max {
		most *= 2
	}
	return &Limiter{seed: maphash.MakeSeed(), most: most}
}

// Spend counts one request of the key against all windows at once: either all take it or none. It appends a Result for
// each window to out, in their order, and reports whether the request may pass. Windows are told apart by their names;
// more than MaxWindows are refused.
func (l *Limiter) Spend(key []byte, windows []Window, now time.Time, out []Result) ([]Result, bool) {
	if len(windows) > MaxWindows {
		return out, false
	}
	at := now.UnixNano()
	h := maphash.Bytes(l.seed, key)
	s := &l.shards[h%shards]
	var names [MaxWindows]uint64
	for i := range windows {
		names[i] = maphash.String(l.seed, windows[i].Name)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	var places [MaxWindows]*slot
	for i := 0; i < len(windows); i++ {
		p, moved := s.place(l.most, h, names[i], at)
		if places[i] = p; moved {
			i = -1 // the table grew: look for all of them again
		}
	}
	ok := true
	var next [MaxWindows]int64
	var fits [MaxWindows]bool
	for i := range windows {
		if places[i].tat == at+1 {
			places[i].tat = at // as claim marked it: full
		}
		next[i], fits[i] = windows[i].Spend(places[i].tat, at)
		ok = ok && fits[i]
	}
	for i := range windows {
		if ok {
			places[i].tat = next[i]
		}
		out = append(out, windows[i].Result(places[i].tat, at, fits[i]))
	}
	return out, ok
}

// place finds the slot of a window of a key, or makes it. moved reports that the table grew and earlier places are void.
func (s *shard) place(most int, key, window uint64, now int64) (p *slot, moved bool) {
	h := mix(key, window)
	for {
		if p := claim(s.slots, h, now); p != nil {
			return p, moved
		}
		if !s.grow(most, now) {
			return s.spilled(window, now), moved
		}
		moved = true
	}
}

// claim finds h among the slots, or takes one for it that is free or whose window is full again. nil: there is none.
func claim(slots []slot, h uint64, now int64) *slot {
	if len(slots) == 0 {
		return nil
	}
	mask := uint64(len(slots) - 1)
	var free *slot
	for i := range uint64(probe) {
		p := &slots[(h>>8+i)&mask] // the low bits chose the shard
		if p.hash == h {
			return p
		}
		if free == nil && p.tat <= now {
			free = p
		}
		if p.hash == 0 {
			break // h was never put behind a free slot
		}
	}
	if free != nil {
		// Its tat is later than now, so that another window of the same request does not take it as well.
		free.hash, free.tat = h, now+1
	}
	return free
}

// grow doubles the slots and leaves out those whose windows are full again. It reports false when it may not.
func (s *shard) grow(most int, now int64) bool {
	n := max(first, 2*len(s.slots))
	if n > most {
		return false
	}
	fresh := make([]slot, n)
	for _, old := range s.slots {
		if old.tat <= now {
			continue
		}
		p := claim(fresh, old.hash, now)
		if p == nil {
			return false // sixteen neighbours in a table half empty: go on with the old one
		}
		p.tat = old.tat
	}
	s.slots = fresh
	return true
}

// spilled is the count that all keys share for whom there is no place.
func (s *shard) spilled(window uint64, now int64) *slot {
	for i := range s.spill {
		if s.spill[i].hash == window {
			return &s.spill[i]
		}
	}
	if s.spill == nil {
		s.spill = make([]slot, 0, spills) // never moved: places point into it
	}
	if len(s.spill) == spills {
		return &s.spill[spills-1]
	}
	s.spill = append(s.spill, slot{window, now})
	return &s.spill[len(s.spill)-1]
}

// Len counts the windows of keys that are not full again at that time. It takes every lock in turn: for metrics.
func (l *Limiter) Len(now time.Time) int {
	n, at := 0, now.UnixNano()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, p := range s.slots {
			if p.hash != 0 && p.tat > at {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

// mix makes one hash of two, never 0.
func mix(a, b uint64) uint64 {
	h := a ^ (b*0x9e3779b97f4a7c15 + 0x7f4a7c15)
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	h ^= h >> 32
	if h == 0 {
		return 1
	}
	return h
}
