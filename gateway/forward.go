package gateway

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/balance"
	"gatehouse/fault"
	"gatehouse/http1"
	"gatehouse/wire"
)

// forward asks the upstream of the route and makes its answer the response.
func (g *Gateway) forward(c *carrier, p *pool) error {
	x, u := &c.x, c.route.Upstream
	if v, asks := x.Request.Fields.Get("Upgrade"); c.upgrade || asks && wire.ContainsToken(v, "websocket") {
		if err := g.tunnelling(c); err != nil {
			c.rule = ruleUpstream
			return err
		}
	}
	most, rule := x.BodyLimit, "request_size"
	if most == 0 {
		most, rule = g.o.Limits.Body, ruleBody
	}
	if x.Request.Length > most {
		return bodyTooLarge(most, rule)
	}
	if x.Request.Body != nil {
		c.body = c.bound(x.Request.Body, most, rule)
		x.Request.Body = c.body
	}
	g.outbound(c, u)
	x.Request.Path = x.KeepScratch(c.route.UpstreamPath(x.Scratch(), x.Request.Path))

	now := c.now()
	if err := p.admit(c, now); err != nil {
		g.tunnels.remove(c)
		c.rule = ruleUpstream
		return err
	}
	if err := g.ask(c, p, now); err != nil {
		g.tunnels.remove(c)
		p.leave(c, outcome(err))
		c.rule = ruleUpstream
		return g.explain(c, p, err)
	}
	c.answer = answer{r: x.Response.Body, c: c, pool: p}
	x.Response.Body = &c.answer
	if x.Response.Status < 200 {
		if err := g.switched(c, p); err != nil {
			_ = c.answer.Close()
			x.Response.Body = nil
			g.tunnels.remove(c)
			c.rule = ruleUpstream
			return err
		}
	} else {
		g.tunnels.remove(c)
	}
	inbound(x.Response.Fields)
	return nil
}

// codeUnreachable is the code of an asker's fault when no connection could be made, so that nothing was sent.
const codeUnreachable = "upstream-unreachable"

const (
	codeSwitched = "upstream-switched"
	textSwitched = "the service behind this gateway changed the protocol without being asked to"
)

// explain makes the fault for the caller of what went wrong with the upstream.
func (g *Gateway) explain(c *carrier, p *pool, err error) error {
	var f *fault.Error
	if c.body != nil {
		if failed := c.body.failed(errors.Is(err, errClientGone)); failed != nil {
			err = failed // whatever the codec made of it
		}
	}
	switch {
	case errors.As(err, &f) && f.Kind != fault.BadUpstream && f.Kind != fault.SlowUpstream: // the caller's own
		return f
	case errors.Is(err, errClientGone):
		return err
	case errors.As(err, &f):
	default:
		f = fault.Of(fault.BadUpstream, "upstream-failed", "the service behind this gateway did not give a proper answer").Because(err)
	}
	if unsaid, yes := p.speak(time.Now()); yes {
		g.o.Log.Warn("upstream", "environment", g.o.Environment, "request", c.x.ID.String(), "upstream", c.route.Upstream.Name,
			"target", c.target, "code", f.Code, "error", f.Err, "unsaid", unsaid)
	}
	return f
}

// bounded is a request's body with an end: a larger one fails with a fault. An asker may read it from another goroutine
// until end is called.
type bounded struct {
	most int64
	rule string

	mu     sync.Mutex
	r      io.Reader
	left   int64
	err    error // why it failed; io.EOF is no failure
	over   bool
	past   bool // http1 reads r itself, and knows the bound
	reader bool // somebody has read from it, and may hold it still

	cut atomic.Bool // what a Read ends with from now on says nothing about the body
}

// bound makes the bounded body of an exchange, from the last one's memory where nobody else can know of that.
func (c *carrier) bound(r io.Reader, most int64, rule string) *bounded {
	b := c.spare
	if c.spare = nil; b == nil {
		b = &bounded{}
	}
	b.r, b.left, b.most, b.rule = r, most, most, rule
	b.err, b.over, b.past = nil, false, false
	b.cut.Store(false)
	return b
}

// spared is what is left of a body for the next exchange.
func (b *bounded) spared() *bounded {
	if !b.past || b.reader {
		return nil
	}
	b.r = nil
	return b
}

func (b *bounded) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reader = true
	switch {
	case b.over:
		return 0, io.ErrClosedPipe
	case b.err != nil:
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than may come, to see whether it does
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), bodyTooLarge(b.most, b.rule)
	}
	b.left -= int64(n)
	if err != nil && err != io.EOF && !b.cut.Load() {
		b.err = err
	}
	return n, err
}

// Abort makes a Read that is running return, from another goroutine: an asker has no more use for the body.
func (b *bounded) Abort(yes bool) {
	b.cut.Store(yes)
	if a, ok := b.r.(interface{ abort(yes bool) }); ok {
		a.abort(yes)
	}
}

// stop is end for an asker that has no more use for the body.
func (b *bounded) stop() {
	b.cut.Store(true)
	b.end()
}

// failed is why the body could not be read, or nil. Unless the caller is known to be gone, it does not wait for a Read
// that is running: what went wrong then was not the body.
func (b *bounded) failed(gone bool) error {
	if gone {
		b.mu.Lock()
	} else if !b.mu.TryLock() {
		return nil
	}
	defer b.mu.Unlock()
	return b.err
}

// took notes that n bytes were read past Read.
func (b *bounded) took(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = b.most - min(n, b.most)
}

// end waits for a Read that is running and lets no further one through. It returns how many bytes were read.
func (b *bounded) end() int64 {
	if !b.mu.TryLock() { // a Read is running
		a, can := b.r.(interface{ abort(yes bool) })
		if can {
			a.abort(true)
		}
		b.mu.Lock()
		if can && b.err == nil {
			a.abort(false) // it had come to its end by itself
		}
	}
	defer b.mu.Unlock()
	b.over = true
	return b.most - b.left
}

// answer is an upstream's body. Closing it gives the connection back, and tells how the upstream did.
type answer struct {
	r     io.Reader
	c     *carrier
	pool  *pool
	broke bool // it ended in its middle
	left  bool // the pool knows how the upstream did
	done  bool
}

func (a *answer) Read(p []byte) (int, error) {
	if a.r == nil {
		return 0, io.EOF
	}
	n, err := a.r.Read(p)
	if err != nil && err != io.EOF && err != errClientGone {
		a.broke = true
		err = fmt.Errorf("%w: %w", errUpstreamBroke, err)
	}
	return n, err
}

// Ready reports whether the next Read waits for nobody.
func (a *answer) Ready() bool {
	r, ok := a.r.(interface{ Ready() bool })
	return a.r == nil || ok && r.Ready()
}

// errUpstreamBroke is returned when an answer ended in its middle.
var errUpstreamBroke = errors.New("the upstream broke off its answer")

func (a *answer) Close() error {
	if a.done {
		return nil
	}
	a.done = true
	c, p := a.c, a.pool
	if b, ok := a.r.(*h1Body); ok && b.err != nil && !errors.Is(b.err, http1.ErrClientGone) {
		a.broke = true
	}
	var err error
	if r, ok := a.r.(io.Closer); ok {
		err = r.Close()
	}
	o := balance.Good
	switch {
	case a.broke && c.ctx.Err() != nil:
		o = balance.Neither
	case a.broke, c.x.Refusal == nil && slices.Contains(p.failing, c.x.Response.Status):
		o = balance.Failed
		p.failed(c.among, c.member, c.now())
	default:
		c.member.Succeeded()
	}
	c.member.leave()
	if !a.left {
		p.leave(c, o)
	}
	return err
}
