package authority

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// serialsMost is how many certificates one list may name: some 60 MB of memory. What the fetch takes bounds it before.
const serialsMost = 1_000_000

// A List says which certificates of an authority were revoked.
type List struct {
	This, Next time.Time
	list       *x509.RevocationList
	signer     *x509.Certificate // nil: not proven
	serials    map[string]bool
}

// ParseList reads a revocation list, in DER or PEM (RFC 5280 §5). Nothing in it is proven before Prove. What limits or changes its meaning in a way that is not known here refuses it.
func ParseList(raw []byte) (*List, error) {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN")) {
		block, rest := pem.Decode(raw)
		if block == nil || block.Type != "X509 CRL" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("it is not one revocation list in PEM")
		}
		raw = block.Bytes
	}
	l, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, fmt.Errorf("it is no revocation list: %w", err)
	}
	for _, e := range l.Extensions {
		if e.Critical { // such as one that is of some certificates alone, or only tells of changes
			return nil, fmt.Errorf("its extension %s is critical and not known here", e.Id)
		}
	}
	if len(l.RevokedCertificateEntries) > serialsMost {
		return nil, fmt.Errorf("it names more than %d certificates", serialsMost)
	}
	if l.NextUpdate.IsZero() || !l.NextUpdate.After(l.ThisUpdate) {
		return nil, errors.New("it does not say when the next one is due")
	}
	if l.Number == nil {
		return nil, errors.New("it has no number")
	}
	out := &List{This: l.ThisUpdate, Next: l.NextUpdate, list: l, serials: make(map[string]bool, len(l.RevokedCertificateEntries))}
	for _, e := range l.RevokedCertificateEntries {
		out.serials[string(e.SerialNumber.Bytes())] = true
	}
	return out, nil
}

// Prove finds who of the authority signed the list: one of its certificates, or of those between that the operator named. A
// list that nobody of them signed is an error, and says nothing.
func (a *Authority) Prove(l *List) error { return l.provenBy(a.signers) }

func (l *List) provenBy(signers []*x509.Certificate) error {
	for _, c := range signers {
		if bytes.Equal(l.list.RawIssuer, c.RawSubject) && l.list.CheckSignatureFrom(c) == nil {
			l.signer = c
			return nil
		}
	}
	return fmt.Errorf("it is signed by %.200q, whose certificate is neither among those of the authority nor among its intermediates", l.list.Issuer)
}

// of reports whether the authority with that certificate signed the list.
func (l *List) of(c *x509.Certificate) bool { return l.signer != nil && same(l.signer, c) }

func (l *List) has(c *x509.Certificate) bool { return l.serials[string(c.SerialNumber.Bytes())] }

// fresh reports whether the list says enough at that time: the next one is not due yet, and it is not of the future.
func (l *List) fresh(now time.Time) bool {
	return now.Before(l.Next) && !now.Before(l.This.Add(-clockSkew))
}

// Newer reports whether the list replaces another one from the same place, both proven: a list that was once seen is not undone
// by an older one of the same signer.
func (l *List) Newer(o *List) bool {
	return o == nil || !same(l.signer, o.signer) || l.list.Number.Cmp(o.list.Number) >= 0
}
