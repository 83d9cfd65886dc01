package portal

import (
	"errors"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/secret"
	"gatehouse/session"
)

// accountPage is the viewer's own: password and sessions.
type accountPage struct {
	frame
	Form     form
	Sessions []sessionRow
	Factors  control.SecondFactors
	Passkeys []identity.Passkey
	Offered  bool     // passkeys can be had here
	SignOns  []string // providers by which the viewer signs in
}

func (*accountPage) template() string { return "account" }

// sessionRow is one sign-in in a list.
type sessionRow struct {
	session.Session
	Current bool
}

func passwordForm() form {
	return newForm("/account/password",
		field{Name: "old", Label: "Password so far", Kind: secretField, Autocomplete: "current-password", Max: 256, Hint: "Leave it empty if you have never set one"},
		field{Name: "fresh", Label: "New password", Kind: secretField, Required: true, Autocomplete: "new-password", Max: 256, Hint: "At least 12 characters: a few words are better than a few signs"},
	)
}

func showAccount(v *visit) error { return v.account(passwordForm()) }

func (v *visit) account(f form) error {
	list, err := v.Control.Sessions(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := &accountPage{Form: f, Offered: v.Control.OffersPasskeys()}
	if p.Factors, err = v.Control.SecondFactors(v.r.Context(), v.actor, ""); err != nil {
		return err
	}
	if p.Passkeys, err = v.Control.Passkeys(v.r.Context(), v.actor); err != nil {
		return err
	}
	if p.SignOns, err = v.signOns(); err != nil {
		return err
	}
	for _, s := range list {
		p.Sessions = append(p.Sessions, sessionRow{s, s.ID == v.actor.Session})
	}
	p.Title, p.Lead = "Your account", v.actor.Email
	return v.show(statusOfForm(f), p)
}

func changePassword(v *visit) error {
	f := passwordForm()
	if !f.read(v.r.PostForm) {
		return v.account(f)
	}
	err := v.Control.ChangePassword(v.r.Context(), v.actor, secret.New(f.value("old")), secret.New(f.value("fresh")))
	switch {
	case err == nil:
		return v.done("password-changed", "/account")
	case errors.Is(err, fault.Unauthenticated):
		f.blame(fault.Field{Pointer: "/old", Text: "this is not your password"})
		return v.account(f)
	case f.refuse(err):
		return v.account(f)
	}
	return err
}

func endSession(v *visit) error {
	i, err := v.object(id.Session)
	if err != nil {
		return err
	}
	if err := v.Control.EndSession(v.r.Context(), v.actor, i); err != nil {
		return err
	}
	if i == v.actor.Session {
		v.forgetSession()
		return v.done("signed-out", "/")
	}
	return v.done("session-ended", "/account")
}

// devicePage lets a command line sign in as the viewer.
type devicePage struct {
	frame
	Form    form
	Code    string // the one that waits; "" asks for one
	Client  string
	Since   string
	Decided string // what was decided, once it was
}

func (*devicePage) template() string { return "device" }

func deviceForm() form {
	return newForm("/device", field{Name: "code", Label: "Code", Kind: textField, Required: true, Max: 20, Autocomplete: "one-time-code", Mono: true, Hint: "It stands in your terminal, such as BCDF-GHJK"})
}

func askDevice(v *visit) error {
	code := clean(v.r.URL.Query().Get("code"), textField)
	p := &devicePage{Form: deviceForm()}
	p.Form.set("code", code)
	if code == "" {
		return v.device(p)
	}
	d, err := v.Control.Device(v.r.Context(), v.actor, code)
	switch {
	case errors.Is(err, fault.NotFound), errors.Is(err, fault.Gone):
		p.Form.blame(fault.Field{Pointer: "/code", Text: "nothing waits with this code: it may be over, or mistyped"})
		return v.device(p)
	case err != nil:
		return err
	}
	p.Code, p.Client, p.Since = d.UserCode, d.Client, relative(v.now, d.Created)
	return v.device(p)
}

func (v *visit) device(p *devicePage) error {
	p.Title = "Sign in a command line"
	return v.show(statusOfForm(p.Form), p)
}

func decideDevice(v *visit) error {
	f := deviceForm()
	if !f.read(v.r.PostForm) {
		return v.device(&devicePage{Form: f})
	}
	allow := v.r.PostForm.Get("decision") == "allow"
	err := v.Control.DecideDevice(v.r.Context(), v.actor, f.value("code"), allow)
	switch {
	case errors.Is(err, fault.NotFound), errors.Is(err, fault.Gone):
		f.blame(fault.Field{Pointer: "/code", Text: "nothing waits with this code: it may be over, or decided already"})
		return v.device(&devicePage{Form: f})
	case err != nil:
		return err
	}
	p := &devicePage{Form: f, Decided: "denied"}
	if allow {
		p.Decided = "allowed"
	}
	return v.device(p)
}
