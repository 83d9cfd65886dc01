package http1_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/http1"
	"gatehouse/wire"
)

// A handler that reads the body that a client holds back has it sent.
func TestExpectIsMetByReading(t *testing.T) {
	p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			b, err := io.ReadAll(e.Request.Body)
			if err != nil {
				t.Error(err)
			}
			if err := e.Respond(text(200, string(b))); err != nil {
				t.Error(err)
			}
		}
	})
	c := dial(t, p)
	for range 2 {
		c.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		c.hear("HTTP/1.1 100 Continue\r\n\r\n")
		c.say("hello")
		if status, body := c.answer("POST"); status != 200 || body != "hello" {
			t.Errorf("answered %d %q", status, body)
		}
	}
}

// What a handler must not send is not sent, and it can send something else.
func TestUnsendable(t *testing.T) {
	p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
		p.server.Handler = func(e *http1.Exchange) {
			for _, f := range [][2]string{{"X", "a\r\nY: b"}, {"X", "a\x00"}, {"X Y", "a"}, {"X:", "a"}, {"X\n", "a"}} {
				m := text(200, "ok")
				m.Fields.AddString(f[0], f[1])
				if err := e.Respond(m); err != http1.ErrUnsendable || e.Started() {
					t.Errorf("%q: %v", f, err)
				}
			}
			if err := e.Respond(&wire.Message{Head: wire.Head{Status: 200}, Length: 5}); err != http1.ErrLength {
				t.Error(err)
			}
			if err := e.Respond(text(99, "")); err != http1.ErrUnsendable {
				t.Error(err)
			}
			m := text(200, "ok")
			for _, name := range []string{"Connection", "content-length", "Transfer-Encoding", "TE", "Keep-Alive", "Upgrade"} {
				m.Fields.AddString(name, "chunked")
			}
			if err := e.Respond(m); err != nil {
				t.Error(err)
			}
			if err := e.Respond(m); err != http1.ErrAnswered {
				t.Error(err)
			}
		}
	})
	c := dial(t, p)
	c.say(get)
	if h := c.head(); strings.Contains(h, "chunked") || strings.Count(h, "\r\n") != 4 {
		t.Errorf("answered %q", h)
	}
}

// A handler that panics or does not answer costs its connection and nothing else.
func TestBadHandler(t *testing.T) {
	var log bytes.Buffer
	p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
		p.server.Log = slog.New(slog.NewTextHandler(&log, nil))
		p.server.Handler = func(e *http1.Exchange) {
			switch string(e.Request.Path) {
			case "/panic":
				panic("as the test wants")
			case "/nothing":
				return
			}
			_ = e.Respond(text(200, "ok"))
		}
	})
	for _, path := range []string{"/panic", "/nothing", "/"} {
		c := dial(t, p)
		c.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if path != "/" {
			c.ends()
		} else if status, _ := c.answer("GET"); status != 200 {
			t.Errorf("answered %d", status)
		}
	}
	if err := p.server.Close(); err != nil {
		t.Error(err)
	}
	if s := log.String(); !strings.Contains(s, "as the test wants") || !strings.Contains(s, "path=/nothing") {
		t.Errorf("the log says %q", s)
	}
}

// A handler that answers by itself leaves the connection at the next request, whatever body it did not read.
func TestUnreadBody(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		kept      bool
	}{
		{"small", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", true},
		{"larger than the buffer", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("x", 40_000), true},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},
		{"too much", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" + strings.Repeat("x", 400_000), false},
		{"bad chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n", false},
		{"held back", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, "127.0.0.1:1", func(p *proxy) {
				p.server.Handler = func(e *http1.Exchange) {
					if err := e.Respond(text(401, "who?")); err != nil {
						t.Error(err)
					}
				}
			})
			k := dial(t, p)
			raw := c.raw + get
			if c.name == "held back" {
				raw = c.raw
			}
			go func() { _, _ = io.WriteString(k, raw) }()
			if status, body := k.answer("POST"); status != 401 || body != "who?" {
				t.Errorf("answered %d %q", status, body)
			}
			if c.kept {
				if status, _ := k.answer("GET"); status != 401 {
					t.Errorf("the next one was answered %d", status)
				}
				return
			}
			if b, _ := io.ReadAll(k.r); bytes.Contains(b, []byte("HTTP/1.1")) {
				t.Errorf("and then %q", b)
			}
		})
	}
}
