package audit

import "time"

// Report is what verifying the log found.
type Report struct {
	Entries    int64     `json:"entries"`  // sealed ones that were read
	Unsealed   int64     `json:"unsealed"` // committed, waiting for the sequencer
	Root       string    `json:"root"`     // of the tree, base64
	Checkpoint string    `json:"checkpoint"`
	OK         bool      `json:"ok"`
	Problems   []Problem `json:"problems,omitempty"`
	At         time.Time `json:"at"`
}

// Problem is one thing that does not hold.
type Problem struct {
	Seq   int64  `json:"seq"`             // the entry; -1 when it is about the log as a whole
	Entry string `json:"entry,omitempty"` // its ID
	Text  string `json:"text"`
}
