package policy

import (
	"errors"

	"gatehouse/fault"
)

// Refusals are what callers are told whose credential is known and does not count. Each is counted by its code.
type Refusals struct {
	Revoked, Suspended, Pending, Expired error
	Application, Organization            error // the owners may not call
	Source                               error // not from here
}

// NewRefusals words them for one kind of credential: code is what their codes begin with, what its name in a sentence,
// such as "API key".
func NewRefusals(code, what string) *Refusals {
	of := func(k fault.Kind, code, format string) error { return fault.Of(k, code, format, what) }
	return &Refusals{
		Revoked:      of(fault.Unauthenticated, code+"-revoked", "this %s has been revoked"),
		Suspended:    of(fault.Unauthenticated, code+"-suspended", "this %s is suspended"),
		Pending:      of(fault.Unauthenticated, code+"-pending", "this %s is not in use yet: it has to be activated"),
		Expired:      of(fault.Unauthenticated, code+"-expired", "this %s has expired"),
		Application:  of(fault.Unauthenticated, "application-not-live", "the application of this %s may not call: it has been closed"),
		Organization: of(fault.Unauthenticated, "organization-not-live", "the organization of this %s may not call: it is not verified, is suspended or has left"),
		Source:       of(fault.Forbidden, code+"-source", "this %s may not be used from this address"),
	}
}

// Accept checks that a credential which the caller has proven counts now and may be used from where the caller is, and
// sets the Principal. It is where every method of authentication ends.
func (x *Exchange) Accept(c *Credential, r *Refusals) error {
	switch {
	case c.State == Suspended:
		return r.Suspended
	case c.State == Pending:
		return r.Pending
	case c.State != Active:
		return r.Revoked
	case x.Now.UnixMicro() >= c.Expires:
		return r.Expired
	case !c.OrganizationLive:
		return r.Organization
	case !c.ApplicationLive:
		return r.Application
	case !c.From(x.Peer.Addr()):
		return r.Source
	}
	x.Principal = Principal{Method: c.Kind, Organization: c.Organization, Application: c.Application, Credential: c.ID,
		Slot: c.Slot, Bound: c.Bound}
	return nil
}

// ErrNothing is the cause of a refusal of a caller who sent nothing by that method. Another method may do, where any of several
// is enough.
var ErrNothing = errors.New("nothing was sent")
