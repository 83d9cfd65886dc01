// Package store gathers the nouns' stores into one, with transactions. Each promise has a test in storetest.
package store

import (
	"context"
	"time"

	"gatehouse/application"
	"gatehouse/audit"
	"gatehouse/credential"
	"gatehouse/drift/watch"
	"gatehouse/env"
	"gatehouse/feed"
	"gatehouse/fleet"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/notice"
	"gatehouse/organization"
	"gatehouse/review"
	"gatehouse/secret"
	"gatehouse/session"
	"gatehouse/usage"
	"gatehouse/webhook"
)

// Store keeps everything that happens.
type Store interface {
	// View runs fn with a consistent, read-only state.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn alone among updates and commits what it did, durably, before it returns; an error from fn undoes it
	// all. fn may run more than once, so it changes nothing outside the Tx.
	Update(ctx context.Context, fn func(Tx) error) error
	// Committed returns a channel that is closed after the next commit that left rows to number or seal, and after one by
	// another process that numbered some.
	Committed() <-chan struct{}
	// Alone reports whether no other process can have the store open: then nobody else does what this one does.
	Alone() bool
	// Identities is another number after each commit that may have changed people, sessions or machine tokens, before it is answered;
	// 0 where others may change them.
	Identities() uint64
	// Backup writes a consistent copy of the whole store to the file, which must not exist, while the store is in use.
	Backup(ctx context.Context, file string) error
	Close() error
}

// Tx is one transaction. It is not for use by several goroutines, nor after fn has returned.
type Tx interface {
	identity.Store
	session.Store
	organization.Store
	application.Store
	credential.Store
	grant.Store
	env.Store
	audit.Log
	feed.Log
	feed.Probings
	webhook.Store
	notice.Store
	watch.Store
	usage.Store
	fleet.Store
	review.Store
	Outbox
	Leases
	Tries
	// Once records that this person sent the form with this key and returns "" the first time, else the object that the
	// first one made. object may be empty at first and set by a second call in the same transaction. A form without a key
	// is always the first.
	Once(ctx context.Context, person id.ID, key string, object id.ID, now time.Time) (id.ID, error)
	// Sweep removes what is over and of no more use (sessions, links, device codes, once keys), as of now.
	Sweep(ctx context.Context, now time.Time) error
}

// Outbox is letters waiting to be sent: written with the change that causes them, sent after its commit.
type Outbox interface {
	// AddLetter stores a letter to send.
	AddLetter(ctx context.Context, l mail.Letter) error
	// ClaimLetters takes up to limit letters that wait, for a lease, in which nobody else gets them.
	ClaimLetters(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Posted, error)
	// LetterSent removes a letter.
	LetterSent(ctx context.Context, i int64) error
	// LetterFailed records the error and when to try again; a zero time gives the letter up and keeps it for people to see.
	LetterFailed(ctx context.Context, i int64, problem string, again time.Time) error
	// GivenUp lists letters that were given up by ID, ascending, after the given one.
	GivenUp(ctx context.Context, after int64, limit int) ([]Posted, error)
}

// Posted is a letter in the outbox.
type Posted struct {
	ID      int64
	Tries   int
	Problem string // of the last try
	mail.Letter
}

// Tries counts what is limited for all processes together. It is telemetry: a count is a bucket that empties with time.
type Tries interface {
	// TakeTry counts one, which takes so long to be forgotten, and returns 0; or, where more than per would be full, counts nothing
	// and returns how long to wait until one more may be counted. Of many at the same moment no more are counted than fit.
	TakeTry(ctx context.Context, mark secret.Hash, each, per time.Duration, now time.Time) (time.Duration, error)
	// GiveTryBack takes one count back.
	GiveTryBack(ctx context.Context, mark secret.Hash, each time.Duration) error
}

// Lease is a duty that one process has at a time. Who has it shows that it is there by a growing Beat. Whoever has seen the
// same Beat for long enough by its own clock may take the duty over: clocks are never compared.
type Lease struct {
	Name   string
	Holder string // "": nobody
	Mark   string // what all that share the duty must agree in
	Token  int64  // grows each time the holder is another one
	Beat   int64  // grows with every change
}

// Leases is who has which duty.
type Leases interface {
	// Lease is how the duty stands. One that nobody ever had has no holder and counts from 0.
	Lease(ctx context.Context, name string) (Lease, error)
	// TakeLease gives the duty to the holder, or to nobody, if it still stands as seen: else fault.Stale. In the same
	// transaction as work, it is the fence: of two that believe the duty theirs, one is refused.
	TakeLease(ctx context.Context, seen Lease, holder, mark string) (Lease, error)
}
