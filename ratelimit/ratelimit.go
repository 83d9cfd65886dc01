// Package ratelimit is the rule by which calls are counted against windows: GCRA, pure, and its local counter.
package ratelimit

import "time"

// Window is one limit: Requests per Per, of which Burst may come at once.
type Window struct {
	Name     string        // shown to the caller in RateLimit-Policy
	Requests int64         // 1 or more
	Per      time.Duration // a second or more
	Burst    int64         // 1 or more; 0 means Requests
}

// Result is what one window said of one request.
type Result struct {
	Window    *Window
	OK        bool
	Remaining int64         // how many more may come at once
	Reset     time.Duration // until Remaining is the whole burst again
	Retry     time.Duration // when not OK: until one more may come
}
