package control

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"gatehouse/fault"
)

// maxTries is how many keys are counted at the same time: past it, keys that are over go first, then any.
const maxTries = 100_000

// limit is so many of something in a time, per key.
type limit struct {
	name string
	n    int
	per  time.Duration
}

// What is counted, and how much of it is taken for a mistake and not for an attack.
var (
	triesPerAddress = limit{"sign-in/address", 30, 10 * time.Minute} // failed sign-ins from one address, whoever's
	triesPerPair    = limit{"sign-in/pair", 6, 15 * time.Minute}     // of one person from one address
	triesPerPerson  = limit{"sign-in/person", 50, time.Hour}         // of one person from anywhere
	registrations   = limit{"register", 60, time.Hour}               // per address
	clientsAsked    = limit{"register/client", 300, time.Hour}       // registrations of clients by programs, per address
	lettersPerEmail = limit{"letter", 6, time.Hour}                  // that anybody can cause, per recipient
	lettersAsked    = limit{"letters/address", 30, time.Hour}        // per address that asks for them
	codesPerPair    = limit{"code/pair", 6, 15 * time.Minute}        // wrong second factors of one person, from one address
	codesPerPerson  = limit{"code/person", 20, time.Hour}            // from anywhere: whoever tries knows the password already
	ssoStarts       = limit{"sso", 60, 10 * time.Minute}             // sign-ins begun at providers, per address
	passkeyStarts   = limit{"passkey", 120, 10 * time.Minute}        // sign-ins by passkey that were begun, per address
	linkTries       = limit{"link", 60, 10 * time.Minute}            // uses of one-time links, per address
	passwordChanges = limit{"password", 6, 15 * time.Minute}         // wrong old passwords, per person
	marksOfOne      = limit{"marks", 30_000, 6 * time.Minute}        // assertions and proofs of one client that are remembered, at its life's pace
	deviceStarts    = limit{"device", 30, 10 * time.Minute}          // per address
	deviceCodes     = limit{"device/code", 20, 10 * time.Minute}     // wrong user codes, per person
	devicePolls     = limit{"device/poll", 1, deviceInterval - 200*time.Millisecond}
)

// each is how long one takes to be forgotten.
func (l limit) each() time.Duration { return l.per / time.Duration(l.n) }

// tries counts what is limited, in this process: a bucket for each key that empties with time.
type tries struct {
	mu     sync.Mutex
	max    int
	full   map[string]time.Time // when the bucket is empty again
	purged time.Time
}

func newTries(max int) *tries { return &tries{max: max, full: map[string]time.Time{}} }

// take counts one and answers 0, or how long to wait until one more may be counted.
func (t *tries) take(l limit, key string, now time.Time) time.Duration {
	key = l.name + "\x00" + key
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.full[key]
	if !ok {
		t.makeRoom(now)
	}
	if at.Before(now) {
		at = now
	}
	at = at.Add(l.each())
	if wait := at.Sub(now) - l.per; wait > 0 {
		return wait
	}
	t.full[key] = at
	return 0
}

// giveBack takes one count back: what was tried was right.
func (t *tries) giveBack(l limit, key string) {
	key = l.name + "\x00" + key
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.full[key]; ok {
		t.full[key] = at.Add(-l.each())
	}
}

func (t *tries) makeRoom(now time.Time) {
	if len(t.full) < t.max {
		return
	}
	if now.Sub(t.purged) > 10*time.Second { // not at every call: going through all of them takes its time
		t.purged = now
		for k, at := range t.full {
			if !at.After(now) {
				delete(t.full, k)
			}
		}
	}
	for k := range t.full {
		if len(t.full) < t.max {
			return
		}
		delete(t.full, k)
	}
}

// limited counts one try, at all processes that share the database, and says that there were too many. It is not for use in a transaction.
func (c *Control) limited(ctx context.Context, l limit, key string) error {
	_, err := c.countAll(ctx, count{l, key})
	return err
}

// mayWrite counts a letter to the address, and says whether there may be one more.
func (c *Control) mayWrite(ctx context.Context, email string) (bool, error) {
	err := c.limited(ctx, lettersPerEmail, email)
	if errors.Is(err, fault.Limited) {
		return false, nil
	}
	return err == nil, err
}

func tooMany(wait time.Duration) error {
	return &fault.Error{Kind: fault.Limited, Code: "too-many-tries", Public: "too many tries: wait a while", RetryAfter: wait}
}

// hostOf is the address without its port.
func hostOf(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return ap.Addr().Unmap().String()
	}
	if a, err := netip.ParseAddr(address); err == nil {
		return a.Unmap().String()
	}
	return address
}

// network is what is counted as one address: an IPv4 address, or the /64 that one IPv6 customer has.
func network(address string) string {
	a, err := netip.ParseAddr(hostOf(address))
	if err != nil {
		return "unknown"
	}
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(64)
		return p.String()
	}
	return a.String()
}
