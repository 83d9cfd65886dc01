package feed

import (
	"testing"
	"time"

	"gatehouse/fault"
)

// What was refused stays the reason until the feed is followed again past it, or was right for long.
func TestRefusedStays(t *testing.T) {
	began := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	here, further := Position{Epoch: 1, Seq: 8, Digest: "a"}, Position{Epoch: 1, Seq: 9, Digest: "b"}
	gap := untrue{fault.Of(fault.Conflict, "feed-gap", "entry 10 comes after 8")}
	repeated := untrue{fault.Of(fault.Conflict, "feed-repeated", "entry 8 comes again")}
	theirs := fault.Of(fault.Conflict, "feed-forked", "the gateway is at entry 10")
	again := fault.Of(fault.Conflict, renewed, "the epoch was raised")
	away := fault.New(fault.Unavailable, "not connected")
	type step struct {
		after time.Duration
		err   error
		at    Position
		want  string // the code of the refusal then
	}
	for name, steps := range map[string][]step{
		"a lost connection":               {{0, gap, here, "feed-gap"}, {time.Second, away, here, "feed-gap"}, {time.Hour, away, here, "feed-gap"}},
		"another refusal":                 {{0, gap, here, "feed-gap"}, {time.Second, repeated, here, "feed-repeated"}},
		"what the control plane says":     {{0, gap, here, "feed-gap"}, {time.Second, theirs, here, "feed-gap"}, {time.Second, again, here, renewed}},
		"the control plane alone":         {{0, theirs, here, "feed-forked"}, {time.Second, away, here, "feed-forked"}, {time.Second, gap, here, "feed-gap"}},
		"followed past it":                {{0, gap, here, "feed-gap"}, {time.Second, nil, further, ""}},
		"right, with nothing new":         {{0, gap, here, "feed-gap"}, {time.Second, nil, here, "feed-gap"}, {calm - time.Second, nil, here, "feed-gap"}, {time.Second, nil, here, ""}},
		"right in between":                {{0, gap, here, "feed-gap"}, {time.Second, nil, here, "feed-gap"}, {calm / 2, gap, here, "feed-gap"}, {calm / 2, nil, here, "feed-gap"}, {calm / 2, nil, here, "feed-gap"}},
		"right, then away":                {{0, gap, here, "feed-gap"}, {time.Second, nil, here, "feed-gap"}, {calm / 2, away, here, "feed-gap"}, {calm / 2, nil, here, "feed-gap"}},
		"nothing was refused":             {{0, away, here, ""}, {time.Second, nil, here, ""}},
		"a clock that goes back, at last": {{0, gap, here, "feed-gap"}, {time.Second, nil, here, "feed-gap"}, {-time.Hour, nil, here, "feed-gap"}, {calm, nil, here, ""}},
	} {
		var r refusal
		now := began
		for i, s := range steps {
			now = now.Add(s.after)
			r = r.after(s.err, s.at, now)
			got := ""
			if r.err != nil {
				got = fault.As(r.err).Code
			}
			if got != s.want {
				t.Errorf("%s, step %d: %q, not %q", name, i, got, s.want)
			}
		}
	}
}
