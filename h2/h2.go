// Package h2 is HTTP/2 as the gateway speaks it: a server of clients' connections and a client of upstreams, over the framer
// and the header compression of golang.org/x/net.
//
// Messages are read by the rules of http1: one path, one authority, no field that could be taken for another. What a peer
// makes a connection work for without getting anything done is counted, and ends it; docs/http2.md lists what is refused.
package h2

import (
	"errors"
	"time"

	"golang.org/x/net/http2"
)

// Bounds that no setting lifts.
const (
	maxHead       = 32 << 10 // of a head, as HPACK counts it: what http1 takes
	maxFields     = 100      // likewise
	maxTrailer    = 4 << 10  // likewise
	maxBlock      = 64 << 10 // of a head as it is sent: larger ones cannot be a head of maxHead
	maxFragments  = 32       // frames of one head: what maxBlock needs several times over
	frameSize     = 16 << 10 // of a frame that is received: the least that the protocol allows
	tableSize     = 4 << 10  // of either dynamic table: the default
	streamWindow  = 256 << 10
	windowOfConn  = 1 << 20 // of unread content of all streams of a connection together
	initialWindow = 65535   // of everything, until something else is said (RFC 9113 §6.9.2)
	maxWindow     = 1<<31 - 1
	maxOut        = 64 << 10              // bytes that wait to be written before whoever brings content waits too
	maxControl    = 128 << 10             // beyond it, a peer that asks for answers and does not read them is cut off
	maxEndings    = 128                   // streams whose end is remembered: frames of theirs may be on their way
	overlap       = 20 * time.Millisecond // for the rest of a request that is answered without it
	maxInterim    = 16                    // interim answers to one request
	pingAfter     = 45 * time.Second
	pingFor       = 15 * time.Second
	drainGrace    = 500 * time.Millisecond // how long requests may come on after a connection was told that it ends
	lingerFor     = time.Second            // how long a peer has to read why its connection ends
	maxLinger     = 256 << 10
)

// Limits is how long a peer may take, and how many there may be. Zero values stand for the defaults.
type Limits struct {
	Head    time.Duration // for the beginning of a connection, and for a head from its first frame to its last; 10 s
	Body    time.Duration // the longest silence within a body; 30 s
	Write   time.Duration // the longest that content may wait for the peer to take it; 30 s
	Idle    time.Duration // a connection without a stream; 75 s
	Streams int           // of a connection at a time; 128
	Conns   int           // of one Server at a time; 65,536
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
	if l.Streams <= 0 {
		l.Streams = 128
	}
	if l.Conns <= 0 {
		l.Conns = 65536
	}
	return l
}

// Errors of both sides.
var (
	// ErrPeerGone is wrapped when the stream or its connection was ended by the peer, or is ended here.
	ErrPeerGone = errors.New("h2: the peer is gone")
	// ErrUnsendable is what a message cannot be sent with: a field that would be read as something else. Nothing of it has been
	// written then.
	ErrUnsendable = errors.New("h2: the message cannot be sent without ambiguity")
	// ErrLength is returned when content is not as long as its Length.
	ErrLength = errors.New("h2: the content is not as long as its length")
	// ErrAnswered is returned when the exchange has its answer already.
	ErrAnswered = errors.New("h2: the exchange is answered")
	// ErrSlow is wrapped when the peer does not take or give content in time.
	ErrSlow = errors.New("h2: the peer took too long")
	// ErrClosed is returned for what was closed here.
	ErrClosed = errors.New("h2: closed")

	errAborted = errors.New("h2: the read was ended")
)

// A resetError is a stream that the peer has ended.
type resetError struct{ code http2.ErrCode }

func (e resetError) Error() string { return "the peer reset the stream: " + e.code.String() }
func (e resetError) Unwrap() error { return ErrPeerGone }

// fatal ends a connection.
func fatal(code http2.ErrCode) error { return http2.ConnectionError(code) }

// onStream ends one stream.
func onStream(id uint32, code http2.ErrCode) error {
	return http2.StreamError{StreamID: id, Code: code}
}
