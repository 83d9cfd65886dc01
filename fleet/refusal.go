package fleet

import (
	"time"

	"gatehouse/id"
)

// Refusal is that something was turned away which called as a gateway, or wanted to become one: how often, and why. Those of
// one gateway, address and code are one. It is telemetry.
type Refusal struct {
	Environment string    `json:"environment,omitempty"` // "": it is not known of which
	Gateway     string    `json:"gateway,omitempty"`     // its name, if that is known
	ID          id.ID     `json:"id,omitempty"`
	Address     string    `json:"address"` // that it called from, without the port
	Code        string    `json:"code"`    // of the problem
	Text        string    `json:"text"`    // the newest one's
	Version     string    `json:"version,omitempty"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Times       int64     `json:"times"`
}

// KeptRefusals is how many are kept, the newest: whoever can reach the listener makes them.
const KeptRefusals = 500

// MostSkew is how far a gateway's clock may be off when it joins: by more than that, grants and certificates would begin
// and end at other moments there.
const MostSkew = time.Minute
