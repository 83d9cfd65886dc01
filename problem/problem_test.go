package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/fault"
	"gatehouse/problem"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want problem.Problem
	}{
		{"by its code", fault.Of(fault.Forbidden, "grant-expired", "grant gr_1 expired"), problem.Problem{Type: "/problems/grant-expired", Title: "Grant expired", Status: 403, Detail: "grant gr_1 expired"}},
		{"by its kind", fault.New(fault.Limited, "slow down"), problem.Problem{Type: "/problems/rate-limited", Title: "Rate limited", Status: 429, Detail: "slow down"}},
		{"wrapped", fmt.Errorf("doing: %w", fault.New(fault.NotFound, "no such grant")), problem.Problem{Type: "/problems/not-found", Title: "Not found", Status: 404, Detail: "no such grant"}},
		{"with its rule", &fault.Error{Kind: fault.Limited, Rule: "rate_limit", Public: "x", RetryAfter: time.Second}, problem.Problem{Type: "/problems/rate-limited", Title: "Rate limited", Status: 429, Detail: "x", Rule: "rate_limit", RetryAfter: time.Second}},
		{"fields", fault.BadFields([]fault.Field{{Pointer: "/a", Text: "is missing"}, {Pointer: "/b/0", Text: "is wrong"}}),
			problem.Problem{Type: "/problems/invalid", Title: "Invalid", Status: 422, Detail: "the input is not valid", Errors: []problem.Error{{Pointer: "/a", Detail: "is missing"}, {Pointer: "/b/0", Detail: "is wrong"}}}},
		{"unknown errors say nothing", errors.New("password is hunter2"), problem.Problem{Type: "/problems/internal", Title: "Internal", Status: 500, Detail: "something went wrong on our side"}},
		{"a bare kind", fault.Stale, problem.Problem{Type: "/problems/stale", Title: "Stale", Status: 412, Detail: "stale"}},
		{"a cause stays inside", fault.New(fault.Unavailable, "try later").Because(errors.New("disk /dev/sda1")), problem.Problem{Type: "/problems/unavailable", Title: "Unavailable", Status: 503, Detail: "try later"}},
		{"a status of its own", fault.Of(fault.Unsupported, "method-not-allowed", "x"), problem.Problem{Type: "/problems/method-not-allowed", Title: "Method not allowed", Status: 405, Detail: "x"}},
	} {
		if d := cmp.Diff(c.want, problem.Of(c.err)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// Every kind has a status of its own class, and none falls through.
func TestEveryKindHasAStatus(t *testing.T) {
	for k, want := range map[fault.Kind]int{fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404, fault.Conflict: 409,
		fault.Gone: 410, fault.Stale: 412, fault.TooLarge: 413, fault.Unsupported: 415, fault.Limited: 429, fault.Unavailable: 503, fault.BadUpstream: 502,
		fault.SlowUpstream: 504, fault.Internal: 500, "of tomorrow": 500} {
		if got := problem.Of(fault.New(k, "x")).Status; got != want {
			t.Errorf("%s is %d, want %d", k, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	p := problem.Of(fault.BadFields([]fault.Field{{Pointer: "/name", Text: "holds <script>"}}))
	p.RequestID, p.Instance = "rq_1", "/eid/v1/x"
	var got map[string]any
	if err := json.Unmarshal(p.JSON(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"type": "/problems/invalid", "title": "Invalid", "status": 422.0, "detail": "the input is not valid", "instance": "/eid/v1/x",
		"request_id": "rq_1", "errors": []any{map[string]any{"pointer": "/name", "detail": "holds <script>"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRetrySeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "", -1: "", 1: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90"} {
		if got := (problem.Problem{RetryAfter: d}).RetrySeconds(); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
