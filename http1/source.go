package http1

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A source is the bytes of a connection that were read and not used: buf[r:w].
type source struct {
	nc      net.Conn
	bufs    *Buffers
	buf     []byte
	r, w    int
	base    int    // the bytes below are in use as Views
	spare   []byte // the buffer with the head, while the body is read through another one
	alarm   *alarm
	silence time.Duration // how long a read may wait
	until   instant       // when no read may wait any more; 0: never
	halted  *atomic.Bool  // a read that waits is to end
	client  *Exchange     // of an upstream's: whose client waits for what is read; nil: nobody's
}

// errHalted is what a read ends with that was told to.
var errHalted = errors.New("http1: halted")

// unread is how many bytes there are.
func (s *source) unread() int { return s.w - s.r }

// fill reads more bytes; there is at least one more when it returns nil.
func (s *source) fill() error {
	if s.r == s.w {
		s.r, s.w = s.base, s.base
	}
	if s.w == len(s.buf) {
		s.room()
	}
	n, err := s.read(s.buf[s.w:])
	s.w += n
	return err
}

// room makes place for more bytes behind the unread ones.
func (s *source) room() {
	if s.r > s.base && len(s.buf)-s.base >= maxChunkLine+maxTrailer { // move the unread ones down
		s.w = s.base + copy(s.buf[s.base:], s.buf[s.r:s.w])
		s.r = s.base
		return
	}
	next := s.bufs.get(max(pageSize, 2*s.unread()))
	n := copy(next, s.buf[s.r:s.w])
	if s.spare == nil {
		s.spare = s.buf // the head's Views are in it
	} else {
		s.bufs.put(s.buf)
	}
	s.buf, s.base, s.r, s.w = next, 0, 0, n
}

// read reads from the connection once, waiting up to the silence.
func (s *source) read(p []byte) (int, error) {
	at := now()
	for limit := at.add(s.patience(at)); ; at = now() {
		if at >= limit {
			return 0, os.ErrDeadlineExceeded
		}
		s.alarm.arm(at, s.glance(limit.sub(at)))
		if s.halted.Load() {
			return 0, errHalted
		}
		n, err := s.nc.Read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			if s.halted.Load() {
				return 0, errHalted
			}
			s.alarm.forget()
			if s.client.gone() {
				return 0, ErrClientGone
			}
			if now() < limit { // time for a glance only, or armed by somebody else
				continue
			}
		}
		return 0, err
	}
}

// patience is how long a read that begins at that instant may wait.
func (s *source) patience(at instant) time.Duration {
	if s.until == 0 {
		return s.silence
	}
	return min(s.silence, s.until.sub(at))
}

// halt ends a read that waits in another goroutine, and all later ones.
func (s *source) halt() {
	s.halted.Store(true)
	_ = s.nc.SetReadDeadline(past())
}

// settle ends an exchange: the head's Views are over, and what is unread moves to the front of one buffer.
func (s *source) settle() {
	left := s.buf[s.r:s.w]
	to := s.buf
	if s.spare != nil && len(left) <= len(s.spare) {
		to = s.spare
	}
	n := copy(to, left)
	if s.spare != nil {
		if &to[0] == &s.spare[0] {
			s.buf, s.spare = s.spare, s.buf
		}
		s.bufs.put(s.spare)
		s.spare = nil
	}
	s.r, s.w = 0, n
	s.base = 0
	if s.bufs.Poison {
		for i := s.w; i < len(s.buf); i++ {
			s.buf[i] = 0xdb
		}
	}
}

// grow makes the buffer larger while a head is read, from its beginning.
func (s *source) grow() {
	next := s.bufs.get(4 * len(s.buf))
	copy(next, s.buf[:s.w])
	s.bufs.put(s.buf)
	s.buf = next
}

// release gives the buffers back.
func (s *source) release() {
	if s.buf != nil {
		s.bufs.put(s.buf)
	}
	if s.spare != nil {
		s.bufs.put(s.spare)
	}
	s.buf, s.spare, s.r, s.w, s.base = nil, nil, 0, 0, 0
}

// peerGone turns the end of a connection within a message into the reason for it.
func peerGone(err error, slow Reason) error {
	var r Reason
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return slow
	case errors.Is(err, errHalted), errors.Is(err, ErrClientGone), errors.As(err, &r):
		return err
	}
	return CutShort
}
