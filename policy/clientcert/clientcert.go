// Package clientcert is the policy that knows a caller by the certificate of its TLS connection.
package clientcert

import (
	"crypto/x509"
	"slices"
	"time"

	"gatehouse/authority"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/secret"
)

// Method is what Principal.Method says of a caller with a certificate.
const Method = string(credential.Certificate)

// Config has no settings.
type Config struct{}

// Kind is the policy "client_certificate".
func Kind() policy.Kind {
	return policy.Define(Method, policy.Authenticate,
		"The caller proves its application with the certificate of its TLS connection: one that the application has enrolled, or one of a client authority with a name to which it is bound. The listener must ask for certificates.", build)
}

func build(_ Config, s policy.Site, d policy.Deps) (policy.Policy, error) {
	c := &certificates{kept: d.Tokens}
	if len(s.Authorities) > 0 && d.Tokens == nil {
		return policy.Policy{}, fault.New(fault.Unavailable, "this gateway verifies no certificates of client authorities")
	}
	for _, a := range s.Authorities {
		one := known{Authority: a, revocations: nothing}
		if a.Looks() {
			if d.Revoked == nil {
				return policy.Policy{}, fault.New(fault.Unavailable, "this gateway asks no authority what it has revoked")
			}
			one.revocations = d.Revoked(a)
		}
		c.authorities = append(c.authorities, one)
	}
	return policy.Policy{Request: c.request, Methods: []string{Method}}, nil
}

// nothing is the revocations of an authority that tells none.
var nothing = policy.NewRevocations()

type certificates struct {
	authorities []known
	kept        *policy.Tokens
}

// known is an authority and what it has revoked.
type known struct {
	*authority.Authority
	revocations *policy.Revocations
}

// The refusals.
var (
	missing   = fault.Of(fault.Unauthenticated, "certificate-missing", "connect with the client certificate that your application has enrolled").Because(policy.ErrNothing)
	unknown   = fault.Of(fault.Unauthenticated, "certificate-unknown", "this client certificate is not known here")
	outdated  = fault.Of(fault.Unauthenticated, "certificate-dates", "this client certificate, or one on its path, is not valid yet, or not any more")
	ambiguous = fault.Of(fault.Unauthenticated, "certificate-ambiguous", "this client certificate has names of several credentials: use one that stands for one")
	withdrawn = fault.Of(fault.Unauthenticated, "certificate-withdrawn", "%v", authority.ErrRevoked)
	unsure    = soon(fault.Of(fault.Unavailable, "certificate-status", "%v", authority.ErrUnknown))
	purpose   = fault.Of(fault.Unauthenticated, "certificate-use", "%v", authority.ErrUse)
	refusals  = policy.NewRefusals("certificate", "client certificate")
)

// soon is when it may be known whether a certificate was revoked: a responder is asked beside the request.
func soon(e *fault.Error) *fault.Error {
	e.RetryAfter = 2 * time.Second
	return e
}

// request finds the certificate by the hash of all of it, or by a name in it that an authority of the operator's vouches for: the
// connection has proven that the caller holds its key. What such an authority has revoked counts by neither.
func (s *certificates) request(x *policy.Exchange) error {
	if x.TLS == nil || x.TLS.Certificate == nil {
		return missing
	}
	c, ok := x.Access.Marked(secret.Hash(x.TLS.Thumbprint))
	ok = ok && c.Kind == Method
	if !ok && len(s.authorities) == 0 {
		return unknown
	}
	expires := x.TLS.Certificate.NotAfter
	if len(s.authorities) > 0 {
		seen, err := s.seen(x, ok)
		if err != nil {
			return err
		}
		if !ok {
			if c, err = named(x, seen); err != nil {
				return err
			}
		}
		if until := time.Unix(seen.Until, 0); seen.Authority != nil && until.Before(expires) {
			expires = until
		}
	}
	if x.Now.Before(x.TLS.Certificate.NotBefore) || !x.Now.Before(x.TLS.Certificate.NotAfter) {
		return outdated
	}
	if err := x.Accept(&c, refusals); err != nil {
		return err
	}
	x.Principal.Constrained = true
	x.Principal.Expires = expires.UnixMicro()
	return nil
}

// named finds the one credential that a name in the certificate stands for.
func named(x *policy.Exchange, seen *policy.SeenCertificate) (found policy.Credential, err error) {
	if seen.Trouble != nil {
		return found, seen.Trouble
	}
	ok := false
	for _, m := range seen.Marks {
		c, there := x.Access.Marked(m)
		if !there || c.Kind != Method {
			continue
		}
		if ok { // which of the two it is is never picked in silence
			return found, ambiguous
		}
		found, ok = c, true
	}
	if !ok {
		return found, unknown
	}
	return found, nil
}

// seen is the certificate as it was found before, or is now. An error refuses it by whatever it is known.
func (s *certificates) seen(x *policy.Exchange, thumb bool) (*policy.SeenCertificate, error) {
	if c := s.kept.Certificate(&x.TLS.Thumbprint, x.Now); c != nil && c.Among == s.authorities[0].Authority && s.holds(c) {
		return c, nil
	}
	out := &policy.SeenCertificate{Thumb: x.TLS.Thumbprint, Among: s.authorities[0].Authority, Until: x.TLS.Certificate.NotAfter.Unix(), Trouble: unknown}
	var unclear *known
	var issuer *x509.Certificate
	for i := range s.authorities {
		a := &s.authorities[i]
		set, answer := a.revocations.Lists(), a.revocations.Answer(&x.TLS.Thumbprint)
		var k authority.Known
		if set != nil {
			k.Lists = set.Lists
		}
		if answer != nil {
			k.Answer = answer.Answer
		}
		v, err := a.Verify(x.TLS.Certificate, x.TLS.Presented, k, x.Now)
		switch err {
		case nil:
		case authority.ErrRevoked: // by one of several: that is enough
			return nil, withdrawn
		case authority.ErrUse: // the authority's own
			return nil, purpose
		case authority.ErrUnknown:
			unclear, issuer = a, v.Issuer
			continue
		case authority.ErrDates:
			out.Trouble = outdated
			continue
		default:
			continue
		}
		if out.Authority != nil {
			out.Until = min(out.Until, x.Now.Add(time.Minute).Unix()) // the first counts, and the others are asked again soon: they may revoke it too
			continue
		}
		out.Authority, out.Lists, out.Answer, out.Until = a.Authority, set, answer, v.Until.Unix()
		s.names(out, x)
		if (answer == nil || !answer.Fresh(x.Now)) && a.Responder != "" && s.wanted(x, out.Marks, thumb) { // it counts all the same, by a list or because it may
			a.revocations.Ask(policy.StatusQuestion{Thumb: x.TLS.Thumbprint, Leaf: x.TLS.Certificate, Issuer: v.Issuer})
		}
	}
	if out.Authority == nil && unclear != nil {
		out.Authority = unclear.Authority
		if s.names(out, x); unclear.Responder != "" && issuer != nil && s.wanted(x, out.Marks, thumb) {
			unclear.revocations.Ask(policy.StatusQuestion{Thumb: x.TLS.Thumbprint, Leaf: x.TLS.Certificate, Issuer: issuer})
		}
		return nil, unsure
	}
	if out.Authority == nil && out.Trouble == outdated {
		return nil, outdated
	}
	s.kept.PutCertificate(out)
	return out, nil
}

// holds reports whether what is known of revocation is still what the certificate was looked at with.
func (s *certificates) holds(c *policy.SeenCertificate) bool {
	if c.Authority == nil {
		return true
	}
	for i := range s.authorities {
		if a := &s.authorities[i]; a.Authority == c.Authority {
			return a.revocations.Lists() == c.Lists && (a.Responder == "" || a.revocations.Answer(&c.Thumb) == c.Answer)
		}
	}
	return false
}

// names notes what the certificate counts by.
func (s *certificates) names(c *policy.SeenCertificate, x *policy.Exchange) {
	if err := c.Authority.ForClients(x.TLS.Certificate, x.TLS.Presented, x.Now); err != nil {
		c.Trouble = purpose
		return
	}
	c.Trouble = nil
	for _, n := range authority.Names(x.TLS.Certificate) {
		c.Marks = append(c.Marks, credential.NameMark(c.Authority.Name, n.Kind, n.Value))
	}
}

// wanted reports whether the certificate stands for somebody here: no responder is asked for others.
func (s *certificates) wanted(x *policy.Exchange, marks []secret.Hash, thumb bool) bool {
	return thumb || slices.ContainsFunc(marks, func(m secret.Hash) bool { c, ok := x.Access.Marked(m); return ok && c.Kind == Method })
}
