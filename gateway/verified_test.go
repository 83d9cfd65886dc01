package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/gateway"
	"gatehouse/manifest"
)

// An authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue returns a certificate for a name, and it and its key as PEM.
func (a *authority) issue(t *testing.T, name string) (pair tls.Certificate, chain, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	chain = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	if pair, err = tls.X509KeyPair([]byte(chain), []byte(key)); err != nil {
		t.Fatal(err)
	}
	return pair, chain, key
}

// An upstream over TLS is verified by the CA and the name that are declared, and shown the declared certificate.
func TestUpstreamOwnTLS(t *testing.T) { both(t, testUpstreamOwnTLS) }

func testUpstreamOwnTLS(t *testing.T, codec gateway.Codec) {
	ca, other := newAuthority(t), newAuthority(t)
	server, _, _ := ca.issue(t, "up.internal")
	_, chain, key := ca.issue(t, "gateway")
	_, badChain, badKey := other.issue(t, "gateway")
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Client", r.TLS.PeerCertificates[0].Subject.CommonName)
		w.Header().Set("X-Name", r.TLS.ServerName)
	}))
	up.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	up.Config.ErrorLog = log.New(io.Discard, "", 0)
	up.StartTLS()
	t.Cleanup(up.Close)
	secrets := map[string]string{"eid-gateway": "let me in", "ca": ca.pem, "other-ca": other.pem, "cert": chain, "key": key,
		"bad-cert": badChain, "bad-key": badKey, "nonsense": "nonsense"}
	bundle := func(settings string) manifest.Bundle { return declared([]*target{{url: up.URL}}, "tls: "+settings) }
	h := start(t, setup{codec: codec, secrets: secrets, bundle: bundle("{name: up.internal, ca: ca, certificate: cert, key: key}")})
	for range 2 {
		a := h.get()
		a.want(t, 200, "")
		if a.header.Get("X-Client") != "gateway" || a.header.Get("X-Name") != "up.internal" {
			t.Errorf("the upstream saw the certificate of %q and the name %q", a.header.Get("X-Client"), a.header.Get("X-Name"))
		}
	}
	for settings, want := range map[string]string{
		"{name: up.internal, ca: other-ca, certificate: cert, key: key}":    "upstream-unreachable",
		"{name: else.internal, ca: ca, certificate: cert, key: key}":        "upstream-unreachable",
		"{ca: ca, certificate: cert, key: key}":                             "upstream-unreachable", // the certificate is not for 127.0.0.1
		"{name: up.internal, certificate: cert, key: key}":                  "upstream-unreachable", // nor by a CA of the system
		"{name: up.internal, ca: ca, certificate: cert, key: bad-key}":      "route-closed",
		"{name: up.internal, ca: nonsense, certificate: cert, key: key}":    "route-closed",
		"{name: up.internal, ca: not-there, certificate: cert, key: key}":   "route-closed",
		"{name: up.internal, ca: ca, certificate: bad-cert, key: not-here}": "route-closed",
	} {
		h.inForce(h.revise(bundle(settings)))
		a := h.get()
		if got := strings.TrimPrefix(a.problem.Type, "/problems/"); got != want {
			t.Errorf("%s: answered %d %q, want %q", settings, a.status, got, want)
		}
	}
	// An upstream that refuses the certificate does so after the handshake of TLS 1.3: nothing was answered.
	h.inForce(h.revise(bundle("{name: up.internal, ca: ca, certificate: bad-cert, key: bad-key}")))
	if a := h.get(); a.status != 502 {
		t.Errorf("answered %d although the upstream does not know the certificate", a.status)
	}
	h.inForce(h.revise(bundle("{name: up.internal, ca: ca, certificate: cert, key: key}")))
	h.get().want(t, 200, "")
}
