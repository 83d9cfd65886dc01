package http1

import (
	"io"

	"gatehouse/wire"
)

// restart makes e ready for the next head in its buffer.
func (e *Exchange) restart() {
	e.Request = wire.Message{Head: wire.Head{Fields: e.Request.Fields[:0]}, Trailer: e.Request.Trailer[:0]}
	e.head.memo = &e.before
	e.head.reset(false, e.c.s.Underscores)
	e.body.none(&e.src)
	e.Upgrade, e.Tunnel, e.state, e.refused = nil, nil, unanswered, Fine
	e.closing, e.expects, e.parsed = false, false, false
	e.sending, e.lent, e.sent, e.content = nil, false, 0, 0
	e.taken, e.whole = nil, false
}

// begin sets up the exchange after a head of n bytes.
func (e *Exchange) begin(n int) {
	m, h, s := &e.Request, &e.head, &e.src
	e.parsed = true
	e.Now = e.c.s.wall(e.at).time(e.at)
	s.r, s.base = n, n
	s.silence = e.c.s.limits.Body
	e.closing = h.close || h.old
	switch {
	case h.chunked:
		e.body.reset(s, byChunks, 0, &m.Trailer)
		m.Body, m.Length = &e.body, -1
	case h.length > 0:
		e.body.reset(s, byLength, h.length, nil)
		m.Body, m.Length = &e.body, h.length
	}
	if m.Body != nil && h.expect && !h.old && s.unread() == 0 {
		e.expects, e.body.wanted = true, e.tellGo
	}
	if h.upgrading && !h.repeated && !h.old && m.Body == nil && string(m.Method) == "GET" && fold(h.upgrade, "websocket") {
		e.Upgrade = h.upgrade
	}
}

// incomplete tells whether the exchange waits for a small body that fits into the buffer with its head, or else has to
// read from the connection.
func (e *Exchange) incomplete() (waiting, socket bool) {
	if e.Upgrade != nil || e.body.ends != byLength {
		return false, true
	}
	missing := e.body.left - int64(e.src.unread())
	switch {
	case missing <= 0:
		return false, false
	case e.expects || missing > int64(len(e.src.buf)-e.src.w):
		return false, true
	}
	return true, false
}

// Whole returns the request's content if it is no more than what one answer's buffer holds: of known length, waiting for
// it when it is not there yet, and in chunks when they have all arrived. It is then not read from Body any more. It
// reports false when the content has to be streamed. It may be asked again.
func (e *Exchange) Whole() (content []byte, ok bool, err error) {
	if !e.whole {
		e.taken, e.whole, err = e.takeWhole()
	}
	return e.taken, e.whole, err
}

func (e *Exchange) takeWhole() (content []byte, ok bool, err error) {
	b, s := &e.body, &e.src
	switch {
	case e.Request.Body == nil:
		return nil, true, nil
	case b.total > 0 || b.over || e.expects:
		return nil, false, nil
	case b.ends == byChunks:
		return e.wholeChunks()
	case b.limit > 0 && b.left > b.limit:
		return nil, false, b.fail(BodyTooLarge)
	case b.left > pageSize:
		return nil, false, nil
	}
	for int64(s.unread()) < b.left {
		if err := b.wait(); err != nil {
			return nil, false, b.fail(peerGone(err, SlowBody))
		}
	}
	n := int(b.left)
	content = s.buf[s.r : s.r+n : s.r+n]
	s.r, s.base = s.r+n, s.r+n
	b.left, b.total, b.over = 0, int64(n), true
	return content, true, nil
}

// wholeChunks moves the chunks' content together, in place.
func (e *Exchange) wholeChunks() (content []byte, ok bool, err error) {
	b, s := &e.body, &e.src
	there, r := complete(s.buf[s.r:s.w])
	if r != Fine {
		return nil, false, b.fail(r)
	}
	if !there {
		return nil, false, nil
	}
	start := s.r
	for end := start; ; {
		n, err := b.Read(s.buf[end:s.w])
		if end += n; err == io.EOF {
			s.base = s.r
			return s.buf[start:end:end], true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}
