package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/feed"
	"gatehouse/gateway"
	"gatehouse/manifest"
)

const (
	wsKey  = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455 §1.3
	wsAsks = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
)

// sockets is an upstream whose WebSockets say back what they hear. The path's end says what else it does.
func sockets(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept, protocol := "Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n", "websocket"
	switch what := r.URL.Query().Get("do"); what {
	case "refuse":
		http.Error(w, "not today", http.StatusForbidden)
		return
	case "plain":
		_, _ = io.WriteString(w, "plain")
		return
	case "wrong":
		accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n"
	case "none":
		accept = ""
	case "twice":
		accept += accept
	case "other":
		protocol = "chat"
	}
	if unasked := r.URL.Query().Get("do") == "unasked"; !unasked && (r.Header.Get("X-Api-Key") != "" || r.Header.Get("Gatehouse-Grant") == "" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") || len(r.Header["Connection"]) != 1) {
		http.Error(w, "these are not the fields of a gateway", 500)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\nGatehouse-Grant: forged\r\n%s\r\n", protocol, accept)
	_, _ = io.Copy(c, rw)
}

// withSockets lets an operation's connections become WebSockets.
func withSockets(upstream, bounds string) manifest.Bundle {
	b := files(upstream, "")
	b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "{id: many,", "{id: many, websocket: "+bounds+",", 1))
	return b
}

// A socket is a client's connection that may have become one.
type socket struct {
	t *testing.T
	net.Conn
	r   *bufio.Reader
	res *http.Response
}

// socket asks for a WebSocket. more are further lines of the head.
func (h *house) socket(t *testing.T, path, more string) *socket {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	return h.socketOn(t, c, path, more)
}

// socketOn asks on a connection.
func (h *house) socketOn(t *testing.T, c net.Conn, path, more string) (s *socket) {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	err := c.SetDeadline(time.Now().Add(20 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, h.addr, more); err != nil {
		t.Fatal(err)
	}
	s = &socket{t: t, Conn: c, r: bufio.NewReader(c)}
	if s.res, err = http.ReadResponse(s.r, nil); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return s
}

func asks(key string) string {
	return wsAsks + "Sec-WebSocket-Key: " + wsKey + "\r\nX-API-Key: " + key + "\r\n"
}

// open asks for one and has it.
func (h *house) open(t *testing.T, key string) *socket {
	t.Helper()
	s := h.socket(t, "/eid/v1/many", asks(key))
	if s.res.StatusCode != 101 {
		read(t, s.res).want(t, 101, "")
		t.FailNow()
	}
	s.echo("hello")
	return s
}

// echo sends and hears the same.
func (s *socket) echo(text string) {
	s.t.Helper()
	go func() { _, _ = io.WriteString(s, text) }()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(s.r, got); err != nil || string(got) != text {
		s.t.Fatalf("%d bytes of %d came back, or others: %v", n, len(text), err)
	}
}

// over waits for the end.
func (s *socket) over() {
	s.t.Helper()
	if n, err := io.Copy(io.Discard, s.r); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("it goes on: %d bytes, %v", n, err)
	}
}

// event is what is told of it at its end.
func (h *house) ended(s *socket, verdict, code string) map[string]any {
	s.t.Helper()
	e := h.events.of(s.t, s.res.Header.Get("Gatehouse-Request-Id"))
	if e["status"] != 101.0 || e["verdict"] != verdict || e["code"] != code {
		s.t.Errorf("the event says %v %v %q, not 101 %s %q", e["status"], e["verdict"], e["code"], verdict, code)
	}
	return e
}

func (h *house) startSockets(t *testing.T, bounds string, limits gateway.Limits) {
	t.Helper()
	*h = *start(t, setup{codec: gateway.HTTP1, upstream: http.HandlerFunc(sockets), limits: limits})
	h.inForce(h.revise(withSockets(h.upstream.URL, bounds)))
}

func TestWebSocket(t *testing.T) {
	var h house
	h.startSockets(t, "{}", gateway.Limits{})
	key, _ := h.issue()
	g := h.grant("read")
	s := h.open(t, key)
	for name, want := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Gatehouse-Grant": "", "X-From": "gateway"} {
		if got := s.res.Header.Get(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if n := h.gathered(t)["gatehouse_tunnels_open environment=live"]; n != 1 {
		t.Errorf("%v are counted as open", n)
	}
	sent := len("hello")
	for _, size := range []int{1, 125, 4096, 70_000, 1 << 20} {
		b := make([]byte, size)
		_, _ = rand.Read(b)
		s.echo(string(b))
		sent += size
	}
	h.do(call{path: "/eid/v1/things/a?do=plain", key: key}).want(t, 200, "")
	if h.g.View().Revision != 2 {
		t.Fatal("not this revision")
	}
	// What concerns somebody else, and the same once more, changes nothing.
	_, other := h.issue()
	other.Live = false
	h.inForce(h.put(other))
	h.inForce(h.put(g))
	h.inForce(h.revise(withSockets(h.upstream.URL, "{idle: 2m}")))
	s.echo("still here")
	sent += len("still here")

	_ = s.Conn.(*net.TCPConn).CloseWrite()
	s.over()
	e := h.ended(s, "passed", "")
	if e["request_bytes"] != float64(sent) || e["response_bytes"] != float64(sent) || e["grant"] != string(g.ID) || e["operation"] != "many" {
		t.Errorf("of %d bytes each way the event says %v", sent, e)
	}
	h.wait("none is open", func() bool { return h.gathered(t)["gatehouse_tunnels_open environment=live"] == 0 })
}

// A WebSocket ends with what let its caller in: when the gateway says that the change is in force, it is over.
func TestWebSocketEnds(t *testing.T) {
	for _, c := range []struct {
		name, code, bounds string
		end                func(*house, feed.Grant, feed.Credential)
	}{
		{"the credential is revoked", "credential-revoked", "{}", func(h *house, _ feed.Grant, c feed.Credential) { c.Live = false; h.inForce(h.put(c)) }},
		{"the credential is bound to another grant", "no-grant", "{}", func(h *house, g feed.Grant, c feed.Credential) {
			other := g
			start := other.ID[:len(other.ID)-1]
			if other.ID = start + "0"; other.ID == g.ID {
				other.ID = start + "1"
			}
			c.Grants = append(c.Grants, other.ID)
			h.inForce(h.put(c))
		}},
		{"the grant is suspended", "grant-suspended", "{}", func(h *house, g feed.Grant, _ feed.Credential) { g.State = "suspended"; h.inForce(h.put(g)) }},
		{"the grant is ended", "grant-ended", "{}", func(h *house, g feed.Grant, _ feed.Credential) { g.State = "ended"; h.inForce(h.put(g)) }},
		{"the grant is narrowed", "scope-missing", "{}", func(h *house, g feed.Grant, _ feed.Credential) { g.Scopes = nil; h.inForce(h.put(g)) }},
		{"the application is closed", "application-not-live", "{}", func(h *house, _ feed.Grant, _ feed.Credential) {
			h.inForce(h.put(feed.Application{ID: h.app, Organization: h.org, Name: "Shop"}))
		}},
		{"the organization is suspended", "organization-not-live", "{}", func(h *house, _ feed.Grant, _ feed.Credential) {
			h.inForce(h.put(feed.Organization{ID: h.org, Name: "Acme"}))
		}},
		{"WebSockets are not offered any more", "upgrade-unsupported", "{}", func(h *house, _ feed.Grant, _ feed.Credential) { h.inForce(h.revise(files(h.upstream.URL, ""))) }},
		{"the operation is not offered any more", "route-withdrawn", "{}", func(h *house, _ feed.Grant, _ feed.Credential) {
			b := files(h.upstream.URL, "")
			b["gatehouse.yaml"] = []byte(strings.Replace(string(b["gatehouse.yaml"]), "{id: many,", "{id: many, expose: false,", 1))
			h.inForce(h.revise(b))
		}},
		{"the grant reaches its end", "grant-expired", "{}", func(h *house, _ feed.Grant, _ feed.Credential) { h.clock.move(61 * time.Minute) }},
		{"the credential reaches its end", "credential-expired", "{}", func(h *house, g feed.Grant, _ feed.Credential) {
			g.Until = time.Now().Add(100 * time.Hour)
			h.inForce(h.put(g))
			h.clock.move(24*time.Hour + time.Minute)
		}},
		{"it was open for the longest", "tunnel-longest", "{longest: 2s}", func(*house, feed.Grant, feed.Credential) {}},
		{"nothing was said", "tunnel-idle", "{idle: 1s}", func(*house, feed.Grant, feed.Credential) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var h house
			h.startSockets(t, c.bounds, gateway.Limits{})
			key, cred := h.issue()
			g := h.grant("read")
			s := h.open(t, key)
			c.end(&h, g, cred)
			if !strings.HasPrefix(c.code, "tunnel-") && !strings.HasSuffix(c.code, "-expired") {
				_, _ = io.WriteString(s, "too late") // it is said to be in force
			}
			s.over()
			h.ended(s, "aborted", c.code)
			h.wait("none is open", func() bool { return h.gathered(t)["gatehouse_tunnels_open environment=live"] == 0 })
		})
	}
}

// At its end by the clock a grant ends its WebSockets to the moment, not at the next look.
func TestWebSocketEndsOnTime(t *testing.T) {
	var h house
	h.startSockets(t, "{}", gateway.Limits{})
	key, _ := h.issue()
	g := h.grant("read")
	s := h.open(t, key)
	g.Until = time.Now().Add(1500 * time.Millisecond)
	h.inForce(h.put(g))
	s.echo("still here")
	s.over()
	if late := time.Since(g.Until); late < 0 || late > 500*time.Millisecond {
		t.Errorf("it ended %v after the grant", late)
	}
	h.ended(s, "aborted", "grant-expired")
}

func TestWebSocketRefused(t *testing.T) {
	var h house
	h.startSockets(t, "{most: 2}", gateway.Limits{})
	key, _ := h.issue()
	h.grant("read")
	with := func(more string) string { return wsAsks + more + "X-API-Key: " + key + "\r\n" }
	good := "Sec-WebSocket-Key: " + wsKey + "\r\n"
	for _, c := range []struct {
		name, path, head string
		status           int
		want             string
	}{
		{"an operation without", "/eid/v1/things/a", with(good), 501, "upgrade-unsupported"},
		{"nobody", "/eid/v1/many", wsAsks + good, 401, "key-missing"},
		{"no key", "/eid/v1/many", with(""), 400, "malformed-request"},
		{"a short key", "/eid/v1/many", with("Sec-WebSocket-Key: dGhl\r\n"), 400, "malformed-request"},
		{"two keys", "/eid/v1/many", with(good + good), 400, "malformed-request"},
		{"a key that Connection names", "/eid/v1/many", strings.Replace(with(good), "keep-alive,", "Sec-WebSocket-Key,", 1), 400, "malformed-request"},
		{"a body", "/eid/v1/many", with(good+"Content-Length: 2\r\n") + "\r\nhi", 501, "upgrade-unsupported"},
		{"two Upgrade fields", "/eid/v1/many", with(good + "Upgrade: websocket\r\n"), 501, "upgrade-unsupported"},
		{"no Connection", "/eid/v1/many?do=plain", strings.Replace(with(good), "keep-alive, Upgrade", "keep-alive", 1), 200, ""},
		{"the upstream declines", "/eid/v1/many?do=refuse", with(good), 403, ""},
		{"the upstream goes on in HTTP", "/eid/v1/many?do=plain", with(good), 200, ""},
		{"another protocol", "/eid/v1/many?do=other", with(good), 502, "upstream-switched"},
		{"another's answer", "/eid/v1/many?do=wrong", with(good), 502, "upstream-switched"},
		{"no answer to the key", "/eid/v1/many?do=none", with(good), 502, "upstream-switched"},
		{"two answers to the key", "/eid/v1/many?do=twice", with(good), 502, "upstream-switched"},
		{"nobody asked", "/eid/v1/many?do=unasked", "X-API-Key: " + key + "\r\nConnection: Upgrade\r\n", 502, "upstream-switched"},
	} {
		t.Run(c.name, func(t *testing.T) { read(t, h.socket(t, c.path, c.head).res).want(t, c.status, c.want) })
	}
	t.Run("too many", func(t *testing.T) {
		a, b := h.open(t, key), h.open(t, key)
		full := read(t, h.socket(t, "/eid/v1/many", asks(key)).res)
		if full.want(t, 503, "tunnels-full"); full.header.Get("Retry-After") == "" {
			t.Error("nobody says when to try again")
		}
		_ = a.Close()
		h.ended(a, "passed", "")
		h.wait("one is open", func() bool { return h.gathered(t)["gatehouse_tunnels_open environment=live"] == 1 })
		h.open(t, key).echo("again")
		b.echo("still here")
	})
	if n := h.gathered(t)["gatehouse_tunnels_open environment=live"]; n > 2 {
		t.Errorf("%v are counted as open", n)
	}
}

// A gateway that stops lets WebSockets go on for as long as exchanges may, and not longer.
func TestWebSocketDrain(t *testing.T) {
	var s *socket
	var h house
	t.Run("open", func(inner *testing.T) { // whose end stops the gateway
		h.startSockets(inner, "{}", gateway.Limits{Drain: 300 * time.Millisecond})
		key, _ := h.issue()
		h.grant("read")
		s = h.open(t, key)
	})
	s.over()
	h.ended(s, "aborted", "tunnel-drained")
}

// Bytes that a side sends before the handshake is over are carried like all others.
func TestWebSocketEarly(t *testing.T) {
	var h house
	h.startSockets(t, "{}", gateway.Limits{})
	key, _ := h.issue()
	h.grant("read")
	early := bytes.Repeat([]byte("early"), 100)
	s := h.socket(t, "/eid/v1/many", asks(key)+"\r\n"+string(early[:len(early)-2]))
	got := make([]byte, len(early)-2)
	if _, err := io.ReadFull(s.r, got); err != nil || !bytes.Equal(got, early[:len(got)]) {
		t.Errorf("%q came back: %v", got, err)
	}
}

// Over TLS it is the same.
func TestWebSocketOverTLS(t *testing.T) {
	secure, pool := certificate(t)
	h := start(t, setup{codec: gateway.HTTP1, secure: secure, upstream: http.HandlerFunc(sockets)})
	h.inForce(h.revise(withSockets(h.upstream.URL, "{}")))
	key, cred := h.issue()
	h.grant("read")
	c, err := tls.Dial("tcp", h.addr, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s := h.socketOn(t, c, "/eid/v1/many", asks(key))
	if s.res.StatusCode != 101 {
		t.Fatalf("answered %d", s.res.StatusCode)
	}
	s.echo(strings.Repeat("secret", 50_000))
	cred.Live = false
	h.inForce(h.put(cred))
	_, _ = io.WriteString(s, "too late")
	s.over()
	h.ended(s, "aborted", "credential-revoked")
}
