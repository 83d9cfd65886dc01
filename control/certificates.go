package control

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/authority"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/token"
)

const (
	longestPEM     = 16 << 10            // bytes of a request or certificate
	certificateFor = 30 * 24 * time.Hour // how long a certificate of ours is valid when nothing is asked for
	renewOverlap   = 24 * time.Hour      // how long the old one counts beside the renewed one
	backdated      = 5 * time.Minute     // for clocks that are behind
)

// NewCertificate is what a client certificate is made from: a request that our authority signs, or a certificate that the
// partner has already.
type NewCertificate struct {
	NewKey
	Request     string               // a certificate signing request (PKCS #10), in PEM
	Certificate string               // or a certificate, in PEM: it counts by its thumbprint
	Named       *credential.CertName // or a name: any certificate of the authority counts in which it stands
	Replaces    id.ID                // the credential that it renews: that one retires a day later
}

// EnrolCertificate binds a client certificate to an application. With a request, the environment's own authority signs it and
// the certificate is returned in PEM; it lives for 30 days unless less, or more that the plans allow, is asked for. The rules of
// grants and lifetimes are those of IssueKey. Owner or developer of the organization.
func (c *Control) EnrolCertificate(ctx context.Context, a identity.Actor, n NewCertificate) (credential.Credential, string, error) {
	var text string
	var request *x509.CertificateRequest
	var given *x509.Certificate
	cr, err := c.issue(ctx, a, n.NewKey, issuing{
		method: "EnrolCertificate", action: "credential.enrol-certificate", kind: credential.Certificate,
		again: "this form has enrolled the certificate %s already",
		check: func(f *form) { request, given = f.certificate(n, c.now()) },
		make: func(w *write, fresh *credential.Credential) (err error) {
			if n.Named != nil {
				if err := c.named(w, fresh, *n.Named); err != nil || n.Replaces == "" {
					return err
				}
				*fresh, err = w.renews(*fresh, n.Replaces)
				return err
			}
			if text, err = c.certify(w, fresh, n, request, given); err != nil || n.Replaces == "" {
				return err
			}
			*fresh, err = w.renews(*fresh, n.Replaces)
			return err
		},
		taken: fault.Of(fault.Conflict, "certificate-taken", "this certificate has been enrolled already: each is enrolled once"),
	})
	if err != nil {
		return cr, "", err
	}
	return cr, text, nil
}

// named binds the credential to a name in certificates of an authority of the operator's. No two that are not over stand for one.
func (c *Control) named(w *write, fresh *credential.Credential, n credential.CertName) error {
	if err := c.knownAuthority(w, fresh.Environment, &n); err != nil {
		return err
	}
	fresh.CertName = &n
	fresh.PublicID, fresh.Hash = string(fresh.ID), n.Mark()
	return w.bind(*fresh)
}

// knownAuthority checks that the authority signs certificates of clients in the environment, and that the name can identify one. Of
// one authority alone nobody needs to say the name.
func (c *Control) knownAuthority(w *write, environment string, n *credential.CertName) error {
	of, err := c.newest(w.ctx, w.tx, environment)
	if err != nil {
		return err
	}
	var f form
	var names []string
	for _, a := range of.ClientAuthorities {
		if slices.Contains(a.Environments, of.Name) {
			names = append(names, a.Name)
		}
	}
	if n.Authority == "" && len(names) == 1 {
		n.Authority = names[0]
	}
	switch {
	case len(names) == 0:
		f.bad("/named/authority", "no authority's certificates count in %s: ask the operator to list it (client_authorities)", of.Name)
	case !slices.Contains(names, n.Authority):
		f.bad("/named/authority", "%q signs no certificates of clients in %s: those that do: %s", clip(n.Authority), of.Name, strings.Join(names, ", "))
	}
	if why := authority.CheckName(authority.Name{Kind: n.Kind, Value: n.Value}); why != "" {
		f.bad("/named/value", "%s", why)
	}
	return f.err()
}

// certify binds the credential to the certificate that it is given, or to one that is made for the request and returned in PEM.
func (c *Control) certify(w *write, fresh *credential.Credential, n NewCertificate, request *x509.CertificateRequest, given *x509.Certificate) (text string, err error) {
	ends := fresh.Expires
	if by := w.after(certificateFor); n.Lifetime == 0 && request != nil && by.Before(ends) {
		ends = by
	}
	fresh.Expires = ends.Truncate(time.Second)
	var der []byte
	if request != nil {
		if der, err = c.sign(*fresh, request); err != nil {
			return "", err
		}
		text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		fresh.KeyPrint = token.ThumbprintOf(request.PublicKey)
	} else {
		der = given.Raw
		fresh.KeyPrint = token.ThumbprintOf(given.PublicKey)
		if given.NotAfter.Before(fresh.Expires) {
			fresh.Expires = given.NotAfter.UTC()
		}
	}
	fresh.Hash = sha256.Sum256(der)
	fresh.PublicID = hex.EncodeToString(fresh.Hash[:])
	return text, nil
}

// renews lets the certificate that is renewed retire, and hands over what it stands for.
func (w *write) renews(fresh credential.Credential, i id.ID) (credential.Credential, error) {
	was, err := w.credential(i)
	if err != nil {
		return fresh, err
	}
	if was.Kind != credential.Certificate || was.Application != fresh.Application || was.Environment != fresh.Environment {
		return fresh, fault.Bad("/replaces", "must be a client certificate of the application in this environment")
	}
	old, next, err := was.Rotate(fresh, w.now, w.after(renewOverlap).Truncate(time.Minute))
	if err != nil {
		return fresh, err
	}
	if len(fresh.Grants) > 0 {
		next.Grants = fresh.Grants
	}
	_, err = w.putCredential("credential.retire", "", was, old)
	return next, err
}

// certificate reads what is to be enrolled: exactly one of the two.
func (f *form) certificate(n NewCertificate, now time.Time) (*x509.CertificateRequest, *x509.Certificate) {
	if n.Named != nil && n.Request == "" && n.Certificate == "" {
		return nil, nil
	}
	if (n.Request == "") == (n.Certificate == "") || n.Named != nil {
		f.bad("/csr", "give a certificate signing request, a certificate, or a name, and one of them alone")
		return nil, nil
	}
	if n.Request != "" {
		block := onePEM(n.Request, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
		if block == nil {
			f.bad("/csr", "must be one certificate signing request in PEM")
			return nil, nil
		}
		r, err := x509.ParseCertificateRequest(block)
		if err != nil || r.CheckSignature() != nil {
			f.bad("/csr", "cannot be read, or is not signed by its own key")
			return nil, nil
		}
		if why := weakKey(r.PublicKey); why != "" {
			f.bad("/csr", "%s", why)
		}
		return r, nil
	}
	block := onePEM(n.Certificate, "CERTIFICATE")
	if block == nil {
		f.bad("/certificate", "must be one certificate in PEM")
		return nil, nil
	}
	cert, err := x509.ParseCertificate(block)
	if err != nil {
		f.bad("/certificate", "cannot be read")
		return nil, nil
	}
	switch why := weakKey(cert.PublicKey); {
	case why != "":
		f.bad("/certificate", "%s", why)
	case now.Before(cert.NotBefore) || !now.Before(cert.NotAfter):
		f.bad("/certificate", "is valid from %s to %s, which is not now", when(cert.NotBefore), when(cert.NotAfter))
	case cert.IsCA:
		f.bad("/certificate", "is that of an authority: give the client's own")
	}
	return nil, cert
}

// onePEM is the one block of the text, if it is of one of the types.
func onePEM(text string, types ...string) []byte {
	if len(text) > longestPEM {
		return nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil
	}
	for _, t := range types {
		if block.Type == t {
			return block.Bytes
		}
	}
	return nil
}

// weakKey says why a key may not prove a client; "" when it may.
func weakKey(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 || k.N.BitLen() > 8192 {
			return "its RSA key must have from 2048 to 8192 bits"
		}
		return ""
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521() {
			return ""
		}
	case ed25519.PublicKey:
		return ""
	}
	return "its key must be RSA, Ed25519, or ECDSA on P-256, P-384 or P-521"
}

// authority is the environment's own: its key is derived from those of the data directory, and stored nowhere.
func (c *Control) authority(environment string) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	for try := range 4 {
		seed := c.Keys.Derive(fmt.Sprintf("client certificates of %s, try %d", environment, try))
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			continue // once in 2^32
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, nil, err
		}
		name := sha256.Sum256(point)
		return key, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Gatehouse client certificates, " + environment},
			SubjectKeyId: name[:20], NotBefore: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
			IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, nil
	}
	return nil, nil, errors.New("no key for client certificates can be made")
}

// sign makes the certificate of a credential. Nothing of the request but its key goes into it.
func (c *Control) sign(cr credential.Credential, r *x509.CertificateRequest) ([]byte, error) {
	key, ca, err := c.authority(cr.Environment)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: string(cr.ID)},
		URIs:      []*url.URL{{Scheme: "gatehouse", Opaque: cr.Environment + ":" + string(cr.Application)}},
		NotBefore: cr.Created.Add(-backdated), NotAfter: cr.Expires, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}, ca, r.PublicKey, key)
}

// Authority is the certificate of what signs client certificates of the environment, in PEM: what a listener that verifies them
// is told to trust. For anybody signed in.
func (c *Control) Authority(ctx context.Context, a identity.Actor, environment string) (string, error) {
	err := c.view(ctx, a, "Authority", func(r read) error { return r.environment(environment) })
	if err != nil {
		return "", err
	}
	key, ca, err := c.authority(environment)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
