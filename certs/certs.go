// Package certs is what a TLS listener proves itself with: certificates picked by the name that a client asks for and read
// again when their files change, whose clients' certificates it asks for, and session tickets whose keys rotate.
package certs

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Clients says what a listener asks of its clients.
type Clients string

// What can be asked.
const (
	None    Clients = ""        // no certificate
	Request Clients = "request" // any that the client has, not verified: policies know it by its key or its thumbprint
	Verify  Clients = "verify"  // none, or one that the listener's authorities have signed
	Require Clients = "require" // one that they have signed
)

// Pair names the two PEM files of a certificate.
type Pair struct{ Certificate, Key string }

// Options is what a Store is made from.
type Options struct {
	Pairs       []Pair   // the first is shown to clients that ask for a name that no certificate has, or for none
	Folder      string   // holds more: NAME.crt or NAME.pem with NAME.key, and FOLDER/tls.crt with FOLDER/tls.key; "": none
	Clients     Clients  // what is asked of clients
	Authorities string   // PEM file with those that sign clients' certificates; for Verify and Require
	Protocols   []string // that are offered (RFC 7301), the dearest first
	Now         func() time.Time
	Log         *slog.Logger
}

// Bounds of a Store.
const (
	pollEvery   = 5 * time.Second // how long a changed file may go unnoticed
	rotateEvery = 4 * time.Hour   // how long a key makes session tickets
	ticketKeys  = 3               // keys that open tickets: so one is good for 8 to 12 hours
	soon        = 14 * 24 * 60 * 60 * time.Second
)

// Store is the certificates of one listener. Connections that were made go on whatever changes.
type Store struct {
	o       Options
	current atomic.Pointer[generation]

	mu      sync.Mutex // guards what follows
	seen    string     // how the files looked when they were read last
	keys    [][32]byte // of session tickets, the newest first
	rotated time.Time
	said    string // what went wrong last, so that it is logged once
}

// generation is one reading of the files.
type generation struct {
	config      *tls.Config
	names       map[string][]*tls.Certificate // exact names, and *.name; in lower case
	first       *tls.Certificate
	digest      [32]byte // of everything that was read
	authorities [32]byte // of those alone
}

// Open reads the files. An error says which one cannot be used.
func Open(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch o.Clients {
	case None, Request:
		if o.Authorities != "" {
			return nil, errors.New("authorities are named for clients' certificates that are not verified")
		}
	case Verify, Require:
		if o.Authorities == "" {
			return nil, errors.New("clients' certificates are to be verified, and no authorities are named")
		}
	default:
		return nil, fmt.Errorf("%q is nothing that can be asked of clients", o.Clients)
	}
	s := &Store{o: o}
	if err := s.rotate(); err != nil {
		return nil, err
	}
	if _, err := s.Refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// Config is for the listener. It follows the files as long as Watch runs.
func (s *Store) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: s.o.Protocols, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return s.current.Load().config, nil
	}}
}

// suites are those of TLS 1.2 that RFC 9113 §9.2.2 lets HTTP/2 use; TLS 1.3 has no others.
func suites() []uint16 {
	return []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
}

// build makes a generation's configuration.
func (s *Store) build(g *generation, authorities *x509.CertPool) {
	g.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: s.o.Protocols, CipherSuites: suites(), GetCertificate: g.pick, ClientCAs: authorities}
	switch s.o.Clients {
	case Request:
		g.config.ClientAuth = tls.RequestClientCert
	case Verify:
		g.config.ClientAuth = tls.VerifyClientCertIfGiven
	case Require:
		g.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	g.config.SetSessionTicketKeys(s.keys)
}

// Apart reports whether a connection that was made for the name server is the wrong one for requests to host: the certificate
// that it showed is not for that host, and there is one that is (RFC 9110 §15.5.20). Without either name it is not.
func (s *Store) Apart(server, host string) bool {
	if server == "" || host == "" {
		return false
	}
	g := s.current.Load()
	own := g.find(host)
	if len(own) == 0 {
		return false
	}
	shown := g.find(server)
	if len(shown) == 0 {
		return g.first.Leaf.VerifyHostname(host) != nil
	}
	for _, c := range shown { // the client was shown one of them
		if c.Leaf.VerifyHostname(host) == nil {
			return false
		}
	}
	return true
}

// find is the certificates for a name: those that have it, or a wildcard for it.
func (g *generation) find(name string) []*tls.Certificate {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	found := g.names[name]
	if found == nil {
		if _, parent, ok := strings.Cut(name, "."); ok {
			found = g.names["*."+parent]
		}
	}
	return found
}

// pick is the certificate for the name that the client asks for: one of that name, one of a wildcard, or the first. Where
// there are several of a name, it is one that the client can check.
func (g *generation) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	found := g.find(hello.ServerName)
	for _, c := range found {
		if hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return g.first, nil
}

// rotate puts a fresh key for session tickets before the others, and forgets the oldest. s.mu is held, or s is new.
func (s *Store) rotate() error {
	var k [32]byte
	if _, err := rand.Read(k[:]); err != nil {
		return fmt.Errorf("a key for session tickets: %w", err)
	}
	s.keys = append([][32]byte{k}, s.keys[:min(len(s.keys), ticketKeys-1)]...)
	s.rotated = s.o.Now()
	if g := s.current.Load(); g != nil {
		g.config.SetSessionTicketKeys(s.keys)
	}
	return nil
}
