package gateway

import "time"

// Limits are the bounds of a gateway. A zero field takes its default.
type Limits struct {
	Head     int           // bytes of a request's head: default 32 KiB, which http1 has as its most
	Target   int           // bytes of a request's target: default 8 KiB
	Body     int64         // bytes of a request's body where no request_size says otherwise: default 10 MiB
	HeadTime time.Duration // for a request's head to arrive: default 10s
	Stall    time.Duration // between two parts of a request's body, or of an answer that the caller takes: default 30s
	Idle     time.Duration // a connection without a request: default 60s
	Drain    time.Duration // for running exchanges to end once the gateway stops: default 10s
	Poll     time.Duration // how often the feed is asked besides its hints: default 1s
	Retry    time.Duration // the longest time between two tries to follow the feed while it fails: default 30 times Poll
	Report   time.Duration // between two reports of how credentials were used: default 20s, so that a last use is known within a minute
	Tunnels  int           // WebSockets that are open at once: default 10,000
	Peer     int           // connections that one address (of IPv6 a /64) holds open at once: default no bound
	Keys     int           // counted keys of each limiter: default 1,048,576
}

func (l Limits) withDefaults() Limits {
	def(&l.Head, 32<<10)
	def(&l.Target, 8<<10)
	def(&l.Body, 10<<20)
	def(&l.HeadTime, 10*time.Second)
	def(&l.Stall, 30*time.Second)
	def(&l.Idle, time.Minute)
	def(&l.Drain, 10*time.Second)
	def(&l.Poll, time.Second)
	def(&l.Report, 20*time.Second)
	def(&l.Tunnels, 10_000)
	def(&l.Keys, 1<<20)
	return l
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
