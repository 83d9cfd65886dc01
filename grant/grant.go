// Package grant is the right that results from an approved access request: who may reach what, where, why, from
// when and until when. It is the unit of truth. (An OAuth grant type is always written GrantType.)
package grant

import (
	"context"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// State is where a grant stands. That its time has not begun or has run out is no state: see Live.
type State string

// The states of a grant.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Ended     State = "ended"
)

// Grant is application × product × plan × environment × scopes, approved by named people for a purpose, from a start
// to an end.
type Grant struct {
	ID           id.ID     `json:"id"`
	Request      id.ID     `json:"request"`
	Organization id.ID     `json:"organization"`
	Application  id.ID     `json:"application"`
	Environment  string    `json:"environment"`
	Product      string    `json:"product"`
	Plan         string    `json:"plan"`
	Scopes       []string  `json:"scopes"`
	Purpose      string    `json:"purpose"`
	ApprovedBy   []id.ID   `json:"approved_by"` // in the order of their decisions; none when the plan decides by itself
	From         time.Time `json:"from"`
	Until        time.Time `json:"until"` // the grant holds before this instant and not at it
	State        State     `json:"state"`
	Reason       string    `json:"reason,omitempty"` // why it was suspended, resumed or ended
	Ended        time.Time `json:"ended,omitzero"`
	Version      int64     `json:"version"`
	Emergency    bool      `json:"emergency,omitempty"` // short, approved by two, told to many
	Reviewed     time.Time `json:"reviewed,omitzero"`   // when somebody last confirmed in a review that it is still needed
	ReviewedBy   id.ID     `json:"reviewed_by,omitempty"`

	// ScopesSince is when those scopes were approved that the grant did not begin with; the others count from its start.
	ScopesSince map[string]time.Time `json:"scopes_since,omitempty"`
}

// Since is from when the grant has held the scope, as far as it holds it.
func (g Grant) Since(scope string) time.Time {
	if at, later := g.ScopesSince[scope]; later {
		return at
	}
	return g.From
}

// holdsSince notes when its scopes were approved, as of now: those that the grant before did not hold are new.
func (g Grant) holdsSince(before Grant, now time.Time) Grant {
	since := map[string]time.Time{}
	for _, s := range g.Scopes {
		if !slices.Contains(before.Scopes, s) {
			since[s] = now
		} else if at, later := before.ScopesSince[s]; later {
			since[s] = at
		}
	}
	if g.ScopesSince = since; len(since) == 0 {
		g.ScopesSince = nil
	}
	return g
}

// Live reports whether the grant lets anything through at that time.
func (g Grant) Live(now time.Time) bool {
	return g.State == Active && !now.Before(g.From) && now.Before(g.Until)
}

// Standing is the word for how the grant stands at that time: upcoming, active, suspended, expired or ended.
func (g Grant) Standing(now time.Time) string {
	switch {
	case g.State == Ended:
		return "ended"
	case !now.Before(g.Until):
		return "expired"
	case g.State == Suspended:
		return "suspended"
	case now.Before(g.From):
		return "upcoming"
	}
	return "active"
}

// Suspend stops the grant until Resume.
func (g Grant) Suspend(reason string, now time.Time) (Grant, error) {
	if g.State != Active || !now.Before(g.Until) {
		return g, fault.New(fault.Conflict, "grant %s is %s, not active", g.ID, g.Standing(now))
	}
	g.State, g.Reason = Suspended, reason
	return g, nil
}

// Resume ends a suspension. It does not move the end.
func (g Grant) Resume(reason string, now time.Time) (Grant, error) {
	if g.State != Suspended || !now.Before(g.Until) {
		return g, fault.New(fault.Conflict, "grant %s is %s, not suspended", g.ID, g.Standing(now))
	}
	g.State, g.Reason = Active, reason
	return g, nil
}

// End ends the grant for good.
func (g Grant) End(reason string, now time.Time) (Grant, error) {
	if g.State == Ended || !now.Before(g.Until) {
		return g, fault.New(fault.Conflict, "grant %s is already %s", g.ID, g.Standing(now))
	}
	g.State, g.Reason, g.Ended = Ended, reason, now
	return g, nil
}

// Covers reports whether the grant holds every one of the scopes.
func (g Grant) Covers(scopes []string) bool {
	for _, s := range scopes {
		if !slices.Contains(g.Scopes, s) {
			return false
		}
	}
	return true
}

// Filter selects grants or requests. Empty fields select all.
type Filter struct {
	Organization id.ID
	Application  id.ID
	Environment  string
	State        string
	Ending       time.Time // grants only: those active ones whose end is before this
}

// Store keeps requests and grants.
type Store interface {
	// Grant returns one, or fault.NotFound.
	Grant(ctx context.Context, i id.ID) (Grant, error)
	// PutGrant inserts when g.Version is 0, else replaces the row of that version, and returns g with its new version.
	// Another version is fault.Stale.
	PutGrant(ctx context.Context, g Grant) (Grant, error)
	// GrantsAmong returns all grants of the applications, in whatever order.
	GrantsAmong(ctx context.Context, applications []id.ID) ([]Grant, error)
	// Grants lists by ID, ascending, after the given one.
	Grants(ctx context.Context, f Filter, after id.ID, limit int) ([]Grant, error)

	// Request returns one, or fault.NotFound.
	Request(ctx context.Context, i id.ID) (Request, error)
	// PutRequest inserts when r.Version is 0, else replaces the row of that version, and returns r with its new version.
	// Another version is fault.Stale: of two approvers at the same moment one decides.
	PutRequest(ctx context.Context, r Request) (Request, error)
	// Requests lists by ID, ascending, after the given one.
	Requests(ctx context.Context, f Filter, after id.ID, limit int) ([]Request, error)
	// ClaimRequests takes up to limit open requests to which something is due by itself, for a lease, in which nobody else
	// gets them. A request that is stored anew is due when it says.
	ClaimRequests(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Request, error)

	// Absence returns one, or fault.NotFound.
	Absence(ctx context.Context, i id.ID) (Absence, error)
	// PutAbsence inserts when a.Version is 0, else replaces the row of that version, and returns a with its new version.
	// Another version is fault.Stale.
	PutAbsence(ctx context.Context, a Absence) (Absence, error)
	// Absences lists by ID, ascending, after the given one, those that are not over at that time; a person or stand-in
	// other than "" selects.
	Absences(ctx context.Context, person, standIn id.ID, now time.Time, after id.ID, limit int) ([]Absence, error)
}
