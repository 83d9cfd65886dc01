package snapshot

import (
	"net/netip"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/policy/granted"
)

// A Guest is a caller who was let in for longer than one answer takes.
type Guest struct {
	Route     string // by whose name
	Principal policy.Principal
	Grant     id.Bits // zero: there was none
	Peer      netip.AddrPort
	Offline   time.Duration // as policy.Exchange's
}

// Still says until when the guest may stay by what is known now, or why not any longer: the route is still offered to such
// callers, the credential counts, and the grant that the guest came with is live and covers the route. The zero time is no
// end.
func (v *View) Still(guest *Guest, now time.Time) (until time.Time, err error) {
	r := v.Named(guest.Route)
	if r == nil || r.Closed != nil || len(r.methods) > 0 && !slices.Contains(r.methods, guest.Principal.Method) {
		return until, withdrawn
	}
	x := policy.Exchange{Access: v, Now: now, Peer: guest.Peer, Route: &r.RouteInfo, Principal: guest.Principal}
	if x.Principal.Known() {
		if until, err = x.Still(); err != nil {
			return until, err
		}
	}
	if r.authorize != "grant" {
		return until, nil
	}
	p := &x.Principal
	if len(p.Bound) > 0 && !slices.Contains(p.Bound, guest.Grant) || guest.Grant.IsZero() {
		return until, unbound
	}
	p.Bound = []id.Bits{guest.Grant} // another grant may cover the route as well by now: this one brought the guest in
	right, err := granted.Find(v, x.Route, p, now)
	if err != nil {
		return until, err
	}
	if err := granted.Reached(right.Plan, guest.Offline); err != nil {
		return until, err
	}
	if right.Until.Before(until) {
		until = right.Until
	}
	return until, nil
}

var (
	withdrawn = fault.Of(fault.Forbidden, "route-withdrawn", "the operation is not offered in this way any more")
	unbound   = fault.Of(fault.Forbidden, "no-grant", "the credential is not for this grant any more")
)
