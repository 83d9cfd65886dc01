package http1_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/http1"
)

// The client waits for 100 Continue, which is the upstream's to say.
func TestExpectContinue(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	t.Run("the upstream goes on", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			if h := u.head(); !strings.Contains(h, "Expect: 100-continue\r\n") {
				t.Errorf("the upstream got %q", h)
			}
			u.say("HTTP/1.1 100 Continue\r\n\r\n")
			u.hear("hello")
			u.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), nil)
		c := dial(t, p)
		c.say(head)
		c.hear("HTTP/1.1 100 Continue\r\n\r\n")
		c.say("hello")
		if status, body := c.answer("POST"); status != 200 || body != "ok" {
			t.Errorf("answered %d %q", status, body)
		}
	})
	t.Run("the upstream refuses", func(t *testing.T) {
		ended := make(chan struct{})
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			u.head()
			u.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
			u.ends() // it is not used again, and got no body
			close(ended)
		}), nil)
		c := dial(t, p)
		c.say(head)
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 401 ") || !strings.Contains(h, "Connection: close\r\n") {
			t.Errorf("answered %q", h)
		}
		c.hear("no")
		c.ends()
		<-ended
	})
	t.Run("the upstream says nothing", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			u.head()
			u.hear("hello")
			u.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), nil)
		c := dial(t, p)
		c.say(head)
		c.hear("HTTP/1.1 100 Continue\r\n\r\n") // after a moment
		c.say("hello")
		if status, _ := c.answer("POST"); status != 200 {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("the client does not wait", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			if h := u.head(); strings.Contains(h, "Expect") {
				t.Errorf("the upstream got %q", h)
			}
			u.hear("hello")
			u.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), nil)
		c := dial(t, p)
		c.say(head + "hello")
		if status, _ := c.answer("POST"); status != 200 {
			t.Errorf("answered %d", status)
		}
	})
}

// Each part of an answer whose end is not known goes out as it comes.
func TestEventsAreNotHeldBack(t *testing.T) {
	heard := make(chan struct{})
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		u.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		<-heard
		for range 3 {
			u.say("8\r\ndata: x\n\r\n")
			<-heard
		}
		u.say("0\r\n\r\n")
	}), nil)
	c := dial(t, p)
	c.say(get)
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
		t.Errorf("answered %q", h)
	}
	heard <- struct{}{}
	for range 3 {
		c.hear("8\r\ndata: x\n\r\n")
		heard <- struct{}{}
	}
	c.hear("0\r\n\r\n")
	c.say(get[:4]) // the connection is alive
}

// A body goes up while its answer comes down.
func TestBothWaysAtOnce(t *testing.T) {
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		u.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			b := make([]byte, 8)
			if _, err := io.ReadFull(u.r, b[:3]); err != nil || string(b[:3]) == "0\r\n" {
				break
			}
			u.hear("ping\r\n")
			u.say("4\r\npong\r\n")
		}
		u.hear("\r\n")
		u.say("0\r\n\r\n")
	}), nil)
	c := dial(t, p)
	c.say("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.head()
	for range 5 {
		c.say("4\r\nping\r\n")
		c.hear("4\r\npong\r\n")
	}
	c.say("0\r\n\r\n")
	c.hear("0\r\n\r\n")
	until(t, "the upstream's connection to be kept", func() bool { return p.upstream.Idle() == 1 })
}

// Large bodies pass through memory that does not grow with them.
func TestLargeBodies(t *testing.T) {
	const size = 64 << 20
	for _, chunked := range []bool{false, true} {
		up := newUpstream(t, func(_ int, u *peer) {
			q, err := http.ReadRequest(u.r)
			if err != nil {
				t.Error(err)
				return
			}
			n, err := io.Copy(io.Discard, q.Body)
			if n != size || err != nil {
				t.Errorf("the upstream got %d bytes (%v)", n, err)
			}
			r := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(io.LimitReader(zeros{}, size)), ContentLength: size}
			if chunked {
				r.ContentLength = -1
				r.TransferEncoding = []string{"chunked"}
			}
			if err := r.Write(u); err != nil {
				t.Error(err)
			}
		})
		p := newProxy(t, up, nil)
		c := dial(t, p)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		q, err := http.NewRequest("POST", "http://a.test/", io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		if !chunked {
			q.ContentLength = size
		}
		if err := q.Write(c.Conn); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(c.r, q)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil {
			t.Errorf("the client got %d bytes (%v)", n, err)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%d bytes were allocated to carry %d", grown, 2*size)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// An answer that comes before the request's body has been sent reaches the client, and neither connection is used again.
func TestEarlyAnswer(t *testing.T) {
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		u.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, u.r)
	}), nil)
	c := dial(t, p)
	c.say("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 50_000))
	if status, body := c.answer("POST"); status != 413 || body != "no" {
		t.Errorf("answered %d %q", status, body)
	}
	c.ends()
	if n := p.upstream.Idle(); n != 0 {
		t.Errorf("%d connections kept", n)
	}
}

// A kept connection that has ended is not a reason to fail: what nobody can have seen is sent again, and so is what does
// no harm twice.
func TestStaleConnections(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	post := "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"
	t.Run("ended while it was idle", func(t *testing.T) {
		for _, request := range []string{get, post, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("x", 30_000)} {
			closed := make(chan struct{}, 9)
			p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
				q, err := http.ReadRequest(u.r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, q.Body)
				u.say(ok)
				_ = u.Close()
				closed <- struct{}{}
			}), nil)
			c := dial(t, p)
			for range 4 {
				c.say(request)
				if status, body := c.answer("GET"); status != 200 || body != "ok" {
					t.Errorf("answered %d %q", status, body)
				}
				<-closed
			}
		}
	})
	t.Run("ends when it is used", func(t *testing.T) {
		for _, request := range []string{get, post} {
			p := newProxy(t, newUpstream(t, func(i int, u *peer) {
				for j := 0; ; j++ {
					q, err := http.ReadRequest(u.r)
					if err != nil || i == 0 && j == 1 {
						return // the second request of the first connection is not answered
					}
					_, _ = io.Copy(io.Discard, q.Body)
					u.say(ok)
				}
			}), nil)
			c := dial(t, p)
			c.say(request)
			c.answer("GET")
			until(t, "a connection to be kept", func() bool { return p.upstream.Idle() == 1 })
			c.say(request)
			status, _ := c.answer("GET")
			if request == get && status != 200 {
				t.Errorf("GET was answered %d", status)
			}
			if request == post && status != 502 {
				t.Errorf("POST was answered %d: it may have been done twice", status)
			}
		}
	})
	t.Run("says something unasked", func(t *testing.T) {
		say, said := make(chan struct{}), make(chan struct{})
		p := newProxy(t, newUpstream(t, func(i int, u *peer) {
			for n := 0; ; n++ {
				u.t = t
				if _, err := http.ReadRequest(u.r); err != nil {
					return
				}
				u.say(ok)
				if i == 0 && n == 0 {
					<-say
					u.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden")
					close(said)
				}
			}
		}), nil)
		c := dial(t, p)
		c.say(get)
		c.answer("GET")
		close(say)
		<-said
		c.say(get)
		if _, body := c.answer("GET"); body != "ok" {
			t.Errorf("answered %q, which nobody asked for", body)
		}
	})
}

// What an upstream may take has an end.
func TestSlowUpstream(t *testing.T) {
	quick := func(p *proxy) {
		p.upstream.Patience = http1.Patience{Head: 50 * time.Millisecond, Body: 50 * time.Millisecond, Connect: time.Second}
	}
	t.Run("no head", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) { u.head(); u.ends() }), quick)
		c := dial(t, p)
		c.say(get)
		if status, _ := c.answer("GET"); status != 504 {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("half a head", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			u.head()
			for range 100 { // each byte in time, all of them not
				if _, err := io.WriteString(u, "HTTP/1.1 200 OK\r\nX: "[:10]); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}), quick)
		c := dial(t, p)
		c.say(get)
		if status, _ := c.answer("GET"); status != 504 && status != 502 {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("no body", func(t *testing.T) {
		p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
			u.head()
			u.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
			u.ends()
		}), quick)
		c := dial(t, p)
		c.say(get)
		c.head()
		c.hear("hel")
		c.ends()
		if err := p.lastError(t); !errors.Is(err, fault.SlowUpstream) {
			t.Errorf("the handler was told %v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		p := newProxy(t, "127.0.0.1:1", quick)
		c := dial(t, p)
		c.say(get)
		if status, _ := c.answer("GET"); status != 502 {
			t.Errorf("answered %d", status)
		}
		c.say(get) // the connection is still good
		if status, _ := c.answer("GET"); status != 502 {
			t.Errorf("answered %d", status)
		}
	})
}
