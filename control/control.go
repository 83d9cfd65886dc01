// Package control changes things: every rule of who may do what to which object is here, and nowhere else. Portal,
// admin API and CLI call the same methods.
package control

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/feed"
	"gatehouse/fetch"
	"gatehouse/identity"
	"gatehouse/mail"
	"gatehouse/policy"
	"gatehouse/secret"
	"gatehouse/session"
	"gatehouse/snapshot"
	"gatehouse/store"
	"gatehouse/token"
	"gatehouse/usage"
)

// Control is the control plane. Every method takes the actor who asks, and answers fault.Unauthenticated to nobody,
// fault.Forbidden to somebody who may not, and fault.NotFound for an object of another organization, as if it were not
// there. Methods with a version take the one the caller saw: another one is fault.Stale; 0 takes any.
type Control struct {
	Options
	sealer   sealer             // of letters
	passkeys *webauthn.WebAuthn // nil: the portal's address can have none
	hooks    sealer             // of webhooks' secrets
	apps     sealer             // of authenticator apps' secrets
	hasher   *hasher
	tries    *tries
	logs     feedLogs
	offers   *offers
	host     secret.Value  // what HostToken tells
	posted   chan struct{} // a letter may wait in the outbox
	proofs   *token.Prover // of the token endpoint
	sets     *keySets      // that clients name by URL
	given    givenSets     // that clients were registered with

	authorities authorities   // of clients' certificates at the token endpoint
	clientele   clientele     // clients that have asked for tokens lately
	taking      taking        // marks that wait to be written
	issued      *issued       // tokens since the last report
	told        chan struct{} // an event may wait for a webhook
	ended       chan struct{} // an organization's end may be complete before the next look
	patience    time.Duration // how long gateways have to let a canary in
	even        time.Duration // how long an answer takes that must not tell whether something was written

	fleet     *presence
	source    *source
	sequencer *sequencer
	replica   *replica // nil: the feed is read of Store
	sessions  bearers[session.Session]
	machines  bearers[identity.MachineToken]
}

// Options is what a Control works with. All fields but Log are needed.
type Options struct {
	Store    store.Store
	Mail     mail.Sender
	Kinds    []policy.Kind // to compile what is published
	Views    Views         // what the gateways enforce
	Probers  Probers       // the gateways that can be asked; nil: none can
	Keys     Keys          // what checkpoints and feed entries are signed with
	Now      func() time.Time
	Revoker  Revoker // what authorities of clients' certificates have revoked; nil: nobody looks, and those that tell it refuse
	Fetch    Fetcher // what webhooks are sent by; nil: a client that reaches public addresses only
	Log      *slog.Logger
	URL      string            // of the portal, for links in letters: no slash at the end
	Gateways map[string]string // environment -> the address partners call
	Backups  string            // the folder that Backup writes into; made when it is not there
	Version  string            // of this build
	FeedKey  []byte            // what gateways verify the feed by: Ed25519
	Images   string            // the folder that images for gateways are made in
	Replica  store.Store       // a standby of Store, which the feed is read of for gateways that dial in; nil: Store itself
	Offline  time.Duration     // how long a gateway may serve without a word of ours; 0: a day
	Watch    *Watch            // the drift review; nil: nothing is watched
	Keep     usage.Retention   // for how long usage is kept; zero: the default

	// SSO is the OpenID providers that people may sign in with, each as CheckSSO wants it.
	SSO []SSO

	// SecondFactor is the roles that demand a second factor of whoever has one of them, wherever it is bound.
	SecondFactor []identity.Role

	// CheckBackup reads a copy that Backup has written and says whether it is whole; nil: nothing is checked.
	CheckBackup func(ctx context.Context, file string) error
}

// Views gives the view that the gateway of an environment serves from now; nil when none does.
type Views interface {
	View(environment string) *snapshot.View
}

// Probers gives the gateways of an environment that can be asked from here, by their names in receipts.
type Probers interface {
	Probers(environment string) map[string]feed.Prober
}

// Keys signs for the control plane.
type Keys interface {
	// SignFeed signs the digest of a feed entry.
	SignFeed(digest string) []byte
	// SignCheckpoint signs a checkpoint's text as a note (golang.org/x/mod/sumdb/note).
	SignCheckpoint(text string) (string, error)
	// Verifier is the verifier key of checkpoints, as note.NewVerifier takes it.
	Verifier() string
	// Derive makes a secret key for the purpose, always the same one. It is kept where the other keys are, never in the store.
	Derive(purpose string) [32]byte
}

// New returns a Control. Run must run beside it.
func New(o Options) *Control {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fetch == nil {
		o.Fetch = fetch.New(fetch.Options{})
	}
	if o.Keep == (usage.Retention{}) {
		o.Keep = usage.DefaultRetention()
	}
	s := newSource(o.Store, o.Now, o.Log)
	if o.Offline > 0 {
		s.offline = o.Offline
	}
	c := &Control{
		fleet:     newPresence(),
		source:    s,
		sequencer: newSequencer(o.Store, o.Keys, s, o.Now, o.Log),

		Options:  o,
		hasher:   newHasher(),
		tries:    newTries(maxTries),
		offers:   newOffers(),
		host:     secret.Random("ghh_"),
		posted:   make(chan struct{}, 1),
		told:     make(chan struct{}, 1),
		patience: canaryPatience, ended: make(chan struct{}, 1),
		even:     evenly,
		proofs:   token.NewProver(),
		issued:   newIssued(),
		sets:     newKeySets(o.Fetch),
		passkeys: newPasskeys(o.URL),
	}
	if o.Replica != nil {
		c.replica = newReplica(c)
		c.sequencer.duty.far = true
	}
	if o.Keys != nil { // without any, nothing can be written: to show the document of the API is enough
		c.sealer, c.hooks, c.apps = newSealer(o.Keys.Derive("letters")), newSealer(o.Keys.Derive("webhooks")), newSealer(o.Keys.Derive("second factors"))
		c.proofs = token.NewProverOf(o.Keys.Derive("nonces of the token endpoint"))
	}
	return c
}

// sweepEvery is how often what is over is removed: sessions, links and device codes are refused by their times anyway.
const sweepEvery = 10 * time.Minute

// Run numbers and seals what is committed, sends letters, rotates signing keys, sweeps what is over, and does what
// happens by itself, until ctx ends. It returns when
// everything it started has ended.
func (c *Control) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { c.sendLetters(ctx) })
	wg.Go(func() { c.deliver(ctx) })
	wg.Go(func() { c.notify(ctx) })
	wg.Go(func() { c.sweep(ctx) })
	wg.Go(func() { c.tend(ctx) })
	wg.Go(func() { c.keepIssuers(ctx) })
	wg.Go(func() { c.watching(ctx) })
	wg.Go(func() { c.keepImages(ctx) })
	wg.Go(func() { c.forgetting(ctx) })
	wg.Go(func() { c.folding(ctx) })
	if c.replica != nil {
		wg.Go(func() { c.replica.run(ctx) })
	}
	err := c.sequence(ctx)
	cancel()
	c.sets.close()
	wg.Wait()
	return err
}

func (c *Control) sweep(ctx context.Context) {
	t, marks := time.NewTicker(sweepEvery), time.NewTicker(marksEvery)
	defer t.Stop()
	defer marks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-marks.C:
			c.sweepMarks(ctx)
			continue
		case <-t.C:
		}
		if !c.sequencer.duty.has() {
			continue // another process does it
		}
		err := c.Store.Update(ctx, func(tx store.Tx) error { return tx.Sweep(ctx, c.now()) })
		err = errors.Join(err, c.forgetUsage(ctx))
		if err != nil && ctx.Err() == nil {
			c.Log.Error("sweep", "error", err)
		}
	}
}

// now is the time as it is stored: in UTC, to the microsecond.
func (c *Control) now() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }

// Nobody is the actor of a request without a session or token.
func Nobody(address, requestID string) identity.Actor {
	return identity.Actor{Address: address, RequestID: requestID}
}
