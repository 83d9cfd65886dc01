package feed

import "gatehouse/id"

// Calls is what a gateway has counted.
type Calls struct {
	Counts []Count `json:"counts"`
	Lost   int64   `json:"lost,omitempty"` // that it had no room to count by application, since its last batch
}

// Tallies is how many calls a gateway let through under grants, each counted from the beginning of a period in the gateway's
// life: told again it changes nothing.
type Tallies struct {
	Environment string  `json:"environment"`
	Gateway     string  `json:"gateway"`
	Life        string  `json:"life"`            // of the gateway's counts: a process that begins at nothing has another one
	Begun       int64   `json:"begun,omitempty"` // when the life began, in microseconds since 1970 by the gateway's clock; 0 from a release before
	Alone       bool    `json:"alone,omitempty"` // no earlier life of the gateway lets anything through any more: what they still say is refused
	Tallies     []Tally `json:"tallies"`
}

// Tallied is the answer to tallies.
type Tallied struct {
	Others []int64 // for each, what all others let through
	// Over is not 0 when nothing was taken, since a life that began then has said that it is alone: who asks must begin another life.
	Over int64
}

// Tally is how many calls were let through under a grant in one period.
type Tally struct {
	Grant  id.ID  `json:"grant"`
	Period string `json:"period"` // day or month
	From   int64  `json:"from"`   // when it began, in seconds since 1970
	Calls  int64  `json:"calls"`
}

// MaxTallies is how many a gateway tells at once: they are one transaction.
const MaxTallies = 500

// Count is how many calls of an application ended with one status, in one minute.
type Count struct {
	Minute      int64  `json:"minute"` // since 1970, UTC
	Application id.ID  `json:"application"`
	Grant       id.ID  `json:"grant,omitempty"`
	API         string `json:"api"`
	Operation   string `json:"operation"`
	Status      int    `json:"status"`
	Calls       int64  `json:"calls"`
}
