//go:build linux && (amd64 || arm64)

package http1_test

import (
	"io"
	"strings"
	"testing"

	"gatehouse/http1"
)

// speak has every connection say something that nobody asked for.
func (u *recorder) speak(t testing.TB) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.open {
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"); err != nil {
			t.Error(err)
		}
	}
}

// hangUp ends every connection.
func (u *recorder) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.open {
		_ = c.Close()
	}
}

// An unused connection to an upstream that rides on a loop is given up as soon as the upstream ends it, or says what nobody asked for.
func TestUnusedConnectionsAreWatched(t *testing.T) {
	if loops == nil {
		t.Log("there are no loops in this run")
		return
	}
	up := newRecorder(t)
	p := newProxy(t, up.addr, nil)
	c := dial(t, p)
	for _, trouble := range []func(){up.hangUp, func() { up.speak(t) }, p.upstream.CloseIdle} {
		for range 3 {
			c.say(get)
			if status, body := c.answer("GET"); status != 200 || body != "ok" {
				t.Fatalf("answered %d %q", status, body)
			}
		}
		until(t, "one is kept", func() bool { return p.upstream.Idle() == 1 })
		trouble()
		until(t, "it is given up", func() bool { return p.upstream.Idle() == 0 })
		until(t, "the upstream has seen its end", func() bool { up.mu.Lock(); defer up.mu.Unlock(); return len(up.open) == 0 })
	}
}

// What an upstream says after its connection was chosen for a request, and before the request is sent, is not taken for the answer.
func TestNothingUnaskedIsAnAnswer(t *testing.T) {
	one, err := http1.NewLoops(1)
	if err != nil {
		t.Log("the kernel offers no loops:", err)
		return
	}
	one.Eager = true
	up := newRecorder(t)
	t.Cleanup(one.Close) // behind the proxy's
	held, release := make(chan struct{}), make(chan struct{})
	p := newProxy(t, up.addr, func(p *proxy) {
		p.server.Loops = one
		p.server.Handler = func(e *http1.Exchange) {
			switch e.Request.Path.String() {
			case "/hold": // all that is on the loop
				close(held)
				<-release
			case "/speak":
				up.speak(t)
			default:
				p.handle(e)
				return
			}
			if err := e.Respond(text(200, "")); err != nil {
				t.Error(err)
			}
		}
	})
	asks, speaks, holds := dial(t, p), dial(t, p), dial(t, p)
	for _, c := range []*peer{speaks, holds, asks} { // and so all ride
		c.say(get)
		c.answer("GET")
	}
	until(t, "one is kept", func() bool { return p.upstream.Idle() == 1 })
	up.take(p)
	holds.say("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
	<-held
	asks.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
	speaks.say("GET /speak HTTP/1.1\r\nHost: a\r\n\r\n")
	dials := p.dials.Load()
	close(release)
	if status, body := asks.answer("POST"); status != 200 || body != "ok" {
		t.Errorf("answered %d %q", status, body)
	}
	speaks.answer("GET")
	holds.answer("GET")
	if sent := up.take(p); len(sent) != 1 || !strings.HasSuffix(sent[0], "\r\n\r\na") || strings.Count(sent[0], "POST") != 1 {
		t.Errorf("the upstream was sent %q", sent)
	}
	if n := p.dials.Load() - dials; n != 1 {
		t.Errorf("%d connections were made for it", n)
	}
}
