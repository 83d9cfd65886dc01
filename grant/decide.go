package grant

import (
	"fmt"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Decider is who wants to decide.
type Decider struct {
	Person       id.ID
	Organization id.ID    // of a member; people of the platform have none
	Roles        []string // that count where the request is
	For          []Absent
}

// Absent is a person whom the decider stands in for, with that person's roles.
type Absent struct {
	Person id.ID
	Roles  []string
}

// holds reports whether one of the roles is enough for the stage.
func holds(have []string, names []string) bool {
	return slices.ContainsFunc(have, func(r string) bool { return slices.Contains(names, r) })
}

// MayDecide says whether that person may take the next decision: nil, or why not. Separation of duties: nobody decides on
// their own request or for their own organization, and nobody twice on the same one, by whatever role.
func (r Request) MayDecide(by Decider) error {
	_, err := r.decides(by)
	return err
}

// decides returns the person whose role is used: "" for the decider's own.
func (r Request) decides(by Decider) (id.ID, error) {
	if r.State != Open {
		return "", fault.Of(fault.Conflict, "already-decided", "request %s is already %s", r.ID, r.State)
	}
	if by.Person == "" || by.Person == ByPlan {
		return "", fault.Of(fault.Forbidden, "in-person", "people decide on requests")
	}
	if by.Person == r.By {
		return "", fault.Of(fault.Forbidden, "own-request", "nobody decides on their own request")
	}
	if by.Organization != "" {
		return "", fault.Of(fault.Forbidden, "own-organization", "nobody decides for an organization that they belong to")
	}
	if r.spoke(by.Person) {
		return "", fault.Of(fault.Forbidden, "decided-before", "you have already decided on this request: another person must take the next decision")
	}
	at := r.Stage()
	if at >= len(r.Stages) {
		return "", fault.New(fault.Conflict, "request %s waits for no decision", r.ID)
	}
	s := r.Stages[at]
	names := []string{s.Role}
	if r.Escalated && s.StandIn != "" {
		names = append(names, s.StandIn)
	}
	if holds(by.Roles, names) {
		return "", nil
	}
	for _, a := range by.For {
		// Whoever is absent could not decide either: neither on their own request, nor twice.
		if a.Person != r.By && a.Person != by.Person && !r.spoke(a.Person) && holds(a.Roles, names) {
			return a.Person, nil
		}
	}
	return "", fault.Of(fault.Forbidden, "role-missing", "stage %q is decided by people with the role %s", s.Name, s.Role)
}

// spoke reports whether a decision was taken by the person, or in the person's place.
func (r Request) spoke(p id.ID) bool {
	return slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.By == p || d.For == p })
}

// Decide records one decision; it is pure. Who may decide is as MayDecide says. An approver may approve less than was
// asked, never more. done is true when the last stage is through or the request was refused. On an error r is as it was.
func (r Request) Decide(d Decision, by Decider, now time.Time) (_ Request, done bool, err error) {
	by.Person = d.By
	if d.For, err = r.decides(by); err != nil {
		return r, false, err
	}
	if q, waits := r.Waiting(); waits && d.Approve {
		return r, false, fault.Of(fault.Conflict, "question-open", "the question %q waits for an answer: approve after it, or refuse", q.Text)
	}
	d.Stage, d.At = r.Stage(), now
	fresh := r
	if !d.Approve {
		if d.Reason == "" {
			return r, false, fault.Bad("/reason", "say why: the partner sees it")
		}
		d.Scopes, d.Until, d.Plan = nil, time.Time{}, ""
		fresh.Decisions = append(slices.Clip(r.Decisions), d)
		fresh.State = Refused
		return fresh, true, nil
	}
	if d, err = r.within(d, now); err != nil {
		return r, false, err
	}
	fresh.Decisions = append(slices.Clip(r.Decisions), d)
	fresh = fresh.waits(now)
	if at := fresh.Stage(); at < len(fresh.Stages) {
		fresh.Escalated = r.Escalated && at == d.Stage
		return fresh, false, nil
	}
	if last := &fresh.Decisions[len(fresh.Decisions)-1]; last.Until.IsZero() {
		_, last.Until = r.Allowed(now)
	}
	fresh.State = Approved
	return fresh, true, nil
}

// within checks that an approval is of no more than is still allowed, and fills in what it leaves out.
func (r Request) within(d Decision, now time.Time) (Decision, error) {
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
	if d.Plan == r.AllowedPlan() {
		d.Plan = ""
	}
	if wrong != nil {
		return d, fault.BadFields(wrong)
	}
	return d, nil
}

// AllowedPlan is the plan that the request is on by now: the one asked for, or the lower one that an approver chose.
func (r Request) AllowedPlan() string {
	for _, d := range slices.Backward(r.Decisions) {
		if d.Approve && d.Plan != "" {
			return d.Plan
		}
	}
	return r.Plan
}
