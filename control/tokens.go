package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/application"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/token"
)

// TokenRequest asks for an access token (RFC 6749 §4.4).
type TokenRequest struct {
	Environment string
	Client      Proof
	Scopes      []string // none: all that the grants hold for the resource
	Resources   []string // the names of the APIs (RFC 8707); none: the only one that the grants reach
	DPoP        string   // the proof; "": none
	URL         string   // where the proof must say that it was sent
}

// IssuedToken is an access token.
type IssuedToken struct {
	Token  string
	Type   string // Bearer or DPoP
	Lives  time.Duration
	Scopes []string
}

// oauthError is a refusal in the words of RFC 6749 §5.2.
func oauthError(code, format string, args ...any) error {
	return fault.Of(fault.Invalid, code, format, args...)
}

// IssueToken issues an access token to a client, for what its application's live grants hold now. It is telemetry: no audit
// entry is written for each. The codes of its refusals are those of OAuth: invalid_client, invalid_scope, invalid_target,
// unauthorized_client, use_dpop_nonce, invalid_dpop_proof.
func (c *Control) IssueToken(ctx context.Context, a identity.Actor, q TokenRequest) (IssuedToken, error) {
	var out IssuedToken
	var claims token.Claims
	var signer *token.Signer
	var by id.ID
	var marks []spent
	err := c.withKeys(ctx, func() error {
		return c.view(ctx, a, "IssueToken", func(r read) error {
			k, used, err := c.client(r, q.Environment, q.Client)
			if err != nil {
				return err
			}
			cr, issuer := k.credential, k.issuer
			by, marks = cr.ID, used
			key, _, ok := issuer.Current(r.now)
			if !ok {
				return fault.New(fault.Unavailable, "no key signs access tokens of %s now", q.Environment)
			}
			if signer, err = c.signs(q.Environment, key); err != nil {
				return err
			}
			claims = token.Claims{Issuer: issuer.URL, Subject: string(cr.ID), Client: string(cr.ID), Method: string(cr.OAuth.Method), ID: rand.Text(), Issued: r.now.Unix(), Expires: r.now.Add(tokenLives).Unix()}
			if claims.Confirm, used, err = c.confirmation(cr, q, r.now); err != nil {
				return err
			}
			marks = append(marks, used...)
			if end := cr.End().Unix(); claims.Expires > end {
				claims.Expires = end
			}
			return k.reaches(r.now, q, &claims)
		})
	})
	if err == nil {
		err = c.take(ctx, by, marks) // before anything is signed: it is what makes a proof count once
	}
	if err != nil {
		return out, err
	}
	if out.Token, err = signer.Sign(claims); err != nil {
		return out, err
	}
	out.Type, out.Lives, out.Scopes = "Bearer", time.Duration(claims.Expires-claims.Issued)*time.Second, strings.Fields(claims.Scope)
	if claims.Confirm != nil && claims.Confirm.Key != "" {
		out.Type = "DPoP"
	}
	c.issued.note(by, c.now(), a.Address)
	return out, nil
}

// confirmation is what the token is bound to: what the client must have, or what it shows.
func (c *Control) confirmation(cr credential.Credential, q TokenRequest, now time.Time) (*token.Confirmation, []spent, error) {
	var out token.Confirmation
	var marks []spent
	if q.DPoP != "" {
		p, err := c.proofs.Read(q.DPoP, "POST", q.URL, "", now)
		switch {
		case errors.Is(err, token.ErrNonce):
			return nil, nil, oauthError("use_dpop_nonce", "%v", err)
		case err != nil:
			return nil, nil, oauthError("invalid_dpop_proof", "%v", err)
		}
		out.Key = p.Key
		marks = []spent{{p.Mark(), now.Add(token.NonceLives), oauthError("invalid_dpop_proof", "%v", token.ErrReplay)}}
	}
	if cr.OAuth.Constrain == credential.ByCertificate || cr.OAuth.Method.ByCertificate() {
		out.Certificate = q.Client.Thumbprint
	}
	switch {
	case cr.OAuth.Constrain == credential.ByDPoP && out.Key == "":
		return nil, nil, oauthError("invalid_dpop_proof", "the tokens of this client are bound to a key: send a DPoP proof")
	case cr.OAuth.Constrain == credential.ByCertificate && out.Certificate == "":
		return nil, nil, oauthError("invalid_request", "the tokens of this client are bound to a certificate: connect with one")
	case out == token.Confirmation{}:
		return nil, marks, nil
	}
	return &out, marks, nil
}

// DPoPNonce is the nonce that proofs at the token endpoint need now.
func (c *Control) DPoPNonce() string { return c.proofs.Nonce(c.Now()) }

// reaches fills in for which APIs and scopes the token is: what the client's live grants hold of what it asks for.
func (k *client) reaches(now time.Time, q TokenRequest, claims *token.Claims) error {
	cr, of := k.credential, k.offer
	if k.application.State != application.Active || !k.organization.Live() {
		return invalidClient("its application or organization may not call")
	}
	if of.Parsed == nil {
		return fault.Of(fault.Conflict, "nothing-published", "nothing has been published to the environment %s yet", cr.Environment)
	}
	apis := map[string][]grant.Grant{} // by the name as a resource
	weak := ""                         // a plan that the client is too weak for
	for _, g := range k.grants {
		if !g.Live(now) || len(cr.Grants) > 0 && !slices.Contains(cr.Grants, g.ID) || !of.allows(g, credential.Client) {
			continue
		}
		p, ok := of.Product(g.Product)
		if !ok {
			continue
		}
		if l, _ := of.planOf(g); l.FAPI && (claims.Confirm == nil || !cr.OAuth.Method.Strong()) {
			weak = g.Plan
			continue
		}
		for _, o := range p.Operations {
			if a, ok := of.API(o.API); ok {
				name := k.issuer.Audience + strings.TrimSuffix(a.Path, "/")
				apis[name] = append(apis[name], g)
			}
		}
	}
	switch {
	case len(apis) == 0 && weak != "":
		return oauthError("unauthorized_client", "the plan %s takes only clients in the client profile of FAPI 2.0: register one with private_key_jwt or a certificate, and let its tokens be bound (DPoP or certificate)", weak)
	case len(apis) == 0:
		return oauthError("unauthorized_client", "the application has no live grant in %s that an OAuth client can use", cr.Environment)
	case len(q.Resources) == 0 && len(apis) > 1:
		return oauthError("invalid_target", "the grants reach several APIs: say with resource which one the token is for")
	case len(q.Resources) == 0:
		for name := range apis {
			q.Resources = []string{name}
		}
	}
	held := map[string]bool{}
	for _, name := range q.Resources {
		gs := apis[strings.TrimSuffix(name, "/")]
		if len(gs) == 0 {
			return oauthError("invalid_target", "no live grant of the application reaches the resource %q", clip(name))
		}
		claims.Audience = append(claims.Audience, strings.TrimSuffix(name, "/"))
		for _, g := range gs {
			for _, s := range g.Scopes {
				held[s] = true
			}
		}
	}
	slices.Sort(claims.Audience)
	claims.Audience = slices.Compact(claims.Audience)
	scopes := slices.Clone(q.Scopes)
	for _, s := range scopes {
		if !held[s] {
			return oauthError("invalid_scope", "no live grant of the application holds the scope %q there", clip(s))
		}
	}
	if len(scopes) == 0 {
		for s := range held {
			scopes = append(scopes, s)
		}
	}
	slices.SortFunc(scopes, cmp.Compare[string])
	claims.Scope = strings.Join(slices.Compact(scopes), " ")
	return nil
}

// ownToken verifies a token of the environment and returns what it says, if it is the client's.
func (c *Control) ownToken(r read, cr credential.Credential, raw string) (token.Claims, bool, error) {
	issuer, err := r.tx.Issuer(r.ctx, cr.Environment)
	if err != nil {
		return token.Claims{}, false, err
	}
	var keys []token.Key
	for _, k := range issuer.Keys {
		key, err := token.ParseKey(k.Public)
		if err != nil {
			return token.Claims{}, false, err
		}
		keys = append(keys, key)
	}
	claims, err := token.ReadAccess(raw, issuer.URL, keys, r.now)
	return claims, err == nil && claims.Client == string(cr.ID), nil
}

// RevokeToken ends one access token of the client at every gateway (RFC 7009). A token that is not the client's, or is over,
// changes nothing and is no error.
func (c *Control) RevokeToken(ctx context.Context, a identity.Actor, environment string, p Proof, raw string) error {
	return c.withKeys(ctx, func() error {
		return c.update(ctx, a, "RevokeToken", func(w *write) error {
			cr, marks, err := c.clientIn(w.read, environment, p)
			if err != nil {
				return err
			}
			if err := c.roomFor(cr.ID, marks); err != nil {
				return err
			}
			if err := takeMarks(ctx, w.tx, marks, w.now); err != nil {
				return err
			}
			claims, own, err := c.ownToken(w.read, cr, raw)
			if err != nil || !own {
				return err
			}
			mark := credential.TokenMark(claims.ID)
			denied, err := w.tx.Denied(ctx, environment, mark)
			if err != nil || denied {
				return err
			}
			w.a.ID, w.a.Organization = cr.ID, cr.Organization
			return w.deny(cr, credential.Denial{Environment: environment, Mark: mark, Expires: time.Unix(claims.Expires, 0)})
		})
	})
}

// IntrospectToken tells a client about a token of its own (RFC 7662): ok is false for any other and for one that does not
// count.
func (c *Control) IntrospectToken(ctx context.Context, a identity.Actor, environment string, p Proof, raw string) (claims token.Claims, ok bool, err error) {
	var by id.ID
	var marks []spent
	err = c.withKeys(ctx, func() error {
		return c.view(ctx, a, "IntrospectToken", func(r read) error {
			k, used, err := c.client(r, environment, p)
			if err != nil {
				return err
			}
			cr := k.credential
			by, marks = cr.ID, used
			claims, ok, err = c.ownToken(r, cr, raw)
			if err != nil || !ok {
				return err
			}
			denied, err := r.tx.Denied(ctx, environment, credential.TokenMark(claims.ID))
			ok = !denied
			return err
		})
	})
	if err == nil {
		err = c.take(ctx, by, marks)
	}
	if err != nil || !ok {
		return token.Claims{}, false, err
	}
	return claims, true, nil
}

// ResourceScopes is every scope that an operation of the API at the path needs; false when no API is exposed there. For
// anybody, as the catalogue is.
func (c *Control) ResourceScopes(ctx context.Context, a identity.Actor, environment, path string) (scopes []string, ok bool, err error) {
	err = c.view(ctx, a, "ResourceScopes", func(r read) error {
		of, err := c.newest(ctx, r.tx, environment)
		if err != nil {
			return err
		}
		all := map[string]bool{}
		for i := range of.APIs {
			api := &of.APIs[i]
			if cmp.Or(strings.TrimSuffix(api.Path, "/"), "/") != path || of.Documents[api.Name] == nil {
				continue
			}
			ok = true
			for _, op := range of.Documents[api.Name].Operations {
				if api.Operation(op.ID).Exposed() {
					for _, s := range api.Needs(op) {
						all[s] = true
					}
				}
			}
		}
		scopes = slices.Sorted(maps.Keys(all))
		return nil
	})
	return scopes, ok, err
}
