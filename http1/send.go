package http1

import (
	"io"
	"time"
)

// overlap is how long a request's body may go on after the answer to it is complete, before both connections are given
// up: its last bytes are often on their way just then.
const overlap = 50 * time.Millisecond

// A sender carries a request's body to an upstream while the answer may already come.
type sender struct {
	done  chan struct{}
	err   error // reading the body ended with
	whole bool  // everything was sent
}

// send begins to carry the request's body.
func (c *Call) send(chunked bool) {
	c.sender = &sender{done: make(chan struct{})}
	if c.Exchange != nil {
		c.Exchange.sending = c
		c.Exchange.expects, c.Exchange.body.wanted = false, nil
	}
	go c.sender.run(c.link, c, chunked)
}

func (t *sender) run(l *link, c *Call, chunked bool) {
	defer close(t.done)
	m := c.Request
	size, room := bulkSize, 0
	if chunked {
		size, room = pageSize, chunkRoom
	}
	buf := l.src.bufs.get(size)
	defer l.src.bufs.put(buf)
	left := m.Length
	for {
		space := buf[room : len(buf)-chunkEnd]
		if !chunked {
			space = space[:min(int64(len(space)), left)]
		}
		n, err := m.Body.Read(space)
		b := buf[:n]
		if chunked {
			b = buf[:0]
			if n > 0 {
				b = appendChunk(b, n)
			}
			if err == io.EOF {
				b = appendTrailer(b, m.Trailer)
			}
		}
		if len(b) > 0 {
			if l.write(b) != nil {
				return // its answer, if any, tells more
			}
		}
		left -= int64(n)
		switch {
		case !chunked && left == 0, chunked && err == io.EOF:
			t.whole = true
			return
		case err == io.EOF:
			err = ErrLength
		}
		if err != nil {
			t.err = err
			l.src.halt() // the answer to half a request is of no use
			return
		}
	}
}

// stop ends the sender, and returns what the request's body was at fault with.
func (c *Call) stop() error {
	t := c.sender
	if t == nil {
		return nil
	}
	c.sender = nil
	e, aborted := c.Exchange, false
	wait := time.NewTimer(overlap)
	select {
	case <-t.done:
	case <-wait.C:
		if e != nil {
			e.src.halt()
		} else if b, ok := c.Request.Body.(interface{ Abort(yes bool) }); ok { // it comes from elsewhere
			b.Abort(true)
			aborted = true
		}
		was := c.link.halted.Swap(true) // for a write that begins now; one that runs is ended by its deadline
		_ = c.link.nc.SetWriteDeadline(past())
		<-t.done
		c.link.writing.forget()
		if t.whole {
			c.link.halted.Store(was)
		}
	}
	wait.Stop()
	if e != nil {
		e.sending = nil
		e.c.reading.forget()
		if !e.c.s.cutting.Load() {
			e.src.halted.Store(false)
		}
		if !t.whole {
			e.closing = true
		}
	}
	c.all = t.whole
	if t.err == errHalted || aborted {
		return nil
	}
	return t.err
}

// write sends b to the upstream.
func (l *link) write(b []byte) error {
	l.writing.arm(now(), l.u.patience.Write)
	if l.halted.Load() {
		return errHalted
	}
	_, err := l.nc.Write(b)
	if err != nil {
		l.writing.forget()
	}
	return err
}
