// Package sso asks OpenID providers who somebody is: discovery, the code flow with PKCE, and a verified ID token.
package sso

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/fault"
	"gatehouse/secret"
)

const (
	answerTime  = 10 * time.Second // for all that one step asks of a provider
	knownFor    = time.Hour        // how long what discovery said is believed; keys are asked for anew whenever one is not known
	longest     = 1 << 20          // bytes of an answer that are read
	longestText = 300              // bytes of a claim that is kept
	mostGroups  = 2000             // of one person
)

// algorithms is what ID tokens may be signed with. None that a client secret could sign, and no "none".
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Options is what a Provider works with. All but Secret, Scopes and Groups are needed.
type Options struct {
	Issuer   string // as it names itself: compared letter by letter
	ClientID string
	Secret   secret.Value // empty for a public client
	Scopes   []string     // besides openid
	Groups   string       // the claim that holds the person's groups; "": none is read
	HTTP     *http.Client // what reaches it
	Now      func() time.Time
}

// Provider is one OpenID provider.
type Provider struct {
	Options
	turn  chan struct{} // held by whoever asks or replaces what follows
	known *oidc.Provider
	since time.Time
	post  bool // the client secret goes into the body
}

// New returns a provider. It asks it nothing yet: one that is away stops nobody from starting.
func New(o Options) *Provider {
	client := *o.HTTP
	client.Transport = bounded{client.Transport}
	o.HTTP = &client
	return &Provider{Options: o, turn: make(chan struct{}, 1)}
}

// bounded cuts answers off that are longer than any provider's has to be.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	w, err := next.RoundTrip(r)
	if err == nil {
		w.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(w.Body, longest), w.Body}
	}
	return w, err
}

// Flow is the three secrets of one sign-in. All follow from the ticket that the browser keeps, so that a sign-in can be finished
// only where it was begun, and nothing of it is stored that finishes it.
type Flow struct{ State, Nonce, Verifier string }

// NewFlow derives the flow of a ticket.
func NewFlow(ticket secret.Value) Flow {
	of := func(purpose string) string {
		sum := sha256.Sum256([]byte("gatehouse sso " + purpose + "\x00" + ticket.Reveal()))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return Flow{of("state"), of("nonce"), of("verifier")}
}

// Claims is what a provider says of somebody.
type Claims struct {
	Subject  string
	Email    string
	Verified bool // the provider says, as a truth value, that the address is theirs
	Name     string
	Groups   []string
}

// Start is where the browser goes to sign in; it comes back to redirect.
func (p *Provider) Start(ctx context.Context, redirect string, f Flow) (string, error) {
	ctx, cancel := p.context(ctx)
	defer cancel()
	c, _, err := p.config(ctx, redirect)
	if err != nil {
		return "", err
	}
	return c.AuthCodeURL(f.State, oauth2.S256ChallengeOption(f.Verifier), oidc.Nonce(f.Nonce)), nil
}

// Finish exchanges the code and says who it is. What the provider refuses, or what it says that does not hold, is
// fault.Forbidden; a provider that cannot be asked is fault.Unavailable.
func (p *Provider) Finish(ctx context.Context, redirect, code string, f Flow) (Claims, error) {
	ctx, cancel := p.context(ctx)
	defer cancel()
	c, provider, err := p.config(ctx, redirect)
	if err != nil {
		return Claims{}, err
	}
	token, err := c.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok && r.Response != nil && r.Response.StatusCode < 500 {
			return Claims{}, refused("the provider does not take the code").Because(err)
		}
		return Claims{}, away(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return Claims{}, refused("the provider sent no ID token")
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: p.Now})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return Claims{}, refused("the provider's ID token does not hold").Because(err)
	}
	all := map[string]json.RawMessage{}
	if err := id.Claims(&all); err != nil {
		return Claims{}, refused("the provider's ID token cannot be read").Because(err)
	}
	if err := p.checkToken(id, all, token, f); err != nil {
		return Claims{}, err
	}
	if err := p.complete(ctx, provider, id.Subject, token, all); err != nil {
		return Claims{}, err
	}
	return p.claims(id.Subject, all), nil
}

// checkToken looks at what the library leaves to its caller (OpenID Connect Core §3.1.3.7).
func (p *Provider) checkToken(id *oidc.IDToken, all map[string]json.RawMessage, token *oauth2.Token, f Flow) error {
	if id.Nonce != f.Nonce {
		return refused("the provider's ID token is of another sign-in")
	}
	if id.Subject == "" || len(id.Subject) > longestText {
		return refused("the provider's ID token names nobody")
	}
	if azp := text(all["azp"]); azp != "" && azp != p.ClientID || azp == "" && len(id.Audience) > 1 {
		return refused("the provider's ID token is for another client")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return refused("the provider's tokens do not belong together").Because(err)
		}
	}
	return nil
}

// complete asks the provider for what its ID token left out.
func (p *Provider) complete(ctx context.Context, provider *oidc.Provider, subject string, token *oauth2.Token, all map[string]json.RawMessage) error {
	if provider.UserInfoEndpoint() == "" || all["email"] != nil && (p.Groups == "" || all[p.Groups] != nil) {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return away(err)
	}
	if info.Subject != subject {
		return refused("the provider speaks of somebody else")
	}
	more := map[string]json.RawMessage{}
	if err := info.Claims(&more); err != nil {
		return refused("what the provider says cannot be read").Because(err)
	}
	if all["email"] == nil { // the address and whether it is verified come from one place
		all["email"], all["email_verified"] = more["email"], more["email_verified"]
	}
	for name, v := range more {
		if all[name] == nil {
			all[name] = v
		}
	}
	return nil
}

func (p *Provider) claims(subject string, all map[string]json.RawMessage) Claims {
	c := Claims{Subject: subject, Email: text(all["email"]), Verified: bytes.Equal(all["email_verified"], []byte("true")), Name: text(all["name"])}
	if c.Name == "" {
		c.Name = strings.TrimSpace(text(all["given_name"]) + " " + text(all["family_name"]))
	}
	if p.Groups == "" {
		return c
	}
	if one := text(all[p.Groups]); one != "" {
		c.Groups = []string{one}
	} else if json.Unmarshal(all[p.Groups], &c.Groups) != nil || len(c.Groups) > mostGroups {
		c.Groups = nil // groups that cannot be read give nothing
	}
	slices.Sort(c.Groups)
	c.Groups = slices.Compact(c.Groups)
	return c
}

// text is a claim that is a text of sensible length; else "".
func text(raw json.RawMessage) string {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) != nil || len(s) > longestText {
		return ""
	}
	return s
}

func (p *Provider) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	return oidc.ClientContext(ctx, p.HTTP), cancel
}

// config is the client as the provider knows it. Discovery is done when it is first needed, and again once it is old; while a
// provider is away what it said before still counts.
func (p *Provider) config(ctx context.Context, redirect string) (*oauth2.Config, *oidc.Provider, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, nil, away(ctx.Err())
	}
	if p.known == nil || p.Now().Sub(p.since) >= knownFor {
		fresh, err := oidc.NewProvider(ctx, p.Issuer)
		switch {
		case err == nil:
			p.known, p.since = fresh, p.Now()
			p.post = p.postsSecret(fresh)
		case p.known == nil:
			return nil, nil, away(err)
		}
	}
	endpoint := p.known.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.post || p.Secret.Empty() {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.Secret.Reveal(), Endpoint: endpoint, RedirectURL: redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...)}, p.known, nil
}

// postsSecret reports whether the provider takes the secret in the body only. A library that tries both ways would use a code up.
func (p *Provider) postsSecret(known *oidc.Provider) bool {
	var c struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	return known.Claims(&c) == nil && len(c.Methods) > 0 && !slices.Contains(c.Methods, "client_secret_basic") && slices.Contains(c.Methods, "client_secret_post")
}

func refused(what string) *fault.Error {
	return fault.Of(fault.Forbidden, "sso-refused", "%s: try to sign in again", what)
}

func away(err error) error {
	return fault.Of(fault.Unavailable, "sso-away", "the provider that knows you cannot be asked just now: try again, or sign in another way").Because(err)
}
