package control_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"gatehouse/control"
	"gatehouse/credential"
)

func TestDPoP(t *testing.T) {
	r := newRealm(t)
	cr, value := r.client(control.NewClient{Method: credential.ClientSecret, Constrain: credential.ByDPoP})
	k := newKey(t)
	n := 0
	prove := func(by key, change map[string]any) string {
		n++
		c := map[string]any{"htm": "POST", "htu": "https://portal.test/oauth/live/token", "iat": r.clock.Now().Unix(), "jti": strings.Repeat("x", n)}
		maps.Copy(c, change)
		return by.sign(t, "dpop+jwt", true, c)
	}
	ask := func(proof string) reply {
		return r.post("live", "token", grantType(), append(basic(cr, value), "DPoP", proof)...)
	}
	r.wantError("no proof", r.post("live", "token", grantType(), basic(cr, value)...), 400, "invalid_dpop_proof")
	first := ask(prove(k, nil))
	r.wantError("no nonce", first, 400, "use_dpop_nonce")
	nonce := first.header.Get("DPoP-Nonce")
	r.wantError("another address", ask(prove(k, map[string]any{"nonce": nonce, "htu": "https://portal.test/oauth/test/token"})), 400, "invalid_dpop_proof")
	proof := prove(k, map[string]any{"nonce": nonce})
	got := ask(proof)
	if got.status != 200 || got.Type != "DPoP" {
		t.Fatalf("%d %s", got.status, got.raw)
	}
	r.wantError("the same proof", ask(proof), 400, "invalid_dpop_proof")

	sum := sha256.Sum256([]byte(got.Access))
	ath := base64.RawURLEncoding.EncodeToString(sum[:])
	here := map[string]any{"htm": "GET", "htu": "https://gateway.test/ident/v1/checks", "ath": ath}
	at := func(by key, change map[string]any) []string {
		c := maps.Clone(here)
		maps.Copy(c, change)
		return []string{"Authorization", "DPoP " + got.Access, "DPoP", prove(by, c)}
	}
	r.wantCall("as a bearer", "token-scheme", "live", "GET", checks, "Authorization", "Bearer "+got.Access)
	r.wantCall("without a proof", "dpop-proof", "live", "GET", checks, "Authorization", "DPoP "+got.Access)
	x := r.wantCall("without a nonce", "dpop-nonce", "live", "GET", checks, at(k, nil)...)
	v, _ := x.Response.Fields.Get("DPoP-Nonce")
	nonced := func(more ...string) map[string]any {
		out := map[string]any{"nonce": v.String()}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	good := at(k, nonced())
	if x := r.wantCall("with everything", "", "live", "GET", checks, good...); !x.Principal.Constrained {
		t.Error("it is not seen as bound")
	}
	r.wantCall("the same proof", "dpop-replayed", "live", "GET", checks, good...)
	r.wantCall("another key", "dpop-proof", "live", "GET", checks, at(newKey(t), nonced())...)
	r.wantCall("another method", "dpop-proof", "live", "GET", checks, at(k, nonced("htm", "POST"))...)
	r.wantCall("another address", "dpop-proof", "live", "GET", checks, at(k, nonced("htu", "https://gateway.test/ident/v1/other"))...)
	r.wantCall("another token", "dpop-proof", "live", "GET", checks, at(k, nonced("ath", "x"))...)
	r.clock.pass(31 * time.Second)
	r.wantCall("an old nonce", "dpop-nonce", "live", "GET", checks, at(k, nonced())...)

	plain, plainValue := r.client(control.NewClient{Method: credential.ClientSecret})
	unbound := r.post("live", "token", grantType(), basic(plain, plainValue)...)
	r.wantCall("an unbound token as DPoP", "dpop-proof", "live", "GET", checks, "Authorization", "DPoP "+unbound.Access, "DPoP", prove(k, here))
}
