package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // of thumbprints
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Key is what a signature is checked with.
type Key struct {
	ID    string
	algs  []string // what it may be used with
	key   any
	thumb string // its RFC 7638 thumbprint
}

// ThumbprintOf is the thumbprint of a public key, "" of one that has none.
func ThumbprintOf(key crypto.PublicKey) string {
	j := jose.JSONWebKey{Key: key}
	t, err := j.Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(t)
}

func (k *Key) takes(alg string) bool { return slices.Contains(k.algs, alg) }

// Thumbprint is the key's SHA-256 thumbprint (RFC 7638), in base64url.
func (k *Key) Thumbprint() string { return k.thumb }

const (
	keysMost    = 20       // in one set: enough to rotate
	keysLongest = 64 << 10 // bytes of a set
	rsaShortest = 2048     // bits
	rsaLongest  = 8192     // bits: more only costs time
)

// members of a JWK that say what it may be used for.
type jwk struct {
	Kty string   `json:"kty"`
	Use string   `json:"use"`
	Ops []string `json:"key_ops"`
	Alg string   `json:"alg"`
	Crv string   `json:"crv"`
	Kid string   `json:"kid"`
	D   string   `json:"d"`
	K   string   `json:"k"`
}

// ParseKey reads a public JWK that signatures are checked with. A private or symmetric one is refused, and so is one for
// another use.
func ParseKey(raw []byte) (Key, error) { return parseKey(raw, false) }

// symmetric lets in secrets too: for tests with the published vectors.
func parseKey(raw []byte, symmetric bool) (Key, error) {
	var m jwk
	if len(raw) > Longest {
		return Key{}, errors.New("it is too long")
	}
	if err := Strict(raw, &m); err != nil {
		return Key{}, errors.New("it is no JWK: one JSON object in which no name stands twice")
	}
	switch {
	case m.K != "" && !symmetric || m.Kty == "oct" && !symmetric:
		return Key{}, errors.New("it is a secret: send a public key")
	case m.D != "" && !symmetric:
		return Key{}, errors.New("it is a private key: take it out of use, and send the public key of another one")
	case m.Use != "" && m.Use != "sig":
		return Key{}, fmt.Errorf("its use is %q, not sig", m.Use)
	case m.Ops != nil && !slices.Contains(m.Ops, "verify") && !(symmetric && slices.Contains(m.Ops, "sign")):
		return Key{}, errors.New("its key_ops do not contain verify")
	}
	var j jose.JSONWebKey
	if m.Kty == "oct" {
		b, err := base64.RawURLEncoding.DecodeString(m.K)
		if err != nil {
			return Key{}, errors.New("it is no valid JWK")
		}
		j = jose.JSONWebKey{Key: b}
	} else if err := j.UnmarshalJSON(raw); err != nil || !j.Valid() {
		return Key{}, errors.New("it is no valid JWK")
	}
	key := j.Key
	if m.Kty != "oct" && !j.IsPublic() {
		key = j.Public().Key
	}
	algs, err := algorithms(key)
	if err != nil {
		return Key{}, err
	}
	if alg := m.Alg; alg != "" {
		if alg == "ES521" { // so some write ES512
			alg = "ES512"
		}
		if !slices.Contains(algs, alg) {
			return Key{}, fmt.Errorf("its alg is %q, which a key of its kind cannot do", m.Alg)
		}
		algs = []string{alg}
	}
	k := Key{ID: m.Kid, algs: algs, key: key}
	if t, err := j.Thumbprint(crypto.SHA256); err == nil {
		k.thumb = base64.RawURLEncoding.EncodeToString(t)
	}
	return k, nil
}

// algorithms are what a key of its kind can be used with.
func algorithms(key any) ([]string, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < rsaShortest || n > rsaLongest {
			return nil, fmt.Errorf("its modulus has %d bits, not from %d to %d", n, rsaShortest, rsaLongest)
		}
		if roca(k.N) {
			return nil, errors.New("its modulus was made by a generator that is broken (ROCA, CVE-2017-15361)")
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		if alg := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[k.Curve.Params().Name]; alg != "" {
			return []string{alg}, nil
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	case []byte:
		return []string{"HS256", "HS384", "HS512"}, nil
	}
	return nil, errors.New("it is a key of a kind that is not taken here")
}

// roca reports whether a modulus has the form that Infineon's generator gave it: modulo each small prime a power of 65537.
// One that was made at random has that form once in some 2^28 keys.
func roca(n *big.Int) bool {
	for p := int64(3); p <= 167; p += 2 {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power := int64(1)
		for range p {
			if power == rest {
				break
			}
			power = power * 65537 % p
		}
		if power != rest {
			return false
		}
	}
	return true
}

// ParseSet reads a JWK Set. Keys of other uses and kinds are left out, as RFC 7517 §5 asks; a private or secret key, and one
// name for two keys, refuse the set.
func ParseSet(raw []byte) ([]Key, error) { return parseSet(raw, false) }

func parseSet(raw []byte, symmetric bool) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(raw) > keysLongest {
		return nil, fmt.Errorf("it has more than %d bytes", keysLongest)
	}
	if err := Strict(raw, &set); err != nil || set.Keys == nil {
		return nil, errors.New(`it is no JWK Set: {"keys": [ … ]}`)
	}
	if len(set.Keys) > keysMost {
		return nil, fmt.Errorf("it has more than %d keys", keysMost)
	}
	var out []Key
	secrets := 0
	for n, one := range set.Keys {
		k, err := parseKey(one, symmetric)
		var m jwk
		known := json.Unmarshal(one, &m) == nil
		if known && (m.D != "" || m.Kty == "oct") && !symmetric {
			return nil, fmt.Errorf("keys/%d: %w", n, err)
		}
		if err != nil {
			continue
		}
		if k.ID != "" && slices.ContainsFunc(out, func(o Key) bool { return o.ID == k.ID }) {
			return nil, fmt.Errorf("keys/%d: another key of the set has the kid %q", n, k.ID)
		}
		if m.Kty == "oct" {
			secrets++
		}
		out = append(out, k)
	}
	if secrets > 0 && secrets < len(out) {
		return nil, errors.New("it mixes secrets with public keys")
	}
	if len(out) == 0 {
		return nil, errors.New("no key in it can check signatures")
	}
	return out, nil
}

// Is reports whether a media type of a header (typ) is the one wanted: without "application/" and in any case
// (RFC 7515 §4.1.9).
func Is(typ, want string) bool {
	typ = strings.ToLower(typ)
	return strings.TrimPrefix(typ, "application/") == want
}
