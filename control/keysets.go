package control

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/fetch"
	"gatehouse/id"
	"gatehouse/token"
)

// The bounds of the JWK Sets that clients name by URL (RFC 7591 §2, jwks_uri).
const (
	setFresh   = 5 * time.Minute  // so long a set is taken without a look
	setFloor   = 15 * time.Second // between two looks, however many assertions name keys that are not known
	setStale   = time.Hour        // so long a set is taken while its origin is away
	setForget  = 2 * time.Hour    // after its last use
	setTime    = 5 * time.Second  // that one fetch takes
	setsAtOnce = 64               // fetches under way
	setsOfOne  = 2                // of one organization: whoever is slow holds up nobody else
	setsMost   = 10_000           // that are kept
	setsMedia  = "application/jwk-set+json, application/json"
)

// keySets keeps the JWK Sets that clients name by URL. A request reads what is kept; what has to be fetched is fetched while it
// holds no place in the store, and never by a request of another client's.
type keySets struct {
	fetch Fetcher
	ctx   context.Context // of fetches; it ends with close
	end   context.CancelFunc
	wg    sync.WaitGroup

	mu   sync.Mutex
	sets map[string]*keySet // by URL
	busy map[id.ID]int      // fetches under way, by organization
	all  int
}

// keySet is what is known of one URL.
type keySet struct {
	keys  []token.Key
	got   time.Time     // when they were fetched; zero: never
	tried time.Time     // when it was last begun
	used  time.Time     // when they were last asked for
	why   error         // what went wrong since
	under chan struct{} // closed when the fetch under way has ended; nil: there is none
}

func newKeySets(f Fetcher) *keySets {
	s := &keySets{fetch: f, sets: map[string]*keySet{}, busy: map[id.ID]int{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// close breaks off what is under way and waits for it.
func (s *keySets) close() {
	s.end()
	s.wg.Wait()
}

// wanted says that keys have to be fetched before a client's proof can be looked at.
type wanted struct {
	url string
	org id.ID
}

func (*wanted) Error() string { return "its keys have to be fetched first" }

// keys returns the set of the URL, or *wanted when it is not there, is too old, or lacks the kid and may have it by now. A set
// that is only not fresh is returned, and fetched again beside the request.
func (s *keySets) keys(org id.ID, url, kid string, now time.Time) ([]token.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.sets[url]
	if k == nil {
		return nil, &wanted{url, org}
	}
	k.used = now
	known := !k.got.IsZero() && now.Before(k.got.Add(setStale))
	lacks := known && kid != "" && !slices.ContainsFunc(k.keys, func(key token.Key) bool { return key.ID == kid || key.ID == "" })
	look := k.under != nil || !now.Before(k.tried.Add(setFloor))
	switch {
	case look && (!known || lacks):
		return nil, &wanted{url, org}
	case known:
		if w := (&wanted{url, org}); look && !now.Before(k.got.Add(setFresh)) {
			_, _ = s.begin(w, now) // when there is no place for it now, the next request begins it
		}
		return k.keys, nil
	case k.why != nil:
		return nil, k.why
	}
	return nil, errors.New("they could not be fetched")
}

// bring fetches the set, or waits for whoever does so already. Whatever came of it is kept: keys says what.
func (s *keySets) bring(ctx context.Context, w *wanted, now time.Time) error {
	s.mu.Lock()
	under, err := s.begin(w, now)
	s.mu.Unlock()
	if err != nil || under == nil {
		return err
	}
	select {
	case <-under:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "the request was given up").Because(ctx.Err())
	}
}

// begin begins to fetch the set, unless somebody has, and returns what is closed when it is there; nil when it was looked for a
// moment ago. It is finished for others too, when whoever began it goes away. The caller holds the lock.
func (s *keySets) begin(w *wanted, now time.Time) (<-chan struct{}, error) {
	k := s.sets[w.url]
	switch {
	case k != nil && k.under != nil:
		return k.under, nil
	case k != nil && now.Before(k.tried.Add(setFloor)):
		return nil, nil
	case s.ctx.Err() != nil:
		return nil, fault.New(fault.Unavailable, "the control plane is being stopped")
	case s.all >= setsAtOnce || s.busy[w.org] >= setsOfOne:
		return nil, &fault.Error{Kind: fault.Limited, Code: "slow_down", Public: "too many keys are being fetched: try again", RetryAfter: time.Second}
	}
	if k == nil {
		s.forget(now)
		if len(s.sets) >= setsMost {
			return nil, fault.New(fault.Unavailable, "too many clients' keys are kept: try again later")
		}
		k = &keySet{used: now}
		s.sets[w.url] = k
	}
	k.tried, k.under = now, make(chan struct{})
	s.all++
	s.busy[w.org]++
	s.wg.Go(func() { s.get(w, k) })
	return k.under, nil
}

// forget drops what nobody has used for long, when there is much.
func (s *keySets) forget(now time.Time) {
	if len(s.sets) < setsMost {
		return
	}
	for url, k := range s.sets {
		if k.under == nil && !now.Before(k.used.Add(setForget)) {
			delete(s.sets, url)
		}
	}
}

// get fetches one set. What is there stays while the origin is away.
func (s *keySets) get(w *wanted, k *keySet) {
	ctx, cancel := context.WithTimeout(s.ctx, setTime)
	defer cancel()
	keys, err := readSet(s.fetch.Direct(ctx, w.url, setsMedia))
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.why = err; err == nil {
		k.keys, k.got = keys, k.tried
	}
	close(k.under)
	k.under = nil
	s.all--
	if s.busy[w.org]--; s.busy[w.org] == 0 {
		delete(s.busy, w.org)
	}
}

func readSet(a fetch.Answer, err error) ([]token.Key, error) {
	if err != nil {
		return nil, err
	}
	return token.ParseSet(a.Body)
}

// withKeys runs do, which looks at a client's proof, and again when keys had to be fetched for it: twice at most, as what is awaited
// may have begun long before. do changes nothing before it has the keys.
func (c *Control) withKeys(ctx context.Context, do func() error) error {
	var w *wanted
	for range 2 {
		err := do()
		if !errors.As(err, &w) {
			return err
		}
		if err := c.sets.bring(ctx, w, c.now()); err != nil {
			return err
		}
	}
	err := do()
	if errors.As(err, &w) {
		return fault.New(fault.Unavailable, "the client's keys are being fetched: try again")
	}
	return err
}

// givenMost is how many sets that clients were registered with are kept read: reading one costs as much as a signature.
const givenMost = 4096

// givenSets keeps read what clients were registered with, by what it is: another set is another entry.
type givenSets struct {
	mu   sync.Mutex
	read map[[sha256.Size]byte][]token.Key
}

func (s *givenSets) of(raw []byte) ([]token.Key, error) {
	sum := sha256.Sum256(raw)
	s.mu.Lock()
	keys, ok := s.read[sum]
	s.mu.Unlock()
	if ok {
		return keys, nil
	}
	keys, err := token.ParseSet(raw)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil || len(s.read) >= givenMost {
		s.read = map[[sha256.Size]byte][]token.Key{}
	}
	s.read[sum] = keys
	return keys, nil
}
