// Package session is a person's sign-in, kept on the server and ended there.
package session

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/secret"
)

// How long a session lives: without use, and at most.
const (
	Idle    = 8 * time.Hour
	Longest = 7 * 24 * time.Hour
)

// Session is one sign-in. Its token is 160 random bits, of which only the hash is stored.
type Session struct {
	ID        id.ID       `json:"id"`
	Hash      secret.Hash `json:"-"`
	Person    id.ID       `json:"person"`
	Created   time.Time   `json:"created"`
	LastSeen  time.Time   `json:"last_seen"` // telemetry: written at most once a minute
	Expires   time.Time   `json:"expires"`
	Address   string      `json:"address"`
	UserAgent string      `json:"user_agent"`
	How       string      `json:"how"`                // they signed in, such as "password"
	Proven    time.Time   `json:"proven,omitzero"`    // when the second factor was shown; zero: none was
	Confirmed time.Time   `json:"confirmed,omitzero"` // when the person last showed that it is still them
}

// Live reports whether the session still counts.
func (s Session) Live(now time.Time) bool {
	return now.Before(s.Expires) && now.Sub(s.LastSeen) < Idle
}

// Store keeps sessions.
type Store interface {
	// AddSession stores a fresh session.
	AddSession(ctx context.Context, s Session) error
	// SessionByHash returns the session of a token, or fault.NotFound. It may be over: ask Live.
	SessionByHash(ctx context.Context, h secret.Hash) (Session, error)
	// TouchSession sets when the session was last seen. It is telemetry.
	TouchSession(ctx context.Context, i id.ID, seen time.Time) error
	// ConfirmSession sets when the session was confirmed, and when its second factor was shown; a zero time of that changes nothing.
	ConfirmSession(ctx context.Context, i id.ID, confirmed, proven time.Time) error
	// EndSession removes one session; ending one that is not there is no error.
	EndSession(ctx context.Context, i id.ID) error
	// EndSessionsOf removes every session of a person, but the one named keep, and returns how many.
	EndSessionsOf(ctx context.Context, person, keep id.ID) (int, error)
	// SessionsOf lists a person's sessions, newest first.
	SessionsOf(ctx context.Context, person id.ID) ([]Session, error)
}
