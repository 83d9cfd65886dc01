// Package rawtest is what tests of messages on the wire share: an upstream that keeps exactly what it gets, a second
// opinion on how that is read, and messages that programs read in different ways.
package rawtest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A Recorder is an upstream that keeps what each connection sends. It answers the first request of a connection with 200 and
// Connection: close, and keeps on listening: what comes after it is somebody's second reading.
type Recorder struct {
	Addr string

	mu      sync.Mutex
	streams []*bytes.Buffer
	open    map[net.Conn]bool
}

// NewRecorder starts one and ends it with the test.
func NewRecorder(t testing.TB) *Recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{Addr: l.Addr().String(), open: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stream := new(bytes.Buffer)
			r.mu.Lock()
			r.streams, r.open[c] = append(r.streams, stream), true
			r.mu.Unlock()
			running.Go(func() { r.serve(c, stream) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for c := range r.open {
			_ = c.Close()
		}
		r.mu.Unlock()
		running.Wait()
	})
	return r
}

// tee keeps what a connection sends.
type tee struct {
	net.Conn
	r *Recorder
	b *bytes.Buffer
}

func (k tee) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	k.b.Write(p[:n])
	return n, err
}

func (r *Recorder) serve(c net.Conn, stream *bytes.Buffer) {
	defer func() {
		_ = c.Close()
		r.mu.Lock()
		delete(r.open, c)
		r.mu.Unlock()
	}()
	from := tee{c, r, stream}
	in := bufio.NewReader(from)
	req, err := http.ReadRequest(in)
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
	switch {
	case err != nil:
		answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	case req.Method == "HEAD":
		answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
	}
	_, _ = io.WriteString(c, answer)
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.Copy(io.Discard, from)
}

// Streams waits until every connection has ended, and returns what each of them sent since the last time.
func (r *Recorder) Streams() []string {
	for {
		r.mu.Lock()
		if len(r.open) == 0 {
			break
		}
		r.mu.Unlock()
		time.Sleep(100 * time.Microsecond)
	}
	defer r.mu.Unlock()
	var all []string
	for _, b := range r.streams {
		all = append(all, b.String())
	}
	r.streams = nil
	return all
}

// Say sends raw to addr on a connection of its own, ends its side, and returns all that comes back, whatever ends it.
func Say(t testing.TB, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, raw); err == nil { // else it was refused before all was written
		_ = c.(*net.TCPConn).CloseWrite()
	}
	b, _ := io.ReadAll(c)
	return string(b)
}

// Ask is Say for programs that take the end of the caller's side for its going away: that comes only after the first
// answer, or after a while.
func Ask(t testing.TB, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, raw)
	_ = c.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	var said bytes.Buffer
	if res, err := http.ReadResponse(bufio.NewReaderSize(io.TeeReader(c, &said), 16), nil); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	rest, _ := io.ReadAll(c)
	return said.String() + string(rest)
}
