package http1_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/http1"
)

// fixed answers every read with the same bytes, and allocates nothing: what comes is always one whole request.
func fixed(answer string) func(int, *peer) {
	b := []byte(answer)
	return func(_ int, u *peer) {
		buf := make([]byte, 64<<10)
		for {
			if _, err := u.Conn.Read(buf); err != nil {
				return
			}
			if _, err := u.Conn.Write(b); err != nil {
				return
			}
		}
	}
}

const (
	usual = "GET /api/v1/items/17?page=2 HTTP/1.1\r\nHost: api.example.test\r\nX-Api-Key: k_0123456789abcdef0123456789abcdef\r\nUser-Agent: wrk/4.1 bench\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n\r\n"
	plain = "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 23 Nov 2026 19:30:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n"
)

// asker sends request over one connection and reads an answer of size bytes, again and again.
func asker(t testing.TB, p *proxy, request string) func() {
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	buf := make([]byte, 128<<10)
	raw := []byte(request)
	size := 0
	return func() {
		if _, err := c.Write(raw); err != nil {
			t.Fatal(err)
		}
		if size == 0 { // the first tells how long they are
			k := newPeer(t, c)
			r, err := http.ReadResponse(k.r, nil)
			if err != nil || r.StatusCode != 200 {
				t.Fatal(r, err)
			}
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				t.Fatal(err)
			}
			if size = int(n) + len("HTTP/1.1 200 OK\r\n\r\n"); r.TransferEncoding == nil {
				size += len(fmt.Sprintf("Content-Length: %d\r\n", n))
			}
			for name, v := range r.Header {
				if name != "Content-Length" {
					size += len(name) + len(v[0]) + 4
				}
			}
			return
		}
		if _, err := io.ReadFull(c, buf[:size]); err != nil {
			t.Fatal(err)
		}
	}
}

// No exchange allocates, neither here nor on its way to the upstream.
func TestNoAllocations(t *testing.T) {
	for _, c := range []struct{ name, request, answer string }{
		{"get", usual, plain + strings.Repeat("x", 1024)},
		{"post", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000), plain + strings.Repeat("x", 1024)},
		{"large answer", usual, strings.Replace(plain, "1024", "60000", 1) + strings.Repeat("x", 60_000)},
		{"chunked request", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", plain + strings.Repeat("x", 1024)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProxy(t, newUpstream(t, fixed(c.answer)), nil)
			ask := asker(t, p, c.request)
			for range 20 {
				ask()
			}
			most := 0.0
			if raced {
				most = 4
			}
			if n := testing.AllocsPerRun(500, ask); n > most {
				t.Errorf("%v allocations for each exchange", n)
			}
		})
	}
}

// BenchmarkExchange is one exchange after the other on one connection, client and upstream in the same process.
func BenchmarkExchange(b *testing.B) {
	for _, size := range []int{1024, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			answer := strings.Replace(plain, "1024", fmt.Sprint(size), 1) + strings.Repeat("x", size)
			p := newProxy(b, newUpstream(b, fixed(answer)), func(p *proxy) {
				p.server.Buffers, p.upstream.Buffers = new(http1.Buffers), new(http1.Buffers)
			})
			ask := asker(b, p, usual)
			ask()
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

// On connections whose reads are not the operating system's own, everything works the same.
func TestOverTLS(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	p := newProxy(t, newUpstream(t, ok), func(p *proxy) { p.server.Scheme = "https" })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(tls.NewListener(l, &tls.Config{Certificates: cert.TLS.Certificates})) }()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate is not what is tested
	defer tr.CloseIdleConnections()
	for i, size := range []int{0, 5, 3000, 30_000, 300_000} {
		for range 3 {
			q, err := http.NewRequest("POST", "https://"+l.Addr().String()+"/", bytes.NewReader(bytes.Repeat([]byte("x"), size)))
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 1 {
				q.ContentLength = -1
			}
			r, err := tr.RoundTrip(q)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body)
			if r.StatusCode != 200 || string(b) != "ok" || err != nil {
				t.Errorf("%d bytes: answered %d %q (%v)", size, r.StatusCode, b, err)
			}
		}
	}
	c, err := tls.Dial("tcp", l.Addr().String(), tr.TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	k := newPeer(t, c)
	k.say(get + get)
	k.answer("GET")
	k.answer("GET")
	k.say("GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if status, _ := k.answer("GET"); status != 200 {
		t.Errorf("answered %d", status)
	}
	k.say("GET / HTTP/1.1\r\nHost : a.test\r\n\r\n")
	if status, _ := k.answer("GET"); status != 400 {
		t.Errorf("answered %d", status)
	}
	k.ends()
	_ = c.Close()
	if err := p.server.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// The same on the upstream's side: a kept connection that ended is noticed under TLS too, before anything is sent on it.
func TestUpstreamOverTLS(t *testing.T) {
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
	}))
	defer up.Close()
	p := newProxy(t, up.Listener.Addr().String(), func(p *proxy) {
		p.upstream.Dial = func(ctx context.Context) (net.Conn, error) {
			p.dials.Add(1)
			d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the certificate is not what is tested
			return d.DialContext(ctx, "tcp", up.Listener.Addr().String())
		}
	})
	c := dial(t, p)
	for i, size := range []int{3, 3, 3, 100_000, 3} {
		c.say(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)))
		if status, body := c.answer("POST"); status != 200 || body != fmt.Sprint(size, nil) {
			t.Errorf("answered %d %q", status, body)
		}
		if i == 1 {
			if n := p.dials.Load(); n != 1 {
				t.Errorf("%d connections for two exchanges", n)
			}
			up.CloseClientConnections()
		}
	}
}
