package control

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"

	"gatehouse/authority"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/snapshot"
	"gatehouse/store"
)

// Revoker tells what authorities have revoked: it looks at their lists and asks their responders, outside of requests.
type Revoker interface {
	Revoked(a *authority.Authority) *policy.Revocations
	// OnlyRevoked forgets what all authorities have revoked but those with these keys, and asks after them no more.
	OnlyRevoked(keys map[[sha256.Size]byte]bool)
}

// authoritiesMost is how many authorities are kept read: of all environments, and of the manifests before.
const authoritiesMost = 200

// authorities is those whose certificates clients show at the token endpoint, as the manifests say.
type authorities struct {
	mu   sync.Mutex
	read map[string]*authority.Authority // by environment and name
}

// of reads the authority, unless it was read before and nothing is said of it anew.
func (s *authorities) of(environment string, settings authority.Settings) (*authority.Authority, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := placeOf(environment, settings.Name)
	if a := s.read[key]; a != nil && sameSettings(a.Settings, settings) {
		return a, nil
	}
	a, err := authority.New(settings)
	if err != nil {
		return nil, err
	}
	if s.read == nil || len(s.read) >= authoritiesMost {
		s.read = map[string]*authority.Authority{}
	}
	s.read[key] = a
	return a, nil
}

// only forgets all authorities but those in the places of the map.
func (s *authorities) only(declared map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.read, func(key string, _ *authority.Authority) bool { return !declared[key] })
}

// forgetAuthorities stops looking after authorities that no environment's newest manifest declares any more, or declares otherwise.
func (c *Control) forgetAuthorities(ctx context.Context) {
	var offers []offer
	err := c.Store.View(ctx, func(tx store.Tx) (err error) {
		offers, err = c.offersNow(ctx, tx)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			c.Log.Error("authorities that have left the manifest cannot be forgotten", "error", err)
		}
		return
	}
	declared, keys := map[string]bool{}, map[[sha256.Size]byte]bool{}
	for _, o := range offers {
		for _, m := range o.ClientAuthorities {
			if !slices.Contains(m.Environments, o.Name) {
				continue
			}
			declared[placeOf(o.Name, m.Name)] = true
			if a, err := c.authorities.of(o.Name, snapshot.AuthoritySettings(m)); err == nil {
				keys[a.Key] = true
			}
		}
	}
	c.authorities.only(declared)
	if c.Revoker != nil {
		c.Revoker.OnlyRevoked(keys)
	}
}

// placeOf is under what an authority is kept.
func placeOf(environment, name string) string { return environment + " " + name }

func sameSettings(a, b authority.Settings) bool {
	return a.Name == b.Name && a.Certificates == b.Certificates && a.Intermediates == b.Intermediates && slices.Equal(a.Lists, b.Lists) && a.Responder == b.Responder && a.Lenient == b.Lenient
}

// shows checks a client's certificate (RFC 8705 §2.1): it leads to the authority, is for clients, is not revoked, and has the name.
// Whoever shows it holds its key, and is told what is wrong with it.
func (c *Control) shows(r read, of offer, cr credential.Credential, p Proof) error {
	named := cr.OAuth.Named
	if p.Certificate == nil || named == nil {
		return refusedCertificate("connect with the client's certificate, at an address of the token endpoint that asks for one")
	}
	if of.Parsed == nil {
		return refusedCertificate("nothing has been published to the environment yet")
	}
	for _, m := range of.ClientAuthorities {
		if m.Name != named.Authority || !slices.Contains(m.Environments, of.Name) {
			continue
		}
		a, err := c.authorities.of(of.Name, snapshot.AuthoritySettings(m))
		if err != nil {
			return fault.New(fault.Unavailable, "the authority %s cannot be read", m.Name).Because(err)
		}
		if err := c.vouches(r, a, p); err != nil {
			return err
		}
		if !slices.Contains(authority.Names(p.Certificate), authority.Name{Kind: named.Kind, Value: named.Value}) {
			return refusedCertificate("the certificate does not have the name by which the client is known")
		}
		return nil
	}
	return refusedCertificate("the authority by whose certificates the client is known does not count here any more")
}

// vouches checks that the certificate is one of the authority's for clients, and that it was not revoked.
func (c *Control) vouches(r read, a *authority.Authority, p Proof) error {
	var known authority.Known
	var revoked *policy.Revocations
	if a.Looks() {
		if c.Revoker == nil {
			return fault.New(fault.Unavailable, "nobody looks here at what the authority %s has revoked", a.Name)
		}
		revoked = c.Revoker.Revoked(a)
		if l := revoked.Lists(); l != nil {
			known.Lists = l.Lists
		}
	}
	thumb := sha256.Sum256(p.Certificate.Raw)
	if revoked != nil {
		if answer := revoked.Answer(&thumb); answer != nil {
			known.Answer = answer.Answer
		}
	}
	v, err := a.Verify(p.Certificate, p.Presented, known, r.now)
	if a.Responder != "" && v.Issuer != nil && (known.Answer == nil || !known.Answer.Fresh(r.now)) {
		revoked.Ask(policy.StatusQuestion{Thumb: thumb, Leaf: p.Certificate, Issuer: v.Issuer})
	}
	if err == nil {
		err = a.ForClients(p.Certificate, p.Presented, r.now)
	}
	switch {
	case errors.Is(err, authority.ErrUnknown):
		return fault.New(fault.Unavailable, "%v", err)
	case err != nil:
		return refusedCertificate(err.Error())
	}
	return nil
}

func refusedCertificate(why string) error {
	return fault.Of(fault.Unauthenticated, "invalid_client", "%s", why).Because(fault.New(fault.Unauthenticated, "%s", why))
}
