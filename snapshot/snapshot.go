// Package snapshot compiles a manifest into the routes a gateway serves, keeps the index of who may use them, and
// joins both into a view.
package snapshot

import (
	"time"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/ratelimit"
	"gatehouse/wire"
)

// Routes is one revision, compiled for one environment. It is immutable, owns no goroutine and no file: to drop it is to
// forget it.
type Routes struct {
	Environment string
	Revision    int64
	Digest      string
	// to be furnished
}

// Route is a compiled route.
type Route struct {
	policy.RouteInfo
	Closed error // a route that could not be built answers 503; it is never left out
	// to be furnished
}

// View is one consistent pair. A request loads it once.
type View struct {
	*Routes
	*Access
}

// Access is the index of credentials and grants of one environment. Changes are applied one by one by one writer; readers
// take no lock.
type Access struct{}

// NewAccess returns an empty index.
func NewAccess(environment string) *Access { return &Access{} }

// Apply brings one entry of the feed into the index. Entries of kind revision are not for it and change nothing.
func (a *Access) Apply(e feed.Entry) error { panic("snapshot: to be written") }

// Compile is pure: no clock, no network, no files. It reports everything that is wrong at once. A route whose policies
// cannot be built on this gateway (a secret is missing) is closed with a warning; what is wrong with the manifest itself is
// an error.
func Compile(p *manifest.Parsed, environment string, revision int64, kinds []policy.Kind, d policy.Deps) (*Routes, []manifest.Diagnostic) {
	panic("snapshot: to be written")
}

// Match finds the route for a request head.
func (r *Routes) Match(h *wire.Head) (*Route, bool) { panic("snapshot: to be written") }

// Reachable is one operation that an application can call right now, and by what right.
type Reachable struct {
	Environment string             `json:"environment"`
	API         string             `json:"api"`
	Operation   string             `json:"operation"`
	Method      string             `json:"method"`
	Path        string             `json:"path"`            // as it is called at the gateway
	Grant       id.ID              `json:"grant,omitempty"` // "" for an operation that is open to anybody
	Product     string             `json:"product,omitempty"`
	Plan        string             `json:"plan,omitempty"`
	Scopes      []string           `json:"scopes,omitempty"` // that the operation needs
	Until       time.Time          `json:"until,omitzero"`
	Windows     []ratelimit.Window `json:"windows,omitempty"`
	Credentials []id.ID            `json:"credentials,omitempty"` // live ones with which it can be called
	Closed      string             `json:"closed,omitempty"`      // why the route answers 503 although the grant holds
}

// Reach is what the application can call at that time: the same look-ups that a request goes through, for every route.
func (v *View) Reach(application id.ID, now time.Time) []Reachable { panic("snapshot: to be written") }
