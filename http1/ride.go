package http1

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// A busy connection of plain TCP rides on one of the server's loops from one exchange to the next. It gets off for whatever takes
// long or is not usual: to wait without a buffer, to read a body as it comes, to change its protocol, to end in good order. Its own
// goroutine, which waits meanwhile, goes on then.

const (
	joinAfter = 2    // exchanges shortly after one another after which a connection is busy
	shyFor    = 16   // exchanges before one that had to get off tries again, doubled each time
	shyMost   = 1024 // at most so many
)

// Where little goes on nobody rides. A loop waits in the kernel, and the runtime's monitor looks after a thread in a system call every 20
// to 100 µs: a few hundred exchanges a second cost nearly twice of what they do on goroutines. Many at a time are cheaper on a loop.
const (
	paceOf   = 64                    // exchanges on goroutines of which it is measured how long they take together
	fastFor  = 32 * time.Millisecond // so long at most, and connections may ride: 2,000 a second
	quietFor = 80 * time.Millisecond // longer than that, times the loops, on one of them, and they get off: 800 a second in all
)

// pace is how fast exchanges follow one another on goroutines.
type pace struct {
	count  atomic.Int32
	from   atomic.Int64 // an instant
	fast   atomic.Bool
	riders atomic.Int32
}

// beat counts an exchange that has ended. As long as some ride, that few do not says nothing: a loop tells when it is quiet.
func (p *pace) beat(at instant) {
	if p.count.Add(1) < paceOf {
		return
	}
	p.count.Store(0)
	p.fast.Store(at.sub(instant(p.from.Swap(int64(at)))) <= fastFor || p.fast.Load() && p.riders.Load() > 0)
}

// slow is told that it was too slow for a loop.
func (p *pace) slow() {
	p.fast.Store(false)
	p.count.Store(0)
	p.from.Store(int64(now()))
}

// lull is how slowly exchanges follow one another on a loop.
type lull struct {
	count int
	from  instant
	quiet bool
}

// beat counts an exchange on one of so many loops.
func (l *lull) beat(at instant, loops int) {
	if l.from == 0 {
		l.from = at
	}
	if l.count++; l.count == paceOf {
		l.quiet = at.sub(l.from) > time.Duration(loops)*quietFor
		l.count, l.from = 0, at
	}
}

// loop is the one that the connection is on; nil: none.
func (c *conn) loop() *loop {
	if c.rc == nil {
		return nil
	}
	return c.rc.lp
}

// joins reports whether it is worth while to ride.
func (c *conn) joins() bool {
	if c.rc == nil || c.s.draining.Load() {
		return false
	}
	return c.phase == isWarm && c.streak >= joinAfter && c.s.Loops.pace.fast.Load() || c.s.Loops.Eager && c.phase != isCold && c.streak >= 0
}

// ride is wait for a connection on a loop: it returns when the loop has to do with it no more.
func (c *conn) ride() error {
	l := c.s.Loops.take()
	if !c.rc.join(l) { // out of descriptors, perhaps
		c.streak = -shyMost
		return c.wait()
	}
	c.raw = nil
	if c.e == nil {
		c.take()
	}
	if c.back == nil {
		c.back = make(chan error, 1)
	}
	c.s.Loops.pace.riders.Add(1)
	l.tell(c.board)
	err := <-c.back
	c.s.Loops.pace.riders.Add(-1)
	if off := c.e != nil && c.e.parsed; c.leaving || off { // for an exchange that does not ride
		c.leaving = false
		c.shy = min(max(2*c.shy, shyFor), shyMost)
		c.streak = -c.shy
	}
	if c.over && !c.linger || c.ended && c.empty() { // there is nothing but to close it
		return err
	}
	if off := c.rc.leave(); off != nil { // out of descriptors: it is closed
		c.s.log.Warn("a connection is closed that could not be taken off its loop", "error", off)
		c.over = true
		return nil
	}
	c.raw = rawOf(c.rc)
	return err
}

// board is arm for a connection that has come.
func (c *conn) board() {
	c.rc.lp.lull = lull{} // it comes because much goes on
	c.arm()
}

// arm has the loop serve what comes next.
func (c *conn) arm() {
	if s := &c.e.src; !c.rc.await(s.buf[s.w:]) {
		c.alight(os.ErrDeadlineExceeded)
	}
}

// alight has the connection's goroutine go on.
func (c *conn) alight(err error) {
	c.rc.unseat()
	c.back <- err
}

// turn serves what came, in a coroutine of the loop.
func (c *conn) turn() {
	if err, stays := c.serveTurn(); !stays {
		c.alight(err)
	}
}

func (c *conn) serveTurn() (err error, stays bool) {
	defer func() {
		if v := recover(); v != nil {
			c.s.log.Error("a handler panicked", "value", v, "stack", string(debug.Stack()))
			c.over, err, stays = true, nil, false
		}
	}()
	n, err := c.rc.received()
	if n == 0 {
		c.ended = err != os.ErrDeadlineExceeded
		return err, false
	}
	e := c.e
	e.src.w += n
	e.at = now()
	c.advance()
	c.rc.lp.lull.beat(e.at, c.s.Loops.many())
	if c.over || c.leaving || e.parsed && !waits(e) {
		return nil, false
	}
	c.prepare(e.at)
	if c.s.draining.Load() { // whoever drains has ended another wait than the one that would follow
		return nil, false
	}
	if c.rc.lp.lull.quiet && !c.s.Loops.Eager {
		c.s.Loops.pace.slow()
		return nil, false
	}
	c.arm()
	return nil, true
}

// Leave reports whether the Handler is to return at once, without an answer: it is called again where it may wait for others than
// its client and plain connections to upstreams. It is asked before anything is done that must not be done twice.
func (e *Exchange) Leave() bool {
	if e.c.loop() == nil {
		return false
	}
	e.c.leaving = true
	return true
}

// Await runs f, which may wait for anything but the exchange.
func (e *Exchange) Await(f func()) {
	if l := e.c.loop(); l != nil {
		l.await(f)
		return
	}
	f()
}

// connect is dial for an exchange that may be on a loop.
func (u *Upstream) connect(ctx context.Context, on *loop) (l *link, err error) {
	if on == nil {
		return u.dial(ctx, nil)
	}
	on.await(func() { l, err = u.dial(ctx, on) })
	return l, err
}

// roundTripOn is roundTrip on a loop.
func (l *link) roundTripOn(limit instant, out []byte) error {
	if l.used && !l.rc.watching() && !l.rc.silent(l.one[:]) {
		return errStale
	}
	s := &l.src
	n, err := l.rc.ask(out, s.buf[s.w:])
	for n == 0 && err == os.ErrDeadlineExceeded {
		l.reading.forget()
		if s.client.gone() {
			err = ErrClientGone
			break
		}
		at := now()
		if at >= limit || l.halted.Load() {
			break
		}
		l.reading.arm(at, s.glance(limit.sub(at)))
		n, err = l.rc.Read(s.buf[s.w:])
	}
	s.w += n
	if n > 0 || err == io.EOF {
		return err
	}
	if err != nil {
		l.reading.forget()
	}
	return err
}
