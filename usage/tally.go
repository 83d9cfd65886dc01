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
	Calls       int64
}

// TalliesKept is how long the counts of a period are known after its beginning.
const TalliesKept = 70 * 24 * time.Hour
