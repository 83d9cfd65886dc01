package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"gatehouse/fault"
	"gatehouse/h2"
	"gatehouse/http1"
	"gatehouse/manifest"
	"gatehouse/snapshot"
	"gatehouse/wire"
)

// h2Asker is h2's client for one member of an upstream.
type h2Asker struct {
	host     wire.View
	scheme   string
	upstream *h2.Upstream
}

func newH2Asker(u *snapshot.Upstream, m *member, secure *verified) *h2Asker {
	return &h2Asker{wire.View(hostField(m.target)), m.target.Scheme, &h2.Upstream{Dial: m.dialH2(u, secure),
		Patience: h2.Patience{Connect: u.Connect, Head: u.Read, Body: u.Read, Write: u.Total}}}
}

// dialH2 connects to the member for HTTP/2.
func (m *member) dialH2(u *snapshot.Upstream, secure *verified) func(context.Context) (net.Conn, error) {
	if u.Protocol == manifest.H2 {
		return m.dialer(secure, manifest.H2)
	}
	return m.dialer(secure)
}

func (a *h2Asker) close() { a.upstream.CloseIdle() }

// h2Ask is one request to an upstream.
type h2Ask struct {
	c       *carrier
	call    h2.Call
	request wire.Message
	body    io.Reader // of the answer; nil: none
}

func (a *h2Asker) ask(c *carrier, try, total time.Duration) error {
	x := &c.x
	k := &h2Ask{c: c, request: wire.Message{Head: x.Request.Head, Body: x.Request.Body, Length: x.Request.Length}}
	k.request.Authority, k.request.Scheme = a.host, a.scheme
	announced := c.trailers
	if e := c.h1.e; e != nil {
		announced, _ = e.Request.Fields.Get("Trailer")
	}
	if len(announced) > 0 {
		k.request.Fields = append(x.Request.Fields, wire.Field{Name: nameTrailer, Value: announced})
	}
	k.call = h2.Call{Request: &k.request, Response: &x.Response, Head: try, Total: max(total, time.Millisecond)}
	if err := k.content(); err != nil {
		return err
	}
	if err := a.upstream.Do(c.ctx, &k.call); err != nil {
		k.done()
		return explainH2(c, err)
	}
	k.body = x.Response.Body
	x.Response.Body = k
	return nil
}

// content makes the request's content one that another goroutine may read.
func (k *h2Ask) content() error {
	c, e := k.c, k.c.h1.e
	if e != nil {
		k.call.Gone = e.Gone
	}
	if c.body == nil {
		return nil
	}
	k.call.Abort = c.body.stop
	if e == nil {
		k.call.Trailer = func() wire.Fields { return c.x.Request.Trailer }
		return nil
	}
	k.call.Trailer = e.Trailer
	e.LimitBody(c.body.most)
	whole, ok, err := e.Whole()
	switch {
	case err != nil:
		return explainH1(c, err)
	case ok:
		c.body.took(int64(len(whole)))
		k.request.Body, k.request.Length = nil, int64(len(whole))
		if len(whole) > 0 {
			k.request.Body = bytes.NewReader(whole)
		}
		if len(e.Trailer()) > 0 {
			k.request.Body, k.request.Length = bytes.NewReader(whole), -1
		}
		return nil
	}
	c.body.r = &h1Content{c.body.r, e}
	if err := e.Lend(); err != nil {
		return errClientGone
	}
	return nil
}

// done ends the call.
func (k *h2Ask) done() {
	k.call.Done()
	if e := k.c.h1.e; e != nil {
		e.Return()
	}
}

func (k *h2Ask) Read(p []byte) (int, error) {
	if k.body == nil {
		return 0, io.EOF
	}
	n, err := k.body.Read(p)
	switch {
	case err == io.EOF:
		inbound(k.c.x.Response.Trailer)
	case errors.Is(err, h2.ErrPeerGone):
		err = errClientGone
	}
	return n, err
}

// Ready reports whether the next Read waits for nobody.
func (k *h2Ask) Ready() bool {
	r, ok := k.body.(interface{ Ready() bool })
	return k.body == nil || ok && r.Ready()
}

// Close gives the stream back.
func (k *h2Ask) Close() error {
	k.done()
	return nil
}

// askH2 asks for the status of a path, as askHTTP1 does.
func (w *watch) askH2(ctx context.Context, m *member, path, host string) (int, error) {
	u := &h2.Upstream{Dial: m.dialH2(w.p.u, w.p.secure)}
	defer u.Close()
	q, a := wire.Message{Head: wire.Head{Method: wire.View("GET"), Scheme: m.target.Scheme, Authority: wire.View(host)}}, wire.Message{}
	p, query, has := bytes.Cut([]byte(path), []byte("?"))
	if q.Path = p; has {
		q.Query = query
	}
	q.Fields.AddString("user-agent", "gatehouse-health")
	q.Fields.AddString("accept", "*/*")
	call := h2.Call{Request: &q, Response: &a}
	defer call.Done()
	if err := u.Do(ctx, &call); err != nil {
		return 0, err
	}
	return a.Status, nil
}

// explainH2 says whose fault it is that there is no answer.
func explainH2(c *carrier, err error) error {
	var dial *dialError
	f, ok := errors.AsType[*fault.Error](err)
	dialing, slow := errors.As(err, &dial), errors.Is(err, fault.SlowUpstream)
	switch {
	case c.ctx.Err() != nil, errors.Is(err, h2.ErrPeerGone), errors.Is(err, errClientGone):
		return errClientGone
	case errors.Is(err, h2.ErrUnsendable):
		return fault.New(fault.Internal, "something went wrong on our side").Because(err)
	case ok && f.Kind != fault.BadUpstream && f.Kind != fault.SlowUpstream: // of the request's content
		return f
	case dialing && slow:
		return fault.Of(fault.SlowUpstream, codeUnreachable, "the service behind this gateway cannot be reached in time").Because(err)
	case dialing:
		return fault.Of(fault.BadUpstream, codeUnreachable, "the service behind this gateway cannot be reached").Because(err)
	case slow:
		return fault.Of(fault.SlowUpstream, "upstream-timeout", "the service behind this gateway did not answer in time").Because(err)
	}
	return fault.Of(fault.BadUpstream, "upstream-failed", "the service behind this gateway did not give a proper answer").Because(err)
}

// h1Content is the content of a request of http1 that another goroutine reads. Its errors are this gateway's.
type h1Content struct {
	r io.Reader
	e interface{ Halt() }
}

func (b *h1Content) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	r, refused := err.(http1.Reason)
	switch {
	case err == nil, err == io.EOF:
	case refused && r != http1.CutShort:
		err = malformedFor(r)
	default:
		err = errClientGone
	}
	return n, err
}

// abort makes a Read that is running return, from another goroutine.
func (b *h1Content) abort(yes bool) {
	if yes {
		b.e.Halt()
	}
}
