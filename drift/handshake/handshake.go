// Package handshake learns which certificate an address presents, and how it insists on TLS, by TLS handshakes and nothing beyond them: no
// byte of a request is sent, and no answer is read.
package handshake

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"gatehouse/drift"
	"gatehouse/fault"
)

// Seen is what an address presents.
type Seen struct {
	Address     string              `json:"address"`
	Environment string              `json:"environment,omitempty"`
	Certificate *drift.Certificate  `json:"certificate,omitempty"`
	Chain       []drift.Certificate `json:"chain,omitempty"`   // those behind the first
	Min         string              `json:"tls_min,omitempty"` // the lowest version that it takes
	Max         string              `json:"tls_max,omitempty"`
	ClientAuth  string              `json:"client_auth,omitempty"` // none, or request: it asks for a certificate; whether it insists shows only with a request
	Anchors     []string            `json:"client_anchors,omitempty"`
	Trusted     bool                `json:"trusted"`
	Doubts      []string            `json:"doubts,omitempty"` // why a client would refuse it
	Failed      string              `json:"failed,omitempty"` // nothing was seen, and why
}

// patience bounds one address: it is asked a few times.
const (
	oneWait  = 5 * time.Second
	patience = 20 * time.Second
)

// Settings say how to look.
type Settings struct {
	Now   time.Time
	Roots *x509.CertPool // nil: the system's
	Wait  time.Duration  // for one handshake; 0: 5 s
}

// Address reads HOST, HOST:PORT or ENVIRONMENT=HOST:PORT.
func Address(s string) (environment, address string, err error) {
	if env, rest, ok := strings.Cut(s, "="); ok {
		environment, s = env, rest
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, "443"
	}
	if _, bad := strconv.ParseUint(port, 10, 16); bad != nil || host == "" || strings.ContainsAny(host, "/ @") {
		return "", "", fault.Bad("", "%q is not HOST:PORT or ENVIRONMENT=HOST:PORT", s)
	}
	return environment, net.JoinHostPort(strings.Trim(host, "[]"), port), nil
}

var versions = []struct {
	id   uint16
	name string
}{{tls.VersionTLS10, "1.0"}, {tls.VersionTLS11, "1.1"}, {tls.VersionTLS12, "1.2"}, {tls.VersionTLS13, "1.3"}}

// Look makes handshakes with an address.
func Look(ctx context.Context, environment, address string, set Settings) Seen {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if set.Wait == 0 {
		set.Wait = oneWait
	}
	s := Seen{Address: address, Environment: environment, ClientAuth: "none"}
	host, _, _ := net.SplitHostPort(address)
	var chain []*x509.Certificate
	state, err := s.once(ctx, host, set, tls.VersionTLS10, tls.VersionTLS13, &chain)
	if len(chain) == 0 {
		s.Failed, s.ClientAuth = reason(err), ""
		return s
	}
	s.Max = versionName(state)
	for i, c := range chain {
		x, ok := drift.CertificateOf(c.Subject.String(), "server", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})), drift.Origin{Scope: "handshake with " + address})
		if !ok {
			continue
		}
		x.Kind, x.Ref = "presented", named(c)
		if i == 0 {
			s.Certificate = &x
			continue
		}
		x.Use = "ca"
		s.Chain = append(s.Chain, x)
	}
	s.judge(host, chain, set)
	for _, v := range versions {
		if v.name == s.Max {
			s.Min = v.name
			break
		}
		if got, _ := s.once(ctx, host, set, v.id, v.id, nil); got == v.id { // agreed on, also when a client certificate is then missed
			s.Min = v.name
			break
		}
	}
	return s
}

func named(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:8])
}

func versionName(id uint16) string {
	for _, v := range versions {
		if v.id == id {
			return v.name
		}
	}
	return ""
}

// once makes one handshake and closes the connection.
func (s *Seen) once(ctx context.Context, host string, set Settings, least, most uint16, chain *[]*x509.Certificate) (version uint16, err error) {
	ctx, stop := context.WithTimeout(ctx, set.Wait)
	defer stop()
	config := &tls.Config{
		ServerName: host, MinVersion: least, MaxVersion: most, NextProtos: []string{"h2", "http/1.1"},
		InsecureSkipVerify: true, // what is presented is recorded, whatever it is, and judged afterwards
		VerifyConnection: func(c tls.ConnectionState) error {
			version = c.Version
			if chain != nil {
				*chain = c.PeerCertificates
			}
			return nil
		},
		GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.ClientAuth, s.Anchors = "request", nil
			for _, raw := range r.AcceptableCAs {
				s.Anchors = append(s.Anchors, distinguished(raw))
			}
			return &tls.Certificate{}, nil
		},
	}
	d := &tls.Dialer{Config: config}
	conn, err := d.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return version, err
	}
	// The connection is closed at once: nothing is asked over it. The error of the closing note is nobody's.
	_ = conn.Close()
	return version, nil
}

// judge says why a client that verifies would refuse.
func (s *Seen) judge(host string, chain []*x509.Certificate, set Settings) {
	leaf := chain[0]
	if set.Now.After(leaf.NotAfter) {
		s.Doubts = append(s.Doubts, "it has ended")
	}
	if set.Now.Before(leaf.NotBefore) {
		s.Doubts = append(s.Doubts, "it has not begun")
	}
	if leaf.VerifyHostname(host) != nil {
		s.Doubts = append(s.Doubts, "no name in it matches "+host)
	}
	among := x509.NewCertPool()
	for _, c := range chain[1:] {
		among.AddCert(c)
	}
	at := set.Now
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter // its end is said already
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: set.Roots, Intermediates: among, CurrentTime: at}); err != nil {
		if leaf.CheckSignatureFrom(leaf) == nil || string(leaf.RawIssuer) == string(leaf.RawSubject) {
			s.Doubts = append(s.Doubts, "it is signed by itself")
		} else {
			s.Doubts = append(s.Doubts, "its issuer is not trusted here")
		}
	}
	s.Trusted = len(s.Doubts) == 0
}

func reason(err error) string {
	var n net.Error
	switch {
	case err == nil:
		return "no certificate was presented"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &n) && n.Timeout():
		return "no answer in time"
	}
	return drift.Mask(err.Error())
}
