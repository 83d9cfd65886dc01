package feed

import (
	"crypto/ed25519"
	"log/slog"
	"time"
)

// Options is what a Follower works with.
type Options struct {
	Source      Source
	Environment string
	Gateway     string            // its name in receipts
	Key         ed25519.PublicKey // of the control plane: every entry must carry its signature
	From        Position          // where to go on; the zero Position: from the beginning
	// Apply brings an entry into force. Entries come in order, each once, from one goroutine. An entry whose Apply returns an
	// error is tried again later, and nothing after it before: a revision that does not compile is no error here, it is
	// reported by Status.
	Apply func(Entry) error
	// Status tells for a receipt which revision is served now, which is the newest that arrived, and what is wrong, if
	// something is. nil: none.
	Status func() (served, desired int64, trouble string)
	Poll   time.Duration // besides hints; default 1s
	Now    func() time.Time
	Log    *slog.Logger // nil: none
}
