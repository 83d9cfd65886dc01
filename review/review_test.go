package review_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/review"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func started(t *testing.T, span time.Duration) review.Review {
	t.Helper()
	r, err := review.Start(review.Review{ID: "rev_1", Ends: now.Add(span)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStart(t *testing.T) {
	if r := started(t, day); r.State != review.Open || r.Reviewers != review.Both || !r.Created.Equal(now) {
		t.Errorf("started %+v", r)
	}
	for name, r := range map[string]review.Review{
		"without an end":    {},
		"that ends now":     {Ends: now},
		"for two years":     {Ends: now.Add(730 * day)},
		"asking nobody":     {Ends: now.Add(day), Reviewers: "nobody"},
		"of negative age":   {Ends: now.Add(day), Selection: review.Selection{OlderThan: -1}},
		"of negative times": {Ends: now.Add(day), Selection: review.Selection{Dormant: -1}},
	} {
		if _, err := review.Start(r, now); !errors.Is(err, fault.Invalid) {
			t.Errorf("a campaign %s: %v", name, err)
		}
	}
}

func TestReviewIsOverAtItsEnd(t *testing.T) {
	r := started(t, day)
	for _, c := range []struct {
		at   time.Time
		over bool
		word string
	}{{now, false, "open"}, {r.Ends.Add(-1), false, "open"}, {r.Ends, true, "closing"}, {r.Ends.Add(day), true, "closing"}} {
		if r.Over(c.at) != c.over || r.Standing(c.at) != c.word {
			t.Errorf("%s before its end: over %v, %s", r.Ends.Sub(c.at), r.Over(c.at), r.Standing(c.at))
		}
	}
	if _, err := r.Close(r.Ends.Add(-1)); !errors.Is(err, fault.Conflict) {
		t.Errorf("closed before its end: %v", err)
	}
	if _, err := r.Cancel("r", r.Ends); !errors.Is(err, fault.Conflict) {
		t.Errorf("cancelled at its end: %v", err)
	}
	closed, err := r.Close(r.Ends)
	if err != nil || closed.State != review.Closed {
		t.Errorf("closed: %+v, %v", closed, err)
	}
	if _, err := closed.Close(r.Ends); !errors.Is(err, fault.Conflict) {
		t.Errorf("closed twice: %v", err)
	}
}

func TestReminders(t *testing.T) {
	for name, c := range map[string]struct {
		span time.Duration
		at   []time.Duration // looked at, one after another
		want []bool
	}{
		"ten days":               {10 * day, []time.Duration{0, 5*day - 1, 5 * day, 6 * day, 9 * day, 9*day + 1, 10 * day}, []bool{false, false, true, false, true, false, false}},
		"seen late, once":        {10 * day, []time.Duration{9 * day, 9*day + 1}, []bool{true, false}},
		"a day, so half of it":   {day, []time.Duration{day/2 - 1, day / 2, 23 * time.Hour}, []bool{false, true, false}},
		"two days: both are one": {2 * day, []time.Duration{day, day + 1}, []bool{true, false}},
	} {
		r := started(t, c.span)
		for n, at := range c.at {
			next, due := r.Remind(now.Add(at))
			if r = next; due != c.want[n] {
				t.Errorf("%s: after %s reminded %v", name, at, due)
			}
		}
	}
}

func waiting() review.Item {
	return review.Item{ID: "rvi_1", Review: "rev_1", Grant: "gr_1", Request: "req_1", Asked: review.Both, Reviewers: []id.ID{"per_api", "per_owner"}, State: review.Waiting}
}

func TestMayAnswer(t *testing.T) {
	as := func(p id.ID, change func(*review.Reviewer)) review.Reviewer {
		r := review.Reviewer{Person: p, Owner: "per_owner", Maker: "per_maker", Requester: "per_asked"}
		if change != nil {
			change(&r)
		}
		return r
	}
	for name, c := range map[string]struct {
		asked        review.Who
		r            review.Reviewer
		confirm, end string // the code of the refusal; "" is yes
		place        id.ID
	}{
		"who was asked":                       {review.Both, as("per_api", nil), "", "", ""},
		"nobody":                              {review.Both, as("", nil), "-", "-", ""},
		"a stranger":                          {review.Both, as("per_x", nil), "not-a-reviewer", "not-a-reviewer", ""},
		"who asked for it":                    {review.Both, as("per_asked", nil), "not-a-reviewer", "not-a-reviewer", ""},
		"an admin":                            {review.Both, as("per_x", func(r *review.Reviewer) { r.Any = true }), "", "", ""},
		"an admin who asked for it":           {review.Both, as("per_asked", func(r *review.Reviewer) { r.Any = true }), "own-grant", "", ""},
		"an admin who made the application":   {review.Both, as("per_maker", func(r *review.Reviewer) { r.Any = true }), "own-grant", "", ""},
		"the owner who made the application":  {review.Both, as("per_owner", func(r *review.Reviewer) { r.Maker = "per_owner" }), "", "", ""},
		"the owner who asked for it":          {review.Both, as("per_owner", func(r *review.Reviewer) { r.Requester = "per_owner" }), "own-grant", "", ""},
		"the owner since yesterday":           {review.Both, as("per_new", func(r *review.Reviewer) { r.Owner = "per_new" }), "", "", ""},
		"the owner, where only API owners":    {review.APIOwners, as("per_new", func(r *review.Reviewer) { r.Owner = "per_new" }), "not-a-reviewer", "not-a-reviewer", ""},
		"a stand-in":                          {review.Both, as("per_x", func(r *review.Reviewer) { r.For = []id.ID{"per_y", "per_api"} }), "", "", "per_api"},
		"a stand-in who asked for it":         {review.Both, as("per_asked", func(r *review.Reviewer) { r.For = []id.ID{"per_api"} }), "not-a-reviewer", "", "per_api"},
		"a stand-in of one who asked for it":  {review.Both, as("per_x", func(r *review.Reviewer) { r.For, r.Requester = []id.ID{"per_api"}, "per_api" }), "not-a-reviewer", "", "per_api"},
		"a stand-in of one who was not asked": {review.Both, as("per_x", func(r *review.Reviewer) { r.For = []id.ID{"per_y"} }), "not-a-reviewer", "not-a-reviewer", ""},
	} {
		i := waiting()
		i.Asked = c.asked
		for a, want := range map[review.Answer]string{review.Confirm: c.confirm, review.Narrow: c.end, review.End: c.end} {
			place, err := i.MayAnswer(c.r, a)
			switch {
			case want == "" && (err != nil || place != c.place):
				t.Errorf("%s may not %s: %v (for %q)", name, a, err, place)
			case want != "" && (!errors.Is(err, fault.Forbidden) || want != "-" && fault.As(err).Code != want):
				t.Errorf("%s may %s: %v, want %s", name, a, err, want)
			}
		}
	}
}

func TestAnAnswerCountsOnceAndInTime(t *testing.T) {
	r, i := started(t, day), waiting()
	done, err := i.Confirm(r, "per_1", "per_2", "yes", now)
	if err != nil || done.State != review.Confirmed || done.By != "per_1" || done.For != "per_2" || !done.At.Equal(now) {
		t.Errorf("confirmed: %+v, %v", done, err)
	}
	if _, err := done.End(r, "per_1", "", "no", now); !errors.Is(err, fault.Conflict) {
		t.Errorf("a second answer: %v", err)
	}
	if _, err := i.End(r, "per_1", "", "late", r.Ends); !errors.Is(err, fault.Conflict) {
		t.Errorf("at the end: %v", err)
	}
	other := r
	other.ID = "rev_2"
	if _, err := i.Confirm(other, "per_1", "", "", now); !errors.Is(err, fault.Conflict) {
		t.Errorf("in another campaign: %v", err)
	}
	cancelled, err := r.Cancel("r", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Narrow(cancelled, "per_1", "", "r", nil, time.Time{}, now); !errors.Is(err, fault.Conflict) {
		t.Errorf("after it was cancelled: %v", err)
	}
}

func TestSilence(t *testing.T) {
	r, i := started(t, day), waiting()
	if _, err := i.Silence(r, r.Ends.Add(-1)); !errors.Is(err, fault.Conflict) {
		t.Errorf("before the end: %v", err)
	}
	silent, err := i.Silence(r, r.Ends)
	if err != nil || silent.State != review.Silent || silent.By != "" {
		t.Errorf("at the end: %+v, %v", silent, err)
	}
	if _, err := silent.Silence(r, r.Ends); !errors.Is(err, fault.Conflict) {
		t.Errorf("twice: %v", err)
	}
}

func TestSettle(t *testing.T) {
	for name, c := range map[string]struct {
		g    review.Grant
		want review.ItemState
	}{
		"as it was":               {review.Grant{Request: "req_1", ByPeople: true}, review.Waiting},
		"over":                    {review.Grant{Request: "req_1", Over: true}, review.Moot},
		"renewed by people":       {review.Grant{Request: "req_2", ByPeople: true}, review.Renewed},
		"renewed by its plan":     {review.Grant{Request: "req_2"}, review.Waiting},
		"renewed, and then ended": {review.Grant{Request: "req_2", ByPeople: true, Over: true}, review.Moot},
	} {
		got, ok := waiting().Settle(c.g, now)
		if got.State != c.want || ok != (c.want != review.Waiting) {
			t.Errorf("%s: %s, %v", name, got.State, ok)
		}
	}
}
