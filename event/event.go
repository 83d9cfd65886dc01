// Package event is the one record that every exchange leaves: typed, all fields always there, written once.
package event

import "time"

// Exchange is what happened with one request. Empty strings mean that it did not get so far.
type Exchange struct {
	Time          time.Time
	ID            string // the request id, which the caller was told as well
	Environment   string
	Gateway       string
	Revision      int64
	Method        string
	Host          string
	Path          string // without the query, which may hold secrets
	Status        int    // 0 when nothing was answered
	Peer          string // address of the client
	API           string
	Operation     string
	Route         string
	Upstream      string // the address that answered, or was asked last
	Tries         int    // how often an upstream was asked: more than once when a target could not be reached or the request was retried
	Organization  string
	Application   string
	Credential    string
	Grant         string
	Product       string
	Plan          string
	Verdict       string // "passed", "answered", "refused", or "aborted": the caller did not get the whole answer
	Rule          string // the policy that refused or answered
	Fault         string // the kind of the fault, "none" otherwise
	Code          string // its stable name; of an aborted one "client-gone", "upstream-broke-off", or why the gateway ended a WebSocket
	RequestBytes  int64
	ResponseBytes int64
	UpstreamTime  time.Duration // from the first byte sent to the head received
	Total         time.Duration
	Protocol      string // "HTTP/1.1", "HTTP/2.0"
}

// Sink takes events. Write must not keep e nor any string in it: they are borrowed from the exchange. It must not block:
// what it cannot take it counts as lost.
type Sink interface{ Write(e *Exchange) }
