// Package credential is what an application proves itself with.
package credential

import (
	"context"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// Kind is how a credential is presented.
type Kind string

// The kinds of credentials that exist so far.
const (
	APIKey Kind = "api_key"
)

// State is where a credential stands. That it has expired is not a state but a question of the time: see Live.
type State string

// The states of a credential.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Retiring  State = "retiring" // replaced; still valid until RetireAt
	Revoked   State = "revoked"
)

// Credential is one proof of an application in one environment. No secret is in it.
type Credential struct {
	ID           id.ID       `json:"id"`
	Organization id.ID       `json:"organization"`
	Application  id.ID       `json:"application"`
	Environment  string      `json:"environment"`
	Kind         Kind        `json:"kind"`
	Name         string      `json:"name"`
	PublicID     string      `json:"public_id"`        // the part of a key that may be shown
	Hash         secret.Hash `json:"-"`                // SHA-256 of the whole key
	Grants       []id.ID     `json:"grants,omitempty"` // bound to these; none: all of the application's in this environment
	State        State       `json:"state"`
	Created      time.Time   `json:"created"`
	CreatedBy    id.ID       `json:"created_by"`
	Expires      time.Time   `json:"expires"`
	RetireAt     time.Time   `json:"retire_at,omitzero"`
	Revoked      time.Time   `json:"revoked,omitzero"`
	Reason       string      `json:"reason,omitempty"`
	Version      int64       `json:"version"`
}

// Live reports whether the credential proves anything at that time.
func (c Credential) Live(now time.Time) bool {
	switch c.State {
	case Active:
		return now.Before(c.Expires)
	case Retiring:
		return now.Before(c.Expires) && now.Before(c.RetireAt)
	}
	return false
}

// Revoke ends the credential at once and for good.
func (c Credential) Revoke(reason string, now time.Time) (Credential, error) {
	if c.State == Revoked {
		return c, fault.New(fault.Conflict, "credential %s is already revoked", c.ID)
	}
	c.State, c.Reason, c.Revoked = Revoked, reason, now
	return c, nil
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
	// Credentials lists by ID, ascending, after the given one, those of an application; application "" lists all of the
	// organization, and organization "" all there are.
	Credentials(ctx context.Context, organization, application, after id.ID, limit int) ([]Credential, error)
}
