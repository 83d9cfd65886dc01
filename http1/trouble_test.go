package http1_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/http1"
)

// ok answers every request of a connection.
func ok(_ int, u *peer) {
	for {
		q, err := http.ReadRequest(u.r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return
		}
		if _, err := io.WriteString(u, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// Senders that take too long are told so, and cut.
func TestSlowClients(t *testing.T) {
	p := newProxy(t, newUpstream(t, ok), func(p *proxy) {
		p.server.Limits = http1.Limits{Head: 100 * time.Millisecond, Body: 100 * time.Millisecond, Idle: 1500 * time.Millisecond}
	})
	drip := func(t *testing.T, c *peer, s string) {
		for i := range s {
			if _, err := io.WriteString(c, s[i:i+1]); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	for _, c := range []struct {
		name, first, dripped string
		status               int
	}{
		{"nothing", "", "", 0},
		{"half a line", "GET / HT", "", 408},
		{"half a head", "GET / HTTP/1.1\r\nHost: a", "", 408},
		{"a head byte by byte", "", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 100), 408},
		{"a small body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", "", 408},
		{"a large body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nhe", "", 408},
		{"chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "", 408},
		{"an empty line", "\r\n", "", 0},
		{"a second head", get + "GET", "", 200},
		{"a body byte by byte is no silence", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n", strings.Repeat("x", 40), 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := dial(t, p)
			k.say(c.first)
			drip(t, k, c.dripped)
			if c.status == 0 {
				k.ends()
				return
			}
			if status, _ := k.answer("POST"); status != c.status {
				t.Errorf("answered %d", status)
			}
			if c.name == "a second head" {
				if status, _ := k.answer("GET"); status != 408 {
					t.Errorf("and then %d", status)
				}
			}
			k.ends() // an idle one too, after its time
		})
	}
}

// A client that does not read its answer holds nothing for longer than a write may wait.
func TestSlowReader(t *testing.T) {
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		_, _ = io.WriteString(u, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
		_, _ = io.Copy(u, io.LimitReader(zeros{}, 100_000_000))
	}), func(p *proxy) { p.server.Limits.Write = 50 * time.Millisecond })
	c := dial(t, p)
	c.say(get)
	c.head()
	until(t, "the connection to be given up", func() bool { return p.server.Open() == 0 })
}

// Whoever resets a connection in whatever phase leaves nothing behind: no goroutine (TestMain looks), no descriptor, and
// no connection that is used again and should not.
func TestResets(t *testing.T) {
	large := "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name     string
		upstream func(int, *peer)
		client   func(*peer)
	}{
		{"client, at once", ok, func(c *peer) { c.reset() }},
		{"client, in the head", ok, func(c *peer) { c.say("GET / HT"); c.reset() }},
		{"client, in a small body", ok, func(c *peer) { c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"); c.reset() }},
		{"client, in a large body", ok, func(c *peer) { c.say(large); c.reset() }},
		{"client, in chunks", ok, func(c *peer) {
			c.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
			c.reset()
		}},
		{"client, waiting", func(_ int, u *peer) {
			if _, err := http.ReadRequest(u.r); err != nil { // that the client is gone may be noticed before it is sent
				return
			}
			time.Sleep(5 * time.Millisecond)
			_, _ = io.WriteString(u, "HTTP/1.1 200 OK\r\n\r\n")
		}, func(c *peer) { c.say(get); c.reset() }},
		{"client, in the answer", func(_ int, u *peer) {
			u.head()
			_, _ = io.WriteString(u, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
			_, _ = io.Copy(u, io.LimitReader(zeros{}, 10_000_000))
		}, func(c *peer) { c.say(get); c.head(); c.reset() }},
		{"client, between", ok, func(c *peer) { c.say(get); c.answer("GET"); c.reset() }},
		{"upstream, at once", func(_ int, u *peer) { u.reset() }, func(c *peer) { c.say(get); c.answer("GET"); c.reset() }},
		{"upstream, after the head", func(_ int, u *peer) { u.head(); u.reset() }, func(c *peer) { c.say(get); c.answer("GET"); c.reset() }},
		{"upstream, in its head", func(_ int, u *peer) { u.head(); u.say("HTTP/1.1 20"); u.reset() }, func(c *peer) { c.say(get); c.answer("GET"); c.reset() }},
		{"upstream, in its body", func(_ int, u *peer) { u.head(); u.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe"); u.reset() }, func(c *peer) { c.say(get); _, _ = io.Copy(io.Discard, c.r); c.reset() }},
		{"upstream, in chunks", func(_ int, u *peer) {
			u.head()
			u.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
			u.reset()
		}, func(c *peer) { c.say(get); _, _ = io.Copy(io.Discard, c.r); c.reset() }},
		{"upstream, in a large body", func(_ int, u *peer) { u.head(); u.reset() }, func(c *peer) { _, _ = io.WriteString(c, large); _, _ = io.Copy(io.Discard, c.r); c.reset() }},
		{"upstream, between", func(_ int, u *peer) { u.head(); u.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); u.reset() }, func(c *peer) {
			for range 3 {
				c.say(get)
				c.answer("GET")
			}
			c.reset()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, newUpstream(t, c.upstream), nil)
			before := descriptors(t)
			for range 5 {
				c.client(dial(t, p))
			}
			until(t, "all connections to end", func() bool { return p.server.Open() == 0 })
			p.upstream.Close()
			until(t, "all descriptors to be closed", func() bool { return descriptors(t) <= before })
		})
	}
}

// While everything breaks at random, nothing is mixed up: every answer is the one to its request, or none.
func TestChaos(t *testing.T) {
	var n atomic.Int64
	p := newProxy(t, newUpstream(t, func(i int, u *peer) {
		rnd := rand.New(rand.NewPCG(uint64(i), 7))
		for {
			q, err := http.ReadRequest(u.r)
			if err != nil {
				return
			}
			if rnd.IntN(20) == 0 {
				u.reset()
				return
			}
			b, err := io.ReadAll(q.Body)
			if err != nil {
				return
			}
			echo := q.RequestURI + " " + string(b)
			switch rnd.IntN(4) {
			case 0:
				_, _ = fmt.Fprintf(u, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(echo), echo)
			case 1:
				_, _ = fmt.Fprintf(u, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(echo), echo)
			case 2:
				_, _ = fmt.Fprintf(u, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(echo), echo[:len(echo)/2])
				if rnd.IntN(3) == 0 {
					return
				}
				_, _ = io.WriteString(u, echo[len(echo)/2:])
			case 3:
				_, _ = fmt.Fprintf(u, "HTTP/1.1 200 OK\r\n\r\n%s", echo)
				return
			}
		}
	}), nil)
	var running sync.WaitGroup
	for i := range 16 {
		running.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 8))
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			for j := range 60 {
				ctx, cancel := context.WithCancel(context.Background())
				if rnd.IntN(10) == 0 {
					time.AfterFunc(time.Duration(rnd.IntN(2000))*time.Microsecond, cancel)
				}
				path := fmt.Sprintf("/%d/%d", i, j)
				body := strings.Repeat(string(rune('a'+i)), rnd.IntN(40_000))
				q, err := http.NewRequestWithContext(ctx, []string{"GET", "POST"}[rnd.IntN(2)], "http://"+p.addr+path, io.MultiReader(strings.NewReader(body)))
				if err != nil {
					t.Error(err)
				}
				if rnd.IntN(2) == 0 {
					q.ContentLength = int64(len(body))
				}
				r, err := tr.RoundTrip(q)
				if err == nil {
					b, err := io.ReadAll(r.Body)
					_ = r.Body.Close()
					if r.StatusCode == 200 && err == nil && string(b) != path+" "+body {
						// An answer that ends with its connection may have been cut without a sign: then it is a part.
						if !strings.HasPrefix(path+" "+body, string(b)) {
							t.Errorf("%s was answered %.60q", path, b)
						}
					}
					if r.StatusCode == 200 && err == nil {
						n.Add(1)
					}
				}
				cancel()
			}
		})
	}
	running.Wait()
	if n.Load() < 300 {
		t.Errorf("only %d of 960 exchanges went well", n.Load())
	}
}

// Shutdown loses no request: running ones are answered, those of busy connections too, and idle ones end at once.
func TestShutdown(t *testing.T) {
	hold := make(chan struct{})
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		for {
			q, err := http.ReadRequest(u.r)
			if err != nil {
				return
			}
			if q.URL.Path == "/slow" {
				<-hold
			}
			if _, err := io.WriteString(u, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
		}
	}), nil)
	slow, idle, fresh := dial(t, p), dial(t, p), dial(t, p)
	idle.say(get)
	idle.answer("GET")
	slow.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	var lost atomic.Int64
	var busy sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", p.addr)
				if err != nil {
					return // the listener is closed: that is said before anything is sent
				}
				k := newPeer(t, c)
				for {
					if _, err := io.WriteString(c, get); err != nil {
						lost.Add(1)
						break
					}
					r, err := http.ReadResponse(k.r, nil)
					if err != nil {
						lost.Add(1)
						break
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if r.Close {
						break
					}
				}
				_ = c.Close()
			}
		})
	}
	until(t, "the busy ones to be busy", func() bool { return p.dials.Load() >= 3 })
	time.AfterFunc(300*time.Millisecond, func() { close(hold) })
	began := time.Now()
	if err := p.server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	close(stop)
	busy.Wait()
	if h := slow.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") || !strings.Contains(h, "Connection: close\r\n") {
		t.Errorf("the slow one was answered %q", h)
	}
	idle.ends()
	fresh.ends()
	// A connection that the kernel took and nobody accepted is reset by closing the listener; such are no requests that
	// the server saw. There is at most one for each busy client.
	if n := lost.Load(); n > 4 {
		t.Errorf("%d requests were lost", n)
	}
}

func TestShutdownHasAnEnd(t *testing.T) {
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) { _, _ = io.Copy(io.Discard, u.r) }), nil)
	c := dial(t, p)
	c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx")
	until(t, "the exchange to run", func() bool { return p.dials.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := p.server.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v", err)
	}
	if n := p.server.Open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

func TestTooManyConnections(t *testing.T) {
	p := newProxy(t, newUpstream(t, ok), func(p *proxy) { p.server.Limits.Conns = 2 })
	a, b := dial(t, p), dial(t, p)
	for _, c := range []*peer{a, b} {
		c.say(get)
		c.answer("GET")
	}
	c := dial(t, p)
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 503 ") || !strings.Contains(h, "Retry-After: 1\r\n") {
		t.Errorf("answered %q", h)
	}
	c.ends()
	_ = a.Close()
	until(t, "it to be seen", func() bool { return p.server.Open() == 1 })
	d := dial(t, p)
	d.say(get)
	if status, _ := d.answer("GET"); status != 200 {
		t.Errorf("answered %d", status)
	}
}

// An idle connection costs little, and serves when it is asked again.
func TestIdleMemory(t *testing.T) {
	const conns = 2000
	if descriptors(t) > 100 {
		t.Fatal("too many descriptors are open to begin with")
	}
	p := newProxy(t, newUpstream(t, ok), nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := make([]net.Conn, conns)
	buf := make([]byte, 4096)
	ask := func(c net.Conn) {
		if _, err := io.WriteString(c, get); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200 ")) {
			t.Fatalf("answered %q (%v)", buf[:n], err)
		}
	}
	for i := range all {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all[i] = c
		ask(c)
	}
	per, most := 0, 8<<10
	if raced {
		most = 64 << 10
	}
	until(t, "the connections to be cold", func() bool {
		time.Sleep(100 * time.Millisecond)
		runtime.GC()
		runtime.ReadMemStats(&after)
		per = int(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse) / conns
		return per < most
	})
	t.Logf("%d bytes for each idle connection, its client's end included", per)
	for _, c := range all[:100] {
		ask(c)
	}
}
