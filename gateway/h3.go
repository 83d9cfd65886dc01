package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"gatehouse/http1"
	"gatehouse/policy"
	"gatehouse/wire"
)

// HTTP/3 comes from a library, which gives net/http's requests: the sender is the one of std.go, the rules of reading are
// those of http1 and h2.

// h3Streams is how many requests a client may have at a time on one connection: as many as with HTTP/2.
const h3Streams = 100

// ServeH3 answers HTTP/3 on the socket, which it closes, until the context ends; then running exchanges may end for up to
// Limits.Drain. secure is the configuration of the TLS listener beside it; data in the first flight (0-RTT), which may be
// replayed, is not taken.
func (g *Gateway) ServeH3(ctx context.Context, pc net.PacketConn, secure *tls.Config) error {
	f := &h3Front{stdFront{g: g}}
	s := &http3.Server{
		Handler: f, TLSConfig: http3.ConfigureTLSConfig(secure), MaxHeaderBytes: g.o.Limits.Head, IdleTimeout: g.o.Limits.Idle,
		QUICConfig: &quic.Config{
			HandshakeIdleTimeout: g.o.Limits.HeadTime, MaxIdleTimeout: g.o.Limits.Idle, MaxIncomingStreams: h3Streams, MaxIncomingUniStreams: 8,
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(pc) }()
	select {
	case err := <-ended:
		return errors.Join(err, pc.Close())
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.o.Limits.Drain)
	defer cancel()
	err := s.Shutdown(bound)
	if errors.Is(err, context.DeadlineExceeded) {
		g.o.Log.Warn("exchanges over HTTP/3 were cut off", "environment", g.o.Environment, "after", g.o.Limits.Drain)
		err = nil
	}
	err = errors.Join(err, s.Close())
	<-ended
	f.running.Wait()
	return errors.Join(err, pc.Close())
}

// h3Front is stdFront for HTTP/3.
type h3Front struct{ stdFront }

// ServeHTTP takes one request through the pipeline.
func (f *h3Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.running.Add(1)
	defer f.running.Done()
	c := f.g.take(r.Context())
	s := &stdSender{w: w, control: http.NewResponseController(w), stall: f.g.o.Limits.Stall, streams: true}
	bad := s.fillH3(&c.x, r, f.g.o.Limits)
	whole := f.g.exchange(c, s, bad)
	f.g.give(c)
	if !whole {
		panic(http.ErrAbortHandler) // resets the stream, so that the caller notices
	}
}

// fillH3 makes the exchange's request from the library's. Its error is what is wrong with the message.
func (s *stdSender) fillH3(x *policy.Exchange, r *http.Request, most Limits) error {
	x.Protocol = "HTTP/3.0"
	x.Peer, _ = netip.ParseAddrPort(r.RemoteAddr)
	if r.TLS != nil {
		x.TLS = proven(*r.TLS)
	}
	q := &x.Request
	q.Method, q.Scheme, q.Authority = keep(x, r.Method), "https", keep(x, strings.ToLower(r.Host))
	for name, values := range r.Header {
		for _, v := range values {
			q.Fields.Add(keep(x, name), keep(x, v))
		}
	}
	q.Length = r.ContentLength
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		s.body = &stdBody{r: r.Body, control: s.control, stall: s.stall}
		q.Body = s.body
	} else if r.Body == nil || r.Body == http.NoBody {
		q.Length = 0
	}
	if why := strange(r); why != http1.Fine {
		return malformedFor(why)
	}
	var m wire.Message
	if why := http1.Target([]byte(r.RequestURI), &m); why != http1.Fine {
		return malformedFor(why)
	}
	q.Path, q.Query = m.Path, m.Query
	return fits(&q.Head, most)
}

// strange is what http1 and h2 refuse and the library may not.
func strange(r *http.Request) http1.Reason {
	if why := http1.Method([]byte(r.Method)); why != http1.Fine {
		return why
	}
	if !http1.Authority([]byte(r.Host)) {
		return http1.BadHost
	}
	lengths := 0
	for name, values := range r.Header {
		lower := bytes.ToLower([]byte(name))
		if why := http1.Name(lower); why != http1.Fine {
			return why
		}
		for _, v := range values {
			if !http1.Value([]byte(v)) {
				return http1.BadValue
			}
		}
		switch string(lower) {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te":
			if string(lower) != "te" || len(values) != 1 || values[0] != "trailers" {
				return http1.BadConnection
			}
		case "host":
			if len(values) > 1 || !strings.EqualFold(values[0], r.Host) {
				return http1.HostMismatch
			}
		case "content-length":
			lengths += len(values)
		}
	}
	if lengths > 1 {
		return http1.RepeatedLength
	}
	return http1.Fine
}

// offersH3 tells clients that came another way where HTTP/3 is spoken (RFC 7838).
func (g *Gateway) offersH3(x *policy.Exchange) {
	if g.altSvc != nil && x.TLS != nil && x.Protocol != "HTTP/3.0" {
		x.Response.Fields.Add(nameAltSvc, g.altSvc)
	}
}

var nameAltSvc = wire.View("Alt-Svc")

// OfferH3 has answers over TLS say that HTTP/3 is spoken on that UDP port, for a day. It is called before Serve.
func (g *Gateway) OfferH3(port int) {
	g.altSvc = wire.View(`h3=":` + itoa(int64(port)) + `"; ma=86400`)
}
