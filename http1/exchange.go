package http1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"gatehouse/wire"
)

// An Exchange is one request and its answer on a client's connection. It is valid until the Handler returns, and so are
// the Views of its Request. Its methods are for the goroutine of the Handler.
type Exchange struct {
	Request wire.Message
	Now     time.Time      // when the head was complete
	Peer    netip.AddrPort // who sent it
	Upgrade wire.View      // "websocket" when the client asks to change to it; nil otherwise
	Tunnel  *Tunnel        // what the connection becomes when the answer is 101; nil: one with the default bounds

	c       *conn
	at      instant // when bytes came last
	src     source
	head    head
	body    body
	state   uint8
	refused Reason
	closing bool  // the connection ends after this exchange
	expects bool  // the client waits for 100 Continue
	parsed  bool  // the head is complete
	sending *Call // an upstream that still takes the body from another goroutine
	lent    bool  // another goroutine reads the body
	sent    int64
	content int64
	tellGo  func() error
	taken   []byte // what Whole has returned
	whole   bool   // Whole has
	before  memo   // the last head's fields
}

// How far the answer is.
const (
	unanswered = iota
	answering  // part of it has been written
	answered
)

// Errors of Respond.
var (
	// ErrClientGone is wrapped by what Respond returns when the client could not be written to.
	ErrClientGone = errors.New("http1: the client is gone")
	// ErrAnswered is returned when the exchange has its answer already.
	ErrAnswered = errors.New("http1: the exchange is answered")
	// ErrLength is returned when the content is shorter than its Length.
	ErrLength = errors.New("http1: the content is shorter than its length")
)

// LimitBody makes reading the request's body fail with BodyTooLarge beyond n bytes. When the length is known to be
// more, it reports false at once.
func (e *Exchange) LimitBody(n int64) bool {
	e.body.limit = n
	return e.Request.Length <= n
}

// Close ends the connection after this exchange, and says so to the client when the answer has not begun.
func (e *Exchange) Close() { e.closing = true }

// Abort ends the connection without an answer.
func (e *Exchange) Abort() {
	e.closing = true
	if e.state == unanswered {
		e.state = answering
	}
}

// Kept is what Keep was given last on this connection, or nil.
func (e *Exchange) Kept() any { return e.c.kept }

// Keep keeps v for the exchanges to come on this connection, as long as it is open.
func (e *Exchange) Keep(v any) { e.c.kept = v }

// Conn is the client's connection. Nobody but the Server reads or writes it.
func (e *Exchange) Conn() net.Conn { return e.c.nc }

// Protocol is the version that the client speaks.
func (e *Exchange) Protocol() string {
	if e.head.old {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// AsksUpgrade reports whether the client asks for a WebSocket, if only in a way in which it cannot have one: with content, by
// another method than GET, with two Upgrade fields or in HTTP/1.0. Upgrade is nil then.
func (e *Exchange) AsksUpgrade() bool { return e.head.upgrading && fold(e.head.upgrade, "websocket") }

// Started reports whether part of the answer was written: Respond cannot be called again.
func (e *Exchange) Started() bool { return e.state != unanswered }

// Sent is how many bytes were written to the client, heads included.
func (e *Exchange) Sent() int64 { return e.sent }

// Content is how many bytes of content were read for the answer, all of which were written when Respond returned nil.
func (e *Exchange) Content() int64 { return e.content }

// Received is how many bytes of the request's content were read.
func (e *Exchange) Received() int64 { return e.body.total }

// Refused is why the request's body was refused after the Handler began; Fine when it was not.
func (e *Exchange) Refused() Reason {
	if r, ok := e.body.err.(Reason); ok {
		return r
	}
	return e.refused
}

// Interim sends an interim answer (1xx) at once, and so before Respond. It is nothing to a client of HTTP/1.0.
func (e *Exchange) Interim(h *wire.Head) error {
	if e.state != unanswered {
		return ErrAnswered
	}
	if e.head.old {
		return nil
	}
	if h.Status == 100 {
		e.expects, e.body.wanted = false, nil
	}
	buf := e.src.bufs.get(pageSize)
	defer e.src.bufs.put(buf)
	b, ok := appendResponse(buf[:0], h, framing{length: -1})
	if !ok || h.Status == 101 || h.Status > 199 {
		return ErrUnsendable
	}
	return e.write(b)
}

// goOn tells the client to send the body that it holds back.
func (e *Exchange) goOn() error {
	if !e.expects || e.state != unanswered {
		return nil
	}
	e.expects = false
	return e.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

func (e *Exchange) write(b []byte) error {
	c := e.c
	if on := c.loop() != nil; on || c.inStep { // at once, where the descriptor is at hand
		var n int
		var err error
		if on {
			n, err = c.rc.sendNow(b)
		} else {
			n, err = writeNow(c.fd, b)
		}
		e.sent += int64(n)
		if n == len(b) && err == nil {
			return nil
		}
		b = b[n:] // an error comes again
	}
	for {
		c.writing.arm(now(), c.s.limits.Write)
		n, err := c.nc.Write(b)
		e.sent += int64(n)
		if err == nil {
			return nil
		}
		c.writing.forget()
		if b = b[n:]; n > 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.s.cutting.Load() { // slow, but it goes on
			continue
		}
		c.over = true
		return fmt.Errorf("%w: %w", ErrClientGone, err)
	}
}

// Respond sends the answer: head and content together where the content is at hand, and otherwise each part as it
// comes. When the content cannot be read and nothing was sent yet, the error is that of reading and Started is still
// false, so that another answer can be given. When something was sent, the connection ends so that the client notices.
//
// Content is at hand when its reader has a method Ready() bool that says so, as an upstream's Body has, or Len() int. A
// reader that wraps such a one should pass that on: without it every answer takes two writes.
func (e *Exchange) Respond(m *wire.Message) error {
	if e.state != unanswered {
		return ErrAnswered
	}
	if m.Status == 101 {
		return e.tunnel(m)
	}
	content := m.Body
	f := framing{length: m.Length}
	switch {
	case m.Status < 200:
		return ErrUnsendable
	case m.Status == 204:
		content, f.length = nil, -1
	case m.Status == 304:
		content = nil
		if f.length == 0 {
			f.length = -1
		}
	case string(e.Request.Method) == "HEAD":
		content = nil
	case content == nil && m.Length > 0:
		return ErrLength
	case content == nil:
		f.length = 0
	case m.Length < 0:
		f.chunked = !e.head.old
		e.closing = e.closing || e.head.old
	}
	if e.expects || e.unreadTooMuch() || e.c.s.draining.Load() {
		e.closing = true
	}
	f.close = e.closing
	f.date = e.c.s.wall(now()).line

	buf := e.src.bufs.get(pageSize)
	defer func() { e.src.bufs.put(buf) }()
	b, ok := appendResponse(buf[:0], &m.Head, f)
	if !ok {
		return ErrUnsendable
	}
	if content == nil {
		return e.last(b)
	}
	left := f.length
	if left == 0 {
		return e.last(b)
	}
	if cap(b) < len(b)+headSize || left > pageSize { // a large head, or much to carry
		bulk := e.src.bufs.get(max(bulkSize, len(b)+headSize))
		b = append(bulk[:0], b...)
		e.src.bufs.put(buf)
		buf = bulk
	}
	return e.carry(b, content, left, f.chunked, m)
}

// carry sends b and then the content.
func (e *Exchange) carry(b []byte, content io.Reader, left int64, chunked bool, m *wire.Message) error {
	room, end := 0, 0
	if chunked {
		room, end = chunkRoom, chunkEnd
	}
	for {
		if len(b) > 0 && (!ready(content) || cap(b)-len(b) < room+end+headSize/4) {
			if err := e.part(b); err != nil {
				return err
			}
			b = b[:0]
		}
		space := b[len(b)+room : cap(b)-end]
		if left >= 0 {
			space = space[:min(int64(len(space)), left)]
		}
		n, err := content.Read(space)
		if n > 0 {
			e.content += int64(n)
			if chunked {
				b = appendChunk(b, n)
			} else {
				b = b[:len(b)+n]
			}
			if left >= 0 {
				if left -= int64(n); left == 0 {
					return e.last(b)
				}
			}
		}
		switch {
		case err == io.EOF && left > 0:
			err = ErrLength
		case err == io.EOF && chunked && cap(b)-len(b) < maxTrailer:
			if err := e.part(b); err != nil {
				return err
			}
			return e.last(appendTrailer(b[:0], m.Trailer))
		case err == io.EOF && chunked:
			return e.last(appendTrailer(b, m.Trailer))
		case err == io.EOF:
			return e.last(b)
		case err == nil:
			continue
		}
		if e.state == answering { // what is missing must not look like an end
			if len(b) > 0 {
				_ = e.write(b) // what came is the client's, and the connection is over anyway
			}
			e.c.over = true
		}
		return err
	}
}

func (e *Exchange) part(b []byte) error {
	e.state = answering
	return e.write(b)
}

func (e *Exchange) last(b []byte) error {
	e.state = answered
	if len(b) == 0 {
		return nil
	}
	return e.write(b)
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

// unreadTooMuch reports whether more is left of the request's body than is worth reading for the connection's sake.
func (e *Exchange) unreadTooMuch() bool {
	return e.sending == nil && !e.lent && !e.body.over && e.body.ends == byLength && e.body.left > maxDrain
}

// drain reads what is left of the request's body, and reports whether the next request's beginning is known then.
func (e *Exchange) drain() bool {
	if e.body.over || e.closing || e.c.over {
		return e.body.whole()
	}
	buf := e.src.bufs.get(pageSize)
	defer e.src.bufs.put(buf)
	e.src.silence = lingerFor
	for read := 0; read <= maxDrain; {
		n, err := e.body.Read(buf)
		if read += n; err != nil {
			return err == io.EOF
		}
	}
	return false
}
