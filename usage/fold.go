package usage

import (
	"encoding/binary"
	"errors"
	"time"

	"gatehouse/id"
)

// A stretch is a day of hours or a month of days, in UTC. Once it is over, what was counted of one series and status in it can
// be put together: a year is then a dozen rows and not 365.

// Series is the place of one series, which is an environment, application, grant and operation, in the order in which they are folded.
type Series struct {
	Application id.ID
	Number      int64
}

// Unfolded is some series with counts to be folded: those of them that have any in the oldest stretch of them all.
type Unfolded struct {
	Series  []Series
	Stretch time.Time // its beginning
	Last    Series    // the last one that was looked at; the zero Series: none is behind it
}

// Folds reports whether counts of the unit are put together by stretches. Those of minutes are not: they are soon forgotten.
func (u Unit) Folds() bool { return u == Hour || u == Day }

// Stretch is from when until when the stretch is that the time is in.
func (u Unit) Stretch(t time.Time) (from, to time.Time) {
	t = t.UTC()
	if u == Day {
		from = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0)
	}
	from = Day.Cut(t)
	return from, from.Add(Day.Span())
}

// These are how long a stretch is over before it is put together. Gateways may tell of calls that are 31 days old, and nothing
// that long over comes to change: a month of days is written once. Hours are many, so they do not wait for that.
const (
	hoursRest = 2 * 24 * time.Hour
	daysRest  = 31 * 24 * time.Hour
)

// FoldBefore is the end of the newest stretch that is to be put together by now.
func (u Unit) FoldBefore(now time.Time) time.Time {
	rest := hoursRest
	if u == Day {
		rest = daysRest
	}
	from, _ := u.Stretch(now.Add(-rest))
	return from
}

// Pack writes the calls of the units of a stretch, the first unit first: a varint each (as encoding/binary writes it), but for
// the zeros at the end.
func Pack(calls []int64) []byte {
	for len(calls) > 0 && calls[len(calls)-1] == 0 {
		calls = calls[:len(calls)-1]
	}
	b := make([]byte, 0, 2*len(calls))
	for _, n := range calls {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// Unpack reads what Pack wrote: the calls of each unit of the stretch of that unit which the time is in.
func Unpack(b []byte, u Unit, stretch time.Time) ([]int64, error) {
	from, to := u.Stretch(stretch)
	calls := make([]int64, int(to.Sub(from)/u.Span()))
	for i := 0; len(b) > 0; i++ {
		n, size := binary.Uvarint(b)
		if size <= 0 || int64(n) < 0 || i == len(calls) {
			return nil, errors.New("these are no calls of a stretch")
		}
		calls[i], b = int64(n), b[size:]
	}
	return calls, nil
}
