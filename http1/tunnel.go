package http1

import (
	"errors"
	"io"
	"net"
	"os"
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
	t := &tunnel{bufs: e.src.bufs, client: &c.halted, upstream: &l.halted}
	t.heard.Store(time.Now().UnixNano())
	up := &lane{t: t, from: c.nc, raw: c.raw, to: l.nc, patience: l.u.patience.Write}
	down := &lane{t: t, from: l.nc, raw: l.raw, to: c.nc, patience: c.s.limits.Write}
	done := make(chan struct{})
	go func() {
		defer close(done)
		down.carry(l.src.buf[l.src.r:l.src.w])
	}()
	up.carry(e.src.buf[e.src.r:e.src.w])
	<-done
	e.sent += down.moved
	e.state = answered
	c.over, c.ended = true, true
	c.reading.forget()
	c.writing.forget()
	return nil
}

// A tunnel is what both directions share.
type tunnel struct {
	bufs  *Buffers
	heard atomic.Int64 // when a byte was last carried either way
	dead  atomic.Bool  // one direction has failed

	client, upstream *atomic.Bool // Server or Upstream end everything
}

func (t *tunnel) over() bool { return t.dead.Load() || t.client.Load() || t.upstream.Load() }

// A lane carries one direction.
type lane struct {
	t        *tunnel
	from, to net.Conn
	raw      syscall.RawConn
	patience time.Duration
	moved    int64

	buf []byte
	n   int
	err error
}

// carry sends first and then all that comes from one side to the other.
func (w *lane) carry(first []byte) {
	err := w.send(first)
	for err == nil {
		if err = w.receive(); w.n > 0 {
			if sent := w.send(w.buf[:w.n]); err == nil {
				err = sent
			}
		}
		if w.buf != nil {
			w.t.bufs.put(w.buf)
			w.buf, w.n = nil, 0
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().UnixNano()-w.t.heard.Load() < int64(tunnelIdle) {
			err = nil // the other direction is alive
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
	if err := w.from.SetReadDeadline(time.Now().Add(tunnelIdle)); err != nil {
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
