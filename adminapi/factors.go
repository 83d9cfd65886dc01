package adminapi

import (
	"context"
	"net/http"

	"gatehouse/control"
	"gatehouse/identity"
	"gatehouse/secret"
)

// Pending is a sign-in that waits for its second factor, with a code of it.
type Pending struct {
	Pending string `json:"pending" doc:"What the first step answered" example:"ghp_0123456789abcdefghjkmnpqrstvwxyz"`
	Code    string `json:"code" doc:"Six digits of the authenticator app, or a recovery code" example:"287082"`
}

// Code is one of the second factor.
type Code struct {
	Code string `json:"code" doc:"Six digits of the authenticator app, or a recovery code" example:"287082"`
}

// Enrolment is an authenticator app that is being set up.
type Enrolment struct {
	Key string `json:"key" doc:"The key, in base 32, to be typed into the app. It is told now and never again." example:"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"`
	URL string `json:"url" doc:"The same as an address, to be shown as a QR code" example:"otpauth://totp/Gatehouse:ines@fjord-bank.example?secret=…"`
}

// RecoveryCodes are fresh recovery codes.
type RecoveryCodes struct {
	Codes []string `json:"codes" nullable:"false" doc:"Each works once in the place of the app. They are told now and never again." example:"[\"01kas0v2-m8c4y6n0\"]"`
}

func recoveryCodes(codes []secret.Value, err error) (*Got[RecoveryCodes], error) {
	out := RecoveryCodes{Codes: []string{}}
	for _, c := range codes {
		out.Codes = append(out.Codes, c.Reveal())
	}
	return got(out, err)
}

// factors adds second factors: how they are set up, asked for, and taken away.
func (a *api) factors() {
	c := a.Control
	add(a, operation{id: "proveSecondFactor", method: http.MethodPost, path: "/api/sessions/second", tag: tagSignIn, status: http.StatusCreated, traits: []trait{open},
		summary: "Finish a sign-in with the second factor",
		doc: `Takes what the first step answered as pending, and a code. A wrong code (401 wrong-code) leaves the sign-in waiting; each code of
the app is taken once (code-used). Tries are counted; too many answer 429 with Retry-After.`,
	}, func(ctx context.Context, in *With[Pending]) (*Got[SignedIn], error) {
		return signedIn(c.ProveSecondFactor(ctx, in.actor(), secret.New(in.Body.Pending), in.Body.Code, in.agent()))
	})
	type confirmation struct {
		Code     string `json:"code,omitempty" doc:"Of the second factor, if you have one" example:"287082"`
		Password string `json:"password,omitempty" doc:"Else your password" example:"correct horse battery staple 7"`
	}
	add(a, operation{id: "confirmSession", method: http.MethodPost, path: "/api/sessions/current/confirmation", tag: tagSignIn,
		summary: "Confirm that it is still you",
		doc: `What matters most (making machine tokens, changing staff, offboarding, second factors) asks for a session that was signed in or
confirmed within 15 minutes, else it answers 403 confirm-first. Needs a session.`,
	}, func(ctx context.Context, in *With[confirmation]) (*None, error) {
		return &None{}, c.ConfirmSession(ctx, in.actor(), in.Body.Code, secret.New(in.Body.Password))
	})
	add(a, operation{id: "secondFactors", method: http.MethodGet, path: "/api/people/{id}/second-factors", tag: tagSignIn,
		summary: "Show what somebody has besides a password", doc: "Your own, or of whom you may reset.",
	}, func(ctx context.Context, in *Object) (*Got[control.SecondFactors], error) {
		return got(c.SecondFactors(ctx, in.actor(), in.object()))
	})
	add(a, operation{id: "enrolAuthenticator", method: http.MethodPost, path: "/api/me/authenticator", tag: tagSignIn, status: http.StatusCreated,
		summary: "Begin to set up an authenticator app", doc: "A key for the app (TOTP, RFC 6238). It counts once finishAuthenticator has seen a code of it, within half an hour. Needs a session.",
	}, func(ctx context.Context, in *Caller) (*Got[Enrolment], error) {
		e, err := c.EnrolAuthenticator(ctx, in.actor())
		return got(Enrolment{e.Key.Reveal(), e.URL.Reveal()}, err)
	})
	add(a, operation{id: "finishAuthenticator", method: http.MethodPost, path: "/api/me/authenticator/finish", tag: tagSignIn,
		summary: "Finish setting up the authenticator app", doc: "By its first code. Every sign-in asks for one from then on; your other sessions end. Needs a session.",
	}, func(ctx context.Context, in *With[Code]) (*Got[RecoveryCodes], error) {
		return recoveryCodes(c.FinishAuthenticator(ctx, in.actor(), in.Body.Code))
	})
	add(a, operation{id: "newRecoveryCodes", method: http.MethodPost, path: "/api/me/recovery-codes", tag: tagSignIn,
		summary: "Make fresh recovery codes", doc: "By a code of the app. Those of before are worthless from then on. Needs a session.",
	}, func(ctx context.Context, in *With[Code]) (*Got[RecoveryCodes], error) {
		return recoveryCodes(c.NewRecoveryCodes(ctx, in.actor(), in.Body.Code))
	})
	add(a, operation{id: "removeAuthenticator", method: http.MethodPost, path: "/api/me/authenticator/remove", tag: tagSignIn,
		summary: "Remove your authenticator app", doc: "By a code of it, together with the recovery codes. One that a role of yours demands stays (409). Needs a session.",
	}, func(ctx context.Context, in *With[Code]) (*None, error) {
		return &None{}, c.RemoveAuthenticator(ctx, in.actor(), in.Body.Code)
	})
	type reset struct {
		Object
		Body Reason
	}
	add(a, operation{id: "resetSecondFactors", method: http.MethodPost, path: "/api/people/{id}/second-factors/reset", tag: tagStaff,
		summary: "Take a lost second factor away",
		doc: `For somebody who has lost it: their sessions end, and they are told by a letter. Nobody does it for themselves. A member's: owner of
the organization, operator or admin; staff's: admin; the host's owner anybody's. Needs a session.`,
	}, func(ctx context.Context, in *reset) (*None, error) {
		return &None{}, c.ResetSecondFactors(ctx, in.actor(), in.object(), in.Body.Reason)
	})
	add(a, operation{id: "signOns", method: http.MethodGet, path: "/api/sso", tag: tagSignIn, traits: []trait{open},
		summary: "List OpenID providers to sign in with", doc: "The sign-in itself is a browser's: open /sso/ and the name at the portal. A command line signs in by device code from there.",
	}, func(ctx context.Context, in *Caller) (*Page[control.SignOn], error) {
		l, err := c.SignOns(ctx, in.actor())
		return paged(control.List[control.SignOn]{Items: l}, err, same)
	})
	add(a, operation{id: "subjects", method: http.MethodGet, path: "/api/me/sign-ons", tag: tagSignIn,
		summary: "List the providers by which you sign in", doc: "With the name that each knows you by, and the roles that its groups give. Needs a session.",
	}, func(ctx context.Context, in *Caller) (*Page[identity.Subject], error) {
		l, err := c.Subjects(ctx, in.actor())
		return paged(control.List[identity.Subject]{Items: l}, err, same)
	})
	add(a, operation{id: "passkeys", method: http.MethodGet, path: "/api/me/passkeys", tag: tagSignIn,
		summary: "List your passkeys", doc: "They are made and used by a browser, at the portal. Needs a session.",
	}, func(ctx context.Context, in *Caller) (*Page[identity.Passkey], error) {
		l, err := c.Passkeys(ctx, in.actor())
		return paged(control.List[identity.Passkey]{Items: l}, err, same)
	})
	type passkeyName struct {
		Name string `json:"name" doc:"What you call it" example:"work laptop"`
	}
	type rename struct {
		Object
		Body passkeyName
	}
	add(a, operation{id: "renamePasskey", method: http.MethodPatch, path: "/api/me/passkeys/{id}", tag: tagSignIn,
		summary: "Give a passkey of yours another name", doc: "Needs a session.",
	}, func(ctx context.Context, in *rename) (*Versioned[identity.Passkey], error) {
		k, err := c.RenamePasskey(ctx, in.actor(), in.object(), in.Body.Name)
		return versioned(k, k.Version, err)
	})
	add(a, operation{id: "removePasskey", method: http.MethodDelete, path: "/api/me/passkeys/{id}", tag: tagSignIn,
		summary: "Remove a passkey of yours", doc: "It opens nothing any more. The last second factor that a role of yours demands stays (409). Needs a session.",
	}, func(ctx context.Context, in *Object) (*None, error) {
		return &None{}, c.RemovePasskey(ctx, in.actor(), in.object())
	})
}
