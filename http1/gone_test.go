package http1_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"gatehouse/http1"
)

// A client that goes away while its upstream says nothing ends the upstream's exchange too, before an answer and within.
func TestClientGoesWhileTheUpstreamIsSilent(t *testing.T) {
	for name, said := range map[string]string{"before an answer": "", "within an answer": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
				u.say(said)
				_, _ = io.Copy(io.Discard, u.Conn) // until the proxy closes
				close(ended)
			}), nil)
			c := dial(t, p)
			c.say(get)
			if said != "" {
				c.head()
			} else {
				until(t, "the upstream to be asked", func() bool { return p.dials.Load() == 1 })
			}
			_ = c.Close()
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Fatal("the upstream goes on")
			}
			if err := p.lastError(t); !errors.Is(err, http1.ErrClientGone) {
				t.Error(err)
			}
		})
	}
}

// Several glances at a client that waits on change nothing for it.
func TestClientWaitsForASlowUpstream(t *testing.T) {
	p := newProxy(t, newUpstream(t, func(_ int, u *peer) {
		u.head()
		time.Sleep(2500 * time.Millisecond) // longer than two glances
		u.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}), nil)
	c := dial(t, p)
	c.say(get)
	if status, body := c.answer("GET"); status != 200 || body != "ok" {
		t.Errorf("answered %d %q", status, body)
	}
}

// Asked twice, Whole says the same.
func TestWholeTwice(t *testing.T) {
	p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			one, ok, err := e.Whole()
			if string(one) != "hello" || !ok || err != nil {
				t.Errorf("%q %v %v", one, ok, err)
			}
			two, ok, err := e.Whole()
			if !ok || err != nil {
				t.Error(ok, err)
			}
			if err := e.Respond(text(200, string(two))); err != nil {
				t.Error(err)
			}
		}
	})
	for _, raw := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"} {
		c := dial(t, p)
		c.say("POST / HTTP/1.1\r\nHost: a\r\n" + raw)
		if status, body := c.answer("POST"); status != 200 || body != "hello" {
			t.Errorf("answered %d %q", status, body)
		}
	}
}
