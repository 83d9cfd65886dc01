package http1

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
)

// A conn is a client's connection. One goroutine serves it.
//
// On plain TCP it waits inside of one RawConn.Read: what arrives while a request is served is remembered by the poller
// there, so that between requests no read has to be tried before waiting. What the poller cannot tell is an end of the
// stream that came together with the last bytes: within a message, after a connection's first and after several at once
// another read is tried; otherwise it is found when the connection goes from warm to cold.
type conn struct {
	s       *Server
	nc      net.Conn
	rc      *ringConn       // nc, if it may ride on a loop; nil otherwise
	raw     syscall.RawConn // nil where reads are not the operating system's own
	step    func(fd uintptr) bool
	peer    netip.AddrPort
	scheme  string
	reading alarm
	writing alarm
	e       *Exchange // nil while the connection is cold
	halted  atomic.Bool
	phase   uint8
	since   instant // when the phase began
	fd      uintptr // valid within stepRaw
	one     [1]byte
	served  int  // requests
	inStep  bool // RawConn.Read holds the connection's read side
	ended   bool // the peer has ended its side
	over    bool // no further request is read
	linger  bool // the peer may still be sending: let it read the answer before the close
	leaving bool // the handler wants to be called off the loop
	streak  int  // exchanges shortly after one another; below 0: until it may ride again
	shy     int
	back    chan error // from the loop
	kept    any        // of the handler
}

// Phases of a connection.
const (
	inHead = iota // a request is expected, or has begun to arrive, or is served
	inBody        // a small body is awaited before its request is served
	isWarm        // between requests, not for long
	isCold        // between requests, without buffers
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{s: s, nc: nc, since: now()}
	if s.Loops != nil {
		if c.rc = ringed(nc); c.rc != nil {
			c.rc.conn = c
			nc, c.nc = c.rc, c.rc
		}
	}
	c.reading.set, c.writing.set = nc.SetReadDeadline, nc.SetWriteDeadline
	if raw := rawOf(nc); raw != nil {
		c.raw, c.step = raw, c.stepRaw
	}
	if c.scheme = s.Scheme; c.scheme == "" {
		c.scheme = "http"
		if _, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
			c.scheme = "https"
		}
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = a.AddrPort()
	}
	return c
}

// rawOf returns what to wait and read on by ourselves, or nil where that cannot be done.
func rawOf(nc net.Conn) syscall.RawConn {
	if rc, ok := nc.(*ringConn); ok {
		if nc = rc.t; rc.t == nil {
			return nil
		}
	}
	if t, ok := nc.(*net.TCPConn); ok && polled {
		if raw, err := t.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// serve is the life of a connection.
func (c *conn) serve() {
	defer c.end()
	defer func() {
		if v := recover(); v != nil {
			c.s.log.Error("a handler panicked", "value", v, "stack", string(debug.Stack()))
		}
	}()
	for c.advance(); !c.over; c.advance() {
		err := c.wait()
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.late(now())
		default:
			c.cut()
		}
	}
}

// advance serves what is in the buffer as far as it goes.
func (c *conn) advance() {
	for !c.over {
		e := c.e
		if e == nil || e.src.w == 0 {
			return
		}
		if !e.parsed {
			if c.phase != inHead {
				c.enter(inHead, e.at)
			}
			n, r := e.head.request(e.src.buf[:e.src.w], c.scheme, &e.Request)
			switch {
			case r != Fine:
				c.refuse(r)
				return
			case n == 0 && e.src.w < len(e.src.buf):
				return
			case n == 0:
				e.src.grow()
				e.restart()
				continue
			}
			e.begin(n)
		}
		waiting, socket := e.incomplete()
		if waiting && c.phase != inBody {
			c.enter(inBody, e.at)
		}
		if waiting || socket && (c.inStep || c.loop() != nil) {
			return
		}
		if c.exchange(); c.leaving {
			return
		}
	}
}

// exchange serves one request.
func (c *conn) exchange() {
	e := c.e
	c.s.Handler(e)
	if c.leaving {
		return
	}
	if e.state == unanswered {
		c.over = true
		c.s.log.Error("a handler did not answer", "path", e.Request.Path.String())
	}
	if e.state != answered || e.sending != nil || !e.drain() || e.closing {
		c.over = true
		c.linger = !e.body.over || e.src.unread() > 0 || !e.head.close && !e.head.old
	}
	if c.over {
		return
	}
	e.src.settle()
	e.restart()
	c.served++
	c.streak++
	at := now()
	c.enter(isWarm, at)
	if c.rc != nil && c.rc.lp == nil {
		c.s.Loops.pace.beat(at)
	}
}

// enter begins a phase.
func (c *conn) enter(phase uint8, at instant) { c.phase, c.since = phase, at }

// wait returns when advance may find something new, or with an error.
func (c *conn) wait() error {
	c.prepare(now())
	if c.s.draining.Load() && c.phase == isCold {
		return io.EOF
	}
	if c.joins() {
		return c.ride()
	}
	if c.raw != nil {
		err := c.raw.Read(c.step)
		c.inStep = false
		if err == nil && c.ended && !c.over {
			return io.EOF
		}
		return err
	}
	if c.e == nil { // a cold one waits with a single byte of memory
		n, err := c.nc.Read(c.one[:])
		if n > 0 {
			e := c.take()
			e.at = now()
			e.src.w = copy(e.src.buf, c.one[:])
			return nil
		}
		return err
	}
	s := &c.e.src
	n, err := c.nc.Read(s.buf[s.w:])
	if n > 0 {
		s.w += n
		c.e.at = now()
		return nil
	}
	return err
}

// stepRaw is called by RawConn.Read: first at once, then whenever bytes may have come. It returns true to leave.
func (c *conn) stepRaw(fd uintptr) bool {
	c.inStep, c.fd = true, fd
	for {
		e := c.e
		if e == nil {
			e = c.take()
		}
		space := e.src.buf[e.src.w:]
		n, err := readNow(fd, space)
		switch {
		case err == errNothing:
			if c.phase == isCold {
				c.give()
			}
			return false
		case err != nil || n == 0:
			c.ended = true
			return true
		}
		e.src.w += n
		e.at = now()
		before := c.served
		c.advance()
		if c.over || e.parsed && !waits(e) || c.joins() {
			return true
		}
		c.prepare(e.at)
		if n < len(space) && e.src.w == 0 && before > 0 && c.served == before+1 { // that was all there was
			return false
		}
	}
}

func waits(e *Exchange) bool {
	w, _ := e.incomplete()
	return w
}

// prepare arms the deadline of the phase.
func (c *conn) prepare(at instant) {
	l := &c.s.limits
	phase := c.phase
	if c.s.draining.Load() && (phase == isWarm || phase == inHead && c.empty()) {
		c.reading.arm(at, drainGrace-at.sub(c.since))
		return
	}
	switch phase {
	case inHead:
		c.reading.arm(at, l.Head-at.sub(c.since))
	case inBody:
		c.reading.arm(at, l.Body)
	case isWarm:
		c.reading.arm(at, warm)
	case isCold:
		c.reading.arm(at, l.Idle-at.sub(c.since))
	}
}

// late is called when a deadline has passed, which Shutdown brings about too.
func (c *conn) late(at instant) {
	c.reading.forget()
	spent := at.sub(c.since)
	switch c.phase {
	case inHead:
		switch {
		case c.empty() && c.s.draining.Load():
			c.over = spent >= drainGrace
		case spent < c.s.limits.Head:
		case c.empty():
			c.over = true
		default:
			c.refuse(SlowHead)
		}
	case inBody:
		if spent >= c.s.limits.Body {
			c.refuse(SlowBody)
		}
	case isWarm:
		switch {
		case c.s.draining.Load():
			c.over = spent >= drainGrace
		case spent >= warm:
			c.give()
			c.phase, c.streak = isCold, min(c.streak, 0)
		}
	case isCold:
		c.over = c.s.draining.Load() || spent >= c.s.limits.Idle
	}
}

// cut ends the connection when the peer has ended its side: within a message that is worth an answer.
func (c *conn) cut() {
	if c.empty() {
		c.over = true
		return
	}
	c.refuse(CutShort)
}

// empty reports whether nothing of a request has arrived, the empty line before it apart.
func (c *conn) empty() bool {
	return c.e == nil || c.e.src.w == 0 || !c.e.head.begun && c.e.src.w == c.e.head.pos
}

// take gets the memory that a request needs.
func (c *conn) take() *Exchange {
	e, ok := c.s.bufs.exchanges.Get().(*Exchange)
	if !ok {
		e = new(Exchange)
		e.tellGo = e.goOn
	}
	e.c, e.Peer = c, c.peer
	s := &e.src
	s.nc, s.bufs, s.alarm, s.halted = c.nc, c.s.bufs, &c.reading, &c.halted
	s.buf = c.s.bufs.get(headSize)
	e.restart()
	c.e = e
	return e
}

// give gives it back.
func (c *conn) give() {
	e := c.e
	if e == nil {
		return
	}
	e.src.release()
	e.restart()
	e.c, e.src.nc, e.src.alarm, e.src.halted = nil, nil, nil, nil
	c.e = nil
	c.s.bufs.exchanges.Put(e)
}
