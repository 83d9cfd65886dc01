package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/gateway"
)

// scripted is an upstream that answers GET /v1/things/N with the N-th text, and closes the connection where hang says so.
type scripted struct {
	addr    string
	conns   atomic.Int64
	answers []string
	hang    func(n int) bool
}

func newScripted(t *testing.T, hang func(n int) bool, answers ...string) *scripted {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: l.Addr().String(), answers: answers, hang: hang}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			done.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return s
}

func (s *scripted) serve(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(q.URL.Path, "/v1/things/"))
		if err != nil {
			return
		}
		if _, err := io.WriteString(c, s.answers[n]); err != nil || s.hang(n) {
			return
		}
	}
}

// An upstream's answer with two readings becomes 502, its connection is not used again, and the caller's is.
func TestUpstreamWithTwoReadings(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	answers := []string{
		head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
		head + "Content-Length: 2, 2\r\n\r\nok",
		head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n",
		head + "X-A: 1\n\r\nContent-Length: 2\r\n\r\nok",
		head + "X-A: 1\r\n b\r\nContent-Length: 2\r\n\r\nok",
		head + "Content-Length : 2\r\n\r\nok",
		head + "X-A: \x00\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
	}
	up := newScripted(t, func(int) bool { return false }, answers...)
	h := start(t, setup{codec: gateway.HTTP1, bundle: files("http://"+up.addr, "")})
	key, _ := h.issue()
	h.grant("read")
	for n, raw := range answers {
		if n%5 == 0 { // the plan's limit
			h.clock.move(11e9)
		}
		a := h.do(call{path: "/eid/v1/things/" + strconv.Itoa(n), key: key})
		if got := strings.TrimPrefix(a.problem.Type, "/problems/"); a.status != 502 || got != "upstream-failed" {
			t.Errorf("%q: answered %d %s", raw, a.status, got)
		}
		if ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id")); ev["verdict"] != "refused" || ev["fault"] != "bad-upstream" {
			t.Errorf("%q: the event says %v", raw, ev)
		}
		if c := up.conns.Load(); c != int64(n)+1 {
			t.Errorf("%q: %d connections after %d answers", raw, c, n+1)
		}
	}
}

// A kept connection that the upstream has closed meanwhile is nobody's trouble, nor is more than one answer on it.
func TestKeptConnections(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	up := newScripted(t, func(n int) bool { return n == 1 }, ok, ok, ok+"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
	h := start(t, setup{codec: gateway.HTTP1, bundle: files("http://"+up.addr, "")})
	key, _ := h.issue()
	h.grant("read")
	for i, c := range []struct {
		answer int
		conns  int64 // so far
	}{{0, 1}, {0, 1}, {1, 1}, {0, 2}, {2, 2}, {0, 3}, {0, 3}} {
		h.clock.move(10e9)
		a := h.do(call{path: "/eid/v1/things/" + strconv.Itoa(c.answer), key: key})
		if a.status != 200 || a.body != "ok" {
			t.Errorf("call %d: answered %d %q", i, a.status, a.body)
		}
		if got := up.conns.Load(); got != c.conns {
			t.Errorf("call %d: %d connections so far, want %d", i, got, c.conns)
		}
	}
}
