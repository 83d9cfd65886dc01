package gateway

// The files h2*.go are the one place that knows h2: its server in front of the pipeline, its client behind.

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/fault"
	"gatehouse/h2"
	"gatehouse/http1"
	"gatehouse/policy"
	"gatehouse/wire"
)

// newH2 is the server of connections that speak HTTP/2.
func (g *Gateway) newH2() *h2.Server {
	most := g.o.Limits
	return &h2.Server{
		Handler:   func(e *h2.Exchange) { g.exchangeH2(e, http1.Fine) },
		Malformed: g.exchangeH2,
		Limits:    h2.Limits{Head: most.HeadTime, Body: most.Stall, Write: most.Stall, Idle: most.Idle},
		Poison:    g.buffers.Poison,
		Log:       g.o.Log,
	}
}

// exchangeH2 takes one request through the pipeline. r is why h2 refuses it, or Fine.
func (g *Gateway) exchangeH2(e *h2.Exchange, r http1.Reason) {
	c := g.take(e.Context())
	defer g.give(c)
	s := &c.h2
	if e.Request.Body != nil { // somebody may hold it for longer
		s = new(h2Sender)
	}
	*s = h2Sender{c: c, e: e}
	defer func() { c.h2 = h2Sender{} }()
	bad := s.fill(&c.x, g.o.Limits)
	if r != http1.Fine {
		bad = malformedFor(r)
		c.x.Request.Path = nil // perhaps it is what is wrong
	}
	g.exchange(c, s, bad)
}

// h2Sender is one request of h2's server.
type h2Sender struct {
	c    *carrier
	e    *h2.Exchange
	body h2Body // of the request
}

// fill makes the exchange's request from h2's. Its Views stay h2's. Its error is what is wrong with the message.
func (s *h2Sender) fill(x *policy.Exchange, most Limits) error {
	m, q := &s.e.Request, &x.Request
	x.Protocol, x.Peer, x.TLS = s.e.Protocol(), s.e.Peer, secured(s.e.Conn())
	fields := append(q.Fields[:0], m.Fields...)
	q.Head, q.Length = m.Head, m.Length
	q.Fields = fields
	s.c.trailers, _ = m.Fields.Get("Trailer")
	if m.Body != nil {
		s.body = h2Body{m.Body, s.e, x}
		q.Body = &s.body
	}
	return fits(&q.Head, most)
}

// fits refuses a head that is larger than this gateway takes.
func fits(h *wire.Head, most Limits) error {
	if len(h.Path)+len(h.Query)+1 > most.Target {
		return fault.Of(fault.TooLarge, "uri-too-long", "the address is longer than %d bytes", most.Target)
	}
	size := len(h.Path) + len(h.Query) + len(h.Authority)
	for i := range h.Fields {
		size += len(h.Fields[i].Name) + len(h.Fields[i].Value) + 4
	}
	if size > most.Head {
		return fault.Of(fault.TooLarge, "head-too-large", "the request's header fields are larger than %d bytes", most.Head)
	}
	return nil
}

// h2Body is a request's content. At its end the trailer is the exchange's, without what the gateway alone may say.
type h2Body struct {
	io.Reader
	e *h2.Exchange
	x *policy.Exchange
}

func (b *h2Body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	var r http1.Reason
	switch {
	case err == nil:
	case err == io.EOF:
		t := append(b.x.Request.Trailer[:0], b.e.Request.Trailer...)
		dropOwn(t)
		b.x.Request.Trailer = t
	case errors.As(err, &r):
		err = malformedFor(r)
	case errors.Is(err, h2.ErrPeerGone):
		err = errClientGone
	}
	return n, err
}

// abort makes a Read that is running return, from another goroutine; abort(false) takes that back.
func (b *h2Body) abort(yes bool) {
	if a, ok := b.Reader.(interface{ Abort(bool) }); ok {
		a.Abort(yes)
	}
}

// send writes the response: what is at hand in one piece, the rest as it comes.
func (s *h2Sender) send(x *policy.Exchange) (int64, error) {
	m := &x.Response
	if x.Refusal != nil && grpc(x.Request.Fields) {
		m = asGRPC(x)
	}
	err := s.e.Respond(m)
	n := s.e.Content()
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, h2.ErrPeerGone), errors.Is(err, errClientGone):
		return n, errClientGone
	case !s.e.Started():
		return n, fmt.Errorf("%w: %w", errUnsent, err)
	}
	return n, err
}
