package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/fault"
	"gatehouse/http1"
	"gatehouse/wire"
)

// A Call is one request to an upstream. The zero value is ready, and one may be used for exchange after exchange.
type Call struct {
	Request  *wire.Message
	Response *wire.Message
	// Trailer, when set, is asked for the request's trailer once its content has ended.
	Trailer func() wire.Fields
	// Abort makes a Read of the request's content return that waits in another goroutine; none may begin after it.
	Abort func()
	// Gone is asked every second whether nobody waits for the answer any more. nil: the context alone tells.
	Gone  func() bool
	Head  time.Duration // how long to wait for the answer's head; 0: the upstream's Patience
	Total time.Duration // how long the upstream may take for everything, the answer's content too; 0: no such bound

	u      *Upstream
	s      *stream
	until  time.Time
	body   answerBody
	sender *sender
	watch  func() bool
	plain  bool // there is no content, whatever is said of its length: the answer to HEAD
}

// Do sends the request and returns when the head of the answer is in Response; its Body is read from the upstream. Done must be
// called afterwards, whatever came of it. What goes wrong with the upstream is a fault.Error; otherwise the error is that of
// reading the request's content, ErrUnsendable, or ErrPeerGone when nobody waits for the answer.
func (u *Upstream) Do(ctx context.Context, c *Call) error {
	u.prepare()
	c.u, c.until, c.plain = u, time.Time{}, string(c.Request.Method) == "HEAD"
	if c.Total > 0 {
		c.until = time.Now().Add(c.Total)
		bounded, cancel := context.WithDeadline(ctx, c.until) // for waiting for a connection
		defer cancel()
		return c.tries(ctx, bounded)
	}
	return c.tries(ctx, ctx)
}

func (c *Call) tries(ctx, bounded context.Context) error {
	if !requestable(c.Request) {
		return ErrUnsendable
	}
	for n := 1; ; n++ {
		cc, used, err := c.u.open(bounded)
		if err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %w", ErrPeerGone, ctx.Err())
			}
			return c.explain(fmt.Errorf("connect: %w", err))
		}
		if err = c.ask(ctx, cc); err == nil {
			return nil
		}
		again := n < 3 && c.again(err, used)
		sent := c.stop()
		switch {
		case again && sent == nil:
			continue
		case sent != nil:
			return sent
		}
		return c.explain(err)
	}
}

// again reports whether the request can be sent once more: it was not looked at, or does no harm twice and its connection
// turned out to have ended.
func (c *Call) again(err error, used bool) bool {
	if c.sender != nil { // its content is used up
		return false
	}
	var r resetError
	if errors.Is(err, errUnprocessed) || errors.As(err, &r) && r.code == http2.ErrCodeRefusedStream {
		return true
	}
	if !used || errors.As(err, &r) || !errors.Is(err, ErrPeerGone) || errors.Is(err, ErrSlow) {
		return false
	}
	switch string(c.Request.Method) {
	case "GET", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// requestable reports whether the request can be sent as what it is.
func requestable(m *wire.Message) bool {
	return http1.Method(m.Method) == http1.Fine && len(m.Authority) > 0 && len(m.Path) > 0 && m.Path[0] == '/' &&
		http1.Value(m.Path) && http1.Value(m.Query) && http1.Value(m.Authority) && sendable(m.Fields)
}

// ask sends the request on a connection where there is a place for it, and waits for the head of the answer.
func (c *Call) ask(ctx context.Context, cc *clientConn) error {
	m := c.Request
	cc.mu.Lock()
	cc.reserved--
	if cc.err != nil || cc.leaving {
		cc.leave()
		cc.mu.Unlock()
		return errUnprocessed
	}
	s := newStream(cc.conn, cc.next)
	cc.highest, cc.next = s.id, s.id+2
	s.keep, s.call, s.gone = true, c, c.Gone
	cc.streams[s.id] = s
	c.s = s
	s.head(m.Body == nil, func(cn *conn) {
		path := m.Path.String()
		if m.Query != nil {
			path += "?" + m.Query.String()
		}
		cn.put(":method", known(m.Method))
		cn.put(":scheme", m.Scheme)
		cn.put(":authority", m.Authority.String())
		cn.put(":path", path)
		cn.putFields(m.Fields, nil)
		if m.Body != nil && m.Length >= 0 {
			cn.put("content-length", strconv.FormatInt(m.Length, 10))
		}
		cn.put("te", "trailers")
	})
	if m.Body == nil {
		s.finish()
	}
	cc.flush()
	cc.mu.Unlock()
	if ctx.Done() != nil {
		c.watch = context.AfterFunc(ctx, func() { s.cancelled(fmt.Errorf("%w: %w", ErrPeerGone, context.Cause(ctx))) })
	}
	if m.Body != nil {
		c.send()
	}
	return c.answer()
}

// cancelled ends the stream from here.
func (s *stream) cancelled(err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.end(err)
	if c.streams[s.id] == s {
		_ = c.reset(s.id, http2.ErrCodeCancel)
		c.kick()
	}
}

// answer waits for the head of the answer.
func (c *Call) answer() error {
	s := c.s
	patience := c.Head
	if patience <= 0 {
		patience = c.u.patience.Head
	}
	cn := s.c
	cn.mu.Lock()
	defer cn.mu.Unlock()
	limit := timer(patience, c.until)
	defer limit.Stop()
	for !s.headed && s.readErr == nil {
		if !s.await(&s.reads, limit) && !s.headed && s.readErr == nil {
			return fmt.Errorf("%w: no answer", ErrSlow)
		}
		if s.left {
			return errGone
		}
	}
	if !s.headed {
		return s.readErr
	}
	if !s.whole || s.total > 0 {
		c.body = answerBody{c: c}
		c.Response.Body = &c.body
	}
	return nil
}

// response reads the head of an answer. c.mu of the connection is held.
func (c *Call) response(s *stream, b *block) (interim, ok bool) {
	s.lent[0] = b.take()
	m := c.Response
	m.Fields, m.Trailer, m.Body, m.Status = m.Fields[:0], nil, nil, 0
	length := int64(-1)
	if b.tooLarge || len(b.fields) > maxFields+1 {
		return false, false
	}
	for i, f := range b.fields {
		if i == 0 {
			n, ok := http1.Length(f.Value)
			if string(f.Name) != ":status" || !ok || len(f.Value) != 3 || n < 100 || n > 599 || n == 101 {
				return false, false
			}
			m.Status = int(n)
			continue
		}
		if lowerName(f.Name) != http1.Fine || !http1.Value(f.Value) {
			return false, false
		}
		switch string(f.Name) {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			return false, false
		case "content-length":
			n, ok := http1.Length(f.Value)
			if !ok || length >= 0 {
				return false, false
			}
			length = n
			continue
		}
		m.Fields = append(m.Fields, f)
	}
	if m.Status < 200 {
		return true, m.Status != 0 && !b.last && length < 0
	}
	none := c.plain || m.Status == 204 || m.Status == 304
	m.Length, s.length = length, length
	switch {
	case none:
		s.length = 0
		if m.Status == 204 && length > 0 {
			return false, false
		}
	case b.last:
		m.Length = 0
		return false, length <= 0
	}
	return false, true
}

// answerBody is the content of an answer.
type answerBody struct{ c *Call }

// Read reads content. Its errors are faults, but for ErrPeerGone when nobody waits for the answer any more.
func (b *answerBody) Read(p []byte) (int, error) {
	c := b.c
	n, err := c.s.read(p, c.u.patience.Body, c.until)
	switch {
	case err == nil:
	case err == io.EOF:
		c.Response.Trailer = c.s.trailer
	default:
		err = c.explain(err)
	}
	return n, err
}

// Ready reports whether the next Read waits for nobody.
func (b *answerBody) Ready() bool { return b.c.s.ready() }

// Done ends the call. What is not over of it is cancelled.
func (c *Call) Done() {
	if c.s == nil {
		return
	}
	_ = c.stop()
	c.Response.Body = nil
	c.Response.Fields, c.Response.Trailer = c.Response.Fields[:0], c.Response.Trailer[:0]
}

// stop ends the stream and whoever sends on it, and returns what the request's content was at fault with.
func (c *Call) stop() error {
	s, t := c.s, c.sender
	c.s, c.sender = nil, nil
	if s == nil {
		return nil
	}
	if c.watch != nil {
		c.watch()
		c.watch = nil
	}
	if t != nil {
		t.settle(s)
	}
	s.cancelled(ErrClosed)
	s.c.mu.Lock()
	s.release()
	s.c.kick()
	s.c.mu.Unlock()
	if t == nil {
		return nil
	}
	select {
	case <-t.done:
		return t.err
	default:
	}
	if c.Abort != nil {
		c.Abort()
	}
	<-t.done
	return nil // what it ended with was our doing
}

// broken is why an upstream's connection or stream ended. That it was ended by its peer is not to be taken for a client's.
type broken string

func (b broken) Error() string { return string(b) }

// explain makes a fault of what went wrong with the upstream.
func (c *Call) explain(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, errGone):
		return ErrPeerGone
	case errors.Is(err, ErrSlow), errors.Is(err, context.DeadlineExceeded):
		return &fault.Error{Kind: fault.SlowUpstream, Public: "the upstream did not answer in time", Err: err}
	case errors.Is(err, ErrPeerGone):
		err = broken(err.Error())
	case errors.Is(err, errAnswer):
		return &fault.Error{Kind: fault.BadUpstream, Public: "the upstream's answer cannot be understood", Err: err}
	}
	return &fault.Error{Kind: fault.BadUpstream, Public: "the upstream could not be reached or did not answer", Err: err}
}
