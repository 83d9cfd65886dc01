// Package control changes things: every rule of who may do what to which object is here, and nowhere else. Portal,
// admin API and CLI call the same methods.
package control

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/feed"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/policy"
	"gatehouse/snapshot"
	"gatehouse/store"
)

// Control is the control plane. Every method takes the actor who asks, and answers fault.Unauthenticated to nobody,
// fault.Forbidden to somebody who may not, and fault.NotFound for an object of another organization, as if it were not
// there. Methods with a version take the one the caller saw: another one is fault.Stale; 0 takes any.
type Control struct {
	Options
}

// Options is what a Control works with. All fields but Log are needed.
type Options struct {
	Store    store.Store
	Mail     mail.Sender
	Kinds    []policy.Kind // to compile what is published
	Views    Views         // what the gateways enforce
	Keys     Keys          // what checkpoints and feed entries are signed with
	Now      func() time.Time
	Log      *slog.Logger
	URL      string            // of the portal, for links in letters: no slash at the end
	Gateways map[string]string // environment -> the address partners call
	Version  string            // of this build
}

// Views gives the view that the gateway of an environment serves from now; nil when none does.
type Views interface {
	View(environment string) *snapshot.View
}

// Keys signs for the control plane.
type Keys interface {
	// SignFeed signs the digest of a feed entry.
	SignFeed(digest string) []byte
	// SignCheckpoint signs a checkpoint's text as a note (golang.org/x/mod/sumdb/note).
	SignCheckpoint(text string) (string, error)
	// Verifier is the verifier key of checkpoints, as note.NewVerifier takes it.
	Verifier() string
}

// New returns a Control. Run must run beside it.
func New(o Options) *Control { return &Control{Options: o} }

// Run numbers and seals what is committed, sends letters, and sweeps what is over, until ctx ends. It returns when
// everything it started has ended.
func (c *Control) Run(ctx context.Context) error { panic("control: to be written") }

// Source is the control plane's end of the feed.
func (c *Control) Source() feed.Source { panic("control: to be written") }

// Page asks for one page of a list: what comes after a key, at most Limit (default 50, at most 500).
type Page struct {
	After string
	Limit int
}

// List is one page. Next is the After of the next one; "" on the last.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Nobody is the actor of a request without a session or token.
func Nobody(address, requestID string) identity.Actor {
	return identity.Actor{Address: address, RequestID: requestID}
}
