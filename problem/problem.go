// Package problem turns faults into the problem documents of RFC 9457: one table from kinds to statuses for every face.
package problem

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
)

// MediaType is the media type of a problem document.
const MediaType = "application/problem+json"

// Problem is one problem document. What is not known is left out of the JSON.
type Problem struct {
	Type       string        `json:"type"` // stable: "/problems/" and the code of the fault, else its kind
	Title      string        `json:"title"`
	Status     int           `json:"status"`
	Detail     string        `json:"detail,omitempty"`
	Instance   string        `json:"instance,omitempty"`   // of this occurrence: the face sets it
	RequestID  string        `json:"request_id,omitempty"` // the face sets it
	Rule       string        `json:"rule,omitempty"`       // the policy or rule that refused
	Errors     []Error       `json:"errors,omitempty"`
	RetryAfter time.Duration `json:"-"` // 0: not known; the field's value is RetrySeconds
}

// Error is one thing wrong with the input.
type Error struct {
	Pointer string `json:"pointer"` // RFC 6901, into the input
	Detail  string `json:"detail"`
}

// Of is the problem that the error is to its caller. What the fault hides as its cause is not in it.
func Of(err error) Problem {
	f := fault.As(err)
	p := Problem{Status: Status(f), Detail: f.Public, Rule: f.Rule, RetryAfter: f.RetryAfter}
	name := f.Code
	if name == "" {
		name = string(f.Kind)
	}
	p.Type, p.Title = "/problems/"+name, title(name)
	for _, e := range f.Fields {
		p.Errors = append(p.Errors, Error{e.Pointer, e.Text})
	}
	return p
}

// Status is the HTTP status of the fault.
func Status(f *fault.Error) int {
	if s, ok := codes[f.Code]; ok {
		return s
	}
	switch f.Kind {
	case fault.Invalid:
		if len(f.Fields) > 0 {
			return 422 // it could be read, and some of it is wrong
		}
		return 400
	case fault.Unauthenticated:
		return 401
	case fault.Forbidden:
		return 403
	case fault.NotFound:
		return 404
	case fault.Conflict:
		return 409
	case fault.Gone:
		return 410
	case fault.Stale:
		return 412
	case fault.TooLarge:
		return 413
	case fault.Unsupported:
		return 415
	case fault.Limited:
		return 429
	case fault.BadUpstream:
		return 502
	case fault.Unavailable:
		return 503
	case fault.SlowUpstream:
		return 504
	}
	return 500
}

// codes are the problems whose status is not that of their kind.
var codes = map[string]int{
	"authorization-pending": 400, // RFC 8628 §3.5
	"slow-down":             400,
	"method-not-allowed":    405,
	"request-timeout":       408,
	"uri-too-long":          414,
	"misdirected-request":   421,
	"head-too-large":        431,
	"upgrade-unsupported":   501,
	"not-implemented":       501,
	"version-unsupported":   505,
}

// title makes words of a name such as "grant-expired".
func title(name string) string {
	if name == "" {
		return ""
	}
	words := strings.NewReplacer("-", " ", "_", " ").Replace(name)
	return strings.ToUpper(words[:1]) + words[1:]
}

// JSON is the document's bytes.
func (p Problem) JSON() []byte {
	b, err := json.Marshal(p)
	if err != nil { // no type in it can fail
		panic(err)
	}
	return b
}

// RetrySeconds is the value of the Retry-After field: whole seconds, rounded up, at least 1; "" when not known.
func (p Problem) RetrySeconds() string {
	if p.RetryAfter <= 0 {
		return ""
	}
	return strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10)
}
