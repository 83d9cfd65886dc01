package gateway

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"gatehouse/fault"
	"gatehouse/policy"
)

// net/http answers what it cannot read by itself, before any handler, in plain text. earlyConn puts the gateway's own
// refusal in place of that answer, so that it is a problem document and leaves an event like every other.

type earlyListener struct {
	net.Listener
	g *Gateway
}

func (l earlyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &earlyConn{c, l.g}, nil
}

type earlyConn struct {
	net.Conn
	g *Gateway
}

// plainRefusal is how the fields of net/http's own answers begin. The gateway's never do: they have a request id.
var plainRefusal = []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

func (c *earlyConn) Write(b []byte) (int, error) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || !bytes.HasPrefix(rest, plainRefusal) {
		return c.Conn.Write(b)
	}
	x := c.g.take(context.Background())
	defer c.g.give(x)
	x.x.Peer, _ = netip.ParseAddrPort(c.RemoteAddr().String())
	s := &rawSender{c: c.Conn}
	c.g.exchange(x, s, unreadable(string(line[9:])))
	return len(b), s.err
}

// CloseWrite lets net/http end its side first, so that the caller can read the answer.
func (c *earlyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// unreadable is the fault for what net/http could not read.
func unreadable(status string) error {
	switch status[:min(3, len(status))] {
	case "431":
		return fault.Of(fault.TooLarge, "head-too-large", "the request's header fields are too large")
	case "501":
		return fault.Of(fault.Unsupported, "not-implemented", "this transfer coding is not understood here")
	case "505":
		return fault.Of(fault.Unsupported, "version-unsupported", "this gateway speaks HTTP/1.1")
	}
	return malformed("the request cannot be read")
}

// rawSender writes a refusal to a connection that net/http is about to close.
type rawSender struct {
	c   net.Conn
	err error
}

func (s *rawSender) send(x *policy.Exchange) (int64, error) {
	status := x.Response.Status
	b := []byte("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\nConnection: close\r\n")
	for _, f := range x.Response.Fields {
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	b = append(b, "Content-Length: "+itoa(x.Response.Length)+"\r\n\r\n"...)
	var body bytes.Buffer
	n, _ := body.ReadFrom(x.Response.Body) // of memory
	_, s.err = s.c.Write(append(b, body.Bytes()...))
	return n, s.err
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
