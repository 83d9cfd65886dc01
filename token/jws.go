// Package token signs and verifies what proves a caller without a look-up: JSON Web Signatures, access tokens, client
// assertions and DPoP proofs. It takes nothing that could be read in two ways.
package token

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha512" // of PS384 and PS512
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Longest is how many bytes a token may have: ours have some seven hundred, and assertions with chains of names a few
// thousand.
const Longest = 16 << 10

// Asymmetric are the algorithms that are taken where nothing narrower is said: no secret that verifies can also sign.
func Asymmetric() []string {
	return []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
}

// Strong are those of FAPI 2.0 (5.4.1): also what DPoP proofs are signed with.
func Strong() []string { return []string{"ES256", "PS256", "EdDSA"} }

var (
	errForm      = errors.New("it is not a signed token in compact form")
	errAlgorithm = errors.New("its algorithm is not taken here")
	errKey       = errors.New("it is signed by a key that is not known")
	errSignature = errors.New("its signature is wrong")
)

// Header is the protected header of a token.
type Header struct {
	Alg  string          `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	JWK  json.RawMessage `json:"jwk"`
	Crit []string        `json:"crit"`
}

// Signed is a token taken apart. Nothing in it is proven before Verify.
type Signed struct {
	Header  Header
	payload []byte
	sig     []byte
	signed  string // what the signature is over
	whole   string
}

// Parse takes a token apart: three parts in strict base64url, the header an object in which no name stands twice, an
// algorithm of the list, nothing critical.
func Parse(compact string, algs []string) (*Signed, error) {
	if len(compact) > Longest {
		return nil, errForm
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, errForm
	}
	var raw [3][]byte
	for i, p := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil || p == "" && i != 1 || strings.ContainsAny(p, "\r\n") { // the decoder passes over line ends
			return nil, errForm
		}
		raw[i] = b
	}
	s := &Signed{payload: raw[1], sig: raw[2], signed: compact[:len(parts[0])+1+len(parts[1])], whole: compact}
	if err := Strict(raw[0], &s.Header); err != nil {
		return nil, errForm
	}
	if !slices.Contains(algs, s.Header.Alg) {
		return nil, errAlgorithm
	}
	if s.Header.Crit != nil {
		return nil, errForm
	}
	return s, nil
}

// Strict reads one JSON object in which no name stands twice, at any depth, and after which nothing stands.
func Strict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errForm
	}
	if err := unique(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errForm
	}
	return json.Unmarshal(raw, v)
}

// unique reads on to the end of the object whose brace has been read.
func unique(d *json.Decoder, depth int) error {
	const deepest = 16
	if depth > deepest {
		return errForm
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errForm
		}
		name, _ := t.(string)
		// encoding/json finds a field by its name in any case, so two names that differ by case are one.
		if name = strings.ToLower(name); seen[name] {
			return errForm
		}
		seen[name] = true
		if err := value(d, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return errForm
	}
	switch t {
	case json.Delim('{'):
		return unique(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if err := value(d, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

// Verify checks the signature by the one key of the set that it names: by its kid, or without one by the only key that
// can be meant. It returns the payload.
func (s *Signed) Verify(keys []Key) ([]byte, error) {
	var fits []*Key
	for i := range keys {
		k := &keys[i]
		if (s.Header.Kid == "" || k.ID == "" || k.ID == s.Header.Kid) && k.takes(s.Header.Alg) {
			fits = append(fits, k)
		}
	}
	if len(fits) == 0 {
		return nil, errKey
	}
	for _, k := range fits[:min(len(fits), 4)] { // a set in which more could be meant costs too much
		if s.by(k) {
			return s.payload, nil
		}
	}
	return nil, errSignature
}

// by reports whether the key made the signature.
func (s *Signed) by(k *Key) bool {
	if strings.HasPrefix(s.Header.Alg, "PS") {
		return s.pss(k)
	}
	j, err := jose.ParseSignedCompact(s.whole, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.Header.Alg)})
	if err != nil {
		return false
	}
	_, err = j.Verify(k.key)
	return err == nil
}

// pss checks RSA-PSS with a salt as long as the hash, which RFC 7518 §3.5 asks for and the library does not.
func (s *Signed) pss(k *Key) bool {
	pub, ok := k.key.(*rsa.PublicKey)
	if !ok {
		return false
	}
	h := map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}[s.Header.Alg]
	d := h.New()
	d.Write([]byte(s.signed))
	return rsa.VerifyPSS(pub, h, d.Sum(nil), s.sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}) == nil
}
