package h2

import (
	"errors"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// out is where the framer writes: behind what waits already. c.mu is held.
type out struct{ c *conn }

func (o out) Write(p []byte) (int, error) {
	if o.c.err == nil {
		if o.c.out == nil {
			o.c.out = outs.Get().(*[outSize]byte)[:0]
		}
		o.c.out = append(o.c.out, p...)
	}
	return len(p), nil
}

// outSize is how much a connection has for what waits, until it is more.
const outSize = 4 << 10

var outs = sync.Pool{New: func() any { return new([outSize]byte) }}

// giveOut takes back what a connection had for what waits.
func giveOut(b []byte) {
	if cap(b) == outSize {
		outs.Put((*[outSize]byte)(b[:outSize]))
	}
}

// encoded is where the header compression writes. c.mu is held.
type encoded struct{ c *conn }

func (e encoded) Write(p []byte) (int, error) {
	e.c.encoded = append(e.c.encoded, p...)
	return len(p), nil
}

// flush writes what waits, unless somebody is at it: who then takes it along, but not for ever, since it has work of its own.
// c.mu is held, and let go meanwhile.
func (c *conn) flush() {
	if c.writing {
		return
	}
	c.flushed(mostRounds)
	c.kick()
}

// mostRounds is how often whoever writes for itself writes once more for others.
const mostRounds = 4

// flushed writes what waits in up to that many rounds.
func (c *conn) flushed(rounds int) {
	c.writing = true
	for ; len(c.out) > 0 && c.err == nil && rounds > 0; rounds-- {
		b := c.out
		c.out = c.spare[:0]
		c.mu.Unlock()
		err := c.write(b)
		c.mu.Lock()
		c.spare = nil
		if cap(b) <= 2*maxOut {
			c.spare = b[:0]
		}
		if err != nil {
			c.fail(err)
			_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		}
		c.wake()
	}
	if len(c.streams) == 0 && len(c.out) == 0 { // an idle connection gives its buffers back
		giveOut(c.out)
		giveOut(c.spare)
		c.out, c.spare = nil, nil
	}
	c.writing = false
	c.idleCond.Broadcast()
}

// write writes b. A peer that takes it slowly has time as long as it takes some.
func (c *conn) write(b []byte) error {
	for {
		patience := c.limits.Write
		if c.parting.Load() {
			patience = lingerFor
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
		n, err := c.nc.Write(b)
		if b = b[n:]; n > 0 && len(b) > 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.parting.Load() {
			continue
		}
		return err
	}
}

// kick has what waits written by another goroutine: the one that reads must not wait for the peer. c.mu is held.
func (c *conn) kick() {
	if c.writing || len(c.out) == 0 || c.err != nil {
		return
	}
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.writing {
			c.flushed(math.MaxInt)
		}
	}()
}

// control is called after the peer made us write something that is no content. It ends a connection whose peer does not
// read. c.mu is held.
func (c *conn) control() error {
	if len(c.out) > maxControl {
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
}

// wake lets all go on who wait for room or for a window. c.mu is held.
func (c *conn) wake() {
	for i, s := range c.waiting {
		s.queued = false
		poke(s.writes)
		c.waiting[i] = nil
	}
	c.waiting = c.waiting[:0]
}

// reset ends a stream from here, in an error of the peer's or to save it work. c.mu is held.
func (c *conn) reset(id uint32, code http2.ErrCode) error {
	_ = c.fr.WriteRSTStream(id, code)
	if s := c.streams[id]; s != nil {
		s.end(onStream(id, code))
		c.drop(s)
	}
	c.ended.add(id, true)
	if code == http2.ErrCodeNo || code == http2.ErrCodeCancel || code == http2.ErrCodeInternal {
		return c.control()
	}
	if !c.spend(costReset) {
		return fatal(http2.ErrCodeEnhanceYourCalm)
	}
	return c.control()
}

// drop forgets a stream that is over. c.mu is held.
func (c *conn) drop(s *stream) {
	if c.streams[s.id] != s {
		return
	}
	delete(c.streams, s.id)
	c.ended.add(s.id, false)
	if len(c.streams) == 0 {
		c.since = time.Now()
	}
	c.peer.gone(c, s)
	c.leave()
}

// endings are the streams that ended last.
type endings [maxEndings]struct {
	id   uint32
	here bool // by us, so that the peer did not know for a while
}

func (e *endings) add(id uint32, here bool) {
	slot := &e[id/2%maxEndings]
	slot.here = here || slot.id == id && slot.here
	slot.id = id
}

// has reports whether the stream is one of them, and whether it was ended here.
func (e *endings) has(id uint32) (ended, here bool) {
	slot := &e[id/2%maxEndings]
	return slot.id == id, slot.id == id && slot.here
}
