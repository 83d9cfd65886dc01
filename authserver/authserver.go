// Package authserver is the OAuth 2.0 face of control, for machine clients: the token endpoint, introspection, revocation and
// metadata of each environment's issuer.
package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/token"
)

// Options is what an authorization server works with. Control is needed.
type Options struct {
	Control *control.Control
	Log     *slog.Logger
	Now     func() time.Time
}

// Prefix is the path under which the issuers are. WellKnown is where clients find their metadata (RFC 8414 §3.1).
const (
	Prefix    = "/oauth/"
	WellKnown = "/.well-known/oauth-authorization-server/oauth/"
)

// longestForm is how many bytes a form may have: an assertion and what belongs to it.
const longestForm = 64 << 10

type server struct {
	Options
	mux *http.ServeMux
}

// New returns the handler of everything under Prefix and WellKnown. It reads no cookie.
func New(o Options) (http.Handler, error) {
	if o.Control == nil {
		return nil, errors.New("authserver: Options.Control is needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &server{o, http.NewServeMux()}
	s.handle("GET "+WellKnown+"{env}", s.metadata)
	s.handle("GET "+Prefix+"{env}/jwks", s.keys)
	s.handle("GET "+Prefix+"{env}/resources/{path...}", s.resource)
	s.handle("POST "+Prefix+"{env}/token", s.token)
	s.handle("POST "+Prefix+"{env}/introspect", s.introspect)
	s.handle("POST "+Prefix+"{env}/revoke", s.revoke)
	s.handle("POST "+Prefix+"{env}/register", s.register)
	for _, name := range []string{"token", "introspect", "revoke", "register"} {
		s.handle(Prefix+"{env}/"+name, onlyPost)
	}
	s.handle("GET "+Prefix+"{env}/register/{client}", s.showRegistration)
	s.handle("PUT "+Prefix+"{env}/register/{client}", s.updateRegistration)
	s.handle("DELETE "+Prefix+"{env}/register/{client}", s.endRegistration)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, fault.Of(fault.NotFound, "not_found", "there is nothing at this address"))
	})
	return s.mux, nil
}

// handle adds a handler that returns what it cannot do.
func (s *server) handle(pattern string, do func(http.ResponseWriter, *http.Request) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := do(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// onlyPost answers every other method at an address that takes forms.
func onlyPost(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Allow", http.MethodPost)
	answer(w, http.StatusMethodNotAllowed, map[string]string{"error": "invalid_request", "error_description": "this address takes POST, not " + describe(r.Method)})
	return nil
}

// describe is the text as an error_description may hold it: RFC 6749 §5.2 knows no quotation marks, no backslashes and nothing
// but ASCII there, and some of it is what the caller sent.
func describe(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
}

// codes are the errors that a caller is told by name. Whatever else went wrong is a server_error.
var codes = map[string]int{
	"invalid_request": 400, "invalid_client": 401, "invalid_scope": 400, "invalid_target": 400, "unauthorized_client": 400,
	"unsupported_grant_type": 400, "unsupported_token_type": 400, "use_dpop_nonce": 400, "invalid_dpop_proof": 400, "not_found": 404,
	"invalid_token": 401, "invalid_client_metadata": 400, "invalid_redirect_uri": 400, "unapproved_software_statement": 400,
}

// refuse answers in the form of RFC 6749 §5.2.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := fault.As(err)
	code, status, text := f.Code, codes[f.Code], f.Public
	if status == 0 {
		code, status = "server_error", http.StatusInternalServerError
		switch f.Kind {
		case fault.NotFound:
			code, status = "not_found", http.StatusNotFound
		case fault.Unavailable, fault.Conflict:
			code, status = "temporarily_unavailable", http.StatusServiceUnavailable
		case fault.Limited:
			code, status = "slow_down", http.StatusTooManyRequests
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)+1))
		default:
			text = "something went wrong on our side"
			s.Log.Error("token endpoint", "path", r.URL.Path, "error", err)
		}
	}
	if status == http.StatusUnauthorized {
		scheme := `Basic realm="oauth"`
		if code == "invalid_token" {
			scheme = `Bearer realm="oauth", error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", scheme)
		s.Log.Info("a client is refused", "path", r.URL.Path, "address", r.RemoteAddr, "why", f.Err)
	}
	if code == "use_dpop_nonce" {
		w.Header().Set("DPoP-Nonce", s.Control.DPoPNonce())
	}
	answer(w, status, map[string]string{"error": code, "error_description": describe(text)})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an answer that its reader does not wait for
}

func invalid(text string) error { return fault.Of(fault.Invalid, "invalid_request", "%s", text) }

// form reads what was sent: every parameter once, but resource.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || len(r.Header.Values("Content-Type")) > 1 {
		return nil, invalid("send a form, with the field Content-Type: application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, invalid("send parameters in the body: a query stands in logs")
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestForm))
	if err != nil {
		return nil, invalid("the body is too long or broke off")
	}
	v, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, invalid("the form cannot be read")
	}
	for name, values := range v {
		if len(values) > 1 && name != "resource" {
			return nil, invalid("a parameter stands twice: each is sent once")
		}
	}
	return v, nil
}

// assertionType is the one kind of client_assertion (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// proof is what the client sent to prove itself, by one method.
func proof(r *http.Request, v url.Values) (control.Proof, error) {
	p := control.Proof{Client: v.Get("client_id"), Assertion: v.Get("client_assertion")}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		p.Thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
		p.Certificate, p.Presented = r.TLS.PeerCertificates[0], r.TLS.PeerCertificates[1:]
	}
	if v.Has("client_secret") {
		p.Secret = secret.New(v.Get("client_secret"))
	}
	given := r.Header.Values("Authorization")
	if len(given) > 1 {
		return p, invalid("send one Authorization field")
	}
	if len(given) == 1 {
		name, value, ok := r.BasicAuth()
		if !ok || v.Has("client_secret") || p.Assertion != "" {
			return p, invalid("prove the client by one method: Authorization: Basic …, client_secret or client_assertion")
		}
		var err, err2 error // both are encoded as in a form (RFC 6749 §2.3.1)
		name, err = url.QueryUnescape(name)
		value, err2 = url.QueryUnescape(value)
		if err != nil || err2 != nil || p.Client != "" && p.Client != name {
			return p, invalid("client_id and Authorization are of different clients, or cannot be read")
		}
		p.Client, p.Secret = name, secret.New(value)
	}
	if p.Assertion != "" && v.Get("client_assertion_type") != assertionType {
		return p, invalid("client_assertion_type must be " + assertionType)
	}
	if p.Client == "" && p.Assertion == "" {
		return p, fault.Of(fault.Unauthenticated, "invalid_client", "say which client it is, and prove it")
	}
	return p, nil
}

func actor(r *http.Request) identity.Actor {
	address := r.RemoteAddr
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return control.Nobody(address, "")
}

func (s *server) token(w http.ResponseWriter, r *http.Request) error {
	v, err := form(w, r)
	if err != nil {
		return err
	}
	switch v.Get("grant_type") {
	case "client_credentials":
	case "":
		return fault.Of(fault.Invalid, "invalid_request", "a grant_type is missing: it must be client_credentials")
	default:
		return fault.Of(fault.Invalid, "unsupported_grant_type", "the grant_type must be client_credentials")
	}
	p, err := proof(r, v)
	if err != nil {
		return err
	}
	env := r.PathValue("env")
	q := control.TokenRequest{Environment: env, Client: p, Scopes: strings.Fields(v.Get("scope")), Resources: v["resource"], URL: s.Control.URL + Prefix + env + "/token"}
	switch proofs := r.Header.Values("DPoP"); {
	case len(proofs) > 1:
		return fault.Of(fault.Invalid, "invalid_dpop_proof", "send one DPoP field")
	case len(proofs) == 1:
		q.DPoP = proofs[0]
	}
	t, err := s.Control.IssueToken(r.Context(), actor(r), q)
	if err != nil {
		return err
	}
	if q.DPoP != "" {
		w.Header().Set("DPoP-Nonce", s.Control.DPoPNonce())
	}
	answer(w, http.StatusOK, struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Lives int64  `json:"expires_in"`
		Scope string `json:"scope,omitempty"`
	}{t.Token, t.Type, int64(t.Lives / time.Second), strings.Join(t.Scopes, " ")})
	return nil
}

// presented is the client's proof and the token that it asks about.
func presented(w http.ResponseWriter, r *http.Request) (control.Proof, string, error) {
	v, err := form(w, r)
	if err != nil {
		return control.Proof{}, "", err
	}
	p, err := proof(r, v)
	if err != nil {
		return p, "", err
	}
	raw := v.Get("token")
	if raw == "" || len(raw) > token.Longest {
		return p, "", invalid("token must be given")
	}
	return p, raw, nil
}

func (s *server) introspect(w http.ResponseWriter, r *http.Request) error {
	p, raw, err := presented(w, r)
	if err != nil {
		return err
	}
	c, ok, err := s.Control.IntrospectToken(r.Context(), actor(r), r.PathValue("env"), p, raw)
	if err != nil {
		return err
	}
	if !ok {
		answer(w, http.StatusOK, map[string]bool{"active": false})
		return nil
	}
	kind := "Bearer"
	if c.Confirm != nil && c.Confirm.Key != "" {
		kind = "DPoP"
	}
	answer(w, http.StatusOK, struct {
		Active bool   `json:"active"`
		Type   string `json:"token_type"`
		token.Claims
	}{true, kind, c})
	return nil
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) error {
	p, raw, err := presented(w, r)
	if err != nil {
		return err
	}
	if err := s.Control.RevokeToken(r.Context(), actor(r), r.PathValue("env"), p, raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// Metadata is what clients find out about an issuer (RFC 8414).
type Metadata struct {
	Issuer        string   `json:"issuer"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Introspection string   `json:"introspection_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	Registration  string   `json:"registration_endpoint"`
	Types         []string `json:"grant_types_supported"`
	Responses     []string `json:"response_types_supported"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	DPoP          []string `json:"dpop_signing_alg_values_supported"`
	Bound         bool     `json:"tls_client_certificate_bound_access_tokens"`
}

func (s *server) metadata(w http.ResponseWriter, r *http.Request) error {
	i, err := s.Control.Issuer(r.Context(), actor(r), r.PathValue("env"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, Metadata{
		Issuer: i.URL, Token: i.URL + "/token", Keys: i.URL + "/jwks", Introspection: i.URL + "/introspect", Revocation: i.URL + "/revoke", Registration: i.URL + "/register",
		Types: []string{"client_credentials"}, Responses: []string{},
		Methods:    []string{"client_secret_basic", "client_secret_post", string(credential.PrivateKeyJWT), string(credential.TLSAuth), string(credential.SelfSignedTLS)},
		Algorithms: token.Strong(), DPoP: token.Strong(), Bound: true,
	})
	return nil
}

func (s *server) keys(w http.ResponseWriter, r *http.Request) error {
	i, err := s.Control.Issuer(r.Context(), actor(r), r.PathValue("env"))
	if err != nil {
		return err
	}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{[]json.RawMessage{}}
	for _, k := range i.Keys {
		set.Keys = append(set.Keys, k.Public)
	}
	w.Header().Set("Cache-Control", "max-age=300")
	answer(w, http.StatusOK, set)
	return nil
}

// resource is the metadata of an API as a protected resource (RFC 9728): where a gateway's 401 leads.
func (s *server) resource(w http.ResponseWriter, r *http.Request) error {
	i, err := s.Control.Issuer(r.Context(), actor(r), r.PathValue("env"))
	if err != nil {
		return err
	}
	base := "/" + strings.Trim(r.PathValue("path"), "/")
	scopes, ok, err := s.Control.ResourceScopes(r.Context(), actor(r), r.PathValue("env"), base)
	if err != nil {
		return err
	}
	if !ok {
		return fault.Of(fault.NotFound, "not_found", "no API is exposed at this path")
	}
	answer(w, http.StatusOK, struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
		Methods  []string `json:"bearer_methods_supported"`
		DPoP     []string `json:"dpop_signing_alg_values_supported"`
		Bound    bool     `json:"tls_client_certificate_bound_access_tokens"`
	}{i.Audience + strings.TrimSuffix(base, "/"), []string{i.URL}, scopes, []string{"header"}, token.Strong(), true})
	return nil
}
