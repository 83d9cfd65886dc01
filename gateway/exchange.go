package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"gatehouse/balance"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/manifest"
	"gatehouse/policy"
	"gatehouse/problem"
	"gatehouse/ratelimit"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// The seam between the pipeline and the codecs. A front reads requests from connections: for each it takes a carrier,
// fills Request, Protocol and Peer of its exchange, calls Gateway.exchange with itself as the sender, and gives the
// carrier back. Nothing above a codec knows which one it is.

// A sender writes x.Response to the caller, the body as it comes, and returns how many bytes of body it wrote. It closes
// nothing. An error means that the caller did not get all of it.
type sender interface {
	send(x *policy.Exchange) (int64, error)
}

// An asker sends x.Request to one member of an upstream, the body as it comes, and fills x.Response with the answer's head;
// its body is read by the sender, and closed by the pipeline when it is an io.Closer. The head must come within try, unless
// that is 0, and all of it within total. Its errors are faults of the kinds BadUpstream and SlowUpstream, errClientGone, or
// what reading the request's body returned. close closes the connections that nobody uses; it may be used on.
type asker interface {
	ask(c *carrier, try, total time.Duration) error
	close()
}

// newAsker makes the client for one member.
func (g *Gateway) newAsker(u *snapshot.Upstream, m *member, secure *verified) asker {
	if g.o.Codec == Std {
		return newStdAsker(u, m, secure)
	}
	if u.Protocol != manifest.HTTP1 {
		return newH2Asker(u, m, secure)
	}
	return newH1Asker(u, m, secure, &g.buffers)
}

// errClientGone is returned when the caller went away. Nobody is told, but the event.
var errClientGone = errors.New("the caller went away")

// carrier is the memory of one exchange, used again for the next.
type carrier struct {
	x     policy.Exchange
	buf   []byte // where problems are written
	h1    *h1Call
	h2    h2Sender // of a request without content
	spare *bounded // for the next body
	book  *book    // where it is noted
	progress
}

// progress is how far one exchange is: what the next one begins without.
type progress struct {
	ctx context.Context // ends when the caller is gone

	view   *snapshot.View
	route  *snapshot.Route
	began  time.Time
	asked  time.Duration // from the request sent to the head of the answer received
	target string
	tries  int           // of asking a target
	member *member       // who answered
	among  *set          // of which it is one
	probe  balance.Probe // of the breaker
	path   wire.View     // as it was called
	rule   string        // that refused or answered
	body   *bounded      // the request's, while it is forwarded; nil when there is none
	answer answer        // the upstream's
	asking asking        // who asks

	trailers wire.View // the names of the request's trailer, as they were announced

	elsewhere bool // it is taken once more, from its beginning, where it may wait

	upgrade bool    // the caller asks for another protocol
	tunnel  *tunnel // which it may have
}

const scratch = 4 << 10 // for what is written in an exchange: IDs, paths, limits

func (g *Gateway) newCarrier() *carrier {
	c := &carrier{h1: &h1Call{}, book: g.notes.next()}
	c.x.Request.Fields = make(wire.Fields, 0, 48)
	c.x.Response.Fields = make(wire.Fields, 0, 32)
	c.x.Limits = make([]ratelimit.Result, 0, ratelimit.MaxWindows)
	c.x.Reserve(scratch)
	return c
}

func (g *Gateway) take(ctx context.Context) *carrier {
	c := g.carriers.Get().(*carrier)
	c.ctx = ctx
	return c
}

func (g *Gateway) give(c *carrier) {
	g.tunnels.remove(c)
	c.reset()
	g.carriers.Put(c)
}

// reset forgets the exchange and keeps its memory.
func (c *carrier) reset() {
	c.x.Reset()
	c.h1.reset()
	if c.body != nil {
		c.spare = c.body.spared()
	}
	c.buf = c.buf[:0]
	c.progress = progress{} // in a statement of its own it is cleared in place, and not copied
}

// now is the time, by the clock that the exchange is timed with: half of what time.Now costs.
func (c *carrier) now() time.Time { return c.began.Add(time.Since(c.began)) }

// exchange takes one request through its route and sends the answer. bad is what the codec found wrong with the message,
// or nil. It reports whether the caller got a whole answer.
func (g *Gateway) exchange(c *carrier, w sender, bad error) bool {
	x := &c.x
	if c.began.IsZero() {
		c.began = time.Now()
	}
	x.Now = c.began
	if g.clocked {
		x.Now = g.o.Now()
	}
	x.ID, c.path = newID(x), x.Request.Path
	now := g.current.Load()
	c.view = now.view
	x.Access = now.view
	g.meters.running.Add(1)
	defer g.ended()

	// First of all: from here on, nothing that came from outside can be taken for something the gateway said.
	// The fields that Connection names go before a policy adds its own, so that a caller cannot have those deleted.
	dropOwn(x.Request.Fields)
	dropNamed(x.Request.Fields)
	err := bad
	if err == nil {
		err = g.guarded(c, now)
	}
	if c.elsewhere {
		return false
	}
	if errors.Is(err, errClientGone) {
		g.record(c, 0, err)
		return false
	}
	if err != nil && bad != nil {
		c.rule = ruleMessage
	}
	if err != nil {
		g.refuse(c, err)
	}
	if c.route != nil {
		for i := len(c.route.Response) - 1; i >= 0; i-- {
			c.route.Response[i](x)
		}
	}
	g.finish(c)
	n, err := w.send(x)
	if errors.Is(err, errUnsent) {
		g.instead(c, err)
		n, err = w.send(x)
	}
	closeBody(x)
	g.record(c, n, err)
	return err == nil
}

// ended is called when an exchange is over. When it was the only one there is time to write up what was noted.
func (g *Gateway) ended() {
	if g.meters.running.Add(-1) == 0 {
		g.notes.settle()
	}
}

// errUnsent is wrapped by what send returns when nothing was written, so that another answer can be given.
var errUnsent = errors.New("the answer cannot be sent")

// instead makes a refusal of an answer that could not be sent.
func (g *Gateway) instead(c *carrier, err error) {
	closeBody(&c.x)
	f := fault.New(fault.Internal, "something went wrong on our side")
	if errors.Is(err, errUpstreamBroke) {
		f = fault.Of(fault.BadUpstream, "upstream-failed", "the service behind this gateway did not give a proper answer")
	}
	c.rule = ruleUpstream
	g.refuse(c, f.Because(err))
	g.finish(c)
}

func closeBody(x *policy.Exchange) {
	if closer, ok := x.Response.Body.(io.Closer); ok {
		_ = closer.Close()
	}
}

// guarded is run, and makes a refusal of a panic: one route's mistake must not take the others down, nor go unseen.
func (g *Gateway) guarded(c *carrier, now *current) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "something went wrong on our side").Because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return g.run(c, now)
}

// run finds the route and takes the request through its policies to the upstream. Its error refuses the request.
func (g *Gateway) run(c *carrier, now *current) error {
	x := &c.x
	if halt := g.halted.Load(); halt != nil {
		return halt
	}
	if x.TLS != nil && g.misdirected(x) {
		c.rule = ruleRoute
		return fault.Of(fault.Invalid, "misdirected-request", "this connection was made for another host: open one to the host that is called")
	}
	x.Offline = time.Duration(g.offline.Load())
	m := now.view.Match(&x.Request.Head)
	switch {
	case now.view.Revision == 0:
		c.rule = ruleRoute
		f := fault.Of(fault.Unavailable, "not-ready", "this gateway serves nothing yet")
		f.RetryAfter = time.Second
		return f
	case m.Ambiguous:
		c.rule = ruleRoute
		return malformed("the path can be taken for another one that is known here")
	case m.Route == nil && m.Allow != "":
		c.rule = ruleRoute
		x.Response.Fields.AddString("Allow", m.Allow)
		return fault.Of(fault.Unsupported, "method-not-allowed", "this path is called by %s", m.Allow)
	case m.Route == nil:
		if c.rule = ruleRoute; g.tellsResource(c, now.view) {
			return nil
		}
		return fault.Of(fault.NotFound, "no-route", "nothing is offered at this address")
	}
	p := now.pools[m.Route.Upstream]
	if e := c.h1.e; e != nil && p != nil && p.waits && e.Leave() {
		c.elsewhere = true
		return nil
	}
	c.route, x.Route = m.Route, &m.Route.RouteInfo
	if m.Route.Closed != nil {
		c.rule = ruleRoute
		return m.Route.Closed
	}
	if m.Preflight {
		c.rule = "cors"
		return m.Route.Preflight(x)
	}
	for i, request := range m.Route.Request {
		c.rule = m.Route.Rules[i] // until the next one has its say
		if err := request(x); err != nil || x.Answered() {
			return err
		}
	}
	c.rule = ""
	return g.forward(c, p)
}

// The rules of the gateway itself, as refusals name them.
const (
	ruleMessage  = "message"  // the request as it was sent
	ruleRoute    = "route"    // what is offered
	ruleBody     = "body"     // the bound of a body
	ruleUpstream = "upstream" // the call to the upstream
)

// refuse makes the response a problem document.
func (g *Gateway) refuse(c *carrier, err error) {
	x := &c.x
	f := *fault.As(err)
	if f.Rule == "" {
		f.Rule = c.rule
	}
	c.rule, x.Refusal = f.Rule, &f
	if f.Kind == fault.Internal {
		g.o.Log.Error("exchange", "environment", g.o.Environment, "request", x.ID.String(), "rule", f.Rule, "error", err)
	}
	p := problem.Of(&f)
	p.RequestID = x.ID.String()
	if len(c.path) > 0 {
		p.Instance = c.path.String()
	}
	c.buf = append(c.buf[:0], p.JSON()...)
	x.Answer(p.Status, bytes.NewReader(c.buf), int64(len(c.buf)))
	fields := &x.Response.Fields
	allow, _ := fields.Get("Allow")
	*fields = (*fields)[:0] // what an upstream or a policy has said does not belong to a refusal
	if allow != nil {
		fields.Add(wire.View("Allow"), allow)
	}
	fields.Add(nameContentType, typeProblem)
	fields.Add(nameCacheControl, noStore)
	if s := p.RetrySeconds(); s != "" {
		fields.AddString("Retry-After", s)
	}
}

// finish adds what every answer carries.
func (g *Gateway) finish(c *carrier) {
	x := &c.x
	f := &x.Response.Fields
	if len(x.Limits) > 0 {
		f.Del("RateLimit")
		f.Del("RateLimit-Policy")
		f.Add(nameRateLimit, x.KeepScratch(ratelimit.AppendLimit(x.Scratch(), x.Limits)))
		f.Add(nameRateLimitPolicy, x.KeepScratch(ratelimit.AppendPolicy(x.Scratch(), x.Limits)))
	}
	f.Add(nameRequestID, x.ID)
	g.offersH3(x)
}

// newID makes a request id in the exchange's own memory. It sorts by time, as all IDs do; it is no secret.
func newID(x *policy.Exchange) wire.View {
	var b id.Bits
	binary.BigEndian.PutUint64(b[:8], uint64(x.Now.UnixMilli())<<16|rand.Uint64()&0xffff)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	return x.KeepScratch(b.Append(x.Scratch(), requestKind))
}

const requestKind id.Kind = "rq"

func bodyTooLarge(most int64, rule string) error {
	f := *fault.As(policy.TooLarge(most))
	f.Rule = rule
	return &f
}
