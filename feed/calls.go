package feed

import "gatehouse/id"

// Calls is what a gateway has counted.
type Calls struct {
	Counts []Count `json:"counts"`
	Lost   int64   `json:"lost,omitempty"` // that it had no room to count by application, since its last batch
}

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
