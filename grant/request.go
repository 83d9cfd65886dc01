package grant

import (
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// RequestState is where an access request stands.
type RequestState string

// The states of an access request.
const (
	Open      RequestState = "open"
	Approved  RequestState = "approved"
	Refused   RequestState = "refused"
	Withdrawn RequestState = "withdrawn"
	Lapsed    RequestState = "lapsed" // nobody answered in time, or what it was about has ended
)

// Sort is what a request asks for.
type Sort string

// The sorts of requests. Growing a grant asks again; making it smaller asks nobody.
const (
	Fresh     Sort = ""          // a new grant
	Renewal   Sort = "renewal"   // a later end of a grant, and no more than it holds
	Growth    Sort = "growth"    // more scopes, or another plan, of a grant
	Emergency Sort = "emergency" // a short grant at once, approved by two, told to many
)

// Request is an application's wish for a product on a plan, in an environment, with scopes, purpose and duration.
type Request struct {
	ID           id.ID         `json:"id"`
	Organization id.ID         `json:"organization"`
	Application  id.ID         `json:"application"`
	Environment  string        `json:"environment"`
	Product      string        `json:"product"`
	Plan         string        `json:"plan"`
	Scopes       []string      `json:"scopes"`
	Purpose      string        `json:"purpose"`
	Duration     time.Duration `json:"-"` // from the last decision
	By           id.ID         `json:"by"`
	Created      time.Time     `json:"created"`
	State        RequestState  `json:"state"`
	Stages       []Stage       `json:"stages"` // the plan's approval route as it was when the request was made
	Decisions    []Decision    `json:"decisions"`
	Grant        id.ID         `json:"grant,omitempty"` // once approved
	Version      int64         `json:"version"`

	Sort      Sort       `json:"sort,omitempty"`
	Of        id.ID      `json:"of,omitempty"`        // the grant that a renewal or growth is about
	Questions []Question `json:"questions,omitempty"` // of approvers, with the answers
	Rule      *Ruling    `json:"rule,omitempty"`      // what the plan's rules said
	Since     time.Time  `json:"since,omitzero"`      // when what waits now began to wait
	Reminded  bool       `json:"reminded,omitempty"`  // whoever it waits for has been reminded
	Escalated bool       `json:"escalated,omitempty"` // the stage's stand-in may decide as well
}

// Stage is one step of an approval route: so many people with the role must approve.
type Stage struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Count   int    `json:"count"`                    // 1 or more
	Within  int64  `json:"within_seconds,omitempty"` // how long the stage waits; 0: for ever
	StandIn string `json:"stand_in,omitempty"`       // the role that may decide as well, once that time has passed
}

// Time is how long the stage waits; 0: for ever.
func (s Stage) Time() time.Duration { return time.Duration(s.Within) * time.Second }

// Decision is one approver's answer. Scopes, Plan and Until are what was approved: never more than the decision before
// it, or the request, allowed.
type Decision struct {
	Stage   int       `json:"stage"`
	By      id.ID     `json:"by"`
	At      time.Time `json:"at"`
	Approve bool      `json:"approve"`
	Scopes  []string  `json:"scopes,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Plan    string    `json:"plan,omitempty"` // a lower one than asked for; "": no change
	Reason  string    `json:"reason,omitempty"`
	For     id.ID     `json:"for,omitempty"`   // the person whose stand-in decided
	Basis   *Basis    `json:"basis,omitempty"` // the facts that it was decided on
}

// Basis is the facts that were true at a decision.
type Basis struct {
	Revision     int64     `json:"revision"` // of the manifest that the environment offered from
	Organization string    `json:"organization"`
	Verified     time.Time `json:"verified,omitzero"`
	DataClass    string    `json:"data_class,omitempty"`
	Operations   []string  `json:"operations"`         // that the approved scopes open, as api/operation
	Standing     []id.ID   `json:"standing,omitempty"` // what the application held there already
}

// Ruling is what the plan's rules said about a request.
type Ruling struct {
	Rule   string `json:"rule,omitempty"` // the one that spoke; "": none did
	Then   string `json:"then"`           // approve, refuse or people
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"` // why a rule could not be asked: then people decide
}

// Stage is the index of the stage that waits for a decision; len(r.Stages) when none does.
func (r Request) Stage() int {
	for i, s := range r.Stages {
		n := 0
		for _, d := range r.Decisions {
			if d.Stage == i && d.Approve {
				n++
			}
		}
		if n < max(s.Count, 1) {
			return i
		}
	}
	return len(r.Stages)
}

// ByPlan stands for the approver in the decision of a plan that approves by itself.
const ByPlan id.ID = "plan"

// Allowed is what the next decision may allow at most: the scopes, and the end. The time runs from the last decision, so
// an end that an earlier approver did not set bounds nobody.
func (r Request) Allowed(now time.Time) (scopes []string, until time.Time) {
	scopes, until = r.Scopes, now.Add(r.Duration)
	for _, d := range r.Decisions {
		if d.Approve {
			scopes = d.Scopes
			if !d.Until.IsZero() && d.Until.Before(until) {
				until = d.Until
			}
		}
	}
	return scopes, until
}

// Automatic is the decision of a plan that approves by itself: all that was asked for.
func (r Request) Automatic(now time.Time) (Request, error) {
	switch {
	case r.State != Open:
		return r, fault.Of(fault.Conflict, "already-decided", "request %s is already %s", r.ID, r.State)
	case len(r.Stages) > 0 && (r.Rule == nil || r.Rule.Then != "approve"):
		return r, fault.New(fault.Conflict, "request %s waits for people", r.ID)
	}
	r.Decisions = append(slices.Clip(r.Decisions), Decision{By: ByPlan, At: now, Approve: true,
		Scopes: slices.Clone(r.Scopes), Until: now.Add(r.Duration), Reason: r.ruled("the plan approves by itself")})
	r.State = Approved
	return r, nil
}

// Withdraw takes the request back.
func (r Request) Withdraw() (Request, error) {
	if r.State != Open {
		return r, fault.New(fault.Conflict, "request %s is already %s", r.ID, r.State)
	}
	r.State = Withdrawn
	return r, nil
}

// ByRule refuses what a rule of the plan refuses.
func (r Request) ByRule(now time.Time) (Request, error) {
	if r.State != Open || r.Rule == nil || r.Rule.Then != "refuse" {
		return r, fault.New(fault.Conflict, "request %s is not one that a rule refuses", r.ID)
	}
	r.Decisions = append(slices.Clip(r.Decisions), Decision{By: ByPlan, At: now, Reason: r.ruled("a rule of the plan refuses it")})
	r.State = Refused
	return r, nil
}

// ruled is the reason of a decision that nobody took in person.
func (r Request) ruled(otherwise string) string {
	switch {
	case r.Rule == nil || r.Rule.Rule == "":
		return otherwise
	case r.Rule.Reason != "":
		return r.Rule.Reason
	}
	return "rule " + r.Rule.Rule
}

// Lapse ends a request that waits although nothing can come of it any more.
func (r Request) Lapse() (Request, error) {
	if r.State != Open {
		return r, fault.New(fault.Conflict, "request %s is already %s", r.ID, r.State)
	}
	r.State = Lapsed
	return r, nil
}
