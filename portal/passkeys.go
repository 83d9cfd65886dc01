package portal

import (
	"errors"
	"net/http"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// passkeyPage has the browser ask an authenticator. Options is what it is asked; a script does it and sends the answer with the form.
type passkeyPage struct {
	frame
	Form          form
	Does          string // "create" or "get"
	Options       string
	Token, Return string
	Button        string
}

const tookTooLong = "This took too long, or was answered already. Try again."

func (*passkeyPage) template() string { return "passkey" }

func (v *visit) passkeyPage(status int, p *passkeyPage, ask control.Ask) error {
	p.Options, p.Token, p.Slim = string(ask.Options), ask.Token.Reveal(), true
	return v.show(status, p)
}

func askPasskeySignIn(v *visit) error {
	return v.passkeySignIn(http.StatusOK, newForm("/signin/passkey"), local(v.r.URL.Query().Get("return")))
}

func (v *visit) passkeySignIn(status int, f form, to string) error {
	ask, err := v.Control.BeginPasskeySignIn(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := &passkeyPage{Form: f, Does: "get", Return: to, Button: "Use a passkey"}
	p.Title, p.Lead = "Sign in with a passkey", "Your device asks for your finger, your face or its PIN."
	return v.passkeyPage(status, p, ask)
}

func signInByPasskey(v *visit) error {
	to := local(v.r.PostForm.Get("return"))
	in, err := v.Control.SignInByPasskey(v.r.Context(), v.actor, secret.New(v.r.PostForm.Get("token")), []byte(v.r.PostForm.Get("credential")), userAgent(v.r))
	if errors.Is(err, fault.Unauthenticated) || errors.Is(err, fault.Gone) {
		f, status := newForm("/signin/passkey"), http.StatusUnauthorized
		f.Problem = "This passkey opens nothing here. Try another one, or sign in in another way."
		if errors.Is(err, fault.Gone) {
			f.Problem, status = tookTooLong, http.StatusGone
		}
		return v.passkeySignIn(status, f, to)
	}
	if err != nil {
		return err
	}
	return v.welcome(in, to)
}

func passkeyForm() form {
	return newForm("/account/passkeys", field{Name: "name", Label: "Name", Kind: textField, Required: true, Max: 120, Autocomplete: "off", Hint: "Such as “work laptop”"})
}

func askPasskey(v *visit) error { return v.newPasskey(passkeyForm()) }

func (v *visit) newPasskey(f form) error {
	ask, err := v.Control.BeginPasskey(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := &passkeyPage{Form: f, Does: "create", Button: "Make the passkey"}
	p.Title, p.Lead = "Add a passkey", "It signs you in without a password, from this device or from wherever your passkeys are kept."
	p.Trail = []crumb{{"Your account", "/account"}}
	return v.passkeyPage(statusOfForm(f), p, ask)
}

func addPasskey(v *visit) error {
	f := passkeyForm()
	if !f.read(v.r.PostForm) {
		return v.newPasskey(f)
	}
	_, err := v.Control.FinishPasskey(v.r.Context(), v.actor, secret.New(v.r.PostForm.Get("token")), f.value("name"), []byte(v.r.PostForm.Get("credential")))
	if errors.Is(err, fault.Gone) {
		f.Problem = tookTooLong
		return v.newPasskey(f)
	}
	if err != nil {
		if f.refuse(err) {
			return v.newPasskey(f)
		}
		return err
	}
	return v.done("passkey-added", "/account")
}

func changePasskey(v *visit) error {
	i, err := v.object(id.Passkey)
	if err != nil {
		return err
	}
	if v.r.PostForm.Get("remove") != "" {
		if err := v.Control.RemovePasskey(v.r.Context(), v.actor, i); err != nil {
			return err
		}
		return v.done("passkey-removed", "/account")
	}
	if _, err := v.Control.RenamePasskey(v.r.Context(), v.actor, i, clean(v.r.PostForm.Get("name"), textField)); err != nil {
		return err
	}
	return v.done("passkey-renamed", "/account")
}
