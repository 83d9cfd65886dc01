package control_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"gatehouse/authority"
	"gatehouse/authserver"
	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/policy/clientcert"
	"gatehouse/token"
)

// partnerCA is an authority of the operator's.
type partnerCA struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
	next int64
}

func newPartnerCA(t testing.TB, now time.Time) *partnerCA {
	e := &partnerCA{t: t, now: now, next: 1}
	e.cert, e.key = e.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "elsewhere"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotAfter: now.Add(1000 * time.Hour)})
	return e
}

func (e *partnerCA) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	e.t.Helper()
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(e.t)
	e.next++
	c.SerialNumber, c.BasicConstraintsValid, c.NotBefore = big.NewInt(e.next), true, e.now.Add(-time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = e.now.Add(100 * time.Hour)
	}
	by, key := e.cert, e.key
	if by == nil {
		by, key = c, k
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, c, by, k.Public(), key))(e.t)))(e.t), k
}

// client is a certificate for a client with the host name.
func (e *partnerCA) client(name string) *x509.Certificate {
	c, _ := e.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return c
}

func (e *partnerCA) list(number int64, revoked ...*x509.Certificate) string {
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: e.now.Add(-time.Minute), NextUpdate: e.now.Add(48 * time.Hour)}
	for _, c := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: e.now})
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: must(x509.CreateRevocationList(rand.Reader, l, e.cert, e.key))(e.t)}))
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// yaml declares it in the manifest.
func (e *partnerCA) yaml(list string) string {
	indent := func(text string) string {
		return "|\n      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ")
	}
	return "\nclient_authorities:\n  - name: partners\n    certificates: " + indent(pemOf(e.cert)) + "\n    crls:\n    - " + strings.ReplaceAll(indent(list), "\n      ", "\n        ") + "\n    environments: [live]\n"
}

func TestCertificatesByName(t *testing.T) {
	r := newRealm(t)
	e := newPartnerCA(t, r.clock.Now())
	revoked := e.client("one.example.org")
	r.deps.Revoked = revoker{}.Revoked
	r.publish(r.text + e.yaml(e.list(1, revoked)))
	a := must(authority.New(authority.Settings{Name: "partners", Certificates: pemOf(e.cert), Lists: []string{e.list(1, revoked)}}))(t)
	p, err := clientcert.Kind().Build(json.RawMessage("{}"), policy.Site{Authorities: []*authority.Authority{a}}, r.deps)
	if err != nil {
		t.Fatal(err)
	}
	show := func(cert *x509.Certificate) *policy.Exchange {
		return &policy.Exchange{Now: r.clock.Now(), Access: r.gates["live"], TLS: &policy.TLS{Certificate: cert, Thumbprint: sha256.Sum256(cert.Raw)}}
	}
	call := func(cert *x509.Certificate) string {
		x := show(cert)
		for range 2 { // the second time by what is kept
			if err := p.Request(x); err != nil {
				return fault.As(err).Code
			}
		}
		return ""
	}
	n := control.NewCertificate{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "named"}, Named: &credential.CertName{Authority: "partners", Kind: "dns", Value: "one.example.org"}}
	cr, text, err := r.EnrolCertificate(r.ctx, r.a, n)
	if err != nil || text != "" || cr.CertName == nil {
		t.Fatalf("%+v %q %v", cr, text, err)
	}
	_, _, err = r.EnrolCertificate(r.ctx, r.a, n)
	wants(t, "a second time", err, fault.Conflict, "certificate-taken")
	// One that leads to the authority counts by its thumbprint too, and is refused all the same when the authority revokes it.
	thumb := e.client("thumb.example.org")
	if _, _, err := r.EnrolCertificate(r.ctx, r.a, control.NewCertificate{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "by thumbprint"}, Certificate: pemOf(thumb)}); err != nil {
		t.Fatal(err)
	}
	r.follow()
	stranger := newPartnerCA(t, r.clock.Now())
	server, _ := e.sign(&x509.Certificate{DNSNames: []string{"one.example.org"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	first, second := e.client("one.example.org"), e.client("ONE.example.org")
	for what, c := range map[string]struct {
		cert *x509.Certificate
		want string
	}{
		"its own": {first, ""}, "made anew": {second, ""}, "with another name": {e.client("two.example.org"), "certificate-unknown"}, "revoked": {revoked, "certificate-withdrawn"},
		"of a stranger of the same name": {stranger.client("one.example.org"), "certificate-unknown"}, "of a server": {server, "certificate-use"}, "the authority's": {e.cert, "certificate-use"},
		"by its thumbprint": {thumb, ""},
	} {
		if got := call(c.cert); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
	x := show(first)
	if n := testing.AllocsPerRun(100, func() {
		if p.Request(x) != nil {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("a certificate that is kept costs %v allocations", n)
	}
	// The list runs out: nothing is known any more, and that refuses.
	r.clock.pass(49 * time.Hour)
	for what, cert := range map[string]*x509.Certificate{"by name": first, "by thumbprint": thumb} {
		if got := call(cert); got != "certificate-status" {
			t.Errorf("%s, with a list that is too old: %q", what, got)
		}
	}
	r.clock.pass(60 * time.Hour)
	if got := call(first); got != "certificate-dates" {
		t.Errorf("past its dates: %q", got)
	}

	for what, bad := range map[string]struct {
		n    credential.CertName
		want string
	}{
		"another authority": {credential.CertName{Authority: "x", Kind: "dns", Value: "a.example"}, "/named/authority"},
		"a wildcard":        {credential.CertName{Authority: "partners", Kind: "dns", Value: "*.example.org"}, "/named/value"},
		"a number":          {credential.CertName{Authority: "partners", Kind: "dns", Value: "10.0.0.1"}, "/named/value"},
		"no such kind":      {credential.CertName{Authority: "partners", Kind: "x", Value: "a.example"}, "/named/value"},
	} {
		n.Named = &bad.n
		_, _, err := r.EnrolCertificate(r.ctx, r.a, n)
		if got := wrong(err); got != bad.want {
			t.Errorf("%s: wrong are %q, want %q (%v)", what, got, bad.want, err)
		}
	}
	n.Environment, n.Named = "test", &credential.CertName{Authority: "partners", Kind: "dns", Value: "three.example.org"}
	_, _, err = r.EnrolCertificate(r.ctx, r.a, n)
	if got := wrong(err); got != "/named/authority" {
		t.Errorf("where it does not count: wrong are %q (%v)", got, err)
	}
	must(r.RevokeCredential(r.ctx, r.a, cr.ID, 0, "lost"))(t)
	r.follow()
	n.Environment, n.Named = "live", &credential.CertName{Authority: "partners", Kind: "dns", Value: "one.example.org"}
	if _, _, err := r.EnrolCertificate(r.ctx, r.a, n); err != nil {
		t.Errorf("the name is not free again: %v", err)
	}
}

// revoker is what authorities have revoked by what stands in their settings.
type revoker struct{}

func (revoker) Revoked(a *authority.Authority) *policy.Revocations {
	out := policy.NewRevocations()
	if len(a.Given) > 0 {
		out.SawLists(&policy.ListSet{Lists: a.Given})
	}
	return out
}

func (revoker) OnlyRevoked(map[[sha256.Size]byte]bool) {}

// keeping is a revoker that notes what it may forget.
type keeping struct {
	revoker
	keys map[[sha256.Size]byte]bool
}

func (k *keeping) OnlyRevoked(keys map[[sha256.Size]byte]bool) { k.keys = keys }

// The control plane looks after those authorities alone that the newest manifests declare.
func TestAuthoritiesThatLeaveTheManifestAreForgotten(t *testing.T) {
	r := newRealm(t)
	first, second := newPartnerCA(t, r.clock.Now()), newPartnerCA(t, r.clock.Now())
	k := &keeping{}
	r.Control.Revoker = k
	var before map[[sha256.Size]byte]bool
	for n, c := range []struct {
		yaml string
		want int
	}{{first.yaml(first.list(1)), 1}, {second.yaml(second.list(1)), 1}, {"", 0}} {
		r.publish(r.text + c.yaml)
		left := control.ForgetAuthorities(r.ctx, r.Control)
		if left != c.want || len(k.keys) != c.want {
			t.Errorf("manifest %d: %d authorities are kept read, and %d looked after", n, left, len(k.keys))
		}
		for key := range k.keys {
			if before[key] {
				t.Errorf("manifest %d: the authority of the one before is looked after", n)
			}
		}
		before = k.keys
	}
}

func TestTLSAuth(t *testing.T) {
	r := newRealm(t)
	e := newPartnerCA(t, r.clock.Now())
	stranger := newPartnerCA(t, r.clock.Now())
	r.deps.Revoked = revoker{}.Revoked
	r.Control.Revoker = revoker{}
	revoked := e.client("batch.example.org")
	r.publish(r.text + e.yaml(e.list(1, revoked)))
	named := &credential.CertName{Authority: "partners", Kind: "dns", Value: "batch.example.org"}
	cr, value := r.client(control.NewClient{Method: credential.TLSAuth, Named: named})
	if !value.Empty() || !cr.OAuth.FAPI() || !cr.OAuth.Method.Strong() {
		t.Errorf("%+v", cr.OAuth)
	}
	h, _ := authserver.New(authserver.Options{Control: r.Control, Now: r.clock.Now})
	ask := func(shown *x509.Certificate, more ...string) reply {
		return r.showing(h, shown, append(more, "client_id", string(cr.ID))...)
	}
	server, _ := e.sign(&x509.Certificate{DNSNames: []string{"batch.example.org"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	mine := e.client("batch.example.org")
	for what, bad := range map[string]*x509.Certificate{"none": nil, "revoked": revoked, "with another name": e.client("other.example.org"), "of a stranger": stranger.client("batch.example.org"), "of a server": server} {
		r.wantError(what, ask(bad), 401, "invalid_client")
	}
	r.wantError("a secret beside it", ask(mine, "client_secret", "x"), 401, "invalid_client")
	for what, good := range map[string]*x509.Certificate{"its own": mine, "made anew": e.client("batch.example.org")} {
		got := ask(good)
		if got.status != 200 {
			t.Fatalf("%s: %d %s", what, got.status, got.raw)
		}
		payload := must(base64.RawURLEncoding.DecodeString(strings.Split(got.Access, ".")[1]))(t)
		var claims token.Claims
		sum := sha256.Sum256(good.Raw)
		if err := json.Unmarshal(payload, &claims); err != nil || claims.Confirm == nil || claims.Confirm.Certificate != base64.RawURLEncoding.EncodeToString(sum[:]) || claims.Method != "tls_client_auth" {
			t.Errorf("%s: %+v %v", what, claims, err)
		}
	}
	for what, bad := range map[string]struct {
		n    control.NewClient
		want string
	}{
		"no name":             {control.NewClient{Method: credential.TLSAuth}, "/named"},
		"a thumbprint":        {control.NewClient{Method: credential.TLSAuth, Named: named, Thumbprint: "x"}, "/thumbprint"},
		"a name for a secret": {control.NewClient{Method: credential.ClientSecret, Named: named}, "/named"},
		"another authority":   {control.NewClient{Method: credential.TLSAuth, Named: &credential.CertName{Authority: "x", Kind: "dns", Value: "a.example"}}, "/named/authority"},
		"a wildcard":          {control.NewClient{Method: credential.TLSAuth, Named: &credential.CertName{Authority: "partners", Kind: "dns", Value: "*.example"}}, "/named/value"},
	} {
		bad.n.NewKey = control.NewKey{Application: r.app.ID, Environment: "live", Name: "x"}
		_, _, err := r.RegisterClient(r.ctx, r.a, bad.n)
		if got := wrong(err); got != bad.want {
			t.Errorf("%s: wrong are %q, want %q (%v)", what, got, bad.want, err)
		}
	}
	r.Control.Revoker = nil
	if got := ask(mine); got.status != 503 {
		t.Errorf("where nobody looks at what was revoked: %d %s", got.status, got.raw)
	}
	r.Control.Revoker = revoker{}
	r.clock.pass(49 * time.Hour)
	if got := ask(mine); got.status != 503 {
		t.Errorf("with a list that is too old: %d %s", got.status, got.raw)
	}
}
