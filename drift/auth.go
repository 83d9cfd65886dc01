package drift

import (
	"fmt"
	"sort"
	"strings"
)

// Auth is what a caller must show.
type Auth struct {
	Ways     Leaf[Ways] `json:"ways,omitzero"`
	Fallback Leaf[bool] `json:"anonymous_fallback,omitzero"` // who fails to authenticate passes as nobody
	Optional Leaf[bool] `json:"optional,omitzero"`           // who shows nothing passes
	Exempt   Leaf[bool] `json:"exempt,omitzero"`             // opened by an explicit exemption from a wider rule
}

// Ways is a choice of ways in: each way demands all of its needs. No way at all, and a way without needs, are open.
// A leaf of Ways in state Default and empty was never configured; Set and empty is explicitly open.
type Ways []Way

// Way is one way in.
type Way struct {
	Needs []Requirement `json:"needs"`
	When  *Condition    `json:"when,omitempty"` // nil: always offered
}

// Condition is a test of a request that decides whether something applies.
type Condition struct {
	Text   Text   `json:"text"`
	Client bool   `json:"client"` // the caller controls what is tested: a header, a query parameter
	Origin Origin `json:"origin,omitzero"`
}

// RequirementKind is what sort of proof is demanded.
type RequirementKind string

// The kinds of requirement.
const (
	JWTProof    RequirementKind = "jwt"
	OIDCSession RequirementKind = "oidc_session"
	KeyProof    RequirementKind = "api_key"
	BasicProof  RequirementKind = "basic"
	MTLSProof   RequirementKind = "mtls"
	HMACProof   RequirementKind = "hmac"
	SigV4       RequirementKind = "iam_sigv4"
	ExtAuthz    RequirementKind = "ext_authz"
	CustomCode  RequirementKind = "custom_code"
	FromIP      RequirementKind = "ip"
)

// Requirement is one demand. The detail that belongs to its kind is not nil.
type Requirement struct {
	Kind     RequirementKind `json:"kind"`
	Name     string          `json:"name,omitempty"` // of the provider, plugin, authorizer
	Origin   Origin          `json:"origin,omitzero"`
	Forward  Leaf[bool]      `json:"forward,omitzero"`   // the credential goes on to the upstream
	Metering bool            `json:"metering,omitempty"` // a key that only counts, as the vendor says: not a proof
	JWT      *JWT            `json:"jwt,omitempty"`
	Key      *APIKey         `json:"key,omitempty"`
	MTLS     *MTLS           `json:"mtls,omitempty"`
	External *External       `json:"external,omitempty"`
}

// JWT says which tokens are accepted.
type JWT struct {
	Issuers    Leaf[[]string] `json:"issuers,omitzero"`   // empty: not checked
	Audiences  Leaf[[]string] `json:"audiences,omitzero"` // empty: not checked
	Keys       Leaf[[]string] `json:"keys,omitzero"`      // addresses of key sets or of discovery documents
	Static     Leaf[bool]     `json:"static_keys,omitzero"`
	Algorithms Leaf[[]string] `json:"algs,omitzero"`
	Signed     Leaf[bool]     `json:"require_signed,omitzero"`
	Expires    Leaf[bool]     `json:"require_exp,omitzero"`
	Skew       Leaf[int64]    `json:"clock_skew_s,omitzero"`
	Longest    Leaf[int64]    `json:"max_lifetime_s,omitzero"` // 0: no bound
	Claims     Leaf[[]Claim]  `json:"claims,omitzero"`
	Sources    Leaf[[]string] `json:"sources,omitzero"` // header:Authorization, query:jwt, cookie:t
}

// Claim is a claim that a token must hold.
type Claim struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"` // empty: only present
	All    bool     `json:"all,omitempty"`    // all of the values, not any
}

func (c Claim) String() string {
	how := "any of"
	if c.All {
		how = "all of"
	}
	v := append([]string(nil), c.Values...)
	sort.Strings(v)
	return fmt.Sprintf("%s=%s %v", c.Name, how, v)
}

// APIKey says where a key is taken from.
type APIKey struct {
	In    Leaf[[]string] `json:"in,omitzero"` // header, query, cookie, body
	Names Leaf[[]string] `json:"names,omitzero"`
}

// MTLS says which client certificates are accepted.
type MTLS struct {
	CAs    Leaf[[]string] `json:"ca_refs,omitzero"`
	Pins   Leaf[[]string] `json:"pins,omitzero"`   // thumbprints, issuers, subjects tested
	Header Leaf[string]   `json:"header,omitzero"` // the certificate is taken from this header; "" from the connection
}

// External is a decision asked of a service or of custom code.
type External struct {
	URL      Leaf[string]   `json:"url,omitzero"`
	FailOpen Leaf[bool]     `json:"fail_open,omitzero"`
	Timeout  Leaf[int64]    `json:"timeout_ms,omitzero"`
	TTL      Leaf[int64]    `json:"cache_ttl_s,omitzero"`
	CacheKey Leaf[[]string] `json:"cache_key,omitzero"`
}

func (r Requirement) String() string {
	if r.Metering {
		return string(r.Kind) + " (counts only)"
	}
	return string(r.Kind)
}

func (w Way) String() string {
	if len(w.Needs) == 0 {
		if w.When != nil {
			return "open when " + string(w.When.Text)
		}
		return "open"
	}
	names := make([]string, len(w.Needs))
	for i, n := range w.Needs {
		names[i] = n.String()
	}
	sort.Strings(names)
	return strings.Join(names, " and ")
}

func (w Ways) String() string {
	if len(w) == 0 {
		return "open"
	}
	names := make([]string, len(w))
	for i, v := range w {
		names[i] = v.String()
	}
	sort.Strings(names)
	return strings.Join(unique(names), " or ")
}

// Open reports whether somebody who proves nothing certainly gets in.
func (w Ways) Open() bool {
	for i := range w {
		if w[i].When == nil && w[i].proofless() {
			return true
		}
	}
	return len(w) == 0
}

// MaybeOpen reports whether somebody who proves nothing gets in under a condition.
func (w Ways) MaybeOpen() *Condition {
	for _, v := range w {
		if v.When != nil && v.proofless() {
			return v.When
		}
	}
	return nil
}

func (w Way) proofless() bool {
	for i := range w.Needs {
		if n := &w.Needs[i]; !n.Metering && n.Kind != FromIP {
			return false
		}
	}
	return true
}

// All are the requirements of all ways, in order.
func (w Ways) All() []Requirement {
	var out []Requirement
	for _, v := range w {
		out = append(out, v.Needs...)
	}
	return out
}

// each yields the requirements of all ways, without copies of them.
func (w Ways) each(yield func(*Requirement) bool) {
	for i := range w {
		for j := range w[i].Needs {
			if !yield(&w[i].Needs[j]) {
				return
			}
		}
	}
}

// And demands of each way that n is met as well; no way at all becomes one.
func (w Ways) And(n ...Requirement) Ways {
	if len(n) == 0 {
		return w
	}
	if len(w) == 0 {
		return Ways{{Needs: append([]Requirement(nil), n...)}}
	}
	out := make(Ways, len(w))
	for i, v := range w {
		out[i] = Way{Needs: append(append([]Requirement(nil), v.Needs...), n...), When: v.When}
	}
	return out
}

// Times combines what must hold together: one way of w and one of o. It stops at a bound, and says so by ok.
func (w Ways) Times(o Ways) (out Ways, ok bool) {
	const most = 256 // ways: more come only from input made to explode
	if len(w) == 0 {
		return o, true
	}
	if len(o) == 0 {
		return w, true
	}
	if len(w)*len(o) > most {
		return w, false
	}
	for _, a := range w {
		for _, b := range o {
			out = append(out, Way{Needs: append(append([]Requirement(nil), a.Needs...), b.Needs...), When: both(a.When, b.When)})
		}
	}
	return out, true
}

func both(a, b *Condition) *Condition {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &Condition{Text: Shown(string(a.Text) + " and " + string(b.Text)), Client: a.Client || b.Client, Origin: a.Origin}
}

// strength ranks the kinds: a kind of a higher rank is a better proof than one of a lower rank, kinds of one rank cannot be
// compared, and what is decided elsewhere (rank -1) compares with nothing but itself.
func strength(k RequirementKind) int {
	switch k {
	case FromIP:
		return 0
	case KeyProof, BasicProof:
		return 1
	case JWTProof, OIDCSession, MTLSProof, HMACProof, SigV4:
		return 2
	}
	return -1
}

// implies reports whether who meets r has shown at least what n asks for, by kind.
func (r Requirement) implies(n Requirement) bool {
	if n.Metering {
		return true
	}
	if r.Metering {
		return false
	}
	if r.Kind == n.Kind {
		return true
	}
	a, b := strength(r.Kind), strength(n.Kind)
	return a >= 0 && b >= 0 && a > b
}

func (w Way) implies(o Way) bool {
	for _, n := range o.Needs {
		met := n.Metering
		for _, r := range w.Needs {
			met = met || r.implies(n)
		}
		if !met {
			return false
		}
	}
	return true
}

func (w Ways) implies(o Ways) bool {
	if o.Open() {
		return true
	}
	if w.Open() {
		return false
	}
	for _, a := range w {
		met := false
		for _, b := range o {
			met = met || a.implies(b)
		}
		if !met {
			return false
		}
	}
	return true
}

// Compare orders w and o by what they demand, by kinds alone: Stronger when whoever satisfies w satisfies o.
func (w Ways) Compare(o Ways) Order { return orderOf(w.implies(o), o.implies(w)) }
