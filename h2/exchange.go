package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/http1"
	"gatehouse/wire"
)

// An Exchange is one request and its answer on a client's connection. It is valid until the Handler returns, and so are the
// Views of its Request. Its methods are for the goroutine of the Handler, but for reading the request's body.
type Exchange struct {
	Request wire.Message // Trailer is filled once Body has returned io.EOF
	Peer    netip.AddrPort

	s       *stream
	server  *Server
	life    life
	body    requestBody
	expects atomic.Bool // the client waits for 100; an upstream's goroutine may read the body
	state   uint8
	mute    bool // its stream is reset: nothing is written
	content int64
	more    [1]byte // where the end of content is looked for
}

// How far the answer is.
const (
	unanswered = iota
	answering
	answered
)

// Context ends when the client is gone or has taken its request back, when everything is cut off, and when the Handler has
// returned. It is of no use after that.
func (e *Exchange) Context() context.Context { return &e.life }

// Protocol is the version that the client speaks.
func (e *Exchange) Protocol() string { return "HTTP/2.0" }

// Conn is the client's connection. Nobody but the Server reads or writes it.
func (e *Exchange) Conn() net.Conn { return e.s.c.nc }

// Started reports whether part of the answer was written.
func (e *Exchange) Started() bool { return e.state != unanswered }

// Content is how many bytes of content were read for the answer.
func (e *Exchange) Content() int64 { return e.content }

// requestBody is the content of a request.
type requestBody struct {
	e    *Exchange
	err  error
	read atomic.Bool // somebody wants it
}

// Read reads content. Its errors are Reasons, ErrPeerGone, or that the read was aborted.
func (b *requestBody) Read(p []byte) (int, error) {
	e := b.e
	b.read.Store(true)
	if e.expects.CompareAndSwap(true, false) {
		_ = e.Interim(&wire.Head{Status: 100}) // if it is too late, nobody waits for it
	}
	n, err := e.s.read(p, e.server.limits.Body, time.Time{})
	switch {
	case err == io.EOF:
		e.Request.Trailer = e.s.trailer
	case errors.Is(err, ErrSlow):
		err = http1.SlowBody
	}
	b.err = err
	return n, err
}

// Ready reports whether the next Read waits for nobody.
func (b *requestBody) Ready() bool { return !b.e.expects.Load() && b.e.s.ready() }

// Abort makes a Read that waits return, and all later ones; Abort(false) takes that back.
func (b *requestBody) Abort(yes bool) {
	s := b.e.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.aborted = yes
	poke(s.reads)
}

// Interim sends an interim answer (1xx) at once, and so before Respond.
func (e *Exchange) Interim(h *wire.Head) error {
	if h.Status < 100 || h.Status > 199 || h.Status == 101 || !sendable(h.Fields) {
		return ErrUnsendable
	}
	c := e.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.state != unanswered:
		return ErrAnswered
	case e.s.err != nil:
		return e.s.err
	case e.mute:
		return nil
	}
	e.s.head(false, func(c *conn) {
		c.put(":status", statusText(h.Status))
		c.putFields(h.Fields, nil)
	})
	c.flush()
	return nil
}

// Respond sends the answer. When its content cannot be read, or a field not be sent, and nothing was sent yet, Started is
// still false and another answer can be given. When something was sent, the stream is reset so that the client notices.
func (e *Exchange) Respond(m *wire.Message) error {
	if e.state != unanswered {
		return ErrAnswered
	}
	if e.mute {
		e.state = answered
		return nil
	}
	content, length := m.Body, m.Length
	switch {
	case m.Status < 200 || m.Status > 599 || !sendable(m.Fields):
		return ErrUnsendable
	case m.Status == 204:
		content, length = nil, -1
	case m.Status == 304:
		content = nil
		if length == 0 {
			length = -1
		}
	case string(e.Request.Method) == "HEAD":
		content = nil
	case content == nil && m.Length > 0:
		return ErrLength
	case content == nil || length == 0:
		content, length = nil, 0
	}
	buf := buffers.Get().(*[frameSize]byte)
	defer buffers.Put(buf)
	n, err := 0, error(nil)
	space := part(buf[:], length)
	for content != nil && n < len(space) && err == nil && ready(content) { // together with the head
		var k int
		k, err = content.Read(space[n:])
		n += k
	}
	if err != nil && err != io.EOF && n == 0 {
		return err
	}
	e.content = int64(n)
	if err == io.EOF && length > int64(n) {
		return ErrLength
	}
	if werr := e.start(m, length, content == nil, content != nil && !ready(content)); werr != nil || content == nil {
		return werr
	}
	return e.carry(m, content, length, buf[:], n, err)
}

// start sends the head of the answer.
func (e *Exchange) start(m *wire.Message, length int64, last, flush bool) error {
	c := e.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	e.settle()
	if _, err := e.s.room(0); err != nil {
		return err
	}
	e.state = answering
	e.s.head(last, func(c *conn) {
		c.put(":status", statusText(m.Status))
		c.putFields(m.Fields, nil)
		if length >= 0 && !(last && length == 0 && grpc(m.Fields)) {
			c.putNumber("content-length", length)
		}
		if _, dated := m.Fields.Get("Date"); !dated {
			c.put("date", e.server.date())
		}
	})
	if last {
		e.state = answered
		e.s.finish()
	}
	if last || flush {
		c.flush()
	}
	return nil
}

// settle waits a moment for the rest of a request whose content nobody has asked for: often it is on its way, and what is
// wrong with it is known before the answer. c.mu is held, and let go meanwhile.
func (e *Exchange) settle() {
	s := e.s
	if s.whole || s.err != nil || e.body.read.Load() || e.expects.Load() {
		return
	}
	limit := timer(overlap, time.Time{})
	defer limit.Stop()
	for !s.whole && s.err == nil && s.unread <= streamWindow/2 && s.await(&s.reads, limit) {
	}
}

// grpc reports whether the fields are those of an answer of gRPC, whose trailers may be its head.
func grpc(f wire.Fields) bool {
	_, is := f.Get("grpc-status")
	return is
}

// part is what of b may be read when length bytes are left.
func part(b []byte, length int64) []byte {
	if length < 0 {
		return b
	}
	return b[:min(int64(len(b)), length)]
}

// carry sends content, of which the first n bytes were read into buf, after which reading returned err.
func (e *Exchange) carry(m *wire.Message, content io.Reader, left int64, buf []byte, n int, err error) error {
	for {
		if left >= 0 {
			left -= int64(n)
		}
		if left == 0 && err == nil { // only the end tells whether a trailer follows
			if n > 0 && !ready(content) {
				if werr := e.s.write(buf[:n], false, true); werr != nil {
					return werr
				}
				n = 0
			}
			if err = e.end(content); err != io.EOF {
				return err
			}
		}
		last := err == io.EOF && left <= 0 && !anyTrailer(m.Trailer)
		switch {
		case err == io.EOF && left > 0:
			err = ErrLength
		case err == io.EOF && !last: // trailers
			if werr := e.s.write(buf[:n], false, false); werr != nil {
				return werr
			}
			return e.trail(m.Trailer)
		}
		if n > 0 || last {
			if werr := e.s.write(buf[:n], last, last || !ready(content)); werr != nil {
				return werr
			}
		}
		if last {
			e.state = answered
			return nil
		}
		if err != nil {
			return err
		}
		n, err = content.Read(part(buf, left))
		e.content += int64(n)
	}
}

// end reads the end of content that is all there by its length: io.EOF, or what is wrong with it.
func (e *Exchange) end(content io.Reader) error {
	for range 100 { // a reader may return nothing a few times
		if n, err := content.Read(e.more[:]); n > 0 {
			return ErrLength
		} else if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// trail ends the answer with a trailer.
func (e *Exchange) trail(t wire.Fields) error {
	c := e.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.s.err != nil {
		return e.s.err
	}
	e.s.trail(t)
	e.state = answered
	c.flush()
	return nil
}

// trail writes the trailer that ends our message. c.mu is held.
func (s *stream) trail(t wire.Fields) {
	if !anyTrailer(t) {
		_ = s.c.fr.WriteData(s.id, true, nil)
	} else {
		s.head(true, func(c *conn) { c.putFields(t, http1.NoTrailer) })
	}
	s.finish()
}

// ready reports whether content can be read without waiting for anybody.
func ready(content io.Reader) bool {
	switch c := content.(type) {
	case interface{ Ready() bool }:
		return c.Ready()
	case interface{ Len() int }: // of bytes.Reader and its kin
		return true
	}
	return false
}

var buffers = sync.Pool{New: func() any { return new([frameSize]byte) }}
