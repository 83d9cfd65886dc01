// Package organization is the partner: a legal party with members and an end of trust.
package organization

import (
	"context"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// State is where an organization stands.
type State string

// The states: registered, verified, suspended and back, offboarding, offboarded for good.
const (
	Registered  State = "registered" // may prepare applications, may not be granted anything
	Verified    State = "verified"
	Suspended   State = "suspended"   // nothing of it passes a gateway
	Offboarding State = "offboarding" // everything of it has ended; not every gateway has said so yet
	Offboarded  State = "offboarded"
)

// Organization is one partner.
type Organization struct {
	ID         id.ID     `json:"id"`
	Name       string    `json:"name"`
	Website    string    `json:"website,omitempty"`
	Country    string    `json:"country,omitempty"`  // ISO 3166-1 alpha-2
	Register   string    `json:"register,omitempty"` // its number in a public register of companies
	State      State     `json:"state"`
	Reason     string    `json:"reason,omitempty"` // why it is suspended or offboarded, or the note of its verification
	Created    time.Time `json:"created"`
	Verified   time.Time `json:"verified,omitzero"`
	VerifiedBy id.ID     `json:"verified_by,omitempty"`
	Region     string    `json:"region,omitempty"` // its grants and credentials are known to gateways of this region only; "": everywhere
	Version    int64     `json:"version"`
}

// Pin says in which region its grants and credentials are: "" is everywhere. Nothing else of it changes.
func (o Organization) Pin(region string) (Organization, error) {
	switch {
	case o.State == Offboarding || o.State == Offboarded:
		return o, fault.New(fault.Conflict, "organization %s is %s: it has nothing that could be anywhere", o.ID, o.State)
	case o.Region == region:
		return o, fault.Of(fault.Conflict, "organization-there", "the organization is there already")
	}
	o.Region = region
	return o, nil
}

// Verify says that staff have checked who this is.
func (o Organization) Verify(by id.ID, note string, now time.Time) (Organization, error) {
	if o.State != Registered {
		return o, fault.New(fault.Conflict, "organization %s is %s, not registered", o.ID, o.State)
	}
	o.State, o.Verified, o.VerifiedBy, o.Reason = Verified, now, by, note
	return o, nil
}

// Suspend stops everything the organization has, until Resume.
func (o Organization) Suspend(reason string) (Organization, error) {
	if o.State != Verified {
		return o, fault.New(fault.Conflict, "organization %s is %s, not verified", o.ID, o.State)
	}
	o.State, o.Reason = Suspended, reason
	return o, nil
}

// Resume ends a suspension.
func (o Organization) Resume(reason string) (Organization, error) {
	if o.State != Suspended {
		return o, fault.New(fault.Conflict, "organization %s is %s, not suspended", o.ID, o.State)
	}
	o.State, o.Reason = Verified, reason
	return o, nil
}

// Offboard ends the trust for good. It is not over before Complete.
func (o Organization) Offboard(reason string) (Organization, error) {
	if o.State == Offboarding || o.State == Offboarded {
		return o, fault.New(fault.Conflict, "organization %s is already %s", o.ID, o.State)
	}
	o.State, o.Reason = Offboarding, reason
	return o, nil
}

// Complete says that every gateway has in force that everything of the organization has ended.
func (o Organization) Complete() (Organization, error) {
	if o.State != Offboarding {
		return o, fault.New(fault.Conflict, "organization %s is %s, not offboarding", o.ID, o.State)
	}
	o.State = Offboarded
	return o, nil
}

// Live reports whether calls of the organization's applications may pass.
func (o Organization) Live() bool { return o.State == Verified }

// Store keeps organizations.
type Store interface {
	// Organization returns one, or fault.NotFound.
	Organization(ctx context.Context, i id.ID) (Organization, error)
	// PutOrganization inserts when o.Version is 0, else replaces the row of that version, and returns o with its
	// new version. Another version is fault.Stale.
	PutOrganization(ctx context.Context, o Organization) (Organization, error)
	// OrganizationsByID returns those of the IDs that are there, in whatever order.
	OrganizationsByID(ctx context.Context, is []id.ID) ([]Organization, error)
	// Organizations lists by ID, ascending, after the given one. State "" lists all; search "" too, else the name must
	// contain it, without case.
	Organizations(ctx context.Context, s State, search string, after id.ID, limit int) ([]Organization, error)
	// Pinned returns the regions that organizations are pinned to, ascending.
	Pinned(ctx context.Context) ([]string, error)
}
