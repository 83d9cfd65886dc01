package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// AccessType is the typ of access tokens (RFC 9068 §2.1).
const AccessType = "at+jwt"

// Claims are what an access token says (RFC 9068 §2.2).
type Claims struct {
	Issuer   string        `json:"iss"`
	Subject  string        `json:"sub"`
	Client   string        `json:"client_id"`
	Audience Audience      `json:"aud"`
	Scope    string        `json:"scope,omitempty"`
	ID       string        `json:"jti"`
	Issued   int64         `json:"iat"`
	Expires  int64         `json:"exp"`
	Method   string        `json:"client_auth_method,omitempty"` // by which the client proved itself
	Confirm  *Confirmation `json:"cnf,omitempty"`
}

// Confirmation is the key that a token is bound to.
type Confirmation struct {
	Certificate string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
	Key         string `json:"jkt,omitempty"`      // RFC 9449 §6
}

// Audience is one text or several.
type Audience []string

// UnmarshalJSON takes both forms of RFC 7519 §4.1.3.
func (a *Audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = Audience{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(b, &many)
	*a = many
	return err
}

// MarshalJSON writes one as itself.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// Signer makes access tokens with one key.
type Signer struct {
	ID     string
	key    *ecdsa.PrivateKey
	head   string // the encoded header
	public Public
}

// Public is a public key as issuers tell it: JWK Set and feed.
type Public struct {
	ID    string `json:"kid"`
	Type  string `json:"kty"`
	Curve string `json:"crv"`
	Alg   string `json:"alg"`
	Use   string `json:"use"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// NewSigner makes a signer of ES256 from 32 bytes that are random and secret: the same bytes make the same key.
func NewSigner(seed [32]byte) (*Signer, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		return nil, errors.New("these bytes make no key") // once in 2^32
	}
	j := jose.JSONWebKey{Key: &key.PublicKey}
	t, err := j.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	s := &Signer{ID: base64.RawURLEncoding.EncodeToString(t[:12]), key: key}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	s.public = Public{ID: s.ID, Type: "EC", Curve: "P-256", Alg: "ES256", Use: "sig",
		X: base64.RawURLEncoding.EncodeToString(point[1:33]), Y: base64.RawURLEncoding.EncodeToString(point[33:])}
	head, err := json.Marshal(Header{Alg: "ES256", Kid: s.ID, Typ: AccessType}.only())
	if err != nil {
		return nil, err
	}
	s.head = base64.RawURLEncoding.EncodeToString(head) + "."
	return s, nil
}

// only is the header without what is empty.
func (h Header) only() any {
	return struct {
		Alg string `json:"alg"`
		Kid string `json:"kid,omitempty"`
		Typ string `json:"typ"`
	}{h.Alg, h.Kid, h.Typ}
}

// Public is the key that checks what the signer signs.
func (s *Signer) Public() Public { return s.public }

// Key reads a public key as issuers tell it.
func (p Public) Key() (Key, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return Key{}, err
	}
	return ParseKey(raw)
}

// Sign makes a token of the claims.
func (s *Signer) Sign(c Claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	b := make([]byte, 0, len(s.head)+len(payload)*4/3+100)
	b = base64.RawURLEncoding.AppendEncode(append(b, s.head...), payload)
	sum := sha256.Sum256(b)
	r, t, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	t.FillBytes(sig[32:])
	return string(base64.RawURLEncoding.AppendEncode(append(b, '.'), sig[:])), nil
}

// What is wrong with an access token.
var (
	ErrMalformed = errors.New("this is not an access token of this platform")
	ErrIssuer    = errors.New("this access token is of another issuer")
	ErrExpired   = errors.New("this access token has expired")
	ErrEarly     = errors.New("this access token is not valid yet: look at the clocks")
	ErrSigned    = errors.New("this access token is not signed by this platform")
)

// skew is how far the clocks of the control plane and of a gateway may be apart.
const skew = 30 * time.Second

// ReadAccess verifies an access token of the issuer and returns what it says. Audience and binding are for the caller to
// check.
func ReadAccess(compact, issuer string, keys []Key, now time.Time) (Claims, error) {
	var c Claims
	s, err := Parse(compact, []string{"ES256"})
	if err != nil || !Is(s.Header.Typ, AccessType) || s.Header.JWK != nil {
		return c, ErrMalformed
	}
	payload, err := s.Verify(keys)
	if err != nil {
		return c, ErrSigned
	}
	if err := Strict(payload, &c); err != nil || c.Client == "" || c.ID == "" || len(c.Audience) == 0 || slices.Contains(c.Audience, "") || c.Expires == 0 || c.Issued == 0 {
		return c, ErrMalformed
	}
	switch {
	case c.Issuer != issuer:
		return c, ErrIssuer
	case now.Unix() >= c.Expires: // to the second, and never later than it says
		return c, ErrExpired
	case now.Add(skew).Unix() < c.Issued:
		return c, ErrEarly
	}
	return c, nil
}
