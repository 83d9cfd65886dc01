package control_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/policy/clientcert"
)

// aRequest is a certificate signing request of a fresh key.
var aRequest = func() string {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return requestOf(k)
}()

func requestOf(key any) string {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func parseCertificate(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	return must(x509.ParseCertificate(block.Bytes))(t)
}

func TestCertificates(t *testing.T) {
	r := newRealm(t)
	p, err := clientcert.Kind().Build(json.RawMessage("{}"), policy.Site{}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	call := func(env string, cert *x509.Certificate) string {
		t.Helper()
		x := &policy.Exchange{Now: r.clock.Now(), Access: r.gates[env], TLS: &policy.TLS{}}
		if cert != nil {
			x.TLS.Certificate, x.TLS.Thumbprint = cert, sha256.Sum256(cert.Raw)
		}
		if err := p.Request(x); err != nil {
			return fault.As(err).Code
		}
		if !x.Principal.Constrained || x.Principal.Method != "client_certificate" {
			t.Errorf("%+v", x.Principal)
		}
		return ""
	}
	n := control.NewCertificate{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "server"}, Request: aRequest}
	cr, text, err := r.EnrolCertificate(r.ctx, r.a, n)
	if err != nil {
		t.Fatal(err)
	}
	cert := parseCertificate(t, text)
	ca := parseCertificate(t, must(r.Authority(r.ctx, r.a, "live"))(t))
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: r.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("the authority does not vouch for it: %v", err)
	}
	if !cert.NotAfter.Equal(cr.Expires) || cert.Subject.CommonName != string(cr.ID) || cr.Expires.Sub(cr.Created) > 30*24*time.Hour {
		t.Errorf("%v until %v, the credential until %v", cert.Subject, cert.NotAfter, cr.Expires)
	}
	r.follow()
	for what, c := range map[string]struct {
		env  string
		cert *x509.Certificate
		want string
	}{
		"its own": {"live", cert, ""}, "none": {"live", nil, "certificate-missing"}, "the authority's": {"live", ca, "certificate-unknown"},
		"in another environment": {"test", cert, "certificate-unknown"},
	} {
		if got := call(c.env, c.cert); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}

	// Renewed before its end: both count for a day, then the new one alone.
	k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	n.Request, n.Replaces = requestOf(k), cr.ID
	fresh, text, err := r.EnrolCertificate(r.ctx, r.a, n)
	if err != nil || fresh.Replaces != cr.ID {
		t.Fatalf("%+v %v", fresh, err)
	}
	renewed := parseCertificate(t, text)
	r.follow()
	if a, b := call("live", cert), call("live", renewed); a != "" || b != "" {
		t.Errorf("within the overlap: %q and %q", a, b)
	}
	r.clock.pass(25 * time.Hour)
	if a, b := call("live", cert), call("live", renewed); a != "certificate-expired" || b != "" {
		t.Errorf("after the overlap: %q and %q", a, b)
	}
	must(r.RevokeCredential(r.ctx, r.a, fresh.ID, 0, "lost"))(t)
	r.follow()
	if got := call("live", renewed); got != "certificate-revoked" {
		t.Errorf("revoked: %q", got)
	}

	// A certificate of the partner's own.
	mine := func(from, until time.Duration, isCA bool) string {
		k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: r.clock.Now().Add(from), NotAfter: r.clock.Now().Add(until), IsCA: isCA, BasicConstraintsValid: true}
		der, _ := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	n.Request, n.Replaces, n.Certificate = "", "", mine(-time.Hour, 48*time.Hour, false)
	own, text, err := r.EnrolCertificate(r.ctx, r.a, n)
	if err != nil || text != "" || own.Kind != credential.Certificate || own.Expires.After(r.clock.Now().Add(48*time.Hour)) {
		t.Fatalf("%+v %q %v", own, text, err)
	}
	r.follow()
	if got := call("live", parseCertificate(t, n.Certificate)); got != "" {
		t.Errorf("the partner's own: %q", got)
	}
	_, _, err = r.EnrolCertificate(r.ctx, r.a, n)
	wants(t, "a second time", err, fault.Conflict, "certificate-taken")
	r.clock.pass(49 * time.Hour)
	if got := call("live", parseCertificate(t, n.Certificate)); got != "certificate-dates" {
		t.Errorf("past its dates: %q", got)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		weak = nil
	}
	for what, c := range map[string][3]string{
		"neither": {"", "", "/csr"}, "both": {aRequest, mine(-time.Hour, time.Hour, false), "/csr"}, "no PEM": {"x", "", "/csr"}, "two": {aRequest + aRequest, "", "/csr"},
		"another block": {mine(-time.Hour, time.Hour, false), "", "/csr"}, "not yet valid": {"", mine(time.Hour, 2*time.Hour, false), "/certificate"},
		"expired": {"", mine(-2*time.Hour, -time.Hour, false), "/certificate"}, "an authority": {"", mine(-time.Hour, time.Hour, true), "/certificate"},
	} {
		n.Request, n.Certificate = c[0], c[1]
		_, _, err := r.EnrolCertificate(r.ctx, r.a, n)
		if got := wrong(err); got != c[2] {
			t.Errorf("%s: wrong are %q, want %q (%v)", what, got, c[2], err)
		}
	}
	if weak != nil {
		n.Request, n.Certificate = requestOf(weak), ""
		if _, _, err := r.EnrolCertificate(r.ctx, r.a, n); wrong(err) != "/csr" {
			t.Errorf("a short RSA key: %v", err)
		}
	}
}
