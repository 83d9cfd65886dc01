package credential

import (
	"time"

	"gatehouse/fault"
)

// Live reports whether the credential proves anything at that time.
func (c Credential) Live(now time.Time) bool {
	switch c.State {
	case Active:
		return now.Before(c.Expires)
	case Retiring:
		return now.Before(c.End())
	}
	return false
}

// End is the earlier of its expiry and its retirement: from then on it proves nothing.
func (c Credential) End() time.Time {
	if !c.RetireAt.IsZero() && c.RetireAt.Before(c.Expires) {
		return c.RetireAt
	}
	return c.Expires
}

// Standing is the word for how the credential stands at that time: its state, or Expired.
func (c Credential) Standing(now time.Time) string {
	if c.State != Revoked && !now.Before(c.End()) {
		return Expired
	}
	return string(c.State)
}

// over refuses what needs a credential that can still come to count.
func (c Credential) over(now time.Time) error {
	switch c.Standing(now) {
	case string(Revoked):
		return fault.New(fault.Conflict, "credential %s is already revoked", c.ID)
	case Expired:
		return fault.New(fault.Conflict, "credential %s has expired: issue another", c.ID)
	}
	return nil
}

// Activate begins the use of a pending credential.
func (c Credential) Activate(now time.Time) (Credential, error) {
	if err := c.over(now); err != nil {
		return c, err
	}
	if c.State != Pending {
		return c, fault.New(fault.Conflict, "credential %s is %s, not pending", c.ID, c.State)
	}
	c.State = Active
	return c, nil
}

// Suspend stops the credential until it is resumed. Its end does not move. What the platform holds, only the platform
// resumes; it can also take hold of what is suspended already.
func (c Credential) Suspend(reason string, platform bool, now time.Time) (Credential, error) {
	if err := c.over(now); err != nil {
		return c, err
	}
	if c.State != Active && c.State != Retiring && !(c.State == Suspended && platform && !c.Held) {
		return c, fault.New(fault.Conflict, "credential %s is %s, not active", c.ID, c.State)
	}
	c.State, c.Reason, c.Held = Suspended, reason, platform
	return c, nil
}

// Resume ends a suspension. A credential that was retiring goes on to retire at its time.
func (c Credential) Resume(reason string, platform bool, now time.Time) (Credential, error) {
	if err := c.over(now); err != nil {
		return c, err
	}
	if c.State != Suspended {
		return c, fault.New(fault.Conflict, "credential %s is %s, not suspended", c.ID, c.State)
	}
	if c.Held && !platform {
		return c, fault.Of(fault.Forbidden, "held", "credential %s was suspended by the platform: ask it to resume it", c.ID)
	}
	c.State, c.Reason, c.Held = Active, reason, false
	if !c.RetireAt.IsZero() {
		c.State = Retiring
	}
	return c, nil
}

// Rotate hands over to next: c retires at the time, until which both prove the application, and next takes over what c
// stands for. Only a credential that is active is replaced, and once.
func (c Credential) Rotate(next Credential, now, retireAt time.Time) (old, fresh Credential, err error) {
	if err := c.over(now); err != nil {
		return c, next, err
	}
	if c.State != Active {
		return c, next, fault.New(fault.Conflict, "credential %s is %s, not active: only an active one is replaced", c.ID, c.State)
	}
	if retireAt.Before(now) {
		return c, next, fault.New(fault.Conflict, "credential %s cannot retire in the past", c.ID)
	}
	next.Organization, next.Application, next.Environment = c.Organization, c.Application, c.Environment
	next.Kind, next.Grants, next.Sources, next.Replaces = c.Kind, c.Grants, c.Sources, c.ID
	c.State, c.RetireAt = Retiring, retireAt
	return c, next, nil
}

// Revoke ends the credential at once and for good.
func (c Credential) Revoke(reason string, now time.Time) (Credential, error) {
	if c.State == Revoked {
		return c, fault.New(fault.Conflict, "credential %s is already revoked", c.ID)
	}
	c.State, c.Reason, c.Revoked = Revoked, reason, now
	return c, nil
}
