package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"gatehouse/policy"
	"gatehouse/wire"
)

// accept takes connections of the listener until it is closed, and has each served on a goroutine of its own, which running
// counts. Over TLS the handshake is made first. Connections that still make theirs a moment after ctx has ended are closed.
func (g *Gateway) accept(ctx context.Context, l net.Listener, running *sync.WaitGroup, arriving *arrivals, take func(net.Conn) func()) error {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			leave, ok := g.peers.enter(nc)
			if !ok {
				g.meters.turnedAway.Inc()
				turnAway(nc)
				continue
			}
			arriving.add(1)
			running.Go(func() {
				defer leave()
				arrived := sync.OnceFunc(func() { arriving.add(-1) })
				defer arrived()
				g.greet(ctx, nc, func(nc net.Conn) {
					run := take(nc)
					arrived()
					if run != nil {
						run()
					}
				})
			})
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second) // out of descriptors: wait for some to come back
			time.Sleep(pause)
		}
	}
}

// arrivals counts connections that were accepted and have no server yet.
type arrivals struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed once there are none; nil: nobody waits
}

func (a *arrivals) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n += n; a.n == 0 && a.none != nil {
		close(a.none)
		a.none = nil
	}
}

// wait returns when there are none any more, or after a while: a handshake may take long.
func (a *arrivals) wait(most time.Duration) {
	a.mu.Lock()
	if a.n == 0 {
		a.mu.Unlock()
		return
	}
	none := make(chan struct{})
	a.none = none
	a.mu.Unlock()
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-none:
	case <-t.C:
	}
}

// preface is what a client of HTTP/2 begins with (RFC 9113 §3.4). In HTTP/1.1 it is a method that nobody has.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// speaksH2 reports whether the client has chosen HTTP/2: in its handshake, or, where that is allowed, by how it begins.
func (g *Gateway) speaksH2(ctx context.Context, nc net.Conn) bool {
	if t, ok := nc.(*secureConn); ok {
		return t.ConnectionState().NegotiatedProtocol == "h2"
	}
	if !g.o.H2C {
		return false
	}
	_ = nc.SetReadDeadline(time.Now().Add(g.o.Limits.HeadTime))
	stop := context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Now().Add(greetGrace)) })
	yes := prior(nc)
	if stop() {
		_ = nc.SetReadDeadline(time.Time{})
	}
	return yes
}

// greetGrace is how long a connection that came just before the gateway stops has to say what it speaks. A client that was
// let in is served: it cannot know that it was the last.
const greetGrace = 500 * time.Millisecond

// greet makes the handshake of a connection of TLS and has it served.
func (g *Gateway) greet(ctx context.Context, nc net.Conn, serve func(net.Conn)) {
	t, ok := nc.(*tls.Conn)
	if !ok {
		serve(nc)
		return
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.o.Limits.HeadTime)
	late := context.AfterFunc(ctx, func() { time.AfterFunc(greetGrace, cancel) })
	err := t.HandshakeContext(bound)
	late()
	cancel()
	if err != nil {
		g.meters.handshakes.Inc()
		g.o.Log.Debug("handshake", "environment", g.o.Environment, "peer", nc.RemoteAddr().String(), "error", err)
		_ = nc.Close()
		return
	}
	serve(&secureConn{t, proven(t.ConnectionState())})
}

// secureConn is a connection of TLS whose handshake is made.
type secureConn struct {
	*tls.Conn
	proven *policy.TLS
}

// secured is what the connection has proven; nil when it is not one of TLS.
func secured(nc net.Conn) *policy.TLS {
	if s, ok := nc.(*secureConn); ok {
		return s.proven
	}
	return nil
}

// proven is what a handshake has proven.
func proven(s tls.ConnectionState) *policy.TLS {
	p := &policy.TLS{Version: s.Version, Suite: s.CipherSuite, ServerName: s.ServerName}
	if len(s.PeerCertificates) > 0 {
		p.Certificate, p.Presented = s.PeerCertificates[0], s.PeerCertificates[1:]
		p.Thumbprint = sha256.Sum256(p.Certificate.Raw)
	}
	if len(s.VerifiedChains) > 0 {
		p.Chain = s.VerifiedChains[0]
	}
	return p
}

// Apart has requests refused that came over a connection made for another host (421, RFC 9110 §15.5.20): no reports whether one
// made for the name server is the wrong one for host. It is called before Serve. Without it every connection may bring
// requests for every host, whatever certificate it showed.
func (g *Gateway) Apart(no func(server, host string) bool) { g.apart = no }

// misdirected reports whether the request should have come over another connection of TLS.
func (g *Gateway) misdirected(x *policy.Exchange) bool {
	if g.apart == nil || x.TLS.ServerName == "" {
		return false
	}
	host := hostOf(x.Request.Authority)
	return !host.EqualFold(x.TLS.ServerName) && g.apart(x.TLS.ServerName, host.String())
}

// hostOf is an authority without its port.
func hostOf(authority wire.View) wire.View {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		return authority[:i]
	}
	return authority
}
