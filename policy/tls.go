package policy

import "crypto/x509"

// TLS is what the caller's connection has proven. All exchanges of the connection share one, and nobody changes it.
type TLS struct {
	Version    uint16 // as crypto/tls numbers them
	Suite      uint16 // likewise
	ServerName string // that the client asked for; "": none

	// Certificate is the client's own, and the client holds its key. Nobody has said yet that it may be trusted: see Verified.
	// nil: the client showed none, or was not asked.
	Certificate *x509.Certificate
	// Presented are the certificates that came with it, in no order that can be relied on. Nothing is known of them.
	Presented []*x509.Certificate
	// Chain leads from Certificate to an authority that the listener trusts. nil: it was not verified, because the listener
	// verifies none.
	Chain []*x509.Certificate
	// Thumbprint is the SHA-256 of Certificate's DER (RFC 8705 §3.1, x5t#S256). Zero when there is none.
	Thumbprint [32]byte
}

// Verified reports whether the client's certificate was signed by an authority that the listener trusts, and was valid when
// the connection was made. It holds for a nil TLS: nothing was.
func (t *TLS) Verified() bool { return t != nil && len(t.Chain) > 0 }
