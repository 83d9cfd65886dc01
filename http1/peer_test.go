package http1_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// A peer is one end of a connection in a test's hands. What goes wrong ends the test.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// dial connects to the proxy.
func dial(t testing.TB, p *proxy) *peer {
	t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newPeer(t, c)
}

func newPeer(t testing.TB, c net.Conn) *peer {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Error(err)
	}
	return &peer{t, c, bufio.NewReader(c)}
}

func (p *peer) say(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Errorf("writing %.40q: %v", s, err)
	}
}

// hear reads exactly s.
func (p *peer) hear(s string) {
	p.t.Helper()
	b := make([]byte, len(s))
	n, err := io.ReadFull(p.r, b)
	if err != nil || string(b) != s {
		p.t.Errorf("heard %q (%v), want %q", b[:n], err, s)
	}
}

// head reads up to and with the empty line.
func (p *peer) head() string {
	p.t.Helper()
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			p.t.Errorf("heard %q and then %v", b.String(), err)
			return b.String()
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

// answer reads a whole answer to a method.
func (p *peer) answer(method string) (status int, body string) {
	p.t.Helper()
	r, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Errorf("reading an answer: %v", err)
		return 0, ""
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Errorf("reading an answer's body: %v after %q", err, b)
	}
	return r.StatusCode, string(b)
}

// ends waits for the end of the stream, with nothing before it.
func (p *peer) ends() {
	p.t.Helper()
	if b, err := io.ReadAll(p.r); err != nil || len(b) > 0 {
		p.t.Errorf("heard %q (%v) instead of an end", b, err)
	}
}

// reset closes the connection so that the other side is told.
func (p *peer) reset() {
	if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		p.t.Error(err)
	}
	_ = p.Close()
}

func (p *peer) closeWrite() {
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.t.Error(err)
	}
}

// newUpstream starts a server that calls serve for each connection, numbered from 0, and closes it afterwards.
func newUpstream(t testing.TB, serve func(i int, p *peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				serve(i, newPeer(t, c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for: %s", what)
		}
	}
}

// descriptors is how many files and sockets this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("descriptors cannot be counted here: %v", err)
	}
	return len(all)
}

const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
