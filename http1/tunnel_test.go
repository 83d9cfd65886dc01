package http1_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/http1"
)

// A websocket's bytes pass both ways, those before the handshake's end too; each side may end first.
func TestTunnel(t *testing.T) {
	const ask = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n"
	for _, c := range []struct {
		name string
		end  func(client, upstream *peer)
	}{
		{"the client ends", func(c, u *peer) {
			c.closeWrite()
			u.ends()
			u.say("bye")
			u.closeWrite()
			c.hear("bye")
			c.ends()
		}},
		{"the upstream ends", func(c, u *peer) {
			u.closeWrite()
			c.ends()
			c.say("bye")
			c.closeWrite()
			u.hear("bye")
			u.ends()
		}},
		{"the client is gone", func(c, u *peer) { c.reset(); _, _ = io.Copy(io.Discard, u.r) }},
		{"the upstream is gone", func(c, u *peer) { u.reset(); _, _ = io.Copy(io.Discard, c.r) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ready, over := make(chan *peer), make(chan struct{})
			defer close(over)
			p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
				h := u.head()
				if !strings.Contains(h, "Connection: Upgrade\r\n") || !strings.Contains(h, "Upgrade: WebSocket\r\n") || strings.Count(h, "Upgrade") != 2 {
					t.Errorf("the upstream got %q", h)
				}
				u.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: y\r\n\r\nfirst")
				ready <- u
				<-over
			}), nil)
			client := dial(t, p)
			client.say(ask + "early")
			if h := client.head(); !strings.HasPrefix(h, "HTTP/1.1 101 ") || !strings.Contains(h, "Sec-WebSocket-Accept: y\r\n") || !strings.Contains(h, "Connection: Upgrade\r\n") {
				t.Errorf("answered %q", h)
			}
			client.hear("first")
			u := <-ready
			u.hear("early")
			for _, size := range []int{1, 100, 100_000} {
				s := strings.Repeat("x", size)
				go client.say(s)
				u.hear(s)
				go u.say(s)
				client.hear(s)
			}
			c.end(client, u)
			until(t, "the connection to end", func() bool { return p.server.Open() == 0 })
		})
	}
	t.Run("the upstream declines", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			u.head()
			u.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			u.head()
			u.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), nil)
		c := dial(t, p)
		c.say(ask + get)
		if status, _ := c.answer("GET"); status != 403 {
			t.Errorf("answered %d", status)
		}
		if status, _ := c.answer("GET"); status != 200 {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("another protocol", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			u.head()
			u.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")
			u.ends()
		}), nil)
		c := dial(t, p)
		c.say(ask)
		if status, _ := c.answer("GET"); status != 502 {
			t.Errorf("answered %d", status)
		}
	})
}

// Whoever has a tunnel can end it, also before it opens, and silence ends it; what was carried is told.
func TestTunnelEnds(t *testing.T) {
	for _, c := range []struct {
		name         string
		idle         time.Duration
		early, late  bool // End is called
		silent, over bool // what is told: over by the server
	}{
		{name: "silence", idle: 300 * time.Millisecond, silent: true},
		{name: "from elsewhere", late: true},
		{name: "before it opens", early: true},
		{name: "with the server", over: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tunnel, told := &http1.Tunnel{Idle: c.idle}, make(chan struct{})
			p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
				u.head()
				u.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
				_, _ = io.Copy(u.Conn, u.r)
			}), func(p *proxy) {
				p.server.Handler = func(e *http1.Exchange) {
					if e.Tunnel = tunnel; c.early {
						tunnel.End()
					}
					p.handle(e)
					close(told)
				}
			})
			client := dial(t, p)
			client.say("GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			client.head()
			n := int64(0)
			if !c.early {
				for range 5 { // speaking puts the end off
					client.say("hello")
					client.hear("hello")
					n += 5
					time.Sleep(c.idle / 3)
				}
			}
			switch {
			case c.late:
				tunnel.End()
			case c.over:
				_ = p.server.Close()
			}
			_, _ = io.Copy(io.Discard, client.r)
			<-told
			if tunnel.Up != n || tunnel.Down != n || tunnel.Silent != c.silent || tunnel.Halted != c.over {
				t.Errorf("it carried %d and %d bytes of %d; silent %v, halted %v", tunnel.Up, tunnel.Down, n, tunnel.Silent, tunnel.Halted)
			}
		})
	}
}

// A client that takes nothing for too long loses the tunnel: what it reads then is a beginning of what was sent, without a hole.
func TestTunnelStalls(t *testing.T) {
	over := make(chan struct{})
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		u.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
		for i := byte(0); ; i++ {
			if _, err := u.Write(bytes.Repeat([]byte{i}, 64<<10)); err != nil {
				return
			}
		}
	}), func(p *proxy) {
		p.server.Limits.Write = 200 * time.Millisecond
		p.server.Handler = func(e *http1.Exchange) { p.handle(e); close(over) }
	})
	client := dial(t, p)
	client.say("GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	client.head()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	got, _ := io.ReadAll(client.r)
	for i, b := range got {
		if b != byte(i>>16) {
			t.Fatalf("byte %d of %d is %d: there is a hole", i, len(got), b)
		}
	}
}
