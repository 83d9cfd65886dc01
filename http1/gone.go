package http1

import (
	"net"
	"time"
)

// glanceEvery is how often whoever waits for an upstream looks whether the client is still there.
const glanceEvery = time.Second

// glance is how long a wait of up to d lasts before the next look at the client.
func (s *source) glance(d time.Duration) time.Duration {
	if s.client == nil {
		return d
	}
	return min(d, glanceEvery)
}

// gone reports whether the client has ended its side with nothing left to read, or its server ends everything: nobody
// waits for the answer any more. It may be asked while the connection is read.
func (e *Exchange) gone() bool {
	if e == nil {
		return false
	}
	c := e.c
	if c.s.cutting.Load() {
		return true
	}
	if c.loop() != nil {
		return c.rc.left()
	}
	raw := c.raw
	if raw == nil {
		t, ok := c.nc.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		if raw = rawOf(t.NetConn()); raw == nil {
			return false
		}
	}
	left := false
	err := raw.Control(func(fd uintptr) { left = hasLeft(fd) })
	return left || err != nil
}
