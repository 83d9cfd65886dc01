package identity

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
)

// Invitation lets whoever reads the letter become a member of an organization, or one of the platform's staff. Only the hash
// of its token is stored; it is used at most once.
type Invitation struct {
	ID           id.ID       `json:"id"`
	Organization id.ID       `json:"organization,omitempty"` // "" invites to the platform's staff
	Email        string      `json:"email"`
	Roles        []Role      `json:"roles"`
	By           id.ID       `json:"by,omitempty"` // "" is the host's owner
	Hash         secret.Hash `json:"-"`
	Created      time.Time   `json:"created"`
	Expires      time.Time   `json:"expires"`
	Accepted     time.Time   `json:"accepted,omitzero"`
	Person       id.ID       `json:"person,omitempty"` // who they became
	Withdrawn    time.Time   `json:"withdrawn,omitzero"`
	Version      int64       `json:"version"`
}

// Standing is the word for how the invitation stands: open, accepted, withdrawn or expired.
func (i Invitation) Standing(now time.Time) string {
	switch {
	case !i.Accepted.IsZero():
		return "accepted"
	case !i.Withdrawn.IsZero():
		return "withdrawn"
	case !now.Before(i.Expires):
		return "expired"
	}
	return "open"
}

// Class is what whoever accepts becomes.
func (i Invitation) Class() Class {
	if i.Organization == "" {
		return Staff
	}
	return Member
}

// Invitations keeps invitations.
type Invitations interface {
	// PutInvitation inserts when i.Version is 0, else replaces the row of that version, with fault.Stale as for people.
	PutInvitation(ctx context.Context, i Invitation) (Invitation, error)
	// Invitation returns one, or fault.NotFound.
	Invitation(ctx context.Context, i id.ID) (Invitation, error)
	// InvitationByHash returns the one with the hash, whatever its state, or fault.NotFound.
	InvitationByHash(ctx context.Context, h secret.Hash) (Invitation, error)
	// InvitationsTo lists those to an e-mail address by ID, ascending, after the given one.
	InvitationsTo(ctx context.Context, email string, after id.ID, limit int) ([]Invitation, error)
	// InvitationsOf lists an organization's by ID, ascending, after the given one; organization "" lists those to staff.
	InvitationsOf(ctx context.Context, organization id.ID, after id.ID, limit int) ([]Invitation, error)
}
