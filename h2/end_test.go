package h2_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/h2"
	"gatehouse/wire"
)

// A client that goes away, or takes its request back, in every phase: the handler is told, and nothing is left behind.
func TestResetInEveryPhase(t *testing.T) {
	post := []string{":method: POST", ":scheme: http", ":authority: a", ":path: /"}
	for _, how := range []string{"reset", "close"} {
		for _, c := range []struct {
			name   string
			send   func(r *raw)
			handle func(e *h2.Exchange) error
		}{
			{"before an answer", func(r *raw) { r.head(1, true, get...) }, func(e *h2.Exchange) error {
				<-e.Context().Done()
				return e.Respond(text(200, "late"))
			}},
			{"within the request's content", func(r *raw) { r.head(1, false, post...); _ = r.fr.WriteData(1, false, []byte("half")) }, func(e *h2.Exchange) error {
				_, err := io.Copy(io.Discard, e.Request.Body)
				return err
			}},
			{"within the answer", func(r *raw) { r.head(1, true, get...) }, func(e *h2.Exchange) error {
				return e.Respond(&wire.Message{Head: wire.Head{Status: 200}, Length: -1, Body: endless{e}})
			}},
			{"where a window is awaited", func(r *raw) { r.head(1, true, get...) }, func(e *h2.Exchange) error {
				return e.Respond(text(200, strings.Repeat("x", 1<<20)))
			}},
		} {
			t.Run(how+" "+c.name, func(t *testing.T) {
				result := make(chan error, 1)
				h := serve(t, h2.Limits{}, func(e *h2.Exchange) { result <- c.handle(e) })
				r := h.open()
				c.send(r)
				h.wait("it is handled", func() bool { return h.running.Load() == 1 })
				time.Sleep(20 * time.Millisecond)
				if how == "reset" {
					_ = r.fr.WriteRSTStream(1, http2.ErrCodeCancel)
				} else {
					r.c.Close()
				}
				select {
				case err := <-result:
					if !errors.Is(err, h2.ErrPeerGone) {
						t.Errorf("the handler was told %v", err)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("the handler was not told")
				}
				if how == "reset" {
					r.head(3, true, get...) // the handler of this one waits for the window, or for its content: that it comes is enough
					h.wait("the connection goes on", func() bool { return h.handled.Load() == 2 })
				}
			})
		}
	}
}

// endless is content without an end, a little at a time.
type endless struct{ e *h2.Exchange }

func (e endless) Read(p []byte) (int, error) {
	select {
	case <-e.e.Context().Done():
	case <-time.After(time.Millisecond):
	}
	return copy(p, "drip"), nil
}

// An answer that breaks off in its middle is not taken for a whole one.
func TestBrokenAnswer(t *testing.T) {
	h := serve(t, h2.Limits{}, func(e *h2.Exchange) {
		_ = e.Respond(&wire.Message{Head: wire.Head{Status: 200}, Length: -1, Body: io.MultiReader(bytes.NewReader([]byte("half")), broken{})})
	})
	r := h.open()
	r.head(1, true, get...)
	if got := r.outcome(1); got != "RST INTERNAL_ERROR" {
		t.Errorf("it came to %q", got)
	}
	short := serve(t, h2.Limits{}, func(e *h2.Exchange) {
		err := e.Respond(&wire.Message{Head: wire.Head{Status: 200}, Length: 10, Body: bytes.NewReader([]byte("short"))})
		if !errors.Is(err, h2.ErrLength) || e.Started() {
			t.Errorf("%v, started %v", err, e.Started())
		}
		_ = e.Respond(text(502, "instead"))
	})
	r = short.open()
	r.head(1, true, get...)
	if got := r.outcome(1); got != "502 instead" {
		t.Errorf("it came to %q", got)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the upstream broke off") }

// A handler that panics, or does not answer, takes its stream down and no other.
func TestBadHandlers(t *testing.T) {
	h := serve(t, h2.Limits{}, func(e *h2.Exchange) {
		switch e.Request.Path.String() {
		case "/panic":
			panic("a mistake")
		case "/silent":
			return
		}
		echo(e)
	})
	r := h.open()
	for id, c := range map[uint32][2]string{1: {"/panic", "RST INTERNAL_ERROR"}, 3: {"/silent", "RST INTERNAL_ERROR"}, 5: {"/", "200 GET a /"}} {
		r := h.open()
		r.head(id, true, ":method: GET", ":scheme: http", ":authority: a", ":path: "+c[0])
		if got := r.outcome(id); got != c[1] {
			t.Errorf("%s: %q", c[0], got)
		}
	}
	r.c.Close()
}

// What stops lets requests end that it has, and those that are on their way.
func TestDrain(t *testing.T) {
	free := make(chan struct{})
	h := serve(t, h2.Limits{}, func(e *h2.Exchange) {
		if e.Request.Path.String() == "/slow" {
			<-free
		}
		echo(e)
	})
	r, idle := h.open(), h.open()
	r.head(1, true, ":method: GET", ":scheme: http", ":authority: a", ":path: /slow")
	h.wait("it is handled", func() bool { return h.running.Load() == 1 })
	done := make(chan error, 1)
	go func() { done <- h.shutdown(20 * time.Second) }()
	last := uint32(0)
	for last == 0 {
		f, err := r.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			last = g.LastStreamID
		}
	}
	if last != 1<<31-1 {
		t.Errorf("the first GOAWAY promises streams up to %d", last)
	}
	r.head(3, true, get...) // sent before it could know
	if got := r.outcome(3); got != "200 GET api.example /" {
		t.Errorf("what was on its way came to %q", got)
	}
	for last = 0; last != 3; {
		f, err := r.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			last = g.LastStreamID
		}
	}
	r.head(5, true, get...)
	close(free)
	if got := r.outcome(1); got != "200 GET a /slow" {
		t.Errorf("what was running came to %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := h.handled.Load(); n != 2 {
		t.Errorf("%d requests were handled", n)
	}
	if _, err := io.Copy(io.Discard, idle.c); err != nil {
		t.Errorf("the idle connection ended with %v", err)
	}
}

// What does not end by then is cut off.
func TestDrainHasAnEnd(t *testing.T) {
	h := serve(t, h2.Limits{}, func(e *h2.Exchange) { <-e.Context().Done() })
	r := h.open()
	r.head(1, true, get...)
	h.wait("it is handled", func() bool { return h.running.Load() == 1 })
	if err := h.shutdown(200 * time.Millisecond); err == nil {
		t.Error("nothing was cut off")
	}
}

// Whatever comes in, what is handed on is clean, and nothing hangs or is left behind.
func FuzzServer(f *testing.F) {
	var seed bytes.Buffer
	fr := http2.NewFramer(&seed, nil)
	_ = fr.WriteSettings()
	f.Add(bytes.Clone(seed.Bytes()))
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82, 0x86, 0x84, 0x41, 0x01, 'a'}, EndStream: true, EndHeaders: true})
	f.Add(bytes.Clone(seed.Bytes()))
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0x83, 0x86, 0x84, 0x41, 0x01, 'a'}, EndHeaders: true})
	_ = fr.WriteData(3, false, []byte("hello"))
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0x00, 0x01, 'x', 0x01, 'y'}, EndStream: true, EndHeaders: true})
	f.Add(bytes.Clone(seed.Bytes()))
	_ = fr.WriteRSTStream(3, http2.ErrCodeCancel)
	_ = fr.WriteWindowUpdate(0, 1)
	_ = fr.WritePing(false, [8]byte{})
	f.Add(bytes.Clone(seed.Bytes()))
	f.Fuzz(func(t *testing.T, b []byte) {
		clean := func(e *h2.Exchange) {
			m := &e.Request
			for _, v := range append(wire.Fields{{Name: m.Method, Value: m.Authority}, {Name: m.Path, Value: m.Query}}, m.Fields...) {
				for _, c := range append(v.Name.Clone(), v.Value...) {
					if c < ' ' && c != '\t' || c == 0x7f {
						t.Errorf("a control character was handed on: %q", v)
					}
				}
			}
			if len(m.Path) == 0 || m.Path[0] != '/' || len(m.Authority) == 0 {
				t.Errorf("handed on: %q %q", m.Authority, m.Path)
			}
			if m.Body != nil {
				_, _ = io.Copy(io.Discard, m.Body)
			}
			_ = e.Respond(text(200, "ok"))
		}
		h := serve(t, h2.Limits{Head: 50 * time.Millisecond, Idle: 50 * time.Millisecond, Body: 50 * time.Millisecond}, clean)
		c := h.dial()
		_, _ = c.c.Write(append([]byte(http2.ClientPreface), b...))
		if w, ok := c.c.(interface{ CloseWrite() error }); ok {
			_ = w.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, c.c)
	})
}
