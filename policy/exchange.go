package policy

import (
	"io"
	"net/netip"
	"time"

	"gatehouse/fault"
	"gatehouse/ratelimit"
	"gatehouse/wire"
)

// Exchange is one request on its way through a route. A policy must not keep it, nor any View in it.
type Exchange struct {
	ID        wire.View // the request id
	Protocol  string    // "HTTP/1.1"
	Now       time.Time
	Peer      netip.AddrPort
	Offline   time.Duration // how long the gateway has not heard from its control plane
	TLS       *TLS          // of the caller's connection; nil: it is not one of TLS
	Route     *RouteInfo
	Access    Access
	Request   wire.Message
	Response  wire.Message
	Principal Principal
	Grant     Right
	BodyLimit int64        // the most bytes of request body that are forwarded; 0: the gateway's own limit
	Refusal   *fault.Error // why the request was refused; nil when it was not

	// Limits is what the Limit policies found, for the answer's RateLimit fields. It keeps its capacity between exchanges.
	Limits []ratelimit.Result

	answered bool
	scratch  []byte
}

// Reset makes x ready for the next exchange and keeps its memory.
func (x *Exchange) Reset() {
	limits, scratch, q, r := x.Limits[:0], x.scratch[:0], &x.Request, &x.Response
	asked, trailed, answered, ended := q.Fields[:0], q.Trailer[:0], r.Fields[:0], r.Trailer[:0]
	*x = Exchange{}
	x.Limits, x.scratch = limits, scratch
	q.Fields, q.Trailer, r.Fields, r.Trailer = asked, trailed, answered, ended
}

// Answer replies to the caller without asking the upstream. The body is sent as it is; nil sends none.
func (x *Exchange) Answer(status int, body io.Reader, length int64) {
	x.Response.Status, x.Response.Body, x.Response.Length = status, body, length
	x.answered = true
}

// Answered reports whether a policy has replied.
func (x *Exchange) Answered() bool { return x.answered }

// Reserve makes sure that the scratch holds n bytes without growing. It is for the exchange's owner, before its first use.
func (x *Exchange) Reserve(n int) { x.scratch = make([]byte, 0, n) }

// Scratch is memory that lives as long as the exchange, for values a policy writes: append to it, keep the result by
// KeepScratch. What was taken from it before stays valid.
func (x *Exchange) Scratch() []byte { return x.scratch[len(x.scratch):] }

// KeepScratch marks b, which was appended to Scratch(), as used and returns it.
func (x *Exchange) KeepScratch(b []byte) wire.View {
	n := len(x.scratch)
	if cap(x.scratch)-n >= len(b) && (len(b) == 0 || &x.scratch[:n+1][n] == &b[0]) {
		x.scratch = x.scratch[:n+len(b)]
	} else { // it grew elsewhere: go on there
		x.scratch = b
	}
	return wire.View(b[:len(b):len(b)])
}

// TooLarge is the fault of a request body over its limit.
func TooLarge(most int64) error {
	return fault.Of(fault.TooLarge, "body-too-large", "the request's body is larger than the %d bytes that are taken here", most)
}
