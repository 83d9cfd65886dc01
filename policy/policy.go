// Package policy is what a rule on a route may see and do.
package policy

import (
	"encoding/json"
	"slices"

	"gatehouse/authority"
	"gatehouse/ratelimit"
	"gatehouse/secret"
	"gatehouse/token"
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
	Method      string   // upper case
	Path        string   // template, as it is called at the gateway
	Base        string   // of the API: what its name as a resource ends with
	Scopes      []string // every one of which a grant must hold
	Products    []string // that offer the operation here, sorted
}

// A Policy is one rule of one route. Its functions serve all requests of the route at the same time. A side that is nil
// costs nothing.
type Policy struct {
	// Request acts before the upstream is asked. A non-nil error refuses the request.
	Request func(*Exchange) error
	// Response acts on every answer of the route, in the reverse of the order of requests: the upstream's, a policy's, and
	// refusals, also those by policies before this one, whose Request then has not run.
	Response func(*Exchange)
	// Preflight answers an OPTIONS request that asks for a method of the route (Fetch, "CORS-preflight request"). Nothing
	// else of the route runs then, Response apart. It calls Answer or refuses.
	Preflight func(*Exchange) error
	// Methods are the kinds of credentials that a policy of the phase Authenticate takes.
	Methods []string
}

// Deps is what a policy may use. It is all that a policy can reach.
type Deps struct {
	// Limiter returns the limiter of that name, which outlives revisions: a publish does not forget what was spent.
	Limiter func(name string) *ratelimit.Limiter
	// Shared counts together with other gateways; nil: this gateway has no such counter, which is then away.
	Shared ratelimit.Shared
	// Quotas counts against quotas; nil: nothing is counted, as where a manifest is only checked.
	Quotas *ratelimit.Quotas
	// Secret returns a secret of this gateway by the name that the manifest uses.
	Secret func(name string) (secret.Value, bool)
	// Tokens keeps verified access tokens; Proofs checks what they are bound by. They outlive revisions.
	Tokens *Tokens
	Proofs *token.Prover
	// Trusted returns the keys of an issuer elsewhere, which somebody fetches. nil: nobody does.
	Trusted func(*TrustedIssuer) *TrustedKeys
	// Revoked returns what an authority has revoked, which somebody fetches. nil: nobody does.
	Revoked func(*authority.Authority) *Revocations
}

// Site is where in the manifest a policy stands, known while it is built.
type Site struct {
	Route *RouteInfo
	// Scope names the list in which the policy is written: the API for all of its operations, or the one operation. What a
	// policy counts, it counts together for all routes of that list.
	Scope string
	// Kinds are the names of all of the route's policies.
	Kinds []string
	// Trusted are the issuers elsewhere that count in the environment.
	Trusted []*TrustedIssuer
	// Authorities are those of the operator's that sign certificates of clients in the environment.
	Authorities []*authority.Authority
	// Beside are the names of the methods of authentication that any_of tries, this one among them. Of those that look for a
	// token in the same field, each leaves to the other what is not its own.
	Beside []string
}

// Has reports whether the route has a policy of that kind.
func (s Site) Has(kind string) bool { return slices.Contains(s.Kinds, kind) }

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
