package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// published is a client's key and where its public half is, which a script names by jwks_uri.
type published struct {
	*httptest.Server
	mu  sync.Mutex
	key *ecdsa.PrivateKey
	kid string
}

func text64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwks publishes a fresh key, in the place of the one before. The first time it starts the server, sets KEYS_URL, and lets what is
// started from then on trust it.
func (i *instance) jwks(ts *testscript.TestScript, _ []string) {
	p := i.published
	if p == nil {
		p = &published{}
		p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			point, err := p.key.PublicKey.Bytes()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": p.kid,
				"x": text64(point[1:33]), "y": text64(point[33:])}}})
		}))
		ts.Defer(p.Close)
		i.published = p
		file := filepath.Join(i.work, "keys.pem")
		ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600))
		ts.Setenv("SSL_CERT_FILE", file)
		ts.Setenv("KEYS_URL", p.URL+"/jwks")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.kid = key, rand.Text()
}

// assertion VARIABLE CLIENT ISSUER signs an assertion of the client (RFC 7523 §3) by the key that is published now.
func (i *instance) assertion(ts *testscript.TestScript, args []string) {
	part := func(v any) string {
		b, err := json.Marshal(v)
		ts.Check(err)
		return text64(b)
	}
	now := time.Now().Unix()
	p := i.published
	signed := part(map[string]string{"alg": "ES256", "typ": "JWT", "kid": p.kid}) + "." +
		part(map[string]any{"iss": args[1], "sub": args[1], "aud": args[2], "jti": rand.Text(), "iat": now, "exp": now + 60})
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	ts.Check(err)
	var b [64]byte
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	ts.Setenv(args[0], signed+"."+text64(b[:]))
}

// asks STATUS ISSUER ASSERTION asks for a token, expects that status, and puts the answer on standard output.
func (i *instance) asks(ts *testscript.TestScript, args []string) {
	res, err := http.PostForm(args[1]+"/token", url.Values{"grant_type": {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {args[2]}})
	ts.Check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ts.Check(err)
	_, err = ts.Stdout().Write(b)
	ts.Check(err)
	if fmt.Sprint(res.StatusCode) != args[0] {
		ts.Fatalf("the token endpoint answers %d, want %s: %s", res.StatusCode, args[0], b)
	}
}
