// Package id makes the identifiers of records: a prefix that names the kind, then 26 characters that sort by time.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"

	"gatehouse/fault"
)

// ID identifies one record, such as "gr_01kas0v2m8c4y6n0q3r5t7w9xz". IDs are compared byte by byte.
type ID string

// Kind is the prefix of an ID, which says what the ID names.
type Kind string

// The kinds of records.
const (
	Organization Kind = "org"
	Person       Kind = "per"
	Application  Kind = "app"
	Credential   Kind = "crd"
	Request      Kind = "req"
	Grant        Kind = "gr"
	Audit        Kind = "aud"
	Machine      Kind = "mt" // a machine token for the admin API
	Session      Kind = "ses"
	Gateway      Kind = "gw"
	Invitation   Kind = "inv"
	Passkey      Kind = "pk"
	Absence      Kind = "abs"
	DriftRun     Kind = "drn"
	DriftWaiver  Kind = "dwv"
	Review       Kind = "rev" // a campaign
	Item         Kind = "rvi" // of a review
	Offboarding  Kind = "off"
	Webhook      Kind = "wh"
	Enrolment    Kind = "enr" // of a gateway
	InitialToken Kind = "iat" // for the registration of OAuth clients
)

// alphabet is Crockford's base 32 in lower case: it sorts as its values do and has no i, l, o, u.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// New returns a fresh ID: 48 bits of milliseconds since 1970, then 80 random bits.
func New(k Kind, now time.Time) ID {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(b[0:2], uint16(ms>>32))
	binary.BigEndian.PutUint32(b[2:6], uint32(ms))
	return ID(string(k) + "_" + Encode(b[:]))
}

// Encode writes b in the alphabet of IDs, five bits a character, the first one padded on the left.
func Encode(b []byte) string {
	n := (len(b)*8 + 4) / 5
	out := make([]byte, n)
	var acc uint32
	var bits, at = uint(n*5 - len(b)*8), 0 // leading zero bits, so that order is kept
	for _, c := range b {
		acc = acc<<8 | uint32(c)
		bits += 8
		for bits >= 5 {
			bits -= 5
			out[at] = alphabet[acc>>bits&31]
			at++
		}
	}
	return string(out)
}

// Parse checks that s is an ID of the kind.
func Parse(k Kind, s string) (ID, error) {
	rest, ok := strings.CutPrefix(s, string(k)+"_")
	if !ok || len(rest) != 26 {
		return "", fault.New(fault.NotFound, "%q is not an identifier of the form %s_…", clip(s), k)
	}
	for i := 0; i < len(rest); i++ {
		if strings.IndexByte(alphabet, rest[i]) < 0 {
			return "", fault.New(fault.NotFound, "%q is not an identifier of the form %s_…", clip(s), k)
		}
	}
	return ID(s), nil
}

// Is reports whether the ID has the kind's prefix.
func (i ID) Is(k Kind) bool { return strings.HasPrefix(string(i), string(k)+"_") }

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
