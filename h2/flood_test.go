package h2_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/h2"
)

// until sends frames until the server has ended the connection, at most n times, and returns what it said.
func (r *raw) until(n int, send func(i int) error) string {
	done := make(chan string, 1)
	go func() {
		for {
			f, err := r.fr.ReadFrame()
			if err != nil {
				done <- "closed"
				return
			}
			if g, ok := f.(*http2.GoAwayFrame); ok && g.ErrCode != http2.ErrCodeNo {
				r.last = g.LastStreamID
				done <- "GOAWAY " + g.ErrCode.String()
				return
			}
		}
	}()
	for i := range n {
		if send(i) != nil {
			break
		}
		select {
		case s := <-done:
			return s
		default:
		}
	}
	select {
	case s := <-done:
		return s
	case <-time.After(10 * time.Second):
		return "borne"
	}
}

const calm = "GOAWAY ENHANCE_YOUR_CALM"

// Rapid reset: streams that are opened and taken back at once never reach the handler, and end the connection after a while.
func TestRapidReset(t *testing.T) {
	h := serve(t, h2.Limits{}, nil)
	r := h.open()
	b := r.block(get...)
	id := uint32(1)
	got := r.until(100_000, func(int) error { // both in one segment, as those who attack send them
		var w strings.Builder
		fr := http2.NewFramer(&w, nil)
		for range 50 {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndStream: true, EndHeaders: true})
			_ = fr.WriteRSTStream(id, http2.ErrCodeCancel)
			id += 2
			b = r.block(get...)
		}
		_, err := io.WriteString(r.c, w.String())
		return err
	})
	if got != calm && got != "closed" || r.last > 2*200 {
		t.Errorf("%d streams were taken back: %s", r.last/2, got)
	}
	t.Logf("%d streams were taken back, of which %d got to the handler", r.last/2, h.handled.Load())
	if n := h.handled.Load(); n > 60 {
		t.Errorf("%d of %d requests got to the handler", n, r.last/2)
	}
}

// Handlers that have not noticed yet that their stream is over count: a client that takes back what is being worked on cannot
// have more of it done at a time.
func TestResetStreamsStillCount(t *testing.T) {
	free := make(chan struct{})
	h := serve(t, h2.Limits{Streams: 10}, func(e *h2.Exchange) { <-free })
	r := h.open()
	most := int64(0)
	for i := range 100 {
		id := uint32(2*i + 1)
		r.head(id, true, get...)
		time.Sleep(time.Millisecond) // so that it is begun
		_ = r.fr.WriteRSTStream(id, http2.ErrCodeCancel)
		most = max(most, h.running.Load())
	}
	if most = max(most, h.running.Load()); most > 10 {
		t.Errorf("%d handlers at a time", most)
	}
	close(free)
	h.wait("all handlers have returned", func() bool { return h.running.Load() == 0 })
}

// A client that cancels as much as it lets be answered is no attacker.
func TestPoliteCancellations(t *testing.T) {
	h := serve(t, h2.Limits{}, nil)
	r := h.open()
	for i := range 3000 {
		id := uint32(4*i + 1)
		r.head(id, true, get...)
		if got := r.outcome(id); !strings.HasPrefix(got, "200") {
			t.Fatalf("request %d: %s", i, got)
		}
		r.head(id+2, false, get...)
		_ = r.fr.WriteRSTStream(id+2, http2.ErrCodeCancel)
	}
}

// What makes work and gets nothing done ends the connection.
func TestFloods(t *testing.T) {
	post := []string{":method: POST", ":scheme: http", ":authority: a", ":path: /"}
	for _, c := range []struct {
		name  string
		begin func(r *raw)
		send  func(r *raw, i int) error
	}{
		{"CONTINUATION", func(r *raw) {
			_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block(get...)})
		}, func(r *raw, i int) error { return r.fr.WriteContinuation(1, false, r.block("x: y")) }},
		{"CONTINUATION without a byte", func(r *raw) {
			_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block(get...)})
		}, func(r *raw, i int) error { return r.fr.WriteContinuation(1, false, nil) }},
		{"a head that goes on and on", func(r *raw) {
			_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block(get...)})
		}, func(r *raw, i int) error {
			return r.fr.WriteContinuation(1, false, r.block("x: "+strings.Repeat("z", 10<<10)))
		}},
		{"SETTINGS", nil, func(r *raw, i int) error {
			return r.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
		}},
		{"PING", nil, func(r *raw, i int) error { return r.fr.WritePing(false, [8]byte{}) }},
		{"PRIORITY", nil, func(r *raw, i int) error {
			return r.fr.WritePriority(uint32(2*i+1), http2.PriorityParam{StreamDep: 0, Weight: 1})
		}},
		{"an unknown frame", nil, func(r *raw, i int) error { return r.fr.WriteRawFrame(0x42, 0, 0, nil) }},
		{"DATA without content", func(r *raw) { r.head(1, false, post...) }, func(r *raw, i int) error { return r.fr.WriteData(1, false, nil) }},
		{"WINDOW_UPDATE", nil, func(r *raw, i int) error { return r.fr.WriteWindowUpdate(0, 1) }},
		{"malformed requests", nil, func(r *raw, i int) error {
			r.head(uint32(2*i+1), true, append([]string{"X: 1"}, get...)...)
			return r.fr.WriteRawFrame(0x42, 0, 0, nil)
		}},
		{"streams beyond the bound", func(r *raw) {
			for i := range 128 {
				r.head(uint32(2*i+1), false, post...)
			}
		}, func(r *raw, i int) error {
			r.head(uint32(2*(i+128)+1), false, post...)
			return r.fr.WriteRawFrame(0x42, 0, 0, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := serve(t, h2.Limits{}, nil)
			r := h.open()
			if c.begin != nil {
				c.begin(r)
			}
			if got := r.until(60_000, func(i int) error { return c.send(r, i) }); got != calm && got != "closed" {
				t.Errorf("it came to: %s", got)
			}
			r.c.Close()
		})
	}
}

// Whoever asks for answers and does not read them is cut off, and the memory for them is bounded.
func TestAnswersThatAreNotRead(t *testing.T) {
	h := serve(t, h2.Limits{Write: time.Second}, nil)
	r := h.open()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ended := false
	for range 5_000_000 {
		if r.fr.WritePing(false, [8]byte{}) != nil {
			ended = true
			break
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); !ended || grown > 16<<20 {
		t.Errorf("ended %v, and %d MiB more", ended, grown>>20)
	}
}

// A window of zero is borne for as long as the write deadline says, and then its stream is over; others go on.
func TestZeroWindow(t *testing.T) {
	h := serve(t, h2.Limits{Write: 300 * time.Millisecond}, nil)
	r := h.open(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	r.head(1, true, get...)
	began := time.Now()
	if got := r.outcome(1); got != "RST INTERNAL_ERROR" && got != "RST CANCEL" {
		t.Errorf("it came to %q", got)
	}
	if took := time.Since(began); took < 200*time.Millisecond || took > 10*time.Second {
		t.Errorf("after %v", took)
	}
	_ = r.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	r.head(3, true, get...)
	if got := r.outcome(3); got != "200 GET api.example /" {
		t.Errorf("the next came to %q", got)
	}
	h.wait("all handlers have returned", func() bool { return h.running.Load() == 0 })
}

// Slow beginnings, heads and bodies are cut at their deadlines, and an idle connection ends.
func TestDeadlines(t *testing.T) {
	limits := h2.Limits{Head: 300 * time.Millisecond, Body: 300 * time.Millisecond, Idle: 300 * time.Millisecond}
	for name, begin := range map[string]func(r *raw){
		"silence":         func(r *raw) {},
		"half a preface":  func(r *raw) { _, _ = io.WriteString(r.c, http2.ClientPreface[:10]) },
		"no settings":     func(r *raw) { _, _ = io.WriteString(r.c, http2.ClientPreface) },
		"half a frame":    func(r *raw) { _, _ = io.WriteString(r.c, http2.ClientPreface+"\x00\x00") },
		"another preface": func(r *raw) { _, _ = io.WriteString(r.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
		"half a head": func(r *raw) {
			_, _ = io.WriteString(r.c, http2.ClientPreface)
			_ = r.fr.WriteSettings()
			_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block(get...)})
		},
		"idle": func(r *raw) { _, _ = io.WriteString(r.c, http2.ClientPreface); _ = r.fr.WriteSettings() },
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, limits, nil)
			r := h.dial()
			begin(r)
			if _, err := io.Copy(io.Discard, r.c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it is not closed")
			}
		})
	}
	t.Run("a body that stops", func(t *testing.T) {
		h := serve(t, limits, nil)
		r := h.open()
		r.head(1, false, ":method: POST", ":scheme: http", ":authority: a", ":path: /")
		_ = r.fr.WriteData(1, false, []byte("half"))
		if got := r.outcome(1); got != "RST CANCEL" {
			t.Errorf("it came to %q", got)
		}
	})
}

// After all of that, no descriptor is left open.
func TestDescriptorsComeBack(t *testing.T) {
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("descriptors are counted on Linux: ", err)
		}
		return len(all)
	}
	before := count()
	h := serve(t, h2.Limits{}, nil)
	for i := range 60 {
		r := h.open()
		switch i % 4 {
		case 0:
			r.head(1, true, get...)
			r.outcome(1)
		case 1:
			r.head(1, false, get...)
		case 2:
			_ = r.fr.WriteRSTStream(7, http2.ErrCodeCancel)
		case 3:
			_, _ = io.WriteString(r.c, "\x00\x00\x05")
		}
		r.c.Close()
	}
	h.wait("descriptors came back", func() bool { return count() <= before+2 })
}
