package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// way is one credential, and how its holder calls with it.
type way struct {
	credential string
	call       func(context.Context) (reply, error)
	token      func(context.Context) reply // asks for a token, where there is one to ask for
	note       string                      // what was seen beside
}

// proven is every method by which an application proves itself: let in, and refused once it is revoked.
func proven() []step {
	return []step{
		lived("an API key", apiKey),
		lived("an OAuth client with a secret", clientSecret),
		lived("an OAuth client with a key of its own (private_key_jwt)", inlineKeys),
		lived("an OAuth client with keys at an address (jwks_uri)", publishedKeys),
		lived("an OAuth client with a self-signed certificate", ownCertificate),
		lived("an OAuth client with a certificate of an authority (tls_client_auth)", namedClient),
		lived("an OAuth client with tokens bound by DPoP", boundByProof),
		lived("an OAuth client that a program registers by itself", selfRegistered),
		lived("a client certificate, by signing request", enrolled),
		lived("a client certificate, by a name in it", namedCertificate),
		lived("a workload's identity from its own issuer", workload),
		{"one token is revoked, the other of the same client lives", oneToken},
		{"the inventory finds a key that leaked, and its mend ends it", takeStock},
	}
}

// lived is the step of one method: issued, let in, revoked, refused at the gateway and at the token endpoint.
func lived(name string, issue func(context.Context, *visit) (way, error)) step {
	return step{name + ": let in, revoked, refused", func(ctx context.Context, v *visit) (string, error) {
		began := time.Now()
		w, err := issue(ctx, v)
		if err != nil {
			return "", err
		}
		if err := v.letIn(ctx, w); err != nil {
			return "", err
		}
		passed := time.Since(began)
		if err := v.member.post(ctx, "/api/credentials/"+w.credential+"/revoke", reason{revokeReason}).is(http.StatusOK); err != nil {
			return "", err
		}
		p, at, err := v.turnedAway(ctx, w, http.StatusUnauthorized)
		if err != nil {
			return "", err
		}
		committed, _, err := v.inForce(ctx, w.credential, "live")
		if err != nil {
			return "", err
		}
		told := ""
		if w.token != nil {
			var e struct{ Error string }
			if err := w.token(ctx).into(http.StatusUnauthorized, &e); err != nil || e.Error != "invalid_client" {
				return "", fmt.Errorf("the token endpoint says %q of a revoked client: %w", e.Error, err)
			}
			told = ", at the token endpoint 401 invalid_client"
		}
		return fmt.Sprintf("200 %s after it was asked for%s; revoked: 401 %s %s after the commit%s", milliseconds(passed), w.note, p.short(), milliseconds(at.Sub(committed)), told), nil
	}}
}

// letIn waits until a call passes, and looks at whom the upstream saw.
func (v *visit) letIn(ctx context.Context, w way) error {
	for {
		r, err := w.call(ctx)
		if err != nil {
			return err
		}
		switch r.status {
		case http.StatusOK:
			var s seen
			if err := r.into(http.StatusOK, &s); err != nil {
				return err
			}
			if s.Organization != v.organization || s.Application != v.portalApp || s.Grant != v.grant {
				return fmt.Errorf("the upstream was told %s", clip(r.body))
			}
			return nil
		case http.StatusUnauthorized, http.StatusServiceUnavailable: // not in force yet, or the issuer's keys are not here
		default:
			return r.is(http.StatusOK)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("never let in: %w: %w", r.is(http.StatusOK), err)
		}
	}
}

// bound waits until the token is let in as it is meant to be used, and sees that alone it is not.
func (v *visit) bound(ctx context.Context, w way, access string) error {
	if err := v.letIn(ctx, w); err != nil {
		return err
	}
	r, err := v.with(v.web, whoami, bearer(access))(ctx)
	if err != nil {
		return err
	}
	return r.is(http.StatusUnauthorized)
}

// turnedAway waits until a call is refused with the status, and returns when its answer was here.
func (v *visit) turnedAway(ctx context.Context, w way, status int) (problem, time.Time, error) {
	for {
		r, err := w.call(ctx)
		if err != nil {
			return problem{}, time.Time{}, err
		}
		if r.status != http.StatusOK {
			p, err := r.refused(status)
			return p, r.done, err
		}
		if err := pause(ctx, breath); err != nil {
			return problem{}, time.Time{}, fmt.Errorf("still let in: %w", err)
		}
	}
}

// with is a call that sends header fields.
func (v *visit) with(web *http.Client, path string, fields func() (http.Header, error)) func(context.Context) (reply, error) {
	return func(ctx context.Context) (reply, error) {
		h, err := fields()
		if err != nil {
			return reply{}, err
		}
		return send(ctx, web, http.MethodGet, v.at.Gateways["live"]+path, h, nil)
	}
}

const (
	whoami       = "/eid/v1/whoami"
	mutualWhoami = "/mutual/v1/whoami"
)

func bearer(token string) func() (http.Header, error) {
	return func() (http.Header, error) { return http.Header{"Authorization": {"Bearer " + token}}, nil }
}

func apiKey(ctx context.Context, v *visit) (way, error) {
	k, err := v.issue(ctx, v.portalApp, "live")
	return way{credential: k.Credential.ID, call: v.with(v.web, whoami, func() (http.Header, error) { return http.Header{"X-Api-Key": {k.Key}}, nil })}, err
}

// registered is an OAuth client.
type registered struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Issuer string `json:"issuer"`
}

func (v *visit) client(ctx context.Context, name string, more map[string]any) (c registered, err error) {
	more["application"], more["environment"], more["name"], more["lifetime"] = v.portalApp, "live", name, "30d"
	return c, v.member.post(ctx, "/api/oauth-clients", more).into(http.StatusCreated, &c)
}

// ask asks the token endpoint for a token for the API, with what proves the client.
func (v *visit) ask(ctx context.Context, web *http.Client, more url.Values, header http.Header) reply {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {v.at.Gateways["live"] + "/eid/v1"}}
	for name, values := range more {
		form[name] = values
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, values := range header {
		h[name] = values
	}
	r, _ := send(ctx, web, http.MethodPost, v.at.Portal+"/oauth/live/token", h, []byte(form.Encode())) // the reply holds the error
	return r
}

// accessToken is the token of an answer, of the type that was expected.
func accessToken(r reply, kind string) (string, error) {
	var got struct {
		Access string `json:"access_token"`
		Type   string `json:"token_type"`
		Lives  int    `json:"expires_in"`
	}
	err := r.into(http.StatusOK, &got)
	if err == nil && (got.Type != kind || got.Lives > 300 || got.Access == "") {
		err = fmt.Errorf("the token endpoint answered %s", clip(r.body))
	}
	return got.Access, err
}

func basic(c registered) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	return r.Header
}

func clientSecret(ctx context.Context, v *visit) (way, error) {
	c, err := v.client(ctx, "secret", map[string]any{"method": "client_secret"})
	if err != nil {
		return way{}, err
	}
	w := way{credential: c.ID, note: ", in the header and in the form", token: func(ctx context.Context) reply { return v.ask(ctx, v.web, nil, basic(c)) }}
	if _, err := accessToken(v.ask(ctx, v.web, url.Values{"client_id": {c.ID}, "client_secret": {c.Secret}}, nil), "Bearer"); err != nil {
		return way{}, err
	}
	access, err := accessToken(w.token(ctx), "Bearer")
	w.call = v.with(v.web, whoami, bearer(access))
	return w, err
}

func inlineKeys(ctx context.Context, v *visit) (way, error) {
	k, err := newKey("inline-1")
	if err != nil {
		return way{}, err
	}
	return v.byAssertion(ctx, k, map[string]any{"jwks": k.set()})
}

func publishedKeys(ctx context.Context, v *visit) (way, error) {
	return v.byAssertion(ctx, v.life.keys, map[string]any{"jwks_uri": v.life.address + "/client/jwks"})
}

// byAssertion registers a client that signs its assertions, and sees that each counts once.
func (v *visit) byAssertion(ctx context.Context, k key, more map[string]any) (way, error) {
	more["method"] = "private_key_jwt"
	c, err := v.client(ctx, "assertion", more)
	if err != nil {
		return way{}, err
	}
	send := func(ctx context.Context, assertion string) reply {
		return v.ask(ctx, v.web, url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}}, nil)
	}
	w := way{credential: c.ID, note: ", the same assertion again 401", token: func(ctx context.Context) reply {
		assertion, err := k.assertion(c.ID, c.Issuer)
		if err != nil {
			return reply{err: err}
		}
		return send(ctx, assertion)
	}}
	assertion, err := k.assertion(c.ID, c.Issuer)
	if err != nil {
		return way{}, err
	}
	access, err := accessToken(send(ctx, assertion), "Bearer")
	if err != nil {
		return way{}, err
	}
	w.call = v.with(v.web, whoami, bearer(access))
	if err := send(ctx, assertion).is(http.StatusUnauthorized); err != nil {
		return way{}, fmt.Errorf("the same assertion again: %w", err)
	}
	return w, nil
}

func ownCertificate(ctx context.Context, v *visit) (way, error) {
	own, thumbprint, err := selfSigned("batch.fjord-bank.example")
	if err != nil {
		return way{}, err
	}
	c, err := v.client(ctx, "certificate", map[string]any{"method": "self_signed_tls_client_auth", "thumbprint": thumbprint})
	if err != nil {
		return way{}, err
	}
	web := v.life.by(own)
	w := way{credential: c.ID, note: ", the token on another connection 401", token: func(ctx context.Context) reply { return v.ask(ctx, web, url.Values{"client_id": {c.ID}}, nil) }}
	access, err := accessToken(w.token(ctx), "Bearer")
	if err != nil {
		return way{}, err
	}
	w.call = v.with(web, whoami, bearer(access))
	return w, v.bound(ctx, w, access)
}

func boundByProof(ctx context.Context, v *visit) (way, error) {
	k, err := newKey("")
	if err != nil {
		return way{}, err
	}
	c, err := v.client(ctx, "dpop", map[string]any{"method": "client_secret", "constrain": "dpop"})
	if err != nil {
		return way{}, err
	}
	// a nonce is in the answer before: the first proof has none
	nonce := ""
	w := way{credential: c.ID, note: ", the token without its proof 401", token: func(ctx context.Context) (r reply) {
		for range 2 {
			proof, err := k.proof(http.MethodPost, v.at.Portal+"/oauth/live/token", "", nonce)
			if err != nil {
				return reply{err: err}
			}
			h := basic(c)
			h.Set("DPoP", proof)
			r = v.ask(ctx, v.web, nil, h)
			if nonce = r.header.Get("DPoP-Nonce"); r.status != http.StatusBadRequest {
				break
			}
		}
		return r
	}}
	access, err := accessToken(w.token(ctx), "DPoP")
	if err != nil {
		return way{}, err
	}
	given := ""
	call := v.with(v.web, whoami, func() (http.Header, error) {
		proof, err := k.proof(http.MethodGet, v.at.Gateways["live"]+whoami, access, given)
		return http.Header{"Authorization": {"DPoP " + access}, "Dpop": {proof}}, err
	})
	w.call = func(ctx context.Context) (reply, error) {
		r, err := call(ctx)
		var p problem
		if n := r.header.Get("DPoP-Nonce"); err == nil && n != "" {
			given = n
			if r.status == http.StatusUnauthorized && json.Unmarshal(r.body, &p) == nil && p.short() == "dpop-nonce" {
				return call(ctx)
			}
		}
		return r, err
	}
	return w, v.bound(ctx, w, access)
}

func enrolled(ctx context.Context, v *visit) (way, error) {
	k, csr, err := signingRequest("batch.fjord-bank.example")
	if err != nil {
		return way{}, err
	}
	var made struct {
		Certificate string
		Credential  struct{ ID string }
	}
	r := v.member.post(ctx, "/api/client-certificates", map[string]any{"application": v.portalApp, "environment": "live", "name": "enrolled", "csr": csr, "lifetime": "30d"})
	if err := r.into(http.StatusCreated, &made); err != nil {
		return way{}, err
	}
	own, err := pair(made.Certificate, k)
	if err != nil {
		return way{}, err
	}
	return way{credential: made.Credential.ID, call: v.with(v.life.by(own), mutualWhoami, none)}, v.otherCertificate(ctx)
}

func none() (http.Header, error) { return nil, nil }

// otherCertificate sees that a certificate that nobody enrolled is refused.
func (v *visit) otherCertificate(ctx context.Context) error {
	other, _, err := selfSigned("batch.fjord-bank.example")
	if err != nil {
		return err
	}
	for _, web := range []*http.Client{v.web, v.life.by(other)} {
		r, err := v.with(web, mutualWhoami, none)(ctx)
		if err != nil {
			return err
		}
		if _, err := r.refused(http.StatusUnauthorized, "certificate-missing", "certificate-unknown"); err != nil {
			return err
		}
	}
	return nil
}

func workload(ctx context.Context, v *visit) (way, error) {
	return v.workload(ctx, "system:serviceaccount:payments:account-opening")
}

func (v *visit) workload(ctx context.Context, subject string) (way, error) {
	var made struct{ ID string }
	bound := map[string]any{"application": v.portalApp, "environment": "live", "name": "pod", "issuer": "cloud", "audience": cloudAudience, "subject": subject}
	if err := v.member.post(ctx, "/api/workload-identities", bound).into(http.StatusCreated, &made); err != nil {
		return way{}, err
	}
	mine, err := v.life.identity(subject)
	if err != nil {
		return way{}, err
	}
	w := way{credential: made.ID, call: v.with(v.web, whoami, bearer(mine)), note: ", another subject of the issuer 401"}
	if err := v.letIn(ctx, w); err != nil {
		return way{}, err
	}
	other, err := v.life.identity(subject + "-2")
	if err != nil {
		return way{}, err
	}
	r, err := v.with(v.web, whoami, bearer(other))(ctx)
	if err == nil {
		err = r.is(http.StatusUnauthorized)
	}
	return w, err
}

func oneToken(ctx context.Context, v *visit) (string, error) {
	c, err := v.client(ctx, "two tokens", map[string]any{"method": "client_secret"})
	if err != nil {
		return "", err
	}
	var both [2]string
	for i := range both {
		if both[i], err = accessToken(v.ask(ctx, v.web, nil, basic(c)), "Bearer"); err != nil {
			return "", err
		}
		if err := v.letIn(ctx, way{call: v.with(v.web, whoami, bearer(both[i]))}); err != nil {
			return "", err
		}
	}
	h := basic(c)
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	began := time.Now()
	r, err := send(ctx, v.web, http.MethodPost, v.at.Portal+"/oauth/live/revoke", h, []byte(url.Values{"token": {both[0]}}.Encode()))
	if err == nil {
		err = r.is(http.StatusOK)
	}
	if err != nil {
		return "", err
	}
	p, at, err := v.turnedAway(ctx, way{call: v.with(v.web, whoami, bearer(both[0]))}, http.StatusUnauthorized)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(p.short(), "token-") {
		return "", errors.New("the revoked token is refused as " + p.Type)
	}
	w := way{credential: c.ID, call: v.with(v.web, whoami, bearer(both[1]))}
	v.life.left = append(v.life.left, w)
	return fmt.Sprintf("401 %s %s after it was asked to be revoked (RFC 7009); the other token 200", p.short(), milliseconds(at.Sub(began))), v.letIn(ctx, w)
}
