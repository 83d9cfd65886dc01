package token

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type vectors struct {
	TestGroups []struct {
		Comment string
		Private json.RawMessage
		Public  json.RawMessage
		Tests   []struct {
			TcID    int `json:"tcId"`
			Comment string
			JWS     json.RawMessage `json:"jws"`
			Result  string
		}
	}
}

func readVectors(t *testing.T, name string) (v vectors) {
	t.Helper()
	if err := json.Unmarshal(vectorFile(t, name), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func vectorFile(t *testing.T, name string) []byte {
	t.Helper()
	root := os.Getenv("GATEHOUSE_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "vectors")
	}
	raw, err := os.ReadFile(filepath.Join(root, "wycheproof", name))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the vectors are missing (set GATEHOUSE_VECTORS): %v", err)
	}
	return raw
}

// stricter are the vectors that count as valid and that we refuse, with the reason.
var stricter = map[string]map[int]string{"json_web_signature_test.json": {
	346: "the key is for PS256 alone, and the token is of PS384", 350: "the key is for PS256 alone, and the token is of PS384",
	372: "a ? is no base64url", 373: "a ? is no base64url",
}}

// Every vector of Wycheproof for JSON Web Signatures and Keys: what is valid is taken, what is not is refused. HMAC is let
// in here only: no secret verifies anything in Gatehouse.
func TestWycheproof(t *testing.T) {
	for _, file := range []string{"json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"} {
		n := 0
		for _, g := range readVectors(t, file).TestGroups {
			raw := g.Public
			if raw == nil {
				raw = g.Private
			}
			for _, c := range g.Tests {
				if c.JWS == nil {
					continue // what is encrypted is never taken
				}
				n++
				var compact string
				if json.Unmarshal(c.JWS, &compact) != nil {
					compact = string(c.JWS) // a JSON serialization, which is never taken
				}
				err := func() error {
					k, err := parseKey(raw, true)
					keys := []Key{k}
					if strings.Contains(string(raw), `"keys"`) {
						keys, err = parseSet(raw, true)
					}
					if err != nil {
						return err
					}
					s, err := Parse(compact, append(Asymmetric(), "HS256", "HS384", "HS512"))
					if err != nil {
						return err
					}
					_, err = s.Verify(keys)
					return err
				}()
				if why := stricter[file][c.TcID]; why != "" {
					if err == nil {
						t.Errorf("%s %d is taken, although %s", file, c.TcID, why)
					}
					continue
				}
				if file == "json_web_signature_test.json" && (c.TcID == 367 || c.TcID == 370) {
					continue // byte for byte 357, which is valid: their broken padding was lost on the way into the file
				}
				if (err == nil) != (c.Result == "valid") {
					t.Errorf("%s %d (%s: %s) is %s, and we say %v", file, c.TcID, g.Comment, c.Comment, c.Result, err)
				}
			}
		}
		if n < 20 {
			t.Errorf("%s has %d vectors", file, n)
		}
	}
}

// Every vector of Wycheproof for RSA-PSS with SHA-256 and a salt as long: this check is our own.
func TestWycheproofPSS(t *testing.T) {
	var v struct {
		TestGroups []struct {
			PublicKeyJwk json.RawMessage
			Tests        []struct {
				TcID             int `json:"tcId"`
				Comment          string
				Msg, Sig, Result string
			}
		}
	}
	if err := json.Unmarshal(vectorFile(t, "rsa_pss_2048_sha256_mgf1_32_test.json"), &v); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range v.TestGroups {
		k, err := ParseKey(g.PublicKeyJwk)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Tests {
			n++
			msg, err := hex.DecodeString(c.Msg)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := hex.DecodeString(c.Sig)
			if err != nil {
				t.Fatal(err)
			}
			s := Signed{Header: Header{Alg: "PS256"}, signed: string(msg), sig: sig}
			if got := s.by(&k); got != (c.Result == "valid") {
				t.Errorf("%d (%s) is %s, and we say %v", c.TcID, c.Comment, c.Result, got)
			}
		}
	}
	if n < 100 {
		t.Errorf("there are %d vectors", n)
	}
}
