package snapshot

import (
	"cmp"
	mathbits "math/bits"
	"slices"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
)

// loading is what Load has got and not built the index from yet. Nobody reads the index meanwhile.
type loading struct {
	credentials []credential
	grants      []loadedGrant
	owner       id.Bits       // of the row before
	slot        uint32        // that it has
	known       bool          // there was one
	offered     *feed.Offered // of the grant before
	terms       uint16        // what that became
	scopes      uint32
}

// loadedGrant is a grant and the slot of its application.
type loadedGrant struct {
	slot  uint32
	grant policy.Grant
}

// Load applies what fn hands to add, before anybody reads the index: an image's records cost a fraction of what they cost as
// changes, since the index is built from all of them at once. What follows the image, as changes that have a digest, is applied
// one by one. When fn returns an error the index is of no use.
func (a *Access) Load(fn func(add func(feed.Entry) error) error) error {
	a.mu.Lock()
	a.loading = &loading{}
	a.mu.Unlock()
	err := fn(a.Apply)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle()
	a.loading = nil
	return err
}

// settle builds the index from what was loaded.
func (a *Access) settle() {
	l := a.loading
	if len(l.credentials) > 0 {
		a.settleCredentials(l.credentials)
		l.credentials = nil
	}
	if len(l.grants) > 0 {
		a.settleGrants(l.grants)
		l.grants = nil
	}
}

func (a *Access) settleCredentials(all []credential) {
	if a.credentials.dir.Load() != nil {
		for i := range all {
			a.index(all[i])
		}
		return
	}
	// Of two with one mark, one that is over has nothing to say; else the later one counts.
	a.credentials.build(all, func(c *credential) uint64 { return hashOfKey(c.hash[:]) },
		func(old, fresh *credential) int {
			switch {
			case old.hash != fresh.hash:
				return 0
			case fresh.state() == policy.Over && old.id != fresh.id:
				return -1
			}
			return 1
		})
}

func (a *Access) settleGrants(all []loadedGrant) {
	slices.SortStableFunc(all, func(x, y loadedGrant) int { return cmp.Compare(x.slot, y.slot) })
	for len(all) > 0 {
		n := 1
		at := all[0].slot / chunkSize
		for n < len(all) && all[n].slot/chunkSize == at {
			n++
		}
		c := a.chunks.at(at).Load() // nobody reads it yet
		before := len(c.grants)
		a.fill(c, all[:n])
		a.grants += len(c.grants) - before
		all = all[n:]
	}
}

// fill puts grants, which are in the order of their slots, into a chunk.
func (a *Access) fill(c *chunk, all []loadedGrant) {
	old := *c
	grants := make([]policy.Grant, 0, len(c.grants)+len(all))
	for i := range c.n {
		c.apps[i].first = uint32(len(grants)) | c.apps[i].first&liveBit
		mine := grants[len(grants):]
		mine = append(mine, old.grantsOf(i)...)
		for len(all) > 0 && all[0].slot%chunkSize == uint32(i) {
			mine = a.withGrant(mine, all[0].grant)
			all = all[1:]
		}
		grants = grants[:len(grants)+len(mine)] // mine never outgrows what was made for all
	}
	c.grants = slices.Clip(grants)
	if len(grants) < cap(grants) {
		c.grants = slices.Clone(grants)
	}
}

// build makes the index of records at once. Of two records of one hash, which says: below 0 the earlier one stays alone, above
// 0 the later one does, 0 both do.
func (x *index[R]) build(all []R, hash func(*R) uint64, which func(old, fresh *R) int) {
	d := &directory[R]{bits: uint(mathbits.Len(uint(len(all) * 3 / (2 * x.longest()))))}
	d.shards = make([]atomicShard[R], 1<<d.bits)
	mask := uint64(1)<<d.bits - 1
	ends := make([]uint32, 1<<d.bits+1)
	for i := range all {
		ends[hash(&all[i])&mask+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	order := make([]uint32, len(all))
	at := slices.Clone(ends)
	for i := range all {
		b := hash(&all[i]) & mask
		order[at[b]] = uint32(i)
		at[b]++
	}
	var recs []R
	for b := range d.shards {
		recs = recs[:0]
		for _, i := range order[ends[b]:ends[b+1]] {
			recs = settled(recs, &all[i], which)
		}
		d.shards[b].Store(shardOf(d.bits, recs))
		x.count += len(recs)
	}
	x.dir.Store(d)
}

func settled[R any](recs []R, fresh *R, which func(old, fresh *R) int) []R {
	for i := range recs {
		switch n := which(&recs[i], fresh); {
		case n < 0:
			return recs
		case n > 0:
			recs[i] = *fresh
			return recs
		}
	}
	return append(recs, *fresh)
}

// slotOf is slot for rows: many with one owner follow each other.
func (a *Access) slotOf(owner id.Bits) uint32 {
	l := a.loading
	if l == nil {
		return a.slot(owner)
	}
	if !l.known || l.owner != owner {
		l.owner, l.slot, l.known = owner, a.slot(owner), true
	}
	return l.slot
}

// row is Apply for a row of an image.
func (a *Access) row(r *feed.Row) error {
	switch r.Kind {
	case feed.KindApplication:
		a.putApplicationOf(r.ID, r.Owner, r.State == feed.RowActive)
	case feed.KindCredential:
		a.index(credential{r.ID, mark(r.Hash[:len(mark{})]), whenOf(r.Until), policy.Slot(a.slotOf(r.Owner) + 1), stands(policy.State(r.State), int(r.Proof), 0)})
	case feed.KindGrant:
		g := policy.Grant{ID: r.ID, From: r.From, Until: r.Until, State: policy.State(r.State)}
		if l := a.loading; l != nil && l.offered == r.Offered {
			g.TermsIndex, g.ScopeSet = l.terms, l.scopes
		} else if err := a.offer(&g, r.Offered.Product, r.Offered.Plan, r.Offered.Scopes); err != nil {
			return err
		} else if l != nil {
			l.offered, l.terms, l.scopes = r.Offered, g.TermsIndex, g.ScopeSet
		}
		a.place(a.slotOf(r.Owner), g)
	}
	return nil
}
