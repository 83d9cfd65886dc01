package main_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// cable is a TCP connection's way between a gateway and the control plane that can be cut, made silent, or slow.
type cable struct {
	to string
	l  net.Listener

	mu     sync.Mutex
	state  cableState
	delay  time.Duration
	moved  chan struct{} // closed when the state changes
	conns  map[net.Conn]bool
	passed int64 // bytes
	wait   sync.WaitGroup
}

type cableState int

const (
	whole    cableState = iota
	cut                 // connections are reset, and new ones too
	halfOpen            // connections stay, and nothing comes through: neither end is told
)

// newCable listens on the address and leads to another one until the test ends.
func newCable(t *testing.T, at, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{to: to, l: l, moved: make(chan struct{}), conns: map[net.Conn]bool{}}
	c.wait.Go(c.run)
	t.Cleanup(func() {
		_ = l.Close()
		c.set(cut)
		c.wait.Wait()
	})
	return c
}

func (c *cable) at() string { return c.l.Addr().String() }

// set changes the state of the cable.
func (c *cable) set(s cableState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
	close(c.moved)
	c.moved = make(chan struct{})
	if s == cut {
		for conn := range c.conns {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}
}

// slow delays each piece of up to 4 KB, both ways.
func (c *cable) slow(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = by
}

func (c *cable) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

func (c *cable) run() {
	for {
		near, err := c.l.Accept()
		if err != nil {
			return
		}
		if !c.keep(near) {
			continue
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.keep(far) {
			c.drop(near)
			continue
		}
		c.wait.Go(func() { c.carry(near, far) })
		c.wait.Go(func() { c.carry(far, near) })
	}
}

// keep notes a connection, unless the cable is cut.
func (c *cable) keep(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == cut {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
		return false
	}
	c.conns[conn] = true
	return true
}

func (c *cable) drop(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(c.conns, conn)
	}
}

func (c *cable) carry(from, to net.Conn) {
	defer c.drop(from, to)
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		if n > 0 && (!c.through(int64(n)) || !wrote(to, b[:n])) || err != nil {
			return
		}
	}
}

// through waits until something may come through; false: the cable is cut.
func (c *cable) through(n int64) bool {
	for {
		c.mu.Lock()
		s, delay, moved := c.state, c.delay, c.moved
		if s == whole {
			c.passed += n
		}
		c.mu.Unlock()
		switch s {
		case cut:
			return false
		case whole:
			if delay > 0 {
				select {
				case <-time.After(delay):
				case <-moved:
				}
			}
			return true
		}
		<-moved
	}
}

func wrote(to io.Writer, b []byte) bool {
	_, err := to.Write(b)
	return err == nil
}
