package h2

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A conn is one connection, of a client's or to an upstream. One goroutine reads it; whoever has something to write puts it
// behind what waits already, and one of them writes for all.
type conn struct {
	nc     net.Conn
	in     *bufio.Reader
	fr     *http2.Framer // reads from in, for the reading goroutine; writes into out, under mu
	limits Limits
	peer   side

	// Of the reading goroutine.
	dec   *hpack.Decoder
	block block // that is open
	whole block // that was complete last

	mu       sync.Mutex
	idleCond sync.Cond // nobody writes
	streams  map[uint32]*stream
	enc      *hpack.Encoder
	encoded  []byte // by enc
	texts    texts
	out      []byte // frames that wait to be written
	spare    []byte // memory for the next ones
	writing  bool   // somebody writes
	err      error  // why nothing goes any more
	waiting  []*stream
	ended    endings

	send, recv window // of the connection
	unreturned int64  // of recv: read, and the peer was not told yet
	settings   settings
	highest    uint32 // of the streams that the peer, or for an upstream's we, have opened
	greeted    bool   // the peer's settings came

	since   time.Time // when the last stream ended, or the connection began
	heard   time.Time // when bytes came last
	pinged  time.Time // when it was last asked whether it is alive; zero: it answered
	armed   time.Time // the deadline of reading
	over    bool      // reading ends
	leaving bool      // no further streams
	parting atomic.Bool
	poison  bool
	patience
}

// side is what a server's connections do otherwise than an upstream's. Its methods are called under mu, but for begin.
type side interface {
	begin(c *conn, b *block) error           // a block is complete that belongs to no stream that is open
	head(c *conn, s *stream, b *block) error // a block is complete that belongs to s
	ready(c *conn)                           // everything that was received so far has been looked at
	gone(c *conn, s *stream)                 // s is over
	goAway(c *conn, last uint32, code http2.ErrCode)
}

// settings are the peer's.
type settings struct {
	window  int64  // of each stream
	frame   int    // bytes
	streams uint32 // at a time
}

func newConn(nc net.Conn, p side, l Limits) *conn {
	c := &conn{nc: nc, peer: p, limits: l, streams: map[uint32]*stream{}, since: time.Now(), heard: time.Now()}
	c.idleCond.L = &c.mu
	c.in = readers.Get().(*bufio.Reader)
	c.in.Reset(reader{c})
	c.fr = http2.NewFramer(out{c}, c.in)
	c.fr.SetMaxReadFrameSize(frameSize)
	c.fr.SetReuseFrames()
	c.dec = hpack.NewDecoder(tableSize, c.field)
	c.dec.SetMaxStringLength(maxHead)
	c.dec.SetAllowedMaxDynamicTableSize(tableSize)
	c.enc = hpack.NewEncoder(encoded{c})
	c.send, c.recv = window{initialWindow}, window{windowOfConn}
	c.settings = settings{window: initialWindow, frame: frameSize, streams: 100}
	c.patience.full(c.since)
	return c
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 8<<10) }}

// hello writes our settings, and more room for content than the protocol gives.
func (c *conn) hello(s ...http2.Setting) {
	s = append(s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow}, http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHead})
	_ = c.fr.WriteSettings(s...)
	_ = c.fr.WriteWindowUpdate(0, windowOfConn-initialWindow)
}

// read takes frames until the connection ends, and returns why.
func (c *conn) read() error {
	for {
		taken, err := c.usual()
		if !taken {
			var f http2.Frame
			if f, err = c.fr.ReadFrame(); err == nil {
				err = c.frame(f)
			}
		}
		if err != nil {
			if err = c.onStream(err); err != nil {
				return c.codeOf(err)
			}
		}
	}
}

// onStream ends the stream that the error is of; another one is returned.
func (c *conn) onStream(err error) error {
	var se http2.StreamError
	if !errors.As(err, &se) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reset(se.StreamID, se.Code)
}

// codeOf makes a connection error of what the framer found.
func (c *conn) codeOf(err error) error {
	if errors.Is(err, http2.ErrFrameTooLarge) {
		return fatal(http2.ErrCodeFrameSize)
	}
	return err
}

// A reader is the connection's bytes. It tells the peer's side before it waits, and keeps deadlines.
type reader struct{ c *conn }

func (r reader) Read(p []byte) (int, error) {
	c := r.c
	for {
		if err := c.wait(); err != nil {
			return 0, err
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			c.mu.Lock()
			c.heard, c.pinged = time.Now(), time.Time{}
			c.mu.Unlock()
			return n, nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
	}
}

// wait prepares for a read that may take long. It returns an error when the connection has come to its end.
func (c *conn) wait() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peer.ready(c)
	c.kick()
	now := time.Now()
	for {
		if c.err != nil {
			return c.err
		}
		if c.over {
			return io.EOF
		}
		until := c.deadline()
		if now.Before(until) {
			if until.Before(c.armed) || c.armed.Before(now) || until.Sub(c.armed) > time.Second {
				c.armed = until.Add(time.Second / 8)
				return c.nc.SetReadDeadline(c.armed)
			}
			return nil
		}
		if err := c.late(now); err != nil {
			return err
		}
	}
}

// deadline is until when something has to come. c.mu is held.
func (c *conn) deadline() time.Time {
	switch {
	case !c.block.began.IsZero():
		return c.block.began.Add(c.limits.Head)
	case !c.greeted:
		return c.since.Add(c.limits.Head)
	case len(c.streams) == 0:
		return c.since.Add(c.limits.Idle)
	case !c.pinged.IsZero():
		return c.pinged.Add(pingFor)
	}
	return c.heard.Add(pingAfter)
}

// late is called when nothing came until the deadline. c.mu is held.
func (c *conn) late(now time.Time) error {
	switch {
	case !c.block.began.IsZero(), !c.greeted:
		return fatal(http2.ErrCodeEnhanceYourCalm)
	case len(c.streams) == 0:
		return io.EOF
	case !c.pinged.IsZero():
		return os.ErrDeadlineExceeded
	}
	c.pinged = now
	_ = c.fr.WritePing(false, [8]byte{'g', 'a', 't', 'e'})
	c.kick()
	return nil
}

// leave makes the reading goroutine end, once no stream is left. c.mu is held.
func (c *conn) leave() {
	if c.leaving && len(c.streams) == 0 && !c.over {
		c.over = true
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// cut ends everything that waits for the peer.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(ErrClosed)
	_ = c.nc.SetDeadline(time.Unix(1, 0))
}

// fail ends all streams. c.mu is held.
func (c *conn) fail(err error) {
	if c.err != nil {
		return
	}
	if err == io.EOF { // that must not look like the end of a body
		err = ErrPeerGone
	} else {
		err = fmt.Errorf("%w: %w", ErrPeerGone, err)
	}
	c.err = err
	for _, s := range c.streams {
		s.end(err)
	}
	clear(c.streams)
	c.wake()
}

// part tells the peer why the connection ends, and waits a moment so that it can read that.
func (c *conn) part(err error) {
	code, tell := http2.ErrCodeNo, true
	var ce http2.ConnectionError
	switch {
	case errors.As(err, &ce):
		code = http2.ErrCode(ce)
	case err == io.EOF:
	default:
		tell = false
	}
	c.mu.Lock()
	if c.err != nil {
		tell = false
	}
	if tell {
		_ = c.fr.WriteGoAway(c.highest, code, nil)
		c.parting.Store(true)
		_ = c.nc.SetWriteDeadline(time.Now().Add(lingerFor))
		for c.writing {
			c.idleCond.Wait()
		}
		c.flushed(math.MaxInt)
	}
	c.fail(err)
	c.mu.Unlock()
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok && tell && code != http2.ErrCodeEnhanceYourCalm && w.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(lingerFor))
		_, _ = io.CopyN(io.Discard, c.nc, maxLinger)
	}
	_ = c.nc.Close()
	c.in.Reset(nil)
	readers.Put(c.in) // nobody reads any more
	c.in = nil
}
