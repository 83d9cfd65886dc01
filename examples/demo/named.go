package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	certificateName = "batch.fjord-bank.example"
	authorityName   = "partners" // in the manifest
)

// signed makes a certificate of the partner's authority in which the name stands, until the end.
func (o *world) signed(name string, from, until time.Time) (tls.Certificate, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{SerialNumber: serial.Add(serial, big.NewInt(100)), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, o.caCert, k.Public(), o.caKey)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, err
}

// declared is the manifest's part about the authority: its certificate, and a list in which nothing is revoked.
func (o *world) declared() (string, error) {
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour)}, o.caCert, o.caKey)
	if err != nil {
		return "", err
	}
	text := func(kind string, der []byte) string {
		return strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))), "\n", "\n      ")
	}
	return "\nclient_authorities:\n  - name: " + authorityName + "\n    title: The partners' authority\n    certificates: |\n      " + text("CERTIFICATE", o.caCert.Raw) +
		"\n    crls:\n    - |\n      " + text("X509 CRL", list) + "\n", nil
}

// fresh is a certificate that counts now.
func (o *world) fresh(name string) (tls.Certificate, error) {
	return o.signed(name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// refusedCertificates sees that the authority's certificates with another name, of yesterday and of tomorrow open nothing.
func (v *visit) refusedCertificates(ctx context.Context, call func(context.Context, *http.Client) (reply, error)) error {
	now := time.Now()
	for what, c := range map[string]struct {
		name        string
		from, until time.Time
	}{
		"another name":  {"other." + certificateName, now.Add(-time.Hour), now.Add(time.Hour)},
		"expired":       {certificateName, now.Add(-2 * time.Hour), now.Add(-time.Hour)},
		"not valid yet": {certificateName, now.Add(time.Hour), now.Add(2 * time.Hour)},
	} {
		own, err := v.life.signed(c.name, c.from, c.until)
		if err != nil {
			return err
		}
		r, err := call(ctx, v.life.by(own))
		if err == nil {
			err = r.is(http.StatusUnauthorized)
		}
		if err != nil {
			return fmt.Errorf("a certificate that is %s: %w", what, err)
		}
	}
	return nil
}

// namedClient is tls_client_auth: any certificate of the authority in which the name stands.
func namedClient(ctx context.Context, v *visit) (way, error) {
	named := map[string]any{"authority": authorityName, "kind": "dns", "value": certificateName}
	c, err := v.client(ctx, "by name", map[string]any{"method": "tls_client_auth", "named": named})
	if err != nil {
		return way{}, err
	}
	own, err := v.life.fresh(certificateName)
	if err != nil {
		return way{}, err
	}
	web := v.life.by(own)
	ask := func(ctx context.Context, web *http.Client) reply {
		return v.ask(ctx, web, url.Values{"client_id": {c.ID}}, nil)
	}
	w := way{credential: c.ID, note: ", another name, expired or not valid yet 401", token: func(ctx context.Context) reply { return ask(ctx, web) }}
	access, err := accessToken(w.token(ctx), "Bearer")
	if err != nil {
		return way{}, err
	}
	if err := v.refusedCertificates(ctx, func(ctx context.Context, web *http.Client) (reply, error) { return ask(ctx, web), nil }); err != nil {
		return way{}, err
	}
	w.call = v.with(web, whoami, bearer(access))
	return w, v.bound(ctx, w, access)
}

// namedCertificate is a client certificate that is known by a name in it.
func namedCertificate(ctx context.Context, v *visit) (way, error) {
	var made struct{ Credential struct{ ID string } }
	named := map[string]any{"authority": authorityName, "kind": "dns", "value": certificateName}
	r := v.member.post(ctx, "/api/client-certificates", map[string]any{"application": v.portalApp, "environment": "live", "name": "by name", "named": named, "lifetime": "30d"})
	if err := r.into(http.StatusCreated, &made); err != nil {
		return way{}, err
	}
	first, err := v.life.fresh(certificateName)
	if err != nil {
		return way{}, err
	}
	w := way{credential: made.Credential.ID, note: ", made anew 200", call: v.with(v.life.by(first), mutualWhoami, none)}
	if err := v.letIn(ctx, w); err != nil {
		return way{}, err
	}
	anew, err := v.life.fresh(certificateName)
	if err != nil {
		return way{}, err
	}
	w.call = v.with(v.life.by(anew), mutualWhoami, none)
	return w, v.refusedCertificates(ctx, func(ctx context.Context, web *http.Client) (reply, error) {
		return v.with(web, mutualWhoami, none)(ctx)
	})
}

// selfRegistered is a client that a program has registered by itself, with an initial access token (RFC 7591).
func selfRegistered(ctx context.Context, v *visit) (way, error) {
	var initial struct {
		Token    string
		Endpoint string `json:"registration_endpoint"`
	}
	asked := map[string]any{"application": v.portalApp, "environment": "live", "name": "deploy pipeline"}
	if err := v.member.post(ctx, "/api/initial-tokens", asked).into(http.StatusCreated, &initial); err != nil {
		return way{}, err
	}
	register := func(token string) (reply, error) {
		h := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}
		return send(ctx, v.web, http.MethodPost, initial.Endpoint, h, []byte(`{"client_name": "pipeline", "token_endpoint_auth_method": "client_secret_basic"}`))
	}
	r, err := register(initial.Token)
	if err != nil {
		return way{}, err
	}
	var c registered
	if err := r.into(http.StatusCreated, &c); err != nil {
		return way{}, err
	}
	for what, token := range map[string]string{"a second use of the only one": initial.Token, "another token": "ghr_none"} {
		if r, err = register(token); err == nil {
			err = r.is(http.StatusUnauthorized)
		}
		if err != nil {
			return way{}, fmt.Errorf("%s: %w", what, err)
		}
	}
	w := way{credential: c.ID, note: ", its initial token again 401", token: func(ctx context.Context) reply { return v.ask(ctx, v.web, nil, basic(c)) }}
	access, err := accessToken(w.token(ctx), "Bearer")
	w.call = v.with(v.web, whoami, bearer(access))
	return w, err
}

// found is one finding of the inventory.
type found struct {
	Rule, Risk, Severity string
	Mend                 struct{ Text, Call, Body string }
}

func (v *visit) findings(ctx context.Context, credential string) ([]found, error) {
	var e struct{ Findings []found }
	err := v.member.get(ctx, "/api/inventory/"+credential).into(http.StatusOK, &e)
	return e.Findings, err
}

// takeStock leaks a key, has the inventory find it, and mends it by exactly what the finding says.
func takeStock(ctx context.Context, v *visit) (string, error) {
	k, err := v.issue(ctx, v.portalApp, "live")
	if err != nil {
		return "", err
	}
	w := way{credential: k.Credential.ID, call: v.with(v.web, whoami, func() (http.Header, error) { return http.Header{"X-Api-Key": {k.Key}}, nil })}
	if err := v.letIn(ctx, w); err != nil {
		return "", err
	}
	before, err := v.findings(ctx, w.credential)
	if err != nil {
		return "", err
	}
	report := map[string]any{"found": "export KEY=" + k.Key + " # in a public repository", "where": "https://code.example/fjord/app"}
	if r := v.nobody().post(ctx, "/api/leaks", report); r.err != nil || r.status >= 300 {
		return "", r.is(http.StatusOK)
	}
	all, err := v.findings(ctx, w.credential)
	if err != nil {
		return "", err
	}
	var leak found
	for _, f := range all {
		if f.Rule == "leaked" {
			leak = f
		}
	}
	if leak.Risk != "NHI2" || leak.Severity != "critical" || len(all) != len(before)+1 {
		return "", fmt.Errorf("the inventory finds %+v of a key that was found, and %d findings before", all, len(before))
	}
	method, path, _ := strings.Cut(leak.Mend.Call, " ")
	var body map[string]any
	if err := json.Unmarshal([]byte(leak.Mend.Body), &body); err != nil {
		return "", fmt.Errorf("the mend's body %q: %w", leak.Mend.Body, err)
	}
	if err := v.member.send(ctx, method, path, body).is(http.StatusOK); err != nil {
		return "", err
	}
	p, _, err := v.turnedAway(ctx, w, http.StatusUnauthorized)
	if err != nil {
		return "", err
	}
	var list struct {
		Items []struct {
			Credential struct{ ID string }
			Findings   []found
		}
	}
	if err := v.member.get(ctx, "/api/inventory?risk=NHI2").into(http.StatusOK, &list); err != nil {
		return "", err
	}
	if len(list.Items) != 0 {
		return "", fmt.Errorf("%d credentials still have a finding of NHI2", len(list.Items))
	}
	other := map[string]bool{}
	for _, f := range before {
		other[f.Rule] = true
	}
	return fmt.Sprintf("NHI2 leaked (critical) once it was reported; mended by %s %s: 401 %s, and the finding is gone; beside it stood %d: %s", method, "…/revoke", p.short(), len(other), strings.Join(slices.Sorted(maps.Keys(other)), ", ")), nil
}
