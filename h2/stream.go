package h2

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/wire"
)

// A stream is one exchange on a connection. All of it but what its goroutines alone use is guarded by the connection's mu.
type stream struct {
	c  *conn
	id uint32

	send, recv window
	unread     int64 // bytes of content that came and were not read
	unreturned int64 // of recv: read, and the peer was not told yet
	body       pipe
	total      int64 // bytes of content that came
	length     int64 // that the head promised; -1: none
	headed     bool  // the peer's head came
	whole      bool  // all of the peer's message came
	done       bool  // all of ours was written
	err        error // why it ended before
	readErr    error // why the peer's message is not whole
	trailer    wire.Fields
	keep       bool // what the peer has said whole stays readable when the stream ends

	reads, writes chan struct{} // something has changed for whoever reads, or writes; nil while nobody has waited
	lent          [2]*fields    // the memory of the peer's head and trailer
	queued        bool          // in c.waiting
	aborted       bool          // a read is to end

	in     *inbound // of a server
	served bool     // it was handed to a handler

	call    *Call       // of an upstream
	interim int         // answers
	gone    func() bool // nobody waits for the answer any more; nil: that is told otherwise
	left    bool        // gone said so
}

func newStream(c *conn, id uint32) *stream {
	s := new(stream)
	s.open(c, id)
	return s
}

func (s *stream) open(c *conn, id uint32) {
	s.c, s.id, s.length = c, id, -1
	s.send, s.recv = window{c.settings.window}, window{streamWindow}
}

// end notes why the stream is over before both messages are. c.mu is held.
func (s *stream) end(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	if !s.whole || !s.keep {
		s.readErr = err
	}
	poke(s.writes)
	poke(s.reads)
	if s.served {
		s.in.x.life.end()
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// release gives back what nobody will read, and the memory of the peer's fields. c.mu is held.
func (s *stream) release() {
	for i, f := range s.lent {
		s.c.giveFields(f)
		s.lent[i] = nil
	}
	s.body.free()
	if s.unread > 0 {
		s.c.giveBack(s.unread)
		s.unread = 0
	}
}

// read reads content, waiting for it up to silence, and not beyond until if that is not zero.
func (s *stream) read(p []byte, silence time.Duration, until time.Time) (int, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var limit *time.Timer
	for {
		n := s.body.read(p)
		switch {
		case n > 0:
			c.took(s, int64(n))
			c.kick()
			return n, nil
		case s.aborted:
			return 0, errAborted
		case s.readErr != nil:
			return 0, s.readErr
		case s.whole:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		if limit == nil {
			limit = timer(silence, until)
			defer limit.Stop()
		}
		if !s.await(&s.reads, limit) && s.body.empty() && s.readErr == nil && !s.whole {
			return 0, fmt.Errorf("%w: no content", ErrSlow)
		}
		if s.left {
			return 0, errGone
		}
	}
}

func timer(d time.Duration, until time.Time) *time.Timer {
	if !until.IsZero() {
		d = min(d, time.Until(until))
	}
	return time.NewTimer(max(d, 0))
}

// await lets go of c.mu until something has changed, or the time is over: then it returns false.
func (s *stream) await(what *chan struct{}, limit *time.Timer) bool {
	if *what == nil {
		*what = make(chan struct{}, 1)
	}
	changed := *what
	s.c.mu.Unlock()
	defer s.c.mu.Lock()
	if s.gone == nil {
		select {
		case <-changed:
			return true
		case <-limit.C:
			return false
		}
	}
	glance := time.NewTicker(glanceEvery)
	defer glance.Stop()
	for {
		select {
		case <-changed:
			return true
		case <-limit.C:
			s.left = s.gone()
			return s.left
		case <-glance.C:
			if s.gone() {
				s.left = true
				return true
			}
		}
	}
}

// errGone is what waiting for an upstream ends with when nobody waits for its answer.
var errGone = errors.New("h2: nobody waits for the answer")

// glanceEvery is how often whoever waits for an upstream looks whether the client is still there.
const glanceEvery = time.Second

// ready reports whether a read waits for nobody.
func (s *stream) ready() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return !s.body.empty() || s.whole || s.readErr != nil || s.aborted
}

// write sends content; with last it ends our message. It is put behind what waits, and flush has it written.
func (s *stream) write(p []byte, last, flush bool) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		n, err := s.room(len(p))
		if err != nil {
			return err
		}
		end := last && n == len(p)
		if n > 0 || end {
			_ = c.fr.WriteData(s.id, end, p[:n])
			s.send.n -= int64(n)
			c.send.n -= int64(n)
			c.earn(costIdle * (2 + n>>9)) // the peer widens its windows, some after each few hundred bytes
		}
		if p = p[n:]; end {
			s.finish()
		}
		if len(p) == 0 {
			break
		}
	}
	if flush {
		c.flush()
	}
	return nil
}

// room waits until some of n bytes can be sent, and returns how many. c.mu is held, and let go meanwhile.
func (s *stream) room(n int) (int, error) {
	c := s.c
	var limit *time.Timer
	for {
		if s.err != nil {
			return 0, s.err
		}
		most := min(int64(n), s.send.n, c.send.n, int64(c.settings.frame))
		if (most > 0 || n == 0) && len(c.out) < maxOut {
			return int(most), nil
		}
		if len(c.out) > 0 && !c.writing {
			c.flush()
			continue
		}
		if limit == nil {
			limit = timer(c.limits.Write, time.Time{})
			defer limit.Stop()
		}
		if !s.queued {
			s.queued = true
			c.waiting = append(c.waiting, s)
		}
		if !s.await(&s.writes, limit) {
			return 0, fmt.Errorf("%w: it takes no content (%w)", ErrPeerGone, ErrSlow)
		}
	}
}

// finish notes that our message is whole. c.mu is held.
func (s *stream) finish() {
	if s.done = true; s.whole {
		s.c.drop(s)
	}
}

// head writes a head or a trailer; fields puts its fields. c.mu is held.
func (s *stream) head(last bool, fields func(c *conn)) {
	c := s.c
	c.encoded = c.encoded[:0]
	fields(c)
	b := c.encoded
	n := min(len(b), c.settings.frame)
	_ = c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: b[:n], EndStream: last, EndHeaders: n == len(b)})
	for b = b[n:]; len(b) > 0; b = b[n:] {
		n = min(len(b), c.settings.frame)
		_ = c.fr.WriteContinuation(s.id, n == len(b), b[:n])
	}
	if cap(c.encoded) > maxHead {
		c.encoded = nil
	}
}

// A pipe is content that came and waits to be read.
type pipe struct {
	parts [][]byte // each with room behind it, perhaps
	r     int      // of the first that was read
}

const (
	smallPart = 2 << 10
	largePart = 16 << 10
)

var (
	smallParts = sync.Pool{New: func() any { return new([smallPart]byte) }}
	largeParts = sync.Pool{New: func() any { return new([largePart]byte) }}
)

func (b *pipe) empty() bool { return len(b.parts) == 0 }

func (b *pipe) write(p []byte) {
	for len(p) > 0 {
		last := len(b.parts) - 1
		if last < 0 || len(b.parts[last]) == cap(b.parts[last]) {
			if len(p) <= smallPart && last < 0 {
				b.parts = append(b.parts, smallParts.Get().(*[smallPart]byte)[:0])
			} else {
				b.parts = append(b.parts, largeParts.Get().(*[largePart]byte)[:0])
			}
			last++
		}
		part := b.parts[last]
		n := copy(part[len(part):cap(part)], p)
		b.parts[last], p = part[:len(part)+n], p[n:]
	}
}

func (b *pipe) read(p []byte) (n int) {
	for len(p) > n && len(b.parts) > 0 {
		k := copy(p[n:], b.parts[0][b.r:])
		n += k
		if b.r += k; b.r == len(b.parts[0]) {
			give(b.parts[0])
			b.parts[0] = nil
			b.parts, b.r = b.parts[1:], 0
		}
	}
	if len(b.parts) == 0 {
		b.parts = nil
	}
	return n
}

func (b *pipe) free() {
	for _, p := range b.parts {
		give(p)
	}
	b.parts, b.r = nil, 0
}

func give(p []byte) {
	switch p = p[:cap(p)]; len(p) {
	case smallPart:
		smallParts.Put((*[smallPart]byte)(p))
	case largePart:
		largeParts.Put((*[largePart]byte)(p))
	}
}
