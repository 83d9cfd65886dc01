package policy

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/id"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/token"
)

// Access is the records that a request is checked against, as one view holds them. It is read without locks and
// allocates nothing.
type Access interface {
	// Credential finds by the public part of a key and the hash of the whole key, which is compared in constant time. A
	// wrong hash and an unknown public part cannot be told apart.
	Credential(public []byte, h secret.Hash) (Credential, bool)
	// Grants are all grants of the application in this environment, whatever their state. Nobody changes the slice.
	Grants(application Slot) []Grant
	// Terms are product and plan of a grant.
	Terms(g *Grant) *Terms
	// Scopes are the scopes of a grant.
	Scopes(g *Grant) *Scopes
	// Plan is what the served revision says of a plan; nil when it does not offer it here.
	Plan(t *Terms) *PlanInfo
	// Marked finds a credential that is not a key by what gateways know it by.
	Marked(mark secret.Hash) (Credential, bool)
	// Issuer is what access tokens are verified by; nil when none is known.
	Issuer() *Issuer
	// Denied reports whether the access token with the mark is refused.
	Denied(mark secret.Hash) bool
}

// Issuer is what issues the access tokens of an environment. Nobody changes it.
type Issuer struct {
	URL      string // the iss of its tokens
	Audience string // what the aud of a token for an API begins with; the API's path follows
	Keys     []token.Key
}

// ResourcePath is where a gateway tells of its APIs as protected resources, each behind it by its path (RFC 9728 §3.1).
const ResourcePath = "/.well-known/oauth-protected-resource"

// Metadata is where the metadata of an API as a protected resource is: at the gateway, or where the gateway is called by an address
// with a path, which others may see otherwise, at the issuer.
func (i *Issuer) Metadata(base string) string {
	_, rest, _ := strings.Cut(i.Audience, "://")
	if strings.Contains(rest, "/") {
		return i.URL + "/resources" + base
	}
	return i.Audience + ResourcePath + strings.TrimSuffix(base, "/")
}

// Slot is where the access index keeps an application. The zero Slot is none.
type Slot uint32

// Credential is what the access index knows of a credential.
type Credential struct {
	ID           id.Bits
	Mark         secret.Hash // by which Access.Marked finds it again
	Application  id.Bits
	Organization id.Bits
	Slot         Slot // of the application
	State        State
	// ApplicationLive and OrganizationLive say whether the owners may call. False until the index has heard of them.
	ApplicationLive, OrganizationLive bool
	Expires                           int64  // Unix microseconds
	Kind                              string // "api_key" and so on
	*Conditions
}

// Conditions are what a credential was issued under, shared by all that have the same. Nobody changes them.
type Conditions struct {
	Bound   []id.Bits      // to these grants; none: all of the application's
	Sources []netip.Prefix // networks it may be used from; none: any
	Claims  []Claim        // what a workload's token must say beside its subject
}

// Claim is what a token must say under a name: this text, or a list in which it stands.
type Claim struct{ Name, Value string }

// From reports whether a caller at the address may use the credential.
func (c *Conditions) From(a netip.Addr) bool {
	if len(c.Sources) == 0 {
		return true
	}
	a = a.Unmap().WithZone("")
	for _, p := range c.Sources {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// State is how a credential or grant stands, apart from its time. The zero State lets nothing through.
type State uint8

// The states.
const (
	Over      State = iota // revoked or ended: for good
	Suspended              // may come back
	Active
	Pending // of a credential: not in use yet
)

// Grant is what the access index knows of a grant: forty bytes without a pointer, so that millions of them cost the
// garbage collector nothing. Product, plan and scopes are found through Access.
type Grant struct {
	ID          id.Bits
	From, Until int64 // Unix microseconds; it holds before Until and not at it
	ScopeSet    uint32
	TermsIndex  uint16
	State       State
}

// Standing is how the grant stands at a time.
type Standing uint8

// The ways a grant can stand, in the order of what is most useful to say of several.
const (
	Ended Standing = iota
	Expired
	Upcoming
	Paused // suspended
	Live
)

// Standing is how the grant stands at that time, in Unix microseconds.
func (g *Grant) Standing(now int64) Standing {
	switch {
	case g.State == Over:
		return Ended
	case now >= g.Until:
		return Expired
	case g.State != Active:
		return Paused
	case now < g.From:
		return Upcoming
	}
	return Live
}

// Terms are what a grant was given for.
type Terms struct{ Product, Plan string }

// Scopes is a set of scopes, shared by all grants that hold the same.
type Scopes struct {
	Names  []string // sorted
	Joined string   // with spaces between, as the upstream is told

	last atomic.Pointer[shared] // what Shared found the last time
}

// shared is what two sets have in common.
type shared struct{ with, both *Scopes }

// Shared is what a token's scopes have in common with those of a grant: mostly what the token says, but less when it was issued for
// several grants, or when the grant was narrowed since. Neither set changes, so that the answer is kept for the calls that follow.
func (s *Scopes) Shared(grant *Scopes) *Scopes {
	if k := s.last.Load(); k != nil && k.with == grant {
		return k.both
	}
	both := s
	if !grant.Covers(s.Names) {
		both = &Scopes{}
		for _, n := range s.Names {
			if slices.Contains(grant.Names, n) {
				both.Names = append(both.Names, n)
			}
		}
		both.Joined = strings.Join(both.Names, " ")
	}
	s.last.Store(&shared{grant, both})
	return both
}

// Covers reports whether every one of want is in the set.
func (s *Scopes) Covers(want []string) bool {
next:
	for _, w := range want {
		for _, have := range s.Names {
			if have == w {
				continue next
			}
		}
		return false
	}
	return true
}

// PlanInfo is what a compiled revision knows of a plan of a product.
type PlanInfo struct {
	Product, Plan string
	Windows       []ratelimit.Window
	Quotas        []ratelimit.Quota
	Credentials   []string      // kinds of credentials that may be used
	Constrained   bool          // only with a proof that nobody can use who reads it
	FAPI          bool          // only by clients that keep the client profile of FAPI 2.0
	MaxOffline    time.Duration // so long a gateway without its control plane may serve it; 0: as long as it may serve at all
}

// Principal is who calls: what an Authenticate policy found. The zero value passes no Authorize policy.
type Principal struct {
	Method       string // "api_key"; "anonymous": anybody; "": nobody
	Organization id.Bits
	Application  id.Bits
	Credential   id.Bits
	Slot         Slot        // of the application
	Bound        []id.Bits   // the grants the credential is bound to; none: all of the application's
	Scopes       *Scopes     // what it presented is for these only; nil: for all of its grant
	Mark         secret.Hash // of the credential
	Token        secret.Hash // the mark of the access token that was presented; zero: none was
	Expires      int64       // when what was presented ends before its credential, in Unix microseconds; 0: it does not
	Constrained  bool        // what it presented is of no use to who only reads it: it is bound to a key that was proven now
	FAPI         bool        // and its client got that by a key or certificate of its own: the client profile of FAPI 2.0
}

// Anybody is the Method of who did not prove anything and did not have to.
const Anybody = "anonymous"

// Known reports whether it is known who calls.
func (p *Principal) Known() bool { return p.Method != "" && p.Method != Anybody }

// Right is the grant that the request resolved to. The zero value is none.
type Right struct {
	ID     id.Bits
	Terms  *Terms
	Scopes *Scopes
	Until  time.Time
	Plan   *PlanInfo
}

// None reports whether there is no grant.
func (r *Right) None() bool { return r.Terms == nil }
