package policy

import (
	"errors"
	"time"

	"gatehouse/fault"
	"gatehouse/secret"
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
		Slot: c.Slot, Bound: c.Bound, Mark: c.Mark}
	return nil
}

// Still checks anew, by Access and at Now, that what the Principal has proven still counts: for what outlives its request. It
// brings the Principal up to date, and says when that ends by itself.
func (x *Exchange) Still() (until time.Time, err error) {
	was := x.Principal
	c, ok := x.Access.Marked(was.Mark)
	switch {
	case !ok || c.ID != was.Credential, was.Token != (secret.Hash{}) && x.Access.Denied(was.Token):
		return until, still.Revoked
	case was.Expires != 0 && x.Now.UnixMicro() >= was.Expires:
		return until, still.Expired
	}
	if err := x.Accept(&c, still); err != nil {
		return until, err
	}
	p := &x.Principal
	p.Scopes, p.Constrained, p.FAPI, p.Token, p.Expires = was.Scopes, was.Constrained, was.FAPI, was.Token, was.Expires
	ends := c.Expires
	if p.Expires != 0 {
		ends = min(ends, p.Expires)
	}
	return time.UnixMicro(ends), nil
}

var still = NewRefusals("credential", "credential")

// ErrNothing is the cause of a refusal of a caller who sent nothing by that method. Another method may do, where any of several
// is enough.
var ErrNothing = errors.New("nothing was sent")
