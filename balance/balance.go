// Package balance chooses the target of an upstream, and says when one or all of them are not to be asked.
//
// Everything here is a rule with a few counters: no goroutine, no network, no clock. Requests take no lock, except those
// that wait for a place because a Gate is full.
package balance

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Rule is how a target is chosen.
type Rule string

// The rules.
const (
	RoundRobin    Rule = "round_robin"    // each in its turn, as often as its weight says
	LeastRequests Rule = "least_requests" // of two drawn by weight, the one with fewer running requests for its weight
	Hash          Rule = "hash"           // the same key, the same target, as long as it can be asked
)

// Key is what a key is for Hash. It is the same on every gateway, so that all of them agree on the target.
func Key(b []byte) uint64 { return xxhash.Sum64(b) }

// A Set is the members of an upstream at one moment. It is not changed: another one takes its place, and goes on with
// the members that stay.
type Set struct {
	Members []*Member
	rule    Rule
	slow    time.Duration
	turns   []uint16 // indexes of members, each as often as its weight, spread evenly
	ring    []point  // for Hash, by position
	next    atomic.Uint32
}

// point is one place of a member on the ring.
type point struct {
	at     uint64
	member uint16
}

// MaxMembers is how many members a Set has at most: turns and points name them by 16 bits, and a name that resolves to
// more is a mistake.
const MaxMembers = 1024

const (
	ringPoints = 160 // of the heaviest member: the loads of equal members are then within about a tenth of each other
	coldest    = 0.1 // of its share is what a target gets right after its return
)

// NewSet makes a set. slow is how long a target that returned takes to come to its full share; 0: at once.
func NewSet(rule Rule, slow time.Duration, members []*Member) *Set {
	if len(members) > MaxMembers {
		members = members[:MaxMembers]
	}
	s := &Set{Members: members, rule: rule, slow: slow}
	if s.turns = turns(members); len(s.turns) > 0 {
		s.next.Store(rand.Uint32()) // gateways that start together do not all begin with the same one
	}
	if rule != Hash {
		return s
	}
	heaviest := 1
	for _, m := range members {
		heaviest = max(heaviest, m.weight)
	}
	for i, m := range members {
		for n := range max(1, ringPoints*m.weight/heaviest) {
			s.ring = append(s.ring, point{Key([]byte(m.Name + "#" + strconv.Itoa(n))), uint16(i)})
		}
	}
	slices.SortFunc(s.ring, func(a, b point) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return int(a.member) - int(b.member)
	})
	return s
}

// turns spreads the members over a round, so that a heavy one does not take all its turns in a row.
func turns(members []*Member) []uint16 {
	total, common := 0, 0
	for _, m := range members {
		common = gcd(common, m.weight)
	}
	for _, m := range members {
		total += m.weight / common
	}
	out := make([]uint16, 0, total)
	credit := make([]int, len(members))
	for range total {
		best := 0
		for i, m := range members {
			if credit[i] += m.weight / common; credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		out = append(out, uint16(best))
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Tried is which members a request has tried already.
type Tried struct {
	words [MaxMembers / 64]uint64
	n     int
}

// Add notes that the member was tried.
func (t *Tried) Add(i int) {
	if !t.Has(i) {
		t.words[i/64] |= 1 << (i % 64)
		t.n++
	}
}

// Has reports whether it was.
func (t *Tried) Has(i int) bool { return t.words[i/64]&(1<<(i%64)) != 0 }

// Len is how many were.
func (t *Tried) Len() int { return t.n }

// Pick chooses a member that was not tried, and returns its index; -1 when all were. Only when none can be asked it takes
// one of those that should not be: a health check that is wrong about all of them must not end the service.
func (s *Set) Pick(key uint64, now time.Time, tried *Tried) int {
	at := now.UnixNano()
	if len(s.Members) == 1 {
		if tried.Has(0) {
			return -1
		}
		return 0
	}
	i := -1
	switch s.rule {
	case Hash:
		i = s.byHash(key, at, tried)
	case LeastRequests:
		i = s.byLoad(at, tried)
	default:
		i = s.byTurn(at, tried)
	}
	if i >= 0 {
		return i
	}
	for n := range s.turns { // none can be asked
		if i := s.turn(n); !tried.Has(i) {
			return i
		}
	}
	return -1
}

// turn is whose turn it is n turns from now.
func (s *Set) turn(n int) int {
	return int(s.turns[(uint64(s.next.Load())+uint64(n))%uint64(len(s.turns))])
}

func (s *Set) byTurn(at int64, tried *Tried) int {
	first, cold := uint64(s.next.Load())+1, -1
	if tried.n == 0 {
		first = uint64(s.next.Add(1)) // what is tried again takes nobody's turn
	}
	for n := range uint64(len(s.turns)) {
		i := int(s.turns[(first+n)%uint64(len(s.turns))])
		m := s.Members[i]
		if tried.Has(i) || !m.available(at) {
			continue
		}
		if w := m.warmth(at, s.slow); w >= 1 || rand.Float64() < w {
			return i
		}
		if cold < 0 {
			cold = i
		}
	}
	return cold
}

func (s *Set) byLoad(at int64, tried *Tried) int {
	best, load := -1, math.Inf(1)
	found := 0
	for range 8 { // draws: two that can be asked are found soon, unless few can be
		i := int(s.turns[rand.IntN(len(s.turns))])
		m := s.Members[i]
		if i == best || tried.Has(i) || !m.available(at) {
			continue
		}
		if w := m.warmth(at, s.slow); w < 1 && rand.Float64() >= w {
			continue
		}
		if l := float64(m.running.Load()) / float64(m.weight); l < load {
			best, load = i, l
		}
		if found++; found == 2 {
			return best
		}
	}
	if best >= 0 {
		return best
	}
	return s.byTurn(at, tried)
}

func (s *Set) byHash(key uint64, at int64, tried *Tried) int {
	n, _ := slices.BinarySearchFunc(s.ring, key, func(p point, key uint64) int {
		switch {
		case p.at < key:
			return -1
		case p.at > key:
			return 1
		}
		return 0
	})
	cold, out, left := -1, -1, len(s.Members)
	var seen Tried
	for k := 0; left > 0; k++ {
		i := int(s.ring[(n+k)%len(s.ring)].member)
		if seen.Has(i) {
			continue
		}
		seen.Add(i)
		left--
		m := s.Members[i]
		switch {
		case tried.Has(i):
			continue
		case !m.available(at):
			if out < 0 {
				out = i
			}
			continue
		}
		// A key decides by itself when it returns, so that it does not go back and forth.
		if w := m.warmth(at, s.slow); w >= 1 || float64(bits.RotateLeft64(key, 32)>>40)/(1<<24) < w {
			return i
		}
		if cold < 0 {
			cold = i
		}
	}
	if cold < 0 {
		return out // where the key would go if all could be asked
	}
	return cold
}
