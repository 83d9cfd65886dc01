package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway"
)

// A hostile is an upstream on bare TCP that does one bad thing with each request, and notes what it was asked.
type hostile struct {
	addr string
	do   func(c *net.TCPConn, r *http.Request)
	deaf bool // it does its bad thing before it reads anything

	mu   sync.Mutex
	seen map[string]int // by X-Id
	done sync.WaitGroup
	open map[net.Conn]bool
}

func newHostile(t *testing.T, deaf bool, do func(*net.TCPConn, *http.Request)) *hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &hostile{addr: l.Addr().String(), do: do, deaf: deaf, seen: map[string]int{}, open: map[net.Conn]bool{}}
	x.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			x.mu.Lock()
			x.open[c] = true
			x.mu.Unlock()
			x.done.Go(func() { x.serve(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		x.mu.Lock()
		for c := range x.open {
			c.Close()
		}
		x.mu.Unlock()
		x.done.Wait()
	})
	return x
}

func (x *hostile) serve(c *net.TCPConn) {
	defer c.Close()
	if x.deaf {
		x.do(c, nil)
		return
	}
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		x.mu.Lock()
		x.seen[r.Header.Get("X-Id")]++
		x.mu.Unlock()
		x.do(c, r)
	}
}

func (x *hostile) count(id string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen[id]
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) }

func cut(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// silent waits until the gateway has had enough.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// In whatever phase an upstream breaks, a safe request is served by another one or told in time, one that may have had an
// effect is never sent twice, and nothing is left behind.
func TestHostileUpstreams(t *testing.T) { both(t, testHostileUpstreams) }

func testHostileUpstreams(t *testing.T, codec gateway.Codec) {
	for name, phase := range map[string]struct {
		deaf  bool
		do    func(c *net.TCPConn, r *http.Request)
		after bool // an answer has begun to be passed on: it breaks off before the caller's eyes
	}{
		"reset at once":      {deaf: true, do: func(c *net.TCPConn, _ *http.Request) { cut(c) }},
		"closed at once":     {deaf: true, do: func(*net.TCPConn, *http.Request) {}},
		"closed for writing": {deaf: true, do: func(c *net.TCPConn, _ *http.Request) { _ = c.CloseWrite(); silent(c) }},
		"never reads":        {deaf: true, do: func(c *net.TCPConn, _ *http.Request) { time.Sleep(700 * time.Millisecond) }},
		"reset when asked":   {do: func(c *net.TCPConn, _ *http.Request) { cut(c) }},
		"half-closed":        {do: func(c *net.TCPConn, _ *http.Request) { _ = c.CloseWrite(); silent(c) }},
		"silent":             {do: func(c *net.TCPConn, _ *http.Request) { silent(c) }},
		"reset in the head":  {do: func(c *net.TCPConn, _ *http.Request) { say(c, "HTTP/1.1 200 OK\r\nContent-Le"); cut(c) }},
		"silent in the head": {do: func(c *net.TCPConn, _ *http.Request) { say(c, "HTTP/1.1 200 OK\r\nContent-Le"); silent(c) }},
		"drips its head": {do: func(c *net.TCPConn, _ *http.Request) {
			for _, b := range fine {
				if _, err := c.Write([]byte{byte(b)}); err != nil {
					return
				}
				time.Sleep(30 * time.Millisecond)
			}
		}},
		"nonsense": {do: func(c *net.TCPConn, _ *http.Request) { say(c, "SSH-2.0-x\r\n\r\n"); silent(c) }},
		"interim without end": {do: func(c *net.TCPConn, _ *http.Request) {
			say(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50))
			silent(c)
		}},
		"says 503 and resets": {do: func(c *net.TCPConn, _ *http.Request) {
			say(c, "HTTP/1.1 503 No\r\nContent-Length: 100000\r\n\r\nno")
			cut(c)
		}},
		"kept, then closed": {do: func(c *net.TCPConn, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); say(c, fine); c.Close() }},
		"kept, then reset":  {do: func(c *net.TCPConn, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); say(c, fine); cut(c) }},
		"reset in the body": {do: func(c *net.TCPConn, _ *http.Request) {
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 50000))
			cut(c)
		}, after: true},
		"silent in the body": {do: func(c *net.TCPConn, _ *http.Request) {
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 50000))
			silent(c)
		}, after: true},
		"chunks without an end": {do: func(c *net.TCPConn, _ *http.Request) {
			say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			c.Close()
		}, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := newHostile(t, phase.deaf, phase.do)
			good := newHostile(t, false, func(c *net.TCPConn, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); say(c, fine) })
			h := start(t, setup{codec: codec, limits: gateway.Limits{Body: 10 << 20}, bundle: declared([]*target{{url: "http://" + bad.addr}, {url: "http://" + good.addr}},
				"retries: {try: 200ms, minimum: 1000}")})
			key, _ := h.issue()
			h.grant("read")
			for n := range 4 {
				for method, path := range map[string]string{"GET": "/eid/v1/things/7", "POST": "/eid/v1/upload"} {
					h.clock.move(time.Minute)
					id := fmt.Sprint(method, " ", n)
					r, _ := http.NewRequest(method, "http://"+h.addr+path, nil)
					if method == "POST" {
						r, _ = http.NewRequest(method, "http://"+h.addr+path, strings.NewReader(strings.Repeat("b", 200<<(n*4))))
					}
					r.Header.Set("X-API-Key", key)
					r.Header.Set("X-Id", id)
					began := time.Now()
					status, broke := 0, false
					if res, err := h.client.Do(r); err != nil {
						broke = true
					} else {
						_, err := io.Copy(io.Discard, res.Body)
						res.Body.Close()
						status, broke = res.StatusCode, err != nil
					}
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("%s: told after %v", id, took)
					}
					times := bad.count(id) + good.count(id)
					switch {
					case method == "POST" && times > 1:
						t.Errorf("%s was sent %d times", id, times)
					case times > 2:
						t.Errorf("%s was sent %d times", id, times)
					case broke && !(phase.after && method == "GET" || method == "POST"):
						t.Errorf("%s broke off", id)
					case method == "GET" && !broke && status != 200:
						t.Errorf("%s was answered %d", id, status)
					case method == "POST" && !broke && status != 200 && status != 502 && status != 503 && status != 504:
						t.Errorf("%s was answered %d", id, status)
					}
				}
			}
			h.wait("nothing runs any more", func() bool {
				for _, x := range h.g.Upstreams()[0].Targets {
					if x.Running != 0 {
						return false
					}
				}
				return true
			})
		})
	}
}
