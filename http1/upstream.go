package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Patience is how long an upstream may take. Zero values stand for the defaults.
type Patience struct {
	Connect time.Duration // to connect; 3 s
	Head    time.Duration // from the end of what is sent at once to the end of the answer's head; 30 s
	Body    time.Duration // the longest silence within an answer's content; 60 s
	Write   time.Duration // the longest that one write may wait; 30 s
	Idle    time.Duration // how long an unused connection is kept; 55 s, below the 60 s after which many servers close it
	Keep    int           // unused connections that are kept; 256
}

func (p Patience) withDefaults() Patience {
	pick := func(d *time.Duration, other time.Duration) {
		if *d <= 0 {
			*d = other
		}
	}
	pick(&p.Connect, 3*time.Second)
	pick(&p.Head, 30*time.Second)
	pick(&p.Body, 60*time.Second)
	pick(&p.Write, 30*time.Second)
	pick(&p.Idle, 55*time.Second)
	if p.Keep <= 0 {
		p.Keep = 256
	}
	return p
}

// An Upstream is one address, and the connections that are kept to it. Its fields are set before its first use.
type Upstream struct {
	Address  string                                      // host:port
	Dial     func(ctx context.Context) (net.Conn, error) // nil: TCP to Address
	Patience Patience
	Buffers  *Buffers

	once     sync.Once
	patience Patience
	bufs     *Buffers

	mu     sync.Mutex
	idle   []shelf
	all    map[*link]struct{}
	reaper *time.Timer // runs while there are idle ones
	closed bool
	bound  bool // its connections cannot ride on loops
}

// A shelf is the unused connections that ride on one loop, or on none.
type shelf struct {
	on    *loop
	links []*link // the last used last
}

// A link is one connection to an upstream. One exchange at a time uses it.
type link struct {
	u       *Upstream
	nc      net.Conn
	rc      *ringConn       // nc, on a loop; nil: it is on none
	raw     syscall.RawConn // nil where reads are not the operating system's own
	below   syscall.RawConn // what is under it then
	step    func(fd uintptr) bool
	src     source
	reading alarm
	writing alarm
	halted  atomic.Bool
	cutter  func()  // cut; made when it is wanted first
	used    bool    // it has carried an exchange before
	heard   bool    // something was received in this exchange
	before  memo    // the last answer's fields
	since   instant // when the last exchange ended
	lapse   func()  // lapsed; made when it is wanted first

	// Of one RawConn.Read.
	out  []byte
	sent bool
	n    int
	err  error
	one  [1]byte
}

func (u *Upstream) prepare() {
	u.once.Do(func() {
		u.patience, u.bufs = u.Patience.withDefaults(), u.Buffers
		if u.bufs == nil {
			u.bufs = new(Buffers)
		}
		u.all = map[*link]struct{}{}
	})
}

// kept returns the connection that was used last, or nil.
func (u *Upstream) kept(at instant, on *loop) *link {
	u.mu.Lock()
	l := u.shelf(on).last()
	if l == nil && on != nil { // one that is on none may come along
		if l = u.shelf(nil).last(); l != nil && !l.board(on) {
			u.drop(l)
			l = nil
		}
	}
	u.mu.Unlock()
	if l != nil && at.sub(l.since) > u.patience.Idle {
		l.close()
		return nil
	}
	return l
}

// last takes the one that was used last, or returns nil.
func (s *shelf) last() *link {
	n := len(s.links)
	if n == 0 {
		return nil
	}
	l := s.links[n-1]
	s.links[n-1] = nil
	s.links = s.links[:n-1]
	return l
}

// shelf is the one for a loop, while u is locked.
func (u *Upstream) shelf(on *loop) *shelf {
	if u.bound {
		on = nil
	}
	for i := range u.idle {
		if u.idle[i].on == on {
			return &u.idle[i]
		}
	}
	u.idle = append(u.idle, shelf{on: on})
	return &u.idle[len(u.idle)-1]
}

// keep takes a connection back whose last exchange is over without doubt.
func (u *Upstream) keep(l *link) {
	l.used, l.heard, l.since = true, false, now()
	if l.rc != nil {
		l.watch()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		u.drop(l)
		return
	}
	if u.unused() >= u.patience.Keep {
		u.dropOldest()
	}
	var on *loop
	if l.rc != nil {
		on = l.rc.lp
	}
	s := u.shelf(on) // where kept looks
	s.links = append(s.links, l)
	if u.reaper == nil {
		u.reaper = time.AfterFunc(u.patience.Idle, u.reap)
	}
}

// watch has the loop tell of a connection that ends while nobody uses it, or says what nobody asked for.
func (l *link) watch() {
	s := &l.src
	s.buf = s.bufs.get(pageSize)
	if l.lapse == nil {
		l.lapse = l.lapsed
	}
	if !l.rc.watch(s.buf, l.lapse) {
		s.release()
	}
}

// lapsed gives the buffer back and, unless it was only for long that nothing has happened, the connection up.
func (l *link) lapsed() {
	l.src.release()
	if _, err := l.rc.received(); errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	u := l.u
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.idle {
		s := &u.idle[i]
		if at := slices.Index(s.links, l); at >= 0 {
			s.links = slices.Delete(s.links, at, at+1)
			u.drop(l)
			return
		}
	}
}

// dropOldest closes the connection that was not used for the longest, while u is locked.
func (u *Upstream) dropOldest() {
	var of *shelf
	for i := range u.idle {
		if s := &u.idle[i]; len(s.links) > 0 && (of == nil || s.links[0].since < of.links[0].since) {
			of = s
		}
	}
	u.drop(of.links[0])
	of.links = slices.Delete(of.links, 0, 1)
}

// unused is how many connections nobody uses, while u is locked.
func (u *Upstream) unused() int {
	n := 0
	for i := range u.idle {
		n += len(u.idle[i].links)
	}
	return n
}

// reap closes what was not used for long.
func (u *Upstream) reap() {
	at := now()
	u.mu.Lock()
	defer u.mu.Unlock()
	oldest, some := at, false
	for i := range u.idle {
		s := &u.idle[i]
		n := 0
		for n < len(s.links) && at.sub(s.links[n].since) >= u.patience.Idle {
			u.drop(s.links[n])
			n++
		}
		kept := copy(s.links, s.links[n:])
		clear(s.links[kept:])
		s.links = s.links[:kept]
		if kept > 0 {
			oldest, some = min(oldest, s.links[0].since), true
		}
	}
	if u.closed || !some {
		u.reaper = nil
		return
	}
	u.reaper = time.AfterFunc(oldest.add(u.patience.Idle).sub(at), u.reap)
}

// clear closes the unused connections, while u is locked.
func (u *Upstream) clear() {
	for i := range u.idle {
		for _, l := range u.idle[i].links {
			u.drop(l)
		}
	}
	u.idle = nil
}

// drop closes a connection while u is locked.
func (u *Upstream) drop(l *link) {
	delete(u.all, l)
	_ = l.nc.Close()
}

// dial makes a connection, which rides on a loop if that is given.
func (u *Upstream) dial(ctx context.Context, on *loop) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, u.patience.Connect)
	defer cancel()
	dial := u.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", u.Address) }
	}
	nc, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{u: u}
	l.use(nc)
	l.src.bufs, l.src.alarm, l.src.halted = u.bufs, &l.reading, &l.halted
	u.mu.Lock()
	defer u.mu.Unlock()
	boards := on != nil && l.board(on)
	if u.closed {
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	u.all[l] = struct{}{}
	u.bound = on != nil && !boards
	return l, nil
}

// use makes nc what it reads and writes.
func (l *link) use(nc net.Conn) {
	l.nc, l.src.nc = nc, nc
	l.reading.set, l.writing.set = nc.SetReadDeadline, nc.SetWriteDeadline
	l.raw, l.below, l.step = rawOf(nc), nil, nil
	if l.raw != nil {
		l.step, l.below = l.stepRaw, l.raw
	} else if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		l.below = rawOf(t.NetConn())
	}
}

// board puts it on a loop, while u is locked: whoever cuts it must find the connection that it uses. It reports false when it cannot ride.
func (l *link) board(on *loop) bool {
	rc := ringed(l.nc)
	if rc == nil || !rc.join(on) {
		return false
	}
	l.use(rc)
	l.rc, l.raw, l.below, l.step = rc, nil, nil, nil
	l.reading.forget()
	l.writing.forget()
	return true
}

// Idle is how many unused connections are kept.
func (u *Upstream) Idle() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.unused()
}

// CloseIdle closes the unused connections. The Upstream can be used on.
func (u *Upstream) CloseIdle() {
	u.prepare()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
}

// Close closes all connections. Exchanges that use one fail.
func (u *Upstream) Close() {
	u.prepare()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	if u.reaper != nil {
		u.reaper.Stop()
		u.reaper = nil
	}
	u.clear()
	for l := range u.all {
		l.cut()
	}
}

// cut makes all that waits for the upstream fail.
func (l *link) cut() {
	l.halted.Store(true)
	_ = l.nc.SetDeadline(past())
}

func (l *link) close() {
	if l.rc == nil || !l.rc.watching() { // else the kernel has the buffer still: lapsed gives it back
		l.src.release()
	}
	l.u.mu.Lock()
	defer l.u.mu.Unlock()
	l.u.drop(l)
}

// roundTrip writes out and waits for the first bytes of an answer, which it puts into the source. On plain TCP the
// wait is armed before the write, so that no read is tried in vain; what is there before the write is not an answer.
func (l *link) roundTrip(at instant, out []byte) error {
	if l.raw == nil && l.rc == nil && l.stale() {
		return errStale
	}
	limit := at.add(l.src.patience(at))
	l.reading.arm(at, l.src.glance(limit.sub(at)))
	if l.halted.Load() {
		return errHalted
	}
	if l.rc != nil {
		return l.roundTripOn(limit, out)
	}
	if l.raw == nil {
		l.writing.arm(at, l.u.patience.Write)
		if _, err := l.nc.Write(out); err != nil {
			return err
		}
		return l.src.fill()
	}
	l.out, l.sent, l.n, l.err = out, false, 0, nil
	err := l.raw.Read(l.step)
	for l.sent && l.n == 0 && l.err == nil && errors.Is(err, os.ErrDeadlineExceeded) {
		l.reading.forget()
		if l.src.client.gone() {
			err = ErrClientGone
			break
		}
		if at = now(); at >= limit || l.halted.Load() {
			break
		}
		l.reading.arm(at, l.src.glance(limit.sub(at)))
		err = l.raw.Read(l.step)
	}
	l.out = nil
	if l.err != nil {
		return l.err
	}
	l.src.w += l.n
	if l.n > 0 {
		return nil
	}
	if err != nil {
		l.reading.forget()
	}
	return err
}

// stepRaw is called by RawConn.Read: first at once, then when bytes have come.
func (l *link) stepRaw(fd uintptr) bool {
	if l.sent {
		l.n, l.err = readNow(fd, l.src.buf[l.src.w:])
		switch {
		case l.err == errNothing:
			l.err = nil
			return false
		case l.err == nil && l.n == 0:
			l.err = io.EOF
		}
		return true
	}
	if l.used {
		if _, err := readNow(fd, l.one[:]); err != errNothing {
			l.err = errStale
			return true
		}
	}
	l.sent = true
	n, err := writeNow(fd, l.out)
	if err == nil && n < len(l.out) || err == errNothing {
		l.writing.arm(now(), l.u.patience.Write)
		_, err = l.nc.Write(l.out[n:])
	}
	l.err = err
	return err != nil
}

// stale reports whether a kept connection has ended, or has said something that nobody asked for.
func (l *link) stale() bool {
	if l.rc != nil {
		return l.used && !(l.rc.calm() && l.rc.silent(l.one[:]))
	}
	if !l.used || l.below == nil {
		return false
	}
	silent := false
	err := l.below.Read(func(fd uintptr) bool {
		_, err := readNow(fd, l.one[:])
		silent = err == errNothing
		return true
	})
	if errors.Is(err, os.ErrDeadlineExceeded) { // of the last exchange
		l.reading.forget()
		l.reading.arm(now(), l.u.patience.Head)
		return l.stale()
	}
	return err != nil || !silent
}
