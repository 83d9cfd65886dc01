package http1_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A recorder is an upstream that keeps the bytes of each connection exactly as they came. It finds the ends of requests
// with net/http, and answers each with 200.
type recorder struct {
	addr string

	mu    sync.Mutex
	conns []*bytes.Buffer
	open  map[net.Conn]bool
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &recorder{addr: l.Addr().String(), open: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			kept := new(bytes.Buffer)
			u.mu.Lock()
			u.conns, u.open[c] = append(u.conns, kept), true
			u.mu.Unlock()
			running.Go(func() { u.serve(c, kept) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		u.mu.Lock()
		for c := range u.open {
			_ = c.Close()
		}
		u.mu.Unlock()
		running.Wait()
	})
	return u
}

// Write keeps what a connection sends.
type keeper struct {
	u *recorder
	b *bytes.Buffer
}

func (k keeper) Write(p []byte) (int, error) {
	k.u.mu.Lock()
	defer k.u.mu.Unlock()
	return k.b.Write(p)
}

func (u *recorder) serve(c net.Conn, kept *bytes.Buffer) {
	defer func() {
		_ = c.Close()
		u.mu.Lock()
		delete(u.open, c)
		u.mu.Unlock()
	}()
	r := bufio.NewReader(io.TeeReader(c, keeper{u, kept}))
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		if req.Method == "HEAD" {
			answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil || req.Close {
			return
		}
	}
}

// take returns what the connections sent since the last take. It waits until the recorder has seen the end of those
// that the proxy has given up.
func (u *recorder) take(p *proxy) []string {
	for {
		u.mu.Lock()
		accepted, open := len(u.conns), len(u.open)
		u.mu.Unlock()
		if accepted == int(p.dials.Load()) && open == p.upstream.Idle() {
			break
		}
		time.Sleep(20 * time.Microsecond)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for _, b := range u.conns {
		if b.Len() > 0 {
			all = append(all, b.String())
			b.Reset()
		}
	}
	return all
}

// say sends raw to addr, ends its side, and returns all that comes back.
func say(t testing.TB, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// A reading is one message as this test reads it: a second opinion, written apart from the package and as plainly as
// can be.
type reading struct {
	method, target string
	fields         []string // lower-case name: value
	body           string
}

// read takes the first request of raw apart. It knows nothing but the strictest form.
func read(raw string) (reading, string, error) {
	head, rest, ok := strings.Cut(raw, "\r\n\r\n")
	if !ok {
		return reading{}, "", errors.New("no end of head")
	}
	lines := strings.Split(head, "\r\n")
	for i := 0; i < len(head); i++ {
		if c := head[i]; c != '\r' && c != '\n' && c != '\t' && (c < ' ' || c == 0x7f) {
			return reading{}, "", fmt.Errorf("control byte %#x", c)
		}
	}
	if strings.Contains(strings.Join(lines, ""), "\r") || strings.Contains(strings.Join(lines, ""), "\n") {
		return reading{}, "", errors.New("bare CR or LF")
	}
	first := strings.Split(lines[0], " ")
	if len(first) != 3 || first[2] != "HTTP/1.1" || !strings.HasPrefix(first[1], "/") {
		return reading{}, "", fmt.Errorf("request line %q", lines[0])
	}
	m := reading{method: first[0], target: first[1]}
	count := map[string]int{}
	value := map[string]string{}
	for _, l := range lines[1:] {
		name, v, ok := strings.Cut(l, ": ")
		name = strings.ToLower(name)
		if !ok || name == "" || strings.Trim(v, " \t") != v || strings.ContainsAny(name, " \t\"(),/:;<=>?@[\\]{}") {
			return reading{}, "", fmt.Errorf("field line %q", l)
		}
		for i := 0; i < len(name); i++ {
			if name[i] >= 0x80 {
				return reading{}, "", fmt.Errorf("field name %q", name)
			}
		}
		switch letters := strings.Map(onlyLetters, name); {
		case name == letters:
		case letters == "contentlength" && name != "content-length", letters == "transferencoding" && name != "transfer-encoding", letters == "host":
			return reading{}, "", fmt.Errorf("field name %q", name)
		}
		count[name]++
		value[name] = v
		m.fields = append(m.fields, name+": "+v)
	}
	switch {
	case count["host"] != 1:
		return reading{}, "", errors.New("not one Host")
	case count["content-length"]+count["transfer-encoding"] > 1:
		return reading{}, "", errors.New("framed twice")
	case count["transfer-encoding"] == 1:
		if value["transfer-encoding"] != "chunked" {
			return reading{}, "", errors.New("transfer-encoding")
		}
		for {
			line, after, ok := strings.Cut(rest, "\r\n")
			n, err := strconv.ParseUint(line, 16, 31)
			if !ok || err != nil || len(after) < int(n)+2 || after[n:n+2] != "\r\n" && n > 0 {
				return reading{}, "", fmt.Errorf("chunk %q", rest)
			}
			if n == 0 {
				_, after, ok := strings.Cut("\r\n"+after, "\r\n\r\n")
				if !ok {
					return reading{}, "", errors.New("no end of trailer")
				}
				return m, after, nil
			}
			m.body += after[:n]
			rest = after[n+2:]
		}
	case count["content-length"] == 1:
		n, err := strconv.Atoi(value["content-length"])
		if err != nil || n > len(rest) || strconv.Itoa(n) != value["content-length"] {
			return reading{}, "", fmt.Errorf("content-length %q", value["content-length"])
		}
		m.body, rest = rest[:n], rest[n:]
	}
	return m, rest, nil
}

func onlyLetters(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r
	}
	return -1
}

// readings takes all that a connection sent apart, twice: as this test reads it and as net/http does. Both must agree
// in everything, and nothing may be left.
func readings(t testing.TB, raw string) []reading {
	t.Helper()
	var ours []reading
	for rest := raw; rest != ""; {
		m, after, err := read(rest)
		if err != nil {
			t.Fatalf("forwarded %q, which this test cannot read: %v", rest, err)
		}
		ours, rest = append(ours, m), after
	}
	r := bufio.NewReader(strings.NewReader(raw))
	for i := 0; ; i++ {
		req, err := http.ReadRequest(r)
		if err == io.EOF && i == len(ours) {
			return ours
		}
		if err != nil || i >= len(ours) {
			t.Fatalf("forwarded %q: net/http reads %d messages and then %v, this test %d", raw, i, err, len(ours))
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != ours[i].method || req.RequestURI != ours[i].target || string(body) != ours[i].body {
			t.Fatalf("forwarded %q: net/http reads %s %s %q (%v), this test %+v", raw, req.Method, req.RequestURI, body, err, ours[i])
		}
	}
}
