// Package secret holds values that must not be printed.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"

	"gatehouse/id"
)

// Value is a secret. Every way of printing or encoding it shows "[secret]"; Reveal is the one way out.
// It cannot be compared with ==.
type Value struct {
	_ [0]func()
	s string
}

// hidden is what a Value shows of itself.
const hidden = "[secret]"

// New wraps s.
func New(s string) Value { return Value{s: s} }

// Reveal returns the secret itself. Each call is a place to look at in review.
func (v Value) Reveal() string { return v.s }

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return v.s == "" }

// Equal compares in constant time.
func (v Value) Equal(o Value) bool { return subtle.ConstantTimeCompare([]byte(v.s), []byte(o.s)) == 1 }

// Hash is the SHA-256 of the secret, which is how random secrets are stored.
func (v Value) Hash() Hash { return sha256.Sum256([]byte(v.s)) }

func (v Value) String() string               { return hidden }
func (v Value) GoString() string             { return hidden }
func (v Value) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(hidden)) }
func (v Value) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (v Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes the secret from a configuration file or environment variable.
func (v *Value) UnmarshalText(b []byte) error { v.s = string(b); return nil }

// Hash is the SHA-256 of a random secret of 160 bits or more.
type Hash [sha256.Size]byte

// Matches compares in constant time.
func (h Hash) Matches(o Hash) bool { return subtle.ConstantTimeCompare(h[:], o[:]) == 1 }

// Random returns prefix followed by 32 characters that hold 160 random bits.
func Random(prefix string) Value {
	var b [20]byte
	rand.Read(b[:])
	return New(prefix + id.Encode(b[:]))
}
