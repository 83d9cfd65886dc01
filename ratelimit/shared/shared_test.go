package shared_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/ratelimit"
	"gatehouse/ratelimit/shared"
)

const patience = 30 * time.Second

// server is a redis-server (or valkey-server) of the test's own.
type server struct {
	t    testing.TB
	port int
	args []string
	cmd  *exec.Cmd
}

func free(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func serve(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, port: free(t), args: args}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.t.Helper()
	program, err := exec.LookPath("valkey-server")
	if err != nil {
		if program, err = exec.LookPath("redis-server"); err != nil {
			s.t.Fatal("neither valkey-server nor redis-server is here: make tools installs one")
		}
	}
	port := []string{"--port", strconv.Itoa(s.port)}
	if len(s.args) > 0 && s.args[0] == "tls" {
		port = append([]string{"--port", "0", "--tls-port", strconv.Itoa(s.port)}, s.args[1:]...)
	} else {
		port = append(port, s.args...)
	}
	s.cmd = exec.Command(program, append(port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.t.TempDir())...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", s.address())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the server does not answer")
		}
	}
}

func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// gateway is one that shares the counts, and has heard of the others.
func gateway(t testing.TB, o shared.Options) *shared.Store {
	t.Helper()
	o.Group = "live"
	s, err := shared.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); s.Close() })
	wait(t, "it knows that it is there", func() bool { return s.Gateways() > 0 })
	return s
}

func wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so: " + what)
		}
	}
}

// spend retries while the machine is too slow for the deadline.
func spend(t testing.TB, s *shared.Store, key string, ws []ratelimit.Window, leased bool) ([]ratelimit.Result, bool) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		out, ok, err := s.Spend("grant", []byte(key), ws, leased, nil)
		if err == nil {
			return out, ok
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return nil, false
		}
	}
}

// However many gateways count, a strict limit lets through what it allows and nothing more; a leased one never more, and no
// less than half.
func TestGatewaysShareALimit(t *testing.T) {
	at := serve(t)
	var gateways []*shared.Store
	for range 4 {
		gateways = append(gateways, gateway(t, shared.Options{Address: "redis://" + at.address()}))
	}
	ws := []ratelimit.Window{{Name: "day", Requests: 5000, Per: 24 * time.Hour, Burst: 1000}, {Name: "hour", Requests: 200, Per: time.Hour}}
	for _, leased := range []bool{false, true} {
		var passed, asked atomic.Int64
		var wg sync.WaitGroup
		for _, g := range gateways {
			for range 2 {
				wg.Go(func() {
					for range 100 {
						asked.Add(1)
						if _, ok := spend(t, g, fmt.Sprint("gr_", leased), ws, leased); ok {
							passed.Add(1)
						}
					}
				})
			}
		}
		wg.Wait()
		n := passed.Load()
		t.Logf("leased %v: %d of %d passed, the limit is 200", leased, n, asked.Load())
		// An answer that came too late may have counted; the hour goes on while it is counted.
		if n > 201 || !leased && n < 190 || n < 100 {
			t.Errorf("leased %v: %d passed, the limit is 200", leased, n)
		}
	}
}

// What the windows say is what GCRA says.
func TestResults(t *testing.T) {
	s := gateway(t, shared.Options{Address: "redis://" + serve(t).address()})
	ws := []ratelimit.Window{{Name: "hour", Requests: 3, Per: time.Hour}}
	for want := int64(2); want >= 0; want-- {
		out, ok := spend(t, s, "k", ws, false)
		if !ok || out[0].Remaining != want || !out[0].OK {
			t.Errorf("%v %+v, want %d", ok, out, want)
		}
	}
	out, ok := spend(t, s, "k", ws, false)
	if ok || out[0].OK || out[0].Remaining != 0 || out[0].Retry < 19*time.Minute || out[0].Retry > 20*time.Minute {
		t.Errorf("%v %+v", ok, out)
	}
	if _, ok := spend(t, s, "other", ws, false); !ok {
		t.Error("another key is refused")
	}
}

// A server that is away is said to be within a bounded time, costs no further request a wait, and is found again.
func TestServerAway(t *testing.T) {
	at := serve(t)
	var log bytes.Buffer
	s := gateway(t, shared.Options{Address: "redis://" + at.address()})
	ws := []ratelimit.Window{{Name: "hour", Requests: 1000, Per: time.Hour}}
	if _, ok := spend(t, s, "k", ws, false); !ok {
		t.Fatal("refused")
	}
	at.kill()
	wait(t, "it says that the server is away", func() bool {
		_, _, err := s.Spend("grant", []byte("k"), ws, false, nil)
		return err != nil
	})
	began := time.Now()
	for range 1000 {
		if _, _, err := s.Spend("grant", []byte("k"), ws, false, nil); err == nil {
			t.Error("it counts")
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("1,000 requests waited for %s", took)
	}
	if !s.Away() || s.Failures() == 0 {
		t.Error("nobody is told", log.String())
	}
	at.start()
	spend(t, s, "k", ws, false)
	if s.Away() {
		t.Error("it is back and nobody is told")
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "counters"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	crt := filepath.Join(dir, "crt")
	at := serve(t, "tls", "--tls-cert-file", crt, "--tls-key-file", filepath.Join(dir, "key"), "--tls-ca-cert-file", crt, "--tls-auth-clients", "no")
	s := gateway(t, shared.Options{Address: "rediss://" + at.address(), CA: crt})
	if _, ok := spend(t, s, "k", []ratelimit.Window{{Name: "hour", Requests: 1, Per: time.Hour}}, false); !ok {
		t.Error("refused")
	}
	bad, err := shared.Open(shared.Options{Address: "rediss://" + at.address()})
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	if _, _, err = bad.Spend("grant", []byte("k"), []ratelimit.Window{{Name: "hour", Requests: 1, Per: time.Hour}}, false, nil); err == nil || !bad.Away() {
		t.Error("a server whose certificate nobody vouches for is taken")
	}
}

func TestBadAddress(t *testing.T) {
	if _, err := shared.Open(shared.Options{Address: "http://x"}); err == nil || !strings.Contains(err.Error(), "redis://") {
		t.Error(err)
	}
}

func BenchmarkStrict(b *testing.B) { benchmark(b, false) }

func BenchmarkLeased(b *testing.B) { benchmark(b, true) }

func benchmark(b *testing.B, leased bool) {
	s := gateway(b, shared.Options{Address: "redis://" + serve(b).address()})
	ws := []ratelimit.Window{{Name: "second", Requests: 1_000_000, Per: time.Second}}
	out := make([]ratelimit.Result, 0, 1)
	for b.Loop() {
		_, _, _ = s.Spend("grant", []byte("k"), ws, leased, out)
	}
}
