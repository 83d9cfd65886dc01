package fleet

import (
	"slices"
	"time"

	"gatehouse/fault"
)

// Anchor is an authority that gateways and the control plane know each other by. Its key is made again from its number.
type Anchor struct {
	Number int64     `json:"number"`
	Made   time.Time `json:"made"`
	Signs  time.Time `json:"signs"` // from when
	Ends   time.Time `json:"ends,omitzero"`
}

// CertificateFor is how long a gateway's certificate is valid. It is renewed when a third of that has passed, so that a control
// plane may be away over a weekend.
const CertificateFor = 72 * time.Hour

// Overlap is how long a new anchor is told to gateways before it signs: so every gateway that can still renew its certificate
// knows it.
const Overlap = CertificateFor

// Trusted are the anchors that count now: those that do not sign yet too.
func Trusted(all []Anchor, now time.Time) (out []Anchor) {
	for _, a := range all {
		if a.Ends.IsZero() || now.Before(a.Ends) {
			out = append(out, a)
		}
	}
	return out
}

// Signing is the anchor that signs now: the newest whose time has come.
func Signing(all []Anchor, now time.Time) (Anchor, bool) {
	var found Anchor
	for _, a := range Trusted(all, now) {
		if !now.Before(a.Signs) && a.Number > found.Number {
			found = a
		}
	}
	return found, found.Number > 0
}

// Rotate adds an anchor that signs after the overlap, and ends the one that signs now once every certificate of it has ended.
// The first one signs at once. While another one waits for its time it is fault.Conflict.
func Rotate(all []Anchor, now time.Time) (changed []Anchor, err error) {
	if len(all) == 0 {
		return []Anchor{{Number: 1, Made: now, Signs: now}}, nil
	}
	last := slices.MaxFunc(all, func(a, b Anchor) int { return int(a.Number - b.Number) })
	if now.Before(last.Signs) {
		return nil, fault.Of(fault.Conflict, "anchor-waits", "anchor %d signs from %s on: another one can follow after that", last.Number, last.Signs.Format(time.RFC3339))
	}
	next := Anchor{Number: last.Number + 1, Made: now, Signs: now.Add(Overlap)}
	last.Ends = next.Signs.Add(CertificateFor + time.Hour)
	return []Anchor{last, next}, nil
}
