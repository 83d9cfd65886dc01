// Package authority verifies clients' certificates that an authority of the operator's has signed: the path, the names, and
// that nothing on it was revoked. It reads nothing but what it is given.
package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Settings is what the operator says of an authority.
type Settings struct {
	Name          string
	Certificates  string   // in PEM: each is trusted as it stands
	Intermediates string   // in PEM: they lead to those, and are trusted only as far as that
	Lists         []string // its revocation lists: where they are, or the list itself in PEM
	Responder     string   // an OCSP responder: its address, or FromCertificate; "": none is asked
	Lenient       bool     // what is not known does not refuse; what is known to be revoked always does
}

// FromCertificate stands for the responder that a certificate itself names, once its path is proven.
const FromCertificate = "certificate"

// Authority is one that signs certificates of clients. Nobody changes it.
type Authority struct {
	Settings
	Key     [sha256.Size]byte // of all its settings: two with the same are the same
	Given   []*List           // lists that stand in the settings themselves
	anchors *x509.CertPool
	between []*x509.Certificate
	signers []*x509.Certificate // who may sign its lists: its own certificates, and those between that lead to them
}

// The bounds of what is looked at.
const (
	longestPEM    = 256 << 10 // bytes of an authority's certificates
	anchorsMost   = 20
	presentedMost = 8  // certificates that a client sends beside its own
	namesMost     = 20 // of one certificate
)

// New reads an authority. An error says what is wrong with which of its settings: it is a Wrong.
func New(s Settings) (*Authority, error) {
	a := &Authority{Settings: s, anchors: x509.NewCertPool()}
	anchors, err := readAuthorities(s.Certificates)
	if err == nil && len(anchors) == 0 {
		err = errors.New("must be certificates in PEM")
	}
	if err != nil {
		return nil, Wrong{"certificates", err}
	}
	for _, c := range anchors {
		a.anchors.AddCert(c)
	}
	if a.between, err = readAuthorities(s.Intermediates); err != nil {
		return nil, Wrong{"intermediates", err}
	}
	a.signers = anchors
	pool := a.pool(nil)
	for n, c := range a.between {
		// A certificate that has run out can lead nobody anywhere, and is no reason to refuse a revision: the path is built at its own time.
		at := c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2)
		if _, err := c.Verify(x509.VerifyOptions{Roots: a.anchors, Intermediates: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return nil, Wrong{"intermediates", fmt.Errorf("certificate %d does not lead to those of the authority", n+1)}
		}
		a.signers = append(a.signers, c)
	}
	for n, text := range s.Lists {
		if !strings.HasPrefix(text, pemBegins) {
			continue
		}
		l, err := ParseList([]byte(text))
		if err == nil {
			err = a.Prove(l)
		}
		if err != nil {
			return nil, Wrong{fmt.Sprintf("crls/%d", n), err}
		}
		a.Given = append(a.Given, l)
	}
	all, err := json.Marshal(s)
	a.Key = sha256.Sum256(all)
	return a, err
}

// Wrong says which setting of an authority cannot be used, and why.
type Wrong struct {
	Setting string
	Err     error
}

func (w Wrong) Error() string { return w.Err.Error() }
func (w Wrong) Unwrap() error { return w.Err }

const pemBegins = "-----BEGIN"

// Addresses are where the authority's lists are fetched from.
func (a *Authority) Addresses() []string {
	var out []string
	for _, l := range a.Lists {
		if !strings.HasPrefix(l, pemBegins) {
			out = append(out, l)
		}
	}
	return out
}

// Looks reports whether the authority says anywhere what it has revoked.
func (a *Authority) Looks() bool { return len(a.Lists) > 0 || a.Responder != "" }

// readAuthorities reads certificates of authorities in PEM.
func readAuthorities(text string) (out []*x509.Certificate, err error) {
	if len(text) > longestPEM {
		return nil, fmt.Errorf("has more than %d bytes", longestPEM)
	}
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %.40s: it must be certificates alone, and no key is ever in a manifest", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		n := len(out) + 1
		switch {
		case err != nil:
			return nil, fmt.Errorf("certificate %d cannot be read: %w", n, err)
		case !c.BasicConstraintsValid || !c.IsCA:
			return nil, fmt.Errorf("certificate %d is not that of an authority", n)
		case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
			return nil, fmt.Errorf("certificate %d may not sign certificates", n)
		case weak(c.PublicKey):
			return nil, fmt.Errorf("certificate %d has a key that is too weak, or of a kind that is not taken", n)
		case n > anchorsMost:
			return nil, fmt.Errorf("has more than %d certificates", anchorsMost)
		}
		out = append(out, c)
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("must be certificates in PEM, and nothing else")
	}
	return out, nil
}

// pool is what paths may lead over: what the operator named, and what came with the client's certificate.
func (a *Authority) pool(presented []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range a.between {
		p.AddCert(c)
	}
	for _, c := range presented {
		if !weak(c.PublicKey) {
			p.AddCert(c)
		}
	}
	return p
}

// What is wrong with a client's certificate.
var (
	ErrPath    = errors.New("this client certificate does not lead to an authority that counts here: send the certificates between with it")
	ErrDates   = errors.New("this client certificate, or one on its path, is not valid yet, or not any more")
	ErrUse     = errors.New("this client certificate is not one for clients: it needs the extended key usage clientAuth and a serial number, and must not be an authority's")
	ErrRevoked = errors.New("its authority has revoked this client certificate, or one on its path: get another one from it")
	ErrUnknown = errors.New("it is not known now whether this client certificate was revoked: its authority's list or answer is missing or too old; try again in a moment, and tell the operator if it stays so")
)

// Known is what is known of revocation when a certificate is looked at.
type Known struct {
	Lists  []*List // proven by the authority
	Answer *Answer // of the responder about the certificate; nil: none yet
}

// Verdict is what was found of a certificate that leads to the authority.
type Verdict struct {
	Until  time.Time         // it holds until then, unless what is known changes
	Issuer *x509.Certificate // who signed it: whom a responder is asked about
}

// Verify checks that the certificate leads to the authority by those that came with it and those that the operator named, and
// that nothing on the way was revoked. Of what the certificate is for it says only that it is not the authority's own (ErrUse): see
// ForClients. With ErrUnknown the verdict has the issuer.
func (a *Authority) Verify(leaf *x509.Certificate, presented []*x509.Certificate, k Known, now time.Time) (Verdict, error) {
	return a.verify(leaf, presented, k, now, x509.ExtKeyUsageAny)
}

// ForClients says whether the certificate is one that a client of the authority may show: it says aloud that it is for clients,
// and no authority on its path was made for something else. One that is known by its thumbprint need not.
func (a *Authority) ForClients(leaf *x509.Certificate, presented []*x509.Certificate, now time.Time) error {
	if !forOneself(leaf, x509.ExtKeyUsageClientAuth) {
		return ErrUse
	}
	_, err := a.chains(leaf, presented, now, x509.ExtKeyUsageClientAuth)
	return err
}

func (a *Authority) verify(leaf *x509.Certificate, presented []*x509.Certificate, k Known, now time.Time, use x509.ExtKeyUsage) (v Verdict, err error) {
	chains, err := a.chains(leaf, presented, now, use)
	if err != nil {
		return v, err
	}
	for _, chain := range chains { // one path on which nothing was revoked is enough
		until, why := a.revoked(chain, k, now)
		if why == nil {
			return Verdict{until, issuerIn(chain)}, nil
		}
		if err == nil || why == ErrRevoked || err == ErrUse {
			err = why
		}
		if v.Issuer == nil {
			v.Issuer = issuerIn(chain)
		}
	}
	return v, err
}

func issuerIn(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) < 2 {
		return nil
	}
	return chain[1]
}

// chains builds the paths from the certificate to the authority.
func (a *Authority) chains(leaf *x509.Certificate, presented []*x509.Certificate, now time.Time, use x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	if len(presented) > presentedMost || weak(leaf.PublicKey) {
		return nil, ErrPath
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: a.anchors, Intermediates: a.pool(presented), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}})
	if err == nil {
		return chains, nil
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.Expired:
			return nil, ErrDates
		case x509.IncompatibleUsage:
			return nil, ErrUse
		}
	}
	return nil, ErrPath
}

// forOneself reports whether a certificate is of who shows it, and says aloud that it is for this use: one without any says
// nothing. It must have a serial number by which it can be revoked (RFC 5280 §4.1.2.2).
func forOneself(c *x509.Certificate, use x509.ExtKeyUsage) bool {
	switch {
	case c.IsCA, c.KeyUsage&x509.KeyUsageCertSign != 0, c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return false
	case !slices.Contains(c.ExtKeyUsage, use), weak(c.PublicKey):
		return false
	case c.SerialNumber.Sign() <= 0, len(c.SerialNumber.Bytes()) > 20:
		return false
	}
	return !slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(constraints) })
}

// constraints are those on names: who signs has them (RFC 5280 §4.2.1.10).
var constraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// revoked looks for each certificate of a path on the lists of who signed it. Of the client's own it must be known that it was
// not: by a list, or by the responder's answer. Of those between, where who signed them has a list.
func (a *Authority) revoked(chain []*x509.Certificate, k Known, now time.Time) (until time.Time, err error) {
	until = chain[0].NotAfter
	if len(chain) < 2 {
		return until, ErrUse // the authority's own, which nobody could revoke: lenient or not, it is no client's
	}
	for i, c := range chain {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
		if i+1 == len(chain) || !a.Looks() {
			continue
		}
		known, stale := false, false
		for _, l := range k.Lists {
			switch {
			case !l.of(chain[i+1]):
			case l.has(c):
				return until, ErrRevoked // also on one that is too old: nothing revoked comes back
			case l.fresh(now):
				known = true
				until = earlier(until, l.Next)
			default:
				stale = true
			}
		}
		if i == 0 && k.Answer != nil && k.Answer.of(c, chain[1]) {
			if k.Answer.Revoked {
				return until, ErrRevoked
			}
			if k.Answer.Fresh(now) {
				known = true
				until = earlier(until, k.Answer.Next)
			}
		}
		if !known && (i == 0 || stale) && !a.Lenient {
			return until, ErrUnknown
		}
	}
	return until, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// clockSkew is how far an authority's clock may be ahead.
const clockSkew = 5 * time.Minute

// weak reports whether a key may not prove anybody.
func weak(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() < 2048 || k.N.BitLen() > 8192
	case *ecdsa.PublicKey:
		return k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521()
	case ed25519.PublicKey:
		return false
	}
	return true
}

// same reports whether two certificates are of one authority with one key.
func same(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}
