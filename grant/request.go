package grant

import (
	"fmt"
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

// MayDecide says whether that person may take the next decision: nil, or why not. Separation of duties: nobody decides on
// their own request, and nobody twice on the same one.
func (r Request) MayDecide(by id.ID, roles []string) error {
	if r.State != Open {
		return fault.Of(fault.Conflict, "already-decided", "request %s is already %s", r.ID, r.State)
	}
	if by == "" || by == ByPlan {
		return fault.Of(fault.Forbidden, "in-person", "people decide on requests")
	}
	if by == r.By {
		return fault.Of(fault.Forbidden, "own-request", "nobody decides on their own request")
	}
	for _, e := range r.Decisions {
		if e.By == by {
			return fault.Of(fault.Forbidden, "decided-before", "you have already decided on this request: another person must take the next decision")
		}
	}
	at := r.Stage()
	if at >= len(r.Stages) {
		return fault.New(fault.Conflict, "request %s waits for no decision", r.ID)
	}
	if need := r.Stages[at].Role; !slices.Contains(roles, need) {
		return fault.Of(fault.Forbidden, "role-missing", "stage %q is decided by people with the role %s", r.Stages[at].Name, need)
	}
	return nil
}

// Decide records one decision; it is pure. Who may decide is as MayDecide says. An approver may approve less than was
// asked, never more. done is true when the last stage is through or the request was refused. On an error r is as it was.
func (r Request) Decide(d Decision, roles []string, now time.Time) (_ Request, done bool, _ error) {
	if err := r.MayDecide(d.By, roles); err != nil {
		return r, false, err
	}
	d.Stage, d.At = r.Stage(), now
	fresh := r
	if !d.Approve {
		if d.Reason == "" {
			return r, false, fault.Bad("/reason", "say why: the partner sees it")
		}
		d.Scopes, d.Until = nil, time.Time{}
		fresh.Decisions = append(slices.Clip(r.Decisions), d)
		fresh.State = Refused
		return fresh, true, nil
	}
	scopes, until := r.Allowed(now)
	given := d.Scopes != nil
	if !given {
		d.Scopes = slices.Clone(scopes)
	}
	var wrong []fault.Field
	bad := func(pointer, format string, args ...any) {
		wrong = append(wrong, fault.Field{Pointer: pointer, Text: fmt.Sprintf(format, args...)})
	}
	if given && len(d.Scopes) == 0 && len(scopes) > 0 {
		bad("/scopes", "approve at least one scope, or refuse")
	}
	for i, s := range d.Scopes {
		switch {
		case !slices.Contains(scopes, s):
			bad(fmt.Sprintf("/scopes/%d", i), "%s was not asked for: growing a grant is a new request", s)
		case slices.Contains(d.Scopes[:i], s):
			bad(fmt.Sprintf("/scopes/%d", i), "%s stands twice", s)
		}
	}
	switch {
	case d.Until.After(until):
		bad("/until", "is after %s, the latest end that this request allows", until.UTC().Format(time.RFC3339))
	case !d.Until.IsZero() && !d.Until.After(now), d.Until.IsZero() && !until.After(now):
		bad("/until", "must be in the future")
	}
	if wrong != nil {
		return r, false, fault.BadFields(wrong)
	}
	fresh.Decisions = append(slices.Clip(r.Decisions), d)
	if fresh.Stage() < len(fresh.Stages) {
		return fresh, false, nil
	}
	if last := &fresh.Decisions[len(fresh.Decisions)-1]; last.Until.IsZero() {
		last.Until = until
	}
	fresh.State = Approved
	return fresh, true, nil
}

// Automatic is the decision of a plan that approves by itself: all that was asked for.
func (r Request) Automatic(now time.Time) (Request, error) {
	switch {
	case r.State != Open:
		return r, fault.Of(fault.Conflict, "already-decided", "request %s is already %s", r.ID, r.State)
	case len(r.Stages) > 0:
		return r, fault.New(fault.Conflict, "request %s waits for people", r.ID)
	}
	r.Decisions = append(slices.Clip(r.Decisions), Decision{By: ByPlan, At: now, Approve: true,
		Scopes: slices.Clone(r.Scopes), Until: now.Add(r.Duration), Reason: "the plan approves by itself"})
	r.State = Approved
	return r, nil
}

// Granted is the grant that an approved request becomes.
func (r Request) Granted(i id.ID, now time.Time) (Grant, error) {
	if r.State != Approved || len(r.Decisions) == 0 || r.Grant != "" {
		return Grant{}, fault.New(fault.Conflict, "request %s is not one that becomes a grant", r.ID)
	}
	last := r.Decisions[len(r.Decisions)-1]
	g := Grant{ID: i, Request: r.ID, Organization: r.Organization, Application: r.Application, Environment: r.Environment,
		Product: r.Product, Plan: r.Plan, Scopes: slices.Clone(last.Scopes), Purpose: r.Purpose,
		From: now, Until: last.Until, State: Active}
	for _, d := range r.Decisions {
		if d.Approve && d.By != ByPlan {
			g.ApprovedBy = append(g.ApprovedBy, d.By)
		}
	}
	return g, nil
}

// Withdraw takes the request back.
func (r Request) Withdraw() (Request, error) {
	if r.State != Open {
		return r, fault.New(fault.Conflict, "request %s is already %s", r.ID, r.State)
	}
	r.State = Withdrawn
	return r, nil
}
