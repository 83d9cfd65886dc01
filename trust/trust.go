// Package trust keeps the keys of issuers elsewhere by whose tokens workloads prove themselves, and what authorities elsewhere
// have revoked of clients' certificates. All is fetched here, outside of requests, which only read it.
package trust

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/fetch"
	"gatehouse/policy"
	"gatehouse/token"
)

// Options is what a Keeper works with. Fetch is needed.
type Options struct {
	Fetch *fetch.Client
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: nothing is logged
	Every time.Duration    // how often keys are looked at; 0: 5 minutes
	Floor time.Duration    // the least between two looks, however often a token names a key that is not known; 0: 15 seconds
	Retry time.Duration    // before the first further try when an issuer could not be reached, doubled up to a minute; 0: 2 seconds
}

const (
	longestRetry     = time.Minute
	discoveryLongest = 128 << 10 // bytes of a discovery document: those of large issuers have some five thousand
	discoveryPath    = "/.well-known/openid-configuration"
)

// Keeper keeps the keys of the issuers that it was asked for, while it runs.
type Keeper struct {
	o Options

	mu      sync.Mutex
	running context.Context
	wait    *sync.WaitGroup
	sources map[origin]*source
	lists   map[[sha256.Size]byte]*revocations // by what is said of their authority
}

// origin is where keys come from. What else a revision says of an issuer changes nothing about them.
type origin struct{ issuer, keys string }

type source struct {
	origin
	watch
	keys   *policy.TrustedKeys
	digest [sha256.Size]byte
	set    *policy.KeySet
}

// watch is something elsewhere that is looked at now and then.
type watch struct {
	what, name string
	look       func(context.Context) error // nil: there is nothing to look at
	beside     func(context.Context)       // what else goes on meanwhile; nil: nothing
	asked      <-chan struct{}
	stop       context.CancelFunc // nil: it does not run
	said       string             // what was last logged about it
}

// New makes a keeper. It fetches nothing before Run.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Every = or(o.Every, 5*time.Minute)
	o.Floor = or(o.Floor, 15*time.Second)
	o.Retry = or(o.Retry, 2*time.Second)
	return &Keeper{o: o, sources: map[origin]*source{}, lists: map[[sha256.Size]byte]*revocations{}}
}

func or(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

// Keys returns the keys of an issuer, and begins to fetch them if nobody asked for them before.
func (k *Keeper) Keys(t *policy.TrustedIssuer) *policy.TrustedKeys {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := origin{t.URL, t.KeysURL}
	s := k.sources[o]
	if s == nil {
		s = &source{origin: o, keys: policy.NewTrustedKeys()}
		s.watch = watch{what: "keys of a trusted issuer", name: o.issuer, asked: s.keys.Asked(), look: func(ctx context.Context) error { return k.look(ctx, s) }}
		k.sources[o] = s
		k.begin(&s.watch)
	}
	return s.keys
}

// Only forgets all keys and revocations but those.
func (k *Keeper) Only(named map[*policy.TrustedKeys]bool, revoked map[*policy.Revocations]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onlyLists(func(_ [sha256.Size]byte, l *revocations) bool { return revoked[l.told] })
	for o, s := range k.sources {
		if !named[s.keys] {
			delete(k.sources, o)
			if s.stop != nil {
				s.stop()
			}
		}
	}
}

// Run fetches keys until the context ends. It returns when nothing is being fetched any more.
func (k *Keeper) Run(ctx context.Context) {
	var wait sync.WaitGroup
	k.mu.Lock()
	k.running, k.wait = ctx, &wait
	for _, s := range k.sources {
		k.begin(&s.watch)
	}
	for _, l := range k.lists {
		k.begin(&l.watch)
	}
	k.mu.Unlock()
	<-ctx.Done()
	k.mu.Lock()
	k.running = nil
	k.mu.Unlock()
	wait.Wait()
}

// begin lets one watch run, if the keeper does. k is locked.
func (k *Keeper) begin(s *watch) {
	if k.running == nil || k.running.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(k.running)
	s.stop = stop
	k.wait.Go(func() {
		defer stop()
		if s.beside != nil {
			var beside sync.WaitGroup
			beside.Go(func() { s.beside(ctx) })
			defer beside.Wait()
		}
		if s.look != nil {
			k.follow(ctx, s)
		}
	})
}

// follow looks at one thing now and then, and when it is asked to.
func (k *Keeper) follow(ctx context.Context, s *watch) {
	var last time.Time // of the last look; by the clock of this process, which nobody sets
	failed := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.asked:
			if left := k.o.Floor - time.Since(last); left > 0 {
				timer.Reset(left)
				continue
			}
		case <-timer.C:
		}
		last = time.Now()
		next := k.o.Every
		if err := s.look(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			next = min(k.o.Retry<<min(failed, 10), longestRetry, k.o.Every)
			failed++
			k.tell(s, err)
		} else {
			failed = 0
			k.tell(s, nil)
		}
		timer.Reset(next)
	}
}

// tell logs what has changed about a source, once.
func (k *Keeper) tell(s *watch, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == s.said:
		return
	case err != nil:
		k.o.Log.Warn("the "+s.what+" cannot be fetched: what was seen last counts for a while", "of", s.name, "error", err)
	default:
		k.o.Log.Info("the "+s.what+" can be fetched again", "of", s.name)
	}
	s.said = text
}

// look fetches the keys once. An answer that is not right changes nothing.
func (k *Keeper) look(ctx context.Context, s *source) error {
	at := s.origin.keys
	if at == "" {
		var err error
		if at, err = k.discover(ctx, s.issuer); err != nil {
			return err
		}
	}
	a, err := k.o.Fetch.Get(ctx, at, "application/jwk-set+json, application/json")
	if err != nil {
		return fmt.Errorf("its keys: %w", err)
	}
	digest := sha256.Sum256(a.Body)
	if s.set != nil && digest == s.digest {
		s.keys.Saw(s.set, k.o.Now())
		return nil
	}
	keys, err := token.ParseSet(a.Body)
	if err != nil {
		return fmt.Errorf("its keys at %s: %w", at, err)
	}
	s.set, s.digest = &policy.KeySet{Keys: keys}, digest
	s.keys.Saw(s.set, k.o.Now())
	k.o.Log.Info("keys of a trusted issuer", "issuer", s.issuer, "keys", len(keys))
	return nil
}

// discover asks an issuer where its keys are (OpenID Connect Discovery 1.0 §4). The document must be of that very issuer.
func (k *Keeper) discover(ctx context.Context, issuer string) (string, error) {
	a, err := k.o.Fetch.Get(ctx, strings.TrimSuffix(issuer, "/")+discoveryPath, "application/json")
	if err != nil {
		return "", fmt.Errorf("its discovery document: %w", err)
	}
	var d struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if len(a.Body) > discoveryLongest || token.Strict(a.Body, &d) != nil {
		return "", fault.New(fault.Unavailable, "its discovery document cannot be read: it must be one JSON object of at most %d bytes in which no name stands twice", discoveryLongest)
	}
	if d.Issuer != issuer {
		return "", fault.New(fault.Unavailable, "its discovery document is of the issuer %.200q", d.Issuer)
	}
	if err := k.o.Fetch.Check(d.Keys); err != nil {
		return "", fmt.Errorf("the jwks_uri of its discovery document: %w", err)
	}
	return d.Keys, nil
}
