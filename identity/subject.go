package identity

import (
	"context"
	"time"

	"gatehouse/id"
)

// Subject is what an OpenID provider knows a person by: an issuer and a name there that never changes. E-mail addresses do.
type Subject struct {
	Issuer   string    `json:"issuer"`
	Subject  string    `json:"subject"`
	Person   id.ID     `json:"person"`
	Provider string    `json:"provider"` // its name in the configuration, when it last signed the person in
	Roles    []Role    `json:"roles"`    // those that groups there gave, and take away when they are gone
	Created  time.Time `json:"created"`
	Used     time.Time `json:"used"` // the last sign-in
}

// Subjects keeps them.
type Subjects interface {
	// Subject returns the one of the issuer and name, compared byte by byte, or fault.NotFound.
	Subject(ctx context.Context, issuer, subject string) (Subject, error)
	// PutSubject sets it, in the place of the one with the same issuer and name.
	PutSubject(ctx context.Context, s Subject) error
	// SubjectsOf lists a person's by issuer and name.
	SubjectsOf(ctx context.Context, person id.ID) ([]Subject, error)
	// DropSubjects removes all of a person's.
	DropSubjects(ctx context.Context, person id.ID) error
}
