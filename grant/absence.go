package grant

import (
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Absence is a person's word that another one decides in their place for a time. The stand-in decides with the absent
// person's roles, in their own name, and never where the absent person could not have decided.
type Absence struct {
	ID      id.ID     `json:"id"`
	Person  id.ID     `json:"person"`
	StandIn id.ID     `json:"stand_in"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Ended   time.Time `json:"ended,omitzero"` // called off before
	Version int64     `json:"version"`
}

// longestAbsence is how far an absence may reach: nobody hands their duty over for good.
const longestAbsence = 366 * 24 * time.Hour

// Check says what is wrong with an absence.
func (a Absence) Check(now time.Time) error {
	switch {
	case a.StandIn == "" || a.StandIn == a.Person:
		return fault.Bad("/stand_in", "name another person")
	case !a.Until.After(a.From):
		return fault.Bad("/until", "must be after the beginning")
	case !a.Until.After(now):
		return fault.Bad("/until", "must be in the future")
	case a.Until.Sub(a.From) > longestAbsence:
		return fault.Bad("/until", "an absence lasts at most a year")
	}
	return nil
}

// Holds reports whether the stand-in decides at that time.
func (a Absence) Holds(now time.Time) bool {
	return a.Ended.IsZero() && !now.Before(a.From) && now.Before(a.Until)
}

// CallOff ends the absence early.
func (a Absence) CallOff(now time.Time) (Absence, error) {
	if !a.Ended.IsZero() || !now.Before(a.Until) {
		return a, fault.New(fault.Conflict, "the absence is over already")
	}
	a.Ended = now
	return a, nil
}
