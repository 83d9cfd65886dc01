package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
)

// A listener with a certificate speaks TLS and offers its protocols; one whose files cannot be used does not start.
func TestListenOverTLS(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gateway.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	at := config.Listener{Listen: "127.0.0.1:0", Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Clients: "none"}
	for file, b := range map[string]*pem.Block{at.Certificate: {Type: "CERTIFICATE", Bytes: der}, at.Key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	l, err := new(sockets).tls(context.Background(), log, "gateway", at, "the gateway", "gateway", "h2", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).HandshakeContext(context.Background())
			c.Close()
		}
		served <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1", "h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if s := conn.ConnectionState(); s.NegotiatedProtocol != "h2" || s.PeerCertificates[0].DNSNames[0] != "gateway.example" {
		t.Errorf("%s and %v", s.NegotiatedProtocol, s.PeerCertificates[0].DNSNames)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got := address(at, l); !strings.HasPrefix(got, "https://localhost:") {
		t.Errorf("it is called %s", got)
	}
	at.Key = filepath.Join(dir, "none.key")
	if _, err := new(sockets).tls(context.Background(), log, "gateway", at, "the gateway", "gateway", "h2"); err == nil || !strings.Contains(err.Error(), "none.key") {
		t.Errorf("without a key: %v", err)
	}
}
