package grant_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
)

var (
	now  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	from = now.Add(-time.Hour)
	end  = now.Add(time.Hour)
)

func TestStanding(t *testing.T) {
	for _, c := range []struct {
		name string
		g    grant.Grant
		want string
		live bool
	}{
		{"within its time", grant.Grant{State: grant.Active, From: from, Until: end}, "active", true},
		{"at its first instant", grant.Grant{State: grant.Active, From: now, Until: end}, "active", true},
		{"at its end", grant.Grant{State: grant.Active, From: from, Until: now}, "expired", false},
		{"before its start", grant.Grant{State: grant.Active, From: now.Add(1), Until: end}, "upcoming", false},
		{"suspended", grant.Grant{State: grant.Suspended, From: from, Until: end}, "suspended", false},
		{"suspended and over", grant.Grant{State: grant.Suspended, From: from, Until: now}, "expired", false},
		{"ended before its end", grant.Grant{State: grant.Ended, From: from, Until: end}, "ended", false},
		{"the zero grant", grant.Grant{}, "expired", false},
	} {
		if got := c.g.Standing(now); got != c.want || c.g.Live(now) != c.live {
			t.Errorf("%s: %s and live %v, want %s and %v", c.name, got, c.g.Live(now), c.want, c.live)
		}
	}
}

func TestTurns(t *testing.T) {
	of := func(s grant.State, until time.Time) grant.Grant {
		return grant.Grant{ID: "gr_1", State: s, From: from, Until: until}
	}
	turns := map[string]func(grant.Grant) (grant.Grant, error){
		"suspend": func(g grant.Grant) (grant.Grant, error) { return g.Suspend("why", now) },
		"resume":  func(g grant.Grant) (grant.Grant, error) { return g.Resume("why", now) },
		"end":     func(g grant.Grant) (grant.Grant, error) { return g.End("why", now) },
	}
	for _, c := range []struct {
		from  grant.State
		until time.Time
		may   map[string]grant.State
	}{
		{grant.Active, end, map[string]grant.State{"suspend": grant.Suspended, "end": grant.Ended}},
		{grant.Suspended, end, map[string]grant.State{"resume": grant.Active, "end": grant.Ended}},
		{grant.Ended, end, nil},
		{grant.Active, now, nil},
		{grant.Suspended, now, nil},
	} {
		for name, turn := range turns {
			before := of(c.from, c.until)
			got, err := turn(before)
			want, may := c.may[name]
			if may && (err != nil || got.State != want || got.Reason != "why" || !got.Until.Equal(before.Until)) {
				t.Errorf("%s of %s: %+v, %v", name, c.from, got, err)
			}
			if !may {
				if !errors.Is(err, fault.Conflict) {
					t.Errorf("%s of %s until %s: error %v, want a conflict", name, c.from, c.until, err)
				}
				if d := cmp.Diff(before, got); d != "" {
					t.Errorf("a refused %s changed the grant: %s", name, d)
				}
			}
		}
	}
}

func TestCovers(t *testing.T) {
	g := grant.Grant{Scopes: []string{"a", "b"}}
	for _, c := range []struct {
		need []string
		want bool
	}{{nil, true}, {[]string{"a"}, true}, {[]string{"b", "a"}, true}, {[]string{"a", "c"}, false}, {[]string{"A"}, false}, {[]string{""}, false}} {
		if got := g.Covers(c.need); got != c.want {
			t.Errorf("covers %q: %v", c.need, got)
		}
	}
}

// open is a request on two stages, of which the second needs two people.
func open() grant.Request {
	return grant.Request{ID: "req_1", By: "per_asker", State: grant.Open, Scopes: []string{"a", "b"}, Duration: 24 * time.Hour,
		Stages: []grant.Stage{{Name: "owner", Role: "approver", Count: 1}, {Name: "operations", Role: "operator", Count: 2}}}
}

var both = []string{"approver", "operator"}

// anyone is somebody with the roles, over everything.
func anyone(roles []string) grant.Decider { return grant.Decider{Roles: roles} }

func yes(by id.ID) grant.Decision { return grant.Decision{By: by, Approve: true} }

func TestDecide(t *testing.T) {
	later := func(d time.Duration) time.Time { return now.Add(d) }
	after := func(ds ...grant.Decision) grant.Request {
		r := open()
		for _, d := range ds {
			var err error
			if r, _, err = r.Decide(d, anyone(both), now); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	less := grant.Decision{By: "per_1", Approve: true, Scopes: []string{"b"}, Until: later(time.Hour)}
	for _, c := range []struct {
		name  string
		r     grant.Request
		d     grant.Decision
		roles []string
		at    time.Time

		kind    fault.Kind // of the refusal; "" when it is taken
		code    string
		pointer string
		state   grant.RequestState
		done    bool
		scopes  []string
		until   time.Time
	}{
		{name: "first stage", r: open(), d: yes("per_1"), state: grant.Open, scopes: []string{"a", "b"}},
		{name: "first stage, less", r: open(), d: less, state: grant.Open, scopes: []string{"b"}, until: later(time.Hour)},
		{name: "second stage keeps the first's bounds", r: after(less), d: yes("per_2"), state: grant.Open, scopes: []string{"b"}},
		{name: "last decision", r: after(yes("per_1"), yes("per_2")), d: yes("per_3"), state: grant.Approved, done: true, scopes: []string{"a", "b"}, until: later(24 * time.Hour)},
		{name: "the time runs from the last decision", r: after(yes("per_1"), yes("per_2")), d: yes("per_3"), at: later(time.Hour * 100), state: grant.Approved, done: true, scopes: []string{"a", "b"}, until: later(124 * time.Hour)},
		{name: "but not past what an earlier approver set", r: after(less, yes("per_2")), d: yes("per_3"), at: later(30 * time.Minute), state: grant.Approved, done: true, scopes: []string{"b"}, until: later(time.Hour)},
		{name: "when that is over", r: after(less, yes("per_2")), d: yes("per_3"), at: later(2 * time.Hour), kind: fault.Invalid, pointer: "/until"},
		{name: "refused at once", r: after(yes("per_1")), d: grant.Decision{By: "per_2", Reason: "no", Scopes: []string{"a"}, Until: end}, state: grant.Refused, done: true},
		{name: "refused without a reason", r: open(), d: grant.Decision{By: "per_1"}, kind: fault.Invalid, pointer: "/reason"},
		{name: "one's own", r: open(), d: yes("per_asker"), kind: fault.Forbidden, code: "own-request"},
		{name: "refusing one's own", r: open(), d: grant.Decision{By: "per_asker", Reason: "r"}, kind: fault.Forbidden, code: "own-request"},
		{name: "twice", r: after(yes("per_1")), d: yes("per_1"), kind: fault.Forbidden, code: "decided-before"},
		{name: "nobody", r: open(), d: yes(""), kind: fault.Forbidden, code: "in-person"},
		{name: "in the plan's name", r: open(), d: yes(grant.ByPlan), kind: fault.Forbidden, code: "in-person"},
		{name: "without the role", r: open(), d: yes("per_1"), roles: []string{"operator"}, kind: fault.Forbidden, code: "role-missing"},
		{name: "with no role", r: open(), d: yes("per_1"), roles: []string{}, kind: fault.Forbidden, code: "role-missing"},
		{name: "more scopes", r: open(), d: grant.Decision{By: "per_1", Approve: true, Scopes: []string{"a", "c"}}, kind: fault.Invalid, pointer: "/scopes/1"},
		{name: "more than the one before allowed", r: after(less), d: grant.Decision{By: "per_2", Approve: true, Scopes: []string{"a"}}, kind: fault.Invalid, pointer: "/scopes/0"},
		{name: "no scopes", r: open(), d: grant.Decision{By: "per_1", Approve: true, Scopes: []string{}}, kind: fault.Invalid, pointer: "/scopes"},
		{name: "a scope twice", r: open(), d: grant.Decision{By: "per_1", Approve: true, Scopes: []string{"a", "a"}}, kind: fault.Invalid, pointer: "/scopes/1"},
		{name: "longer", r: open(), d: grant.Decision{By: "per_1", Approve: true, Until: later(24*time.Hour + 1)}, kind: fault.Invalid, pointer: "/until"},
		{name: "in the past", r: open(), d: grant.Decision{By: "per_1", Approve: true, Until: now}, kind: fault.Invalid, pointer: "/until"},
		{name: "decided already", r: grant.Request{State: grant.Approved}, d: yes("per_1"), kind: fault.Conflict, code: "already-decided"},
		{name: "withdrawn", r: grant.Request{State: grant.Withdrawn}, d: yes("per_1"), kind: fault.Conflict, code: "already-decided"},
		{name: "the zero request", d: yes("per_1"), kind: fault.Conflict, code: "already-decided"},
		{name: "of a product without scopes", r: grant.Request{State: grant.Open, Duration: time.Hour, Stages: []grant.Stage{{Role: "approver"}}}, d: yes("per_1"), state: grant.Approved, done: true, until: end},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.roles == nil {
				c.roles = both
			}
			if c.at.IsZero() {
				c.at = now
			}
			got, done, err := c.r.Decide(c.d, anyone(c.roles), c.at)
			if c.kind != "" {
				if !errors.Is(err, c.kind) || fault.As(err).Code != c.code {
					t.Errorf("error %v, want %s %s", err, c.kind, c.code)
				}
				if c.pointer != "" && (len(fault.As(err).Fields) != 1 || fault.As(err).Fields[0].Pointer != c.pointer) {
					t.Errorf("error %v, want it at %s", err, c.pointer)
				}
				if d := cmp.Diff(c.r, got); d != "" || done {
					t.Errorf("a refused decision changed the request: %s", d)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.State != c.state || done != c.done || len(got.Decisions) != len(c.r.Decisions)+1 {
				t.Errorf("%s, done %v, %d decisions", got.State, done, len(got.Decisions))
			}
			last := got.Decisions[len(got.Decisions)-1]
			if d := cmp.Diff(c.scopes, last.Scopes); d != "" || !last.Until.Equal(c.until) || !last.At.Equal(c.at) {
				t.Errorf("decided %+v: %s", last, d)
			}
		})
	}
}

// What Decide returns must not share memory with what it was given: two approvers may begin from the same request.
func TestDecideSharesNothing(t *testing.T) {
	r := open()
	r.Decisions = make([]grant.Decision, 0, 8)
	one, _, err1 := r.Decide(yes("per_1"), anyone(both), now)
	two, _, err2 := r.Decide(yes("per_2"), anyone(both), now)
	if err1 != nil || err2 != nil || one.Decisions[0].By != "per_1" || two.Decisions[0].By != "per_2" {
		t.Errorf("decisions %v and %v", one.Decisions, two.Decisions)
	}
	one.Decisions[0].Scopes[0] = "changed"
	if r.Scopes[0] != "a" {
		t.Error("a decision's scopes are the request's own")
	}
}

func TestGranted(t *testing.T) {
	r := open()
	if _, err := r.Granted("gr_1", now); !errors.Is(err, fault.Conflict) {
		t.Errorf("an open request becomes a grant: %v", err)
	}
	for _, by := range []id.ID{"per_1", "per_2", "per_3"} {
		d := yes(by)
		if by == "per_2" {
			d.Scopes, d.Until = []string{"a"}, end
		}
		var err error
		if r, _, err = r.Decide(d, anyone(both), now); err != nil {
			t.Fatal(err)
		}
	}
	g, err := r.Granted("gr_1", now)
	if err != nil {
		t.Fatal(err)
	}
	want := grant.Grant{ID: "gr_1", Request: "req_1", Scopes: []string{"a"}, ApprovedBy: []id.ID{"per_1", "per_2", "per_3"}, From: now, Until: end, State: grant.Active}
	if d := cmp.Diff(want, g); d != "" {
		t.Error(d)
	}
	r.Grant = "gr_1"
	if _, err := r.Granted("gr_2", now); !errors.Is(err, fault.Conflict) {
		t.Errorf("a request becomes two grants: %v", err)
	}
}

func TestAutomatic(t *testing.T) {
	r := grant.Request{ID: "req_1", State: grant.Open, Scopes: []string{"a"}, Duration: time.Hour}
	done, err := r.Automatic(now)
	if err != nil || done.State != grant.Approved || done.Decisions[0].By != grant.ByPlan || !done.Decisions[0].Until.Equal(end) {
		t.Errorf("%+v %v", done, err)
	}
	if g, err := done.Granted("gr_1", now); err != nil || len(g.ApprovedBy) != 0 || !g.Until.Equal(end) {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := done.Automatic(now); !errors.Is(err, fault.Conflict) {
		t.Errorf("twice: %v", err)
	}
	if _, err := open().Automatic(now); !errors.Is(err, fault.Conflict) {
		t.Errorf("past people: %v", err)
	}
}
