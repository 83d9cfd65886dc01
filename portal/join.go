package portal

import (
	"net/http"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/identity"
	"gatehouse/secret"
)

// formPage is a page that is one form and little else.
type formPage struct {
	frame
	Form   form
	Button string
	Back   string  // where "Cancel" leads; "" for none
	Links  []crumb // what else can be done about it
}

func (*formPage) template() string { return "form" }

// registerPage is where a partner begins.
type registerPage struct {
	frame
	Form form
}

func (*registerPage) template() string { return "register" }

func registrationForm() form {
	return newForm("/register",
		field{Name: "organization", Label: "Name of the organization", Kind: textField, Required: true, Autocomplete: "organization", Max: 120},
		field{Name: "website", Label: "Website", Kind: urlField, Autocomplete: "url", Hint: "Such as https://example.org"},
		field{Name: "country", Label: "Country", Kind: textField, Autocomplete: "country", Max: 2, Hint: "Two letters, such as DE"},
		field{Name: "register", Label: "Number in a register of companies", Kind: textField, Max: 64, Hint: "It speeds up the verification"},
		field{Name: "name", Label: "Your name", Kind: textField, Required: true, Autocomplete: "name", Max: 120},
		field{Name: "email", Label: "E-mail address", Kind: emailField, Required: true, Autocomplete: "email", Max: 254, Hint: "We send a link there to confirm it"},
		field{Name: "password", Label: "Password", Kind: secretField, Required: true, Autocomplete: "new-password", Max: 256, Hint: "At least 12 characters: a few words are better than a few signs"},
	)
}

func askRegistration(v *visit) error {
	if v.actor.Class != identity.Anonymous {
		return v.redirect(start(v.actor))
	}
	return v.registration(registrationForm())
}

func (v *visit) registration(f form) error {
	p := &registerPage{Form: f}
	p.Title, p.Lead = "Register your organization", "You become its first owner. It takes two minutes; we verify who you are afterwards."
	return v.show(statusOfForm(f), p)
}

// statusOfForm is that of what control refused, else 422 for a form with something wrong on it.
func statusOfForm(f form) int {
	switch {
	case !f.Bad():
		return http.StatusOK
	case f.refused != 0:
		return f.refused
	}
	return http.StatusUnprocessableEntity
}

func register(v *visit) error {
	f := registrationForm()
	if !f.read(v.r.PostForm) {
		return v.registration(f)
	}
	err := v.Control.Register(v.r.Context(), v.actor, control.Registration{
		Organization: f.value("organization"), Website: f.value("website"), Country: f.value("country"), Register: f.value("register"),
		Name: f.value("name"), Email: f.value("email"), Password: secret.New(f.value("password")),
	})
	if err != nil {
		if f.refuse(err) {
			return v.registration(f)
		}
		return err
	}
	return v.redirect("/register/sent")
}

// sentPage says that a letter is on its way.
type sentPage struct {
	frame
	Resend form
	Steps  []step
}

func (*sentPage) template() string { return "sent" }

func resendForm() form {
	return newForm("/confirm/resend", field{Name: "email", Label: "E-mail address", Kind: emailField, Required: true, Autocomplete: "email", Max: 254})
}

func registered(v *visit) error { return v.sent(resendForm()) }

func (v *visit) sent(f form) error {
	p := &sentPage{Resend: f, Steps: []step{
		{Title: "Registered", State: "done"},
		{Title: "Confirm your e-mail address", Text: "Open the link in the letter that we have just sent.", State: "now"},
		{Title: "Sign in and create your first application", State: "next"},
		{Title: "We verify your organization", Text: "A person of the platform looks at what you told us. You can prepare everything meanwhile.", State: "next"},
	}}
	p.Title, p.Lead = "Check your mail", "A letter with a link is on its way to you. The link works for 24 hours."
	return v.show(statusOfForm(f), p)
}

func resendConfirmation(v *visit) error {
	f := resendForm()
	if !f.read(v.r.PostForm) {
		return v.sent(f)
	}
	if err := v.Control.ResendConfirmation(v.r.Context(), v.actor, f.value("email")); err != nil {
		if f.refuse(err) {
			return v.sent(f)
		}
		return err
	}
	return v.done("link-sent", "/register/sent")
}

// linkPage is behind a one-time link: opening it does nothing yet, so that no mail scanner uses the link up.
type linkPage struct {
	frame
	Action, Button, Text, Token string
}

func (*linkPage) template() string { return "link" }

func askConfirmation(v *visit) error {
	p := &linkPage{Action: "/confirm", Button: "Confirm my address", Token: v.r.URL.Query().Get("token"),
		Text: "One press, and your address is confirmed. The link works once."}
	p.Title, p.Slim = "Confirm your e-mail address", true
	return v.link(p)
}

func (v *visit) link(p *linkPage) error {
	if p.Token == "" {
		return fault.New(fault.Gone, "the link is not whole: open it from the letter again")
	}
	return v.ok(p)
}

func confirm(v *visit) error {
	if _, err := v.Control.ConfirmEmail(v.r.Context(), v.actor, secret.New(v.r.PostForm.Get("token"))); err != nil {
		return err
	}
	return v.done("confirmed", "/signin")
}
