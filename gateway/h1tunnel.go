package gateway

import (
	"crypto/sha1" // RFC 6455 §4.2.2: it proves nothing but that both speak the protocol
	"encoding/base64"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/balance"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/http1"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// tunnels are the connections that become WebSockets. What let their callers in is asked again when a change of it arrives, when
// another revision is served, and every second; other requests do not come by here.
type tunnels struct {
	g      *Gateway
	opened atomic.Int64 // of which the upstream has agreed

	mu  sync.Mutex
	all map[*tunnel]struct{}
}

// tunnel is one of them, from its request on.
type tunnel struct {
	http1.Tunnel
	guest        snapshot.Guest
	organization string // IDs, as the feed names them
	application  string
	credential   string
	grant        string
	accept       string    // what a server that speaks the protocol answers
	last         time.Time // by the gateway's clock

	open  bool // the upstream has agreed
	timer *time.Timer
	why   atomic.Pointer[fault.Error] // the gateway ended it
}

// recheck is how long a tunnel goes at most without a look at whether it may go on: clocks can be moved.
const recheck = time.Second

var (
	unsupported = fault.Of(fault.Unsupported, "upgrade-unsupported", "this operation does not change a connection to another protocol")
	longest     = fault.Of(fault.Gone, "tunnel-longest", "the WebSocket was open for as long as the operation allows")
	idle        = fault.Of(fault.Gone, "tunnel-idle", "nothing was said for as long as the operation allows")
	drained     = fault.Of(fault.Unavailable, "tunnel-drained", "the gateway stops")
)

// tunnelling lets the request through that asks for a WebSocket, where its route allows that and there are not too many.
func (g *Gateway) tunnelling(c *carrier) error {
	x, w := &c.x, c.route.WebSocket
	if c.h1.e == nil || c.h1.e.Upgrade == nil || w == nil {
		return unsupported
	}
	key, _ := x.Request.Fields.Get("Sec-WebSocket-Key")
	if raw, err := base64.StdEncoding.Strict().DecodeString(string(key)); err != nil || len(raw) != 16 || x.Request.Fields.Count("Sec-WebSocket-Key") != 1 {
		return malformed("a WebSocket begins with one Sec-WebSocket-Key of 16 bytes")
	}
	n := c.identify()
	t := &tunnel{Tunnel: http1.Tunnel{Idle: time.Duration(w.Idle)}, accept: acceptFor(key), last: g.o.Now().Add(time.Duration(w.Longest)),
		guest:        snapshot.Guest{Route: x.Route.Route, Principal: x.Principal, Grant: x.Grant.ID, Peer: x.Peer},
		organization: string(n.organization), application: string(n.application), credential: string(n.credential), grant: string(n.grant)}
	if !g.tunnels.add(t, w.Most) {
		f := fault.Of(fault.Unavailable, "tunnels-full", "as many WebSockets are open as are allowed here")
		f.RetryAfter = 10 * time.Second
		return f
	}
	c.tunnel, c.h1.e.Tunnel = t, &t.Tunnel
	g.tunnels.check(t) // what has changed since the policies looked came too early for t to be told
	if f := t.why.Load(); f != nil {
		return f
	}
	return nil
}

// acceptFor is the answer to a key (RFC 6455 §4.2.2).
func acceptFor(key wire.View) string {
	sum := sha1.Sum(append(append([]byte(nil), key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// switched takes the upstream's word that it speaks the other protocol now.
func (g *Gateway) switched(c *carrier, p *pool) error {
	f, t := c.x.Response.Fields, c.tunnel
	switch accept, _ := f.Get("Sec-WebSocket-Accept"); {
	case t == nil:
		return fault.Of(fault.BadUpstream, codeSwitched, textSwitched)
	case f.Count("Sec-WebSocket-Accept") != 1 || string(accept) != t.accept:
		c.answer.broke = true
		return fault.Of(fault.BadUpstream, codeSwitched, "the service behind this gateway changed the protocol without an answer to Sec-WebSocket-Key")
	}
	t.open = true
	g.tunnels.opened.Add(1)
	c.answer.left = true // breaker and gate wait for answers, and this was one
	p.leave(c, balance.Good)
	return nil
}

// add takes a tunnel unless there are too many, here or of its application by its route.
func (ts *tunnels) add(t *tunnel, most int) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	same := 0
	for other := range ts.all {
		if other.application == t.application && other.guest.Route == t.guest.Route {
			same++
		}
	}
	if same >= most || len(ts.all) >= ts.g.o.Limits.Tunnels {
		return false
	}
	ts.all[t] = struct{}{}
	t.timer = time.AfterFunc(recheck, func() { ts.check(t) })
	return true
}

// remove forgets the tunnel of an exchange: it is over, or did not come about.
func (ts *tunnels) remove(c *carrier) {
	t := c.tunnel
	if c.tunnel = nil; t == nil {
		return
	}
	if t.open {
		ts.opened.Add(-1)
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.all, t)
	t.timer.Stop()
}

// check ends a tunnel that may not go on, and looks again when that may change by itself.
func (ts *tunnels) check(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.look(t)
}

// look is check while ts is locked.
func (ts *tunnels) look(t *tunnel) {
	if _, known := ts.all[t]; !known || t.why.Load() != nil {
		return
	}
	v, now := ts.g.View(), ts.g.o.Now()
	t.guest.Offline = time.Duration(ts.g.offline.Load())
	until, err := v.Still(&t.guest, now)
	halt := ts.g.halted.Load()
	switch {
	case halt != nil:
		err = halt
	case err != nil:
	case v.Named(t.guest.Route).WebSocket == nil:
		err = unsupported
	case !now.Before(t.last):
		err = longest
	}
	if err != nil {
		t.why.Store(fault.As(err))
		t.End()
		return
	}
	if until.IsZero() || t.last.Before(until) {
		until = t.last
	}
	t.timer.Reset(max(0, min(recheck, until.Sub(now))))
}

// changed looks at the tunnels that an entry of the feed is about, before it is said to be in force.
func (ts *tunnels) changed(e feed.Entry) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.all {
		about := ""
		switch e.Kind {
		case feed.KindOrganization:
			about = t.organization
		case feed.KindApplication:
			about = t.application
		case feed.KindCredential:
			about = t.credential
		case feed.KindGrant:
			about = t.grant
		case feed.KindDenial:
			about = e.Key // of a token, which t does not know by that name
		}
		if about == e.Key {
			ts.look(t)
		}
	}
}

// published looks at all tunnels after another revision came into force.
func (ts *tunnels) published() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.all {
		ts.look(t)
	}
}

// over is why the gateway has ended the tunnel, or nil: one of the sides has.
func (t *tunnel) over() *fault.Error {
	switch f := t.why.Load(); {
	case f != nil:
		return f
	case t.Silent:
		return idle
	case t.Halted:
		return drained
	}
	return nil
}
