package h2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/h2"
	"gatehouse/http1"
	"gatehouse/wire"
)

// A house is a real server on a real listener.
type house struct {
	t       *testing.T
	s       *h2.Server
	addr    string
	handled atomic.Int64 // requests that got to the handler
	running atomic.Int64
	refused chan http1.Reason
}

// serve starts a server. handle is nil for one that reads the content and answers what it was.
func serve(t *testing.T, limits h2.Limits, handle func(*h2.Exchange)) *house {
	t.Helper()
	h := &house{t: t, refused: make(chan http1.Reason, 1000)}
	if handle == nil {
		handle = echo
	}
	h.s = &h2.Server{Limits: limits, Log: slog.New(slog.DiscardHandler), Handler: func(e *h2.Exchange) {
		h.handled.Add(1)
		h.running.Add(1)
		defer h.running.Add(-1)
		handle(e)
	}, Malformed: func(e *h2.Exchange, r http1.Reason) {
		select {
		case h.refused <- r:
		default:
		}
		_ = e.Respond(text(r.Status(), r.String()))
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { h.s.ServeConn(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		if err := h.s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	return h
}

func text(status int, s string) *wire.Message {
	return &wire.Message{Head: wire.Head{Status: status}, Body: bytes.NewReader([]byte(s)), Length: int64(len(s))}
}

// echo answers what it got, in a form that two readings would change.
func echo(e *h2.Exchange) {
	m := &e.Request
	var b strings.Builder
	b.WriteString(m.Method.String() + " " + m.Authority.String() + " " + m.Path.String())
	if m.Query != nil {
		b.WriteString("?" + m.Query.String())
	}
	for _, f := range m.Fields {
		b.WriteString("\n" + f.Name.String() + ": " + f.Value.String())
	}
	if m.Body != nil {
		content, err := io.ReadAll(m.Body)
		if err != nil {
			return
		}
		b.WriteString("\n\n" + string(content))
		for _, f := range m.Trailer {
			b.WriteString("\n" + f.Name.String() + "= " + f.Value.String())
		}
	}
	_ = e.Respond(text(200, b.String()))
}

// A raw client says what it likes.
type raw struct {
	t    *testing.T
	c    net.Conn
	fr   *http2.Framer
	enc  *hpack.Encoder
	buf  bytes.Buffer
	last uint32 // stream that the server has looked at, when it ended the connection
}

// dial connects without a word.
func (h *house) dial() *raw {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	r := &raw{t: h.t, c: c}
	r.fr = http2.NewFramer(c, c)
	r.fr.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.buf)
	r.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return r
}

// open connects and greets.
func (h *house) open(s ...http2.Setting) *raw {
	r := h.dial()
	_, _ = io.WriteString(r.c, http2.ClientPreface)
	_ = r.fr.WriteSettings(s...)
	return r
}

// block is fields, each "name: value", as they are sent.
func (r *raw) block(fields ...string) []byte {
	r.buf.Reset()
	for _, f := range fields {
		i := strings.Index(f[1:], ": ") + 1
		_ = r.enc.WriteField(hpack.HeaderField{Name: f[:i], Value: f[i+2:]})
	}
	return bytes.Clone(r.buf.Bytes())
}

var get = []string{":method: GET", ":scheme: http", ":authority: api.example", ":path: /"}

func (r *raw) head(id uint32, end bool, fields ...string) {
	_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.block(fields...), EndStream: end, EndHeaders: true})
}

// outcome is what came of a stream: "200 body", "RST code", "GOAWAY code" or "closed".
func (r *raw) outcome(id uint32) string {
	status, body := "", ""
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				return "nothing"
			}
			return "closed"
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = r.fr.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID != id {
				continue
			}
			if s := f.PseudoValue("status"); s != "" {
				status = s
			}
			if f.StreamEnded() {
				return strings.TrimSpace(status + " " + body)
			}
		case *http2.DataFrame:
			if f.StreamID != id {
				continue
			}
			body += string(f.Data())
			if f.StreamEnded() {
				return status + " " + body
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "RST " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "GOAWAY " + f.ErrCode.String()
			}
		}
	}
}

// wait polls for a condition that nothing announces.
func (h *house) wait(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("it never came about that %s", what)
		}
	}
}

// shutdown drains the server.
func (h *house) shutdown(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return h.s.Shutdown(ctx)
}
