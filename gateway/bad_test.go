package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/gateway"
)

// raw sends bytes as they are and reads one answer.
func (h *house) raw(request string) answer {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = io.WriteString(c, request) }()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		h.t.Fatalf("no answer to %.60q: %v", request, err)
	}
	return read(h.t, res)
}

func TestBadInput(t *testing.T) { both(t, testBadInput) }

func testBadInput(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, limits: gateway.Limits{Body: 1 << 20}})
	key, _ := h.issue()
	h.grant("read")
	head := func(line string, fields ...string) string {
		return line + "\r\nHost: " + h.addr + "\r\nX-API-Key: " + key + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
	}
	for _, c := range []struct {
		name, raw string
		status    int
		want      string
	}{
		{"1 MB header", head("GET /eid/v1/many HTTP/1.1", "X-Big: "+strings.Repeat("a", 1<<20)), 431, "head-too-large"},
		{"33 KB header", head("GET /eid/v1/many HTTP/1.1", "X-Big: "+strings.Repeat("a", 33<<10)), 431, "head-too-large"},
		{"10,000 fields", head("GET /eid/v1/many HTTP/1.1", strings.Repeat("X-A: 1\r\n", 10000)+"X-B: 1"), 431, "head-too-large"},
		{"long address", head("GET /eid/v1/many?" + strings.Repeat("a", 9<<10) + " HTTP/1.1"), 414, "uri-too-long"},
		{"duplicate Content-Length", head("POST /eid/v1/upload HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), 400, "malformed-request"},
		{"Content-Length that is none", head("POST /eid/v1/upload HTTP/1.1", "Content-Length: -1"), 400, "malformed-request"},
		{"unknown transfer coding", head("POST /eid/v1/upload HTTP/1.1", "Transfer-Encoding: gzip"), 501, "not-implemented"},
		{"no host", "GET /eid/v1/many HTTP/1.1\r\n\r\n", 400, "malformed-request"},
		{"two hosts", head("GET /eid/v1/many HTTP/1.1", "Host: other"), 400, "malformed-request"},
		{"field without a name", head("GET /eid/v1/many HTTP/1.1", ": x"), 400, "malformed-request"},
		{"space before the colon", head("GET /eid/v1/many HTTP/1.1", "X-A : 1"), 400, "malformed-request"},
		{"nonsense", "hello\r\n\r\n", 400, "malformed-request"},
		{"HTTP/3.0", head("GET /eid/v1/many HTTP/3.0"), 505, "version-unsupported"},
		{"HTTP/2.0", head("GET /eid/v1/many HTTP/2.0"), 505, "version-unsupported"},
		{"escaped slash", head("GET /eid/v1%2fmany HTTP/1.1"), 400, "malformed-request"},
		{"escaped backslash", head("GET /eid/v1/things/a%5cb HTTP/1.1"), 400, "malformed-request"},
		{"zero byte", head("GET /eid/v1/things/a%00 HTTP/1.1"), 400, "malformed-request"},
		{"dot segments", head("GET /eid/v1/things/../many HTTP/1.1"), 400, "malformed-request"},
		{"escaped dot segments", head("GET /eid/v1/things/%2e%2e/many HTTP/1.1"), 400, "malformed-request"},
		{"dot segment with a parameter", head("GET /eid/v1/things/..;a=b/many HTTP/1.1"), 400, "malformed-request"},
		{"twice escaped", head("GET /eid/v1/things/%252e%252e HTTP/1.1"), 400, "malformed-request"},
		{"empty segment", head("GET /eid/v1//many HTTP/1.1"), 400, "malformed-request"},
		{"control character in the query", head("GET /eid/v1/many?a=\x01 HTTP/1.1"), 400, "malformed-request"},
		{"CONNECT", head("CONNECT example.org:443 HTTP/1.1"), 405, "method-not-allowed"},
		{"OPTIONS *", head("OPTIONS * HTTP/1.1"), 400, "malformed-request"},
		{"unknown path", head("GET /nothing HTTP/1.1"), 404, "no-route"},
		{"trailing slash", head("GET /eid/v1/many/ HTTP/1.1"), 404, "no-route"},
		{"path of an operation that is not exposed", head("GET /eid/v1/things/secret HTTP/1.1"), 404, "no-route"},
		{"method that is not offered", head("PUT /eid/v1/many HTTP/1.1", "Content-Length: 0"), 405, "method-not-allowed"},
		{"method in lower case", head("get /eid/v1/many HTTP/1.1"), 405, "method-not-allowed"},
		{"websocket", head("GET /eid/v1/many HTTP/1.1", "Connection: upgrade", "Upgrade: websocket"), 501, "upgrade-unsupported"},
		{"address in absolute form", head("GET http://" + h.addr + "/eid/v1/many?x HTTP/1.1"), 200, ""},
		{"another scheme", head("GET ftp://" + h.addr + "/eid/v1/many HTTP/1.1"), 400, "malformed-request"},
		{"upgrade to h2c is ignored", head("GET /eid/v1/many HTTP/1.1", "Connection: upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAAA"), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			a := h.raw(c.raw)
			a.want(t, c.status, c.want)
			if c.status == 405 && c.want == "method-not-allowed" && !strings.HasPrefix(c.raw, "CONNECT") && a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
			id := a.header.Get("Gatehouse-Request-Id")
			if ev := h.events.of(t, id); ev["status"] != float64(c.status) {
				t.Errorf("the event says %v", ev["status"])
			}
		})
	}
	h.t = t
	h.do(call{path: "/eid/v1/many", key: key}).want(t, 200, "") // it goes on
}

func TestBodies(t *testing.T) { both(t, testBodies) }

func testBodies(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, limits: gateway.Limits{Body: 1 << 20}})
	h.patient()
	key, _ := h.issue()
	h.grant("read")
	up := call{method: "POST", path: "/eid/v1/upload", key: key}

	up.body = bytes.NewReader(make([]byte, 900_000))
	a := h.do(up)
	a.want(t, 200, "")
	if n := len(a.echoed(t).Body); n != 900_000 {
		t.Errorf("the upstream got %d bytes", n)
	}
	up.body = io.LimitReader(zeros{}, 900_000) // chunked: its length is not declared
	h.do(up).want(t, 200, "")

	// 100 MB: declared it is refused before anything is read, streamed as soon as it is too much.
	a = h.raw(fmt.Sprintf("POST /eid/v1/upload HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Length: 100000000\r\nExpect: 100-continue\r\n\r\n", h.addr, key))
	a.want(t, 413, "body-too-large")
	if a.problem.Rule != "request_size" {
		t.Errorf("rule %q", a.problem.Rule)
	}
	up.body = io.LimitReader(zeros{}, 100_000_000)
	r, _ := http.NewRequest("POST", "http://"+h.addr+up.path, up.body)
	r.Header.Set("X-API-Key", key)
	res, err := h.client.Do(r)
	if err == nil { // a client that still sends may see the closed connection before the answer
		read(t, res).want(t, 413, "body-too-large")
	}
	ev := h.events.where(t, func(e map[string]any) bool { return e["status"] == 413.0 && e["request_bytes"] != 0.0 })
	if n := ev["request_bytes"].(float64); n > 1_000_000 || ev["verdict"] == "passed" {
		t.Errorf("%v bytes were taken, verdict %v", n, ev["verdict"])
	}

	// What is wrong within a body.
	a = h.raw(fmt.Sprintf("POST /eid/v1/upload HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", h.addr, key))
	a.want(t, 400, "malformed-request")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBodyThatStopsComing(t *testing.T) { both(t, testBodyThatStopsComing) }

func testBodyThatStopsComing(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec, limits: gateway.Limits{Stall: 50 * time.Millisecond}})
	key, _ := h.issue()
	h.grant("read")
	a := h.raw(fmt.Sprintf("POST /eid/v1/upload HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Length: 10\r\n\r\nabc", h.addr, key))
	a.want(t, 408, "request-timeout")
}

func TestCORS(t *testing.T) { both(t, testCORS) }

func testCORS(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	page := func(method string, fields ...string) call {
		c := call{method: method, path: "/eid/v1/many", header: http.Header{"Origin": {"https://partner.example"}}}
		for i := 0; i < len(fields); i += 2 {
			c.header.Set(fields[i], fields[i+1])
		}
		return c
	}
	a := h.do(page("OPTIONS", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-api-key, content-type"))
	if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "https://partner.example" || a.header.Get("Access-Control-Allow-Methods") != "GET" ||
		a.header.Get("Access-Control-Allow-Headers") != "Content-Type, X-API-Key" || a.header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
	if ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id")); ev["verdict"] != "answered" || ev["rule"] != "cors" {
		t.Errorf("its event: %v", ev)
	}
	c := page("GET")
	a = h.do(c)
	a.want(t, 401, "key-missing")
	if a.header.Get("Access-Control-Allow-Origin") != "https://partner.example" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "RateLimit") {
		t.Errorf("a page cannot read why it was refused: %v", a.header)
	}
	c.key = key
	a = h.do(c)
	a.want(t, 200, "")
	if a.header.Get("Access-Control-Allow-Origin") != "https://partner.example" || a.header.Get("Vary") != "Origin" {
		t.Errorf("a page cannot read its answer: %v", a.header)
	}
	c.header.Set("Origin", "https://evil.example")
	if a = h.do(c); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page can read the answer: %d %v", a.status, a.header)
	}
	h.do(page("OPTIONS", "Access-Control-Request-Method", "GET", "Origin", "https://evil.example")).want(t, 403, "origin-not-allowed")
	h.do(page("OPTIONS", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "X-Other")).want(t, 403, "header-not-allowed")
	h.do(page("OPTIONS", "Access-Control-Request-Method", "PUT")).want(t, 405, "method-not-allowed")
	h.do(page("OPTIONS")).want(t, 405, "method-not-allowed")
}

// HEAD follows GET, and an open route never hands a key on.
func TestHeadAndOpenRoutes(t *testing.T) { both(t, testHeadAndOpenRoutes) }

func testHeadAndOpenRoutes(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	a := h.do(call{method: "HEAD", path: "/eid/v1/many", key: key})
	if a.status != 200 || a.body != "" || a.header.Get("RateLimit") == "" {
		t.Errorf("HEAD: %d %q %v", a.status, a.body, a.header)
	}
	a = h.do(call{method: "HEAD", path: "/eid/v1/many"})
	if a.status != 401 || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("HEAD without a key: %d", a.status)
	}
	a = h.do(call{path: "/eid/v1/health", key: key, header: http.Header{"Authorization": {"Bearer " + key}, "X-Other": {key}}})
	a.want(t, 200, "")
	if strings.Contains(a.body, key[20:]) {
		t.Errorf("the key reached the upstream of an open route: %s", a.body)
	}
	if e := a.echoed(t); e.Header.Get("Gatehouse-Application") != "" || e.Header.Get("Gatehouse-Request-Id") == "" {
		t.Errorf("identity on an open route: %v", e.Header)
	}
}

// Refused requests whose bodies nobody reads: every caller gets its answer, and keeps its connection.
func TestRefusedBodiesKeepTheConnection(t *testing.T) { both(t, testRefusedBodiesKeepTheConnection) }

func testRefusedBodiesKeepTheConnection(t *testing.T, codec gateway.Codec) {
	h := start(t, setup{codec: codec})
	key, _ := h.issue()
	h.grant("read")
	h.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	const callers, calls = 8, 100
	began := time.Now()
	var fresh, limited atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range calls {
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
					if !c.Reused {
						fresh.Add(1)
					}
				}})
				path := "/eid/v1/whoami" // 405
				var body io.Reader = strings.NewReader(strings.Repeat("x", 10+100*i))
				if i%2 == 0 {
					path = "/eid/v1/upload"
				}
				if i%4 == 0 {
					body = io.MultiReader(body) // chunked
				}
				r, _ := http.NewRequestWithContext(ctx, "POST", "http://"+h.addr+path, body)
				r.Header.Set("X-API-Key", key)
				res, err := h.client.Do(r)
				if err != nil {
					t.Errorf("call %d: %v", i, err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode == 429 {
					limited.Add(1)
				}
			}
		})
	}
	wg.Wait()
	passed := callers*calls/2 - limited.Load()
	if most := 5 + int64(time.Since(began)/(2*time.Second)); passed < 5 || passed > most { // one more every two seconds
		t.Errorf("%d calls passed the limit of %d", passed, most)
	}
	if fresh.Load() > callers+2 {
		t.Errorf("%d connections were opened by %d callers", fresh.Load(), callers)
	}
}
