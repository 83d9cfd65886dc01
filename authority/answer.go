package authority

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Answer is what a responder said of one certificate (RFC 6960). Nobody changes it.
type Answer struct {
	This, Next time.Time
	Revoked    bool // for good: a certificate on hold counts as revoked until a later answer
	leaf       [sha256.Size]byte
	issuer     []byte // the key of who signed it
}

// unbounded is how long an answer counts that does not say when a newer one is due.
const unbounded = 5 * time.Minute

// Ask is the question to a responder about a certificate, for ReadAnswer.
func Ask(leaf, issuer *x509.Certificate) ([]byte, error) {
	return ocsp.CreateRequest(leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1}) // SHA-1 only names the issuer here; many responders know no other (RFC 5019 §2.1.1)
}

// ReadAnswer reads what a responder said of the certificate. It must be signed by who signed the certificate, or by whom that one
// has made a responder: any other certificate of the authority's could speak for it otherwise (RFC 6960 §4.2.2.2).
func ReadAnswer(raw []byte, leaf, issuer *x509.Certificate, now time.Time) (*Answer, error) {
	r, err := ocsp.ParseResponseForCert(raw, leaf, issuer)
	var said ocsp.ResponseError
	switch {
	case errors.As(err, &said):
		return nil, fmt.Errorf("the responder has no answer: %s", said.Status)
	case err != nil:
		return nil, fmt.Errorf("the responder's answer cannot be read or is not signed as it must be: %w", err)
	case r.SerialNumber == nil || r.SerialNumber.Cmp(leaf.SerialNumber) != 0:
		return nil, errors.New("the responder's answer is about another certificate")
	}
	if c := r.Certificate; c != nil && !bytes.Equal(c.Raw, issuer.Raw) {
		switch {
		case !bytes.Equal(c.RawIssuer, issuer.RawSubject), !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning), c.IsCA, weak(c.PublicKey):
			return nil, errors.New("the responder's certificate is not one for responders of this authority")
		case now.Before(c.NotBefore.Add(-clockSkew)) || !now.Before(c.NotAfter):
			return nil, errors.New("the responder's certificate is not valid now")
		}
	}
	a := &Answer{This: r.ThisUpdate, Next: r.NextUpdate, Revoked: r.Status == ocsp.Revoked, leaf: sha256.Sum256(leaf.Raw), issuer: issuer.RawSubjectPublicKeyInfo}
	switch {
	case r.Status != ocsp.Good && r.Status != ocsp.Revoked:
		return nil, errors.New("the responder does not know the certificate")
	case now.Before(a.This.Add(-clockSkew)):
		return nil, errors.New("the responder's answer is of the future")
	case a.Next.IsZero() && now.Sub(a.This) > unbounded:
		return nil, errors.New("the responder's answer is old, and does not say until when it holds")
	case a.Next.IsZero():
		a.Next = a.This.Add(unbounded + clockSkew)
	case !now.Before(a.Next):
		return nil, errors.New("the responder's answer is too old")
	}
	return a, nil
}

// of reports whether the answer is about the certificate, of the one who signed it.
func (a *Answer) of(leaf, issuer *x509.Certificate) bool {
	return a.leaf == sha256.Sum256(leaf.Raw) && bytes.Equal(a.issuer, issuer.RawSubjectPublicKeyInfo)
}

// Fresh reports whether the answer holds at that time.
func (a *Answer) Fresh(now time.Time) bool { return now.Before(a.Next) }

// Newer reports whether the answer may stand in the place of another one about the same certificate: an earlier one does not undo it.
func (a *Answer) Newer(o *Answer) bool { return o == nil || !a.This.Before(o.This) }
