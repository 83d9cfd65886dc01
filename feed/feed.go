// Package feed is the ordered stream of changes to the gateways of one environment: its entries, their chain, the
// receipts, and both ends over small interfaces. It knows no store.
package feed

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/id"
)

// Kind is what an entry changes.
type Kind string

// The kinds of entries. The payload of each is the type of that name, as JSON.
const (
	KindOrganization Kind = "organization"
	KindApplication  Kind = "application"
	KindCredential   Kind = "credential"
	KindGrant        Kind = "grant"
	KindRevision     Kind = "revision"
	KindIssuer       Kind = "issuer"
	KindDenial       Kind = "denial"
	KindEpoch        Kind = "epoch" // the first entry of a raised epoch, if nothing else is; its payload is empty
)

// Change is a row of the feed before it has a number: written in the transaction of the change it tells of.
type Change struct {
	Row         int64  // set by the store: the order of commits
	Environment string // "" means every environment; its feed and those of its regions, or one of those by its name
	Region      string // where it may be told besides the feed that tells everything; "": everywhere. Set when it is numbered
	Kind        Kind
	Key         string // the ID of what changed
	Version     int64  // of that entity: rows of one entity are numbered by it
	Payload     json.RawMessage
	Committed   time.Time
}

// Position is a place in one environment's feed, or in that of a region of it, whose name then stands for the environment:
// everything through Seq, whose digest is Digest, in that Epoch.
type Position struct {
	Epoch  int64  `json:"epoch"`
	Seq    int64  `json:"seq"`
	Digest string `json:"digest"`
}

// Entry is one numbered change. Seq counts from 1 without gaps in each environment. Digest covers the entry and the
// digest before it; Signature is the control plane's, over the digest.
type Entry struct {
	Environment string          `json:"environment"`
	Epoch       int64           `json:"epoch"`
	Seq         int64           `json:"seq"`
	Previous    string          `json:"previous"`
	Kind        Kind            `json:"kind"`
	Key         string          `json:"key"`
	Version     int64           `json:"version"`
	Payload     json.RawMessage `json:"payload"`
	Committed   time.Time       `json:"committed"`
	Digest      string          `json:"digest"`
	Signature   []byte          `json:"signature"`
	Row         *Row            `json:"-"` // of an image: it stands for Key, Version and Payload, and is good until the call that got it returns
}

// Organization is what a gateway knows of an organization.
type Organization struct {
	ID   id.ID  `json:"id"`
	Name string `json:"name"`
	Live bool   `json:"live"`
}

// Application is what a gateway knows of an application.
type Application struct {
	ID           id.ID  `json:"id"`
	Organization id.ID  `json:"organization"`
	Name         string `json:"name"`
	Live         bool   `json:"live"`
}

// Credential is what a gateway knows of a credential. Live false means it is refused whatever the time.
type Credential struct {
	ID          id.ID     `json:"id"`
	Application id.ID     `json:"application"`
	Kind        string    `json:"kind"`
	PublicID    string    `json:"public_id"`
	Hash        []byte    `json:"hash"`
	Grants      []id.ID   `json:"grants,omitempty"`
	Sources     []string  `json:"sources,omitempty"` // networks it may be used from; none: any
	Claims      []Claim   `json:"claims,omitempty"`  // what a workload's token must say beside its subject
	Live        bool      `json:"live"`
	Ended       string    `json:"ended,omitempty"`     // the state's word when it is not live: pending, revoked, suspended
	Expires     time.Time `json:"expires"`             // the earlier of its expiry and its retirement
	Withdrawn   bool      `json:"withdrawn,omitempty"` // its organization is in another region: it is over here
}

// Claim is what a token must say under a name.
type Claim struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Grant is what a gateway knows of a grant.
type Grant struct {
	ID          id.ID     `json:"id"`
	Application id.ID     `json:"application"`
	Product     string    `json:"product"`
	Plan        string    `json:"plan"`
	Scopes      []string  `json:"scopes"`
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	State       string    `json:"state"`               // active, suspended, ended
	Withdrawn   bool      `json:"withdrawn,omitempty"` // as of a credential
}

// Revision is a published manifest. Bundle is as manifest.Bundle encodes it.
type Revision struct {
	Number int64  `json:"number"`
	Digest string `json:"digest"`
	Bundle []byte `json:"bundle"`
}

// Issuer is what a gateway verifies access tokens of its environment by.
type Issuer struct {
	URL      string          `json:"url"`      // the iss of its tokens
	Audience string          `json:"audience"` // what the aud of a token for an API begins with; the API's path follows
	Keys     json.RawMessage `json:"keys"`     // a JWK Set: all that may have signed a token that still lives, and the next one
}

// Denial refuses one access token: the one with the mark, until it has expired.
type Denial struct {
	Mark    []byte    `json:"mark"`
	Expires time.Time `json:"expires"`
}

// Receipt is a gateway's word: everything through Position is in force since At.
type Receipt struct {
	Gateway     string    `json:"gateway"`
	Environment string    `json:"environment"`
	Position    Position  `json:"position"`
	Revision    int64     `json:"revision"` // served now
	Desired     int64     `json:"desired"`  // the newest one that arrived; another than Revision when it did not compile
	Trouble     string    `json:"trouble,omitempty"`
	At          time.Time `json:"at"`
}

// Use is how often a credential was used for one operation under one grant, and when last.
type Use struct {
	Credential id.ID     `json:"credential"`
	Grant      id.ID     `json:"grant,omitempty"`
	API        string    `json:"api"`
	Operation  string    `json:"operation"`
	Count      int64     `json:"count"`
	Last       time.Time `json:"last"`
	Address    string    `json:"address"` // of the caller, that time
}

// Place is where an entry stands in its feed, and when the change was committed.
type Place struct {
	Position
	Committed time.Time
}

// Source is the control plane's end, as a gateway sees it: in process, or over a connection.
type Source interface {
	// Tail returns up to limit entries of the environment after the position, in order; none when there are none.
	// A position that is not in the feed (another digest, a higher seq, another epoch) is fault.Conflict; so is one after which
	// entries were forgotten, with the code feed-renewed: who is there begins from an image.
	Tail(ctx context.Context, environment string, after Position, limit int) ([]Entry, error)
	// Changed returns a channel that is closed once the environment may have entries after seq. It is a hint: it may be
	// closed with nothing new, and a gateway polls as well.
	Changed(environment string, seq int64) <-chan struct{}
	// Acknowledge takes a receipt.
	Acknowledge(ctx context.Context, r Receipt) error
	// Uplink takes how credentials were used, and whatever else is counted.
	Uplink
}

// Log is what the control plane's end needs of a store.
type Log interface {
	// AppendChange stores a row without a number, in the transaction of the change.
	AppendChange(ctx context.Context, c Change) error
	// Unnumbered returns rows that are not numbered yet, in the order of their commits.
	Unnumbered(ctx context.Context, limit int) ([]Change, error)
	// Number stores the entries that a row became, one for each environment it is for, and takes the row out of
	// Unnumbered.
	Number(ctx context.Context, row int64, entries []Entry) error
	// Head is the position after the newest entry of the environment; the zero Seq when it has none.
	Head(ctx context.Context, environment string) (Position, error)
	// Entries returns entries after seq, ascending.
	Entries(ctx context.Context, environment string, after int64, limit int) ([]Entry, error)
	// Entry returns the one with that number, or fault.NotFound.
	Entry(ctx context.Context, environment string, seq int64) (Entry, error)
	// Place returns where the one with that number stands, even if it was forgotten, or fault.NotFound.
	Place(ctx context.Context, environment string, seq int64) (Place, error)
	// Length says how long what is kept of the feed is.
	Length(ctx context.Context, environment string) (Length, error)
	// Forgotten is the number through which entries may have been forgotten: after it the feed is whole.
	Forgotten(ctx context.Context, environment string) (int64, error)
	// Forget goes on through the entries from where it was last, looking at so many at most, and forgets those that are superseded
	// by a newer one of the same kind and key: of them their Place is left. It stops before the first that has a number after through
	// or was committed at the time before or later; the next time it begins from the first again. It returns how many it forgot,
	// and whether it has stopped.
	Forget(ctx context.Context, environment string, through int64, before time.Time, limit int) (forgot int, done bool, err error)
	// EntryOf returns the newest entry of that kind and key, or fault.NotFound: what a change's number became.
	EntryOf(ctx context.Context, environment string, k Kind, key string) (Entry, error)
	// Versions returns, for each of the changes, the version of the newest entry of that kind and key; 0 where there is none.
	Versions(ctx context.Context, environment string, of []Change) ([]int64, error)
	// Regions returns for each of the changes the region that the organization of its credential or grant is pinned to; "" of
	// anything else, and of one that is pinned to none.
	Regions(ctx context.Context, of []Change) ([]string, error)
	// Newest returns the newest entry of each kind and key among those up to the number through, ascending, after the number
	// after, without what chains it to others (Previous, Digest, Signature): what an image is made of.
	Newest(ctx context.Context, environment string, through, after int64, limit int) ([]Entry, error)
	// PutFeedClock stores what is said of when the feeds are, in place of what was.
	PutFeedClock(ctx context.Context, c Signed) error
	// FeedClock returns it as it was put, or fault.NotFound.
	FeedClock(ctx context.Context) (Signed, error)
	// PutReceipt stores a gateway's newest receipt; an older one than is stored changes nothing. It is telemetry.
	PutReceipt(ctx context.Context, r Receipt) error
	// Receipts returns the newest receipt of each gateway of the environment.
	Receipts(ctx context.Context, environment string) ([]Receipt, error)
	// TakeBatch counts a batch as taken and says whether it is fresh: false for a number that was taken before. One that
	// leaves a number out is fault.Conflict. What the batch holds is stored in the same transaction. It is telemetry.
	TakeBatch(ctx context.Context, b Batch, now time.Time) (fresh bool, err error)
}

// Length is how long what is kept of a feed is.
type Length struct {
	Entries int64     // that are kept whole: not those of which only the place is left
	Oldest  time.Time // when the oldest of them was committed; zero: there is none
}
