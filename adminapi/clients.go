package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/id"
)

// NewClient is what an OAuth client is made from.
type NewClient struct {
	NewKey
	Method     credential.AuthMethod `json:"method" enum:"client_secret,private_key_jwt,tls_client_auth,self_signed_tls_client_auth" doc:"How it proves itself at the token endpoint" example:"private_key_jwt"`
	Keys       *KeySet               `json:"jwks,omitempty" doc:"Of private_key_jwt: its public keys, as a JWK Set"`
	KeysURL    string                `json:"jwks_uri,omitempty" doc:"Or where they are: an https URL, fetched outside of requests and kept" example:"https://partner.example/jwks.json"`
	Thumbprint string                `json:"thumbprint,omitempty" doc:"Of self_signed_tls_client_auth: the SHA-256 of the certificate's DER, in base64url" example:"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"`
	Named      *credential.CertName  `json:"named,omitempty" doc:"Of tls_client_auth: the authority, and the name by which the client is known in its certificates"`
	Constrain  credential.Constraint `json:"constrain,omitempty" enum:"dpop,certificate" doc:"What its tokens are always bound to; what it asks for each time, when left out" example:"dpop"`
}

// KeySet is a JWK Set.
type KeySet struct {
	Keys []map[string]any `json:"keys" doc:"Public keys, 20 at most" nullable:"false"`
}

// IssuedClient is a fresh client with its secret, told once.
type IssuedClient struct {
	Credential Credential `json:"credential"`
	ClientID   string     `json:"client_id"`
	Secret     string     `json:"client_secret,omitempty"`
	Issuer     string     `json:"issuer"`
}

// NewCertificate is what a client certificate is made from.
type NewCertificate struct {
	NewKey
	Request     string               `json:"csr,omitempty" doc:"A certificate signing request (PKCS #10), in PEM. Nothing but its key is taken from it." example:"-----BEGIN CERTIFICATE REQUEST-----…"`
	Certificate string               `json:"certificate,omitempty" doc:"Or a certificate that you have, in PEM" example:"-----BEGIN CERTIFICATE-----…"`
	Named       *credential.CertName `json:"named,omitempty" doc:"Or a name: any certificate of a client authority of the operator's counts in which it stands"`
	Replaces    id.ID                `json:"replaces,omitempty" doc:"The credential that it renews" example:"crd_01kas0v2m8c4y6n0q3r5t7w9xz"`
}

// EnrolledCertificate is a client certificate that was enrolled.
type EnrolledCertificate struct {
	Credential  Credential `json:"credential"`
	Certificate string     `json:"certificate,omitempty" doc:"The certificate that was made, in PEM" example:"-----BEGIN CERTIFICATE-----…"`
}

// Authority is what signs client certificates.
type Authority struct {
	Certificate string `json:"certificate" doc:"Its own certificate, in PEM" example:"-----BEGIN CERTIFICATE-----…"`
}

// Issuer is what issues the access tokens of an environment.
type Issuer struct {
	Environment string       `json:"environment"`
	URL         string       `json:"url"`
	Audience    string       `json:"audience"`
	Keys        []SigningKey `json:"keys" nullable:"false"`
	Version     int64        `json:"version"`
}

// SigningKey is one key that it signs with.
type SigningKey struct {
	ID   string    `json:"kid"`
	From time.Time `json:"from"`
}

func issuerOf(i credential.Issuer) Issuer {
	out := Issuer{i.Environment, i.URL, i.Audience, []SigningKey{}, i.Version}
	for _, k := range i.Keys {
		out.Keys = append(out.Keys, SigningKey{k.ID, k.From})
	}
	return out
}

// clients adds OAuth clients and what issues their tokens.
func (a *api) clients() {
	c := a.Control
	add(a, operation{id: "registerClient", method: http.MethodPost, path: "/api/oauth-clients", tag: tagCredentials, status: http.StatusCreated,
		summary: "Register an OAuth client",
		doc: `A machine client of the environment's token endpoint. A client secret is in this answer and in none after it. The rules of grants
and lifetimes are those of an API key. For an owner or developer.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewClient
	}) (*Made[IssuedClient], error) {
		n := in.Body
		lifetime, err := span("/lifetime", n.Lifetime)
		if err != nil {
			return nil, err
		}
		client := control.NewClient{NewKey: control.NewKey{Application: n.Application, Environment: n.Environment, Name: n.Name, Lifetime: lifetime,
			Grants: n.Grants, Sources: n.Sources, Pending: n.Pending, Once: in.Key}, Method: n.Method, KeysURL: n.KeysURL, Thumbprint: n.Thumbprint, Named: n.Named, Constrain: n.Constrain}
		if n.Keys != nil {
			if client.Keys, err = json.Marshal(n.Keys); err != nil {
				return nil, err
			}
		}
		v, value, err := c.RegisterClient(ctx, in.actor(), client)
		if err != nil {
			return nil, err
		}
		i, err := c.Issuer(ctx, in.actor(), v.Environment)
		return made("/api/credentials", v.ID, IssuedClient{a.credentialOf(v), string(v.ID), value.Reveal(), i.URL}, v.Version, err)
	})
	add(a, operation{id: "enrolCertificate", method: http.MethodPost, path: "/api/client-certificates", tag: tagCredentials, status: http.StatusCreated,
		summary: "Enrol a client certificate",
		doc: `With a signing request, the environment's own authority makes the certificate; or give one that you have, which then counts by its
thumbprint. With replaces it renews another one, which retires a day later. For an owner or developer.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewCertificate
	}) (*Made[EnrolledCertificate], error) {
		n := in.Body
		lifetime, err := span("/lifetime", n.Lifetime)
		if err != nil {
			return nil, err
		}
		v, text, err := c.EnrolCertificate(ctx, in.actor(), control.NewCertificate{NewKey: control.NewKey{Application: n.Application, Environment: n.Environment, Name: n.Name,
			Lifetime: lifetime, Grants: n.Grants, Sources: n.Sources, Pending: n.Pending, Once: in.Key}, Request: n.Request, Certificate: n.Certificate, Named: n.Named, Replaces: n.Replaces})
		return made("/api/credentials", v.ID, EnrolledCertificate{a.credentialOf(v), text}, v.Version, err)
	})
	add(a, operation{id: "authority", method: http.MethodGet, path: "/api/environments/{environment}/authority", tag: tagGateways,
		summary: "Show what signs client certificates of an environment", doc: "What a listener that verifies clients' certificates is told to trust.",
	}, func(ctx context.Context, in *struct {
		Caller
		Environment string `path:"environment" doc:"Where" example:"live"`
	}) (*Got[Authority], error) {
		text, err := c.Authority(ctx, in.actor(), in.Environment)
		return got(Authority{text}, err)
	})
	add(a, operation{id: "issuer", method: http.MethodGet, path: "/api/environments/{environment}/issuer", tag: tagGateways,
		summary: "Show what issues the access tokens of an environment", doc: "There is one as soon as the first OAuth client is registered there. Its metadata for clients is at /.well-known/oauth-authorization-server/oauth/{environment}.",
	}, func(ctx context.Context, in *struct {
		Caller
		Environment string `path:"environment" doc:"Where" example:"live"`
	}) (*Versioned[Issuer], error) {
		i, err := c.Issuer(ctx, in.actor(), in.Environment)
		return versioned(issuerOf(i), i.Version, err)
	})
	add(a, operation{id: "rotateSigningKey", method: http.MethodPost, path: "/api/environments/{environment}/issuer/rotate", tag: tagGateways,
		summary: "Let the next signing key sign from now on",
		doc:     "It happens by itself every 30 days. Gateways know the next key already, and tokens that the old one signed count until they end: no token is refused. For an operator or admin.",
	}, func(ctx context.Context, in *struct {
		Caller
		Environment string `path:"environment" doc:"Where" example:"live"`
		Body        Reason
	}) (*Versioned[Issuer], error) {
		i, err := c.RotateSigningKey(ctx, in.actor(), in.Environment, in.Body.Reason)
		return versioned(issuerOf(i), i.Version, err)
	})
}
