package drift

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// CertificateOf reads the first certificate of a PEM text into an entry of the inventory. ok is false when there is none that can be read.
func CertificateOf(ref, use, text string, o Origin) (c Certificate, ok bool) {
	c = Certificate{Ref: ref, Kind: "inline", Use: use, Origin: o}
	rest := []byte(text)
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return c, false
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		x, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return c, false
		}
		sum := sha256.Sum256(b.Bytes)
		c.SHA256 = hex.EncodeToString(sum[:])
		c.Hosts = x.DNSNames
		for _, ip := range x.IPAddresses {
			c.Hosts = append(c.Hosts, ip.String())
		}
		c.Issuer = x.Issuer.String()
		c.Ends = Is(x.NotAfter.UTC(), o)
		c.KeyAlg = Is(keyAlg(x), o)
		c.Pinned, c.Rotates = ByDefault(false), ByDefault(false)
		return c, true
	}
}

func keyAlg(x *x509.Certificate) string {
	switch k := x.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ecdsa" + strings.ToLower(strings.ReplaceAll(k.Curve.Params().Name, "-", ""))
	case ed25519.PublicKey:
		return "ed25519"
	}
	return strings.ToLower(x.PublicKeyAlgorithm.String())
}
