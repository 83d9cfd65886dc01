package credential

import (
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// InitialToken lets a program register OAuth clients of one application by itself (RFC 7591 §3, the initial access token). It
// gives no access: a client stands for what is granted to the application anyway.
type InitialToken struct {
	ID           id.ID       `json:"id"`
	Organization id.ID       `json:"organization"`
	Application  id.ID       `json:"application"`
	Environment  string      `json:"environment"`
	Name         string      `json:"name"`
	Hash         secret.Hash `json:"-"`
	Uses         int         `json:"uses"` // that it had
	Most         int         `json:"most"` // that it may have
	Created      time.Time   `json:"created"`
	CreatedBy    id.ID       `json:"created_by"` // for whom it acts: while they may register clients themselves
	Expires      time.Time   `json:"expires"`
	Ended        time.Time   `json:"ended,omitzero"`
	Version      int64       `json:"version"`
}

// How an initial access token stands.
const (
	TokenOpen    = "open"
	TokenUsed    = "used"
	TokenEnded   = "ended"
	TokenExpired = "expired"
)

// Standing is how it stands at that time.
func (t InitialToken) Standing(now time.Time) string {
	switch {
	case !t.Ended.IsZero():
		return TokenEnded
	case t.Uses >= t.Most:
		return TokenUsed
	case !now.Before(t.Expires):
		return TokenExpired
	}
	return TokenOpen
}

// Use takes one of its uses. fault.Conflict: it has none at that time.
func (t InitialToken) Use(now time.Time) (InitialToken, error) {
	if s := t.Standing(now); s != TokenOpen {
		return t, fault.Of(fault.Conflict, "token-over", "this initial access token is %s", s)
	}
	t.Uses++
	return t, nil
}

// End ends it. fault.Conflict: it is over already.
func (t InitialToken) End(now time.Time) (InitialToken, error) {
	if s := t.Standing(now); s != TokenOpen {
		return t, fault.Of(fault.Conflict, "token-over", "this initial access token is %s already", s)
	}
	t.Ended = now
	return t, nil
}
