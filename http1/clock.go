package http1

import "time"

// An instant is a time on the monotonic clock, since the program began. It is cheap to read; the wall clock is not.
type instant time.Duration

// epoch is when the program began.
var epoch = time.Now()

func now() instant { return instant(time.Since(epoch)) }

func (i instant) add(d time.Duration) instant { return i + instant(d) }

func (i instant) sub(j instant) time.Duration { return time.Duration(i - j) }

// deadline is i for a connection.
func (i instant) deadline() time.Time { return epoch.Add(time.Duration(i)) }

// past is a deadline that ends every wait at once.
func past() time.Time { return time.Unix(1, 0) }

// alarm arms one of a connection's deadlines. It leaves an armed one alone as long as it is right within an eighth, so
// that a busy connection does not pay for a timer on each wait.
type alarm struct {
	set   func(time.Time) error
	armed instant
}

// arm sees to it that the deadline is between at+d and at+d+d/8.
func (a *alarm) arm(at instant, d time.Duration) {
	if left := a.armed.sub(at); left < d || left > d+d/8 {
		a.armed = at.add(d + d/8)
		_ = a.set(a.armed.deadline()) // a connection that cannot is closed, and says so when it is read
	}
}

// forget makes the next arm set the deadline anew: it has passed, or somebody else changed it.
func (a *alarm) forget() { a.armed = 0 }

// A tick is what the wall clock said at an instant, and the Date field of its second. The time between ticks is told by
// the monotonic clock.
type tick struct {
	at   instant
	wall time.Time
	line []byte
}

// tickFor is how long a tick is used: a change of the wall clock is noticed after that.
const tickFor = 100 * time.Millisecond

// wall returns the tick to use at that instant.
func (s *Server) wall(at instant) *tick {
	t := s.ticking.Load()
	if t != nil && at.sub(t.at) < tickFor && t.wall.Add(at.sub(t.at)).Unix() == t.wall.Unix() {
		return t
	}
	wall := time.Now()
	next := &tick{at: at, wall: wall}
	if t != nil && t.wall.Unix() == wall.Unix() {
		next.line = t.line
	} else {
		next.line = []byte("Date: " + wall.UTC().Format("Mon, 02 Jan 2006 15:04:05") + " GMT\r\n")
	}
	s.ticking.Store(next)
	return next
}

// time is the wall clock's time at an instant of the tick.
func (t *tick) time(at instant) time.Time { return t.wall.Add(at.sub(t.at)) }
