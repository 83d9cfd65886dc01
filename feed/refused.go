package feed

import (
	"errors"
	"time"

	"gatehouse/fault"
)

// refusal is a feed that did not go on as it had to, or that the control plane does not have: what was wrong, at which place, and
// since when. The zero refusal: nothing was refused. A gateway that has refused something asks again, and meanwhile it is not
// connected, is being sent something, and is sent the same once more: none of that makes the reason less true.
type refusal struct {
	err   error
	at    Position // up to which everything is in force
	since time.Time
	right time.Time // since when it has been answered rightly again, with nothing new; zero: it has not
}

// calm is how long a feed that was refused and brings nothing new has to be right before it counts as mended: longer than it takes to
// ask again.
const calm = 30 * time.Second

// untrue is what this end found wrong with entries, unlike what the control plane said of itself.
type untrue struct{ error }

func (u untrue) Unwrap() error { return u.error }

func (r refusal) own() bool {
	var u untrue
	return errors.As(r.err, &u)
}

// after is the refusal once a follower at that place has got on without an error, or with err.
func (r refusal) after(err error, at Position, now time.Time) refusal {
	next := refusal{err: err, at: at, since: now}
	switch code := fault.As(err).Code; {
	case err != nil && fault.KindOf(err) == fault.Conflict:
		if r.err != nil && r.at == at && (fault.As(r.err).Code == code || r.own() && !next.own() && code != renewed) {
			r.right = time.Time{}
			return r // the same once more, or the control plane about the place up to which it has sent what was refused
		}
		return next
	case r.err == nil || at != r.at: // it goes on past it, or elsewhere
		return refusal{}
	case err != nil:
		r.right = time.Time{}
	case r.right.IsZero() || now.Before(r.right):
		r.right = now
	case now.Sub(r.right) >= calm:
		return refusal{}
	}
	return r
}

// renewed is the code of the control plane's word that the operator has raised the epoch.
const renewed = "feed-renewed"
