package control

import (
	"slices"
	"sync"

	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/store"
)

// maxBearers is how many tokens are remembered: with more, all are read anew.
const maxBearers = 4096

// bearers remembers by which tokens who has called, where nobody else can change that: until something changes that may have to do
// with it. So what was ended is over with the answer to that.
type bearers[T any] struct {
	mu    sync.Mutex
	at    uint64 // as the store counts
	known map[secret.Hash]bearer[T]
}

type bearer[T any] struct {
	what T
	of   identity.Person
}

// of returns what the token is and whose, as read does or has done.
func (b *bearers[T]) of(st store.Store, token secret.Value, read func() (T, identity.Person, error)) (T, identity.Person, error) {
	at := st.Identities() // before it is read: what changes meanwhile is read again
	hash := token.Hash()
	b.mu.Lock()
	found, ok := b.known[hash]
	ok = ok && at != 0 && b.at == at
	b.mu.Unlock()
	if ok {
		p := found.of
		p.Roles = slices.Clone(p.Roles) // those that are remembered are nobody's to change
		return found.what, p, nil
	}
	what, p, err := read()
	if err != nil || at == 0 {
		return what, p, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at < at || len(b.known) >= maxBearers {
		b.at, b.known = max(b.at, at), map[secret.Hash]bearer[T]{}
	}
	if b.at == at {
		kept := p
		kept.Roles = slices.Clone(p.Roles)
		b.known[hash] = bearer[T]{what, kept}
	}
	return what, p, nil
}
