// Package authoritytest makes authorities and clients' certificates for tests.
package authoritytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Party is a certificate with its key.
type Party struct {
	*x509.Certificate
	Key *ecdsa.PrivateKey
}

// PEM is the certificate as text.
func (p Party) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Raw}))
}

// Made is a client's certificate of that day, with a number that no other has, signed by the party; by nil it signs itself.
func Made(t *testing.T, now time.Time, by *Party, change func(*x509.Certificate)) Party {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: "client"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	if change != nil {
		change(c)
	}
	signer := Party{c, key}
	if by != nil {
		signer = *by
	}
	der, err := x509.CreateCertificate(rand.Reader, c, signer.Certificate, key.Public(), signer.Key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Party{out, key}
}

// Signs changes a certificate to that of an authority of the name, which ends 1,000 hours after now.
func Signs(name string, now time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		c.NotAfter = now.Add(1000 * time.Hour)
	}
}
