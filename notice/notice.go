// Package notice says what comes to its end soon: each grant and credential once for each of a few days before it.
package notice

import (
	"context"
	"time"

	"gatehouse/id"
)

// Days is how many days before an end people are told.
func Days() []int { return []int{30, 7, 1} }

// Kind is what comes to its end.
type Kind string

// The kinds.
const (
	Grant      Kind = "grant"
	Credential Kind = "credential"
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Grant, Credential} }

// Mark is how far people have been told, of one kind and so many days before: of every end through End, and of those at End
// through Object.
type Mark struct {
	Kind   Kind
	Days   int
	End    time.Time
	Object id.ID
}

// Ending is something that holds and comes to its end.
type Ending struct {
	Object       id.ID
	Organization id.ID
	Application  id.ID
	Environment  string
	Name         string // of a credential; the product of a grant
	Created      time.Time
	End          time.Time
}

// Due reports whether people are told now: what was made within the days knows its end already, and what is over needs no
// notice.
func (e Ending) Due(days int, now time.Time) bool {
	return e.Created.Before(e.End.AddDate(0, 0, -days)) && now.Before(e.End)
}

// Store keeps how far people have been told. A mark is moved in the transaction that tells, so that nobody is told twice.
type Store interface {
	// Mark returns the mark, or fault.NotFound when nobody has been told of the kind yet.
	Mark(ctx context.Context, k Kind, days int) (Mark, error)
	// PutMark sets the mark.
	PutMark(ctx context.Context, m Mark) error
	// Ending lists what of the kind holds and ends after the mark, and not after the time, by end and ID, ascending.
	Ending(ctx context.Context, m Mark, through time.Time, limit int) ([]Ending, error)
}
