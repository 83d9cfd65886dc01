package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"gatehouse/authority"
	"gatehouse/fetch"
	"gatehouse/policy"
	"gatehouse/trust"
)

// ca is an authority that tells what it has revoked, as it is told to.
type ca struct {
	*httptest.Server
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu      sync.Mutex
	list    []byte
	status  int // of certificates; negative: it does not answer
	asks    int
	looks   int // at the list
	methods map[string]int
	next    time.Duration
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newCA(t *testing.T) *ca {
	c := &ca{key: newKey(t), next: time.Hour, methods: map[string]int{}}
	c.cert = c.sign(t, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, c.key)
	c.list = c.revokes(t, c.key, 1)
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.URL.Path == "/crl" {
			c.looks++
			w.Write(c.list)
			return
		}
		c.asks++
		c.methods[r.Method]++
		raw, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodGet {
			text, _ := url.PathUnescape(path.Base(r.URL.EscapedPath()))
			raw, _ = base64.StdEncoding.DecodeString(text)
		}
		q, err := ocsp.ParseRequest(raw)
		if err != nil || c.status < 0 {
			w.WriteHeader(503)
			return
		}
		now := time.Now()
		answer, err := ocsp.CreateResponse(c.cert, c.cert, ocsp.Response{Status: c.status, SerialNumber: q.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(c.next), RevokedAt: now, IssuerHash: crypto.SHA1}, c.key)
		if err != nil {
			t.Error(err)
		}
		w.Write(answer)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *ca) change(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
}

func (c *ca) sign(t *testing.T, tmpl *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	tmpl.NotBefore, tmpl.NotAfter, tmpl.BasicConstraintsValid = time.Now().Add(-time.Hour), time.Now().Add(time.Hour), true
	by := c.cert
	if by == nil {
		by = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, by, key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *ca) client(t *testing.T, n int64) *x509.Certificate {
	return c.sign(t, &x509.Certificate{SerialNumber: big.NewInt(n), DNSNames: []string{"client.example"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, newKey(t))
}

func (c *ca) revokes(t *testing.T, key *ecdsa.PrivateKey, number int64, serials ...int64) []byte {
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, s := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(s), RevocationTime: time.Now()})
	}
	signer := *c.cert
	signer.PublicKey = key.Public()
	der, err := x509.CreateRevocationList(rand.Reader, l, &signer, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (c *ca) settings() authority.Settings {
	return authority.Settings{Name: "partners", Certificates: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))}
}

func (c *ca) fetcher(t *testing.T) *fetch.Client {
	transport := &http.Transport{TLSClientConfig: c.Server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
	f := fetch.New(fetch.Options{Allowed: []netip.Prefix{loopback}, Transport: transport})
	t.Cleanup(f.Close)
	return f
}

func TestRevocationListsAreFetched(t *testing.T) {
	c := newCA(t)
	k := keeper(t, trust.Options{Fetch: c.fetcher(t), Every: 5 * time.Millisecond, Retry: time.Millisecond})
	s := c.settings()
	s.Lists = []string{c.URL + "/crl"}
	a, err := authority.New(s)
	if err != nil {
		t.Fatal(err)
	}
	r, leaf := k.Revoked(a), c.client(t, 7)
	if k.Revoked(a) != r {
		t.Error("the same authority is looked at twice")
	}
	verdict := func() error {
		var known authority.Known
		if l := r.Lists(); l != nil {
			known.Lists = l.Lists
		}
		_, err := a.Verify(leaf, nil, known, time.Now())
		return err
	}
	until(t, "the first list", func() bool { return verdict() == nil })
	first := r.Lists()

	// What somebody between puts in its place changes nothing, and keeps no right one out.
	forged := c.revokes(t, newKey(t), 1000, 7)
	for what, raw := range map[string][]byte{"nothing": nil, "a forged one": forged, "an older one": c.revokes(t, c.key, 0, 7)} {
		looks := 0
		c.change(func() { c.list, looks = raw, c.looks })
		until(t, "the next looks", func() (yes bool) {
			c.change(func() { yes = c.looks >= looks+3 }) // the first two of them are over then
			return yes
		})
		if r.Lists() != first {
			t.Errorf("%s was taken", what)
		}
	}
	c.change(func() { c.list = c.revokes(t, c.key, 2, 7) })
	until(t, "the revocation", func() bool { return verdict() == authority.ErrRevoked })
	k.OnlyRevoked(map[[sha256.Size]byte]bool{a.Key: true})
	if k.Revoked(a) != r {
		t.Error("what is named is forgotten")
	}
	k.OnlyRevoked(nil)
	c.change(func() { c.list = c.revokes(t, c.key, 3, 7) })
	again := k.Revoked(a)
	if again == r {
		t.Error("what no manifest names is not forgotten")
	}
	until(t, "the list, asked for anew", func() bool { return again.Lists() != nil })
	k.Only(nil, nil)
	if k.Revoked(a) == again {
		t.Error("what nobody names is not forgotten")
	}
}

func TestResponderIsAsked(t *testing.T) {
	c := newCA(t)
	k := keeper(t, trust.Options{Fetch: c.fetcher(t), Floor: 10 * time.Millisecond, Retry: time.Millisecond})
	s := c.settings()
	s.Responder = c.URL
	a, err := authority.New(s)
	if err != nil {
		t.Fatal(err)
	}
	r, leaf := k.Revoked(a), c.client(t, 7)
	thumb := sha256.Sum256(leaf.Raw)
	verdict := func() error {
		var known authority.Known
		if answer := r.Answer(&thumb); answer != nil {
			known.Answer = answer.Answer
		}
		v, err := a.Verify(leaf, nil, known, time.Now())
		if err == authority.ErrUnknown {
			r.Ask(policy.StatusQuestion{Thumb: thumb, Leaf: leaf, Issuer: v.Issuer})
		}
		return err
	}
	c.change(func() { c.status, c.next = -1, 500*time.Millisecond })
	if verdict() != authority.ErrUnknown {
		t.Error("it counts before anybody was asked")
	}
	until(t, "it is asked again while it does not answer", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.asks > 3 })
	if verdict() != authority.ErrUnknown {
		t.Error("it counts although nobody has answered")
	}
	c.change(func() { c.status = ocsp.Good })
	until(t, "the answer", func() bool { return verdict() == nil })
	c.change(func() { c.status = ocsp.Revoked }) // it is asked again before the answer runs out, while the certificate is shown
	until(t, "the revocation", func() bool { return verdict() == authority.ErrRevoked })
	if c.change(func() {}); c.methods[http.MethodGet] == 0 {
		t.Errorf("%v", c.methods)
	}
}
