package feed

import (
	"crypto/ed25519"
	"encoding/json"
	"time"

	"gatehouse/fault"
)

// Clock is what the process that numbers says each second of all feeds together, and stores beside them: so that whoever reads a copy
// of the store, which may be behind or stand still, knows of when it is.
type Clock struct {
	At    time.Time           `json:"at"`    // everything that was committed before is in the feeds
	Feeds map[string]Position `json:"feeds"` // where each stood at the least
}

// Say signs the clock.
func (c Clock) Say(sign func(digest string) []byte) (Signed, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return Signed{}, err
	}
	return Signed{b, sign(digestOf("clock", b))}, nil
}

// Clock verifies a clock and reads it: fault.Conflict when the control plane did not sign it.
func (s Signed) Clock(key ed25519.PublicKey) (Clock, error) {
	var c Clock
	if !Verify(key, digestOf("clock", s.Word), s.Signature) {
		return c, fault.Of(fault.Conflict, "clock-unsigned", "what is stored of when the feeds are is not signed by this control plane")
	}
	if err := json.Unmarshal(s.Word, &c); err != nil || c.At.IsZero() {
		return c, fault.Of(fault.Conflict, "clock-unsigned", "what is stored of when the feeds are cannot be read").Because(err)
	}
	return c, nil
}
