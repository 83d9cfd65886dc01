package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/token"
)

const (
	tenant = "8f0c1d2e-0000-4000-8000-0123456789ab"
	other  = "11111111-2222-4333-8444-555555555555"
	client = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
)

var (
	rsaKey = func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	}()
	ecKey = func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}()
)

type claims = map[string]any

// sign makes a JWT as some issuer would, whatever it says.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, head map[string]any, c claims) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for k, v := range head {
		o.ExtraHeaders[jose.HeaderKey(k)] = v
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	out, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func keySet(t testing.TB) []token.Key {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey.Public(), KeyID: "k1"}, {Key: ecKey.Public(), KeyID: "k2"}}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.ParseSet(raw)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func with(c claims, more claims) claims {
	out := maps.Clone(c)
	for k, v := range more {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// What tokens of an issuer elsewhere must be: one thing wrong at a time.
func TestWorkloadTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keys := keySet(t)
	oidc := token.Trusted{URL: "https://issuer.example", Form: token.PlainOIDC, Audiences: []string{"https://api.example", "https://api2.example"}, Algs: []string{"RS256", "ES256"}, Longest: time.Hour}
	good := claims{"iss": oidc.URL, "sub": "job", "aud": "https://api.example", "iat": now.Unix() - 60, "nbf": now.Unix() - 60, "exp": now.Unix() + 300, "ref": "main", "groups": []string{"a", "b"}}
	rs := func(c claims) string {
		return sign(t, jose.RS256, rsaKey, map[string]any{"kid": "k1", "typ": "JWT"}, c)
	}
	head := func(h map[string]any) string { return sign(t, jose.RS256, rsaKey, h, good) }
	unsigned := func(h string) string {
		payload, _ := json.Marshal(good)
		return base64.RawURLEncoding.EncodeToString([]byte(h)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	}
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, compact string
		err           error
	}{
		{"good", rs(good), nil},
		{"by the other key", sign(t, jose.ES256, ecKey, map[string]any{"kid": "k2"}, good), nil},
		{"without kid", head(map[string]any{"typ": "JWT"}), nil},
		{"no typ", head(map[string]any{"kid": "k1"}), nil},
		{"typ at+jwt", head(map[string]any{"kid": "k1", "typ": "application/at+jwt"}), nil},
		{"several audiences, one of them ours", rs(with(good, claims{"aud": []string{"x", "https://api.example"}})), nil},
		{"its clock is ahead", rs(with(good, claims{"iat": now.Unix() + 29, "nbf": now.Unix() + 29})), nil},
		{"no nbf", rs(with(good, claims{"nbf": nil})), nil},
		{"lives as long as it may", rs(with(good, claims{"iat": now.Unix() - 3000, "exp": now.Unix() + 600})), nil},

		{"typ of a proof", head(map[string]any{"kid": "k1", "typ": "dpop+jwt"}), token.ErrForeign},
		{"typ of a logout", head(map[string]any{"kid": "k1", "typ": "logout+jwt"}), token.ErrForeign},
		{"a key in its header", head(map[string]any{"kid": "k1", "jwk": jose.JSONWebKey{Key: rsaKey.Public()}}), token.ErrForeign},
		{"something critical", head(map[string]any{"kid": "k1", "crit": []string{"exp"}, "exp": 1}), token.ErrForeign},
		{"alg none", unsigned(`{"alg":"none"}`), token.ErrForeign},
		{"alg None", unsigned(`{"alg":"None","kid":"k1"}`) + "AAAA", token.ErrForeign},
		{"HS256 with the public key as secret", sign(t, jose.HS256, der, map[string]any{"kid": "k1"}, good), token.ErrForeign},
		{"an alg that is not listed", sign(t, jose.PS256, rsaKey, map[string]any{"kid": "k1"}, good), token.ErrForeign},
		{"alg ES256 with the RSA key's kid", sign(t, jose.ES256, ecKey, map[string]any{"kid": "k1"}, good), token.ErrUnknown},
		{"a kid that climbs", head(map[string]any{"kid": "../../../../dev/null"}), token.ErrUnknown},
		{"a kid that asks a database", head(map[string]any{"kid": "x' UNION SELECT 'k1"}), token.ErrUnknown},
		{"another key under its kid", sign(t, jose.ES256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), map[string]any{"kid": "k2"}, good), token.ErrForged},
		{"cut", strings.TrimSuffix(rs(good), rs(good)[len(rs(good))-22:]), token.ErrForged},
		{"another payload", strings.Join([]string{strings.Split(rs(good), ".")[0], strings.Split(rs(with(good, claims{"sub": "root"})), ".")[1], strings.Split(rs(good), ".")[2]}, "."), token.ErrForged},
		{"JSON serialization", `{"payload":"e30","signatures":[]}`, token.ErrForeign},
		{"nothing", "", token.ErrForeign},
		{"too long", strings.Repeat("a", token.Longest+1), token.ErrForeign},

		{"another issuer", rs(with(good, claims{"iss": "https://evil.example"})), token.ErrIssuer},
		{"the issuer with a slash", rs(with(good, claims{"iss": "https://issuer.example/"})), token.ErrIssuer},
		{"no issuer", rs(with(good, claims{"iss": nil})), token.ErrIssuer},
		{"another audience", rs(with(good, claims{"aud": "https://elsewhere.example"})), token.ErrAudience},
		{"no audience", rs(with(good, claims{"aud": nil})), token.ErrAudience},
		{"two of our audiences", rs(with(good, claims{"aud": []string{"https://api.example", "https://api2.example"}})), token.ErrAudience},
		{"audience as a prefix", rs(with(good, claims{"aud": "https://api.example/"})), token.ErrAudience},
		{"expired this second", rs(with(good, claims{"exp": now.Unix()})), token.ErrExpired},
		{"no exp", rs(with(good, claims{"exp": nil})), token.ErrLifetime},
		{"exp as a text", rs(with(good, claims{"exp": "1800000300"})), token.ErrForeign},
		{"exp with a fraction", rs(with(good, claims{"exp": float64(now.Unix()) + 300.5})), token.ErrForeign},
		{"no iat", rs(with(good, claims{"iat": nil})), token.ErrLifetime},
		{"lives too long", rs(with(good, claims{"exp": now.Unix() + 3541})), token.ErrLifetime},
		{"of the year 10000", rs(with(good, claims{"exp": int64(1) << 62})), token.ErrLifetime},
		{"not yet valid", rs(with(good, claims{"nbf": now.Unix() + 31})), token.ErrEarly},
		{"of the future", rs(with(good, claims{"iat": now.Unix() + 31})), token.ErrEarly},
		{"no subject", rs(with(good, claims{"sub": nil})), token.ErrSubject},
		{"a number for a subject", rs(with(good, claims{"sub": 7})), token.ErrSubject},
		{"a list for a subject", rs(with(good, claims{"sub": []string{"job"}})), token.ErrSubject},
		{"bound to a key that is not checked", rs(with(good, claims{"cnf": claims{"jkt": "x"}})), token.ErrBound},
		{"bound to nothing that is named", rs(with(good, claims{"cnf": claims{}})), token.ErrBound},
	} {
		w, err := oidc.Read(c.compact, keys, now)
		if err != c.err {
			t.Errorf("%s: %v, want %v", c.what, err, c.err)
		}
		if err == nil && (w.Subject != "job" || w.Audience != "https://api.example" || !w.Has("ref", "main") || w.Has("ref", "mai") || !w.Has("groups", "b") || w.Has("groups", "c") || w.Has("groups", "") || w.Has("nothing", "")) {
			t.Errorf("%s: %+v", c.what, w)
		}
	}
	twice := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k1","kid":"k2"}`)) + strings.TrimPrefix(rs(good), strings.Split(rs(good), ".")[0])
	if _, err := oidc.Read(twice, keys, now); err != token.ErrForeign {
		t.Errorf("kid twice: %v", err)
	}
	bound, err := oidc.Read(rs(with(good, claims{"cnf": claims{"x5t#S256": "abc"}})), keys, now)
	if err != nil || bound.Thumb != "abc" {
		t.Errorf("bound to a certificate: %+v %v", bound, err)
	}
	other := oidc
	other.Subject = "ref"
	if w, err := other.Read(rs(good), keys, now); err != nil || w.Subject != "main" {
		t.Errorf("by another claim: %+v %v", w, err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Tokens of Entra ID, in both versions: by the tenant and the client that proved itself, never by what else they say.
func TestEntraTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keys := keySet(t)
	v2 := token.Trusted{URL: "https://login.microsoftonline.com/" + tenant + "/v2.0", Form: token.Entra, Tenant: tenant, Version: "2.0", Audiences: []string{other}, Algs: []string{"RS256"}, Longest: 25 * time.Hour}
	v1 := v2
	v1.URL, v1.Version, v1.Audiences = "https://sts.windows.net/"+tenant+"/", "1.0", []string{"api://gatehouse"}
	two := claims{"iss": v2.URL, "aud": other, "tid": tenant, "ver": "2.0", "azp": client, "azpacr": "1", "oid": "o", "sub": "o", "roles": []string{"Read"}, "iat": now.Unix() - 300, "nbf": now.Unix() - 300, "exp": now.Unix() - 300 + 86_700}
	one := with(two, claims{"iss": v1.URL, "aud": "api://gatehouse", "ver": "1.0", "azp": nil, "azpacr": nil, "appid": client, "appidacr": "2"})
	for _, c := range []struct {
		what string
		by   token.Trusted
		c    claims
		err  error
	}{
		{"version 2", v2, two, nil},
		{"version 1", v1, one, nil},
		{"with idtyp app", v2, with(two, claims{"idtyp": "app"}), nil},
		{"another tenant with the same client", v2, with(two, claims{"tid": other}), token.ErrTenant},
		{"another tenant's issuer", v2, with(two, claims{"iss": "https://login.microsoftonline.com/" + other + "/v2.0", "tid": other}), token.ErrIssuer},
		{"version 1 with the issuer of version 2", v2, with(one, claims{"iss": v2.URL, "aud": other}), token.ErrTenant},
		{"version 2 with the issuer of version 1", v1, with(two, claims{"iss": v1.URL, "aud": "api://gatehouse"}), token.ErrTenant},
		{"appid in a token of version 2", v2, with(two, claims{"azp": nil, "appid": client}), token.ErrSubject},
		{"no tid", v2, with(two, claims{"tid": nil}), token.ErrTenant},
		{"for a person", v2, with(two, claims{"scp": "User.Read"}), token.ErrPerson},
		{"for a person, with no scope left", v2, with(two, claims{"scp": ""}), token.ErrPerson},
		{"idtyp user", v2, with(two, claims{"idtyp": "user"}), token.ErrPerson},
		{"a public client", v2, with(two, claims{"azpacr": "0"}), token.ErrPerson},
		{"nothing of how the client proved itself", v1, with(one, claims{"appidacr": nil}), token.ErrPerson},
		{"a client that is no GUID", v2, with(two, claims{"azp": "x"}), token.ErrSubject},
		{"no client", v2, with(two, claims{"azp": nil}), token.ErrSubject},
	} {
		w, err := c.by.Read(sign(t, jose.RS256, rsaKey, map[string]any{"kid": "k1", "typ": "JWT"}, c.c), keys, now)
		if err != c.err || err == nil && (w.Subject != client || !w.Has("roles", "Read") || w.Has("roles", "Write")) {
			t.Errorf("%s: %+v %v, want %v", c.what, w, err, c.err)
		}
	}
}

func TestKubernetesTokens(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keys := keySet(t)
	k := token.Trusted{URL: "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", Form: token.Kubernetes, Audiences: []string{"gatehouse"}, Algs: []string{"RS256"}, Longest: time.Hour}
	good := claims{"iss": k.URL, "aud": []string{"gatehouse"}, "sub": "system:serviceaccount:payments:reader", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Unix() + 3600,
		"kubernetes.io": claims{"namespace": "payments", "serviceaccount": claims{"name": "reader", "uid": "u"}}}
	for _, c := range []struct {
		sub any
		err error
	}{
		{"system:serviceaccount:payments:reader", nil}, {"system:serviceaccount:payments", token.ErrSubject}, {"system:serviceaccount::reader", token.ErrSubject},
		{"system:serviceaccount:a:b:c", token.ErrSubject}, {"system:admin", token.ErrSubject}, {"", token.ErrSubject}, {nil, token.ErrSubject},
	} {
		w, err := k.Read(sign(t, jose.RS256, rsaKey, map[string]any{"kid": "k1"}, with(good, claims{"sub": c.sub})), keys, now)
		if err != c.err || err == nil && w.Subject != c.sub {
			t.Errorf("%v: %+v %v, want %v", c.sub, w, err, c.err)
		}
	}
}

// Whatever is sent, nothing panics, and what cannot be verified is refused.
func FuzzWorkloadToken(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	keys := keySet(f)
	by := token.Trusted{URL: "https://issuer.example", Audiences: []string{"a"}, Algs: token.Asymmetric(), Longest: time.Hour}
	f.Add(sign(f, jose.ES256, ecKey, map[string]any{"kid": "k2"}, claims{"iss": by.URL, "aud": "a"}))
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, s string) {
		token.IssuerOf(s)
		if w, err := by.Read(s, keys, now); err == nil {
			t.Errorf("%q is taken: %+v", s, w)
		}
	})
}
