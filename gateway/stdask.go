package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/snapshot"
)

// stdAsker is net/http's transport for one member of an upstream.
type stdAsker struct {
	t      *http.Transport
	target snapshot.Target
	read   time.Duration
}

func newStdAsker(u *snapshot.Upstream, m *member, secure *verified) *stdAsker {
	dial := m.dialer(secure)
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, u.Connect)
		defer cancel()
		return dial(ctx)
	}
	t := &http.Transport{
		DialContext:            connect,
		DialTLSContext:         connect,
		ResponseHeaderTimeout:  u.Read,
		MaxResponseHeaderBytes: 64 << 10, // twice what a request may have
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true, // bodies pass as they are
	}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return &stdAsker{t, m.target, u.Read}
}

func (a *stdAsker) close() { a.t.CloseIdleConnections() }

func (a *stdAsker) ask(c *carrier, try, total time.Duration) error {
	x, t := &c.x, a.target
	bounded, stop := context.WithTimeout(c.ctx, total)
	ctx, cut := context.WithCancelCause(bounded)
	cancel := func(err error) { cut(err); stop() }
	if try > 0 {
		defer time.AfterFunc(try, func() { cut(context.DeadlineExceeded) }).Stop()
	}
	r := (&http.Request{
		Method: x.Request.Method.String(),
		URL: &url.URL{Scheme: t.Scheme, Host: t.Host, Opaque: x.Request.Path.String(), RawQuery: x.Request.Query.String(),
			ForceQuery: x.Request.Query != nil && len(x.Request.Query) == 0},
		Host:          hostField(t),
		Header:        make(http.Header, len(x.Request.Fields)),
		ContentLength: x.Request.Length,
	}).WithContext(ctx)
	for _, f := range x.Request.Fields {
		if len(f.Name) > 0 {
			r.Header.Add(f.Name.String(), f.Value.String())
		}
	}
	if _, set := r.Header["User-Agent"]; !set {
		r.Header["User-Agent"] = nil // net/http must not add its own
	}
	if x.Request.Body != nil {
		r.Body = io.NopCloser(x.Request.Body)
	}
	answer, err := a.t.RoundTrip(r)
	if err != nil {
		defer cancel(nil)
		return explainStd(ctx, err)
	}
	x.Response.Status, x.Response.Length = answer.StatusCode, answer.ContentLength
	for name, values := range answer.Header {
		for _, v := range values {
			x.Response.Fields.AddString(name, v)
		}
	}
	x.Response.Body = newStdAnswer(x, answer, cancel, a.read)
	return nil
}

// explainStd says whose fault it is that there is no answer.
func explainStd(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return errClientGone
	}
	var dial *dialError
	dialing := errors.As(err, &dial)
	var slow net.Error
	late := errors.As(err, &slow) && slow.Timeout() || errors.Is(err, context.DeadlineExceeded)
	if !dialing && late {
		return fault.Of(fault.SlowUpstream, "upstream-timeout", "the service behind this gateway did not answer in time").Because(err)
	}
	if dialing && late {
		return fault.Of(fault.SlowUpstream, codeUnreachable, "the service behind this gateway cannot be reached in time").Because(err)
	}
	if dialing {
		return fault.Of(fault.BadUpstream, codeUnreachable, "the service behind this gateway cannot be reached").Because(err)
	}
	return fault.Of(fault.BadUpstream, "upstream-failed", "the service behind this gateway did not give a proper answer").Because(err)
}

// stdAnswer is an upstream's body, each part of which must come within the upstream's read deadline.
type stdAnswer struct {
	x      *policy.Exchange
	r      *http.Response
	cancel func(error)
	timer  *time.Timer
	read   time.Duration
}

func newStdAnswer(x *policy.Exchange, r *http.Response, cancel func(error), read time.Duration) *stdAnswer {
	return &stdAnswer{x, r, cancel, time.AfterFunc(read, func() { cancel(os.ErrDeadlineExceeded) }), read}
}

func (a *stdAnswer) Read(p []byte) (int, error) {
	a.timer.Reset(a.read)
	n, err := a.r.Body.Read(p)
	if err == io.EOF {
		for name, values := range a.r.Trailer {
			for _, v := range values {
				a.x.Response.Trailer.AddString(name, v)
			}
		}
		inbound(a.x.Response.Trailer)
	}
	return n, err
}

func (a *stdAnswer) Close() error {
	a.timer.Stop()
	err := a.r.Body.Close()
	a.cancel(nil)
	return err
}
