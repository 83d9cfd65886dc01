package snapshot

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/policy"
	"gatehouse/secret"
)

// Access is the index of credentials and grants of one environment. Changes are applied one by one by one writer;
// readers take no lock and see each change whole. What it has not heard of lets nothing through: a credential whose
// application or organization is not known yet is refused.
type Access struct {
	environment string

	credentials  index[credential]
	applications index[uint32] // slots, by the application's ID
	chunks       table[*atomic.Pointer[chunk]]
	orgs         table[*organization]
	bounds       table[[]id.Bits] // what credentials are bound to; the first is nothing
	terms        table[*policy.Terms]
	scopes       table[*policy.Scopes]

	mu     sync.Mutex // of the writer; guards what follows
	slots  uint32     // applications
	grants int
	orgBy  map[id.Bits]uint32
	termBy map[policy.Terms]uint32
	setBy  map[string]uint32 // scopes and bounds, by their parts
}

// credential is 64 bytes without a pointer. It is found by the hash of its key, which never changes: another key is
// another credential.
type credential struct {
	id      id.Bits
	hash    secret.Hash
	expires int64
	slot    policy.Slot
	bound   uint32 // the state in the two highest bits, then the place in bounds
}

const boundBits = 30

func (c *credential) state() policy.State { return policy.State(c.bound >> boundBits) }

// organization holds for all of its applications: its end is one flag.
type organization struct {
	id   id.Bits
	live atomic.Bool
}

// chunk is chunkSize applications and their grants, one application's after the other's. It is immutable.
type chunk struct {
	apps   []application
	grants []policy.Grant
}

const chunkSize = 64

type application struct {
	id    id.Bits
	org   uint32 // its place, one more; 0: not known
	first uint32 // of its grants in the chunk; the highest bit: it is live
}

const liveBit = 1 << 31

func (c *chunk) grantsOf(i int) []policy.Grant {
	from, to := c.apps[i].first&^liveBit, uint32(len(c.grants))
	if i+1 < len(c.apps) {
		to = c.apps[i+1].first &^ liveBit
	}
	return c.grants[from:to:to]
}

// NewAccess returns an empty index.
func NewAccess(environment string) *Access {
	a := &Access{environment: environment, orgBy: map[id.Bits]uint32{}, termBy: map[policy.Terms]uint32{}, setBy: map[string]uint32{}}
	a.bounds.add(nil)
	return a
}

// Counts is how much the index holds.
type Counts struct{ Organizations, Applications, Credentials, Grants int }

// Counts says how much the index holds.
func (a *Access) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Counts{a.orgs.len(), int(a.slots), a.credentials.count, a.grants}
}

// Credential finds by the hash of the key; its public part is in the key, and so in the hash.
func (a *Access) Credential(_ []byte, h secret.Hash) (policy.Credential, bool) {
	s := a.credentials.shard(hashOfKey(&h))
	for i := s.next(hashOfKey(&h), 0); i >= 0; i = s.next(hashOfKey(&h), i+1) {
		if c := &s.recs[i]; c.hash.Matches(h) {
			return a.credential(c), true
		}
	}
	return policy.Credential{}, false
}

func (a *Access) credential(c *credential) policy.Credential {
	out := policy.Credential{ID: c.id, Slot: c.slot, State: c.state(), Expires: c.expires, Bound: a.bounds.get(c.bound & (1<<boundBits - 1))}
	app := a.application(c.slot)
	out.Application, out.ApplicationLive = app.id, app.first&liveBit != 0
	if app.org > 0 {
		o := a.orgs.get(app.org - 1)
		out.Organization, out.OrganizationLive = o.id, o.live.Load()
	}
	return out
}

func (a *Access) application(s policy.Slot) application {
	return a.chunks.get(uint32(s-1) / chunkSize).Load().apps[uint32(s-1)%chunkSize]
}

// Grants are all grants of the application.
func (a *Access) Grants(s policy.Slot) []policy.Grant {
	if s == 0 {
		return nil
	}
	return a.chunks.get(uint32(s-1) / chunkSize).Load().grantsOf(int(uint32(s-1) % chunkSize))
}

// Terms are product and plan of a grant.
func (a *Access) Terms(g *policy.Grant) *policy.Terms { return a.terms.get(uint32(g.TermsIndex)) }

// Scopes are the scopes of a grant.
func (a *Access) Scopes(g *policy.Grant) *policy.Scopes { return a.scopes.get(g.ScopeSet) }

// Apply brings one entry of the feed into the index. Entries of kind revision are not for it and change nothing. An
// entry that returns an error has changed nothing.
func (a *Access) Apply(e feed.Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Environment != a.environment {
		return fmt.Errorf("entry %d is for environment %q, not %q", e.Seq, e.Environment, a.environment)
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
	case feed.KindRevision:
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
	slot, org := a.slot(b), a.org(o)
	a.change(slot, func(c *chunk, i int) {
		c.apps = slices.Clone(c.apps)
		c.apps[i].org = org + 1
		if c.apps[i].first &^= liveBit; p.Live {
			c.apps[i].first |= liveBit
		}
	})
	return nil
}

// apiKey is the one kind of credential that can be presented so far. Others cannot let anybody in, so they are not kept.
const apiKey = "api_key"

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
	if len(c.Hash) != len(h) && c.Kind == apiKey {
		return fmt.Errorf("its hash has %d bytes, not %d", len(c.Hash), len(h))
	}
	bound, err := a.bound(c.Grants)
	if err != nil || c.Kind != apiKey {
		return err
	}
	copy(h[:], c.Hash)
	state := policy.Over
	switch {
	case c.Live:
		state = policy.Active
	case c.Ended == "suspended":
		state = policy.Suspended
	}
	r := credential{b, h, c.Expires.UnixMicro(), policy.Slot(a.slot(app) + 1), bound | uint32(state)<<boundBits}
	a.credentials.put(hashOfKey(&h), r, func(o *credential) bool { return o.hash == h }, func(o *credential) uint64 { return hashOfKey(&o.hash) })
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
	if fresh.ScopeSet, err = a.scopeSet(g.Scopes); err != nil {
		return err
	}
	terms := policy.Terms{Product: g.Product, Plan: g.Plan}
	t, known := a.termBy[terms]
	if !known {
		if t = uint32(a.terms.len()); t > 1<<16-1 {
			return fmt.Errorf("there are more than %d products and plans", 1<<16)
		}
		a.terms.add(&terms)
		a.termBy[terms] = t
	}
	fresh.TermsIndex = uint16(t)
	a.change(a.slot(app), func(c *chunk, i int) {
		mine := slices.Clone(c.grantsOf(i))
		before := len(mine)
		if at := slices.IndexFunc(mine, func(o policy.Grant) bool { return o.ID == b }); at >= 0 {
			mine[at] = fresh
		} else {
			// Ended grants for the product make room: they can only say why there was none.
			mine = slices.DeleteFunc(mine, func(o policy.Grant) bool {
				return o.State == policy.Over && a.Terms(&o).Product == g.Product
			})
			mine = append(mine, fresh)
		}
		from := int(c.apps[i].first &^ liveBit)
		c.grants = slices.Concat(c.grants[:from], mine, c.grants[from+before:])
		if more := len(mine) - before; more != 0 {
			a.grants += more
			c.apps = slices.Clone(c.apps)
			for j := i + 1; j < len(c.apps); j++ {
				c.apps[j].first += uint32(more)
			}
		}
	})
	return nil
}

// change makes the next version of the chunk in which an application stands. fn gets a copy whose slices it must
// replace, not change.
func (a *Access) change(slot uint32, fn func(c *chunk, i int)) {
	p := a.chunks.get(slot / chunkSize)
	c := *p.Load()
	fn(&c, int(slot%chunkSize))
	p.Store(&c)
}

// slot finds the application, or makes a place for one that is not known yet and lets nothing through.
func (a *Access) slot(b id.Bits) uint32 {
	h := hashOfID(b)
	s := a.applications.shard(h)
	for i := s.next(h, 0); i >= 0; i = s.next(h, i+1) {
		if a.application(policy.Slot(s.recs[i]+1)).id == b {
			return s.recs[i]
		}
	}
	slot := a.slots
	if slot%chunkSize == 0 {
		p := &atomic.Pointer[chunk]{}
		p.Store(&chunk{apps: make([]application, 0, chunkSize)})
		a.chunks.add(p)
	}
	p := a.chunks.get(slot / chunkSize)
	c := *p.Load()
	c.apps = append(c.apps, application{id: b, first: uint32(len(c.grants))})
	p.Store(&c)
	a.slots++
	a.applications.put(h, slot, func(o *uint32) bool { return false },
		func(o *uint32) uint64 { return hashOfID(a.application(policy.Slot(*o + 1)).id) })
	return slot
}

// find is slot for readers: it makes nothing.
func (a *Access) find(b id.Bits) policy.Slot {
	h := hashOfID(b)
	s := a.applications.shard(h)
	for i := s.next(h, 0); i >= 0; i = s.next(h, i+1) {
		if slot := policy.Slot(s.recs[i] + 1); a.application(slot).id == b {
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

func (a *Access) bound(grants []id.ID) (uint32, error) {
	if len(grants) == 0 {
		return 0, nil
	}
	set, key := make([]id.Bits, len(grants)), []byte("bound ")
	for i, g := range grants {
		b, err := bits(id.Grant, g)
		if err != nil {
			return 0, err
		}
		set[i], key = b, append(key, b[:]...)
	}
	at, known := a.setBy[string(key)]
	if !known {
		if a.bounds.len() == 1<<boundBits {
			return 0, fmt.Errorf("too many sets of grants that credentials are bound to")
		}
		at = a.bounds.add(set)
		a.setBy[string(key)] = at
	}
	return at, nil
}

func bits(k id.Kind, i id.ID) (id.Bits, error) {
	b, ok := i.Bits(k)
	if !ok {
		return b, fmt.Errorf("%q is not an identifier of the form %s_…", i, k)
	}
	return b, nil
}

func hashOfKey(h *secret.Hash) uint64 { return binary.LittleEndian.Uint64(h[:8]) }

func hashOfID(b id.Bits) uint64 {
	h := binary.LittleEndian.Uint64(b[8:]) ^ binary.LittleEndian.Uint64(b[:8])*0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

// live lists the application's credentials that prove something at that time.
func (a *Access) live(s policy.Slot, now time.Time) (out []policy.Credential) {
	a.credentials.each(func(c *credential) bool {
		if c.slot == s && c.state() == policy.Active && now.UnixMicro() < c.expires {
			out = append(out, a.credential(c))
		}
		return true
	})
	return out
}
