// Package policy is what a rule on a route may see and do.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/wire"
)

// Phase is where in an exchange a policy runs. Phases run in this order, whatever the order in which a route lists its
// policies.
type Phase uint8

// The phases.
const (
	Admit        Phase = iota // may this message come in at all
	Authenticate              // sets Exchange.Principal, or says aloud that anybody may
	Authorize                 // may refuse the principal; sets Exchange.Grant
	Limit                     // spends from counters
	Rewrite                   // changes what the upstream sees
	Respond                   // changes what the caller sees
)

func (p Phase) String() string {
	return [...]string{"admit", "authenticate", "authorize", "limit", "rewrite", "respond"}[p]
}

// RouteInfo names the route for policies, events and metrics, and says what it needs. It is part of a compiled
// revision: nobody changes it.
type RouteInfo struct {
	Environment string
	API         string
	Operation   string   // the operationId, or method and path where the document has none
	Route       string   // API and operation: the label of metrics
	Scopes      []string // every one of which a grant must hold
	Products    []string // that offer the operation, sorted
}

// PlanInfo is what a compiled revision knows of a plan of a product.
type PlanInfo struct {
	Product, Plan string
	Windows       []ratelimit.Window
}

// Principal is who calls: what an Authenticate policy found. The zero value passes no Authorize policy.
type Principal struct {
	Method           string // "api_key"; "" nobody; "anonymous" anybody
	Organization     id.ID
	OrganizationName string
	Application      id.ID
	ApplicationName  string
	Credential       id.ID
	Bound            []id.ID // the grants the credential is bound to; none: all of the application's
}

// Grant is the grant that the request resolved to. The zero value is none.
type Grant struct {
	ID            id.ID
	Product, Plan string
	Scopes        []string
	Until         time.Time
	Info          *PlanInfo // nil when the served revision no longer has the plan
}

// Credential is what the access index knows of a credential.
type Credential struct {
	ID               id.ID
	Environment      string
	Hash             secret.Hash
	Live             bool
	Ended            string // why it is not live
	Expires          time.Time
	Bound            []id.ID
	Application      id.ID
	ApplicationName  string
	Organization     id.ID
	OrganizationName string
	OwnerLive        bool // both the application and its organization may call
}

// Access is the records that a request is checked against: the access index of one view. It is read without locks and
// allocates nothing.
type Access interface {
	// Credential finds by the public part of a key.
	Credential(public []byte) (*Credential, bool)
	// Grants calls yield with each grant of the application in this environment until it returns false.
	Grant(i id.ID) (*AccessGrant, bool)
	GrantsOf(application id.ID) []*AccessGrant
	// Plan returns what the served revision says of a plan.
	Plan(product, plan string) (*PlanInfo, bool)
}

// AccessGrant is what the access index knows of a grant. It is immutable: a change makes another one.
type AccessGrant struct {
	ID          id.ID
	Application id.ID
	Product     string
	Plan        string
	Scopes      []string
	From, Until time.Time
	State       string // active, suspended, ended
}

// Live reports whether the grant lets anything through at that time.
func (g *AccessGrant) Live(now time.Time) bool {
	return g.State == "active" && !now.Before(g.From) && now.Before(g.Until)
}

// Exchange is one request on its way through a route. A policy must not keep it, nor any View in it.
type Exchange struct {
	ID        string // the request id
	Now       time.Time
	Peer      netip.AddrPort
	Route     *RouteInfo
	Access    Access
	Request   wire.Message
	Response  wire.Message
	Principal Principal
	Grant     Grant
	BodyLimit int64 // the most bytes of request body that are forwarded; 0: the gateway's own limit

	// Limits is what the Limit policies found, for the answer's RateLimit fields. It keeps its capacity between exchanges.
	Limits []ratelimit.Result

	answered bool
	scratch  []byte
}

// Reset makes x ready for the next exchange and keeps its memory.
func (x *Exchange) Reset() {
	*x = Exchange{Limits: x.Limits[:0], scratch: x.scratch[:0],
		Request:  wire.Message{Head: wire.Head{Fields: x.Request.Fields[:0]}, Trailer: x.Request.Trailer[:0]},
		Response: wire.Message{Head: wire.Head{Fields: x.Response.Fields[:0]}, Trailer: x.Response.Trailer[:0]}}
}

// Answer replies to the caller without asking the upstream. The body is sent as it is; nil sends none.
func (x *Exchange) Answer(status int, body io.Reader, length int64) {
	x.Response.Status, x.Response.Body, x.Response.Length = status, body, length
	x.answered = true
}

// Answered reports whether a policy has replied.
func (x *Exchange) Answered() bool { return x.answered }

// Scratch is memory that lives as long as the exchange, for values a policy writes: append to it, keep the result by
// KeepScratch. What was taken from it before stays valid.
func (x *Exchange) Scratch() []byte { return x.scratch[len(x.scratch):] }

// KeepScratch marks b, which was appended to Scratch(), as used and returns it.
func (x *Exchange) KeepScratch(b []byte) wire.View {
	n := len(x.scratch)
	if cap(x.scratch)-n >= len(b) && (len(b) == 0 || &x.scratch[:n+1][n] == &b[0]) {
		x.scratch = x.scratch[:n+len(b)]
	} else { // it grew elsewhere: go on there
		x.scratch = b
	}
	return wire.View(b[:len(b):len(b)])
}

// A Policy is one rule of one route. Its functions serve all requests of the route at the same time. A side that is nil
// costs nothing.
type Policy struct {
	// Request acts before the upstream is asked. A non-nil error refuses the request.
	Request func(*Exchange) error
	// Response acts on the answer, refusals by later policies included, in the reverse of the order of requests.
	Response func(*Exchange)
}

// Deps is what a policy may use. It is all that a policy can reach.
type Deps struct {
	// Limiter returns the limiter of that name, which outlives revisions: a publish does not forget what was spent.
	Limiter func(name string) *ratelimit.Limiter
	// Secret returns a secret of this gateway by the name that the manifest uses.
	Secret func(name string) (secret.Value, bool)
}

// Site is where in the manifest a policy stands, known while it is built.
type Site struct {
	Route *RouteInfo
}

// A Kind is a policy that routes can name.
type Kind struct {
	Name  string
	Phase Phase
	Doc   string     // one sentence for the manifest reference
	New   func() any // a pointer to a zero configuration, for the manifest reference and its schema
	build func(json.RawMessage, Site, Deps) (Policy, error)
}

// Define makes a Kind from a constructor that takes its own type of configuration. The constructor does no input or
// output; what is wrong with the configuration it returns as a fault whose Fields point into it.
func Define[C any](name string, p Phase, doc string, build func(C, Site, Deps) (Policy, error)) Kind {
	return Kind{Name: name, Phase: p, Doc: doc, New: func() any { return new(C) },
		build: func(raw json.RawMessage, s Site, d Deps) (Policy, error) {
			var c C
			if err := strict(raw, &c); err != nil {
				return Policy{}, err
			}
			return build(c, s, d)
		}}
}

// Build makes the policy that raw, a JSON object, describes. It does no input or output.
func (k Kind) Build(raw json.RawMessage, s Site, d Deps) (Policy, error) { return k.build(raw, s, d) }

func strict(raw json.RawMessage, c any) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(c)
	var t *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &t):
		return fault.Bad("/"+strings.ReplaceAll(t.Field, ".", "/"), "must be %s, not %s", t.Type, t.Value)
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return fault.Bad("/"+name, "there is no such setting")
	}
	return fault.BadFields([]fault.Field{{Pointer: "", Text: fmt.Sprintf("cannot be read: %s", text)}})
}
