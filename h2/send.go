package h2

import (
	"errors"
	"io"
	"time"

	"gatehouse/wire"
)

// A sender carries a request's content to an upstream while the answer may already come. It keeps nothing of its Call, which
// may be used again before it has noticed that it is over.
type sender struct {
	s       *stream
	body    io.Reader
	left    int64 // -1: until its end
	trailer func() wire.Fields
	done    chan struct{}
	err     error // reading the content ended with
}

// send begins to carry the content. What is at hand and fits is sent at once.
func (c *Call) send() {
	t := &sender{s: c.s, body: c.Request.Body, left: c.Request.Length, trailer: c.Trailer, done: make(chan struct{})}
	c.sender = t
	if t.small() {
		t.run()
		return
	}
	go t.run()
}

// small reports whether the content is in memory and can be sent without waiting.
func (t *sender) small() bool {
	m, ok := t.body.(interface{ Len() int })
	if !ok {
		return false
	}
	c := t.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	n := int64(m.Len())
	return n <= t.s.send.n && n <= c.send.n && n < frameSize && len(c.out) < maxOut
}

func (t *sender) run() {
	defer close(t.done)
	buf := buffers.Get().(*[frameSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := t.body.Read(part(buf[:], t.left))
		if t.left >= 0 {
			t.left -= int64(n)
		}
		last := t.left == 0 || err == io.EOF && t.left < 0
		var trailer wire.Fields
		if last && t.trailer != nil && err == io.EOF {
			trailer = t.trailer()
		}
		ends := last && len(trailer) == 0
		if n > 0 || ends {
			if t.s.write(buf[:n], ends, ends || !ready(t.body)) != nil {
				return // its answer, if any, tells more
			}
		}
		switch {
		case ends:
			return
		case last:
			t.s.c.mu.Lock()
			if t.s.err == nil {
				t.s.trail(trailer)
				t.s.c.flush()
			}
			t.s.c.mu.Unlock()
			return
		case err == io.EOF:
			err = ErrLength
		}
		if err != nil { // the answer to half a request is of no use
			t.err = err
			t.s.cancelled(errors.Join(errContent, err))
			return
		}
	}
}

var errContent = errors.New("h2: the request's content broke off")

// settle gives the rest of a request a moment, once its answer is whole.
func (t *sender) settle(s *stream) {
	s.c.mu.Lock()
	over := s.err != nil || !s.whole
	s.c.mu.Unlock()
	if over {
		return
	}
	wait := time.NewTimer(overlap)
	defer wait.Stop()
	select {
	case <-t.done:
	case <-wait.C:
	}
}
