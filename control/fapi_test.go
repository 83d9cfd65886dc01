package control_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/manifest"
)

// fapi is the manifest with a plan in the client profile of FAPI 2.0.
func (r *realm) fapi() string {
	return strings.ReplaceAll(r.text, "{name: free, credentials: [api_key, oauth_client, client_certificate],", "{name: free, fapi: true,")
}

// A plan in the profile takes only clients that keep it: when they are made, at the token endpoint and at the gateway.
func TestFAPIPlan(t *testing.T) {
	r := newRealm(t)
	k := newKey(t)
	early, earlyValue := r.client(control.NewClient{Method: credential.ClientSecret, Constrain: credential.ByDPoP})
	loose, _ := r.client(control.NewClient{Method: credential.PrivateKeyJWT, Keys: k.set()})
	proof := func(method, url string, more ...string) string {
		r.n++
		claims := map[string]any{"htm": method, "htu": url, "iat": r.clock.Now().Unix(), "jti": strings.Repeat("d", r.n), "nonce": r.DPoPNonce()}
		for i := 0; i < len(more); i += 2 {
			claims[more[i]] = more[i+1]
		}
		return k.sign(t, "dpop+jwt", true, claims)
	}
	const endpoint = "https://portal.test/oauth/live/token"
	before := r.post("live", "token", grantType(), append(basic(early, earlyValue), "DPoP", proof("POST", endpoint))...)
	if before.status != 200 {
		t.Fatalf("%d %s", before.status, before.raw)
	}
	r.publish(r.fapi())

	// At the token endpoint.
	r.wantError("a secret", r.post("live", "token", grantType(), append(basic(early, earlyValue), "DPoP", proof("POST", endpoint))...), 400, "unauthorized_client")
	r.wantError("a key, and a token that is not bound", r.post("live", "token", r.asserted(loose, k)), 400, "unauthorized_client")
	good := r.post("live", "token", r.asserted(loose, k), "DPoP", proof("POST", endpoint))
	if good.status != 200 || good.Type != "DPoP" {
		t.Fatalf("a key, and a token that is bound: %d %s", good.status, good.raw)
	}

	// At the gateway: the token of before is bound, and its client proved itself by a secret.
	at := func(access string) []string {
		sum := hashOf(access)
		r.n++
		return []string{"Authorization", "DPoP " + access, "DPoP", k.sign(t, "dpop+jwt", true, map[string]any{"htm": "GET", "htu": "https://gateway.test" + checks, "iat": r.clock.Now().Unix(),
			"jti": strings.Repeat("g", r.n), "ath": sum, "nonce": r.deps.Proofs.Nonce(r.clock.Now())})}
	}
	r.wantCall("a token of a client with a secret", "not-fapi", "live", "GET", checks, at(before.Access)...)
	r.wantCall("a token of a client in the profile", "", "live", "GET", checks, at(good.Access)...)

	// When it is made.
	n := func(method credential.AuthMethod, by credential.Constraint) control.NewClient {
		out := control.NewClient{NewKey: control.NewKey{Application: r.app.ID, Environment: "live", Name: "x"}, Method: method, Constrain: by}
		switch method {
		case credential.PrivateKeyJWT:
			out.Keys = k.set()
		case credential.SelfSignedTLS:
			out.Thumbprint = base64.RawURLEncoding.EncodeToString(make([]byte, 32))
		}
		return out
	}
	for _, q := range []struct {
		what string
		n    control.NewClient
		want string
	}{
		{"a secret", n(credential.ClientSecret, credential.ByDPoP), "not-fapi"},
		{"a key, not bound", n(credential.PrivateKeyJWT, ""), "not-fapi"},
		{"a key, bound to a key", n(credential.PrivateKeyJWT, credential.ByDPoP), ""},
		{"a key, bound to a certificate", n(credential.PrivateKeyJWT, credential.ByCertificate), ""},
		{"a certificate, bound to itself", n(credential.SelfSignedTLS, ""), ""},
	} {
		_, _, err := r.RegisterClient(r.ctx, r.a, q.n)
		if got := codeOf(err); got != q.want {
			t.Errorf("%s: %q (%v), want %q", q.what, got, err, q.want)
		}
	}
	if _, _, err := r.IssueKey(r.ctx, r.a, control.NewKey{Application: r.app.ID, Environment: "live", Name: "x", Lifetime: time.Hour}); codeOf(err) != "no-grant" && codeOf(err) != "credential-kind" {
		t.Errorf("an API key: %v", err)
	}
	if _, _, _, err := r.RotateKey(r.ctx, r.a, early.ID, control.Rotation{}); codeOf(err) != "not-fapi" {
		t.Errorf("another secret: %v", err)
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.As(err).Code
}

func TestFAPIPlanTakesClientsAlone(t *testing.T) {
	r := newRealm(t)
	for text, want := range map[string]bool{r.fapi(): true, strings.ReplaceAll(r.text, "{name: free, credentials:", "{name: free, fapi: true, credentials:"): false} {
		_, ds := manifest.Parse(manifest.Bundle{"gatehouse.yaml": []byte(text), "ident.yaml": []byte(openAPI)})
		got := true
		for _, d := range ds {
			got = got && !strings.Contains(d.String(), "the plan has fapi")
		}
		if got != want {
			t.Errorf("taken: %v, want %v: %v", got, want, ds)
		}
	}
}
