package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"gatehouse/fault"
	"gatehouse/wire"
)

// A Call is one request to an upstream. The zero value is ready, and one may be used for exchange after exchange.
type Call struct {
	Request  *wire.Message
	Response *wire.Message
	// Exchange is whom the call is made for: interim answers go to its client, its expectation and wish to change the
	// protocol go to the upstream. It may be nil.
	Exchange *Exchange
	Head     time.Duration // how long to wait for the answer's head; 0: the upstream's Patience
	Total    time.Duration // how long the upstream may take for everything, the answer's content too; 0: no such bound
	Quiet    bool          // interim answers but 100 are not passed on, and of that no field

	link    *link
	head    head
	body    body
	keep    bool // the connection can carry another exchange after this one
	all     bool // of the request was sent
	sender  *sender
	started instant
	tried   int
	unwatch func() bool // without an Exchange: nobody waits any more for ctx to end
	ender   Ender       // instead, where the context is one
}

// errStale is what a kept connection is given up for before anything was sent on it.
var errStale = errors.New("http1: the kept connection has ended")

// Do sends the request and returns when the head of the answer is in Response; its Body is read from the upstream. Done
// must be called afterwards, whatever came of it, and ends the validity of Response. A Reason is returned when the
// request's body is at fault; what goes wrong with the upstream is a fault.Error.
func (u *Upstream) Do(ctx context.Context, c *Call) error {
	u.prepare()
	c.started, c.tried = now(), 0
	content, stream, err := c.content()
	if err != nil {
		return err
	}
	f := c.framing(content, stream)
	var on *loop
	if c.Exchange != nil {
		on = c.Exchange.c.loop()
	}
	for {
		l := u.kept(c.started, on)
		if l == nil || c.tried > 1 {
			if l != nil {
				l.close()
			}
			if l, err = u.connect(ctx, on); err != nil {
				return c.explain(fmt.Errorf("connect: %w", err))
			}
		}
		c.tried++
		c.link = l
		if c.Exchange == nil { // whose server would tell
			c.watch(ctx)
		}
		err := c.ask(f, content, stream)
		if err == nil {
			return nil
		}
		c.watched()
		again := c.again(err, stream)
		unsent := c.stop()
		l.close()
		c.link = nil
		if again {
			continue
		}
		if unsent != nil {
			return unsent
		}
		return c.explain(err)
	}
}

// again reports whether the request can be sent once more after err: the connection was kept and turned out to have
// ended before anything came back. What may have had an effect already is sent again only where that does no harm.
func (c *Call) again(err error, stream bool) bool {
	if errors.Is(err, errStale) {
		return true
	}
	l := c.link
	if !l.used || l.heard || stream || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrUnsendable) ||
		errors.Is(err, ErrClientGone) || c.tried > 2 {
		return false
	}
	switch string(c.Request.Method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		c.tried = 2 // on a new connection
		return true
	}
	return false
}

// content finds out how the request's content is sent: at once with the head, or streamed.
func (c *Call) content() (content []byte, stream bool, err error) {
	m := c.Request
	if m.Body == nil {
		return nil, false, nil
	}
	if e := c.Exchange; e != nil && m.Body == io.Reader(&e.body) {
		content, whole, err := e.Whole()
		return content, !whole, err
	}
	return nil, true, nil
}

func (c *Call) framing(content []byte, stream bool) framing {
	m := c.Request
	f := framing{length: m.Length, lines: m.Lines}
	switch {
	case m.Body == nil:
		f.length = -1
		switch string(m.Method) {
		case "POST", "PUT", "PATCH":
			f.length = 0
		}
	case m.Length < 0 && !stream && len(m.Trailer) == 0:
		f.length = int64(len(content)) // the chunks were whole
	case m.Length < 0:
		f.chunked = true
	}
	if m.Body != nil {
		switch string(m.Method) {
		case "GET", "HEAD", "OPTIONS", "DELETE":
			// Some servers overlook content here and would take it for the next request: let there be none.
			f.close = true
		}
	}
	if e := c.Exchange; e != nil {
		f.expect = stream && e.expects
		f.upgrade = e.Upgrade
	}
	return f
}

// ask sends the request and reads the head of the answer.
func (c *Call) ask(f framing, content []byte, stream bool) error {
	l := c.link
	s := &l.src
	if s.buf == nil { // it has one where it was watched
		s.buf = s.bufs.get(pageSize)
	}
	at := c.started
	if c.tried > 1 {
		at = now()
	}
	s.silence, s.until, s.client = c.wait(at), 0, c.Exchange
	if c.Total > 0 {
		s.until = c.started.add(c.Total)
	}
	space := s.buf
	if l.rc != nil { // where the kernel reads and writes when it likes
		space = s.bufs.get(headSize)
		defer s.bufs.put(space)
	}
	out, ok := appendRequest(space[:0], c.Request, f)
	if !ok {
		return ErrUnsendable
	}
	c.keep, c.all = !f.close, !stream
	if !stream {
		if len(out)+len(content) > cap(out) {
			bulk := s.bufs.get(len(out) + len(content))
			defer s.bufs.put(bulk)
			out = append(bulk[:0], out...)
		}
		if f.chunked {
			out = appendWhole(out, content, c.Request.Trailer)
		} else {
			out = append(out, content...)
		}
		if err := l.roundTrip(at, out); err != nil {
			return err
		}
		return c.answer(f)
	}
	if l.stale() {
		return errStale
	}
	if err := l.write(out); err != nil {
		return err
	}
	if f.expect {
		s.silence = awaitGo
		err := s.fill()
		switch s.silence = c.wait(now()); {
		case err == nil:
			return c.answer(f)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		l.reading.forget()
		if err := c.Exchange.goOn(); err != nil {
			return err
		}
	}
	c.send(f.chunked)
	return c.answer(f)
}

// wait is how long the answer's head may still take.
func (c *Call) wait(at instant) time.Duration {
	d := c.Head
	if d <= 0 {
		d = c.link.u.patience.Head
	}
	return max(d-at.sub(c.started), time.Millisecond)
}

// answer reads the head of the final answer, and passes interim ones on.
func (c *Call) answer(f framing) error {
	l, m := c.link, c.Response
	s := &l.src
	for interim := 0; ; {
		c.clear()
		n, r := 0, Fine
		for {
			if s.w > 0 {
				l.heard = true
				if n, r = c.head.response(s.buf[:s.w], m); r != Fine {
					return r
				}
			}
			if n > 0 {
				break
			}
			if s.w == len(s.buf) {
				s.grow()
				c.clear()
				continue
			}
			s.silence = c.wait(now())
			k, err := s.read(s.buf[s.w:])
			if s.w += k; err != nil {
				return err
			}
		}
		s.r, s.base = n, n
		if m.Status >= 200 {
			return c.final()
		}
		if m.Status == 101 {
			return c.changed(f)
		}
		if interim++; interim > maxInterim {
			return TooManyInterim
		}
		if err := c.interim(f); err != nil {
			return err
		}
		s.w = copy(s.buf, s.buf[n:s.w])
		s.r, s.base = 0, 0
	}
}

func (c *Call) clear() {
	c.head.memo = &c.link.before
	c.head.reset(true, true)
	c.Response.Fields, c.Response.Trailer = c.Response.Fields[:0], c.Response.Trailer[:0]
	c.Response.Body, c.Response.Length = nil, 0
}

func (c *Call) interim(f framing) error {
	e := c.Exchange
	switch {
	case e == nil:
		return nil
	case c.Response.Status == 100 && !(f.expect && c.sender == nil):
		return nil // nobody waits for it
	case c.Quiet && c.Response.Status != 100:
		return nil
	}
	if c.Quiet {
		c.Response.Fields = c.Response.Fields[:0]
	}
	if err := e.Interim(&c.Response.Head); err != nil {
		return err
	}
	if c.Response.Status == 100 {
		c.send(f.chunked)
	}
	return nil
}

// changed takes the upstream's word that it now speaks the protocol that the client asked for.
func (c *Call) changed(f framing) error {
	h := &c.head
	if f.upgrade == nil || !h.upgrading || h.repeated || !fold(h.upgrade, "websocket") {
		return UnexpectedUpgrade
	}
	c.keep = false
	c.Response.Body, c.Response.Length = tunnelEnd{c.link}, -1
	return nil
}

// final decides how the answer's content ends (RFC 9112 §6.3).
func (c *Call) final() error {
	h, m, s := &c.head, c.Response, &c.link.src
	s.silence = c.link.u.patience.Body
	c.keep = c.keep && !h.close && !h.old
	m.Length = h.length
	switch {
	case string(c.Request.Method) == "HEAD" || m.Status == 304:
		c.body.none(s)
	case m.Status == 204 || h.length == 0:
		m.Length = 0
		c.body.none(s)
	case h.chunked:
		m.Length = -1
		c.body.reset(s, byChunks, 0, &m.Trailer)
		m.Body = &c.body
	case h.length > 0:
		c.body.reset(s, byLength, h.length, nil)
		m.Body = &c.body
	default:
		c.keep = false
		c.body.reset(s, byClose, 0, nil)
		m.Body = &c.body
	}
	c.body.call = c
	return nil
}

// Done ends the call: the connection is kept for another when both messages are over without doubt, and closed
// otherwise.
func (c *Call) Done() {
	l := c.link
	if l == nil {
		return
	}
	_ = c.stop()
	c.keep = c.watched() && c.keep
	c.link, l.src.client = nil, nil
	c.Response.Body = nil
	c.Response.Fields, c.Response.Trailer = c.Response.Fields[:0], c.Response.Trailer[:0]
	if !c.keep || !c.all || !c.body.whole() || l.src.unread() > 0 {
		l.close()
		return
	}
	l.src.release()
	l.u.keep(l)
}

// An Ender is a context that tells one who waits for its end without memory of its own for that.
type Ender interface {
	context.Context
	// WhenOver has f, which waits for nobody, called when the context ends: at once when it has already.
	WhenOver(f func())
	// Forget takes that back, and reports whether the context had not ended.
	Forget() bool
}

// watch has the connection cut when ctx ends.
func (c *Call) watch(ctx context.Context) {
	l := c.link
	if e, ok := ctx.(Ender); ok {
		if l.cutter == nil {
			l.cutter = l.cut
		}
		c.ender = e
		e.WhenOver(l.cutter)
		return
	}
	if ctx.Done() != nil {
		c.unwatch = context.AfterFunc(ctx, l.cut)
	}
}

// watched ends waiting for ctx, and reports whether it had not ended.
func (c *Call) watched() bool {
	if e := c.ender; e != nil {
		c.ender = nil
		return e.Forget()
	}
	stop := c.unwatch
	c.unwatch = nil
	return stop == nil || stop()
}

// explain makes a fault of what went wrong with the upstream.
func (c *Call) explain(err error) error {
	var ne net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout() {
		return &fault.Error{Kind: fault.SlowUpstream, Public: "the upstream did not answer in time", Err: err}
	}
	var r Reason
	if errors.As(err, &r) && r == SlowBody {
		return &fault.Error{Kind: fault.SlowUpstream, Public: "the upstream stopped in the middle of its answer", Err: err}
	}
	if r != Fine {
		return &fault.Error{Kind: fault.BadUpstream, Code: r.String(), Public: "the upstream's answer cannot be understood", Err: err}
	}
	if errors.Is(err, ErrClientGone) || errors.Is(err, ErrUnsendable) {
		return err
	}
	return &fault.Error{Kind: fault.BadUpstream, Public: "the upstream could not be reached or did not answer", Err: err}
}
