package authserver

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
	"gatehouse/token"
)

// longestRegistration is how many bytes of metadata are read: twenty keys and what belongs to them.
const longestRegistration = 64 << 10

// clientMetadata is what a client says of itself (RFC 7591 §2) and is told back. What is not here is left alone, as §2 wants it, and
// is not in the answer: it is not registered.
type clientMetadata struct {
	Name      string          `json:"client_name,omitempty"`
	Method    string          `json:"token_endpoint_auth_method,omitempty"`
	Algorithm string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	Types     []string        `json:"grant_types,omitempty"`
	Responses []string        `json:"response_types,omitempty"`
	Redirects []string        `json:"redirect_uris,omitempty"`
	Keys      json.RawMessage `json:"jwks,omitempty"`
	KeysURL   string          `json:"jwks_uri,omitempty"`
	Statement string          `json:"software_statement,omitempty"`
	DPoP      bool            `json:"dpop_bound_access_tokens,omitempty"`                   // RFC 9449 §5.2
	Bound     bool            `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 §3.4

	// RFC 8705 §2.1.2: one of them.
	Subject string `json:"tls_client_auth_subject_dn,omitempty"`
	DNS     string `json:"tls_client_auth_san_dns,omitempty"`
	URI     string `json:"tls_client_auth_san_uri,omitempty"`
	IP      string `json:"tls_client_auth_san_ip,omitempty"`
	Email   string `json:"tls_client_auth_san_email,omitempty"`
}

// managed is what a client that is managed sends beside (RFC 7592 §2.2): its identifier, and nothing that only we say.
type managed struct {
	clientMetadata
	ID      string          `json:"client_id"`
	Secret  *string         `json:"client_secret"`
	Token   json.RawMessage `json:"registration_access_token"`
	At      json.RawMessage `json:"registration_client_uri"`
	Issued  json.RawMessage `json:"client_id_issued_at"`
	Expires json.RawMessage `json:"client_secret_expires_at"`
}

func metadataError(format string, args ...any) error {
	return fault.Of(fault.Invalid, "invalid_client_metadata", format, args...)
}

// readMetadata reads a registration strictly: one JSON object in which no name stands twice.
func readMetadata(w http.ResponseWriter, r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return metadataError("send the client's metadata as application/json")
	}
	if r.URL.RawQuery != "" {
		return metadataError("send everything in the body: a query stands in logs")
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestRegistration))
	if err != nil {
		return metadataError("the metadata is longer than %d bytes, or broke off", longestRegistration)
	}
	if err := token.Strict(raw, v); err != nil {
		return metadataError("the metadata must be one JSON object in which no name stands twice, each value of its type")
	}
	return nil
}

// bearer is the one token of the Authorization field.
func bearer(r *http.Request) (secret.Value, error) {
	given := r.Header.Values("Authorization")
	if len(given) == 1 {
		if kind, value, ok := strings.Cut(given[0], " "); ok && strings.EqualFold(kind, "Bearer") && value != "" && len(value) < 200 {
			return secret.New(value), nil
		}
	}
	return secret.Value{}, fault.Of(fault.Unauthenticated, "invalid_token", "send one field Authorization: Bearer …, with the token for registrations")
}

// methods are the names of RFC 7591 and what they are here.
var methods = map[string]credential.AuthMethod{
	"": credential.ClientSecret, "client_secret_basic": credential.ClientSecret, "client_secret_post": credential.ClientSecret,
	"private_key_jwt": credential.PrivateKeyJWT, "tls_client_auth": credential.TLSAuth,
}

// client is what the metadata asks for.
func (m clientMetadata) client() (control.NewClient, error) {
	n := control.NewClient{NewKey: control.NewKey{Name: m.Name}, Keys: m.Keys, KeysURL: m.KeysURL}
	if m.Name == "" {
		n.Name = "registered by a program"
	}
	var ok bool
	n.Method, ok = methods[m.Method]
	switch {
	case m.Statement != "":
		return n, fault.Of(fault.Invalid, "unapproved_software_statement", "no issuer of software statements is trusted here: leave software_statement out")
	case len(m.Redirects) > 0:
		return n, fault.Of(fault.Invalid, "invalid_redirect_uri", "no client here is redirected to: leave redirect_uris out")
	case m.Method == "none":
		return n, metadataError("token_endpoint_auth_method: every client proves itself: none is not offered")
	case m.Method == string(credential.SelfSignedTLS):
		return n, metadataError("token_endpoint_auth_method: a client with a certificate of its own is registered by its thumbprint, in the portal or by the admin API")
	case !ok:
		return n, metadataError("token_endpoint_auth_method must be client_secret_basic, client_secret_post, private_key_jwt or tls_client_auth")
	case len(m.Types) > 0 && !slices.Equal(m.Types, []string{"client_credentials"}):
		return n, metadataError("grant_types must be client_credentials alone, or left out")
	case len(m.Responses) > 0:
		return n, metadataError("response_types must be empty, or left out")
	case m.Algorithm != "" && (n.Method != credential.PrivateKeyJWT || !slices.Contains(token.Strong(), m.Algorithm)):
		return n, metadataError("token_endpoint_auth_signing_alg is for private_key_jwt, and must be one of %s", strings.Join(token.Strong(), ", "))
	case m.DPoP && m.Bound:
		return n, metadataError("tokens are bound to a key or to a certificate: choose one of dpop_bound_access_tokens and tls_client_certificate_bound_access_tokens")
	case m.DPoP:
		n.Constrain = credential.ByDPoP
	case m.Bound:
		n.Constrain = credential.ByCertificate
	}
	for _, name := range []credential.CertName{{Kind: "subject", Value: m.Subject}, {Kind: "dns", Value: m.DNS}, {Kind: "uri", Value: m.URI}, {Kind: "ip", Value: m.IP}, {Kind: "email", Value: m.Email}} {
		switch {
		case name.Value == "":
		case n.Named != nil:
			return n, metadataError("give one of tls_client_auth_subject_dn, tls_client_auth_san_dns, tls_client_auth_san_uri, tls_client_auth_san_ip and tls_client_auth_san_email")
		default:
			n.Named = &name
		}
	}
	return n, nil
}

// metadataOf is what is registered of a client.
func metadataOf(cr credential.Credential) clientMetadata {
	o := cr.OAuth
	m := clientMetadata{Name: cr.Name, Method: string(o.Method), Types: []string{"client_credentials"}, Keys: o.Keys, KeysURL: o.KeysURL,
		DPoP: o.Constrain == credential.ByDPoP, Bound: o.Constrain == credential.ByCertificate || o.Method.ByCertificate()}
	if o.Method == credential.ClientSecret {
		m.Method = "client_secret_basic"
	}
	if n := o.Named; n != nil {
		*map[string]*string{"subject": &m.Subject, "dns": &m.DNS, "uri": &m.URI, "ip": &m.IP, "email": &m.Email}[n.Kind] = n.Value
	}
	return m
}

// registration is the answer about a client (RFC 7591 §3.2.1). A secret is in the first one alone: it is not kept.
type registration struct {
	ID      string `json:"client_id"`
	Secret  string `json:"client_secret,omitempty"`
	Issued  int64  `json:"client_id_issued_at"`
	Expires *int64 `json:"client_secret_expires_at,omitempty"` // Unix seconds
	Token   string `json:"registration_access_token,omitempty"`
	At      string `json:"registration_client_uri"`
	clientMetadata
}

func (s *server) registrationOf(cr credential.Credential) registration {
	out := registration{ID: string(cr.ID), Issued: cr.Created.Unix(), At: s.Control.URL + Prefix + cr.Environment + "/register/" + string(cr.ID), clientMetadata: metadataOf(cr)}
	if cr.OAuth.Method == credential.ClientSecret {
		ends := cr.End().Truncate(time.Second).Unix()
		out.Expires = &ends
	}
	return out
}

// wrongMetadata words what control says of a client in the codes of RFC 7591 §3.2.2.
func wrongMetadata(err error) error {
	f := fault.As(err)
	switch {
	case err == nil:
		return nil
	case f.Code == "invalid_token":
		return err
	case f.Kind == fault.Invalid && len(f.Fields) > 0:
		var parts []string
		for _, w := range f.Fields {
			parts = append(parts, strings.TrimPrefix(w.Pointer, "/")+": "+w.Text)
		}
		return metadataError("%s", strings.Join(parts, "; "))
	case f.Kind == fault.Conflict, f.Kind == fault.Invalid:
		return metadataError("%s", f.Public)
	}
	return err
}

func (s *server) register(w http.ResponseWriter, r *http.Request) error {
	value, err := bearer(r)
	if err != nil {
		return err
	}
	var m clientMetadata
	if err := readMetadata(w, r, &m); err != nil {
		return err
	}
	n, err := m.client()
	if err != nil {
		return err
	}
	cr, shown, manage, err := s.Control.RegisterByToken(r.Context(), actor(r), r.PathValue("env"), value, n)
	if err != nil {
		return wrongMetadata(err)
	}
	out := s.registrationOf(cr)
	out.Secret, out.Token = shown.Reveal(), manage.Reveal()
	answer(w, http.StatusCreated, out)
	return nil
}

func (s *server) showRegistration(w http.ResponseWriter, r *http.Request) error {
	value, err := bearer(r)
	if err != nil {
		return err
	}
	cr, err := s.Control.Registration(r.Context(), actor(r), r.PathValue("env"), id.ID(r.PathValue("client")), value)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, s.registrationOf(cr))
	return nil
}

func (s *server) updateRegistration(w http.ResponseWriter, r *http.Request) error {
	value, err := bearer(r)
	if err != nil {
		return err
	}
	var m managed
	if err := readMetadata(w, r, &m); err != nil {
		return err
	}
	switch {
	case m.ID != r.PathValue("client"):
		return metadataError("client_id must be that of the client whose address this is")
	case m.Token != nil || m.At != nil || m.Issued != nil || m.Expires != nil:
		return metadataError("leave registration_access_token, registration_client_uri, client_id_issued_at and client_secret_expires_at out")
	case m.Secret != nil:
		return metadataError("client_secret: a secret is not chosen by a client, and is replaced in the portal")
	}
	n, err := m.client()
	if err != nil {
		return err
	}
	cr, err := s.Control.UpdateRegistration(r.Context(), actor(r), r.PathValue("env"), id.ID(m.ID), value, n)
	if err != nil {
		return wrongMetadata(err)
	}
	answer(w, http.StatusOK, s.registrationOf(cr))
	return nil
}

func (s *server) endRegistration(w http.ResponseWriter, r *http.Request) error {
	value, err := bearer(r)
	if err != nil {
		return err
	}
	if err := s.Control.EndRegistration(r.Context(), actor(r), r.PathValue("env"), id.ID(r.PathValue("client")), value); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
