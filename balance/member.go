package balance

import (
	"sync/atomic"
	"time"
)

// A Member is one address that can be asked, with what is known about it.
type Member struct {
	Name   string // scheme and address: what it is on the ring
	weight int

	running  atomic.Int64
	failures atomic.Int64 // in a row
	until    atomic.Int64 // ejected until then, as UnixNano; 0: it never was
	streak   atomic.Int64 // ejections close to each other, for the growing time
	down     atomic.Bool  // says the active check
	up       atomic.Int64 // when the active check last found it well again

	asked, failed, ejections atomic.Int64 // since it is known
}

// NewMember makes a member that can be asked. A weight below 1 is 1.
func NewMember(name string, weight int) *Member { return &Member{Name: name, weight: max(1, weight)} }

// Weight is its share beside the others'.
func (m *Member) Weight() int { return m.weight }

func (m *Member) available(at int64) bool { return at >= m.until.Load() && !m.down.Load() }

// warmth is the part of its share that a member gets: less than 1 for a while after its return.
func (m *Member) warmth(at int64, slow time.Duration) float64 {
	back := max(m.until.Load(), m.up.Load())
	if slow <= 0 || back == 0 || at-back >= int64(slow) {
		return 1
	}
	return max(coldest, float64(at-back)/float64(slow))
}

// Begin counts a request that is sent to the member; End must follow.
func (m *Member) Begin() { m.running.Add(1); m.asked.Add(1) }

// End ends what Begin began.
func (m *Member) End() { m.running.Add(-1) }

// Running is how many requests run at it.
func (m *Member) Running() int64 { return m.running.Load() }

// Succeeded notes that the member gave a proper answer.
func (m *Member) Succeeded() {
	if m.failures.Load() != 0 {
		m.failures.Store(0)
	}
}

// Found notes what an active check has found. It reports whether that changed anything.
func (m *Member) Found(well bool, now time.Time) (changed bool) {
	if changed = m.down.Swap(!well) == well; changed && well {
		m.up.Store(now.UnixNano())
		m.failures.Store(0)
	}
	return changed
}

// State is what is known about a member.
type State struct {
	Running, Asked, Failed, Ejections int64
	Down                              bool          // says the active check
	Ejected                           time.Duration // for so long from now; 0: it is not
}

// State reads it.
func (m *Member) State(now time.Time) State {
	s := State{Running: m.running.Load(), Asked: m.asked.Load(), Failed: m.failed.Load(), Ejections: m.ejections.Load(), Down: m.down.Load()}
	if left := m.until.Load() - now.UnixNano(); left > 0 {
		s.Ejected = time.Duration(left)
	}
	return s
}

// Passive is when a member is ejected for what it did with requests. The zero value ejects nobody.
type Passive struct {
	Failures int           // in a row
	Eject    time.Duration // for how long the first time; each further time twice as long
	Longest  time.Duration // and no longer; after so long without one, the next is a first time again
	Most     int           // percent of the members that may be ejected at once
}

// Failed notes that the member could not be reached, broke off, took too long or said that it cannot. It reports for how
// long the member is ejected by it, or 0.
func (s *Set) Failed(m *Member, p Passive, now time.Time) time.Duration {
	m.failed.Add(1)
	if n := m.failures.Add(1); p.Failures <= 0 || n < int64(p.Failures) {
		return 0
	}
	at, out := now.UnixNano(), 0
	old := m.until.Load()
	if at < old {
		return 0 // of a request that began before
	}
	for _, other := range s.Members {
		if other != m && at < other.until.Load() {
			out++
		}
	}
	if (out+1)*100 > len(s.Members)*p.Most {
		return 0
	}
	streak := m.streak.Load()
	if old == 0 || at-old > int64(p.Longest) {
		streak = 0
	}
	d := p.Eject
	for range streak {
		if d *= 2; d >= p.Longest {
			break
		}
	}
	d = min(d, p.Longest)
	if !m.until.CompareAndSwap(old, at+int64(d)) {
		return 0 // another request has
	}
	m.streak.Store(streak + 1)
	m.failures.Store(0)
	m.ejections.Add(1)
	return d
}
