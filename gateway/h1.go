package gateway

// The files h1*.go are the one place that knows http1: its server in front of the pipeline, its client behind.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"gatehouse/fault"
	"gatehouse/http1"
	"gatehouse/policy"
	"gatehouse/wire"
)

// serveOwn is Serve on http1 and h2: which of them, each connection's client says.
func (g *Gateway) serveOwn(ctx context.Context, l net.Listener) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	f := &h1Front{g, work}
	most := g.o.Limits
	loops := g.loops()
	if loops != nil {
		defer loops.Close()
	}
	s := &http1.Server{
		Handler:   func(e *http1.Exchange) { f.exchange(e, http1.Fine) },
		Malformed: f.exchange,
		Limits:    http1.Limits{Head: most.HeadTime, Body: most.Stall, Write: most.Stall, Idle: most.Idle},
		Buffers:   &g.buffers,
		Loops:     loops,
		Log:       g.o.Log,

		Underscores: true, // dropOwn drops them
	}
	ended := make(chan error, 1)
	var running sync.WaitGroup
	defer running.Wait()
	var arriving arrivals
	s2 := g.newH2()
	go func() {
		ended <- g.accept(ctx, l, &running, &arriving, func(nc net.Conn) func() {
			if g.speaksH2(ctx, nc) {
				return s2.Take(nc)
			}
			return s.Take(nc)
		})
	}()
	select {
	case err := <-ended:
		return errors.Join(err, s.Close(), s2.Close())
	case <-ctx.Done():
		_ = l.Close()
		<-ended
		arriving.wait(2 * greetGrace) // who was let in gets a server before they take no more
	}
	bound, cancel := context.WithTimeout(work, most.Drain)
	defer cancel()
	defer context.AfterFunc(bound, cut)()
	both := make(chan error, 1)
	go func() { both <- s2.Shutdown(bound) }()
	if err := errors.Join(s.Shutdown(bound), <-both); err != nil {
		g.o.Log.Warn("exchanges were cut off", "environment", g.o.Environment, "after", most.Drain)
	}
	g.idle()
	return nil
}

// loops are where busy connections are served, or nil where each is served on its goroutine. With a counter that gateways share,
// every exchange may wait for it.
func (g *Gateway) loops() *http1.Loops {
	if g.o.Loops == 0 || g.o.Shared != nil {
		return nil
	}
	ls, err := http1.NewLoops(g.o.Loops)
	if err != nil {
		g.o.Log.Info("connections are served without io_uring", "environment", g.o.Environment, "because", err)
		return nil
	}
	g.o.Log.Debug("busy connections are served over io_uring", "environment", g.o.Environment, "threads", g.o.Loops)
	ls.Eager = eager
	return ls
}

// eager has connections ride on loops as soon as they can; for tests.
var eager bool

type h1Front struct {
	g   *Gateway
	ctx context.Context // ends when exchanges are cut off
}

// exchange takes one request through the pipeline. r is why http1 refuses it, or Fine.
func (f *h1Front) exchange(e *http1.Exchange, r http1.Reason) {
	c := f.g.take(f.ctx)
	c.h1.e = e
	bad := c.h1.fill(&c.x, f.g.o.Limits)
	if r == http1.Fine {
		c.began = e.Now
	} else {
		bad = malformedFor(r)
		if r != http1.SlowBody {
			c.x.Request.Path = nil // perhaps it is what is wrong
		}
	}
	if c.upgrade = e.AsksUpgrade(); c.upgrade {
		e.Close() // what comes may be of the other protocol already
	}
	var w sender = c.h1
	if r == http1.BadLine && f.g.o.H2C && c.x.TLS == nil {
		w = silent{e}
	}
	if !f.g.exchange(c, w, bad) && !c.elsewhere && !e.Started() {
		e.Abort()
	}
	f.g.give(c)
}

// silent answers what begins neither as HTTP/1.1 nor as HTTP/2, where both are spoken: nobody knows in what language.
type silent struct{ e *http1.Exchange }

func (s silent) send(*policy.Exchange) (int64, error) {
	s.e.Abort()
	return 0, nil
}

// h1Call is what http1 needs for an exchange. It is the sender, and lends the asker its memory.
type h1Call struct {
	e       *http1.Exchange // nil when another codec is in front
	call    http1.Call
	request wire.Message // as the upstream gets it
	body    h1Body       // of its answer
}

// reset forgets the exchange and keeps the call's memory.
func (h *h1Call) reset() { h.e, h.request, h.body = nil, wire.Message{}, h1Body{} }

// fill makes the exchange's request from http1's. Its Views stay http1's. Its error is what is wrong with the message.
func (h *h1Call) fill(x *policy.Exchange, most Limits) error {
	m, q := &h.e.Request, &x.Request
	x.Protocol, x.Peer, x.TLS = h.e.Protocol(), h.e.Peer, secured(h.e.Conn())
	fields := append(q.Fields[:0], m.Fields...)
	q.Head, q.Body, q.Length = m.Head, m.Body, m.Length
	q.Fields = fields
	return fits(&q.Head, most)
}

// malformedFor is the fault for what http1 refuses a request for.
func malformedFor(r http1.Reason) error {
	kind, code := fault.Invalid, "malformed-request"
	switch r {
	case http1.LineTooLong:
		kind, code = fault.TooLarge, "uri-too-long"
	case http1.HeadTooLarge, http1.TooManyFields, http1.TrailerTooLarge:
		kind, code = fault.TooLarge, "head-too-large"
	case http1.BodyTooLarge:
		kind, code = fault.TooLarge, "body-too-large"
	case http1.BadVersion:
		kind, code = fault.Unsupported, "version-unsupported"
	case http1.BadEncoding:
		kind, code = fault.Unsupported, "not-implemented"
	case http1.MethodConnect, http1.MethodTrace:
		kind, code = fault.Unsupported, "method-not-allowed"
	case http1.SlowHead, http1.SlowBody:
		code = "request-timeout"
	}
	f := fault.Of(kind, code, "%s", r.Error()).Because(r)
	f.Rule = ruleMessage
	return f
}

// send writes the response: what is at hand in one piece, the rest as it comes.
func (h *h1Call) send(x *policy.Exchange) (int64, error) {
	m := &x.Response
	given := m.Body
	if a, ok := given.(*answer); ok && a.r == io.Reader(&h.body) {
		m.Body = &h.body // whose reader can tell http1 whether it is at hand
		if m.Status == 101 {
			m.Body = h.body.r // the upstream's end of a tunnel
		}
	}
	if h.e.Refused() != http1.Fine {
		h.e.Close() // nobody knows where the next request would begin
	}
	err := h.e.Respond(m)
	m.Body = given
	n := h.e.Content()
	if err == nil {
		return n, nil
	}
	if errors.Is(err, http1.ErrClientGone) || errors.Is(err, errClientGone) {
		return n, errClientGone
	}
	if h.body.err != nil && !errors.Is(err, errUpstreamBroke) {
		err = fmt.Errorf("%w: %w", errUpstreamBroke, err)
	}
	if !h.e.Started() {
		err = fmt.Errorf("%w: %w", errUnsent, err)
	}
	return n, err
}

// h1Body is the body of an upstream's answer. Closing it gives the connection back.
type h1Body struct {
	r   io.Reader // nil: there is none
	c   *carrier
	err error // why it broke off
}

func (b *h1Body) Read(p []byte) (int, error) {
	if b.r == nil {
		return 0, io.EOF
	}
	n, err := b.r.Read(p)
	switch err {
	case nil:
	case io.EOF:
		inbound(b.c.x.Response.Trailer)
	default:
		b.err = err
	}
	return n, err
}

// Ready reports whether the next Read waits for nobody.
func (b *h1Body) Ready() bool {
	r, ok := b.r.(interface{ Ready() bool })
	return b.r == nil || ok && r.Ready()
}

func (b *h1Body) Close() error {
	b.c.h1.done(b.c)
	return nil
}

// done ends the call.
func (h *h1Call) done(c *carrier) {
	h.call.Done()
	if c.body != nil && h.e != nil {
		c.body.took(h.e.Received())
	}
}
