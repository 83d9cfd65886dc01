package snapshot

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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
	applications index[pointer] // slots, by the application's ID
	chunks       chunks
	orgs         table[*organization]
	conditions   table[*policy.Conditions] // what credentials were issued under; the first asks for nothing
	terms        table[*policy.Terms]
	scopes       table[*policy.Scopes]
	issuer       atomic.Pointer[policy.Issuer]
	denials      atomic.Pointer[map[secret.Hash]int64] // access tokens that are refused, and until when; in Unix seconds

	mu      sync.Mutex // of the writer; guards what follows
	loading *loading   // nil but for Load
	slots   uint32     // applications
	grants  int
	orgBy   map[id.Bits]uint32
	termBy  map[policy.Terms]uint32
	setBy   map[string]uint32 // scopes and conditions, by their parts
}

// credential is 52 bytes without a pointer. It is found by the hash of its key, which never changes: another key is
// another credential.
type credential struct {
	id      id.Bits
	hash    mark
	expires when
	slot    policy.Slot
	stands  uint32 // from the highest bit: the state, the kind, then the place in conditions
}

// when is a time in Unix microseconds, in two halves: so a credential needs no padding.
type when [2]uint32

func whenOf(micros int64) when { return when{uint32(micros), uint32(micros >> 32)} }

func (w when) micros() int64 { return int64(uint64(w[1])<<32 | uint64(w[0])) }

// pointer is the slot of an application, in five bytes: the lowest first, and the highest byte of the hash of its ID, which spares looking
// at most of the others.
type pointer struct {
	at  [4]byte
	tag uint8
}

func pointerTo(hash uint64, slot uint32) (p pointer) {
	binary.LittleEndian.PutUint32(p.at[:], slot)
	p.tag = uint8(hash >> 56)
	return p
}

func (p *pointer) slot() uint32 { return binary.LittleEndian.Uint32(p.at[:]) }

// mark is as much of a hash as is kept of each credential: 160 bits, as many as a key has that is drawn at random. To find another key
// whose hash begins with them is no easier than to guess the key.
type mark [20]byte

func markOf(h *secret.Hash) mark { return mark(h[:len(mark{})]) }

// whole is the mark where a hash is wanted: what it leads to is the same.
func (m mark) whole() (h secret.Hash) {
	copy(h[:], m[:])
	return h
}

// begins compares the 64 bits that say where the record stands, which is no secret by then.
func (m *mark) begins(h *secret.Hash) bool { return hashOfKey(m[:]) == hashOfKey(h[:]) }

// is compares in constant time.
func (m *mark) is(h *secret.Hash) bool { return subtle.ConstantTimeCompare(m[:], h[:len(m)]) == 1 }

// The bits of credential.stands.
const (
	placeBits = 27
	kindBits  = 3
	placeMask = 1<<placeBits - 1
	kindMask  = 1<<kindBits - 1
)

func stands(s policy.State, kind int, place uint32) uint32 {
	return uint32(s)<<(placeBits+kindBits) | uint32(kind)<<placeBits | place
}

func (c *credential) state() policy.State { return policy.State(c.stands >> (placeBits + kindBits)) }
func (c *credential) kind() string        { return kinds[c.stands>>placeBits&kindMask] }
func (c *credential) place() uint32       { return c.stands & placeMask }

// kinds are the kinds of credentials that can be presented, in the order of their numbers here. Others cannot let anybody
// in, so they are not kept.
var kinds = [...]string{"api_key", "oauth_client", "client_certificate", "workload_identity"}

// organization holds for all of its applications: its end is one flag.
type organization struct {
	id   id.Bits
	live atomic.Bool
}

// chunk is up to chunkSize applications and their grants, one application's after the other's. It is immutable. The applications
// stand in it rather than beside it, so that a look-up fetches one line of memory of it.
type chunk struct {
	grants []policy.Grant
	n      int // applications
	apps   [chunkSize]application
}

const chunkSize = 254 // a change copies one chunk: a few microseconds. With the head it is 6,144 bytes, which the allocator need not round up

type application struct {
	id    id.Bits
	org   uint32 // its place, one more; 0: not known
	first uint32 // of its grants in the chunk; the highest bit: it is live
}

const liveBit = 1 << 31

func (c *chunk) grantsOf(i int) []policy.Grant {
	from, to := c.apps[i].first&^liveBit, uint32(len(c.grants))
	if i+1 < c.n {
		to = c.apps[i+1].first &^ liveBit
	}
	return c.grants[from:to:to]
}

// chunks are the chunks by their numbers. One writer adds and replaces, readers take no lock.
type chunks struct {
	p atomic.Pointer[[]atomic.Pointer[chunk]]
}

func (l *chunks) at(i uint32) *atomic.Pointer[chunk] { return &(*l.p.Load())[i] }

// add appends an empty one. Readers of the list before see nothing of it, nor of what is put into the longer list from then on.
func (l *chunks) add() {
	var old []atomic.Pointer[chunk]
	if p := l.p.Load(); p != nil {
		old = *p
	}
	if len(old) == cap(old) {
		longer := make([]atomic.Pointer[chunk], len(old), 2*len(old)+1)
		for i := range old {
			longer[i].Store(old[i].Load())
		}
		old = longer
	}
	fresh := old[:len(old)+1]
	fresh[len(old)].Store(&chunk{})
	l.p.Store(&fresh)
}

// NewAccess returns an empty index.
func NewAccess(environment string) *Access {
	a := &Access{environment: environment, orgBy: map[id.Bits]uint32{}, termBy: map[policy.Terms]uint32{}, setBy: map[string]uint32{}}
	a.conditions.add(&policy.Conditions{})
	a.applications.most = 256 // of five bytes each
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
func (a *Access) Credential(_ []byte, h secret.Hash) (policy.Credential, bool) { return a.Marked(h) }

// Issuer is what access tokens are verified by; nil when none is known.
func (a *Access) Issuer() *policy.Issuer { return a.issuer.Load() }

// Denied reports whether the access token with the mark is refused.
func (a *Access) Denied(mark secret.Hash) bool {
	m := a.denials.Load()
	if m == nil {
		return false
	}
	_, denied := (*m)[mark]
	return denied
}

// Marked finds a credential by its mark: the hash of a key, or of what another kind is known by.
func (a *Access) Marked(h secret.Hash) (policy.Credential, bool) {
	near := a.credentials.near(hashOfKey(h[:]))
	for i := range near {
		if c := &near[i]; c.hash.begins(&h) && c.hash.is(&h) {
			return a.credential(c), true
		}
	}
	return policy.Credential{}, false
}

func (a *Access) credential(c *credential) policy.Credential {
	out := policy.Credential{ID: c.id, Mark: c.hash.whole(), Slot: c.slot, State: c.state(), Expires: c.expires.micros(), Kind: c.kind(),
		Conditions: a.conditions.get(c.place())}
	app := a.application(c.slot)
	out.Application, out.ApplicationLive = app.id, app.first&liveBit != 0
	if app.org > 0 {
		o := a.orgs.get(app.org - 1)
		out.Organization, out.OrganizationLive = o.id, o.live.Load()
	}
	return out
}

func (a *Access) application(s policy.Slot) application {
	return a.chunks.at(uint32(s-1) / chunkSize).Load().apps[uint32(s-1)%chunkSize]
}

// Grants are all grants of the application.
func (a *Access) Grants(s policy.Slot) []policy.Grant {
	if s == 0 {
		return nil
	}
	return a.chunks.at(uint32(s-1) / chunkSize).Load().grantsOf(int(uint32(s-1) % chunkSize))
}

// Terms are product and plan of a grant.
func (a *Access) Terms(g *policy.Grant) *policy.Terms { return a.terms.get(uint32(g.TermsIndex)) }

// Scopes are the scopes of a grant.
func (a *Access) Scopes(g *policy.Grant) *policy.Scopes { return a.scopes.get(g.ScopeSet) }

func bits(k id.Kind, i id.ID) (id.Bits, error) {
	b, ok := i.Bits(k)
	if !ok {
		return b, fmt.Errorf("%q is not an identifier of the form %s_…", i, k)
	}
	return b, nil
}

func hashOfKey(h []byte) uint64 { return binary.LittleEndian.Uint64(h[:8]) }

func hashOfID(b id.Bits) uint64 {
	h := binary.LittleEndian.Uint64(b[8:]) ^ binary.LittleEndian.Uint64(b[:8])*0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

// live lists the application's credentials that prove something at that time.
func (a *Access) live(s policy.Slot, now time.Time) (out []policy.Credential) {
	a.credentials.each(func(c *credential) bool {
		if c.slot == s && c.state() == policy.Active && now.UnixMicro() < c.expires.micros() {
			out = append(out, a.credential(c))
		}
		return true
	})
	return out
}
