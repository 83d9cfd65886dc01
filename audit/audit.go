// Package audit is the record of who changed what, when, why, from what to what: an append-only Merkle log.
package audit

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/id"
)

// Entry is one change. It is written in the transaction of the change, without a number; the sequencer numbers it
// after the commit and seals it into the log.
type Entry struct {
	ID           id.ID           `json:"id"`
	Seq          int64           `json:"seq"` // its place in the log, from 0; -1 until it is sealed
	At           time.Time       `json:"at"`
	Actor        string          `json:"actor"`  // class and ID, such as "staff:per_01…"; never a name
	Action       string          `json:"action"` // noun.verb, such as "grant.suspend"
	Object       id.ID           `json:"object"` // what was changed
	Organization id.ID           `json:"organization,omitempty"`
	Application  id.ID           `json:"application,omitempty"`
	Environment  string          `json:"environment,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	RequestID    string          `json:"request_id,omitempty"` // of the HTTP request that it was part of
	Before       json.RawMessage `json:"before,omitempty"`     // the object before and after, without personal values
	After        json.RawMessage `json:"after,omitempty"`
	Personal     []Personal      `json:"personal,omitempty"`
}

// Personal is a personal value that belongs to an entry, such as the actor's name or address. It stands outside the
// leaf of the log, which holds its Commitment only, so that it can be erased and the log still verifies.
type Personal struct {
	Name       string `json:"name"`
	Value      string `json:"value,omitempty"` // "" once erased
	Salt       []byte `json:"salt,omitempty"`  // nil once erased
	Commitment []byte `json:"commitment"`      // SHA-256 of salt and value
}

// Erasure says which personal values are erased: what entries about an object say of it, and who of the actors did something, from
// where and with what; what an anonymous actor left in the requests in which they changed the object; and values that are these,
// wherever they stand. What entries about others say of those stays.
type Erasure struct {
	Object id.ID
	Actors []string
	Values []string
}

// Filter selects entries. Empty fields select all.
type Filter struct {
	Organization id.ID
	Application  id.ID
	Object       id.ID
	Action       string // a prefix, such as "grant."
	Actor        string
	Before       int64 // only sealed entries with a Seq below this; 0: from the newest
}

// Log keeps entries.
type Log interface {
	// AppendAudit stores an entry without a number.
	AppendAudit(ctx context.Context, e Entry) error
	// AuditEntries lists newest first. Entries that are not sealed yet come before all others.
	AuditEntries(ctx context.Context, f Filter, limit int) ([]Entry, error)
	// AuditEntry returns one, or fault.NotFound.
	AuditEntry(ctx context.Context, i id.ID) (Entry, error)
	// Unsealed returns entries that have no number yet, in the order of their commits.
	Unsealed(ctx context.Context, limit int) ([]Entry, error)
	// Seal gives entry i the number seq and stores its leaf and the tree hashes that it completes
	// (golang.org/x/mod/sumdb/tlog.StoredHashes).
	Seal(ctx context.Context, i id.ID, seq int64, hashes [][32]byte) error
	// TreeHashes returns stored hashes by their index in the tlog numbering.
	TreeHashes(ctx context.Context, indexes []int64) ([][32]byte, error)
	// Checkpoint returns the newest signed checkpoint (golang.org/x/mod/sumdb/note), or "" when there is none.
	Checkpoint(ctx context.Context) (string, error)
	// PutCheckpoint stores a newer one.
	PutCheckpoint(ctx context.Context, size int64, note string, at time.Time) error
	// Checkpoints returns stored ones of trees larger than after, the smallest first.
	Checkpoints(ctx context.Context, after int64, limit int) ([]string, error)
	// ErasePersonal takes the personal values of entry i out of the store, leaves their commitments, and returns how many
	// there were.
	ErasePersonal(ctx context.Context, i id.ID) (int, error)
	// ErasePersonalOf erases personal values as ErasePersonal does, and returns how many there were.
	ErasePersonalOf(ctx context.Context, e Erasure) (int, error)
	// Sealed calls fn with each sealed entry in order from seq on. It stops at fn's error and returns it.
	Sealed(ctx context.Context, from int64, fn func(Entry) error) error
}
