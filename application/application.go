// Package application is the non-human identity that belongs to an organization and has a named owner.
package application

import (
	"context"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// State is where an application stands.
type State string

// The states of an application.
const (
	Active State = "active"
	Closed State = "closed" // for good: its grants and credentials ended with it
)

// Application is what calls the platform's APIs.
type Application struct {
	ID           id.ID     `json:"id"`
	Organization id.ID     `json:"organization"`
	Name         string    `json:"name"`
	Purpose      string    `json:"purpose"`
	Owner        id.ID     `json:"owner"` // the member who answers for it
	State        State     `json:"state"`
	Created      time.Time `json:"created"`
	CreatedBy    id.ID     `json:"created_by"`
	Closed       time.Time `json:"closed,omitzero"`
	Reason       string    `json:"reason,omitempty"`
	Version      int64     `json:"version"`
}

// Close ends the application for good.
func (a Application) Close(reason string, now time.Time) (Application, error) {
	if a.State != Active {
		return a, fault.New(fault.Conflict, "application %s is already closed", a.ID)
	}
	a.State, a.Reason, a.Closed = Closed, reason, now
	return a, nil
}

// Store keeps applications.
type Store interface {
	// Application returns one, or fault.NotFound.
	Application(ctx context.Context, i id.ID) (Application, error)
	// PutApplication inserts when a.Version is 0, else replaces the row of that version, and returns a with its new
	// version. Another version is fault.Stale; a second active application of that name in the organization is
	// fault.Conflict.
	PutApplication(ctx context.Context, a Application) (Application, error)
	// ApplicationsByID returns those of the IDs that are there, in whatever order.
	ApplicationsByID(ctx context.Context, is []id.ID) ([]Application, error)
	// Applications lists by ID, ascending, after the given one; organization "" lists all.
	Applications(ctx context.Context, organization, after id.ID, limit int) ([]Application, error)
}
