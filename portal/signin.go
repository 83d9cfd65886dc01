package portal

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/problem"
	"gatehouse/secret"
)

// signInPage asks who somebody is.
type signInPage struct {
	frame
	Form        form
	Return      string // where to go on
	Unconfirmed bool   // the address waits for its confirmation
	Providers   []crumb
	Passkeys    bool // can be had here
}

func (*signInPage) template() string { return "signin" }

func signInForm() form {
	return newForm("/signin",
		field{Name: "email", Label: "E-mail address", Kind: emailField, Required: true, Autocomplete: "username", Max: 254},
		field{Name: "password", Label: "Password", Kind: secretField, Required: true, Autocomplete: "current-password", Max: 256},
	)
}

func askSignIn(v *visit) error {
	to := local(v.r.URL.Query().Get("return"))
	if v.actor.Class != identity.Anonymous {
		if to == "" {
			to = start(v.actor)
		}
		return v.redirect(to)
	}
	return v.signInPage(http.StatusOK, &signInPage{Form: signInForm(), Return: to})
}

func (v *visit) signInPage(status int, p *signInPage) error {
	p.Title, p.Slim, p.Passkeys = "Sign in", true, v.Control.OffersPasskeys()
	providers, err := v.Control.SignOns(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	for _, s := range providers {
		href := "/sso/" + s.Name
		if p.Return != "" {
			href += "?return=" + url.QueryEscape(p.Return)
		}
		p.Providers = append(p.Providers, crumb{s.Title, href})
	}
	return v.show(status, p)
}

func signIn(v *visit) error {
	p := &signInPage{Form: signInForm(), Return: local(v.r.PostForm.Get("return"))}
	if !p.Form.read(v.r.PostForm) {
		return v.signInPage(http.StatusUnprocessableEntity, p)
	}
	in, err := v.Control.SignIn(v.r.Context(), v.actor, p.Form.value("email"), secret.New(p.Form.value("password")), userAgent(v.r))
	switch e := fault.As(err); {
	case err == nil:
	case e.Code == "unconfirmed":
		p.Unconfirmed = true
		p.Form.Problem = "This address is not confirmed yet. Open the link in the letter that we sent you."
		return v.signInPage(http.StatusForbidden, p)
	case e.Kind == fault.Unauthenticated:
		p.Form.Problem = "E-mail address and password do not fit together."
		return v.signInPage(http.StatusUnauthorized, p)
	case e.Kind == fault.Forbidden, e.Kind == fault.Invalid:
		p.Form.refuse(err)
		return v.signInPage(problem.Status(e), p)
	default:
		return err
	}
	if !in.Pending.Empty() {
		return v.second(secondForm(), in.Pending.Reveal(), p.Return)
	}
	return v.welcome(in, p.Return)
}

// welcome starts the session: a fresh one, whatever there was before.
func (v *visit) welcome(in control.SignedIn, to string) error {
	if v.actor.Session != "" {
		if err := v.Control.SignOut(v.r.Context(), v.actor); err != nil && !errors.Is(err, fault.Unauthenticated) {
			return err
		}
	}
	v.setSession(in.Token, in.Session.Expires)
	if to == "" {
		to = start(identity.Actor{Class: in.Person.Class})
	}
	return v.redirect(to)
}

func userAgent(r *http.Request) string {
	const longest = 300 // of what is stored about a session
	s := strings.ToValidUTF8(r.UserAgent(), "")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "")
	}
	return s
}

func askSignInLink(v *visit) error {
	p := &linkPage{Action: "/signin/link", Button: "Sign in", Token: v.r.URL.Query().Get("token"),
		Text: "This link signs you in without a password. It works once."}
	p.Title, p.Slim = "Sign in by your link", true
	return v.link(p)
}

func signInByLink(v *visit) error {
	in, err := v.Control.SignInByLink(v.r.Context(), v.actor, secret.New(v.r.PostForm.Get("token")), userAgent(v.r))
	if err != nil {
		return err
	}
	if !in.Pending.Empty() {
		return v.second(secondForm(), in.Pending.Reveal(), "")
	}
	return v.welcome(in, "")
}

func signOut(v *visit) error {
	if v.actor.Class != identity.Anonymous {
		if err := v.Control.SignOut(v.r.Context(), v.actor); err != nil && !errors.Is(err, fault.Unauthenticated) {
			return err
		}
	}
	v.forgetSession()
	return v.done("signed-out", "/")
}

func resetForm() form {
	return newForm("/password/forgot", field{Name: "email", Label: "E-mail address", Kind: emailField, Required: true, Autocomplete: "username", Max: 254})
}

func (v *visit) resetPage(f form) error {
	p := &formPage{Form: f, Button: "Send me a link", Back: "/signin"}
	p.Slim = true
	p.Title, p.Lead = "Forgot your password?", "Tell us your address. If we know it, we send a link there by which you set a new one."
	return v.show(statusOfForm(f), p)
}

func askReset(v *visit) error { return v.resetPage(resetForm()) }

func sendReset(v *visit) error {
	f := resetForm()
	if !f.read(v.r.PostForm) {
		return v.resetPage(f)
	}
	if err := v.Control.RequestPasswordReset(v.r.Context(), v.actor, f.value("email")); err != nil {
		if f.refuse(err) {
			return v.resetPage(f)
		}
		return err
	}
	return v.redirect("/password/sent")
}

// messagePage says one thing.
type messagePage struct {
	frame
	Icon  string
	Text  string
	Links []crumb
}

func (*messagePage) template() string { return "message" }

func resetSent(v *visit) error {
	p := &messagePage{Icon: "mail", Text: "If we know that address, a letter with a link is on its way. The link works once, for a short time. Nothing came? Look among the unwanted mail, or try another address.",
		Links: []crumb{{"Back to sign-in", "/signin"}, {"Try another address", "/password/forgot"}}}
	p.Title, p.Slim = "Check your mail", true
	return v.ok(p)
}

// newPasswordPage is behind the link of a reset.
type newPasswordPage struct {
	frame
	Form  form
	Token string
}

func (*newPasswordPage) template() string { return "newpassword" }

func newPasswordForm() form {
	return newForm("/password/reset",
		field{Name: "password", Label: "New password", Kind: secretField, Required: true, Autocomplete: "new-password", Max: 256, Hint: "At least 12 characters: a few words are better than a few signs"})
}

func askNewPassword(v *visit) error {
	token := v.r.URL.Query().Get("token")
	if token == "" {
		return v.redirect("/password/forgot")
	}
	return v.newPassword(newPasswordForm(), token)
}

func (v *visit) newPassword(f form, token string) error {
	p := &newPasswordPage{Form: f, Token: token}
	p.Slim = true
	p.Title, p.Lead = "Set a new password", "Every session of yours ends with it."
	return v.show(statusOfForm(f), p)
}

func setNewPassword(v *visit) error {
	f, token := newPasswordForm(), v.r.PostForm.Get("token")
	if !f.read(v.r.PostForm) {
		return v.newPassword(f, token)
	}
	err := v.Control.ResetPassword(v.r.Context(), v.actor, secret.New(token), secret.New(f.value("password")))
	if err != nil {
		if errors.Is(err, fault.Invalid) && f.refuse(err) {
			return v.newPassword(f, token)
		}
		return err
	}
	v.forgetSession()
	return v.done("password-set", "/signin")
}
