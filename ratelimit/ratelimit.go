// Package ratelimit is the rule by which calls are counted against windows: GCRA, pure, and its local counter.
package ratelimit

import (
	"fmt"
	"math"
	"time"
)

// MaxWindows is how many windows one request can be counted against at once. It bounds what a Spend keeps on its stack.
const MaxWindows = 8

// Window is one limit: Requests per Per, of which Burst may come at once.
type Window struct {
	Name     string        // shown to the caller in RateLimit-Policy
	Requests int64         // 1 or more
	Per      time.Duration // a second or more
	Burst    int64         // 1 or more; 0 means Requests
	Counter  Counter       // where it is counted; zero: Local
	Away     Away          // what holds while a shared counter does not answer; zero: AwayLocal
}

// Counter says where a window is counted.
type Counter string

// The counters.
const (
	Local  Counter = ""       // in this process
	Leased Counter = "leased" // together with other gateways: each takes some at once, all of them no more than half
	Strict Counter = "strict" // together, every call by itself
)

// Away says what holds while the shared counter does not answer.
type Away string

// The answers.
const (
	AwayLocal  Away = ""       // it is counted in this process
	AwayOpen   Away = "open"   // calls pass
	AwayClosed Away = "closed" // calls are refused
)

// Shared counts keys against windows together with other gateways.
type Shared interface {
	// Spend is as Limiter.Spend; name tells one use of keys from another. An error says that the counter does not answer.
	Spend(name string, key []byte, windows []Window, leased bool, out []Result) ([]Result, bool, error)
}

// Share reads how a window is counted, as manifests say it: local, leased or strict, and local, open or closed.
func (w Window) Share(counter, away string) (Window, error) {
	switch counter {
	case "", "local":
		if away != "" {
			return w, fmt.Errorf("away is for counters that can be: leased or strict")
		}
		return w, nil
	case string(Leased), string(Strict):
		w.Counter = Counter(counter)
	default:
		return w, fmt.Errorf("counter must be local, leased or strict, not %q", counter)
	}
	switch away {
	case "", "local":
	case string(AwayOpen), string(AwayClosed):
		w.Away = Away(away)
	default:
		return w, fmt.Errorf("away must be local, open or closed, not %q", away)
	}
	return w, nil
}

// Result is what one window said of one request.
type Result struct {
	Window    *Window
	OK        bool
	Remaining int64         // how many more may come at once
	Reset     time.Duration // until Remaining is the whole burst again
	Retry     time.Duration // when not OK: until one more may come
}

// Validate reports what is wrong with the window.
func (w Window) Validate() error {
	switch {
	case w.Requests < 1:
		return fmt.Errorf("requests must be at least 1, not %d", w.Requests)
	case w.Per < time.Second:
		return fmt.Errorf("per must be at least 1s, not %v", w.Per)
	case w.Burst < 0:
		return fmt.Errorf("burst must be at least 1, not %d", w.Burst)
	case w.Requests > int64(w.Per):
		return fmt.Errorf("%d requests per %v are more than one a nanosecond", w.Requests, w.Per)
	case w.burst() > math.MaxInt64/4/w.step():
		return fmt.Errorf("a burst of %d takes more than 73 years to refill", w.burst())
	}
	return nil
}

// step is the time that one request costs, rounded up: never more than Requests per Per.
func (w *Window) step() int64 { return (int64(w.Per) + w.Requests - 1) / w.Requests }

func (w *Window) burst() int64 {
	if w.Burst > 0 {
		return w.Burst
	}
	return w.Requests
}

// Spend is the rule (GCRA), in nanoseconds. tat is the instant at which the window is full again; now or earlier: it is
// full. Spend returns that instant after one more request, and whether the request may pass; when not, tat stays.
func (w *Window) Spend(tat, now int64) (next int64, ok bool) {
	step := w.step()
	tolerance := step * w.burst()
	tat = bound(tat, now, tolerance)
	if tat+step-now > tolerance {
		return tat, false
	}
	return tat + step, true
}

// Result tells how the window stands at tat. ok is what Spend said.
func (w *Window) Result(tat, now int64, ok bool) Result {
	step := w.step()
	tolerance := step * w.burst()
	tat = bound(tat, now, tolerance)
	r := Result{Window: w, OK: ok, Remaining: (tolerance - (tat - now)) / step, Reset: time.Duration(tat - now)}
	if !ok {
		r.Retry = time.Duration(tat + step - now - tolerance)
	}
	return r
}

// bound brings tat to what the window itself can have made of it: a window that was made smaller by a publish must not
// refuse for as long as the larger one would have.
func bound(tat, now, tolerance int64) int64 { return min(max(tat, now), now+tolerance) }
