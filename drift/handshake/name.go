package handshake

import (
	"crypto/x509/pkix"
	"encoding/asn1"
)

// distinguished is a name in DER as people read it.
func distinguished(raw []byte) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return "a name that cannot be read"
	}
	return seq.String()
}
