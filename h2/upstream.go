package h2

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Patience is how long an upstream may take. Zero values stand for the defaults.
type Patience struct {
	Connect time.Duration // to connect; 3 s
	Head    time.Duration // to the end of an answer's head; 30 s
	Body    time.Duration // the longest silence within an answer's content; 60 s
	Write   time.Duration // the longest that content may wait for the upstream to take it; 30 s
	Idle    time.Duration // how long an unused connection is kept; 55 s
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
	return p
}

// mostStreams is how many streams we open on one connection, whatever the upstream allows: beyond that, a second connection is
// of more use than a longer queue on the first.
const mostStreams = 256

// mostConns is how many connections there are to one address, so that one that takes no streams is not dialled for ever.
const mostConns = 64

var errFull = errors.New("h2: all connections to the upstream are full")

// An Upstream is one address, and the connections to it, which carry many exchanges at a time. Its fields are set before its
// first use.
type Upstream struct {
	Dial     func(ctx context.Context) (net.Conn, error) // HTTP/2 is spoken on what it returns, from the first byte
	Patience Patience

	once     sync.Once
	patience Patience
	running  sync.WaitGroup
	streams  atomic.Uint32 // at a time on a connection, as the upstream said last; 0: it has not spoken yet

	mu      sync.Mutex
	conns   []*clientConn
	dialing *dialing
	closed  bool
}

// A dialing is one attempt to connect, for everybody who waits for it.
type dialing struct {
	done chan struct{}
	err  error
}

func (u *Upstream) prepare() {
	u.once.Do(func() { u.patience = u.Patience.withDefaults() })
}

// open returns a connection with a place on it that is ours. used tells that it has carried something before.
func (u *Upstream) open(ctx context.Context) (c *clientConn, used bool, err error) {
	fresh := false
	for {
		u.mu.Lock()
		if u.closed {
			u.mu.Unlock()
			return nil, false, ErrClosed
		}
		for _, c := range u.conns {
			if c.reserve() {
				u.mu.Unlock()
				return c, !fresh, nil
			}
		}
		d := u.dialing
		if d == nil && len(u.conns) >= mostConns {
			u.mu.Unlock()
			return nil, false, errFull
		}
		if d == nil {
			d = &dialing{done: make(chan struct{})}
			u.dialing = d
			u.running.Add(1)
			go u.dial(d)
		}
		u.mu.Unlock()
		select {
		case <-d.done:
			if d.err != nil {
				return nil, false, d.err
			}
			fresh = true
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// dial opens one more connection and serves it.
func (u *Upstream) dial(d *dialing) {
	defer u.running.Done()
	ctx, cancel := context.WithTimeout(context.Background(), u.patience.Connect)
	nc, err := u.Dial(ctx)
	cancel()
	u.mu.Lock()
	u.dialing = nil
	if err == nil && u.closed {
		_ = nc.Close()
		err = ErrClosed
	}
	if d.err = err; err != nil {
		u.mu.Unlock()
		close(d.done)
		return
	}
	c := &clientConn{u: u, next: 1}
	p := u.patience
	c.conn = newConn(nc, c, Limits{Head: p.Head, Body: p.Body, Write: p.Write, Idle: p.Idle})
	c.mu.Lock()
	if n := u.streams.Load(); n > 0 {
		c.settings.streams = n
	}
	c.out = append(c.out, http2.ClientPreface...)
	c.hello(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	c.kick()
	c.mu.Unlock()
	u.conns = append(u.conns, c)
	u.mu.Unlock()
	close(d.done)
	err = c.read()
	u.forget(c)
	c.part(err)
}

func (u *Upstream) forget(c *clientConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.conns {
		if u.conns[i] == c {
			u.conns = append(u.conns[:i], u.conns[i+1:]...)
			return
		}
	}
}

// Open is how many connections there are.
func (u *Upstream) Open() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.conns)
}

// CloseIdle closes the connections without a stream. The Upstream can be used on.
func (u *Upstream) CloseIdle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.conns {
		c.mu.Lock()
		if c.reserved == 0 && len(c.streams) == 0 {
			c.leaving = true
			c.leave()
		}
		c.mu.Unlock()
	}
}

// Close closes all connections and waits until they are. Exchanges that use one fail.
func (u *Upstream) Close() {
	u.mu.Lock()
	u.closed = true
	conns := append([]*clientConn(nil), u.conns...)
	u.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
	u.running.Wait()
}

// A clientConn is a connection to an upstream.
type clientConn struct {
	*conn
	u *Upstream

	// Guarded by mu.
	next     uint32 // stream
	reserved int    // places that were given and not used yet
}

// reserve takes a place for a stream, if there is one.
func (c *clientConn) reserve() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := min(int(min(c.settings.streams, mostStreams)), mostStreams)
	if c.err != nil || c.leaving || c.over || len(c.streams)+c.reserved >= most || c.next > maxWindow-2*mostStreams {
		return false
	}
	c.reserved++
	return true
}

// errUnprocessed is the end of a stream that the upstream has not looked at: it can be sent again.
var errUnprocessed = errors.New("h2: the upstream has not taken the request")

// begin refuses what an upstream must not open.
func (c *clientConn) begin(_ *conn, b *block) error {
	ended, here := c.ended.has(b.id)
	switch {
	case here:
		return nil
	case ended:
		return fatal(http2.ErrCodeStreamClosed)
	}
	return fatal(http2.ErrCodeProtocol)
}

// head takes the head of an answer, or its trailer.
func (c *clientConn) head(_ *conn, s *stream, b *block) error {
	if s.headed {
		if !trailer(b) || s.length >= 0 && s.total != s.length {
			return c.bad(s)
		}
		s.lent[1], s.trailer = b.take(), b.fields
		c.complete(s)
		poke(s.reads)
		return nil
	}
	interim, ok := s.call.response(s, b)
	switch {
	case !ok:
		return c.bad(s)
	case interim:
		if s.interim++; s.interim > maxInterim {
			return c.bad(s)
		}
		return nil
	}
	s.headed = true
	if b.last {
		c.complete(s)
	}
	poke(s.reads)
	return nil
}

// errAnswer is an answer that cannot be understood.
var errAnswer = errors.New("h2: the answer is malformed")

// bad ends a stream whose answer is malformed.
func (c *clientConn) bad(s *stream) error {
	s.end(errAnswer)
	return onStream(s.id, http2.ErrCodeProtocol)
}

// ready remembers what the upstream allows, for the next connection: until it speaks there, nobody knows.
func (c *clientConn) ready(*conn) {
	if c.greeted {
		c.u.streams.Store(max(c.settings.streams, 1))
	}
}

func (c *clientConn) gone(*conn, *stream) { c.earn(costReset) }

// goAway is the upstream's word that it takes no further streams, and none beyond last.
func (c *clientConn) goAway(_ *conn, last uint32, _ http2.ErrCode) {
	c.leaving = true
	for id, s := range c.streams {
		if id > last {
			s.end(errUnprocessed)
			c.drop(s)
		}
	}
	c.leave()
}
