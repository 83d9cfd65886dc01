package credential

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// OAuth is how an OAuth client proves itself at the token endpoint.
type OAuth struct {
	Method     AuthMethod      `json:"method"`
	Keys       json.RawMessage `json:"jwks,omitempty"`       // of private_key_jwt: its public keys
	KeysURL    string          `json:"jwks_uri,omitempty"`   // or where they are
	Thumbprint string          `json:"thumbprint,omitempty"` // of self_signed_tls_client_auth: SHA-256 of the certificate, in base64url
	Named      *CertName       `json:"named,omitempty"`      // of tls_client_auth: the authority, and the name in the certificate
	Constrain  Constraint      `json:"constrain,omitempty"`  // what its tokens are bound to; "": what it asks for, or nothing
}

// AuthMethod is a client authentication method of the registry of RFC 7591.
type AuthMethod string

// The methods.
const (
	ClientSecret  AuthMethod = "client_secret" // basic or post, as the client likes
	PrivateKeyJWT AuthMethod = "private_key_jwt"
	SelfSignedTLS AuthMethod = "self_signed_tls_client_auth"
	TLSAuth       AuthMethod = "tls_client_auth" // by a certificate of an authority of the operator's (RFC 8705 §2.1)
)

// Constraint is what a client's access tokens are bound to.
type Constraint string

// The constraints.
const (
	ByDPoP        Constraint = "dpop"
	ByCertificate Constraint = "certificate"
)

// Strong reports whether a client proves itself by it without a secret that both sides know.
func (m AuthMethod) Strong() bool { return m == PrivateKeyJWT || m.ByCertificate() }

// ByCertificate reports whether it is the certificate of the connection that proves the client: all of its tokens are bound to it.
func (m AuthMethod) ByCertificate() bool { return m == SelfSignedTLS || m == TLSAuth }

// FAPI reports whether the client keeps the client profile of FAPI 2.0 (Security Profile, 5.3.3): it proves itself by a key or
// certificate of its own, and all of its tokens are bound. Algorithms and clocks are those of the profile for every client.
func (o OAuth) FAPI() bool {
	return o.Method.Strong() && (o.Constrain != "" || o.Method.ByCertificate())
}

// secretPrefix is what a client's secret begins with; the rest is as in an API key.
const secretPrefix = "ghc_"

// NewSecret makes a client's secret for the environment: the secret, which is shown once, its public id and its hash.
func NewSecret(environment string) (value secret.Value, public string, hash secret.Hash) {
	return newKey(secretPrefix, environment)
}

// NextSecret makes another secret with the same public id: so whoever finds either is told whose it is.
func NextSecret(environment, public string) (secret.Value, secret.Hash) {
	return keyOf(secretPrefix, environment, public)
}

// RotateSecret gives a client a fresh secret in the place of its own, which counts beside it until the time. What an earlier
// rotation left ends at once: there are never more than two. The client, its tokens and its grants stay as they are; it expires
// anew. Only an active client's secret is replaced.
func (c Credential) RotateSecret(hash secret.Hash, now, until, expires time.Time) (Credential, error) {
	if err := c.over(now); err != nil {
		return c, err
	}
	switch {
	case c.OAuth == nil || c.OAuth.Method != ClientSecret:
		return c, fault.Of(fault.Conflict, "credential-kind", "credential %s has no secret that could be replaced", c.ID)
	case c.State != Active:
		return c, fault.New(fault.Conflict, "credential %s is %s, not active: only an active one gets another secret", c.ID, c.State)
	case until.Before(now):
		return c, fault.New(fault.Conflict, "the secret of credential %s cannot end in the past", c.ID)
	}
	c.Earlier, c.EarlierUntil = c.Hash, until
	if !until.After(now) {
		c.Earlier, c.EarlierUntil = secret.Hash{}, time.Time{}
	}
	c.Hash, c.Expires, c.SecretSince = hash, expires, now
	return c, nil
}

// Knows reports whether the hash is that of the credential's secret, or of the one before it while that counts.
func (c Credential) Knows(h secret.Hash, now time.Time) bool {
	return h.Matches(c.Hash) || now.Before(c.EarlierUntil) && h.Matches(c.Earlier)
}

// ClientMark is the mark under which gateways know a client.
func ClientMark(i id.ID) secret.Hash { return sha256.Sum256([]byte("oauth_client " + string(i))) }

// TokenMark is the mark of one access token, by its jti.
func TokenMark(jti string) secret.Hash { return sha256.Sum256([]byte("access_token " + jti)) }

// AssertionMark is the mark of one assertion of a client, by its jti.
func AssertionMark(i id.ID, jti string) secret.Hash {
	return sha256.Sum256([]byte("assertion " + string(i) + " " + jti))
}

// Mark is what gateways find the credential by.
func (c Credential) Mark() secret.Hash {
	switch {
	case c.Kind == Client:
		return ClientMark(c.ID)
	case c.Kind == Federated && c.Workload != nil:
		return c.Workload.Mark()
	case c.Kind == Certificate && c.CertName != nil:
		return c.CertName.Mark()
	}
	return c.Hash
}

// Issuer is what issues access tokens in one environment.
type Issuer struct {
	Environment string       `json:"environment"`
	URL         string       `json:"url"`      // the iss of its tokens
	Audience    string       `json:"audience"` // what the names of its APIs begin with: the address that partners call
	Keys        []SigningKey `json:"keys"`     // oldest first
	Version     int64        `json:"version"`
}

// SigningKey is one key of an issuer. What it is made from is not kept: it is derived from the number.
type SigningKey struct {
	ID     string          `json:"kid"`
	Number int64           `json:"number"`
	Public json.RawMessage `json:"public"` // as a JWK
	From   time.Time       `json:"from"`   // it signs from then on, unless a newer one does
}

// Current is the key that signs at that time, and its successors.
func (i Issuer) Current(now time.Time) (current SigningKey, next []SigningKey, ok bool) {
	for n := len(i.Keys) - 1; n >= 0; n-- {
		if !now.Before(i.Keys[n].From) {
			return i.Keys[n], i.Keys[n+1:], true
		}
	}
	return SigningKey{}, i.Keys, false
}

// Rotated is the issuer as it stands at that time: keys that no token of theirs outlives are gone, and there is a next one,
// which gateways know before it signs. mint makes the key of a number. at once: the next one signs from now on.
func (i Issuer) Rotated(now time.Time, period, tokens time.Duration, atOnce bool, mint func(number int64) (SigningKey, error)) (Issuer, error) {
	keys := append([]SigningKey(nil), i.Keys...)
	last := int64(0)
	for _, k := range keys {
		last = max(last, k.Number)
	}
	add := func(from time.Time) error {
		last++
		k, err := mint(last)
		k.From = from
		keys = append(keys, k)
		return err
	}
	if len(keys) == 0 {
		if err := add(now); err != nil {
			return i, err
		}
	}
	if atOnce && len(i.Keys) > 0 && now.Before(keys[len(keys)-1].From) {
		keys[len(keys)-1].From = now
	}
	if newest := keys[len(keys)-1]; !now.Before(newest.From) { // it signs already: the one after it is told in time
		if err := add(newest.From.Add(max(period, now.Sub(newest.From)+tokens))); err != nil {
			return i, err
		}
	}
	for len(keys) > 2 && !now.Before(keys[1].From.Add(2*tokens)) { // the one after the oldest has signed for longer than any token lives
		keys = keys[1:]
	}
	i.Keys = keys
	return i, nil
}

// Denial says that one access token is refused.
type Denial struct {
	Environment string
	Mark        secret.Hash
	Expires     time.Time // of the token
}
