package control

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/env"
	"gatehouse/fault"
	"gatehouse/feed"
	"gatehouse/feed/link"
	"gatehouse/fleet"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
)

const (
	enrolFor     = time.Hour      // how long an enrolment token is good for, when nothing is asked for
	enrolMost    = 24 * time.Hour // at most
	skewed       = 30 * time.Second
	silentAfter  = 30 * time.Second
	gatewaysMost = 10_000 // of one environment that are shown
)

// Enrolled is a fresh enrolment with its token, which is shown once.
type Enrolled struct {
	fleet.Enrolment
	Token secret.Value `json:"-"`
}

// EnrolGateway makes a token with which one gateway becomes a member of the environment's fleet, once and soon: lifetime 0 is
// an hour, and a day is the most. Where the environment is served in regions, it needs one. A gateway of that name which is there
// already is revoked once the token is used. Operator, admin or Host.
func (c *Control) EnrolGateway(ctx context.Context, a identity.Actor, environment, region, name string, lifetime time.Duration) (Enrolled, error) {
	var out Enrolled
	if err := allow(a, "EnrolGateway"); err != nil {
		return out, err
	}
	if err := fleet.CheckName(name); err != nil {
		return out, fault.Bad("/name", "%s", fault.As(err).Public)
	}
	if lifetime == 0 {
		lifetime = enrolFor
	}
	if lifetime < time.Minute || lifetime > enrolMost {
		return out, fault.Bad("/lifetime", "must be from a minute to a day")
	}
	value := secret.Random("")
	err := c.update(ctx, a, "EnrolGateway", func(w *write) error {
		if err := w.environment(environment); err != nil {
			return fault.Bad("/environment", "there is no environment %q", clip(environment))
		}
		if err := w.mayStand(environment, region, name); err != nil {
			return fault.Bad("/region", "%s", fault.As(err).Public)
		}
		anchor, err := c.signingAnchor(w)
		if err != nil {
			return err
		}
		out.Enrolment, err = w.putEnrolment("gateway.invite", fleet.Enrolment{ID: w.fresh(id.Enrolment), Environment: environment, Region: region, Name: name,
			Hash: value.Hash(), Created: w.now, CreatedBy: a.Person, Expires: w.after(lifetime)})
		out.Token = secret.New(link.Token(value.Reveal(), anchor.cert.Raw))
		return err
	})
	return out, err
}

// Join implements link.Plane: the token is used up, and the key of the request becomes a gateway's.
func (c *Control) Join(ctx context.Context, j link.Joining) (link.Joined, error) {
	var out link.Joined
	value, _, err := link.ParseToken(j.Token)
	if err != nil {
		return out, err
	}
	key, err := gatewayKey(j.Request)
	if err != nil {
		return out, err
	}
	a := identity.Actor{Class: identity.System, Address: hostOf(j.Address)}
	err = c.update(ctx, a, "joinGateway", func(w *write) error {
		e, err := w.tx.EnrolmentByHash(ctx, secret.New(value).Hash())
		if errors.Is(err, fault.NotFound) {
			return fault.Of(fault.Unauthenticated, "enrolment-unknown", "this control plane has made no such enrolment token")
		}
		if err != nil {
			return err
		}
		out.Environment, out.Name = e.Environment, e.Name
		if err := meant(j, e, w.now); err != nil {
			return err
		}
		if err := w.mayStand(e.Environment, e.Region, e.Name); err != nil { // it may be other than when the token was made
			return err
		}
		g := fleet.Gateway{ID: w.fresh(id.Gateway), Environment: e.Environment, Region: e.Region, Name: e.Name, State: fleet.Active, Key: digestOfKey(key), Created: w.now, CreatedBy: e.CreatedBy}
		// First: it is the single-use gate.
		if e, err = e.Use(g.ID, w.now); err != nil {
			return err
		}
		if _, err = w.putEnrolment("gateway.enrol", e); err != nil {
			return err
		}
		if err := w.supersede(g); err != nil {
			return err
		}
		g, cert, err := c.admit(w, g, key)
		if err != nil {
			return err
		}
		if g, err = w.putGateway("gateway.join", fleet.Gateway{}, g); err != nil {
			return err
		}
		out = link.Joined{ID: g.ID, Name: g.Name, Environment: g.Environment, Region: g.Region, FeedKey: c.FeedKey, MaxOffline: c.source.offline, Certificate: cert}
		return nil
	})
	if err == nil {
		c.fleet.changed()
	}
	return out, err
}

// meant refuses to use a token up for a gateway that would be at the wrong place or time.
func meant(j link.Joining, e fleet.Enrolment, now time.Time) error {
	if j.Environment != "" && j.Environment != e.Environment && j.Environment != env.FeedOf(e.Environment, e.Region) {
		return fault.Of(fault.Forbidden, "enrolment-elsewhere", "the token is for a gateway of %s, and this one is configured for %s: make a token for that one. This one was not used up", e.Environment, clip(j.Environment))
	}
	if off := j.Now.Sub(now); !j.Now.IsZero() && (off > fleet.MostSkew || off < -fleet.MostSkew) {
		return fault.Of(fault.Forbidden, "clock-wrong", "the gateway's clock differs from the control plane's by %s, and by %s at most it may: set it right, then start it again with the same token", off.Round(time.Second), fleet.MostSkew)
	}
	return nil
}

// supersede revokes the active gateway of the name and environment, if there is one.
func (w *write) supersede(next fleet.Gateway) error {
	all, err := w.fleetOf(next.Environment)
	if err != nil {
		return err
	}
	for _, g := range all {
		if g.Name != next.Name || g.State != fleet.Active {
			continue
		}
		ended, err := g.End(fleet.Revoked, "enrolled anew", w.now)
		if err != nil {
			return err
		}
		if _, err := w.putGateway("gateway.revoke", g, ended); err != nil {
			return err
		}
	}
	return nil
}

// Renew implements link.Plane.
func (c *Control) Renew(ctx context.Context, gateway id.ID, request []byte) (link.Certificate, error) {
	var out link.Certificate
	key, err := gatewayKey(request)
	if err != nil {
		return out, err
	}
	err = c.update(ctx, identity.Actor{Class: identity.System}, "renewGateway", func(w *write) error {
		g, err := w.tx.Gateway(ctx, gateway)
		if err != nil {
			return err
		}
		if digestOfKey(key) != g.Key {
			return fault.New(fault.Forbidden, "the request is for another key than the gateway enrolled with")
		}
		next, cert, err := c.admit(w, g, key)
		if err != nil {
			return err
		}
		out = cert
		_, err = w.putGateway("gateway.renew", g, next)
		return err
	})
	return out, err
}

// gatewayKey is the key of a request: of the one kind that gateways make.
func gatewayKey(request []byte) (*ecdsa.PublicKey, error) {
	r, err := x509.ParseCertificateRequest(request)
	if err != nil || r.CheckSignature() != nil {
		return nil, fault.New(fault.Invalid, "the certificate signing request cannot be read, or is not signed by its own key")
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || weakKey(key) != "" {
		return nil, fault.New(fault.Invalid, "the key of a gateway must be ECDSA on P-256, P-384 or P-521")
	}
	return key, nil
}

func digestOfKey(key *ecdsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	h := sha256.Sum256(der)
	return hex.EncodeToString(h[:])
}

// EndGateway drains or revokes a gateway: version as for every change. A revoked one serves nothing from the moment it hears of
// it, and counts until its offline bound has run out; for a drained one no change waits. Operator, admin or Host.
func (c *Control) EndGateway(ctx context.Context, a identity.Actor, i id.ID, s fleet.State, reason string, version int64) (fleet.Gateway, error) {
	var out fleet.Gateway
	if err := allow(a, "EndGateway"); err != nil {
		return out, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	err := c.update(ctx, a, "EndGateway", func(w *write) error {
		old, err := look(w.read, "gateway", id.Gateway, i, func(fleet.Gateway) id.ID { return "" }, w.tx.Gateway)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		next, err := old.End(s, reason, w.now)
		if err != nil {
			return err
		}
		action := "gateway.drain"
		if s == fleet.Revoked {
			action = "gateway.revoke"
		}
		out, err = w.putGateway(action, old, next)
		return err
	})
	if err == nil {
		if s == fleet.Drained {
			c.source.leave(out.Feed(), out.Name)
		}
		c.fleet.changed()
	}
	return out, err
}

// RaiseEpoch begins another life of the environment's feed: gateways that have seen another history take everything anew. It
// is for a database that was put back by other means than 'gatehouse restore': what was revoked after the copy was made must
// be revoked again first. Operator or admin in person, or Host.
func (c *Control) RaiseEpoch(ctx context.Context, a identity.Actor, environment, reason string) (env.Environment, error) {
	var out env.Environment
	if err := allow(a, "RaiseEpoch"); err != nil {
		return out, err
	}
	var f form
	reason = f.text("/reason", reason, longestReason)
	if err := f.err(); err != nil {
		return out, err
	}
	err := c.update(ctx, a, "RaiseEpoch", func(w *write) error {
		if err := w.environment(environment); err != nil {
			return err
		}
		epoch, err := w.tx.RaiseEpoch(ctx, environment)
		if err != nil {
			return err
		}
		w.changes++
		if err := w.audit(change{action: "environment.raise-epoch", environment: environment, reason: reason}, nil, state(map[string]int64{"epoch": epoch})); err != nil {
			return err
		}
		envs, err := w.tx.Environments(ctx)
		if err != nil {
			return err
		}
		out = envs[slices.IndexFunc(envs, func(e env.Environment) bool { return e.Name == environment })]
		return w.feed(environment, feed.KindEpoch, environment, epoch, state(struct{}{}))
	})
	return out, err
}

// FleetGateway is a gateway as it stands: by its record, its connection and its newest receipt.
type FleetGateway struct {
	fleet.Gateway
	Local     bool         `json:"local"` // it runs beside a control plane
	Build     string       `json:"build,omitempty"`
	Protocol  int          `json:"protocol,omitempty"`
	Address   string       `json:"address,omitempty"`
	Connected bool         `json:"connected"`
	Heard     time.Time    `json:"heard,omitzero"`
	SkewMS    float64      `json:"skew_ms"` // how far its clock is ahead
	Receipt   feed.Receipt `json:"receipt"`
	Behind    int64        `json:"behind"` // changes that it has not said to have in force
	Silent    bool         `json:"silent"` // nothing was heard of it for half a minute
	Trouble   []string     `json:"trouble"`
}

// Fleet tells how every gateway stands, by environment and name; those that ended long ago are left out. Staff or Host.
func (c *Control) Fleet(ctx context.Context, a identity.Actor) ([]FleetGateway, error) {
	out := []FleetGateway{}
	err := c.view(ctx, a, "Fleet", func(r read) error {
		envs, err := r.tx.Environments(ctx)
		if err != nil {
			return err
		}
		for _, e := range envs {
			heads := map[string]feed.Position{}
			for _, name := range e.Feeds() {
				if heads[name], err = r.tx.Head(ctx, name); err != nil {
					return err
				}
			}
			records, err := r.fleetOf(e.Name)
			if err != nil {
				return err
			}
			kept, err := r.tx.Sightings(ctx, e.Name)
			if err != nil {
				return err
			}
			out = append(out, c.fleetIn(r.now, e, heads, records, kept)...)
		}
		return nil
	})
	return out, err
}

// endedFor is how long a gateway that has ended is shown.
const endedFor = 7 * 24 * time.Hour

func (c *Control) fleetIn(now time.Time, e env.Environment, heads map[string]feed.Position, records []fleet.Gateway, kept []fleet.Sighting) (out []FleetGateway) {
	sightings := map[id.ID]fleet.Sighting{}
	for _, s := range append(kept, c.source.glimpses(e.Name)...) { // another process may have seen it since
		if before, twice := sightings[s.ID]; !twice || !s.Heard.Before(before.Heard) {
			sightings[s.ID] = s
		}
	}
	said := map[string]feed.Receipt{}
	for _, name := range e.Feeds() {
		for _, r := range c.source.receipts(name) {
			if before, twice := said[r.Gateway]; !twice || r.At.After(before.At) { // a gateway that was enrolled elsewhere
				said[r.Gateway] = r
			}
		}
	}
	for _, g := range records {
		if g.State != fleet.Active && now.Sub(g.Ended) > endedFor {
			continue
		}
		s := sightings[g.ID]
		f := FleetGateway{Gateway: g, Build: s.Version, Protocol: s.Protocol, Address: s.Address, Connected: s.Connected, Heard: s.Heard,
			SkewMS: float64(s.Skew.Microseconds()) / 1000, Receipt: said[g.Name]}
		if g.State == fleet.Active {
			delete(said, g.Name)
		}
		if g.State != fleet.Active || f.Receipt.Environment != g.Feed() {
			f.Receipt = feed.Receipt{}
		}
		if s.Trouble != "" {
			f.Trouble = append(f.Trouble, s.Trouble)
		}
		out = append(out, f)
	}
	for name, r := range said {
		if strings.HasPrefix(name, "local-") && now.Sub(r.At) < endedFor {
			out = append(out, FleetGateway{Gateway: fleet.Gateway{Environment: e.Name, Name: name, State: fleet.Active}, Local: true,
				Connected: now.Sub(r.At) < silentAfter, Heard: r.At, Receipt: r})
		}
	}
	for i := range out {
		out[i].judge(now, heads[out[i].Feed()])
	}
	slices.SortFunc(out, func(a, b FleetGateway) int { return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID)) })
	return out
}

// judge says what is wrong.
func (f *FleetGateway) judge(now time.Time, head feed.Position) {
	if f.Trouble == nil {
		f.Trouble = []string{}
	}
	if f.State != fleet.Active {
		f.Connected = false
		return
	}
	f.Behind = max(head.Seq-f.Receipt.Position.Seq, 0)
	f.Silent = now.Sub(f.Heard) > silentAfter
	if f.Receipt.Trouble != "" && !slices.Contains(f.Trouble, f.Receipt.Trouble) {
		f.Trouble = append(f.Trouble, f.Receipt.Trouble)
	}
	if skew := time.Duration(f.SkewMS * float64(time.Millisecond)); skew > skewed || skew < -skewed {
		f.Trouble = append(f.Trouble, "its clock differs by "+skew.Round(time.Second).String()+": grants, tokens and certificates begin and end at other moments there")
	}
	if !f.Local && now.After(f.Expires) {
		f.Trouble = append(f.Trouble, "its certificate ended at "+f.Expires.Format(time.RFC3339)+": enrol it anew")
	}
}

// fleetOf is every gateway of the environment.
func (r read) fleetOf(environment string) ([]fleet.Gateway, error) {
	var out []fleet.Gateway
	for after := id.ID(""); len(out) < gatewaysMost; {
		page, err := r.tx.Gateways(r.ctx, environment, after, pageMost)
		if err != nil || len(page) == 0 {
			return out, err
		}
		out, after = append(out, page...), page[len(page)-1].ID
	}
	return out, nil
}

// InForceAt tells where the change with the number is in force. Of a region's feed, environment is its name (env.FeedOf). Staff or
// Host.
func (c *Control) InForceAt(ctx context.Context, a identity.Actor, environment string, seq int64) (InForce, error) {
	var out InForce
	err := c.view(ctx, a, "InForceAt", func(r read) error {
		if err := r.feedOf(environment); err != nil {
			return err
		}
		e, err := r.tx.Place(ctx, environment, seq)
		if errors.Is(err, fault.NotFound) {
			return missing("change")
		}
		if err == nil {
			out = c.source.inForce(environment, seq, e.Committed)
		}
		return err
	})
	return out, err
}

func (w *write) putGateway(action string, old, next fleet.Gateway) (fleet.Gateway, error) {
	g, err := w.tx.PutGateway(w.ctx, next)
	if err != nil {
		return g, err
	}
	w.changes++
	var before []byte
	if old.ID != "" {
		before = state(old)
	}
	return g, w.audit(change{action: action, object: g.ID, environment: g.Environment, reason: g.Reason}, before, state(g))
}

func (w *write) putEnrolment(action string, next fleet.Enrolment) (fleet.Enrolment, error) {
	e, err := w.tx.PutEnrolment(w.ctx, next)
	if err != nil {
		return e, err
	}
	w.changes++
	return e, w.audit(change{action: action, object: e.ID, environment: e.Environment}, nil, state(e))
}
