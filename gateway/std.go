package gateway

// The files std*.go are the one place that knows net/http: its server in front of the pipeline, its transport behind. It
// is the reference that http1 is compared with.

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/wire"
)

// serveStd is Serve on net/http.
func (g *Gateway) serveStd(ctx context.Context, l net.Listener) error {
	f := &stdFront{g: g}
	s := &http.Server{
		Handler:           f,
		ReadHeaderTimeout: g.o.Limits.HeadTime,
		IdleTimeout:       g.o.Limits.Idle,
		MaxHeaderBytes:    g.o.Limits.Head, // net/http adds 4 KiB; fits() looks again
		ErrorLog:          log.New(slogWriter{g.o.Log}, "", 0),

		DisableGeneralOptionsHandler: true,

		ConnContext: func(ctx context.Context, c net.Conn) context.Context { // earlyConn hides from net/http what is under it
			if early, ok := c.(*earlyConn); ok {
				secure, _ := early.Conn.(*tls.Conn)
				return context.WithValue(ctx, overTLS{}, secure)
			}
			return ctx
		},
	}
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(earlyListener{l, g}) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.o.Limits.Drain)
	defer cancel()
	err := s.Shutdown(bound)
	if errors.Is(err, context.DeadlineExceeded) {
		g.o.Log.Warn("exchanges were cut off", "environment", g.o.Environment, "after", g.o.Limits.Drain)
		err = s.Close()
	}
	<-ended
	f.running.Wait()
	g.idle()
	return err
}

// overTLS is the key of a connection of TLS.
type overTLS struct{}

type stdFront struct {
	g       *Gateway
	running sync.WaitGroup
}

// ServeHTTP takes one request through the pipeline.
func (f *stdFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.running.Add(1)
	defer f.running.Done()
	c := f.g.take(r.Context())
	s := &stdSender{w: w, control: http.NewResponseController(w), stall: f.g.o.Limits.Stall}
	bad := s.fill(&c.x, r, f.g.o.Limits)
	whole := f.g.exchange(c, s, bad)
	f.g.give(c)
	if !whole {
		panic(http.ErrAbortHandler) // closes the connection, so that the caller notices
	}
}

// stdSender is one request of net/http's server.
type stdSender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	body    *stdBody // of the request; nil: none
	streams bool     // HTTP/3: both ways are apart, and no connection ends with an exchange
}

// fill makes the exchange's request from net/http's. Its error is what is wrong with the message.
func (s *stdSender) fill(x *policy.Exchange, r *http.Request, most Limits) error {
	x.Protocol = r.Proto
	x.Peer, _ = netip.ParseAddrPort(r.RemoteAddr)
	q := &x.Request
	q.Method, q.Scheme, q.Authority = keep(x, r.Method), "http", keep(x, strings.ToLower(r.Host))
	if secure, _ := r.Context().Value(overTLS{}).(*tls.Conn); secure != nil {
		q.Scheme, x.TLS = "https", proven(secure.ConnectionState())
	}
	size := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			q.Fields.Add(keep(x, name), keep(x, v))
			size += len(name) + len(v) + 4
		}
	}
	q.Length = r.ContentLength
	if r.Body != nil && r.Body != http.NoBody {
		s.body = &stdBody{r: r.Body, control: s.control, stall: s.stall}
		q.Body = s.body
	}
	switch {
	case len(r.RequestURI) > most.Target:
		return fault.Of(fault.TooLarge, "uri-too-long", "the address is longer than %d bytes", most.Target)
	case size > most.Head:
		return fault.Of(fault.TooLarge, "head-too-large", "the request's header fields are larger than %d bytes", most.Head)
	case r.Method == http.MethodConnect:
		return fault.Of(fault.Unsupported, "method-not-allowed", "this gateway opens no tunnels")
	case r.ProtoMajor != 1 || r.ProtoMinor != 1 && r.ProtoMinor != 0:
		return fault.Of(fault.Unsupported, "version-unsupported", "this gateway speaks HTTP/1.1")
	case len(r.Header.Values("Content-Length")) > 1:
		return malformed("there are several Content-Length fields")
	}
	return target(x, r.RequestURI)
}

// target reads path and query from the request's target: an address, or a path.
func target(x *policy.Exchange, t string) error {
	if scheme, rest, absolute := strings.Cut(t, "://"); absolute && !strings.HasPrefix(t, "/") {
		if s := strings.ToLower(scheme); s != "http" && s != "https" {
			return malformed("the address is not one of http")
		}
		at := strings.IndexAny(rest, "/?#")
		if at < 0 {
			at, rest = len(rest), rest+"/"
		}
		if t = rest[at:]; t[0] == '?' {
			t = "/" + t
		}
	}
	path, query, has := strings.Cut(t, "?")
	normal, why := wire.NormalPath(x.Scratch(), wire.View(path))
	if why != "" {
		return malformed(why)
	}
	x.Request.Path = x.KeepScratch(append(x.Scratch(), normal...))
	if !has {
		return nil
	}
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return malformed("the query holds a character that must be escaped")
		}
	}
	x.Request.Query = keep(x, query)
	if x.Request.Query == nil {
		x.Request.Query = wire.View{}
	}
	return nil
}

func malformed(why string) error { return fault.Of(fault.Invalid, "malformed-request", "%s", why) }

// stdBody is a request's body with a deadline for each part.
type stdBody struct {
	r       io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	ended   atomic.Bool
}

func (b *stdBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.stall))
	n, err := b.r.Read(p)
	if err == nil {
		return n, nil
	}
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if !late {
		_ = b.control.SetReadDeadline(time.Time{}) // net/http waits in the background for the caller to go away
	}
	switch {
	case err == io.EOF:
		b.ended.Store(true)
		return n, err
	case late:
		return n, fault.Of(fault.Invalid, "request-timeout", "the request's body stopped coming").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return n, errClientGone
	}
	return n, fault.Of(fault.Invalid, "malformed-request", "the request's body cannot be read").Because(err)
}

// abort makes a Read that is running return, from another goroutine; abort(false) takes that back.
func (b *stdBody) abort(yes bool) {
	if yes {
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	} else {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

// send writes the response. Header fields are written before the body is known to be readable: what fails later breaks
// the connection.
func (s *stdSender) send(x *policy.Exchange) (int64, error) {
	h := s.w.Header()
	for _, f := range x.Response.Fields {
		if len(f.Name) > 0 {
			h.Add(f.Name.String(), f.Value.String())
		}
	}
	if _, set := h["Content-Type"]; !set {
		h["Content-Type"] = nil // net/http must not guess
	}
	status := x.Response.Status
	bodyless := x.Request.Method.EqualFold("HEAD") || status == http.StatusNoContent || status == http.StatusNotModified
	if x.Response.Length >= 0 && status != http.StatusNoContent && !(status == http.StatusNotModified && x.Response.Length == 0) {
		h.Set("Content-Length", itoa(x.Response.Length))
	}
	s.rest(x)
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall + linger))
	s.w.WriteHeader(status)
	if bodyless || x.Response.Body == nil {
		return 0, nil
	}
	n, err := s.copy(x.Response.Body, x.Response.Length < 0)
	if err == nil {
		for _, f := range x.Response.Trailer {
			if len(f.Name) > 0 {
				h.Add(http.TrailerPrefix+f.Name.String(), f.Value.String())
			}
		}
	}
	return n, err
}

// rest decides about the part of the request's body that nobody has read. An upstream may answer while it still comes: then
// both go on side by side, and the connection ends with them. Before a refusal, net/http reads a small rest away to keep
// the connection, and after it waits a little before it closes on a larger one, so that the caller sees its answer; this
// sets it a bound.
func (s *stdSender) rest(x *policy.Exchange) {
	switch {
	case s.body == nil || s.body.ended.Load() || s.streams:
	case x.Refusal == nil && !x.Answered():
		s.w.Header().Set("Connection", "close")
		_ = s.control.EnableFullDuplex()
	default:
		_ = s.control.SetReadDeadline(time.Now().Add(min(s.stall, linger)))
	}
}

const linger = 2 * time.Second // for the rest of a body that is not wanted; writing waits behind it

// copy writes the body, each part at once when nobody knows how much is to come.
func (s *stdSender) copy(r io.Reader, flush bool) (int64, error) {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	var total int64
	if flush {
		_ = s.control.Flush()
	}
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			_ = s.control.SetWriteDeadline(time.Now().Add(s.stall + linger))
			m, werr := s.w.Write(buf[:n])
			total += int64(m)
			if werr == nil && flush {
				werr = s.control.Flush()
			}
			if werr != nil {
				return total, errClientGone
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

const copySize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// slogWriter takes what net/http logs.
type slogWriter struct{ log *slog.Logger }

func (w slogWriter) Write(b []byte) (int, error) {
	w.log.Debug("net/http", "message", strings.TrimSpace(string(b)))
	return len(b), nil
}
