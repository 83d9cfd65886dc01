package token

import (
	"errors"
	"slices"
	"time"
)

// Assertion is what a client signs to prove itself (RFC 7523 §3).
type Assertion struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  Audience `json:"aud"`
	ID        string   `json:"jti"`
	Issued    int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
}

// longestAssertion is how far ahead the end of an assertion may be: so long it is remembered.
const longestAssertion = 5 * time.Minute

// AssertionClient is the client that an assertion says it is of. Nothing is proven by that.
func AssertionClient(compact string) (string, error) {
	s, err := Parse(compact, Asymmetric())
	if err != nil {
		return "", err
	}
	var a Assertion
	if err := Strict(s.payload, &a); err != nil || a.Subject == "" {
		return "", errForm
	}
	return a.Subject, nil
}

// ReadAssertion verifies a client's assertion. Issuer and subject must be the client, the audience one of ours, the end near.
// That it was not seen before is for the caller to check, by ID and Expires.
func ReadAssertion(compact, client string, audiences, algs []string, keys []Key, now time.Time) (Assertion, error) {
	var a Assertion
	s, err := Parse(compact, algs)
	if err != nil {
		return a, err
	}
	if typ := s.Header.Typ; typ != "" && !Is(typ, "jwt") && !Is(typ, "client-authentication+jwt") {
		return a, errors.New("its typ is another one")
	}
	payload, err := s.Verify(keys)
	if err != nil {
		return a, err
	}
	if err := Strict(payload, &a); err != nil {
		return a, errForm
	}
	switch {
	case a.Issuer != client || a.Subject != client:
		return a, errors.New("its iss and sub must be the client_id")
	case len(a.Audience) != 1 || !slices.Contains(audiences, a.Audience[0]): // one, so that it cannot be used elsewhere
		return a, errors.New("its aud must be the issuer")
	case a.ID == "" || len(a.ID) > 256:
		return a, errors.New("its jti must have from 1 to 256 characters")
	case now.Unix() >= a.Expires:
		return a, errors.New("it has expired")
	case time.Unix(a.Expires, 0).Sub(now) > longestAssertion:
		return a, errors.New("its exp is more than five minutes ahead")
	case now.Add(skew).Unix() < max(a.NotBefore, a.Issued):
		return a, errors.New("it is not valid yet: look at the clocks")
	}
	return a, nil
}
