package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"

	"gatehouse/certs"
	"gatehouse/config"
)

// portStep is how far apart the gateways of two environments listen.
const portStep = 10

// nth is the listener of the n-th gateway.
func nth(l config.Listener, n int) (config.Listener, error) {
	host, port, err := net.SplitHostPort(l.Listen)
	if err != nil {
		return l, err
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		return l, err
	}
	if p == 0 || n == 0 {
		return l, nil
	}
	if p += n * portStep; p > 65535 {
		return l, fmt.Errorf("the gateway of environment %d would listen on port %d: set gateway.listen to a lower port", n+1, p)
	}
	l.Listen = net.JoinHostPort(host, strconv.Itoa(p))
	l.URL = "" // that is the first one's
	return l, nil
}

// tls opens the listener of that role; over TLS it offers the protocols (RFC 7301 names). what is it for, and setting is
// what moves it: both are for the error.
func (s *sockets) tls(ctx context.Context, log *slog.Logger, role string, l config.Listener, what, setting string, protocols ...string) (net.Listener, error) {
	n, err := s.listen(ctx, role, l.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s cannot listen on %s: another program does. End that one, or choose another address with --%s (%s)",
			what, l.Listen, setting, config.Setting{Name: setting + ".listen"}.Variable())
	case err != nil:
		return nil, fmt.Errorf("%s cannot listen on %s: %w. Choose another address with --%s", what, l.Listen, errors.Unwrap(err), setting)
	}
	if !l.TLS() {
		return n, nil
	}
	o := certs.Options{Folder: l.Folder, Clients: certs.Clients(l.Clients), Authorities: l.Authorities, Protocols: protocols, Log: log}
	if o.Clients == "none" {
		o.Clients = certs.None
	}
	if l.Certificate != "" {
		o.Pairs = []certs.Pair{{Certificate: l.Certificate, Key: l.Key}}
	}
	store, err := certs.Open(o)
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("%s cannot speak TLS: %w", what, err)
	}
	return &secureListener{tls.NewListener(n, store.Config()), store}, nil
}

// secureListener is a listener of TLS with its certificates, which somebody has to watch.
type secureListener struct {
	net.Listener
	certs *certs.Store
}

// watch keeps the certificates of a listener current, in a part of the process.
func (s *serving) watch(ctx context.Context, what string, l net.Listener) {
	if t, ok := l.(*secureListener); ok {
		s.start(ctx, "the certificates of "+what, t.certs.Watch)
	}
}

// address is what people call a listener.
func address(l config.Listener, n net.Listener) string {
	if l.URL != "" {
		return l.URL
	}
	scheme := "http"
	if l.TLS() {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(n.Addr().String())
	if err != nil {
		return scheme + "://" + n.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && (ip.Equal(net.IPv4(127, 0, 0, 1)) || ip.Equal(net.IPv6loopback) || ip.IsUnspecified()) {
		host = "localhost" // passkeys refuse numbers; other loopback addresses have no such name
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// onlyLoopback refuses development mode where anybody else could reach it.
func onlyLoopback(ctx context.Context, c config.Config) error {
	for _, l := range []struct {
		setting string
		config.Listener
	}{{"control", c.Control}, {"gateway", c.Gateway}, {"operations", c.Operations}} {
		host, _, err := net.SplitHostPort(l.Listen)
		if err != nil {
			return err
		}
		ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
		if err != nil || host == "" {
			ips = []net.IPAddr{{IP: net.IPv4zero}} // all addresses, or one that we cannot tell
		}
		for _, ip := range ips {
			if !ip.IP.IsLoopback() {
				return fmt.Errorf("--dev shows letters and sign-in links to whoever asks, so it runs on loopback only, and %s listens on %s: listen on 127.0.0.1, or leave --dev away", l.setting, l.Listen)
			}
		}
	}
	return nil
}
