package control

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/store"
)

// presence is what the control plane is to its gateways: the anchors, what it presents, and who waits for a change.
type presence struct {
	mu      sync.Mutex
	wake    chan struct{}
	anchors map[int64]*anchor
	shown   *tls.Certificate
	by      int64 // the anchor that signed it
	until   time.Time
	images  map[string]*imageFile
}

// anchor is one with its key.
type anchor struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newPresence() *presence {
	return &presence{wake: make(chan struct{}), anchors: map[int64]*anchor{}, images: map[string]*imageFile{}}
}

func (p *presence) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.wake)
	p.wake = make(chan struct{})
}

// FleetChanged implements link.Plane.
func (c *Control) FleetChanged() <-chan struct{} {
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	return c.fleet.wake
}

// authorityOf makes the key of an anchor again, and its certificate, once.
func (c *Control) authorityOf(a fleet.Anchor) (*anchor, error) {
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	if made := c.fleet.anchors[a.Number]; made != nil {
		return made, nil
	}
	for try := range 4 {
		seed := c.Keys.Derive(fmt.Sprintf("gateways, anchor %d, try %d", a.Number, try))
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			continue // once in 2^32
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		name := sha256.Sum256(point)
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(a.Number), Subject: pkix.Name{CommonName: fmt.Sprintf("Gatehouse gateways, anchor %d", a.Number)},
			SubjectKeyId: name[:20], NotBefore: a.Made.Add(-time.Hour), NotAfter: a.Made.AddDate(20, 0, 0), IsCA: true, BasicConstraintsValid: true,
			MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign}, &x509.Certificate{Subject: pkix.Name{CommonName: fmt.Sprintf("Gatehouse gateways, anchor %d", a.Number)}}, key.Public(), key)
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		c.fleet.anchors[a.Number] = &anchor{key, cert}
		return c.fleet.anchors[a.Number], nil
	}
	return nil, errors.New("no key for an anchor can be made")
}

// signingAnchor is the one that signs now; the first one is made when there is none.
func (c *Control) signingAnchor(w *write) (*anchor, error) {
	all, err := w.tx.Anchors(w.ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		if all, err = w.rotateAnchor(all); err != nil {
			return nil, err
		}
	}
	signs, ok := fleet.Signing(all, w.now)
	if !ok {
		return nil, fault.New(fault.Internal, "no anchor signs now")
	}
	return c.authorityOf(signs)
}

func (w *write) rotateAnchor(all []fleet.Anchor) ([]fleet.Anchor, error) {
	next, err := fleet.Rotate(all, w.now)
	if err != nil {
		return nil, err
	}
	for _, a := range next {
		if err := w.tx.PutAnchor(w.ctx, a); err != nil {
			return nil, err
		}
		w.changes++
		if err := w.audit(change{action: "gateway.anchor"}, nil, state(a)); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// RotateAnchor begins with another anchor: gateways are told of it now, it signs once all of them have heard, and the one
// before ends when nothing that it signed counts any more. Operator, admin or Host.
func (c *Control) RotateAnchor(ctx context.Context, a identity.Actor) ([]fleet.Anchor, error) {
	var out []fleet.Anchor
	err := c.update(ctx, a, "RotateAnchor", func(w *write) error {
		all, err := w.tx.Anchors(ctx)
		if err != nil {
			return err
		}
		if _, err := w.rotateAnchor(all); err != nil {
			return err
		}
		out, err = w.tx.Anchors(ctx)
		return err
	})
	if err == nil {
		c.fleet.changed()
	}
	return out, err
}

// admit signs a gateway's certificate.
func (c *Control) admit(w *write, g fleet.Gateway, key *ecdsa.PublicKey) (fleet.Gateway, link.Certificate, error) {
	until := w.after(fleet.CertificateFor).Truncate(time.Second)
	g, err := g.Renew(until)
	if err != nil {
		return g, link.Certificate{}, err
	}
	ca, err := c.signingAnchor(w)
	if err != nil {
		return g, link.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: string(g.ID)},
		URIs:      []*url.URL{{Scheme: "gatehouse", Opaque: "gateway:" + g.Environment + ":" + g.Name}},
		NotBefore: w.now.Add(-backdated), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true}, ca.cert, key, ca.key)
	if err != nil {
		return g, link.Certificate{}, err
	}
	all, err := w.tx.Anchors(w.ctx)
	if err != nil {
		return g, link.Certificate{}, err
	}
	trust, err := c.trusted(all)
	return g, link.Certificate{Chain: [][]byte{der, ca.cert.Raw}, Expires: until, Anchors: trust}, err
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

func (c *Control) trusted(all []fleet.Anchor) (link.Anchors, error) {
	var out link.Anchors
	for _, a := range fleet.Trusted(all, c.now()) {
		made, err := c.authorityOf(a)
		if err != nil {
			return out, err
		}
		out.Anchors = append(out.Anchors, made.cert.Raw)
	}
	return out, nil
}

func (c *Control) anchors(ctx context.Context) ([]fleet.Anchor, error) {
	return asked(ctx, c, func(ctx context.Context, tx store.Tx) ([]fleet.Anchor, error) { return tx.Anchors(ctx) })
}

// Trust implements link.Plane.
func (c *Control) Trust(ctx context.Context) (link.Anchors, error) {
	all, err := c.anchors(ctx)
	if err != nil {
		return link.Anchors{}, err
	}
	return c.trusted(all)
}

// Presents implements link.Plane: a certificate for a day, made anew when half of it has passed or another anchor signs.
func (c *Control) Presents(ctx context.Context) (*tls.Certificate, error) {
	all, err := c.anchors(ctx)
	if err != nil {
		return nil, err
	}
	now := c.now()
	signs, ok := fleet.Signing(all, now)
	if !ok {
		return nil, fault.New(fault.NotFound, "no gateway was ever enrolled here")
	}
	ca, err := c.authorityOf(signs)
	if err != nil {
		return nil, err
	}
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	if c.fleet.shown != nil && c.fleet.by == signs.Number && now.Before(c.fleet.until) {
		return c.fleet.shown, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "Gatehouse control plane"},
		DNSNames: []string{link.ServerName}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	c.fleet.shown, c.fleet.by, c.fleet.until = &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}, signs.Number, now.Add(12*time.Hour)
	return c.fleet.shown, nil
}

// Known implements link.Plane.
func (c *Control) Known(ctx context.Context, gateway id.ID) (fleet.Gateway, error) {
	return asked(ctx, c, func(ctx context.Context, tx store.Tx) (fleet.Gateway, error) {
		g, err := tx.Gateway(ctx, gateway)
		if err != nil || g.Region != "" || g.State == fleet.Revoked {
			return g, err
		}
		return g, unpinned(ctx, tx, g.Name)
	})
}

// unpinned refuses that a gateway without a region is told anything while an organization is pinned to one: its feed leaves nothing
// out.
func unpinned(ctx context.Context, tx store.Tx, gateway string) error {
	at, err := tx.Pinned(ctx)
	if err == nil && len(at) > 0 {
		err = fault.Of(fault.Forbidden, "gateway-without-region", "the gateway %s has no region, and organizations are pinned to %s: enrol it anew with 'gatehouse gateways enrol --region REGION'", gateway, strings.Join(at, ", "))
	}
	return err
}

// Word implements link.Plane.
func (c *Control) Word(_ context.Context, k feed.WordKind, g fleet.Gateway) (feed.Signed, error) {
	return feed.Say(feed.Word{Kind: k, Environment: g.Environment, Gateway: g.ID, Position: c.source.head(g.Feed()), At: c.now(),
		MaxOffline: c.source.offline, Reason: g.Reason}, c.Keys.SignFeed)
}

// glimpse is a sighting that may not be written yet.
type glimpse struct {
	fleet.Sighting
	written time.Time
	dirty   bool
}

// sightingEvery is how often it is written that nothing has changed.
const sightingEvery = 10 * time.Second

// Sighted implements link.Plane.
func (s *source) Sighted(g fleet.Sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.sightings[string(g.ID)]
	if old == nil {
		old = &glimpse{}
		s.sightings[string(g.ID)] = old
	}
	if g.Trouble != "" && g.Version == "" { // turned away before it said anything
		g.Version, g.Protocol = old.Version, old.Protocol
	}
	if g.Connected != old.Connected || g.Trouble != old.Trouble || g.Version != old.Version || g.Heard.Sub(old.written) > sightingEvery {
		old.dirty = true
	}
	old.Sighting = g
}

// glimpses returns what this process has seen of the environment's gateways.
func (s *source) glimpses(environment string) (out []fleet.Sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.sightings {
		if g.Environment == environment {
			out = append(out, g.Sighting)
		}
	}
	return out
}

// flushSightings writes what has changed.
func (s *source) flushSightings(ctx context.Context) error {
	s.mu.Lock()
	var all []fleet.Sighting
	for _, g := range s.sightings {
		if g.dirty {
			g.dirty, g.written = false, g.Heard
			all = append(all, g.Sighting)
		}
	}
	s.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		for _, g := range all {
			if err := tx.PutSighting(ctx, g); err != nil {
				return err
			}
		}
		return nil
	})
}

// leave takes a gateway out of those that changes wait for.
func (s *source) leave(environment, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.outlet(environment).gateways[name]; h != nil {
		h.left = true
	}
}

// head is where the environment's feed stands, as far as this process knows.
func (s *source) head(environment string) feed.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlet(environment)
	if n := len(o.recent); n > 0 {
		return o.recent[n-1].Position()
	}
	return feed.Position{Seq: o.seq}
}

// fleetPlane is the control plane as the server of the feed sees it.
type fleetPlane struct {
	*Control
	*source
}

// Plane is what serves gateways that dial in.
func (c *Control) Plane() link.Plane {
	p := fleetPlane{c, c.source}
	if c.replica != nil {
		return replicaPlane{p, c.replica}
	}
	return p
}
