// Package credential is what an application proves itself with.
package credential

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
)

// Kind is how a credential is presented.
type Kind string

// The kinds of credentials that exist so far.
const (
	APIKey Kind = "api_key"
	Client Kind = "oauth_client"

	Certificate Kind = "client_certificate"
	Federated   Kind = "workload_identity"
)

// Title is the kind in words, as in "this API key".
func (k Kind) Title() string {
	switch k {
	case APIKey:
		return "API key"
	case Client:
		return "OAuth client"
	case Certificate:
		return "client certificate"
	case Federated:
		return "workload identity"
	}
	return "credential"
}

// State is where a credential stands. That it has expired is not a state but a question of the time: see Live.
type State string

// The states of a credential.
const (
	Pending   State = "pending" // handed out ahead of its use: it proves nothing until it is activated
	Active    State = "active"
	Suspended State = "suspended"
	Retiring  State = "retiring" // replaced; still valid until RetireAt
	Revoked   State = "revoked"
)

// Expired is the word for a credential whose time is over: no state, but see Standing.
const Expired = "expired"

// Credential is one proof of an application in one environment. No secret is in it.
type Credential struct {
	ID           id.ID       `json:"id"`
	Organization id.ID       `json:"organization"`
	Application  id.ID       `json:"application"`
	Environment  string      `json:"environment"`
	Kind         Kind        `json:"kind"`
	Name         string      `json:"name"`
	PublicID     string      `json:"public_id"`           // the part of a key that may be shown
	Hash         secret.Hash `json:"-"`                   // SHA-256 of the whole key
	OAuth        *OAuth      `json:"oauth,omitempty"`     // of a Client: how it proves itself
	Workload     *Workload   `json:"workload,omitempty"`  // of a Federated one: whom it is bound to
	CertName     *CertName   `json:"cert_name,omitempty"` // of a Certificate that is known by a name in it
	Grants       []id.ID     `json:"grants,omitempty"`    // bound to these; none: all of the application's in this environment
	Sources      []string    `json:"sources,omitempty"`   // networks it may be used from, as CleanSources writes them; none: any
	State        State       `json:"state"`
	Created      time.Time   `json:"created"`
	CreatedBy    id.ID       `json:"created_by"`
	Expires      time.Time   `json:"expires"`
	Replaces     id.ID       `json:"replaces,omitempty"` // the credential that retires for it
	RetireAt     time.Time   `json:"retire_at,omitzero"`
	Revoked      time.Time   `json:"revoked,omitzero"`
	Held         bool        `json:"held,omitempty"`           // suspended by the platform: nobody else resumes it
	Leaked       time.Time   `json:"leaked,omitzero"`          // when somebody last reported to have found it
	Earlier      secret.Hash `json:"-"`                        // of a client: the secret that Hash has replaced
	EarlierUntil time.Time   `json:"earlier_until,omitzero"`   // and until when it counts too
	SecretSince  time.Time   `json:"secret_since,omitzero"`    // of a client: when its secret was last replaced
	KeyPrint     string      `json:"key_thumbprint,omitempty"` // of a certificate: the thumbprint of its key (RFC 7638, SHA-256)
	Reason       string      `json:"reason,omitempty"`
	Version      int64       `json:"version"`
}

// Store keeps credentials.
type Store interface {
	// Credential returns one, or fault.NotFound.
	Credential(ctx context.Context, i id.ID) (Credential, error)
	// CredentialByPublicID finds by the public part, or returns fault.NotFound.
	CredentialByPublicID(ctx context.Context, public string) (Credential, error)
	// PutCredential inserts when c.Version is 0, else replaces the row of that version, and returns c with its new
	// version. Another version is fault.Stale, a public ID in use fault.Conflict.
	PutCredential(ctx context.Context, c Credential) (Credential, error)
	// CredentialsByID returns those of the IDs that are there, in whatever order.
	CredentialsByID(ctx context.Context, is []id.ID) ([]Credential, error)
	// Credentials lists by ID, ascending, after the given one, those of an application; application "" lists all of the
	// organization, and organization "" all there are.
	Credentials(ctx context.Context, organization, application, after id.ID, limit int) ([]Credential, error)
	// Dormant lists those that are active or retiring and were neither made nor used since the time, whichever was last seen
	// first: after a place, of an application, an organization or all as Credentials does.
	Dormant(ctx context.Context, organization, application id.ID, since time.Time, after Place, limit int) ([]Dormant, error)
	// CredentialsAlive lists in the same way those that are not revoked.
	CredentialsAlive(ctx context.Context, organization, application, after id.ID, limit int) ([]Credential, error)
	// PutProofs notes by what else than a secret of ours a credential is proven (see Proofs), in the place of what was noted
	// before.
	PutProofs(ctx context.Context, i id.ID, proofs []string) error
	// SharedProofs lists by ID those other credentials that are not revoked and have a proof in common with the one.
	SharedProofs(ctx context.Context, i id.ID, limit int) ([]Credential, error)
	// AddUses adds up how credentials were used: counts grow, and the newest use of each replaces an older one. It is
	// telemetry.
	AddUses(ctx context.Context, uses []Use) error
	// Uses lists how a credential was used, by grant, API and operation.
	Uses(ctx context.Context, i id.ID) ([]Use, error)
	// UsesAmong is Uses of each of the credentials, also of those that were never used.
	UsesAmong(ctx context.Context, is []id.ID) (map[id.ID][]Use, error)
	// UsesOfGrant lists how a grant was used, by credential, API and operation.
	UsesOfGrant(ctx context.Context, grant id.ID) ([]Use, error)
	// UsesOfGrants is UsesOfGrant of each of the grants, also of those that were never used.
	UsesOfGrants(ctx context.Context, grants []id.ID) (map[id.ID][]Use, error)
	// LastUses returns the newest use of each of the credentials that has one, with the count of all.
	LastUses(ctx context.Context, is []id.ID) (map[id.ID]Use, error)
	// Issuer returns what issues access tokens in the environment, or fault.NotFound.
	Issuer(ctx context.Context, environment string) (Issuer, error)
	// PutIssuer inserts when i.Version is 0, else replaces the row of that version, and returns i with its new version.
	// Another version is fault.Stale.
	PutIssuer(ctx context.Context, i Issuer) (Issuer, error)
	// BindWorkload lets the mark stand for the credential next. It stood for was until now, "" for nothing: when it stands for
	// another one by now, or for one at all, it is fault.Conflict.
	BindWorkload(ctx context.Context, mark secret.Hash, was, next id.ID) error
	// WorkloadOf returns the credential that the mark stands for, or fault.NotFound.
	WorkloadOf(ctx context.Context, mark secret.Hash) (id.ID, error)
	// PutInitialToken inserts when t.Version is 0, else replaces the row of that version, and returns t with its new version.
	// Another version is fault.Stale.
	PutInitialToken(ctx context.Context, t InitialToken) (InitialToken, error)
	// InitialToken returns one, or fault.NotFound.
	InitialToken(ctx context.Context, i id.ID) (InitialToken, error)
	// InitialTokenByHash finds by the hash of the whole token, or returns fault.NotFound.
	InitialTokenByHash(ctx context.Context, h secret.Hash) (InitialToken, error)
	// InitialTokens lists by ID, ascending, after the given one, those of an organization; "" lists all there are.
	InitialTokens(ctx context.Context, organization, after id.ID, limit int) ([]InitialToken, error)
	// PutRegistration keeps by which token a registered client is managed, in the place of any before.
	PutRegistration(ctx context.Context, client id.ID, h secret.Hash) error
	// Registration returns the hash of that token, or fault.NotFound.
	Registration(ctx context.Context, client id.ID) (secret.Hash, error)
	// Deny notes that one access token of the environment is refused, until it ends by itself.
	Deny(ctx context.Context, d Denial) error
	// Denied reports whether the access token with that mark is refused.
	Denied(ctx context.Context, environment string, mark secret.Hash) (bool, error)
	// ClientVersions returns by what one knows that nothing has changed of all that decides about a client's tokens, or
	// fault.NotFound.
	ClientVersions(ctx context.Context, i id.ID) (Versions, error)
	// Take reports of each mark whether it was not taken before by anybody, and remembers it until it expires. Of several
	// that take the same one at a time, and of equal ones of one call, one is told so. It is telemetry.
	Take(ctx context.Context, marks []Mark, now time.Time) ([]bool, error)
	// SweepMarks forgets up to limit marks that have expired, and returns how many. It is telemetry.
	SweepMarks(ctx context.Context, now time.Time, limit int) (int, error)
}

// Versions grow with every change to a credential, its application and organization, the application's grants, and what issues
// tokens and is offered in its environment.
type Versions struct {
	Credential, Application, Organization, Grants, Issuer, Revision, Epoch int64
}

// Place is where a credential stands among those that nobody uses. The zero one is before all.
type Place struct {
	Seen int64 // the day on which it was last used, or made: since 1970, in UTC
	ID   id.ID
}

// Dormant is a credential that nobody uses.
type Dormant struct {
	Credential
	Place Place
}

// Day is the day of a time, as a Place has it.
func Day(t time.Time) int64 { return t.UnixMicro() / (24 * time.Hour).Microseconds() }

// Mark is what may be used once, until it expires.
type Mark struct {
	Hash    secret.Hash
	Expires time.Time
}

// Use is how a credential was used for one operation under one grant. Grant is "" where none was needed.
type Use struct {
	Credential id.ID     `json:"credential"`
	Grant      id.ID     `json:"grant,omitempty"`
	API        string    `json:"api"`
	Operation  string    `json:"operation"`
	Count      int64     `json:"count"`
	Last       time.Time `json:"last"`    // and the rest is of that time
	Gateway    string    `json:"gateway"` // that was called
	Address    string    `json:"address"` // of the caller
}
