package h2

// A window is how many bytes of content may still be sent one way.
type window struct{ n int64 }

// add widens it, by less than nothing perhaps, and reports whether that is allowed.
func (w *window) add(n int64) bool {
	w.n += n
	return w.n <= maxWindow
}

// giveBack lets the peer send n more bytes on the connection, once it is worth a frame. c.mu is held.
func (c *conn) giveBack(n int64) {
	c.recv.n += n
	c.unreturned += n
	if c.unreturned >= windowOfConn/4 {
		_ = c.fr.WriteWindowUpdate(0, uint32(c.unreturned))
		c.unreturned = 0
	}
}

// took notes that n bytes of a stream's content were read. c.mu is held.
func (c *conn) took(s *stream, n int64) {
	s.unread -= n
	c.giveBack(n)
	if s.whole {
		return
	}
	s.unreturned += n
	if s.unreturned >= streamWindow/4 {
		_ = c.fr.WriteWindowUpdate(s.id, uint32(s.unreturned))
		s.recv.n += s.unreturned
		s.unreturned = 0
	}
}
