package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"gatehouse/http1/rawtest"
)

// A recorder is an upstream that keeps the bytes of each connection exactly as they came. It finds the ends of requests
// with net/http, and answers each with 200.
type recorder struct {
	addr string

	mu    sync.Mutex
	conns []*bytes.Buffer
	open  map[net.Conn]bool
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &recorder{addr: l.Addr().String(), open: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			kept := new(bytes.Buffer)
			u.mu.Lock()
			u.conns, u.open[c] = append(u.conns, kept), true
			u.mu.Unlock()
			running.Go(func() { u.serve(c, kept) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		u.mu.Lock()
		for c := range u.open {
			_ = c.Close()
		}
		u.mu.Unlock()
		running.Wait()
	})
	return u
}

// Write keeps what a connection sends.
type keeper struct {
	u *recorder
	b *bytes.Buffer
}

func (k keeper) Write(p []byte) (int, error) {
	k.u.mu.Lock()
	defer k.u.mu.Unlock()
	return k.b.Write(p)
}

func (u *recorder) serve(c net.Conn, kept *bytes.Buffer) {
	defer func() {
		_ = c.Close()
		u.mu.Lock()
		delete(u.open, c)
		u.mu.Unlock()
	}()
	r := bufio.NewReader(io.TeeReader(c, keeper{u, kept}))
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		if req.Method == "HEAD" {
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil || req.Close {
			return
		}
	}
}

// take returns what the connections sent since the last take. It waits until the recorder has seen the end of those
// that the proxy has given up.
func (u *recorder) take(p *proxy) []string {
	for {
		u.mu.Lock()
		accepted, open := len(u.conns), len(u.open)
		u.mu.Unlock()
		if accepted == int(p.dials.Load()) && open == p.upstream.Idle() {
			break
		}
		time.Sleep(20 * time.Microsecond)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for _, b := range u.conns {
		if b.Len() > 0 {
			all = append(all, b.String())
			b.Reset()
		}
	}
	return all
}

// say sends raw to addr, ends its side, and returns all that comes back.
func say(t testing.TB, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// readings is rawtest.ReadAll for what has to be readable.
func readings(t testing.TB, raw string) []rawtest.Message {
	t.Helper()
	all, err := rawtest.ReadAll(raw)
	if err != nil {
		t.Fatalf("forwarded %v", err)
	}
	return all
}
