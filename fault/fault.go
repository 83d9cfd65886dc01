// Package fault is the one error type that crosses package borders.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a caller can do about an error. It is itself an error, so that
// errors.Is(err, fault.NotFound) holds for any Error of that kind.
type Kind string

// The kinds. problem.Of maps each to one HTTP status.
const (
	Invalid         Kind = "invalid"         // the input is wrong; Fields says where
	Unauthenticated Kind = "unauthenticated" // nobody, or nobody we know
	Forbidden       Kind = "forbidden"       // known, and not allowed
	NotFound        Kind = "not-found"       // not there, or not for this caller to see
	Conflict        Kind = "conflict"        // the object is in a state that does not allow it
	Gone            Kind = "gone"            // it was there and is over: a used or expired link
	Stale           Kind = "stale"           // the caller's version is not the newest
	TooLarge        Kind = "too-large"       // a body, a head or a field over its limit
	Unsupported     Kind = "unsupported"     // a method or media type that is not offered here
	Limited         Kind = "rate-limited"    // too many; RetryAfter says when
	Unavailable     Kind = "unavailable"     // not now; RetryAfter may say when
	BadUpstream     Kind = "bad-upstream"    // the upstream is gone or answered nonsense
	SlowUpstream    Kind = "slow-upstream"   // the upstream did not answer in time
	Internal        Kind = "internal"        // our mistake
)

func (k Kind) Error() string { return string(k) }

// Error is an error with a kind and a text that is safe to show to the caller.
type Error struct {
	Kind       Kind
	Code       string        // stable name of the problem within its kind, such as "grant-expired"; "" means the kind's own
	Rule       string        // the policy or rule that refused, such as "rate_limit"; "" when none did
	Public     string        // shown to the caller
	RetryAfter time.Duration // how long to wait before it can succeed; 0 when that is not known
	Fields     []Field       // for Invalid: what is wrong, by JSON pointer
	Err        error         // logged, never shown
}

// Field is one thing wrong with one part of an input. Pointer is a JSON pointer (RFC 6901) into the input.
type Field struct{ Pointer, Text string }

func (e *Error) Error() string {
	s := e.Public
	for _, f := range e.Fields {
		s += fmt.Sprintf("; %s: %s", f.Pointer, f.Text)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap makes both errors.Is(err, Kind) and errors.Is(err, cause) hold.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// New returns an Error of the kind, with a text for the caller.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Public: fmt.Sprintf(format, args...)}
}

// Of returns an Error of the kind with a code, for faults that callers tell apart by name.
func Of(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Public: fmt.Sprintf(format, args...)}
}

// Because returns e with its cause, which is logged and never shown.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Bad returns an Invalid Error for one field of an input.
func Bad(pointer, format string, args ...any) *Error {
	return BadFields([]Field{{Pointer: pointer, Text: fmt.Sprintf(format, args...)}})
}

// BadFields returns an Invalid Error that lists what is wrong with an input.
func BadFields(fields []Field) *Error {
	return &Error{Kind: Invalid, Public: "the input is not valid", Fields: fields}
}

// KindOf is the kind of err: Internal when err names none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}

// As returns the Error that err carries, or an Internal one that hides err as its cause.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	k := KindOf(err)
	public := "something went wrong on our side"
	if k != Internal {
		public = string(k)
	}
	return &Error{Kind: k, Public: public, Err: err}
}
