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
}

// Stage is one step of an approval route: so many people with the role must approve.
type Stage struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	Count int    `json:"count"` // 1 or more
}

// Decision is one approver's answer. Scopes and Until are what was approved: never more than the decision before
// it, or the request, allowed.
type Decision struct {
	Stage   int       `json:"stage"`
	By      id.ID     `json:"by"`
	At      time.Time `json:"at"`
	Approve bool      `json:"approve"`
	Scopes  []string  `json:"scopes,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Reason  string    `json:"reason,omitempty"`
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

// Allowed is what the next decision may allow at most: the scopes, and the end.
func (r Request) Allowed(now time.Time) (scopes []string, until time.Time) {
	scopes, until = r.Scopes, now.Add(r.Duration)
	for _, d := range r.Decisions {
		if d.Approve {
			scopes = d.Scopes
			if d.Until.Before(until) {
				until = d.Until
			}
		}
	}
	return scopes, until
}

// Decide records one decision; it is pure. Separation of duties: nobody decides on their own request, and nobody
// twice on the same one. An approver may approve less than was asked, never more. done is true when the last stage
// is through or the request was refused.
func (r Request) Decide(d Decision, roles []string, now time.Time) (_ Request, done bool, _ error) {
	if r.State != Open {
		return r, false, fault.Of(fault.Conflict, "already-decided", "request %s is already %s", r.ID, r.State)
	}
	if d.By == r.By {
		return r, false, fault.Of(fault.Forbidden, "own-request", "nobody decides on their own request")
	}
	for _, e := range r.Decisions {
		if e.By == d.By {
			return r, false, fault.Of(fault.Forbidden, "decided-before", "you have already decided on this request: another person must take the next decision")
		}
	}
	d.Stage, d.At = r.Stage(), now
	if d.Stage >= len(r.Stages) {
		return r, false, fault.New(fault.Conflict, "request %s waits for no decision", r.ID)
	}
	if need := r.Stages[d.Stage].Role; !slices.Contains(roles, need) {
		return r, false, fault.Of(fault.Forbidden, "role-missing", "stage %q is decided by people with the role %s", r.Stages[d.Stage].Name, need)
	}
	r.Decisions = append(slices.Clip(r.Decisions), d)
	if !d.Approve {
		if d.Reason == "" {
			return r, false, fault.Bad("/reason", "say why: the partner sees it")
		}
		r.State = Refused
		return r, true, nil
	}
	scopes, until := Request.Allowed(Request{Scopes: r.Scopes, Duration: r.Duration, Decisions: r.Decisions[:len(r.Decisions)-1]}, now)
	last := &r.Decisions[len(r.Decisions)-1]
	if last.Scopes == nil {
		last.Scopes = scopes
	}
	if last.Until.IsZero() {
		last.Until = until
	}
	if len(last.Scopes) == 0 {
		return r, false, fault.Bad("/scopes", "approve at least one scope, or refuse")
	}
	for _, s := range last.Scopes {
		if !slices.Contains(scopes, s) {
			return r, false, fault.Bad("/scopes", "%s was not asked for: growing a grant is a new request", s)
		}
	}
	if last.Until.After(until) {
		return r, false, fault.Bad("/until", "is after %s, the latest end that this request allows", until.UTC().Format(time.RFC3339))
	}
	if !last.Until.After(now) {
		return r, false, fault.Bad("/until", "must be in the future")
	}
	if r.Stage() < len(r.Stages) {
		return r, false, nil
	}
	r.State = Approved
	return r, true, nil
}

// Withdraw takes the request back.
func (r Request) Withdraw() (Request, error) {
	if r.State != Open {
		return r, fault.New(fault.Conflict, "request %s is already %s", r.ID, r.State)
	}
	r.State = Withdrawn
	return r, nil
}
