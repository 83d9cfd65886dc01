package token

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Trusted is what a token of an issuer elsewhere must be for a workload to prove itself by it. Nobody changes it.
type Trusted struct {
	URL       string        // exactly the iss of its tokens
	Form      TrustedForm   // how its tokens say who the workload is
	Subject   string        // the claim that says it, of PlainOIDC; "": sub
	Tenant    string        // of Entra: the tid of its tokens
	Version   string        // of Entra: the ver of its tokens, 1.0 or 2.0
	Audiences []string      // of which a token must be for exactly one
	Algs      []string      // that tokens may be signed with
	Longest   time.Duration // a token may live, from iat to exp
}

// TrustedForm is how an issuer's tokens say of whom they are.
type TrustedForm string

// The forms.
const (
	PlainOIDC  TrustedForm = "oidc"       // by the claim Trusted.Subject
	Entra      TrustedForm = "entra"      // by appid (v1) or azp (v2): the client id of an application of the tenant
	Kubernetes TrustedForm = "kubernetes" // by sub: system:serviceaccount:NAMESPACE:NAME
)

// Workload is what a token of a trusted issuer says.
type Workload struct {
	Subject  string
	Audience string // the one of Trusted.Audiences
	Expires  int64  // Unix seconds
	Thumb    string // of the certificate that it is bound to, in base64url; "": it is a bearer's
	claims   map[string]json.RawMessage
}

// What is wrong with a workload's token, beside what is wrong with access tokens of ours.
var (
	ErrForeign  = errors.New("this token is no signed JWT of a kind that proves a workload")
	ErrUnknown  = errors.New("the key that this token names is not one of its issuer's")
	ErrForged   = errors.New("the signature of this token is wrong")
	ErrLifetime = errors.New("this token says no iat and exp, or lives longer than its issuer's tokens may here")
	ErrAudience = errors.New("this token is not for exactly one of the audiences that count here")
	ErrSubject  = errors.New("this token does not say of which workload it is")
	ErrTenant   = errors.New("this token is of another tenant, or of another version than its issuer's")
	ErrPerson   = errors.New("this token acts for a person, or for a client that proved nothing: ask for one of the application itself")
	ErrBound    = errors.New("this token is bound to something that is not checked here")
)

// IssuerOf is the iss that a token claims, without any proof; "" when it cannot be read.
func IssuerOf(compact string) string {
	s, err := Parse(compact, Asymmetric())
	if err != nil {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if Strict(s.payload, &c) != nil {
		return ""
	}
	return c.Issuer
}

// Read verifies a token. The clock of the issuer may be 30 seconds ahead; no token counts after its exp.
func (t *Trusted) Read(compact string, keys []Key, now time.Time) (Workload, error) {
	var w Workload
	s, err := Parse(compact, t.Algs)
	if err != nil || s.Header.JWK != nil || !workloadType(s.Header.Typ) {
		return w, ErrForeign
	}
	payload, err := s.Verify(keys)
	switch {
	case errors.Is(err, errKey):
		return w, ErrUnknown
	case err != nil:
		return w, ErrForged
	}
	var c struct {
		Issuer    string          `json:"iss"`
		Audience  Audience        `json:"aud"`
		Issued    int64           `json:"iat"`
		NotBefore int64           `json:"nbf"`
		Expires   int64           `json:"exp"`
		Confirm   json.RawMessage `json:"cnf"`
	}
	if Strict(payload, &c) != nil || json.Unmarshal(payload, &w.claims) != nil {
		return w, ErrForeign
	}
	switch {
	case c.Issuer != t.URL:
		return w, ErrIssuer
	case c.Expires <= 0 || c.Issued <= 0 || c.Expires-c.Issued > int64(t.Longest/time.Second):
		return w, ErrLifetime
	case now.Unix() >= c.Expires:
		return w, ErrExpired
	case now.Add(skew).Unix() < max(c.NotBefore, c.Issued):
		return w, ErrEarly
	}
	for _, a := range c.Audience {
		if !slices.Contains(t.Audiences, a) {
			continue
		}
		if w.Audience != "" {
			return w, ErrAudience // which of the two is meant is never picked in silence
		}
		w.Audience = a
	}
	if w.Audience == "" {
		return w, ErrAudience
	}
	if err := w.confirmed(c.Confirm); err != nil {
		return w, err
	}
	w.Expires = c.Expires
	w.Subject, err = t.subject(&w)
	return w, err
}

// workloadType reports whether tokens of that typ may prove a workload: not what was made for one other purpose, as proofs and
// logout tokens are.
func workloadType(typ string) bool { return typ == "" || Is(typ, "jwt") || Is(typ, AccessType) }

// confirmed takes what the token is bound to, if we can check it.
func (w *Workload) confirmed(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var cnf map[string]string
	if json.Unmarshal(raw, &cnf) != nil || len(cnf) != 1 || cnf["x5t#S256"] == "" {
		return ErrBound
	}
	w.Thumb = cnf["x5t#S256"]
	return nil
}

// Text is a claim that is one text; "" when it is not there or something else.
func (w *Workload) Text(name string) string {
	var s string
	if json.Unmarshal(w.claims[name], &s) != nil {
		return ""
	}
	return s
}

// Has reports whether a claim is that text, or a list of texts in which it stands.
func (w *Workload) Has(name, value string) bool {
	if raw := w.claims[name]; len(raw) > 0 && raw[0] == '[' {
		var all []string
		return json.Unmarshal(raw, &all) == nil && slices.Contains(all, value)
	}
	return value != "" && w.Text(name) == value
}

func (w *Workload) said(name string) bool {
	raw, ok := w.claims[name]
	return ok && string(raw) != "null"
}

func (t *Trusted) subject(w *Workload) (string, error) {
	switch t.Form {
	case Entra:
		return t.entra(w)
	case Kubernetes:
		if sub := w.Text("sub"); IsServiceAccount(sub) {
			return sub, nil
		}
		return "", ErrSubject
	}
	claim := t.Subject
	if claim == "" {
		claim = "sub"
	}
	if s := w.Text(claim); s != "" && len(s) <= SubjectLongest {
		return s, nil
	}
	return "", ErrSubject
}

// SubjectLongest is how many bytes a subject may have.
const SubjectLongest = 512

// entra takes the client id of an application that proved itself. Which version a token has the API decides that it is for, not
// the address it was got from; a token for a person has scp; a public client has proven nothing (azpacr, appidacr 0).
func (t *Trusted) entra(w *Workload) (string, error) {
	client, strength := "azp", "azpacr"
	if t.Version == "1.0" {
		client, strength = "appid", "appidacr"
	}
	switch {
	case t.Tenant == "" || w.Text("tid") != t.Tenant || w.Text("ver") != t.Version:
		return "", ErrTenant
	case w.said("scp") || w.said("idtyp") && w.Text("idtyp") != "app":
		return "", ErrPerson
	case w.Text(strength) != "1" && w.Text(strength) != "2":
		return "", ErrPerson
	}
	if s := w.Text(client); IsGUID(s) {
		return s, nil
	}
	return "", ErrSubject
}

// IsGUID reports whether a text is a GUID in lower case, as Entra ID writes them.
func IsGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// IsServiceAccount reports whether a text names a service account of Kubernetes.
func IsServiceAccount(s string) bool {
	rest, ok := strings.CutPrefix(s, "system:serviceaccount:")
	space, name, both := strings.Cut(rest, ":")
	return ok && both && space != "" && name != "" && len(s) <= SubjectLongest && !strings.ContainsAny(rest[len(space)+1:], ":/ ") && !strings.ContainsAny(space, "/ ")
}
