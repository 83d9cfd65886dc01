package usage

import (
	"time"

	"gatehouse/id"
)

// Tally is how many calls one life of a gateway let through under a grant, in one period of a quota.
type Tally struct {
	Environment string
	Grant       id.ID
	Period      string // day or month
	From        time.Time
	Gateway     string
	Life        string
	Begun       int64 // when the life began, in microseconds since 1970; 0: its gateway does not say
	Calls       int64
}

// Life is one life of a gateway's counts.
type Life struct {
	Environment string
	Gateway     string
	Begun       int64 // in microseconds since 1970, by the gateway's clock
	Alone       bool  // no life of this gateway that began before counts any more
}

// TalliesKept is how long the counts of a period are known after its beginning.
const TalliesKept = 70 * 24 * time.Hour
