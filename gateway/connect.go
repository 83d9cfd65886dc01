package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"gatehouse/snapshot"
)

// verified is how an upstream's https targets are reached.
type verified struct {
	base *tls.Config // shared by all upstreams; its roots may be a test's
	own  *snapshot.Secure
	kept tls.ClientSessionCache
}

// sessions is how many TLS sessions are kept for each upstream, so that a new connection costs less.
const sessions = 256

func (g *Gateway) verified(u *snapshot.Upstream) *verified {
	return &verified{base: g.secure, own: u.Secure, kept: tls.NewLRUClientSessionCache(sessions)}
}

// of is the configuration for a target: verified, whatever it says of itself.
func (s *verified) of(t snapshot.Target) *tls.Config {
	c := s.base.Clone()
	c.ServerName, _, _ = net.SplitHostPort(t.Host)
	c.ClientSessionCache = s.kept
	if own := s.own; own != nil {
		if own.Name != "" {
			c.ServerName = own.Name
		}
		if own.Roots != nil {
			c.RootCAs = own.Roots
		}
		c.Certificates = own.Certificates
	}
	return c
}

// connect opens a connection to the member; to its other address when the first is not there.
func (m *member) connect(ctx context.Context) (net.Conn, error) {
	var failed error
	for _, a := range m.address {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, err
		}
		to := []string{host}
		if net.ParseIP(host) == nil { // a name that has not been looked up yet
			if to, _, err = m.names.lookUp(ctx, host); err != nil {
				return nil, err
			}
		}
		for _, host := range to {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
			if err == nil {
				return c, nil
			}
			failed = errors.Join(failed, err)
		}
	}
	return nil, failed
}

// dialer connects to the member, over TLS where its target says so.
func (m *member) dialer(secure *verified, protocols ...string) func(context.Context) (net.Conn, error) {
	var config *tls.Config
	if m.target.Scheme == "https" {
		config = secure.of(m.target)
		config.NextProtos = protocols
	}
	return func(ctx context.Context) (net.Conn, error) {
		c, err := m.connect(ctx)
		if err != nil {
			return nil, &dialError{err}
		}
		if config == nil {
			return c, nil
		}
		t := tls.Client(c, config)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return nil, &dialError{err}
		}
		if got := t.ConnectionState().NegotiatedProtocol; len(protocols) > 0 && got != protocols[0] {
			_ = c.Close()
			return nil, &dialError{fmt.Errorf("the target does not speak %s: it chose %q", protocols[0], got)}
		}
		return t, nil
	}
}

// pairs puts addresses together that stand for one machine: a name with one address of each family is most likely one.
// Of a name with several, those of IPv4 are taken where there are any, each for a machine of its own.
func pairs(addresses []string) [][]string {
	var four, six [][]string
	for _, a := range addresses {
		host, _, _ := net.SplitHostPort(a)
		if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
			six = append(six, []string{a})
		} else {
			four = append(four, []string{a})
		}
	}
	switch {
	case len(four) == 1 && len(six) == 1:
		return [][]string{slices.Concat(four[0], six[0])}
	case len(four) > 0:
		return four
	}
	return six
}
