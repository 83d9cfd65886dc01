package http1_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"gatehouse/http1"
)

// What waits for something else than connections keeps nobody waiting who rides on the same loop, and a handler that leaves it is
// called again elsewhere.
func TestLoopsGoOn(t *testing.T) {
	if loops == nil {
		t.Log("there are no loops in this run")
	}
	release := make(chan struct{})
	var waiting, left, calls atomic.Int64
	p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			calls.Add(1)
			switch e.Request.Path.String() {
			case "/wait":
				waiting.Add(1)
				e.Await(func() { <-release })
			case "/leave":
				if e.Leave() {
					left.Add(1)
					return
				}
				waiting.Add(1)
				<-release
			}
			if err := e.Respond(text(200, e.Request.Path.String())); err != nil {
				t.Error(err)
			}
		}
	})
	const each = 4 // on each of two loops there are some of every kind
	var slow []*peer
	for i := range 2 * each {
		c := dial(t, p)
		c.say(get)
		c.answer("GET")
		c.say(fmt.Sprintf("GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", []string{"wait", "leave"}[i%2]))
		slow = append(slow, c)
	}
	for range 2 * each {
		c := dial(t, p)
		for range 3 {
			c.say(get)
			if status, _ := c.answer("GET"); status != 200 {
				t.Fatalf("answered %d", status)
			}
		}
	}
	until(t, "all of them wait", func() bool { return waiting.Load() == 2*each })
	if loops != nil && left.Load() != each {
		t.Errorf("%d of %d left their loop", left.Load(), each)
	}
	close(release)
	for i, c := range slow {
		if status, body := c.answer("GET"); status != 200 || body != []string{"/wait", "/leave"}[i%2] {
			t.Errorf("answered %d %q", status, body)
		}
	}
}

// A panic on a loop, of a handler or of what it awaits, costs its connection and nothing else.
func TestPanicOnLoop(t *testing.T) {
	p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			switch e.Request.Path.String() {
			case "/panic":
				panic("on purpose")
			case "/await":
				e.Await(func() { panic("on purpose, elsewhere") })
			}
			if err := e.Respond(text(200, "")); err != nil {
				t.Error(err)
			}
		}
	})
	other := dial(t, p)
	for _, path := range []string{"/panic", "/await"} {
		c := dial(t, p)
		c.say(get)
		c.answer("GET")
		c.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		c.ends()
		other.say(get)
		if status, _ := other.answer("GET"); status != 200 {
			t.Errorf("after %s another connection was answered %d", path, status)
		}
	}
}

// refused names the variable that makes the test binary one that has no descriptors left for a ring.
const refused = "HTTP1_TEST_REFUSED"

// Where the kernel refuses a ring, that is an error and nothing is left behind.
func TestLoopsRefused(t *testing.T) {
	if os.Getenv(refused) != "" {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: 3}); err != nil {
			t.Fatal(err)
		}
		ls, err := http1.NewLoops(3)
		if err == nil {
			ls.Close()
			t.Fatal("there are loops without descriptors")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestLoopsRefused$")
	cmd.Env = append(os.Environ(), refused+"=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A connection to an upstream that was used off the loops comes along when its client rides.
func TestUpstreamConnectionsComeAlong(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, func(p *proxy) {
		p.upstream.Dial = func(ctx context.Context) (net.Conn, error) {
			p.dials.Add(1)
			return new(net.Dialer).DialContext(ctx, "tcp", up.addr)
		}
	})
	c := dial(t, p)
	c.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n") // which is not for a loop
	c.answer("POST")
	for range 40 {
		c.say(get)
		if status, _ := c.answer("GET"); status != 200 {
			t.Fatalf("answered %d", status)
		}
	}
	if n := p.dials.Load(); n != 1 {
		t.Errorf("%d connections to the upstream", n)
	}
}

// Of more unused connections than are kept the one goes that was not used for the longest.
func TestUnusedConnectionsAreBounded(t *testing.T) {
	up := newRecorder(t)
	p := newProxy(t, up.addr, func(p *proxy) { p.upstream.Patience.Keep = 2 })
	var all []*peer
	for range 6 {
		c := dial(t, p)
		c.say(get)
		all = append(all, c)
	}
	for range 10 {
		for _, c := range all {
			c.answer("GET")
			c.say(get)
		}
	}
	for _, c := range all {
		c.answer("GET")
	}
	until(t, "two are kept at most", func() bool { return p.upstream.Idle() <= 2 && p.upstream.Idle() > 0 })
}
