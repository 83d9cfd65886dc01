package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var der []byte
	der, a.key = sign(t, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}, nil, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert = cert
	return a
}

func sign(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// issue makes a certificate and its key as PEM.
func (a *authority) issue(names ...string) (certificate, key []byte) {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	der, k := sign(a.t, &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour)}, a.cert, a.key)
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func writePair(t *testing.T, certificate, key string, c, k []byte) certs.Pair {
	t.Helper()
	return certs.Pair{Certificate: write(t, certificate, c), Key: write(t, key, k)}
}

// echoing serves the store's listener: it says back what it hears.
func echoing(t *testing.T, s *certs.Store) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); _, _ = io.Copy(c, c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// say sends a line and waits for it to come back.
func say(c net.Conn) error {
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

func dial(t *testing.T, addr string, c *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, c)
	if err == nil {
		err = say(conn)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestTheNameDecides(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	c, k := a.issue("first.example")
	first := writePair(t, filepath.Join(dir, "first.pem"), filepath.Join(dir, "first.key"), c, k)
	folder := filepath.Join(dir, "more")
	c, k = a.issue("a.example", "b.example")
	writePair(t, filepath.Join(folder, "a.crt"), filepath.Join(folder, "a.key"), c, k)
	c, k = a.issue("*.wild.example")
	writePair(t, filepath.Join(folder, "wild", "tls.crt"), filepath.Join(folder, "wild", "tls.key"), c, k)
	s, err := certs.Open(certs.Options{Pairs: []certs.Pair{first}, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	addr := echoing(t, s)
	for name, want := range map[string]string{"first.example": "first.example", "a.example": "a.example", "B.EXAMPLE": "a.example",
		"x.wild.example": "*.wild.example", "x.y.wild.example": "first.example", "wild.example": "first.example", "unknown": "first.example", "": "first.example"} {
		conn := dial(t, addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("who asks for %q is shown %s, want %s", name, got, want)
		}
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	if conn, err := tls.Dial("tcp", addr, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	weak := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}
	if conn, err := tls.Dial("tcp", addr, weak); err == nil {
		conn.Close()
		t.Error("a suite that HTTP/2 forbids is taken")
	}
}

// Files change: new connections see the new certificate, old ones go on, and what cannot be used changes nothing.
func TestChangedFilesAreReadAnew(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	c, k := a.issue("old.example")
	p := writePair(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), c, k)
	s, err := certs.Open(certs.Options{Pairs: []certs.Pair{p}})
	if err != nil {
		t.Fatal(err)
	}
	addr := echoing(t, s)
	shown := func() string {
		return dial(t, addr, &tls.Config{InsecureSkipVerify: true}).ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	before := dial(t, addr, &tls.Config{InsecureSkipVerify: true})
	if changed, err := s.Refresh(); changed || err != nil {
		t.Errorf("nothing changed, and Refresh says %v, %v", changed, err)
	}
	c, k = a.issue("new.example")
	write(t, p.Certificate, c)
	if changed, err := s.Refresh(); changed || err == nil || !strings.Contains(err.Error(), p.Key) {
		t.Errorf("half of a pair was taken: %v, %v", changed, err)
	}
	if got := shown(); got != "old.example" {
		t.Errorf("with half of a pair it shows %s", got)
	}
	write(t, p.Key, k)
	if changed, err := s.Refresh(); !changed || err != nil {
		t.Fatalf("the new pair: %v, %v", changed, err)
	}
	if got := shown(); got != "new.example" {
		t.Errorf("it shows %s", got)
	}
	if err := say(before); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(); err == nil || shown() != "new.example" {
		t.Errorf("without its key: %v", err)
	}
}

// A session ticket outlives a new certificate, and not a change of the authorities.
func TestTickets(t *testing.T) {
	a, other, dir := newAuthority(t), newAuthority(t), t.TempDir()
	c, k := a.issue("gateway.example")
	p := writePair(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), c, k)
	authorities := write(t, filepath.Join(dir, "ca.pem"), a.pem())
	s, err := certs.Open(certs.Options{Pairs: []certs.Pair{p}, Clients: certs.Require, Authorities: authorities})
	if err != nil {
		t.Fatal(err)
	}
	addr := echoing(t, s)
	c, k = a.issue("client.example")
	mine, err := tls.X509KeyPair(c, k)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{ServerName: "gateway.example", RootCAs: a.pool(), Certificates: []tls.Certificate{mine}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	if dial(t, addr, config).ConnectionState().DidResume {
		t.Fatal("the first connection resumes a session")
	}
	c, k = a.issue("gateway.example")
	write(t, p.Certificate, c)
	write(t, p.Key, k)
	if changed, err := s.Refresh(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if !dial(t, addr, config).ConnectionState().DidResume {
		t.Error("a session was lost with a new certificate")
	}
	write(t, authorities, other.pem())
	if changed, err := s.Refresh(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	conn, err := tls.Dial("tcp", addr, config)
	if err == nil {
		err = say(conn)
		conn.Close()
	}
	if err == nil {
		t.Error("a client whose authority is gone came back")
	}
	if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		if say(conn) == nil {
			t.Error("a client without a certificate is served")
		}
		conn.Close()
	}
}

// The keys of tickets rotate: a ticket is good for half a day at most.
func TestTicketKeysRotate(t *testing.T) {
	a, dir, now := newAuthority(t), t.TempDir(), time.Now()
	c, k := a.issue("gateway.example")
	p := writePair(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), c, k)
	s, err := certs.Open(certs.Options{Pairs: []certs.Pair{p}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	addr := echoing(t, s)
	// One ticket is kept and shown again and again: TLS 1.2 gives no new one on the way.
	config := &tls.Config{ServerName: "gateway.example", RootCAs: a.pool(), MaxVersion: tls.VersionTLS12, ClientSessionCache: &first{}}
	dial(t, addr, config)
	if !dial(t, addr, config).ConnectionState().DidResume {
		t.Fatal("it is not resumed at once")
	}
	for i, want := range []bool{true, true, false} {
		now = now.Add(4 * time.Hour)
		if _, err := s.Refresh(); err != nil {
			t.Fatal(err)
		}
		if got := dial(t, addr, config).ConnectionState().DidResume; got != want {
			t.Errorf("after %d hours: resumed %v, want %v", 4*(i+1), got, want)
		}
	}
}

// first is a cache that keeps the first session that it is given.
type first struct {
	mu sync.Mutex
	s  *tls.ClientSessionState
}

func (f *first) Get(string) (*tls.ClientSessionState, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.s, f.s != nil
}

func (f *first) Put(_ string, s *tls.ClientSessionState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.s == nil {
		f.s = s
	}
}

func TestWhatCannotBeUsedIsSaid(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	c, k := a.issue("x.example")
	p := writePair(t, filepath.Join(dir, "x.crt"), filepath.Join(dir, "x.key"), c, k)
	empty := write(t, filepath.Join(dir, "empty.pem"), nil)
	for want, o := range map[string]certs.Options{
		"there is no certificate":  {Folder: t.TempDir()},
		"no such file":             {Pairs: []certs.Pair{{Certificate: filepath.Join(dir, "none.crt"), Key: p.Key}}},
		"no authorities are named": {Pairs: []certs.Pair{p}, Clients: certs.Verify},
		"are not verified":         {Pairs: []certs.Pair{p}, Clients: certs.Request, Authorities: p.Certificate},
		"nothing that can be":      {Pairs: []certs.Pair{p}, Clients: "sometimes"},
		"no certificate in":        {Pairs: []certs.Pair{p}, Clients: certs.Verify, Authorities: empty},
		"cannot be used":           {Pairs: []certs.Pair{{Certificate: p.Certificate, Key: p.Certificate}}},
	} {
		if _, err := certs.Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

// A connection is the wrong one for a host when its certificate is not for that host, and there is one that is.
func TestApart(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	c, k := a.issue("first.example")
	first := writePair(t, filepath.Join(dir, "first.pem"), filepath.Join(dir, "first.key"), c, k)
	folder := filepath.Join(dir, "more")
	for name, names := range map[string][]string{"a": {"a.example", "b.example"}, "wild": {"*.wild.example"}, "own": {"own.wild.example"}} {
		c, k = a.issue(names...)
		writePair(t, filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key"), c, k)
	}
	s, err := certs.Open(certs.Options{Pairs: []certs.Pair{first}, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		server, host string
		want         bool
	}{
		{"a.example", "a.example", false}, {"a.example", "B.Example", false}, {"a.example", "first.example", true}, {"first.example", "a.example", true},
		{"x.wild.example", "y.wild.example", false}, {"x.wild.example", "own.wild.example", false}, // the wildcard is for that one too
		{"own.wild.example", "x.wild.example", true}, {"a.example", "x.wild.example", true},
		{"a.example", "unknown", false}, {"unknown", "first.example", false}, {"unknown", "a.example", true}, {"", "a.example", false}, {"a.example", "", false},
	} {
		if got := s.Apart(c.server, c.host); got != c.want {
			t.Errorf("a connection for %q and a request to %q: apart %v", c.server, c.host, got)
		}
	}
}
