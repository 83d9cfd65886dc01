package identity

import (
	"context"
	"time"

	"gatehouse/id"
)

// Passkey is a key pair that an authenticator of the person keeps (WebAuthn): it signs in by itself, and asks its holder for a
// finger, a face or a PIN.
type Passkey struct {
	ID         id.ID     `json:"id"`
	Person     id.ID     `json:"person"`
	Name       string    `json:"name"`
	Credential []byte    `json:"-"` // its identifier, made by the authenticator
	Record     string    `json:"-"` // the public key, the counter and the flags, as JSON
	Created    time.Time `json:"created"`
	Used       time.Time `json:"used,omitzero"`
	Version    int64     `json:"version"`
}

// Passkeys keeps them.
type Passkeys interface {
	// PutPasskey inserts when p.Version is 0, else replaces the row of that version, with fault.Stale as for people. A second one
	// of the same credential is fault.Conflict.
	PutPasskey(ctx context.Context, p Passkey) (Passkey, error)
	// Passkey returns one, or fault.NotFound.
	Passkey(ctx context.Context, i id.ID) (Passkey, error)
	// PasskeyByCredential finds by what the authenticator calls it, or returns fault.NotFound.
	PasskeyByCredential(ctx context.Context, credential []byte) (Passkey, error)
	// PasskeysOf lists a person's by ID.
	PasskeysOf(ctx context.Context, person id.ID) ([]Passkey, error)
	// DropPasskey removes one.
	DropPasskey(ctx context.Context, i id.ID) error
	// DropPasskeys removes all of a person's.
	DropPasskeys(ctx context.Context, person id.ID) error
}
