// Package inventory judges machine credentials: who answers for each, what it can reach, and what is wrong with it by the OWASP
// Non-Human Identities Top 10 (2025). What cannot be seen from the records, it says.
package inventory

import (
	"slices"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
)

// Severity is how much a finding matters.
type Severity string

// The severities, least first.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Severities lists them, least first.
func Severities() []Severity { return []Severity{Low, Medium, High, Critical} }

// Rank orders severities: from 1 on; 0 is none of them.
func (s Severity) Rank() int { return slices.Index(Severities(), s) + 1 }

// Finding is one thing that is wrong with one credential.
type Finding struct {
	ID         string   `json:"id"`   // the rule and the credential: the same as long as it holds
	Rule       string   `json:"rule"` // such as dormant
	Risk       string   `json:"risk"` // NHI1 to NHI10
	Severity   Severity `json:"severity"`
	Credential id.ID    `json:"credential"`
	Text       string   `json:"text"`
	Facts      []Fact   `json:"facts"`
	Mend       Mend     `json:"mend"`
}

// Fact is one of the facts that a finding rests on.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Mend is what ends a finding: one deed, in each of the three ways to do it. What is empty cannot be done that way.
type Mend struct {
	Text    string `json:"text"`
	Who     string `json:"who"`               // may do it
	Command string `json:"command,omitempty"` // of the command line
	Call    string `json:"call,omitempty"`    // method and path of the admin API
	Body    string `json:"body,omitempty"`    // what to send to it, in JSON
	Page    string `json:"page,omitempty"`    // path in the portal
}

// Callable is one operation that a credential can call right now.
type Callable struct {
	API       string    `json:"api"`
	Operation string    `json:"operation"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Scopes    []string  `json:"scopes,omitempty"`
	Grant     id.ID     `json:"grant,omitempty"` // "": it needs none
	Until     time.Time `json:"until,omitzero"`
	Closed    string    `json:"closed,omitempty"` // why it answers 503 although the right holds
}

func (o Callable) name() string { return o.API + "/" + o.Operation }

// Right is a grant that a credential can be used with, and how it was used.
type Right struct {
	Grant     grant.Grant
	Needs     map[string][]string // by API/operation of the product: the scopes that it needs; nil: the product is not offered any more
	Called    []string            // API/operation that was called with it, by any credential, since the rules' time
	Kinds     []string            // of credentials that its plan takes
	DataClass string              // of its product
}

// Shared is another credential that is proven by the same key, certificate, address of keys or subject.
type Shared struct {
	Credential, Application, Organization id.ID
	Environment                           string
}

// Facts is what is known about one credential.
type Facts struct {
	Credential   credential.Credential
	Organization organization.Organization // a zero one: there is none
	Application  application.Application   // a zero one: there is none
	Owner        identity.Person           // a zero one: nobody answers for it
	Rights       []Right                   // of its application there, as far as it is bound to them; ended ones too
	Uses         []credential.Use          // of it, by grant, API and operation
	Reach        []Callable                // what it can call now
	ReachKnown   bool                      // a view of its environment could be asked
	Offered      bool                      // the environment has a revision: what plans take and operations need is known
	Distrusted   bool                      // the issuer of its workload is not trusted there any more
	Shared       []Shared                  // live ones
	Lost         int64                     // calls there since the rules' time that no gateway could count: use may be missing
}

// Rules is what counts as too long.
type Rules struct {
	Dormant time.Duration // without a call
	Secret  time.Duration // that a secret is kept without being replaced
	Life    time.Duration // from now until its end
	Unused  time.Duration // that scopes, operations and grants are not called
	Held    time.Duration // that an organization or a credential stays suspended
}

// Default is the rules that hold: 90 days without a call, 90 days for a secret, a year of life.
func Default() Rules {
	const day = 24 * time.Hour
	return Rules{Dormant: 90 * day, Secret: 90 * day, Life: 366 * day, Unused: 90 * day, Held: 30 * day}
}

// Named is an object with the name that people know it by.
type Named struct {
	ID    id.ID  `json:"id,omitempty"`
	Name  string `json:"name,omitempty"`
	State string `json:"state,omitempty"`
}

// Entry is a credential in the inventory.
type Entry struct {
	Credential   id.ID           `json:"credential"`
	Kind         credential.Kind `json:"kind"`
	Method       string          `json:"method"` // by which it is proven: api_key, client_secret, private_key_jwt, self_signed_tls_client_auth, client_certificate, workload_identity
	Bound        bool            `json:"bound"`  // what it sends is of use only to who holds a key
	Name         string          `json:"name"`
	Hint         string          `json:"hint"`
	Standing     string          `json:"standing"`
	Environment  string          `json:"environment"`
	Organization Named           `json:"organization"`
	Application  Named           `json:"application"`
	Owner        Named           `json:"owner"` // the member who answers for the application
	Purpose      string          `json:"purpose"`
	Created      time.Time       `json:"created"`
	CreatedBy    id.ID           `json:"created_by"`
	SecretSince  time.Time       `json:"secret_since,omitzero"` // of one that has a secret
	End          time.Time       `json:"end,omitzero"`
	Calls        int64           `json:"calls"`
	LastUse      time.Time       `json:"last_use,omitzero"`
	LastGateway  string          `json:"last_gateway,omitempty"`
	Grants       []id.ID         `json:"grants"` // that hold now and that it can be used with
	Reach        []Callable      `json:"reach"`
	ReachKnown   bool            `json:"reach_known"` // false: no view of its environment could be asked
	Findings     []Finding       `json:"findings"`
}

// Worst is the highest severity among its findings; "": it has none.
func (e Entry) Worst() Severity {
	var worst Severity
	for _, f := range e.Findings {
		if f.Severity.Rank() > worst.Rank() {
			worst = f.Severity
		}
	}
	return worst
}

// Judge makes the entry of a credential as of now, worst findings first.
func (r Rules) Judge(f Facts, now time.Time) Entry {
	c := f.Credential
	e := Entry{Credential: c.ID, Kind: c.Kind, Method: Method(c), Bound: Constrained(c), Name: c.Name, Hint: c.Hint(), Standing: c.Standing(now),
		Environment:  c.Environment,
		Organization: Named{c.Organization, f.Organization.Name, string(f.Organization.State)},
		Application:  Named{c.Application, f.Application.Name, string(f.Application.State)},
		Owner:        Named{f.Application.Owner, f.Owner.Name, string(f.Owner.State)},
		Purpose:      f.Application.Purpose, Created: c.Created, CreatedBy: c.CreatedBy, End: c.End(),
		Grants: []id.ID{}, Reach: append([]Callable{}, f.Reach...), ReachKnown: f.ReachKnown, Findings: []Finding{}}
	if c.State == credential.Revoked {
		e.End = c.Revoked
	}
	if hasSecret(c) {
		e.SecretSince = secretSince(c)
	}
	for _, u := range f.Uses {
		e.Calls += u.Count
		if u.Last.After(e.LastUse) {
			e.LastUse, e.LastGateway = u.Last, u.Gateway
		}
	}
	for _, g := range f.Rights {
		if g.Grant.Live(now) {
			e.Grants = append(e.Grants, g.Grant.ID)
		}
	}
	if c.State != credential.Revoked && now.Before(c.End()) || c.Expires.IsZero() && c.State != credential.Revoked {
		j := judging{Facts: f, rules: r, now: now, e: &e}
		j.all()
		slices.SortStableFunc(e.Findings, func(a, b Finding) int { return b.Severity.Rank() - a.Severity.Rank() })
	}
	return e
}

// Method is by what a credential is proven.
func Method(c credential.Credential) string {
	if c.Kind == credential.Client && c.OAuth != nil {
		return string(c.OAuth.Method)
	}
	return string(c.Kind)
}

// Constrained reports whether what the credential sends is of use only to who holds a key.
func Constrained(c credential.Credential) bool {
	switch {
	case c.Kind == credential.Certificate:
		return true
	case c.Kind == credential.Client && c.OAuth != nil:
		return c.OAuth.Constrain != "" || c.OAuth.Method == credential.SelfSignedTLS
	}
	return false
}

// hasSecret reports whether both sides know something that proves it.
func hasSecret(c credential.Credential) bool {
	return c.Kind == credential.APIKey || c.Kind == credential.Client && c.OAuth != nil && c.OAuth.Method == credential.ClientSecret
}

// secretSince is when its secret was made.
func secretSince(c credential.Credential) time.Time {
	if c.SecretSince.IsZero() {
		return c.Created
	}
	return c.SecretSince
}
