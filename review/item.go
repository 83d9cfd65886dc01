package review

import (
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// ItemState is what came of the question about one grant.
type ItemState string

// The states of an item.
const (
	Waiting   ItemState = "waiting"
	Confirmed ItemState = "confirmed"
	Narrowed  ItemState = "narrowed"
	Ended     ItemState = "ended"     // by a reviewer
	Silent    ItemState = "silent"    // nobody answered: the grant was ended
	Renewed   ItemState = "renewed"   // its renewal or growth was approved meanwhile, which answers the question
	Moot      ItemState = "over"      // the grant was over before anybody answered
	Dropped   ItemState = "cancelled" // the campaign was
)

// ItemStates are all states, in the order in which people read them.
func ItemStates() []ItemState {
	return []ItemState{Waiting, Confirmed, Narrowed, Ended, Silent, Renewed, Moot, Dropped}
}

// Facts is the evidence on which a grant is reviewed.
type Facts struct {
	At          time.Time `json:"at"`     // as of
	From        time.Time `json:"from"`   // when the grant began
	Until       time.Time `json:"until"`  // when it ends
	Plan        string    `json:"plan"`   // of the grant
	Scopes      []string  `json:"scopes"` // granted
	Used        []string  `json:"used"`   // those of them that the operations called needed
	UsedKnown   bool      `json:"used_known"`
	Calls       int64     `json:"calls"`
	Last        time.Time `json:"last,omitzero"` // of a call; zero: none is known
	Operations  []string  `json:"operations"`    // called, as API/operation
	Credentials []id.ID   `json:"credentials"`   // that count, with which it can be used
	ApprovedBy  []id.ID   `json:"approved_by"`
	RequestedBy id.ID     `json:"requested_by,omitempty"`
	Renewal     id.ID     `json:"renewal,omitempty"` // a request for a later end, or for more, that waits
}

// Item is the question about one grant.
type Item struct {
	ID           id.ID     `json:"id"`
	Review       id.ID     `json:"review"`
	Name         string    `json:"name"` // of the campaign
	Ends         time.Time `json:"ends"` // with it
	Organization id.ID     `json:"organization"`
	Application  id.ID     `json:"application"`
	Environment  string    `json:"environment"`
	Product      string    `json:"product"`
	Grant        id.ID     `json:"grant"`
	Request      id.ID     `json:"request"` // by which the grant was what it is when the campaign began
	Asked        Who       `json:"asked"`
	Reviewers    []id.ID   `json:"reviewers"` // people who were asked
	Facts        Facts     `json:"facts"`     // as of the start, and as of the answer once there is one
	State        ItemState `json:"state"`
	By           id.ID     `json:"by,omitempty"`  // who answered
	For          id.ID     `json:"for,omitempty"` // in whose place
	At           time.Time `json:"at,omitzero"`
	Reason       string    `json:"reason,omitempty"`
	Scopes       []string  `json:"scopes,omitempty"` // that stay, when narrowed
	Until        time.Time `json:"until,omitzero"`   // the earlier end, when narrowed
	Version      int64     `json:"version"`
}

// Answer is what a reviewer says.
type Answer string

// The answers.
const (
	Confirm Answer = "confirm"
	Narrow  Answer = "narrow"
	End     Answer = "end"
)

// Reviewer is who answers.
type Reviewer struct {
	Person    id.ID
	Owner     id.ID   // who answers for the application now
	Maker     id.ID   // of the application
	Requester id.ID   // who asked for the grant as it is now
	Any       bool    // may answer every item of the place: an admin, or an API owner where API owners are asked
	For       []id.ID // absent people in whose place
}

// MayAnswer says whether the person may give the answer, and in whose place ("" for their own). Those who were asked may, and
// whoever answers for the application now, if owners are asked. Nobody confirms what they asked for themselves, nor the grant of
// an application that they made and do not answer for; to make access smaller is never refused for that.
func (i Item) MayAnswer(r Reviewer, a Answer) (place id.ID, _ error) {
	if r.Person == "" {
		return "", fault.New(fault.Forbidden, "people review grants, nobody else")
	}
	asked := func(p id.ID) bool {
		return slices.Contains(i.Reviewers, p) || p == r.Owner && i.Asked != APIOwners
	}
	own := func(p id.ID) bool { return p == r.Requester || p == r.Maker && p != r.Owner }
	if asked(r.Person) || r.Any {
		if a == Confirm && own(r.Person) {
			return "", fault.Of(fault.Forbidden, "own-grant", "nobody confirms a grant that they asked for themselves: you can narrow or end it, and others can confirm it")
		}
		return "", nil
	}
	for _, p := range r.For {
		if asked(p) && !(a == Confirm && (own(p) || own(r.Person))) {
			return p, nil
		}
	}
	return "", fault.Of(fault.Forbidden, "not-a-reviewer", "you were not asked about this grant")
}

// answer is the item with an answer. The campaign must take answers still.
func (i Item) answer(to ItemState, r Review, by, place id.ID, reason string, now time.Time) (Item, error) {
	if i.State != Waiting {
		return i, fault.Of(fault.Conflict, "review-answered", "the question about grant %s is answered: %s", i.Grant, i.State)
	}
	if r.ID != i.Review || r.Over(now) {
		return i, fault.Of(fault.Conflict, "review-over", "the review is %s: it takes no more answers", r.Standing(now))
	}
	i.State, i.By, i.For, i.At, i.Reason = to, by, place, now, reason
	return i, nil
}

// Confirm says that the grant is still needed as it is.
func (i Item) Confirm(r Review, by, place id.ID, reason string, now time.Time) (Item, error) {
	return i.answer(Confirmed, r, by, place, reason, now)
}

// Narrow says that less is needed: what stays is told too.
func (i Item) Narrow(r Review, by, place id.ID, reason string, scopes []string, until, now time.Time) (Item, error) {
	i, err := i.answer(Narrowed, r, by, place, reason, now)
	if err == nil {
		i.Scopes, i.Until = slices.Clone(scopes), until
	}
	return i, err
}

// End says that the grant is not needed any more.
func (i Item) End(r Review, by, place id.ID, reason string, now time.Time) (Item, error) {
	return i.answer(Ended, r, by, place, reason, now)
}

// Grant is what an item asks of the grant as it is now.
type Grant struct {
	Over     bool  // ended or expired
	Request  id.ID // by which it is what it is
	ByPeople bool  // people approved that request: a plan that decides by itself looks at nothing
}

// Settle answers by itself what nobody needs to be asked any more: the grant is over, or people approved its renewal or growth
// after the campaign began, and so looked at it then. ok is false for what waits on.
func (i Item) Settle(g Grant, now time.Time) (_ Item, ok bool) {
	if i.State != Waiting {
		return i, false
	}
	switch {
	case g.Over:
		i.State = Moot
	case g.Request != i.Request && g.ByPeople:
		i.State = Renewed
	default:
		return i, false
	}
	i.At = now
	return i, true
}

// Silence answers what nobody answered, once the campaign is over: the grant is to be ended. A renewal that waits is no answer.
func (i Item) Silence(r Review, now time.Time) (Item, error) {
	if i.State != Waiting || r.ID != i.Review || r.State != Open || !r.Over(now) {
		return i, fault.Of(fault.Conflict, "review-open", "item %s is %s, and its review is %s", i.ID, i.State, r.Standing(now))
	}
	i.State, i.At = Silent, now
	return i, nil
}

// Drop takes the question back, when the campaign is cancelled.
func (i Item) Drop(reason string, now time.Time) (Item, error) {
	if i.State != Waiting {
		return i, fault.Of(fault.Conflict, "review-answered", "the question about grant %s is answered: %s", i.Grant, i.State)
	}
	i.State, i.Reason, i.At = Dropped, reason, now
	return i, nil
}
