package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/wire"
)

// A tunnelEnd is the upstream's end of a connection that changed its protocol. It is the Body of an answer with status
// 101, and only Respond knows what to do with it.
type tunnelEnd struct{ link *link }

// Read is for a tunnel that is not used as one: there is no content.
func (tunnelEnd) Read([]byte) (int, error) { return 0, io.EOF }

// tunnel answers 101 and carries bytes both ways until both sides have ended or nothing was said for long.
func (e *Exchange) tunnel(m *wire.Message) error {
	end, ok := m.Body.(tunnelEnd)
	if !ok || e.Upgrade == nil {
		return ErrUnsendable
	}
	buf := e.src.bufs.get(pageSize)
	b, ok := appendResponse(buf[:0], &m.Head, framing{length: -1, upgrade: e.Upgrade})
	if !ok {
		e.src.bufs.put(buf)
		return ErrUnsendable
	}
	e.state, e.closing = answering, true
	err := e.write(b)
	e.src.bufs.put(buf)
	if err != nil {
		return err
	}
	c, l := e.c, end.link
	if err := c.nc.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	if err := l.nc.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	t := e.Tunnel
	if t == nil {
		t = &Tunnel{}
	}
	t.open(e.src.bufs, c, l)
	up := &lane{t: t, from: c.nc, raw: c.raw, to: l.nc, patience: l.u.patience.Write}
	down := &lane{t: t, from: l.nc, raw: l.raw, to: c.nc, patience: c.s.limits.Write}
	done := make(chan struct{})
	go func() {
		defer close(done)
		down.carry(l.src.buf[l.src.r:l.src.w])
	}()
	up.carry(e.src.buf[e.src.r:e.src.w])
	<-done
	t.Up, t.Down, t.Silent = up.moved, down.moved, up.silent || down.silent
	t.Halted = t.client.Load() || t.upstream.Load()
	e.sent += down.moved
	e.state = answered
	c.over, c.ended = true, true
	c.reading.forget()
	c.writing.forget()
	return nil
}

// A Tunnel is what a connection becomes that changes its protocol. The zero value is ready, for one exchange.
type Tunnel struct {
	Idle time.Duration // silence in both directions after which it ends; 0: 10 minutes

	// What came of it, once Respond has returned.
	Up, Down int64 // bytes that were carried to the upstream, and to the client
	Silent   bool  // it ended because nothing was said for so long
	Halted   bool  // it ended because the Server or the Upstream ends everything

	bufs  *Buffers
	heard atomic.Int64 // when a byte was last carried either way
	dead  atomic.Bool  // one direction has failed, or End was called

	client, upstream *atomic.Bool // Server or Upstream end everything

	mu   sync.Mutex
	ends [2]net.Conn // once it is open
}

// End ends the tunnel at once: nothing more is carried when it has returned, apart from a write that is under way. It may be
// called from any goroutine, and before the tunnel opens, which then carries nothing.
func (t *Tunnel) End() {
	t.dead.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.ends {
		if c != nil {
			_ = c.SetDeadline(past())
		}
	}
}

func (t *Tunnel) open(bufs *Buffers, c *conn, l *link) {
	if t.Idle <= 0 {
		t.Idle = tunnelIdle
	}
	t.bufs, t.client, t.upstream = bufs, &c.halted, &l.halted
	t.heard.Store(time.Now().UnixNano())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = [2]net.Conn{c.nc, l.nc}
}

func (t *Tunnel) over() bool { return t.dead.Load() || t.client.Load() || t.upstream.Load() }

// silence is when it ends if nothing more is said.
func (t *Tunnel) silence() time.Time { return time.Unix(0, t.heard.Load()).Add(t.Idle) }

// A lane carries one direction.
type lane struct {
	t        *Tunnel
	from, to net.Conn
	raw      syscall.RawConn
	patience time.Duration
	moved    int64
	silent   bool // it ended because nothing was said either way

	buf []byte
	n   int
	err error
}

// carry sends first and then all that comes from one side to the other.
func (w *lane) carry(first []byte) {
	err := w.send(first)
	for err == nil {
		err = w.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) && !w.t.over() {
			if w.silent = !time.Now().Before(w.t.silence()); !w.silent {
				err = nil // the other direction is alive
			}
		}
		if w.n > 0 {
			if sent := w.send(w.buf[:w.n]); sent != nil {
				err = sent // a hole in what is carried would be worse than an end
			}
		}
		if w.buf != nil {
			w.t.bufs.put(w.buf)
			w.buf, w.n = nil, 0
		}
	}
	if c, ok := w.to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) && c.CloseWrite() == nil {
		return // the other direction may go on
	}
	w.t.dead.Store(true)
	_ = w.from.SetDeadline(past())
	_ = w.to.SetDeadline(past())
}

func (w *lane) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := w.to.SetWriteDeadline(time.Now().Add(w.patience)); err != nil {
		return err
	}
	if w.t.over() { // asked after the deadline was set, so that whoever ends the tunnel has the last word
		return net.ErrClosed
	}
	n, err := w.to.Write(b)
	w.moved += int64(n)
	return err
}

// receive waits for bytes, without a buffer where that can be done.
func (w *lane) receive() error {
	if err := w.from.SetReadDeadline(w.t.silence()); err != nil {
		return err
	}
	if w.t.over() {
		return net.ErrClosed
	}
	if w.raw != nil {
		if err := w.raw.Read(w.step); err != nil {
			return err
		}
	} else {
		w.buf = w.t.bufs.get(headSize)
		w.n, w.err = w.from.Read(w.buf)
	}
	if w.n > 0 {
		w.t.heard.Store(time.Now().UnixNano())
		return nil
	}
	return w.err
}

func (w *lane) step(fd uintptr) bool {
	w.buf = w.t.bufs.get(pageSize)
	w.n, w.err = readNow(fd, w.buf)
	if w.err == errNothing {
		w.t.bufs.put(w.buf)
		w.buf, w.n = nil, 0
		return false
	}
	if w.err == nil && w.n == 0 {
		w.err = io.EOF
	}
	w.n = max(w.n, 0)
	return true
}
