// Package http1 is HTTP/1.1 as the gateway speaks it: a strict server loop and a client of upstreams.
//
// What can be read in two ways is refused and its connection is closed; docs/http1.md lists what is refused although it
// is well-formed. The head of a message is views into the connection's own buffer, and nothing is allocated for an
// exchange. Fields that concern one connection only (RFC 9110 §7.6.1) and those that frame a message are taken out when
// a head is read and written anew when it is sent, so that no message leaves with a framing that was not decided here.
package http1

import "time"

// Bounds that no setting lifts.
const (
	maxHead      = 32 << 10 // of a head in bytes: four times what browsers send with the largest cookies that they keep
	maxLine      = 8 << 10  // of a request line: the 8,000 bytes that RFC 9112 §3 asks for, and a little
	maxMethod    = 32       // of a method: the longest registered one has 17
	maxFields    = 100      // fields in a head: what net/http's peers and nginx's defaults take in practice
	maxOptions   = 4        // Connection fields in a head: one is usual
	maxLookalike = 64       // of a name that is compared with those that frame a message: twice what such names with a prefix have
	maxHost      = 260      // a DNS name is at most 253 bytes, and a port 6
	maxLengthDig = 18       // digits of a Content-Length: what an int64 holds for sure
	maxChunkDig  = 15       // digits of a chunk size, likewise
	maxChunkLine = 256      // a chunk's size with its extensions, which nobody uses
	maxTrailer   = 4 << 10  // all trailer fields together: they hold digests and a status
	maxInterim   = 16       // interim answers of an upstream to one request
	maxDrain     = 64 << 10 // of an unread request body that is read to keep the connection
	maxLinger    = 256 << 10
	lingerFor    = 2 * time.Second        // how long a peer has to read the answer before a close
	lingerPause  = 500 * time.Millisecond // without a byte from it
	warm         = 250 * time.Millisecond // how long an idle connection keeps its buffer
	drainGrace   = 500 * time.Millisecond // how long a connection that was just used may bring one more request after Shutdown
	awaitGo      = time.Second            // how long an upstream has to say 100 Continue before the body is sent anyway
	tunnelIdle   = 10 * time.Minute       // silence in both directions after which a tunnel ends
)

// Limits is how long a peer may take, and how many there may be. Zero values stand for the defaults.
type Limits struct {
	Head  time.Duration // from the first byte of a request (or from the connection) to the end of its head; 10 s
	Body  time.Duration // the longest silence within a body; 30 s
	Write time.Duration // the longest that one write may wait for the peer; 30 s
	Idle  time.Duration // between two requests of a connection; 75 s
	Conns int           // connections of one Server at a time; further ones are answered 503; 65,536
}

func (l Limits) withDefaults() Limits {
	pick := func(d *time.Duration, other time.Duration) {
		if *d <= 0 {
			*d = other
		}
	}
	pick(&l.Head, 10*time.Second)
	pick(&l.Body, 30*time.Second)
	pick(&l.Write, 30*time.Second)
	pick(&l.Idle, 75*time.Second)
	if l.Conns <= 0 {
		l.Conns = 65536
	}
	return l
}
