// Package usage is how often applications call: counts by minute, hour and day, for so long as each is kept.
package usage

import (
	"context"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Unit is the length of the time that one count is over. Times are cut in UTC.
type Unit string

// The units.
const (
	Minute Unit = "minute"
	Hour   Unit = "hour"
	Day    Unit = "day"
)

// Units lists them, the shortest first.
func Units() []Unit { return []Unit{Minute, Hour, Day} }

// Span is how long a unit is; 0: there is no such unit.
func (u Unit) Span() time.Duration {
	switch u {
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	case Day:
		return 24 * time.Hour
	}
	return 0
}

// Cut is the beginning of the unit that the time is in.
func (u Unit) Cut(t time.Time) time.Time { return t.UTC().Truncate(u.Span()) }

// Retention is for how long counts of each unit are kept.
type Retention struct{ Minutes, Hours, Days time.Duration }

// DefaultRetention keeps minutes for three days, hours for 90 and days for 400.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Minutes: 3 * day, Hours: 90 * day, Days: 400 * day}
}

// Of is for how long counts of the unit are kept.
func (r Retention) Of(u Unit) time.Duration {
	switch u {
	case Minute:
		return r.Minutes
	case Hour:
		return r.Hours
	}
	return r.Days
}

// Count is how many calls of one application ended with one status, in one unit of time.
type Count struct {
	Environment string
	Application id.ID
	Grant       id.ID // "" where none was needed, or none was found
	API         string
	Operation   string
	Status      int
	At          time.Time // the beginning of the unit
	Calls       int64
}

// Query asks for counts of an application or a grant, of which one must be given, from a time until another.
type Query struct {
	Unit        Unit
	Application id.ID
	Grant       id.ID
	Environment string // "": all
	From, To    time.Time
	Limit       int
}

// most is the longest time that one query may be over: it bounds how many rows there can be.
func (u Unit) most() time.Duration { return 500 * u.Span() }

// Validate reports what is wrong with a query, and fills in what was left out: the last day by minutes is too much, so it is
// the last hour; by hours it is the last day, by days the last thirty.
func (q Query) Validate(now time.Time) (Query, error) {
	if q.Unit == "" {
		q.Unit = Day
	}
	span := q.Unit.Span()
	if span == 0 {
		return q, fault.Bad("/by", "must be minute, hour or day, not %q", string(q.Unit))
	}
	if q.To.IsZero() {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-map[Unit]time.Duration{Minute: time.Hour, Hour: 24 * time.Hour, Day: 30 * 24 * time.Hour}[q.Unit])
	}
	q.From, q.To = q.Unit.Cut(q.From), q.To.UTC()
	switch {
	case !q.From.Before(q.To):
		return q, fault.Bad("/from", "must be before to")
	case q.To.Sub(q.From) > q.Unit.most():
		return q, fault.Bad("/from", "is more than 500 %ss before to: ask for less, or by a longer unit", string(q.Unit))
	}
	return q, nil
}

// Store keeps counts. All of it is telemetry.
type Store interface {
	// TallyLife notes that a life of a gateway tells, and returns the beginning of the newest one that is alone, this one included: nothing
	// may be put of a life that began before that. Whatever is put in the same transaction comes before or after what other lives of the
	// gateway put in theirs.
	TallyLife(ctx context.Context, l Life, now time.Time) (alone int64, err error)
	// FoldTallies puts the counts of lives that are over by TallyLife together, at most so many rows, and returns how many they
	// were: sums stay as they are, and each gateway keeps one row of all its earlier lives. Lives that do not say when they began stay.
	FoldTallies(ctx context.Context, most int) (int, error)
	// PutTally keeps the count of one life of a gateway, unless a higher one is kept, and returns what all other lives and
	// gateways have let through under the grant in that period.
	PutTally(ctx context.Context, t Tally, now time.Time) (others int64, err error)
	// Tallied is what all gateways of the environment have let through under the grant in the period that began then.
	Tallied(ctx context.Context, environment string, grant id.ID, period string, from time.Time) (int64, error)
	// ForgetTallies removes the counts of periods that began before, and what is known of lives of gateways that have not told since.
	ForgetTallies(ctx context.Context, before time.Time) error
	// AddCounts adds calls to the counts of all units; At is any time of the minute.
	AddCounts(ctx context.Context, counts []Count) error
	// AddLost adds calls that a gateway could not count by application.
	AddLost(ctx context.Context, environment, gateway string, at time.Time, calls int64) error
	// Counts returns counts in the order of time, API, operation, grant, environment and status, at most Limit.
	Counts(ctx context.Context, q Query) ([]Count, error)
	// Lost is how many calls could not be counted by application in that time, in the environment or in all; cut to hours.
	Lost(ctx context.Context, environment string, from, to time.Time) (int64, error)
	// ForgetCounts removes the counts of the unit from before that time. What is folded goes by whole stretches: when the last
	// unit of one is from before.
	ForgetCounts(ctx context.Context, u Unit, before time.Time) error
	// Unfolded looks at the next most series after the given one, the zero Series being before all, for counts from before that time
	// which lie in rows of their own.
	Unfolded(ctx context.Context, u Unit, before time.Time, after Series, most int) (Unfolded, error)
	// FoldCounts puts the counts of some series in the stretch that begins then together, and tells how many they were. Every answer
	// stays as it was; what is added later to a stretch that is folded lies in rows of its own until it is folded again.
	FoldCounts(ctx context.Context, u Unit, stretch time.Time, series []Series) (counts int, err error)
}
