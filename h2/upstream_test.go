package h2_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/fault"
	"gatehouse/h2"
	"gatehouse/wire"
)

// upstream is a server that says what it likes: serve is called for each connection, after the greetings.
func upstream(t *testing.T, serve func(r *raw)) *h2.Upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &h2.Upstream{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}, Patience: h2.Patience{Head: 2 * time.Second, Body: 2 * time.Second, Write: 2 * time.Second}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				r := &raw{t: t, c: c, fr: http2.NewFramer(c, c)}
				r.fr.AllowIllegalWrites = true
				r.enc = hpack.NewEncoder(&r.buf)
				r.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
				serve(r)
			})
		}
	})
	t.Cleanup(func() { u.Close(); l.Close(); wg.Wait() })
	return u
}

// request waits for the head of the next request, and returns its stream.
func (r *raw) request() uint32 {
	for {
		f, err := r.fr.ReadFrame()
		if err != nil {
			return 0
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = r.fr.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			return f.StreamID
		}
	}
}

// drain reads until the connection ends.
func (r *raw) drain() { _, _ = io.Copy(io.Discard, r.c) }

// ask makes one call, and returns what it came to: status, content and trailer, or the kind of fault.
func ask(u *h2.Upstream, method string, body io.Reader, length int64) string {
	q := wire.Message{Head: wire.Head{Method: wire.View(method), Scheme: "http", Authority: wire.View("up"), Path: wire.View("/")}, Body: body, Length: length}
	var a wire.Message
	c := h2.Call{Request: &q, Response: &a, Total: 5 * time.Second}
	defer c.Done()
	if err := u.Do(context.Background(), &c); err != nil {
		return told(err)
	}
	out := []byte{byte('0' + a.Status/100), byte('0' + a.Status/10%10), byte('0' + a.Status%10)}
	if a.Body != nil {
		b, err := io.ReadAll(a.Body)
		out = append(append(out, ' '), b...)
		if err != nil {
			return string(out) + " and then " + told(err)
		}
	}
	for _, f := range a.Trailer {
		out = append(append(append(append(out, ' '), f.Name...), '='), f.Value...)
	}
	return string(out)
}

func told(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return string(f.Kind)
	}
	return err.Error()
}

// Answers of every kind, well-formed and not.
func TestAnswers(t *testing.T) {
	bad, slow := string(fault.BadUpstream), string(fault.SlowUpstream)
	for _, c := range []struct {
		name, method string
		answer       func(r *raw, id uint32)
		want         string
	}{
		{"plain", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200", "content-length: 5")
			_ = r.fr.WriteData(id, true, []byte("hello"))
		}, "200 hello"},
		{"with a trailer", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200")
			_ = r.fr.WriteData(id, false, []byte("hello"))
			r.head(id, true, "grpc-status: 0", "x-y-bin: AAAA")
		}, "200 hello grpc-status=0 x-y-bin=AAAA"},
		{"a trailer alone", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "grpc-status: 5") }, "200"},
		{"interim answers before", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 100")
			r.head(id, false, ":status: 103", "link: </a>")
			r.head(id, true, ":status: 204")
		}, "204"},
		{"to HEAD", "HEAD", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "content-length: 5") }, "200"},
		{"content to HEAD", "HEAD", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200", "content-length: 5")
			_ = r.fr.WriteData(id, true, []byte("hello"))
		}, bad},
		{"304 with a length", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 304", "content-length: 5") }, "304"},
		{"204 with content", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 204")
			_ = r.fr.WriteData(id, true, []byte("x"))
		}, bad},
		{"too many interim answers", "GET", func(r *raw, id uint32) {
			for range 100 {
				r.head(id, false, ":status: 103")
			}
		}, bad},
		{"101", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 101") }, bad},
		{"an interim answer that ends", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 103") }, bad},
		{"no status", "GET", func(r *raw, id uint32) { r.head(id, true, "x: y") }, bad},
		{"status twice", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", ":status: 200") }, bad},
		{"status of two digits", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 20") }, bad},
		{"status 999", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 999") }, bad},
		{"a request's pseudo-header field", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", ":path: /") }, bad},
		{"upper case", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "X: y") }, bad},
		{"CR LF in a value", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "x: a\r\nset-cookie: b") }, bad},
		{"transfer-encoding", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "transfer-encoding: chunked") }, bad},
		{"connection", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "connection: close") }, bad},
		{"a look-alike", "GET", func(r *raw, id uint32) { r.head(id, true, ":status: 200", "content_length: 7") }, bad},
		{"content-length twice", "GET", func(r *raw, id uint32) {
			r.head(id, true, ":status: 200", "content-length: 0", "content-length: 0")
		}, bad},
		{"more than was promised", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200", "content-length: 4")
			_ = r.fr.WriteData(id, true, []byte("hello"))
		}, bad},
		{"less than was promised", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200", "content-length: 10")
			_ = r.fr.WriteData(id, false, []byte("hello"))
			time.Sleep(100 * time.Millisecond)
			_ = r.fr.WriteData(id, true, nil)
		}, "200 hello and then " + bad},
		{"content before a head", "GET", func(r *raw, id uint32) { _ = r.fr.WriteData(id, true, []byte("x")) }, bad},
		{"a promise", "GET", func(r *raw, id uint32) {
			_ = r.fr.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: r.block(get...), EndHeaders: true})
		}, bad},
		{"a reset", "POST", func(r *raw, id uint32) { _ = r.fr.WriteRSTStream(id, http2.ErrCodeInternal) }, bad},
		{"a reset within content", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200")
			_ = r.fr.WriteData(id, false, []byte("half"))
			time.Sleep(100 * time.Millisecond)
			_ = r.fr.WriteRSTStream(id, http2.ErrCodeInternal)
		}, "200 half and then " + bad},
		{"a close within content", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200")
			_ = r.fr.WriteData(id, false, []byte("half"))
			time.Sleep(100 * time.Millisecond)
			r.c.Close()
		}, "200 half and then " + bad},
		{"silence", "GET", func(r *raw, id uint32) {}, slow},
		{"silence within content", "GET", func(r *raw, id uint32) {
			r.head(id, false, ":status: 200")
			_ = r.fr.WriteData(id, false, []byte("half"))
		}, "200 half and then " + slow},
		{"a head that is too large", "GET", func(r *raw, id uint32) {
			b := r.block(":status: 200", "x: "+strings.Repeat("a", 20<<10), "y: "+strings.Repeat("b", 20<<10))
			_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:12000]})
			_ = r.fr.WriteContinuation(id, false, b[12000:24000])
			_ = r.fr.WriteContinuation(id, true, b[24000:])
		}, bad},
		{"another protocol", "GET", func(r *raw, id uint32) { _, _ = io.WriteString(r.c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := upstream(t, func(r *raw) {
				_ = r.fr.WriteSettings()
				if id := r.request(); id > 0 {
					c.answer(r, id)
				}
				r.drain()
			})
			if got := ask(u, c.method, nil, 0); got != c.want && !strings.HasSuffix(got, "  and then "+c.want) { // by when the rest came
				t.Errorf("it came to %q, want %q", got, c.want)
			}
		})
	}
}

// What an upstream has not looked at is sent again: a refused stream, and one beyond what its GOAWAY names. What it may have
// looked at is not, unless it asks for nothing.
func TestUnprocessedIsSentAgain(t *testing.T) {
	for _, c := range []struct {
		name, method string
		body         bool
		first        func(r *raw, id uint32)
		want         string
	}{
		{"refused", "POST", false, func(r *raw, id uint32) { _ = r.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, "200"},
		{"beyond the last", "POST", false, func(r *raw, id uint32) { _ = r.fr.WriteGoAway(0, http2.ErrCodeNo, nil) }, "200"},
		{"with content that is used up", "POST", true, func(r *raw, id uint32) { _ = r.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, string(fault.BadUpstream)},
		{"reset otherwise", "POST", false, func(r *raw, id uint32) { _ = r.fr.WriteRSTStream(id, http2.ErrCodeCancel) }, string(fault.BadUpstream)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			tries := 0
			u := upstream(t, func(r *raw) {
				_ = r.fr.WriteSettings()
				for {
					id := r.request()
					if id == 0 {
						return
					}
					mu.Lock()
					tries++
					first := tries == 1
					mu.Unlock()
					if first {
						c.first(r, id)
					} else {
						r.head(id, true, ":status: 200")
					}
				}
			})
			var body io.Reader
			if c.body {
				body = bytes.NewReader([]byte("content"))
			}
			if got := ask(u, c.method, body, -1); got != c.want {
				t.Errorf("it came to %q, want %q", got, c.want)
			}
		})
	}
}

// A kept connection that turns out to have ended is no reason to fail a request that asks for nothing.
func TestKeptConnectionThatEnded(t *testing.T) {
	u := upstream(t, func(r *raw) {
		_ = r.fr.WriteSettings()
		if id := r.request(); id > 0 {
			r.head(id, true, ":status: 200")
		}
		r.request() // and ends without a word
	})
	for range 5 {
		if got := ask(u, "GET", nil, 0); got != "200" {
			t.Errorf("it came to %q", got)
		}
	}
}

// No more streams at a time than the upstream allows, on each connection.
func TestStreamsOfAnUpstream(t *testing.T) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	t.Cleanup(wait.Wait)
	conns, most := 0, 0
	u := upstream(t, func(r *raw) {
		mu.Lock()
		conns++
		mu.Unlock()
		_ = r.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
		open := 0
		for {
			id := r.request()
			if id == 0 {
				return
			}
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			wait.Go(func() {
				time.Sleep(20 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				open--
				r.head(id, true, ":status: 200")
			})
		}
	})
	if got := ask(u, "GET", nil, 0); got != "200" { // so that its settings are known
		t.Fatal(got)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := ask2(u); got[0] != "200" || got[1] != "200" {
				t.Error(got)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if most > 2 || conns < 2 {
		t.Errorf("%d streams at a time on %d connections", most, conns)
	}
}

// ask2 asks twice at a time.
func ask2(u *h2.Upstream) (got [2]string) {
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = ask(u, "GET", nil, 0) })
	}
	wg.Wait()
	return got
}

// A call that nobody waits for is cancelled upstream.
func TestCancelledCall(t *testing.T) {
	reset := make(chan http2.ErrCode, 1)
	u := upstream(t, func(r *raw) {
		_ = r.fr.WriteSettings()
		r.request()
		for {
			f, err := r.fr.ReadFrame()
			if err != nil {
				return
			}
			if f, ok := f.(*http2.RSTStreamFrame); ok {
				reset <- f.ErrCode
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	q := wire.Message{Head: wire.Head{Method: wire.View("GET"), Scheme: "http", Authority: wire.View("up"), Path: wire.View("/")}}
	var a wire.Message
	c := h2.Call{Request: &q, Response: &a}
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := u.Do(ctx, &c); !errors.Is(err, h2.ErrPeerGone) {
		t.Errorf("it came to %v", err)
	}
	c.Done()
	select {
	case code := <-reset:
		if code != http2.ErrCodeCancel {
			t.Errorf("the upstream was told %v", code)
		}
	case <-time.After(10 * time.Second):
		t.Error("the upstream was not told")
	}
}

// Whatever an upstream says, what is handed on is clean, and nothing hangs.
func FuzzUpstream(f *testing.F) {
	var seed bytes.Buffer
	fr := http2.NewFramer(&seed, nil)
	_ = fr.WriteSettings()
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}, EndHeaders: true})
	_ = fr.WriteData(1, false, []byte("hello"))
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x00, 0x01, 'x', 0x01, 'y'}, EndStream: true, EndHeaders: true})
	f.Add(bytes.Clone(seed.Bytes()))
	_ = fr.WriteGoAway(1, http2.ErrCodeNo, nil)
	f.Add(bytes.Clone(seed.Bytes()))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		u := upstream(t, func(r *raw) {
			_, _ = r.c.Write(b)
			if w, ok := r.c.(interface{ CloseWrite() error }); ok {
				_ = w.CloseWrite()
			}
			r.drain()
		})
		u.Patience.Head, u.Patience.Body = 100*time.Millisecond, 100*time.Millisecond
		q := wire.Message{Head: wire.Head{Method: wire.View("GET"), Scheme: "http", Authority: wire.View("up"), Path: wire.View("/")}}
		var a wire.Message
		c := h2.Call{Request: &q, Response: &a, Total: time.Second}
		defer c.Done()
		if u.Do(context.Background(), &c) != nil {
			return
		}
		if a.Status < 200 || a.Status > 599 {
			t.Errorf("status %d", a.Status)
		}
		if a.Body != nil {
			_, _ = io.Copy(io.Discard, a.Body)
		}
		for _, f := range append(append(wire.Fields(nil), a.Fields...), a.Trailer...) {
			for _, ch := range append(f.Name.Clone(), f.Value...) {
				if ch < ' ' && ch != '\t' || ch == 0x7f {
					t.Errorf("a control character was handed on: %q", f)
				}
			}
		}
	})
}
