package adminapi_test

import (
	"encoding/base32"
	"time"

	"gatehouse/identity"
)

// secondFactor sets an authenticator app up, signs in with it, and has it reset by the host's owner.
func (w *world) secondFactor() {
	w.Helper()
	const email = "vera@fjord-reader.example"
	w.partner("vera", "Fjord Reader", email)
	w.play(scenario{name: "providers", do: "GET /api/sso", status: 200, has: []string{`"items":[]`}})
	w.play(scenario{name: "hers", as: "vera", do: "GET /api/me/sign-ons", status: 200, has: []string{`"items":[]`}})
	w.play(scenario{name: "passkeys", as: "vera", do: "GET /api/me/passkeys", status: 200, has: []string{`"items":[]`}})
	w.play(scenario{name: "no passkey", as: "vera", do: "PATCH /api/me/passkeys/pk_01kas0v2m8c4y6n0q3r5t7w9xz", body: `{"name":"x"}`, status: 404, kind: "not-found"})
	w.play(scenario{name: "nor one to remove", as: "vera", do: "DELETE /api/me/passkeys/pk_01kas0v2m8c4y6n0q3r5t7w9xz", status: 404, kind: "not-found"})
	w.called["renamePasskey"], w.called["removePasskey"] = true, true // browsers make passkeys: portal/browsertest does
	w.play(scenario{name: "none yet", as: "vera", do: "GET /api/people/${veraid}/second-factors", status: 200, has: []string{`"app":false`, `"codes":0`}})
	w.play(scenario{name: "the key", as: "vera", do: "POST /api/me/authenticator", status: 201, keep: "appkey=key", has: []string{"otpauth://totp/"}})
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(w.kept["appkey"])
	if err != nil {
		w.Fatal(err)
	}
	w.play(scenario{name: "a wrong code", as: "vera", do: "POST /api/me/authenticator/finish", body: `{"code":"1"}`, status: 422, kind: "invalid"})
	w.kept["code"] = identity.OneTimeCode(key, identity.CodeStep(time.Now()))
	w.play(scenario{name: "its first code", as: "vera", do: "POST /api/me/authenticator/finish", body: `{"code":"${code}"}`, status: 200, keep: "one=codes.0 two=codes.1 three=codes.2"})
	w.play(scenario{name: "the first factor", do: "POST /api/sessions", body: `{"email":"` + email + `","password":"` + password + `"}`, status: 201, keep: "pending=pending"})
	w.play(scenario{name: "a wrong second", do: "POST /api/sessions/second", body: `{"pending":"${pending}","code":"1"}`, status: 401, kind: "wrong-code"})
	w.play(scenario{name: "the second", do: "POST /api/sessions/second", body: `{"pending":"${pending}","code":"${one}"}`, status: 201, keep: "vera=token", has: []string{`"how":"password and recovery code"`}})
	w.play(scenario{name: "confirmed", as: "vera", do: "POST /api/sessions/current/confirmation", body: `{"code":"${two}"}`, status: 204})
	w.play(scenario{name: "new codes", as: "vera", do: "POST /api/me/recovery-codes", body: `{"code":"${three}"}`, status: 200, keep: "one=codes.0"})
	w.play(scenario{name: "not by herself", as: "vera", do: "POST /api/people/${veraid}/second-factors/reset", body: `{"reason":"lost"}`, status: 403, kind: "not-your-own"})
	w.play(scenario{name: "what is kept", as: "vera", do: "GET /api/people/${veraid}/data", status: 200, has: []string{email, `"has_password":true`, "factor.add"}})
	w.play(scenario{name: "removed", as: "vera", do: "POST /api/me/authenticator/remove", body: `{"code":"${one}"}`, status: 204})
	w.play(scenario{name: "nothing to reset", as: "host", do: "POST /api/people/${veraid}/second-factors/reset", body: `{"reason":"lost"}`, status: 409, kind: "no-factor"})
	w.play(scenario{name: "the last owner", as: "host", do: "POST /api/people/${veraid}/erasure", body: `{"reason":"asked for it"}`, status: 409, kind: "last-owner"})
	w.called["erasePerson"] = true        // as is what this does
	w.called["resetSecondFactors"] = true // what it does is control's to test
}
