package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// selfSigned writes a certificate for this machine and its key into the folder, and returns who trusts it.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// H3 is spoken by the real program, and at a handover what runs on its connections ends well: what is lost is only that for a while nobody
// answers there, and that everybody who comes over TCP meanwhile is answered.
func TestHTTP3OfServe(t *testing.T) {
	h := newHTTP3(t)
	h.start("--dev", "--manifest", filepath.Join(h.dir, "manifest"))
	h.walk(func() string { return h.now.Gateways["live"] })
}

// The same, of a gateway in a process of its own.
func TestHTTP3OfAGateway(t *testing.T) {
	h := newHTTP3(t)
	k := &killed{T: t, dir: h.dir, keys: map[string]*killedKey{}}
	var err error
	if k.feed, err = freeAddress("127.0.3.3:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.control.kill() })
	k.startControl()
	var e struct{ Token string }
	k.must("POST", "/api/gateway-enrolments", k.admin, map[string]string{"environment": "live", "name": "one"}, &e)
	h.env = append(h.env, "GATEHOUSE_FEED_TOKEN="+e.Token)
	h.run(exec.Command(filepath.Join(binary, "gatehouse"), "gateway", "-o", "json", "--control", k.feed, "--data", filepath.Join(h.dir, "gateway-data")))
	h.walk(func() string { return h.now.Gateway })
}

type overHTTP3 struct {
	*running
	secure           *tls.Config
	arrived, release chan struct{}
}

func newHTTP3(t *testing.T) *overHTTP3 {
	h := &overHTTP3{running: newRunning(t), arrived: make(chan struct{}, 1), release: make(chan struct{})}
	h.secure = &tls.Config{RootCAs: selfSigned(t, h.dir)}
	h.env = append(h.env, "GATEHOUSE_GATEWAY_HTTP3=true", "GATEHOUSE_GATEWAY_TLS_CERTIFICATE="+filepath.Join(h.dir, "cert.pem"), "GATEHOUSE_GATEWAY_TLS_KEY="+filepath.Join(h.dir, "key.pem"))
	for i, v := range h.env {
		if v == "GATEHOUSE_GATEWAY_H2C=true" {
			h.env = append(h.env[:i], h.env[i+1:]...)
			break
		}
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			h.arrived <- struct{}{}
			<-h.release
		}
		fmt.Fprint(w, "answered")
	}))
	t.Cleanup(up.Close)
	h.declare(up.URL, 1)
	return h
}

// client is one of HTTP/3 with a connection of its own.
func (h *overHTTP3) client() *http.Client {
	tr := &http3.Transport{TLSClientConfig: h.secure}
	h.t.Cleanup(func() { _ = tr.Close() })
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// ask wants an answer over the protocol.
func (h *overHTTP3) ask(ctx context.Context, c *http.Client, method, gateway, protocol string) error {
	u, err := url.Parse(gateway)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://127.0.0.1:"+u.Port()+"/eid/x", strings.NewReader(""))
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || string(b) != "answered" || res.Proto != protocol {
		return fmt.Errorf("%s is answered %d %q over %s, not over %s", method, res.StatusCode, b, res.Proto, protocol)
	}
	if offers := strings.HasPrefix(res.Header.Get("Alt-Svc"), `h3=":`+u.Port()+`"`); offers != (protocol != "HTTP/3.0") {
		return fmt.Errorf("over %s Alt-Svc is %q", protocol, res.Header.Get("Alt-Svc"))
	}
	return nil
}

func (h *overHTTP3) walk(gateway func() string) {
	h.t.Helper()
	before := h.client()
	if err := h.ask(h.t.Context(), before, "GET", gateway(), "HTTP/3.0"); err != nil {
		h.t.Fatal(err)
	}
	at, old := gateway(), h.now.Process
	running := make(chan error, 1)
	go func() { running <- h.ask(h.t.Context(), before, "POST", at, "HTTP/3.0") }()
	<-h.arrived

	stop, overTCP := make(chan struct{}), make(chan error, 1)
	var asked atomic.Int64
	go func() { overTCP <- h.overTCP(at, stop, &asked) }()
	if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
		h.t.Fatal(err)
	}
	h.await()
	if gateway() != at || h.now.Process == old {
		h.t.Fatalf("process %d at %s became %d at %s", old, at, h.now.Process, gateway())
	}
	// The old process still has the port: a new connection is not taken, or not by anybody who goes on.
	soon, cancel := context.WithTimeout(h.t.Context(), 500*time.Millisecond)
	err := h.ask(soon, h.client(), "GET", at, "HTTP/3.0")
	cancel()
	if err == nil {
		h.t.Error("a new connection was answered while the old process has the port: then docs/http2.md is wrong")
	}
	h.release <- struct{}{}
	if err := <-running; err != nil {
		h.t.Errorf("the request that ran at the handover: %v", err)
	}
	h.gone(old)
	for deadline := time.Now().Add(time.Minute); ; {
		soon, cancel := context.WithTimeout(h.t.Context(), 2*time.Second)
		err := h.ask(soon, h.client(), "GET", at, "HTTP/3.0")
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("HTTP/3 is not there again: %v", err)
		}
	}
	close(stop)
	if err := <-overTCP; err != nil || asked.Load() == 0 {
		h.t.Errorf("over TCP meanwhile: %v, %d answered", err, asked.Load())
	}
}

// overTCP asks over HTTP/1.1, each time with a new connection, until stop is closed.
func (h *overHTTP3) overTCP(gateway string, stop <-chan struct{}, asked *atomic.Int64) error {
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: h.secure.Clone(), DisableKeepAlives: true}, Timeout: time.Minute}
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(10 * time.Millisecond):
		}
		if err := h.ask(context.Background(), c, "GET", gateway, "HTTP/1.1"); err != nil {
			return errors.Join(errors.New("lost over TCP"), err)
		}
		asked.Add(1)
	}
}
