package control

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/token"
)

// NewClient is what an OAuth client is made from.
type NewClient struct {
	NewKey
	Method     credential.AuthMethod
	Keys       json.RawMessage       // of private_key_jwt: a JWK Set of public keys
	KeysURL    string                // or where it is: an https URL (jwks_uri)
	Thumbprint string                // of self_signed_tls_client_auth: SHA-256 of the certificate's DER, in base64url
	Named      *credential.CertName  // of tls_client_auth: the authority, and the name in the certificate
	Constrain  credential.Constraint // what its tokens are bound to; "": what it asks for, or nothing
}

// RegisterClient makes an OAuth client. A client secret is returned once and never again; other methods have none. The rules
// of grants and lifetimes are those of IssueKey.
func (c *Control) RegisterClient(ctx context.Context, a identity.Actor, n NewClient) (credential.Credential, secret.Value, error) {
	return c.registerClient(ctx, a, n, func(*write, credential.Credential) error { return nil })
}

// registerClient is RegisterClient; and does what belongs to it, in the same transaction.
func (c *Control) registerClient(ctx context.Context, a identity.Actor, n NewClient, and func(*write, credential.Credential) error) (credential.Credential, secret.Value, error) {
	var value secret.Value
	var o credential.OAuth
	cr, err := c.issue(ctx, a, n.NewKey, issuing{
		method: "RegisterClient", action: "credential.register-client", kind: credential.Client,
		again: "this form has made the client %s already: its secret was shown then and cannot be shown again",
		check: func(f *form) { o = f.oauth(n, c.Fetch) },
		make: func(w *write, fresh *credential.Credential) error {
			if _, err := c.issuer(w, fresh.Environment, false, "the first client"); err != nil {
				return err
			}
			if o.Named != nil {
				named := *o.Named
				if err := c.knownAuthority(w, fresh.Environment, &named); err != nil {
					return err
				}
				o.Named = &named
			}
			fresh.OAuth = &o
			value, fresh.PublicID, fresh.Hash = credential.NewSecret(fresh.Environment)
			if o.Method != credential.ClientSecret {
				value, fresh.Hash = secret.Value{}, secret.Hash{}
			}
			return and(w, *fresh)
		},
	})
	if err != nil {
		return cr, secret.Value{}, err
	}
	return cr, value, nil
}

// oauth takes how a client proves itself.
func (f *form) oauth(n NewClient, reach Fetcher) credential.OAuth {
	o := credential.OAuth{Method: n.Method, Constrain: n.Constrain}
	switch n.Method {
	case credential.ClientSecret:
	case credential.PrivateKeyJWT:
		o.Keys, o.KeysURL = f.keys(n, reach)
	case credential.SelfSignedTLS:
		if b, err := base64.RawURLEncoding.Strict().DecodeString(n.Thumbprint); err != nil || len(b) != 32 {
			f.bad("/thumbprint", "must be the SHA-256 of the certificate's DER, 32 bytes in base64url")
		}
		o.Thumbprint = n.Thumbprint
	case credential.TLSAuth:
		if o.Named = n.Named; n.Named == nil {
			f.bad("/named", "say by which name in certificates of which authority the client is known")
		}
	default:
		f.bad("/method", "must be one of %s, %s, %s, %s", credential.ClientSecret, credential.PrivateKeyJWT, credential.TLSAuth, credential.SelfSignedTLS)
	}
	if n.Named != nil && n.Method != credential.TLSAuth {
		f.bad("/named", "is for the method %s", credential.TLSAuth)
	}
	if n.Thumbprint != "" && n.Method != credential.SelfSignedTLS {
		f.bad("/thumbprint", "is for the method %s", credential.SelfSignedTLS)
	}
	for pointer, given := range map[string]bool{"/jwks": len(n.Keys) > 0, "/jwks_uri": n.KeysURL != ""} {
		if given && n.Method != credential.PrivateKeyJWT {
			f.bad(pointer, "is for the method %s", credential.PrivateKeyJWT)
		}
	}
	if !slices.Contains([]credential.Constraint{"", credential.ByDPoP, credential.ByCertificate}, n.Constrain) {
		f.bad("/constrain", "must be %s or %s, or left out", credential.ByDPoP, credential.ByCertificate)
	}
	return o
}

// keys takes a client's own keys, or where they are.
func (f *form) keys(n NewClient, reach Fetcher) (json.RawMessage, string) {
	switch {
	case n.KeysURL != "" && len(n.Keys) > 0:
		f.bad("/jwks_uri", "give its keys, or where they are, and not both")
	case n.KeysURL == "":
		if _, err := token.ParseSet(n.Keys); err != nil {
			f.bad("/jwks", "%v", err)
		}
	case len(n.KeysURL) > longestURL:
		f.bad("/jwks_uri", "must have at most %d characters", longestURL)
	default:
		if err := reach.Check(n.KeysURL); err != nil {
			f.bad("/jwks_uri", "%s", fault.As(err).Public)
		}
	}
	return n.Keys, n.KeysURL
}

// Proof is what a client sent to prove itself.
type Proof struct {
	Client     string       // its client_id; "" when the assertion says it
	Secret     secret.Value // of client_secret_basic or client_secret_post
	Assertion  string       // of private_key_jwt
	Thumbprint string       // SHA-256 of the certificate that it connected with, in base64url; "": none

	Certificate *x509.Certificate   // that certificate: the connection has proven that the client holds its key
	Presented   []*x509.Certificate // what came with it
}

// invalidClient is the one answer to whoever does not prove a client, whatever was wrong.
func invalidClient(why string, args ...any) error {
	return fault.Of(fault.Unauthenticated, "invalid_client", "the client is not known, or has not proven itself by its method").Because(fault.New(fault.Unauthenticated, why, args...))
}

// client finds the client that the proof is of, in the environment, and checks that it counts now. What it has shown counts
// once only when the marks are taken. r is of a view.
func (c *Control) client(r read, environment string, p Proof) (*client, []spent, error) {
	name, err := p.client()
	if err != nil {
		return nil, nil, err
	}
	k, err := c.knownClient(r, name)
	if errors.Is(err, fault.NotFound) {
		return nil, nil, noClient(environment)
	}
	if err != nil {
		return nil, nil, err
	}
	marks, err := c.counts(r, k.credential, environment, p, func() (offer, error) { return k.offer, nil })
	return k, marks, err
}

// clientIn is client in a transaction that writes.
func (c *Control) clientIn(r read, environment string, p Proof) (credential.Credential, []spent, error) {
	name, err := p.client()
	if err != nil {
		return credential.Credential{}, nil, err
	}
	cr, err := r.tx.Credential(r.ctx, name)
	if errors.Is(err, fault.NotFound) {
		return cr, nil, noClient(environment)
	}
	if err != nil {
		return cr, nil, err
	}
	marks, err := c.counts(r, cr, environment, p, func() (offer, error) { return c.newest(r.ctx, r.tx, environment) })
	return cr, marks, err
}

// client is whom the proof names.
func (p Proof) client() (id.ID, error) {
	name := p.Client
	if p.Assertion != "" {
		said, err := token.AssertionClient(p.Assertion)
		if err != nil || name != "" && name != said {
			return "", invalidClient("its assertion cannot be read or is of another client")
		}
		name = said
	}
	if _, err := id.Parse(id.Credential, name); err != nil {
		return "", invalidClient("there is no such client")
	}
	return id.ID(name), nil
}

func noClient(environment string) error {
	return invalidClient("there is no such client in %s", environment)
}

// counts checks that the credential is a client of the environment that has proven itself and counts now.
func (c *Control) counts(r read, cr credential.Credential, environment string, p Proof, of func() (offer, error)) ([]spent, error) {
	if cr.Kind != credential.Client || cr.OAuth == nil || cr.Environment != environment {
		return nil, noClient(environment)
	}
	marks, err := c.proves(r, cr, p, of)
	switch {
	case err != nil:
		return nil, err
	case !cr.Live(r.now):
		return nil, invalidClient("it is %s", cr.Standing(r.now))
	case !fromSources(cr.Sources, r.a.Address):
		return nil, invalidClient("it may not be used from %s", r.a.Address)
	}
	return marks, nil
}

// proves checks a client's proof by the one method it is registered with.
func (c *Control) proves(r read, cr credential.Credential, p Proof, of func() (offer, error)) ([]spent, error) {
	now := r.now
	o := cr.OAuth
	if sent := p.Secret; !sent.Empty() && (p.Assertion != "" || o.Method != credential.ClientSecret) {
		return nil, invalidClient("its method is %s alone", o.Method)
	}
	switch o.Method {
	case credential.ClientSecret:
		if p.Secret.Empty() || !cr.Knows(p.Secret.Hash(), now) {
			return nil, invalidClient("its secret is wrong")
		}
	case credential.PrivateKeyJWT:
		return c.asserts(cr, p, now)
	case credential.SelfSignedTLS:
		if p.Thumbprint == "" || p.Thumbprint != o.Thumbprint {
			return nil, invalidClient("its certificate is another one")
		}
	case credential.TLSAuth:
		of, err := of()
		if err != nil {
			return nil, err
		}
		return nil, c.shows(r, of, cr, p)
	default:
		return nil, invalidClient("its method is not known")
	}
	return nil, nil
}

// asserts checks what a client has signed.
func (c *Control) asserts(cr credential.Credential, p Proof, now time.Time) ([]spent, error) {
	keys, err := c.keysOf(cr, p, now)
	if err != nil {
		return nil, err
	}
	a, err := token.ReadAssertion(p.Assertion, string(cr.ID), []string{c.issuerURL(cr.Environment)}, token.Strong(), keys, now)
	if err != nil {
		return nil, invalidClient("its assertion: %v", err)
	}
	return []spent{{credential.AssertionMark(cr.ID, a.ID), time.Unix(a.Expires, 0), invalidClient("its assertion was used before")}}, nil
}

// keysOf is the public keys of a client: those that it was registered with, or what stands at its URL. *wanted: they have to be
// fetched first.
func (c *Control) keysOf(cr credential.Credential, p Proof, now time.Time) ([]token.Key, error) {
	if cr.OAuth.KeysURL == "" {
		keys, err := c.given.of(cr.OAuth.Keys)
		if err != nil {
			return nil, invalidClient("its keys cannot be read: %v", err)
		}
		return keys, nil
	}
	s, err := token.Parse(p.Assertion, token.Strong())
	if err != nil {
		return nil, invalidClient("its assertion: %v", err)
	}
	keys, err := c.sets.keys(cr.Organization, cr.OAuth.KeysURL, s.Header.Kid, now)
	var w *wanted
	if err != nil && !errors.As(err, &w) {
		return nil, invalidClient("its keys cannot be fetched: %v", err)
	}
	return keys, err
}

// fromSources reports whether a caller at the address is within the networks; none are all.
func fromSources(sources []string, address string) bool {
	if len(sources) == 0 {
		return true
	}
	at, err := credential.ParseSource(hostOf(address))
	if err != nil {
		return false
	}
	for _, s := range sources {
		if p, err := credential.ParseSource(s); err == nil && p.Contains(at.Addr()) {
			return true
		}
	}
	return false
}
