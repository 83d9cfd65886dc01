package trust

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"gatehouse/authority"
	"gatehouse/policy"
)

// revocations is what one authority has revoked.
type revocations struct {
	watch
	of      *authority.Authority
	told    *policy.Revocations
	at      []string
	lists   []*authority.List // one for each address; nil: it was never seen
	digests [][sha256.Size]byte
}

// Revoked returns what an authority has revoked, and begins to fetch it if nobody asked for it before. Lists are looked at as
// often as keys are, and not before their next one is due alone: whoever revokes in a hurry makes one earlier.
func (k *Keeper) Revoked(a *authority.Authority) *policy.Revocations {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.lists[a.Key]
	if l == nil {
		at := a.Addresses()
		l = &revocations{of: a, told: policy.NewRevocations(), at: at, lists: make([]*authority.List, len(at)), digests: make([][sha256.Size]byte, len(at))}
		l.watch = watch{what: "revocation lists of a client authority", name: a.Name}
		if len(at) > 0 {
			l.watch.look = func(ctx context.Context) error { return k.lookAtLists(ctx, l) }
		}
		if len(a.Given) > 0 {
			l.told.SawLists(&policy.ListSet{Lists: a.Given})
		}
		if a.Responder != "" {
			r := &responder{k: k, of: a, told: l.told, known: map[[sha256.Size]byte]*asked{}}
			l.watch.beside = r.run
		}
		k.lists[a.Key] = l
		k.begin(&l.watch)
	}
	return l.told
}

// OnlyRevoked forgets what all authorities have revoked but those with these keys.
func (k *Keeper) OnlyRevoked(keys map[[sha256.Size]byte]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onlyLists(func(key [sha256.Size]byte, _ *revocations) bool { return keys[key] })
}

// onlyLists forgets those that are not to be kept, and ends what looks at them. k is locked.
func (k *Keeper) onlyLists(keep func([sha256.Size]byte, *revocations) bool) {
	for key, l := range k.lists {
		if keep(key, l) {
			continue
		}
		delete(k.lists, key)
		if l.stop != nil {
			l.stop()
		}
	}
}

// lookAtLists fetches all lists of an authority once. One that is not right, that the authority has not signed, or that is older
// than the one before it, changes nothing.
func (k *Keeper) lookAtLists(ctx context.Context, l *revocations) error {
	var wrong error
	changed := false
	for n, at := range l.at {
		a, err := k.o.Fetch.UpTo(ctx, at, "application/pkix-crl, */*", longestList)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", at, err))
			continue
		}
		digest := sha256.Sum256(a.Body)
		if l.lists[n] != nil && digest == l.digests[n] {
			wrong = errors.Join(wrong, k.due(at, l.lists[n]))
			continue
		}
		list, err := authority.ParseList(a.Body)
		if err == nil {
			err = l.of.Prove(list)
		}
		if err == nil && !list.Newer(l.lists[n]) {
			err = errors.New("it is older than the one that was seen before")
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", at, err))
			continue
		}
		l.lists[n], l.digests[n], changed = list, digest, true
		wrong = errors.Join(wrong, k.due(at, list))
	}
	if changed {
		known := slices.Concat(l.of.Given, slices.DeleteFunc(slices.Clone(l.lists), func(one *authority.List) bool { return one == nil }))
		l.told.SawLists(&policy.ListSet{Lists: known})
		k.o.Log.Info("revocation lists of a client authority", "of", l.name, "lists", len(known))
	}
	return wrong
}

// longestList is how many bytes of a list are read: some 200,000 certificates.
const longestList = 8 << 20

// due says that a list should have been replaced: whoever runs the gateway hears of it before partners do.
func (k *Keeper) due(at string, l *authority.List) error {
	if k.o.Now().Before(l.Next) {
		return nil
	}
	return fmt.Errorf("%s: the list that is there is too old: the next one was due at %s", at, l.Next.UTC().Format("2006-01-02 15:04:05Z"))
}
