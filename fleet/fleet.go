// Package fleet is the gateways that dial in: who each of them is, how it got in, and whom it trusts.
package fleet

import (
	"context"
	"regexp"
	"time"

	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// State is how a gateway stands.
type State string

// The states. The end of each but Active is final.
const (
	Active  State = "active"
	Drained State = "drained" // it ends in good order: changes wait for it no more
	Revoked State = "revoked" // it must not serve
)

// Gateway is one data-plane process that dials in, with an identity of its own.
type Gateway struct {
	ID          id.ID     `json:"id"`
	Environment string    `json:"environment"`
	Region      string    `json:"region,omitempty"` // where it stands; "": it has none
	Name        string    `json:"name"`             // unique in its environment among those that are active
	State       State     `json:"state"`
	Key         string    `json:"key"` // SHA-256 of its public key (SubjectPublicKeyInfo), in hexadecimal
	Created     time.Time `json:"created"`
	CreatedBy   id.ID     `json:"created_by,omitempty"` // who made the token it enrolled with
	Expires     time.Time `json:"expires"`              // of its newest certificate
	Ended       time.Time `json:"ended,omitzero"`
	Reason      string    `json:"reason,omitempty"`
	Version     int64     `json:"version"`
}

// Feed is the name of the feed that it follows.
func (g Gateway) Feed() string { return env.FeedOf(g.Environment, g.Region) }

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// CheckName reports whether the name can be a gateway's: up to 63 lower case letters, digits, dots and hyphens, no dot or
// hyphen first; "local-" is for those that run beside the control plane.
func CheckName(s string) error {
	if !nameForm.MatchString(s) || len(s) > 5 && s[:6] == "local-" {
		return fault.New(fault.Invalid, "%q is not a name of a gateway: use up to 63 lower case letters, digits, dots and hyphens, a letter or digit first, and not one that begins with local-", s)
	}
	return nil
}

// End revokes or drains an active gateway. One that is drained can still be revoked. Anything else is fault.Conflict.
func (g Gateway) End(s State, reason string, now time.Time) (Gateway, error) {
	if s != Drained && s != Revoked || g.State == Revoked || g.State == s {
		return g, fault.Of(fault.Conflict, "gateway-"+string(g.State), "the gateway %s is %s already", g.Name, g.State)
	}
	g.State, g.Reason, g.Ended = s, reason, now
	return g, nil
}

// Renew gives an active or drained gateway a certificate until then, for the same key.
func (g Gateway) Renew(until time.Time) (Gateway, error) {
	if g.State == Revoked {
		return g, fault.Of(fault.Forbidden, "gateway-revoked", "the identity of the gateway %s was revoked", g.Name)
	}
	g.Expires = until
	return g, nil
}

// Enrolment is the right to become a gateway, once: whoever has its token gets an identity.
type Enrolment struct {
	ID          id.ID       `json:"id"`
	Environment string      `json:"environment"`
	Region      string      `json:"region,omitempty"`
	Name        string      `json:"name"`
	Hash        secret.Hash `json:"-"` // of the token's secret
	Created     time.Time   `json:"created"`
	CreatedBy   id.ID       `json:"created_by,omitempty"`
	Expires     time.Time   `json:"expires"`
	Used        time.Time   `json:"used,omitzero"`
	Gateway     id.ID       `json:"gateway,omitempty"` // what it was used for
	Version     int64       `json:"version"`
}

// Use uses the enrolment up for the gateway. A second use and one after its end are fault.Unauthenticated.
func (e Enrolment) Use(gateway id.ID, now time.Time) (Enrolment, error) {
	switch {
	case !e.Used.IsZero():
		return e, fault.Of(fault.Unauthenticated, "enrolment-used", "this enrolment token was used already, at %s: each is for one gateway, once. If that was not you, revoke the gateway %s", e.Used.Format(time.RFC3339), e.Gateway)
	case !now.Before(e.Expires):
		return e, fault.Of(fault.Unauthenticated, "enrolment-expired", "this enrolment token ended at %s: make another one with 'gatehouse gateways enrol'", e.Expires.Format(time.RFC3339))
	}
	e.Used, e.Gateway = now, gateway
	return e, nil
}

// Sighting is what is known of a gateway by its connection. It is telemetry.
type Sighting struct {
	Environment string        `json:"environment"`
	Gateway     string        `json:"gateway"` // its name
	ID          id.ID         `json:"id"`
	Version     string        `json:"version"` // of its build
	Protocol    int           `json:"protocol"`
	Address     string        `json:"address"`
	Skew        time.Duration `json:"skew"` // how far its clock is ahead of ours
	Heard       time.Time     `json:"heard"`
	Connected   bool          `json:"connected"`
	Trouble     string        `json:"trouble,omitempty"` // why it was turned away
}

// Store keeps the fleet.
type Store interface {
	// Gateway returns one, or fault.NotFound.
	Gateway(ctx context.Context, i id.ID) (Gateway, error)
	// Gateways lists those of the environment ("": of all) by ID, after the given one.
	Gateways(ctx context.Context, environment string, after id.ID, limit int) ([]Gateway, error)
	// PutGateway stores it if Version is the stored one, and returns it with the next; else fault.Stale. A second active one
	// of the name in the environment is fault.Conflict.
	PutGateway(ctx context.Context, g Gateway) (Gateway, error)
	// EnrolmentByHash returns the one with that hash, or fault.NotFound.
	EnrolmentByHash(ctx context.Context, h secret.Hash) (Enrolment, error)
	// PutEnrolment is as PutGateway.
	PutEnrolment(ctx context.Context, e Enrolment) (Enrolment, error)
	// Anchors lists all by their number.
	Anchors(ctx context.Context) ([]Anchor, error)
	// PutAnchor stores one, whatever stands under its number.
	PutAnchor(ctx context.Context, a Anchor) error
	// PutSighting stores what is known of a gateway, whatever was known before. It is telemetry.
	PutSighting(ctx context.Context, s Sighting) error
	// Sightings lists those of the environment by name.
	Sightings(ctx context.Context, environment string) ([]Sighting, error)
	// AddRefusal counts a refusal: its Times are added to those of the same environment, gateway, address and code, of which
	// the first time, the newest text and the newest time are kept; beyond KeptRefusals the oldest are forgotten. It is
	// telemetry.
	AddRefusal(ctx context.Context, r Refusal) error
	// Refusals lists them, the newest first.
	Refusals(ctx context.Context, limit int) ([]Refusal, error)
}
