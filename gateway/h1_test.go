package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/gateway"
)

// A recorder is an upstream that keeps every byte and answers each head with 204.
type recorder struct {
	l    net.Listener
	mu   sync.Mutex
	got  bytes.Buffer
	done sync.WaitGroup
}

func newRecorder(t *testing.T) *recorder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{l: l}
	r.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.done.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); r.done.Wait() })
	return r
}

func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		r.mu.Lock()
		r.got.Write(buf[:n])
		r.mu.Unlock()
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
			if _, err := io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
				return
			}
		}
	}
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// What can be read in two ways is refused with a problem and an event, the connection is closed, and the upstream hears
// nothing of it nor of what is hidden behind it. net/http would let some of these through.
func TestTwoReadings(t *testing.T) {
	up := newRecorder(t)
	h := start(t, setup{codec: gateway.HTTP1, bundle: files("http://"+up.l.Addr().String(), "")})
	key, _ := h.issue()
	h.grant("read")
	hidden := "GET /eid/v1/things/hidden HTTP/1.1\r\nHost: " + h.addr + "\r\nX-API-Key: " + key + "\r\n\r\n"
	post := func(fields string) string {
		return "POST /eid/v1/upload HTTP/1.1\r\nHost: " + h.addr + "\r\nX-API-Key: " + key + "\r\n" + fields + "\r\n"
	}
	chunked := "0\r\n\r\n"
	for _, c := range []struct {
		name, raw string
		status    int
		problem   string
	}{
		{"length and encoding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + chunked, 400, "malformed-request"},
		{"encoding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + chunked, 400, "malformed-request"},
		{"length twice, the same", post("Content-Length: 0\r\nContent-Length: 0\r\n"), 400, "malformed-request"},
		{"length as a list", post("Content-Length: 0, 0\r\n"), 400, "malformed-request"},
		{"length with a sign", post("Content-Length: +0\r\n"), 400, "malformed-request"},
		{"encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + chunked, 501, "not-implemented"},
		{"encoding as a list", post("Transfer-Encoding: identity, chunked\r\n") + chunked, 501, "not-implemented"},
		{"encoding in quotes", post("Transfer-Encoding: \"chunked\"\r\n") + chunked, 501, "not-implemented"},
		{"encoding after a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n") + chunked, 400, "malformed-request"},
		{"encoding with a space before the colon", post("Transfer-Encoding : chunked\r\n") + chunked, 400, "malformed-request"},
		{"encoding with an underscore", post("Transfer_Encoding: chunked\r\n") + chunked, 400, "malformed-request"},
		{"length with an underscore", post("Content_Length: 5\r\n"), 400, "malformed-request"},
		{"encoding with another byte", post("Transfer\x7fEncoding: chunked\r\n") + chunked, 400, "malformed-request"},
		{"encoding that Connection names", post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n") + chunked, 400, "malformed-request"},
		{"encoding in HTTP/1.0", strings.Replace(post("Transfer-Encoding: chunked\r\n"), "1.1", "1.0", 1) + chunked, 400, "malformed-request"},
		{"line ends", strings.ReplaceAll(post("Content-Length: 0\r\n"), "\r\n", "\n"), 400, "malformed-request"},
		{"one line's end", post("X-A: 1\nTransfer-Encoding: chunked\r\n"), 400, "malformed-request"},
		{"carriage return within", post("X-A: 1\rTransfer-Encoding: chunked\r\n"), 400, "malformed-request"},
		{"folded line", post("X-A: 1\r\n Content-Length: 5\r\n"), 400, "malformed-request"},
		{"folded line first", "GET /eid/v1/many HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400, "malformed-request"},
		{"zero byte", post("X-A: 1\x00\r\n"), 400, "malformed-request"},
		{"host twice", post("Host: " + h.addr + "\r\n"), 400, "malformed-request"},
		{"host unlike the target", "GET http://other/eid/v1/many HTTP/1.1\r\nHost: " + h.addr + "\r\n\r\n", 400, "malformed-request"},
		{"host with a path", "GET /eid/v1/many HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "malformed-request"},
		{"chunk size with a sign", post("Transfer-Encoding: chunked\r\n") + "+0\r\n\r\n", 400, "malformed-request"},
		{"chunk size with 0x", post("Transfer-Encoding: chunked\r\n") + "0x0\r\n\r\n", 400, "malformed-request"},
		{"chunk that ends with LF", post("Transfer-Encoding: chunked\r\n") + "1\r\na\n0\r\n\r\n", 400, "malformed-request"},
		{"chunk longer than it says", post("Transfer-Encoding: chunked\r\n") + "1\r\nabc\r\n0\r\n\r\n", 400, "malformed-request"},
		{"trailer that frames", post("Transfer-Encoding: chunked\r\n") + "0\r\nContent-Length: 5\r\n\r\n", 400, "malformed-request"},
		{"version without a minor", "GET /eid/v1/many HTTP/1\r\nHost: a\r\n\r\n", 400, "malformed-request"},
		{"two spaces", "GET  /eid/v1/many HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"},
		{"parameter on a dot segment", "GET /eid/v1/things/..%3bx/many HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"},
		{"overlong slash", "GET /eid/v1/things/%c0%af HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			conn, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, c.raw+hidden); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			a := read(t, res)
			a.want(t, c.status, c.problem)
			if !res.Close || a.problem.Rule != "message" {
				t.Errorf("closed: %v, rule %q", res.Close, a.problem.Rule)
			}
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
				t.Errorf("after the answer came %q, %v", rest, err)
			}
			if ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id")); ev["verdict"] != "refused" || ev["rule"] != "message" || ev["code"] != c.problem {
				t.Errorf("the event says %v", ev)
			}
		})
	}
	h.t = t
	if got := up.text(); got != "" {
		t.Errorf("the upstream heard %q", got)
	}
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 204, "")
	if got := up.text(); strings.Count(got, "HTTP/1.1\r\n") != 1 {
		t.Errorf("the upstream heard %q", got)
	}
	refused := 0.0
	for name, n := range h.gathered(t) {
		if strings.HasPrefix(name, "gatehouse_exchanges_total") && strings.Contains(name, "rule=message") {
			refused += n
		}
	}
	if refused != 33 {
		t.Errorf("%v refused messages are counted", refused)
	}
}

// A head that does not come in time is answered, and leaves an event.
func TestSlowHead(t *testing.T) {
	h := start(t, setup{codec: gateway.HTTP1, limits: gateway.Limits{HeadTime: 50 * time.Millisecond}})
	a := h.raw("GET /eid/v1/many HTTP/1.1\r\nHost: a\r\nX-A:")
	a.want(t, 408, "request-timeout")
	h.events.of(t, a.header.Get("Gatehouse-Request-Id"))
}

// Requests that were sent together are answered in their order, each by its own exchange.
func TestPipelined(t *testing.T) {
	h := start(t, setup{codec: gateway.HTTP1})
	key, _ := h.issue()
	h.grant("read")
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var all strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		all.WriteString("GET /eid/v1/things/" + name + " HTTP/1.1\r\nHost: " + h.addr + "\r\nX-API-Key: " + key + "\r\n\r\n")
		all.WriteString("GET /eid/v1/things/none-" + name + " HTTP/1.1\r\nHost: " + h.addr + "\r\n\r\n")
	}
	if _, err := io.WriteString(conn, all.String()); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for _, name := range []string{"a", "b", "c"} {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := read(t, res)
		if e := a.echoed(t); e.URI != "/v1/things/"+name {
			t.Errorf("the answer is that of %s, want %s", e.URI, name)
		}
		if res, err = http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		a = read(t, res)
		a.want(t, 401, "key-missing")
		if a.problem.Instance != "/eid/v1/things/none-"+name {
			t.Errorf("the refusal is that of %s", a.problem.Instance)
		}
	}
}

// What an upstream says before or after its answer does not reach the caller as the gateway's word.
func TestUpstreamAsides(t *testing.T) {
	h := start(t, setup{codec: gateway.HTTP1, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Gatehouse-Grant", "forged")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "Gatehouse-Scopes, Content-Digest")
		_, _ = io.WriteString(w, "content")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set("Gatehouse-Scopes", "forged")
		w.Header().Set("Content-Digest", "1")
	})})
	key, _ := h.issue()
	h.grant("read")
	r, _ := http.NewRequest("GET", "http://"+h.addr+"/eid/v1/many", nil)
	r.Header.Set("X-API-Key", key)
	r.Header.Set("TE", "trailers")
	res, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a := read(t, res)
	if a.status != 200 || a.body != "content" || a.header.Get("Gatehouse-Grant") != "" || res.Trailer.Get("Gatehouse-Scopes") != "" || res.Trailer.Get("Content-Digest") != "1" {
		t.Errorf("the caller got %d %q %v %v", a.status, a.body, a.header, res.Trailer)
	}
}

// Over TLS the scheme and the caller are told as they are.
func TestOverTLS(t *testing.T) { both(t, testOverTLS) }

func testOverTLS(t *testing.T, codec gateway.Codec) {
	secure, pool := certificate(t)
	h := start(t, setup{codec: codec, secure: secure})
	key, _ := h.issue()
	h.grant("read")
	h.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	for range 3 {
		r, _ := http.NewRequest("POST", "https://"+h.addr+"/eid/v1/upload", strings.NewReader("hello"))
		r.Header.Set("X-API-Key", key)
		res, err := h.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a := read(t, res)
		a.want(t, 200, "")
		e := a.echoed(t)
		if e.Body != "hello" || e.Header.Get("X-Forwarded-Proto") != "https" || e.Header.Get("X-Forwarded-For") != "127.0.0.1" ||
			!strings.HasSuffix(e.Header.Get("Forwarded"), ";proto=https") {
			t.Errorf("the upstream got %q %v", e.Body, e.Header)
		}
		if ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id")); ev["peer"] != "127.0.0.1" {
			t.Errorf("the event's peer is %v", ev["peer"])
		}
	}
}

// certificate makes one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// An upstream over TLS is verified: one that cannot prove its name is not asked.
func TestUpstreamOverTLS(t *testing.T) { both(t, testUpstreamOverTLS) }

func testUpstreamOverTLS(t *testing.T, codec gateway.Codec) {
	secure, pool := certificate(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", secure)
	if err != nil {
		t.Fatal(err)
	}
	up := &http.Server{Handler: http.HandlerFunc(echo)}
	done := make(chan struct{})
	go func() { _ = up.Serve(l); close(done) }()
	t.Cleanup(func() { _ = up.Close(); <-done })
	h := start(t, setup{codec: codec, bundle: files("https://"+l.Addr().String(), "")})
	if a := h.do(call{path: "/eid/v1/health"}); a.status != 502 {
		t.Errorf("an upstream that nobody vouches for: %d %s", a.status, a.body)
	}
	h = start(t, setup{codec: codec, roots: pool, bundle: files("https://"+l.Addr().String(), "")})
	for range 3 {
		a := h.do(call{path: "/eid/v1/health"})
		a.want(t, 200, "")
		if e := a.echoed(t); e.URI != "/v1/health" || e.Host != l.Addr().String() {
			t.Errorf("the upstream got %+v", e)
		}
	}
}
