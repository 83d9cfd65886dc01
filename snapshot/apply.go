package snapshot

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/secret"
	"gatehouse/token"
)

// Apply brings one entry of the feed into the index. Entries of kind revision are not for it and change nothing. An
// entry that returns an error has changed nothing.
func (a *Access) Apply(e feed.Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Environment != a.environment {
		return fmt.Errorf("entry %d is for environment %q, not %q", e.Seq, e.Environment, a.environment)
	}
	if e.Row != nil {
		return a.row(e.Row)
	}
	if a.loading != nil && e.Digest != "" { // a change, no record of an image
		a.settle()
	}
	var err error
	switch e.Kind {
	case feed.KindOrganization:
		err = decode(e.Payload, a.putOrganization)
	case feed.KindApplication:
		err = decode(e.Payload, a.putApplication)
	case feed.KindCredential:
		err = decode(e.Payload, a.putCredential)
	case feed.KindGrant:
		err = decode(e.Payload, a.putGrant)
	case feed.KindIssuer:
		err = decode(e.Payload, a.putIssuer)
	case feed.KindDenial:
		err = decode(e.Payload, func(d feed.Denial) error { return a.putDenial(d, e.Committed.Unix()) })
	case feed.KindRevision, feed.KindEpoch:
	default:
		err = fmt.Errorf("this build does not know the kind %q", e.Kind)
	}
	if err != nil {
		return fmt.Errorf("entry %d, %s %s: %w", e.Seq, e.Kind, e.Key, err)
	}
	return nil
}

func decode[T any](raw json.RawMessage, put func(T) error) error {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	return put(v)
}

func (a *Access) putOrganization(o feed.Organization) error {
	b, err := bits(id.Organization, o.ID)
	if err != nil {
		return err
	}
	a.orgs.get(a.org(b)).live.Store(o.Live)
	return nil
}

func (a *Access) putApplication(p feed.Application) error {
	b, err := bits(id.Application, p.ID)
	if err != nil {
		return err
	}
	o, err := bits(id.Organization, p.Organization)
	if err != nil {
		return err
	}
	a.putApplicationOf(b, o, p.Live)
	return nil
}

func (a *Access) putApplicationOf(b, o id.Bits, live bool) {
	slot, org := a.slot(b), a.org(o)
	a.change(slot, func(c *chunk, i int) {
		c.apps[i].org = org + 1
		if c.apps[i].first &^= liveBit; live {
			c.apps[i].first |= liveBit
		}
	})
}

func (a *Access) putCredential(c feed.Credential) error {
	b, err := bits(id.Credential, c.ID)
	if err != nil {
		return err
	}
	app, err := bits(id.Application, c.Application)
	if err != nil {
		return err
	}
	var h secret.Hash
	kind := slices.Index(kinds[:], c.Kind)
	if len(c.Hash) != len(h) && kind >= 0 {
		return fmt.Errorf("its hash has %d bytes, not %d", len(c.Hash), len(h))
	}
	place, err := a.condition(c)
	if err != nil || kind < 0 {
		return err
	}
	copy(h[:], c.Hash)
	state := policy.Over
	switch {
	case c.Live:
		state = policy.Active
	case c.Ended == "suspended":
		state = policy.Suspended
	case c.Ended == "pending":
		state = policy.Pending
	}
	a.index(credential{b, markOf(&h), whenOf(c.Expires.UnixMicro()), policy.Slot(a.slot(app) + 1), stands(state, kind, place)})
	return nil
}

// index puts a credential into the index. One that is over does not take the place of another one with its mark: of a workload
// that was bound anew, the one that is over has nothing to say any more.
func (a *Access) index(c credential) {
	if a.loading != nil && a.credentials.dir.Load() == nil {
		a.loading.credentials = append(a.loading.credentials, c)
		return
	}
	if c.state() == policy.Over && a.taken(&c) {
		return
	}
	a.credentials.put(hashOfKey(c.hash[:]), c, func(o *credential) bool { return o.hash == c.hash }, func(o *credential) uint64 { return hashOfKey(o.hash[:]) })
}

// taken reports whether another credential has the mark.
func (a *Access) taken(c *credential) bool {
	near := a.credentials.near(hashOfKey(c.hash[:]))
	for i := range near {
		if o := &near[i]; o.hash == c.hash {
			return o.id != c.id
		}
	}
	return false
}

func (a *Access) putIssuer(i feed.Issuer) error {
	keys, err := token.ParseSet(i.Keys)
	if err != nil {
		return fmt.Errorf("its keys: %w", err)
	}
	if i.URL == "" || i.Audience == "" {
		return fmt.Errorf("it has no name or no audience")
	}
	a.issuer.Store(&policy.Issuer{URL: i.URL, Audience: i.Audience, Keys: keys})
	return nil
}

// putDenial refuses a token. Those that had ended when this one was denied are forgotten: tokens live for minutes.
func (a *Access) putDenial(d feed.Denial, now int64) error {
	var mark secret.Hash
	if len(d.Mark) != len(mark) {
		return fmt.Errorf("its mark has %d bytes, not %d", len(d.Mark), len(mark))
	}
	copy(mark[:], d.Mark)
	next := map[secret.Hash]int64{mark: d.Expires.Unix()}
	if old := a.denials.Load(); old != nil {
		for m, until := range *old {
			if until >= now-60 {
				next[m] = until
			}
		}
	}
	a.denials.Store(&next)
	return nil
}

func (a *Access) putGrant(g feed.Grant) error {
	b, err := bits(id.Grant, g.ID)
	if err != nil {
		return err
	}
	app, err := bits(id.Application, g.Application)
	if err != nil {
		return err
	}
	fresh := policy.Grant{ID: b, From: g.From.UnixMicro(), Until: g.Until.UnixMicro()}
	switch g.State {
	case "active":
		fresh.State = policy.Active
	case "suspended":
		fresh.State = policy.Suspended
	case "ended":
		fresh.State = policy.Over
	default:
		return fmt.Errorf("its state is %q", g.State)
	}
	if err := a.offer(&fresh, g.Product, g.Plan, g.Scopes); err != nil {
		return err
	}
	a.place(a.slot(app), fresh)
	return nil
}

// offer fills in what the grant is for.
func (a *Access) offer(g *policy.Grant, product, plan string, scopes []string) (err error) {
	if g.ScopeSet, err = a.scopeSet(scopes); err != nil {
		return err
	}
	terms := policy.Terms{Product: product, Plan: plan}
	t, known := a.termBy[terms]
	if !known {
		if t = uint32(a.terms.len()); t > 1<<16-1 {
			return fmt.Errorf("there are more than %d products and plans", 1<<16)
		}
		a.terms.add(&terms)
		a.termBy[terms] = t
	}
	g.TermsIndex = uint16(t)
	return nil
}

// place puts a grant to those of the application.
func (a *Access) place(slot uint32, fresh policy.Grant) {
	if a.loading != nil {
		a.loading.grants = append(a.loading.grants, loadedGrant{slot, fresh})
		return
	}
	a.change(slot, func(c *chunk, i int) {
		before := len(c.grantsOf(i))
		mine := a.withGrant(slices.Clone(c.grantsOf(i)), fresh)
		from := int(c.apps[i].first &^ liveBit)
		c.grants = slices.Concat(c.grants[:from], mine, c.grants[from+before:])
		if more := len(mine) - before; more != 0 {
			a.grants += more
			for j := i + 1; j < c.n; j++ {
				c.apps[j].first += uint32(more)
			}
		}
	})
}

// withGrant is an application's grants with this one, in the place of its earlier state. Ended grants for the product make room:
// they can only say why there was none.
func (a *Access) withGrant(mine []policy.Grant, fresh policy.Grant) []policy.Grant {
	if at := slices.IndexFunc(mine, func(o policy.Grant) bool { return o.ID == fresh.ID }); at >= 0 {
		mine[at] = fresh
		return mine
	}
	product := a.Terms(&fresh).Product
	mine = slices.DeleteFunc(mine, func(o policy.Grant) bool { return o.State == policy.Over && a.Terms(&o).Product == product })
	return append(mine, fresh)
}

// change makes the next version of the chunk in which an application stands. fn gets a copy whose grants it must replace, not
// change.
func (a *Access) change(slot uint32, fn func(c *chunk, i int)) {
	p := a.chunks.at(slot / chunkSize)
	c := p.Load()
	if a.loading == nil { // else nobody reads it yet
		fresh := *c
		c = &fresh
	}
	fn(c, int(slot%chunkSize))
	p.Store(c)
}

// slot finds the application, or makes a place for one that is not known yet and lets nothing through.
func (a *Access) slot(b id.Bits) uint32 {
	if s := a.find(b); s > 0 {
		return uint32(s - 1)
	}
	slot := a.slots
	if slot%chunkSize == 0 {
		a.chunks.add()
	}
	a.change(slot, func(c *chunk, i int) {
		c.apps[i] = application{id: b, first: uint32(len(c.grants))}
		c.n = i + 1
	})
	a.slots++
	h := hashOfID(b)
	a.applications.put(h, pointerTo(h, slot), func(*pointer) bool { return false },
		func(o *pointer) uint64 { return hashOfID(a.application(policy.Slot(o.slot() + 1)).id) })
	return slot
}

// find is slot for readers: it makes nothing.
func (a *Access) find(b id.Bits) policy.Slot {
	h := hashOfID(b)
	near := a.applications.near(h)
	for i := range near {
		if near[i].tag != uint8(h>>56) {
			continue
		}
		if slot := policy.Slot(near[i].slot() + 1); a.application(slot).id == b {
			return slot
		}
	}
	return 0
}

func (a *Access) org(b id.Bits) uint32 {
	at, known := a.orgBy[b]
	if !known {
		at = a.orgs.add(&organization{id: b})
		a.orgBy[b] = at
	}
	return at
}

func (a *Access) scopeSet(names []string) (uint32, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for _, n := range names {
		for i := range len(n) {
			if c := n[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' { // RFC 6749 §3.3; it is sent in a field
				return 0, fmt.Errorf("%q is not a scope", n)
			}
		}
		if n == "" {
			return 0, fmt.Errorf("a scope is empty")
		}
	}
	joined := strings.Join(names, " ")
	at, known := a.setBy["scopes "+joined]
	if !known {
		at = a.scopes.add(&policy.Scopes{Names: names, Joined: joined})
		a.setBy["scopes "+joined] = at
	}
	return at, nil
}

// condition is the place of what the credential was issued under.
func (a *Access) condition(c feed.Credential) (uint32, error) {
	if len(c.Grants) == 0 && len(c.Sources) == 0 && len(c.Claims) == 0 {
		return 0, nil
	}
	fresh, key := &policy.Conditions{}, []byte("conditions ")
	for _, g := range c.Grants {
		b, err := bits(id.Grant, g)
		if err != nil {
			return 0, err
		}
		fresh.Bound, key = append(fresh.Bound, b), append(key, b[:]...)
	}
	for _, s := range c.Sources {
		p, err := netip.ParsePrefix(s)
		if err != nil || p != p.Masked() || p.Addr().Is4In6() {
			return 0, fmt.Errorf("%q is not a network", s)
		}
		fresh.Sources, key = append(fresh.Sources, p), append(append(key, ' '), s...)
	}
	for _, l := range c.Claims {
		if l.Name == "" || l.Value == "" {
			return 0, fmt.Errorf("a claim is empty")
		}
		fresh.Claims, key = append(fresh.Claims, policy.Claim{Name: l.Name, Value: l.Value}), fmt.Appendf(key, " claim %q %q", l.Name, l.Value)
	}
	at, known := a.setBy[string(key)]
	if !known {
		if a.conditions.len() > placeMask {
			return 0, fmt.Errorf("too many sets of conditions of credentials")
		}
		at = a.conditions.add(fresh)
		a.setBy[string(key)] = at
	}
	return at, nil
}
