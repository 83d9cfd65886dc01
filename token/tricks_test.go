package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/token"
)

// Whatever is read by a signature is read in one way: the algorithm is one of ours and that of the key, the key is one that is known
// beforehand, and nothing in the header says otherwise. The same tricks are played on access tokens, client assertions and DPoP proofs.
func TestTricksWithAlgorithmsAndKeys(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	mine, wider := ecKey, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	forger := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := func(k crypto.Signer) jose.JSONWebKey { return jose.JSONWebKey{Key: k.Public(), KeyID: "k"} }
	known := func(ks ...crypto.Signer) []token.Key {
		var out []token.Key
		for _, k := range ks {
			out = append(out, must(token.ParseKey(must(json.Marshal(public(k)))(t)))(t))
		}
		return out
	}
	prover := token.NewProver()
	// The three readers, each with what a good token of it says and with its own header.
	type reader struct {
		name   string
		head   map[string]any
		claims claims
		read   func(string, []token.Key) error
	}
	readers := []reader{
		{"an access token", map[string]any{"typ": "at+jwt"}, claims{"iss": "https://portal.test/oauth/live", "sub": "crd_1", "client_id": "crd_1", "aud": "https://api.test", "jti": "j", "iat": now.Unix(), "exp": now.Unix() + 300},
			func(s string, ks []token.Key) error {
				_, err := token.ReadAccess(s, "https://portal.test/oauth/live", ks, now)
				return err
			}},
		{"a client assertion", map[string]any{"typ": "JWT"}, claims{"iss": "crd_1", "sub": "crd_1", "aud": "https://portal.test/oauth/live", "jti": "j", "iat": now.Unix(), "exp": now.Unix() + 60},
			func(s string, ks []token.Key) error {
				_, err := token.ReadAssertion(s, "crd_1", []string{"https://portal.test/oauth/live"}, token.Strong(), ks, now)
				return err
			}},
		{"a proof", map[string]any{"typ": "dpop+jwt"}, claims{"jti": "j", "htm": "GET", "htu": "https://api.test/x", "iat": now.Unix(), "nonce": prover.Nonce(now)},
			func(s string, _ []token.Key) error {
				_, err := prover.Read(s, "GET", "https://api.test/x", "", now)
				return err
			}},
	}
	der := must(x509.MarshalPKIXPublicKey(mine.Public()))(t)
	asSecret := must(json.Marshal(public(mine)))(t)
	encode := base64.RawURLEncoding.EncodeToString
	for _, r := range readers {
		payload := must(json.Marshal(r.claims))(t)
		proof := r.name == "a proof"
		// head is the reader's header with more in it; a proof names its key itself.
		head := func(more map[string]any) map[string]any {
			h := map[string]any{"kid": "k"}
			maps.Copy(h, r.head)
			if proof {
				h["jwk"] = public(mine)
			}
			maps.Copy(h, more)
			return h
		}
		by := func(alg jose.SignatureAlgorithm, key any, more map[string]any) string {
			return sign(t, alg, key, head(more), r.claims)
		}
		raw := func(h string, sig []byte) string {
			return encode([]byte(h)) + "." + encode(payload) + "." + encode(sig)
		}
		header := func(more map[string]any) string { return string(must(json.Marshal(head(more)))(t)) }
		good := by(jose.ES256, mine, nil)
		if err := r.read(good, known(mine)); err != nil {
			t.Fatalf("%s that is good: %v", r.name, err)
		}
		input := good[:strings.LastIndexByte(good, '.')]
		sum := sha256.Sum256([]byte(input))
		wide := encode([]byte(header(map[string]any{"alg": "ES256", "jwk": public(wider)}))) + "." + encode(payload)
		wideSum := sha256.Sum256([]byte(wide))
		a, b, err := ecdsa.Sign(rand.Reader, wider, wideSum[:])
		if err != nil {
			t.Fatal(err)
		}
		wide += "." + encode(append(a.FillBytes(make([]byte, 48)), b.FillBytes(make([]byte, 48))...))
		for what, c := range map[string]struct {
			compact string
			keys    []token.Key
		}{
			"alg none": {raw(header(map[string]any{"alg": "none"}), nil), nil},
			"alg none, and something for a signature": {raw(header(map[string]any{"alg": "none"}), []byte("x")), nil},
			"alg NONE":  {raw(header(map[string]any{"alg": "NONE"}), []byte("x")), nil},
			"no alg":    {raw(header(nil), []byte("x")), nil},
			"alg es256": {raw(header(map[string]any{"alg": "es256"}), []byte("x")), nil},
			"alg twice": {raw(`{"alg":"none","alg":"ES256"`+strings.TrimPrefix(header(nil), "{"), nil), nil},
			"HS256 with the public key in DER as the secret":  {by(jose.HS256, der, nil), nil},
			"HS256 with the public key as JWK for the secret": {by(jose.HS256, asSecret, nil), nil},
			"no signature":                             {input + ".", nil},
			"a signature of zeroes":                    {input + "." + encode(make([]byte, 64)), nil},
			"its signature in DER":                     {input + "." + encode(must(ecdsa.SignASN1(rand.Reader, mine, sum[:]))(t)), nil},
			"a signature that is one byte too long":    {good + "AA", nil},
			"another payload under the same signature": {strings.Split(good, ".")[0] + "." + encode([]byte(strings.Replace(string(payload), `"j"`, `"k"`, 1))) + good[strings.LastIndexByte(good, '.'):], nil},
			"the key of another curve, as ES256":       {wide, known(wider)},
			"ES384 by a key of P-384":                  {by(jose.ES384, wider, map[string]any{"jwk": public(wider)}), known(mine, wider)},
			"RS256":                                    {by(jose.RS256, rsaKey, map[string]any{"jwk": public(rsaKey)}), known(mine, rsaKey)},
			"EdDSA under the name of an ECDSA key":     {by(jose.EdDSA, edwards, nil), known(mine)},
			"by another key":                           {by(jose.ES256, forger, nil), nil},
			"with a certificate of its own (x5c)":      {by(jose.ES256, forger, map[string]any{"x5c": []string{encode(der)}}), nil},
			"with an address of keys (jku)":            {by(jose.ES256, forger, map[string]any{"jku": "https://evil.example/jwks"}), nil},
			"with an address of a certificate (x5u)":   {by(jose.ES256, forger, map[string]any{"x5u": "https://evil.example/cert"}), nil},
			"something critical":                       {by(jose.ES256, mine, map[string]any{"crit": []string{"exp"}, "exp": 1}), nil},
			"nothing that is critical":                 {by(jose.ES256, mine, map[string]any{"crit": []string{}}), nil},
			"its payload unencoded":                    {by(jose.ES256, mine, map[string]any{"crit": []string{"b64"}, "b64": false}), nil},
			"in JSON":                                  {`{"payload":"` + encode(payload) + `","protected":"` + strings.Split(good, ".")[0] + `","signature":"` + good[strings.LastIndexByte(good, '.')+1:] + `"}`, nil},
			"encrypted, by its form":                   {good + ".x.x", nil},
			"with a line end":                          {strings.Replace(good, ".", ".\n", 1), nil},
			"with padding":                             {good + "=", nil},
			"no known key":                             {good, []token.Key{}},
		} {
			keys := c.keys
			if keys == nil {
				keys = known(mine)
			}
			if proof && what == "no known key" {
				continue // it knows its own, and what it is bound to is for the token to say
			}
			if err := r.read(c.compact, keys); err == nil || proof && !errors.Is(err, token.ErrProof) {
				t.Errorf("%s, %s: %v", r.name, what, err)
			}
		}
		// A key in the header never stands for one that is known.
		if embedded := by(jose.ES256, forger, map[string]any{"jwk": public(forger)}); !proof {
			if err := r.read(embedded, known(mine)); err == nil {
				t.Errorf("%s brings its own key, and is taken", r.name)
			}
		} else if p, err := prover.Read(embedded, "GET", "https://api.test/x", "", now); err != nil || p.Key != token.ThumbprintOf(forger.Public()) {
			t.Errorf("a proof by another key is that of %q: %v", p.Key, err)
		}
		if proof {
			private := jose.JSONWebKey{Key: mine}
			if err := r.read(by(jose.ES256, mine, map[string]any{"jwk": private}), nil); err == nil {
				t.Error("a proof with its private key is taken")
			}
		}
		// What is of one sort counts as no other.
		for _, other := range readers {
			if other.name == r.name {
				continue
			}
			if err := other.read(good, known(mine)); err == nil {
				t.Errorf("%s counts as %s", r.name, other.name)
			}
		}
	}
}
