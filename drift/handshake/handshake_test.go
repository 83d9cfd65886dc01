package handshake_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/drift/handshake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func sign(t *testing.T, name string, ends time.Time, by *authority, ca bool) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-2, 0, 0), NotAfter: ends, IsCA: ca, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return authority{out, key}
}

// listen serves TLS on a free port and counts what is sent beyond the handshake.
func listen(t *testing.T, a authority, change func(*tls.Config)) (address string, beyond *atomic.Int64) {
	t.Helper()
	beyond = &atomic.Int64{}
	c := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}}, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(c)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			n, _ := io.Copy(io.Discard, conn)
			beyond.Add(n)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), beyond
}

func TestLook(t *testing.T) {
	ca := sign(t, "our ca", now.AddDate(5, 0, 0), nil, true)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for _, c := range []struct {
		name   string
		cert   authority
		change func(*tls.Config)
		doubts []string
		min    string
		client string
	}{
		{"good", sign(t, "good", now.AddDate(1, 0, 0), &ca, false), nil, nil, "1.2", "none"},
		{"expired", sign(t, "old", now.AddDate(0, 0, -1), &ca, false), nil, []string{"it has ended"}, "1.2", "none"},
		{"self-signed", sign(t, "self", now.AddDate(1, 0, 0), nil, false), nil, []string{"it is signed by itself"}, "1.2", "none"},
		{"newest alone", sign(t, "good", now.AddDate(1, 0, 0), &ca, false), func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, nil, "1.3", "none"},
		{"old versions", sign(t, "good", now.AddDate(1, 0, 0), &ca, false), func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 }, nil, "1.0", "none"},
		{"client certificate", sign(t, "good", now.AddDate(1, 0, 0), &ca, false), func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, roots }, nil, "1.2", "request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, beyond := listen(t, c.cert, c.change)
			s := handshake.Look(context.Background(), "e", address, handshake.Settings{Now: now, Roots: roots, Wait: 10 * time.Second})
			if s.Failed != "" || s.Certificate == nil {
				t.Fatalf("%+v", s)
			}
			if !slices.Equal(s.Doubts, c.doubts) || s.Trusted != (len(c.doubts) == 0) || s.ClientAuth != c.client || s.Max != "1.3" {
				t.Errorf("%+v", s)
			}
			if s.Min != c.min {
				t.Errorf("the lowest version is %s, want %s", s.Min, c.min)
			}
			if !s.Certificate.Ends.Value.Equal(c.cert.cert.NotAfter) || s.Certificate.KeyAlg.Value != "ecdsap256" {
				t.Errorf("%+v", s.Certificate)
			}
			if c.client == "request" && (len(s.Anchors) != 1 || s.Anchors[0] != "CN=our ca") {
				t.Errorf("anchors %v", s.Anchors)
			}
			if n := beyond.Load(); n != 0 {
				t.Errorf("%d bytes were sent beyond the handshake", n)
			}
		})
	}
}

// TestSilence: who never answers, and who does not speak TLS, cost their deadline and are said so.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := handshake.Look(context.Background(), "", l.Addr().String(), handshake.Settings{Now: now, Wait: 200 * time.Millisecond})
	if s.Failed != "no answer in time" || s.Certificate != nil {
		t.Errorf("%+v", s)
	}
	l.Close()
	if s = handshake.Look(context.Background(), "", l.Addr().String(), handshake.Settings{Now: now, Wait: time.Second}); !strings.Contains(s.Failed, "refused") {
		t.Errorf("%+v", s)
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string][2]string{"api.example.com": {"", "api.example.com:443"}, "prod=api.example.com:8443": {"prod", "api.example.com:8443"}, "[::1]:443": {"", "[::1]:443"}} {
		env, address, err := handshake.Address(in)
		if err != nil || env != want[0] || address != want[1] {
			t.Errorf("%s: %s %s %v", in, env, address, err)
		}
	}
	for _, bad := range []string{"", "https://x/", "a=", "x y:1"} {
		if _, _, err := handshake.Address(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
