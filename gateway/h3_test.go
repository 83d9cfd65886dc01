package gateway_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// h3 has the house answer HTTP/3 too, and returns a client of it and the UDP port.
func (h *house) h3(t *testing.T, secure *tls.Config, client *tls.Config) *http.Client {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.g.ServeH3(ctx, pc, secure); err != nil {
			t.Errorf("ServeH3: %v", err)
		}
	})
	tr := &http3.Transport{TLSClientConfig: client}
	t.Cleanup(func() {
		_ = tr.Close()
		cancel()
		wg.Wait()
	})
	h.addr = pc.LocalAddr().String()
	return &http.Client{Transport: tr}
}

// A call over HTTP/3 passes the same policies, is told to the upstream as what it is, and leaves the same event; what h1 and
// h2 refuse is refused here too.
func TestH3(t *testing.T) {
	secure, pool := certificate(t)
	h := start(t, setup{secure: secure})
	key, _ := h.issue()
	h.grant("read")
	c := h.h3(t, secure, &tls.Config{RootCAs: pool})
	ask := func(method, path string, body io.Reader, change func(*http.Request)) answer {
		r, err := http.NewRequest(method, "https://"+h.addr+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", key)
		if change != nil {
			change(r)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, res)
	}
	for _, body := range []string{"hello", strings.Repeat("much ", 100_000)} {
		a := ask("POST", "/eid/v1/upload", strings.NewReader(body), func(r *http.Request) {
			r.Header.Set("Gatehouse-Organization", "org_forged")
			r.Header.Set("X_API_Key", "forged")
		})
		a.want(t, 200, "")
		e := a.echoed(t)
		if e.Body != body || e.Header.Get("X-Forwarded-Proto") != "https" || e.Header.Get("X-Api-Key") != "" || e.Header.Get("Gatehouse-Organization") == "org_forged" || e.Header.Get("X_api_key") != "" {
			t.Errorf("the upstream got %d bytes, %v", len(e.Body), e.Header)
		}
		ev := h.events.of(t, a.header.Get("Gatehouse-Request-Id"))
		if ev["peer"] != "127.0.0.1" || ev["status"] != float64(200) {
			t.Errorf("the event is %v", ev)
		}
		if a.header.Get("Connection") != "" {
			t.Errorf("a field of connections: %v", a.header)
		}
	}
	ask("GET", "/eid/v1/health", nil, nil).want(t, 200, "")
	ask("HEAD", "/eid/v1/health", nil, nil).want(t, 200, "")
	ask("GET", "/eid/v1/many", nil, func(r *http.Request) { r.Header.Del("X-API-Key") }).want(t, 401, "key-missing")
	ask("GET", "/eid/v1/%2e%2e/health", nil, nil).want(t, 400, "malformed-request")
	ask("GET", "/eid//v1/health", nil, nil).want(t, 400, "malformed-request")
	ask("GET", "/nothing", nil, nil).want(t, 404, "no-route")
	ask("GET", "/eid/v1/health", nil, func(r *http.Request) { r.Header.Set("Transfer-Encoding-X", "chunked") }).want(t, 400, "malformed-request")
}

// Answers over TLS say where HTTP/3 is spoken, when it is.
func TestH3IsOffered(t *testing.T) {
	secure, pool := certificate(t)
	h := start(t, setup{secure: secure})
	h.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	get := func() string {
		res, err := h.client.Get("https://" + h.addr + "/eid/v1/health")
		if err != nil {
			t.Fatal(err)
		}
		return read(t, res).header.Get("Alt-Svc")
	}
	if got := get(); got != "" {
		t.Errorf("it is offered although nobody said so: %q", got)
	}
	h.g.OfferH3(8443)
	if got := get(); got != `h3=":8443"; ma=86400` {
		t.Errorf("it is offered as %q", got)
	}
}
