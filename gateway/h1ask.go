package gateway

import (
	"errors"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/http1"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// h1Asker is http1's client for one member of an upstream.
type h1Asker struct {
	host     wire.View // as the Host field names it
	upstream *http1.Upstream
}

func newH1Asker(u *snapshot.Upstream, m *member, secure *verified, buffers *http1.Buffers) *h1Asker {
	return &h1Asker{wire.View(hostField(m.target)), &http1.Upstream{Address: m.address[0], Dial: m.dialer(secure), Buffers: buffers,
		Patience: http1.Patience{Connect: u.Connect, Head: u.Read, Body: u.Read, Write: u.Total}}}
}

// hostField is the target as the Host field names it.
func hostField(t snapshot.Target) string {
	return strings.TrimSuffix(t.Host, map[string]string{"http": ":80", "https": ":443"}[t.Scheme])
}

// dialError is why no connection could be made: nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return "connect: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// close closes the connections that nobody uses.
func (a *h1Asker) close() { a.upstream.CloseIdle() }

func (a *h1Asker) ask(c *carrier, try, total time.Duration) error {
	x, h := &c.x, c.h1
	h.request = wire.Message{Head: x.Request.Head, Body: x.Request.Body, Length: x.Request.Length, Lines: x.Request.Lines}
	h.request.Authority = a.host
	if c.body != nil && h.e != nil { // http1 sees to the bound itself, and sends a small body together with the head
		h.request.Body, c.body.past = c.body.r, true
		h.e.LimitBody(c.body.most)
	}
	h.call.Request, h.call.Response, h.call.Exchange = &h.request, &x.Response, h.e
	h.call.Head, h.call.Total, h.call.Quiet = try, max(total, time.Millisecond), true
	if err := a.upstream.Do(c.ctx, &h.call); err != nil {
		h.done(c)
		return explainH1(c, err)
	}
	h.body = h1Body{r: x.Response.Body, c: c}
	x.Response.Body = &h.body
	return nil
}

// explainH1 says whose fault it is that there is no answer.
func explainH1(c *carrier, err error) error {
	r, body := err.(http1.Reason) // of the request's body: those of an answer come within a fault
	var dial *dialError
	dialing, slow := errors.As(err, &dial), errors.Is(err, fault.SlowUpstream)
	switch {
	case c.ctx.Err() != nil, errors.Is(err, http1.ErrClientGone), body && r == http1.CutShort:
		return errClientGone
	case body && r == http1.BodyTooLarge:
		return bodyTooLarge(c.body.most, c.body.rule)
	case body:
		return malformedFor(r)
	case errors.Is(err, http1.ErrUnsendable):
		return fault.New(fault.Internal, "something went wrong on our side").Because(err)
	case dialing && slow:
		return fault.Of(fault.SlowUpstream, codeUnreachable, "the service behind this gateway cannot be reached in time").Because(err)
	case dialing:
		return fault.Of(fault.BadUpstream, codeUnreachable, "the service behind this gateway cannot be reached").Because(err)
	case slow:
		return fault.Of(fault.SlowUpstream, "upstream-timeout", "the service behind this gateway did not answer in time").Because(err)
	case errors.Is(err, http1.UnexpectedUpgrade):
		return fault.Of(fault.BadUpstream, codeSwitched, textSwitched).Because(err)
	}
	return fault.Of(fault.BadUpstream, "upstream-failed", "the service behind this gateway did not give a proper answer").Because(err)
}
