// Package review is the campaign in which whoever answers for grants confirms, narrows or ends them; silence ends them.
package review

import (
	"context"
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// State is where a campaign stands. That its time is over is no state: see Over.
type State string

// The states of a campaign.
const (
	Open      State = "open"
	Closed    State = "closed" // every item is answered, by people or by silence, and the report is sealed
	Cancelled State = "cancelled"
)

// Who is asked in a campaign.
type Who string

// Who can be asked.
const (
	Both      Who = "both"      // either of the two
	Owners    Who = "owners"    // whoever answers for the application
	APIOwners Who = "api-owner" // whoever has that role of the platform for an API of the product
)

// ItemsMost is how many grants one campaign asks about at most: its report is one entry of the audit log.
const ItemsMost = 2000

// longest is how long a campaign can run.
const longest = 366 * 24 * time.Hour

// Selection is which grants a campaign asks about: those that match everything that is set.
type Selection struct {
	API          string    `json:"api,omitempty"`
	Product      string    `json:"product,omitempty"`
	Organization id.ID     `json:"organization,omitempty"`
	Environment  string    `json:"environment,omitempty"`
	OlderThan    int64     `json:"older_than_seconds,omitempty"` // begun or last confirmed so long ago
	Dormant      int64     `json:"dormant_seconds,omitempty"`    // not used for so long
	Expiring     time.Time `json:"expiring,omitzero"`            // whose end is before this
}

// Review is one campaign.
type Review struct {
	ID        id.ID     `json:"id"`
	Name      string    `json:"name"`
	Selection Selection `json:"selection"`
	Reviewers Who       `json:"reviewers"`
	By        id.ID     `json:"by,omitempty"` // who started it
	Created   time.Time `json:"created"`
	Ends      time.Time `json:"ends"` // an answer counts before this instant and not at it
	State     State     `json:"state"`
	Reason    string    `json:"reason,omitempty"` // why it was cancelled
	Reminded  int       `json:"reminded"`         // how often those who have not answered were reminded
	Items     int       `json:"items"`
	Closed    time.Time `json:"closed,omitzero"`
	Version   int64     `json:"version"`
}

// Start checks a fresh campaign. It must end in the future, within a year.
func Start(r Review, now time.Time) (Review, error) {
	switch {
	case !r.Ends.After(now):
		return r, fault.Bad("/ends", "must be in the future: what nobody has answered then ends")
	case r.Ends.After(now.Add(longest)):
		return r, fault.Bad("/ends", "must be within a year")
	case r.Reviewers == "":
		r.Reviewers = Both
	case !slices.Contains([]Who{Both, Owners, APIOwners}, r.Reviewers):
		return r, fault.Bad("/reviewers", "must be one of both, owners, api-owner")
	}
	if r.Selection.OlderThan < 0 {
		return r, fault.Bad("/older_than", "must be a time span")
	}
	if r.Selection.Dormant < 0 {
		return r, fault.Bad("/dormant", "must be a time span")
	}
	r.State, r.Created = Open, now
	return r, nil
}

// Over reports whether the campaign takes no more answers.
func (r Review) Over(now time.Time) bool { return r.State != Open || !now.Before(r.Ends) }

// Standing is the word for how the campaign stands at that time: open, closing, closed or cancelled.
func (r Review) Standing(now time.Time) string {
	if r.State == Open && r.Over(now) {
		return "closing"
	}
	return string(r.State)
}

// Cancel ends the campaign without any consequence for what was not answered.
func (r Review) Cancel(reason string, now time.Time) (Review, error) {
	if r.Over(now) {
		return r, fault.Of(fault.Conflict, "review-over", "the review is %s", r.Standing(now))
	}
	r.State, r.Reason, r.Closed = Cancelled, reason, now
	return r, nil
}

// Close ends a campaign whose time is over.
func (r Review) Close(now time.Time) (Review, error) {
	if r.State != Open || !r.Over(now) {
		return r, fault.Of(fault.Conflict, "review-open", "the review is %s until %s", r.Standing(now), r.Ends.UTC().Format(time.RFC3339))
	}
	r.State, r.Closed = Closed, now
	return r, nil
}

// Remind is the campaign after the reminder that is due at that time, if one is: when half of its time is over, and when a day
// of it is left. Of two that came due together one is sent.
func (r Review) Remind(now time.Time) (Review, bool) {
	if r.Over(now) {
		return r, false
	}
	due := 0
	half, day := r.Created.Add(r.Ends.Sub(r.Created)/2), r.Ends.Add(-24*time.Hour)
	if !now.Before(half) {
		due++
	}
	if day.After(half) && !now.Before(day) {
		due++
	}
	if due <= r.Reminded {
		return r, false
	}
	r.Reminded = due
	return r, true
}

// Filter selects items. Empty fields select all.
type Filter struct {
	Review       id.ID
	Organization id.ID
	Grant        id.ID
	State        ItemState
}

// Store keeps campaigns.
type Store interface {
	// Review returns one, or fault.NotFound.
	Review(ctx context.Context, i id.ID) (Review, error)
	// PutReview inserts when r.Version is 0, else replaces the row of that version, and returns r with its new version.
	// Another version is fault.Stale.
	PutReview(ctx context.Context, r Review) (Review, error)
	// Reviews lists by ID, ascending, after the given one; a state other than "" selects.
	Reviews(ctx context.Context, s State, after id.ID, limit int) ([]Review, error)
	// ReviewItem returns one, or fault.NotFound.
	ReviewItem(ctx context.Context, i id.ID) (Item, error)
	// PutReviewItem inserts when i.Version is 0, else replaces the row of that version, and returns i with its new version.
	// Another version is fault.Stale: of two reviewers at the same moment one answers.
	PutReviewItem(ctx context.Context, i Item) (Item, error)
	// ReviewItems lists by ID, ascending, after the given one.
	ReviewItems(ctx context.Context, f Filter, after id.ID, limit int) ([]Item, error)
	// ReviewCounts is how many items of a campaign are in each state; of an organization other than "" its own only.
	ReviewCounts(ctx context.Context, review, organization id.ID) (map[ItemState]int, error)
}
