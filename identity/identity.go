// Package identity is who acts: people and machines in the control plane, applications at the gateway.
package identity

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
)

// Class is what kind of actor somebody is. The zero value may do nothing.
type Class uint8

// The classes of actors.
const (
	Anonymous Class = iota // nobody: may register and read public pages
	Member                 // a person of a partner organization
	Staff                  // a person of the platform
	Machine                // a machine token: acts for the person who made it, with the roles it was given
	Host                   // whoever owns the data directory on the host itself
	System                 // Gatehouse itself: expiry, sequencer
)

func (c Class) String() string {
	return [...]string{"anonymous", "member", "staff", "machine", "host", "system"}[c]
}

// Actor is who asks control for something. Faces make one from a session or token, control checks it.
type Actor struct {
	Class        Class
	ID           id.ID  // the person, or the machine token; "" for Host and System
	Person       id.ID  // the person behind a machine token, else ID: what separation of duties compares
	Name         string // to show; personal
	Email        string // personal
	Organization id.ID  // of a member; "" otherwise
	Roles        []Role
	Session      id.ID  // the session that was used, if one was
	Unproven     bool   // a second factor is demanded of the person, and this session has shown none
	Aged         bool   // the session has not shown for a while that it is still the person
	Address      string // where the call came from; personal
	RequestID    string // of the HTTP request that this is part of
}

// State of a person.
type State string

// The states of a person.
const (
	Unconfirmed State = "unconfirmed" // has not yet proven the e-mail address
	Active      State = "active"
	Disabled    State = "disabled"
	Erased      State = "erased" // nothing personal is left of them; they never come back
)

// Person is a member of an organization or one of the platform's staff.
type Person struct {
	ID           id.ID     `json:"id"`
	Class        Class     `json:"-"` // Member or Staff
	Organization id.ID     `json:"organization,omitempty"`
	Email        string    `json:"email"`
	Name         string    `json:"name"`
	Password     string    `json:"-"` // argon2id in PHC form; "" when none is set
	Roles        []Role    `json:"roles"`
	State        State     `json:"state"`
	Created      time.Time `json:"created"`
	Version      int64     `json:"version"`
}

// Gone reports whether the person is disabled or erased.
func (p Person) Gone() bool { return p.State == Disabled || p.State == Erased }

// LinkPurpose says what a one-time link does.
type LinkPurpose string

// The purposes of links.
const (
	ConfirmEmail  LinkPurpose = "confirm-email"
	SignInLink    LinkPurpose = "sign-in"
	PasswordReset LinkPurpose = "password-reset"
)

// Link is a one-time link. Only the hash of its token is stored.
type Link struct {
	Hash    secret.Hash
	Purpose LinkPurpose
	Person  id.ID
	Created time.Time
	Expires time.Time
	Used    time.Time // zero: not yet
}

// MachineToken lets a program call the admin API as itself, with the roles it was given.
type MachineToken struct {
	ID           id.ID       `json:"id"`
	Name         string      `json:"name"`
	Hash         secret.Hash `json:"-"`
	Person       id.ID       `json:"person"`                 // who made it and answers for it
	Organization id.ID       `json:"organization,omitempty"` // of that person; "" for staff
	Class        Class       `json:"-"`                      // of that person
	Roles        []Role      `json:"roles"`
	Created      time.Time   `json:"created"`
	Expires      time.Time   `json:"expires"`
	Revoked      time.Time   `json:"revoked,omitzero"`
	Version      int64       `json:"version"`
}

// Device is one sign-in of the CLI by device code (RFC 8628).
type Device struct {
	Hash     secret.Hash // of the device code
	UserCode string      // what the person compares, such as "BCDF-GHJK"
	Client   string      // what asks, such as "gatehouse on build-7"
	Created  time.Time
	Expires  time.Time
	Person   id.ID // who allowed it; "" until then
	Denied   bool
	Used     bool // the token has been fetched: it is given once
}

// Store keeps people and what they sign in with.
type Store interface {
	Invitations
	Factors
	Subjects
	Passkeys

	// Person returns the person, or fault.NotFound.
	Person(ctx context.Context, i id.ID) (Person, error)
	// PersonByEmail finds by e-mail address, compared without case, or returns fault.NotFound.
	PersonByEmail(ctx context.Context, email string) (Person, error)
	// PutPerson inserts when p.Version is 0, else replaces the row of that version; it returns p with its new
	// version. A second person with the same e-mail address is fault.Conflict; another version is fault.Stale.
	PutPerson(ctx context.Context, p Person) (Person, error)
	// PeopleByID returns those of the IDs that are there, in whatever order.
	PeopleByID(ctx context.Context, is []id.ID) ([]Person, error)
	// People lists by ID, ascending, after the given one; organization "" lists staff.
	People(ctx context.Context, organization id.ID, after id.ID, limit int) ([]Person, error)
	// ForgetPerson removes what only served the person (links, sign-ins by device code, once keys, ceremonies) and letters to the
	// address, and puts instead in the place of the address in invitations.
	ForgetPerson(ctx context.Context, person id.ID, email, instead string) error
	// CountStaff counts active staff with the role.
	CountStaff(ctx context.Context, r Role) (int, error)

	// AddLink stores a fresh link.
	AddLink(ctx context.Context, l Link) error
	// UseLink marks the link of that hash and purpose used and returns it. One that is used, expired or unknown
	// is fault.Gone. It succeeds at most once per link.
	UseLink(ctx context.Context, h secret.Hash, p LinkPurpose, now time.Time) (Link, error)

	// PutMachine inserts when Version is 0, else replaces, with fault.Stale as for people.
	PutMachine(ctx context.Context, m MachineToken) (MachineToken, error)
	// Machine returns the token, or fault.NotFound.
	Machine(ctx context.Context, i id.ID) (MachineToken, error)
	// MachineByHash returns the token with the hash, whatever its state, or fault.NotFound.
	MachineByHash(ctx context.Context, h secret.Hash) (MachineToken, error)
	// Machines lists the tokens of a person by ID, ascending; person "" lists all.
	Machines(ctx context.Context, person id.ID, after id.ID, limit int) ([]MachineToken, error)

	// AddDevice stores a fresh device sign-in; a user code already waiting is fault.Conflict.
	AddDevice(ctx context.Context, d Device) error
	// DeviceByUserCode finds an unexpired, undecided one, or returns fault.NotFound.
	DeviceByUserCode(ctx context.Context, code string, now time.Time) (Device, error)
	// DeviceByHash returns the device sign-in, whatever its state, or fault.NotFound.
	DeviceByHash(ctx context.Context, h secret.Hash) (Device, error)
	// SetDevice replaces the decision and use of the device sign-in with the hash.
	SetDevice(ctx context.Context, d Device) error
}
