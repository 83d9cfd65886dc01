package h2

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/http1"
)

// A Server serves clients' connections. Its fields are set before its first connection and not changed after.
type Server struct {
	// Handler answers one request by calling Respond once. It runs on a goroutine of its own.
	Handler func(*Exchange)
	// Malformed is called instead for a request that is refused; what was read of it is in the exchange. It calls Respond once,
	// which sends nothing where the protocol wants the stream to be reset.
	Malformed func(e *Exchange, r http1.Reason)
	Limits    Limits
	Poison    bool         // overwrite the memory of requests that are over, so that whoever kept a View notices; for tests
	Log       *slog.Logger // told of handlers that panic or do not answer; nil: slog.Default

	once     sync.Once
	limits   Limits
	log      *slog.Logger
	workers  workers
	draining atomic.Bool
	dated    atomic.Pointer[dated]
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[*serverConn]struct{}
}

func (s *Server) prepare() {
	s.once.Do(func() {
		s.limits, s.conns = s.Limits.withDefaults(), map[*serverConn]struct{}{}
		if s.log = s.Log; s.log == nil {
			s.log = slog.Default()
		}
	})
}

// ServeConn serves one connection, on which the client speaks HTTP/2 from its first byte, and returns when it is over. After
// Shutdown or Close it is closed at once.
func (s *Server) ServeConn(nc net.Conn) {
	if serve := s.Take(nc); serve != nil {
		serve()
	}
}

// Take makes a connection one of the server's and returns what serves it, to be called once. A Shutdown that comes later
// lets it bring requests for a moment. Where it is not taken there is nothing to call: it is closed.
func (s *Server) Take(nc net.Conn) (serve func()) {
	s.prepare()
	sc := &serverConn{server: s, scheme: "http"}
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok && t != nil {
		sc.scheme = "https"
	}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		sc.client = a.AddrPort()
	}
	sc.conn = newConn(nc, sc, s.limits)
	sc.poison = s.Poison
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() || len(s.conns) >= s.limits.Conns {
		_ = nc.Close()
		return nil
	}
	s.conns[sc] = struct{}{}
	s.running.Add(1)
	return func() {
		defer s.running.Done()
		sc.serve()
		s.mu.Lock()
		delete(s.conns, sc)
		none := len(s.conns) == 0
		s.mu.Unlock()
		if none {
			s.workers.rest(false)
		}
	}
}

// Shutdown takes no further connections and tells the clients of the others that they end. Requests that come within half a
// second are answered still. It waits for all answers, or until ctx is done, and then cuts off what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.each((*serverConn).drain)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.workers.rest(true)
		return nil
	case <-ctx.Done():
	}
	_ = s.Close()
	<-done
	return ctx.Err()
}

// Close ends everything at once and waits until it is over.
func (s *Server) Close() error {
	s.each(func(sc *serverConn) { sc.cut() })
	s.running.Wait()
	s.workers.rest(true)
	return nil
}

func (s *Server) each(do func(*serverConn)) {
	s.prepare()
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for sc := range s.conns {
		do(sc)
	}
}

// dated is the Date field of a second.
type dated struct {
	second int64
	text   string
}

func (s *Server) date() string {
	now := time.Now()
	if d := s.dated.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
	s.dated.Store(d)
	return d.text
}

// A serverConn is a client's connection.
type serverConn struct {
	*conn
	server   *Server
	scheme   string
	client   netip.AddrPort
	handlers sync.WaitGroup

	// Guarded by mu.
	pending []*stream // that no handler has yet
	running int       // handlers, those of streams that are over among them
	last    uint32    // no stream beyond it is served; 0: all are
	grace   *time.Timer
}

func (c *serverConn) serve() {
	c.mu.Lock()
	c.hello(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.limits.Streams)})
	c.kick()
	if c.server.draining.Load() {
		c.drained()
	}
	c.mu.Unlock()
	err := c.preface()
	if err == nil {
		err = c.read()
	}
	c.mu.Lock()
	c.pending = nil
	c.mu.Unlock()
	c.part(err)
	c.handlers.Wait()
	c.mu.Lock()
	if c.grace != nil {
		c.grace.Stop()
	}
	c.mu.Unlock()
}

// preface reads what a client begins with.
func (c *serverConn) preface() error {
	b := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.in, b); err != nil {
		return err
	}
	if string(b) != http2.ClientPreface {
		return fatal(http2.ErrCodeProtocol)
	}
	return nil
}

// begin opens a stream for a request.
func (c *serverConn) begin(_ *conn, b *block) error {
	id := b.id
	if id%2 == 0 {
		return fatal(http2.ErrCodeProtocol)
	}
	if id <= c.highest {
		switch ended, here := c.ended.has(id); {
		case here: // it was on its way when we ended the stream
			if !c.spend(costReset) {
				return fatal(http2.ErrCodeEnhanceYourCalm)
			}
			return nil
		case ended:
			return fatal(http2.ErrCodeStreamClosed)
		}
		return fatal(http2.ErrCodeProtocol)
	}
	c.highest = id
	if c.last > 0 && id > c.last { // the client was told
		c.ended.add(id, true)
		return nil
	}
	if len(c.streams) >= c.limits.Streams || c.running+len(c.pending) >= c.limits.Streams {
		return onStream(id, http2.ErrCodeRefusedStream)
	}
	in := inbounds.Get().(*inbound)
	s, e := &in.s, &in.x
	s.open(c.conn, id)
	s.lent[0] = b.take()
	*e = Exchange{Peer: c.client, s: s, server: c.server}
	expects, malformed, r := request(b, c.scheme, &e.Request)
	s.in, s.headed, s.whole = in, true, b.last
	e.expects.Store(expects && !b.last)
	if !b.last {
		s.length = e.Request.Length
		e.body.e = e
		e.Request.Body = &e.body
	}
	if malformed {
		e.mute = true
		s.whole, e.Request.Body = true, nil
		c.start(s, r)
		return onStream(id, http2.ErrCodeProtocol)
	}
	c.streams[id] = s
	if r != http1.Fine {
		c.start(s, r)
		return nil
	}
	c.pending = append(c.pending, s)
	return nil
}

// head takes a request's trailer.
func (c *serverConn) head(_ *conn, s *stream, b *block) error {
	if !trailer(b) || s.length >= 0 && s.total != s.length {
		return onStream(b.id, http2.ErrCodeProtocol)
	}
	s.lent[1], s.trailer = b.take(), b.fields
	c.complete(s)
	poke(s.reads)
	return nil
}

// ready hands requests to handlers. Those that were taken back within what was received at once never get there.
func (c *serverConn) ready(*conn) {
	for i, s := range c.pending {
		c.start(s, http1.Fine)
		c.pending[i] = nil
	}
	c.pending = c.pending[:0]
}

// start runs a handler. c.mu is held.
func (c *serverConn) start(s *stream, r http1.Reason) {
	if c.err != nil {
		return
	}
	s.served = true
	c.running++
	c.handlers.Add(1)
	c.server.workers.run(job{c, s, r})
}

func (c *serverConn) handle(s *stream, r http1.Reason) {
	defer c.handlers.Done()
	defer c.handled(s)
	defer func() {
		if v := recover(); v != nil {
			c.server.log.Error("a handler panicked", "value", v, "stack", string(debug.Stack()))
		}
	}()
	if r != http1.Fine {
		c.server.Malformed(&s.in.x, r)
	} else {
		c.server.Handler(&s.in.x)
	}
}

// handled ends a stream whose handler has returned.
func (c *serverConn) handled(s *stream) {
	s.in.x.life.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.streams[s.id] == s && c.err == nil {
		code := http2.ErrCodeInternal // the answer is not whole
		switch {
		case s.done:
			code = http2.ErrCodeNo // what is left of the request is not wanted
		case s.in.x.body.err != nil:
			code = http2.ErrCodeCancel
		}
		_ = c.reset(s.id, code)
	}
	s.release()
	if s.done {
		c.earn(costReset)
	}
	c.flush()
	if in := s.in; in.over(c) {
		*in = inbound{}
		inbounds.Put(in)
	}
}

// over reports whether nobody has anything of the request any more: it came and was answered as a whole, it had no content that
// somebody might still read, and nobody was promised to learn of its end. c.mu is held.
func (in *inbound) over(c *serverConn) bool {
	s, e := &in.s, &in.x
	return s.done && s.whole && s.err == nil && !s.queued && c.streams[s.id] != s && e.state == answered && e.Request.Body == nil && !e.life.asked()
}

// gone forgets a request that no handler has got.
func (c *serverConn) gone(_ *conn, s *stream) {
	if s.served {
		return
	}
	for i, p := range c.pending {
		if p == s {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			break
		}
	}
	s.release()
	if !s.queued { // nobody has seen it
		in := s.in
		*in = inbound{}
		inbounds.Put(in)
	}
}

// An inbound is a request on its stream. Those that were taken back before anybody saw them are used again, and those that are over.
type inbound struct {
	s stream
	x Exchange
}

var inbounds = sync.Pool{New: func() any { return new(inbound) }}

// goAway is a client's word that it opens no further streams here.
func (c *serverConn) goAway(_ *conn, _ uint32, code http2.ErrCode) {
	c.leaving = true
	if code != http2.ErrCodeNo {
		c.over = c.over || len(c.streams) == 0
	}
	c.leave()
}

// drain tells the client that the connection ends.
func (c *serverConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained()
}

// drained is drain with c.mu held: first every stream is served, so that none is lost that is on its way.
func (c *serverConn) drained() {
	if c.grace != nil || c.err != nil {
		return
	}
	_ = c.fr.WriteGoAway(maxWindow, http2.ErrCodeNo, nil)
	c.kick()
	c.grace = time.AfterFunc(drainGrace, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return
		}
		c.last = max(c.highest, 1)
		c.leaving = true
		_ = c.fr.WriteGoAway(c.last, http2.ErrCodeNo, nil)
		c.kick()
		c.leave()
	})
}
